package syncer

import (
	"context"
	"errors"
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

// Options are the syncer's parts and settings.
type Options struct {
	API       API
	Store     *store.Store
	State     *state.Store
	Queue     *queue.Queue
	Telemetry *telemetry.Recorder // nil: none
	Logger    *slog.Logger        // nil: none
	// Workers is how many product fetches run at a time. Default 4.
	Workers int
	// ProbeEvery is how long a shop stays paused for a token or scope before it
	// is asked again. Default 15 min.
	ProbeEvery time.Duration
	// SlowProbeEvery is the same for a frozen shop and one without the app.
	// Default 1 h.
	SlowProbeEvery time.Duration
	// ReconcileEvery is how often the copy is compared with the shop, and
	// FullSyncEvery how often every field is read. 0: never by itself.
	ReconcileEvery, FullSyncEvery time.Duration
	// Folder takes the temporary files of full syncs.
	Folder *folder.Folder
	// BulkMemory is how many bytes of a bulk result wait in memory before they go
	// to such a file. Default 32 MiB.
	BulkMemory int64
	// Room says why so many bytes more can't be written now while deliveries keep
	// what they need, "" that they can. Nil: they always can.
	Room func(more int64) (why string)
	// Syncs is how many runs are made at a time, over all shops. Default 4.
	Syncs int
	// PublicURL is where Shopify reaches our public listener, as the settings
	// normalise it; "" when that is not known. Without it nothing is subscribed.
	PublicURL string
	// Manual: only what somebody asks for is done; nothing by schedule.
	Manual bool
	// Changed, when set, is told when a shop was paused, resumed or found to be
	// uninstalled.
	Changed func(ctx context.Context, shop string)
}

// Syncer works the queue's jobs for all shops.
type Syncer struct {
	o    Options
	log  *slog.Logger
	poke chan struct{}
	// slots bounds the runs that are made at a time.
	slots        chan struct{}
	shopsChanged chan struct{} // a token: look which shops there are
	runner       runner
	checkSubs    func(ctx context.Context, shop string, fix bool) (Subscriptions, bool, error)
	progress     progress
	began        time.Time
	works        atomic.Bool       // Run runs
	wanted       chan store.Wanted // to be passed on

	subscribing shopLocks // one check of a shop's subscriptions at a time

	mu            sync.Mutex
	keepers       map[string]*keeper
	losses        map[string]store.Wanted  // full syncs that a loss or a selection asks for
	unfinished    map[string]store.SyncRun // full syncs that the last process left
	proofs        map[string]proof
	subscriptions map[string]Subscriptions
	absence       [2]time.Time // when nobody listened last: from and to
}

// New makes a syncer; Run starts it.
func New(o Options) *Syncer {
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.ProbeEvery <= 0 {
		o.ProbeEvery = 15 * time.Minute
	}
	if o.SlowProbeEvery <= 0 {
		o.SlowProbeEvery = time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func(context.Context, string) {}
	}
	if o.Room == nil {
		o.Room = func(int64) string { return "" }
	}
	if o.Syncs <= 0 {
		o.Syncs = 4
	}
	s := &Syncer{
		o: o, log: o.Logger, poke: make(chan struct{}, 1), slots: make(chan struct{}, o.Syncs), shopsChanged: make(chan struct{}, 1), began: time.Now(), wanted: make(chan store.Wanted, 1024),
		keepers: map[string]*keeper{}, losses: map[string]store.Wanted{}, unfinished: map[string]store.SyncRun{},
		proofs: map[string]proof{}, subscriptions: map[string]Subscriptions{},
	}
	s.runner, s.checkSubs = runs{s}, s.checkSubscriptions
	return s
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
		{store.WantProduct, "refetch", s.o.Workers, readMost, false, s.fetchProduct},
		{store.WantInventoryItem, "refetch_inventory", s.o.Workers, jobMost, false, s.fetchOwner},
		{store.WantUninstalled, "confirm_uninstall", 1, jobMost, true, s.confirmUninstalled},
		{store.WantScopes, "check_scopes", 1, jobMost, true, s.checkScopes},
	}
}

// kinds are the kinds that wait while a shop is paused.
func (s *Syncer) kinds() []string {
	var list []string
	for _, w := range s.workers() {
		list = append(list, string(w.kind))
	}
	return list
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
		if s.o.Telemetry != nil {
			s.o.Telemetry.Duration(t.Shop, w.operation, time.Since(started))
		}
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
			return queue.Snooze(time.Now().Add(s.o.ProbeEvery), e.Words())
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
	if s.o.Telemetry == nil {
		return
	}
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
