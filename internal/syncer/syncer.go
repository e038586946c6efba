package syncer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"stockroom/internal/catalog"
	"stockroom/internal/folder"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/internal/telemetry"
	"stockroom/limiter"
	"stockroom/queue"
	"stockroom/store"
)

// API is what the workers ask a shop.
type API interface {
	Product(ctx context.Context, shop string, class limiter.Class, id int64) (*catalog.Product, error)
	ProductOfItem(ctx context.Context, shop string, class limiter.Class, item int64) (int64, error)
	Shop(ctx context.Context, shop string, class limiter.Class) (shopify.Shop, error)
	Access(ctx context.Context, shop string, class limiter.Class) (shopify.Access, error)
	// Held is what a call would be refused with now without being sent, nil for
	// nothing. TryNow ends the wait of an open circuit: the next call is sent.
	Held(shop string, now time.Time) *shopify.Error
	TryNow(shop string)
	CatalogueAPI
	SubscriptionAPI
}

// CatalogueAPI is what the runs ask a shop about the whole of its catalogue.
type CatalogueAPI interface {
	Look(ctx context.Context, shop string, class limiter.Class, since time.Time, most int) (shopify.Look, error)
	Products(ctx context.Context, shop string, class limiter.Class, ids []int64) (map[int64]*catalog.Product, error)
	IDs(ctx context.Context, shop string, class limiter.Class, from, to int64, w *shopify.Walk) ([]shopify.Listed, error)
	Count(ctx context.Context, shop string, class limiter.Class) (n int, exact bool, err error)
	Existing(ctx context.Context, shop string, class limiter.Class, ids []int64) ([]int64, error)
	Pace(shop string) shopify.Pace
	RunBulk(ctx context.Context, shop string, class limiter.Class, query string, grouped bool) (string, error)
	Bulk(ctx context.Context, shop string, class limiter.Class, id string) (b shopify.BulkOperation, found bool, err error)
	Bulks(ctx context.Context, shop string, class limiter.Class, status string) ([]shopify.BulkOperation, error)
	CancelBulk(ctx context.Context, shop string, class limiter.Class, id string) error
	Download(ctx context.Context, shop, address string, offset, most int64) (*shopify.Download, error)
	Seen(shop string) shopify.Seen
}

// Options are the syncer's parts and settings.
type Options struct {
	API       API
	Store     *store.Store
	State     *state.Store
	Queue     *queue.Queue
	Telemetry *telemetry.Recorder
	Logger    *slog.Logger // nil: none
	// ReconcileEvery is how often the copy is compared with the shop, and
	// FullSyncEvery how often every field is read. 0: never automatically.
	ReconcileEvery, FullSyncEvery time.Duration
	// Folder takes the temporary files of full syncs.
	Folder *folder.Folder
	// Room says why so many bytes more can't be written now while deliveries keep
	// what they need, "" that they can. Nil: they always can.
	Room func(more int64) (why string)
	// PublicURL is where Shopify reaches our public listener, as the settings
	// normalise it; "" when that is not known. Without it nothing is subscribed.
	PublicURL string
	// Pull: no delivery is waited for, so changes are looked for every PollEvery (0:
	// 30 s) as the usual way. Unsubscribe, with Pull: subscriptions that were made
	// earlier are removed.
	Pull, Unsubscribe bool
	PollEvery         time.Duration
	// Manual: only what somebody asks for is done; nothing by schedule.
	Manual bool
	// Changed, when set, is told when a shop was paused, resumed or found to be
	// uninstalled.
	Changed func(ctx context.Context, shop string)
	// Proved, when set, is told of each run that has proven a copy.
	Proved func()
}

// Syncer works the queue's jobs for all shops.
type Syncer struct {
	o    Options
	log  *slog.Logger
	poke chan struct{} // a token: look which shops are paused
	// places bounds the runs that are made at a time.
	places       chan struct{}
	eyes         chan struct{} // bounds the looks
	shopsChanged chan struct{} // a token: look which shops there are
	// makes makes a run, and checkSubs a check; tests put their own in their place.
	makes     func(ctx context.Context, shop string, p *planned) (store.SyncRun, error)
	checkSubs func(ctx context.Context, shop string, fix bool) (Subscriptions, error)
	progress  progress // of the keepers' runs
	looked    progress // of what looks bring
	began     time.Time
	works     atomic.Bool       // Run runs
	wanted    chan store.Wanted // to be passed on

	subscribing shopLocks // one check of a shop's subscriptions at a time

	mu      sync.Mutex
	keepers map[string]*keeper
	absence [2]time.Time // when nobody listened last: from and to
}

// New makes a syncer; Run starts it.
func New(o Options) *Syncer {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func(context.Context, string) {}
	}
	if o.PollEvery <= 0 {
		o.PollEvery = 30 * time.Second
	}
	if o.Room == nil {
		o.Room = func(int64) string { return "" }
	}
	s := &Syncer{
		o: o, log: o.Logger, poke: make(chan struct{}, 1), places: make(chan struct{}, runsAtOnce), eyes: make(chan struct{}, looksAtOnce),
		shopsChanged: make(chan struct{}, 1), began: time.Now(), wanted: make(chan store.Wanted, 1024),
		keepers: map[string]*keeper{},
	}
	s.makes, s.checkSubs = s.makeRun, s.checkSubscriptions
	return s
}

const (
	readsAtOnce = 4 // products that are read at a time, by jobs and by a run
	runsAtOnce  = 4 // over all shops
	looksAtOnce = 8 // over all shops, beside the runs
	// probeEvery is how long a shop stays paused for a token or scope before it is
	// asked again, and slowProbeEvery a frozen shop and one without the app.
	probeEvery     = 15 * time.Minute
	slowProbeEvery = time.Hour
)

// Load reads what is stored about syncs, before anybody can ask how a copy
// stands: wanted full syncs, proofs, and runs that the last process left. Those
// of full syncs are taken up; the others begin again.
func (s *Syncer) Load(ctx context.Context) error {
	left, err := s.o.Store.RunningRuns(ctx)
	if err != nil {
		return fmt.Errorf("read the runs that were left: %w", err)
	}
	kept := map[int64]bool{}
	for _, run := range left {
		k := s.keeperOf(run.Shop)
		if run.Kind == store.RunFull && !run.DryRun && get(k, &k.unfinished) == nil {
			kept[run.ID] = true
			k.set(func() { k.unfinished = &run })
		} else if err := s.endLeft(ctx, run); err != nil {
			return err
		}
	}
	if err := s.dropSorted(func(run int64) bool { return !kept[run] }); err != nil {
		s.log.Warn("a temporary file of an earlier sync can't be removed", "error", err.Error())
	}
	for _, shop := range s.o.State.Shops() {
		s.refreshProof(ctx, shop.Domain)
	}
	list, err := s.o.Store.WantedList(ctx)
	if err != nil {
		return fmt.Errorf("read wanted syncs: %w", err)
	}
	for _, w := range list {
		if w.Kind == store.WantSync {
			s.wantFull(w)
		}
	}
	return nil
}

// endLeft ends a run that the last process left and that is not taken up.
func (s *Syncer) endLeft(ctx context.Context, run store.SyncRun) error {
	if run.Kind != store.RunFull && !run.DryRun && (run.Phase == phaseRepairing || run.Phase == phaseRemoving) {
		if err := s.wantComparison(run.Shop, brokenOff(0), time.Now()); err != nil {
			return err
		}
	}
	run.State, run.Phase, run.Error = store.RunFailed, "", "Stockroom was stopped during it"
	run.FinishedAt = store.MillisOf(time.Now())
	if err := s.o.Store.SaveRun(ctx, run); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("end the runs that were left: %w", err)
	}
	return nil
}

// worker is one kind of job.
type worker struct {
	kind      store.WantedKind
	operation string // its name in metrics
	parallel  int
	most      time.Duration // that one job may take
	always    bool          // also for a paused shop: it finds out whether it still has to be
	do        func(ctx context.Context, t task, started time.Time) error
}

const (
	// readMost is how long the reading of a product may take. The largest, of 2,048
	// variants, takes 205 calls where the budget is so small that one goes out a minute.
	readMost = 4 * time.Hour
	jobMost  = 5 * time.Minute // any other job, of a few calls and rows
)

// workers are the kinds of jobs. Full syncs, and news of bulk operations, are none:
// they go to the keepers.
func (s *Syncer) workers() []worker {
	return []worker{
		{store.WantProduct, "refetch", readsAtOnce, readMost, false, s.fetchProduct},
		{store.WantInventoryItem, "refetch_inventory", readsAtOnce, jobMost, false, s.fetchOwner},
		{store.WantUninstalled, "confirm_uninstall", 1, jobMost, true, s.confirmUninstalled},
		{store.WantScopes, "check_scopes", 1, jobMost, true, s.checkScopes},
	}
}

// Run works until ctx ends.
func (s *Syncer) Run(ctx context.Context) error {
	s.works.Store(true)
	defer s.works.Store(false)
	g, ctx := errgroup.WithContext(ctx)
	for _, w := range s.workers() {
		g.Go(func() error { return s.o.Queue.Work(ctx, string(w.kind), w.parallel, w.most, s.handler(w)) })
	}
	feed := feeder{s: s}
	for _, do := range []func(context.Context){feed.run, s.probe, s.keep} {
		g.Go(func() error {
			do(ctx)
			return nil
		})
	}
	return g.Wait()
}

// Works reports whether Run runs.
func (s *Syncer) Works() bool { return s.works.Load() }

// handler turns a worker into what the queue calls.
func (s *Syncer) handler(w worker) queue.Handler {
	return func(ctx context.Context, j queue.Job) error {
		t, err := parseTask(j.Payload)
		if err != nil {
			return queue.Permanent(err, queue.ClassPoison)
		}
		t.made = j.EnqueuedAt
		shop, ok := s.o.State.Shop(t.Shop)
		if !ok {
			return nil // removed meanwhile, with all that was wanted for it
		}
		if shop.Pause.Paused() && (!w.always || shop.Pause.Reason == state.PauseOperator) {
			return queue.Snooze(s.pausedUntil(shop.Pause, time.Now()), pauseWords(shop.Pause))
		}
		if why := s.o.Room(0); why != "" && !w.always {
			return queue.Snooze(time.Now().Add(heldWait), why)
		}
		started := time.Now()
		err = w.do(ctx, t, started)
		return s.outcome(ctx, w, t, started, err)
	}
}

// catalogueWait is how long a job waits while the catalogue can't be written.
const catalogueWait = 5 * time.Second

// outcome turns what a worker returned into what the queue does.
func (s *Syncer) outcome(ctx context.Context, w worker, t task, started time.Time, err error) error {
	if err == nil {
		s.o.Telemetry.Duration(t.Shop, w.operation, time.Since(started))
		return nil
	}
	if ctx.Err() != nil {
		return err // the queue puts it back as it was
	}
	if open, ok := errors.AsType[*openError](err); ok {
		return queue.Snooze(open.until, open.Error())
	}
	if errors.Is(err, errAgain) {
		return queue.Snooze(time.Now().Add(time.Second), errAgain.Error())
	}
	s.count(t.Shop, w.operation, err)
	if errors.Is(err, store.ErrUnavailable) {
		return queue.Snooze(time.Now().Add(catalogueWait), "the catalogue can't be written now")
	}
	var e *shopify.Error
	if !errors.As(err, &e) {
		return queue.WithClass(err, queue.ClassStorage)
	}
	v := shopify.Judge(err)
	switch v.Job {
	case shopify.Snooze:
		return queue.Snooze(s.retryAt(e, time.Now()), e.Words())
	case shopify.Pause:
		if v.Pause == shopify.ForOneThing {
			return queue.Snooze(time.Now().Add(probeEvery), e.Words())
		}
		p := s.pause(ctx, t.Shop, v.Pause, e)
		return queue.Snooze(s.pausedUntil(p, time.Now()), pauseWords(p))
	case shopify.Permanent:
		return queue.Permanent(err, queue.ClassValidation)
	case shopify.AsBefore:
		return queue.Snooze(time.Now(), e.Words())
	}
	return queue.WithClass(err, queue.ClassUpstream)
}

// heldWait is how long a job waits when only a person can tell, or for room on
// the disk.
const heldWait = time.Minute

func (s *Syncer) retryAt(e *shopify.Error, now time.Time) time.Time {
	if e.RetryAt.IsZero() {
		return now.Add(heldWait)
	}
	return e.RetryAt
}

// count notes a failed operation. One that was never sent is no failure.
func (s *Syncer) count(shop, operation string, err error) {
	typ := telemetry.ErrInternal
	switch shopify.KindOf(err) {
	case shopify.KindOpen, shopify.KindBudget, shopify.KindCancelled:
		return
	case shopify.KindTimeout:
		typ = telemetry.ErrTimeout
	case shopify.KindThrottled, shopify.KindBusy:
		typ = telemetry.ErrThrottled
	case shopify.KindToken, shopify.KindScope, shopify.KindFrozen, shopify.KindUninstalled:
		typ = telemetry.ErrAuth
	case shopify.KindUnreadable:
		typ = telemetry.ErrMalformed
	case shopify.KindServer, shopify.KindNetwork, shopify.KindPartial, shopify.KindMoved, shopify.KindChanging, shopify.KindRefused, shopify.KindTooDear:
		typ = telemetry.ErrUpstream
	}
	s.o.Telemetry.Error(shop, operation, typ)
}
