package status

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"stockroom/internal/backup"
	"stockroom/internal/datadir"
	"stockroom/queue"
	"stockroom/store"
	"stockroom/webhook"
)

// Facts is everything that an account is made of, read once.
type Facts struct {
	Now       time.Time
	Catalogue Catalogue
	Queue     Queue
	Space     datadir.Space
	Taken     []string // files of which another one has taken the place
	// Certificates are those of our own names, which are none behind a proxy.
	Certificates []Certificate
	Unsent       []Unsent // targets of messages that take none
	APIVersion   string   // that is asked for, "" when that says nothing
	Shops        []Shop
	ShopsErr     error
	OtherDead    int       // dead letters of no connected shop
	Last         time.Time // newest delivery, zero for none
	Notices      []Notice
	Backup       backup.Standing
	// Strangers are shop names that are not connected here and whose deliveries
	// are signed with the secret of a connected shop.
	Strangers []webhook.Stranger
	Demo      bool
	// Command writes a command line of these words, nil for the bare one.
	Command func(words string) string
	// Works: workers run, so what is due is done.
	Works bool
}

// Catalogue is whether products.db takes changes.
type Catalogue struct {
	OK     bool
	Closed bool // deliveries go straight to the queue
	Cause  store.Cause
	Err    string // with store.CauseLost: what happened to which file
	Since  time.Time
	Log    store.Log
}

// Shop is one shop with all that is known of it.
type Shop struct {
	Connection
	Last    time.Time // newest delivery, zero for none
	Jobs    Jobs
	JobsErr error  // why the jobs can't be counted
	Calls   *Calls // nil when nothing is known of them
	Sync    *Sync  // nil when nothing is compared with the shop
	Local   int64  // products stored, of a shop whose first read failed
	Refused webhook.Refusals
	// Disputed products show another content in the shop than the newer one that
	// is stored here, since DisputedSince.
	Disputed      int
	DisputedSince time.Time
}

// Options are where facts come from. Store, Queue and Shops are required.
type Options struct {
	Store *store.Store
	Queue *queue.Queue
	// QueueWatch knows whether the queue can be written; nil takes it for
	// writable as long as it can be read.
	QueueWatch *QueueWatch
	Shops      func(ctx context.Context) ([]Connection, error)
	// Sync and Calls tell of one shop; nil: nothing is known of it.
	Sync  func(shop string, now time.Time) Sync
	Calls func(shop string, now time.Time) Calls
	// CatalogueClosed reports whether deliveries go straight to the retry queue
	// because the catalogue has just failed, and since when; nil for never.
	CatalogueClosed func() (since time.Time, closed bool)
	// CatalogueCause is what it failed with last while it is closed; nil: the
	// store's own word.
	CatalogueCause func() store.Cause
	// Refused and Strangers tell which deliveries were refused; nil: of none.
	Refused   func(shop string) webhook.Refusals
	Strangers func() []webhook.Stranger
	// Disputed counts products whose reads were refused as older; nil: none.
	Disputed func(shop string) (n int, since time.Time)
	// Notices and Space tell of the files and their disk; nil: nothing.
	Notices func() []Notice
	Space   func() datadir.Space
	// Taken are the files of which another one has taken the place; nil: none.
	Taken func() []string
	// Certificates tell how those of our own names stand; nil: there are none.
	Certificates func() []Certificate
	// Backup tells how backups by schedule stand; nil: none are made.
	Backup func() backup.Standing
	// Unsent are targets of messages that take none; nil: there are none.
	Unsent func() []Unsent
	// APIVersion is the version of Shopify's API that is asked for.
	APIVersion string
	// Works reports whether workers run; nil: they do.
	Works func() bool
	Demo  bool
	// Command writes a command line that a person can paste; nil: the bare one.
	Command func(words string) string
	Logger  *slog.Logger // nil discards

	// Table replaces the table of rows, for tests that break one.
	Table []Row
}

// Reader reads accounts. It is safe for concurrent use.
type Reader struct {
	o      Options
	wishes wishes
}

// New makes a reader.
func New(o Options) *Reader {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CatalogueClosed == nil {
		o.CatalogueClosed = func() (time.Time, bool) { return time.Time{}, false }
	}
	if o.Table == nil {
		o.Table = Table()
	}
	return &Reader{o: o}
}

// Read makes the account of now.
func (r *Reader) Read(ctx context.Context, now time.Time) *Account {
	return judge(r.o.Table, r.facts(ctx, now))
}

// Ready is that of the account of now. It leaves out how each shop stands, which
// takes long with many: strangers are told, too, as often as they like.
func (r *Reader) Ready(ctx context.Context, now time.Time) Readiness {
	return judge(r.o.Table, r.files(ctx, now)).Ready()
}

// facts are all that an account is made of.
func (r *Reader) facts(ctx context.Context, now time.Time) Facts {
	f := r.files(ctx, now)
	f.Strangers = told(r.o.Strangers)
	f.Shops, f.OtherDead, f.ShopsErr = r.shops(ctx, now)
	for _, s := range f.Shops {
		if s.Last.After(f.Last) {
			f.Last = s.Last
		}
	}
	return f
}

// files are the facts that are no shop's.
func (r *Reader) files(ctx context.Context, now time.Time) Facts {
	f := Facts{Now: now, Demo: r.o.Demo, Command: r.o.Command, Works: r.o.Works == nil || r.o.Works()}
	f.Catalogue, f.Queue = r.catalogue(), r.queue(ctx, now)
	f.Space, f.Taken, f.Notices, f.Backup = told(r.o.Space), told(r.o.Taken), told(r.o.Notices), told(r.o.Backup)
	f.Certificates, f.Unsent, f.APIVersion = told(r.o.Certificates), told(r.o.Unsent), r.o.APIVersion
	return f
}

// told is what somebody tells, nothing where there is nobody.
func told[T any](by func() T) (v T) {
	if by != nil {
		v = by()
	}
	return v
}

// catalogue is whether products.db takes changes.
func (r *Reader) catalogue() Catalogue {
	h := r.o.Store.Health()
	since, closed := r.o.CatalogueClosed()
	f := Catalogue{OK: h.Cause == "" && !closed, Closed: closed, Cause: h.Cause, Err: h.Err, Since: h.Since, Log: h.Log}
	if closed && !since.IsZero() {
		f.Since = since
	}
	if closed && r.o.CatalogueCause != nil {
		f.Cause = r.o.CatalogueCause()
	}
	return f
}

// shops are the connected ones, and how many dead letters are of none of them.
func (r *Reader) shops(ctx context.Context, now time.Time) (shops []Shop, otherDead int, err error) {
	list, err := r.o.Shops(ctx)
	if err != nil {
		return nil, 0, err
	}
	byShop, jobsErr := r.jobs(ctx, now)
	if jobsErr != nil {
		r.o.Logger.Debug("jobs can't be counted now", "error", jobsErr.Error())
	}
	for shop, n := range byShop {
		if !slices.ContainsFunc(list, func(c Connection) bool { return c.Shop == shop }) {
			otherDead += n.Dead - n.Misfits
		}
	}
	shops = make([]Shop, 0, len(list))
	for _, c := range list {
		s := r.standing(c, now)
		s.Last, s.Jobs, s.JobsErr = r.o.Store.LastDelivery(c.Shop), byShop[c.Shop], jobsErr
		if s.Sync != nil && !s.Sync.Raw.First.Done && !s.Sync.Raw.First.Failed.IsZero() {
			if counts, err := r.o.Store.CountShop(ctx, c.Shop); err == nil {
				s.Local = counts.Products
			}
		}
		if r.o.Refused != nil {
			s.Refused = r.o.Refused(c.Shop)
		}
		if r.o.Disputed != nil {
			s.Disputed, s.DisputedSince = r.o.Disputed(c.Shop)
		}
		shops = append(shops, s)
	}
	return shops, otherDead, nil
}

// standing is a shop with how its runs and the calls to it stand.
func (r *Reader) standing(c Connection, now time.Time) Shop {
	s := Shop{Connection: c}
	if r.o.Calls != nil {
		s.Calls = new(r.o.Calls(c.Shop, now))
	}
	if r.o.Sync != nil {
		s.Sync = new(r.o.Sync(c.Shop, now))
		waitForPoints(&s, now)
	}
	return s
}

// shortWait is not worth telling of.
const shortWait = 2 * time.Second

// waitForPoints says that a run waits for points where it does not say itself why
// it waits.
func waitForPoints(s *Shop, now time.Time) {
	c := s.Calls
	if s.Sync.Running == nil || s.Sync.Waits != "" || c == nil || !c.NextGrant.After(now.Add(shortWait)) {
		return
	}
	s.Sync.Waits, s.Sync.WaitsUntil = "the points of this window are spent", c.NextGrant
	switch {
	case c.Asked:
		s.Sync.Waits = "Shopify has asked for a pause"
	case !c.Learnt && c.Failed != "": // our own guess of a budget is no reason
		s.Sync.Waits = c.Failed
	case !c.Learnt:
		s.Sync.Waits = "how many calls the shop allows is not known yet"
	}
}

// Sync is how the runs of one shop stand, without what the account judges; nil
// when nothing is compared.
func (r *Reader) Sync(shop string, now time.Time) *Sync {
	return r.standing(Connection{Shop: shop}, now).Sync
}
