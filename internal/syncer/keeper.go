package syncer

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"stockroom/store"
)

// keeper makes one shop's runs, one at a time: what somebody asked for, what a
// gap or a loss makes necessary, and what is due by schedule.
type keeper struct {
	s    *Syncer
	shop string
	wake chan struct{} // a token: look which run is next
	// wakeLooks is the same for the looks, which go on beside the runs.
	wakeLooks chan struct{}

	mu      sync.Mutex
	asked   *planned // by a person; nil for none
	running *planned // nil for none
	cancel  context.CancelCauseFunc
	fails   map[string]int // in a row, by schedule
	quiet   time.Time      // nothing runs automatically before: somebody has cancelled a run

	fullWanted    *store.Wanted  // by a loss or a selection; nil for none
	unfinished    *store.SyncRun // a full sync that the last process left; nil for none
	proof         proof
	subscriptions Subscriptions
	look          look
}

// planned is one run to be made.
type planned struct {
	name    string // of its schedule
	trigger string // why, in words
	dryRun  bool
	resume  *store.SyncRun
	begun   chan struct{} // closed when the run has begun as the row id
	id      int64
	// ends: it does nothing more, so nobody may join it. Guarded by the keeper's mu.
	ends bool
}

func plan(name, trigger string, dryRun bool) *planned {
	return &planned{name: name, trigger: trigger, dryRun: dryRun, begun: make(chan struct{})}
}

// cancelHolds is how long nothing runs automatically after a person has cancelled
// a run.
const cancelHolds = time.Hour

// errCancelled is the cause of a run's end that a person wanted.
var errCancelled = errors.New("cancelled by hand")

// keep has a keeper for each shop until ctx ends.
func (s *Syncer) keep(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	stops := map[string]context.CancelFunc{}
	for ctx.Err() == nil {
		s.lookForGap(time.Now()) // the machine may have slept
		connected := map[string]bool{}
		for _, shop := range s.o.State.Shops() {
			connected[shop.Domain] = true
			if _, ok := stops[shop.Domain]; ok {
				continue
			}
			kctx, stop := context.WithCancel(ctx)
			stops[shop.Domain] = stop
			k := s.keeperOf(shop.Domain)
			wg.Go(func() { k.run(kctx) })
			if !s.o.Manual {
				wg.Go(func() { k.looks(kctx) })
				wg.Go(func() { s.watchSubscriptions(kctx, shop.Domain) })
			}
		}
		for shop, stop := range stops {
			if !connected[shop] {
				stop()
				delete(stops, shop)
				s.mu.Lock()
				delete(s.keepers, shop)
				s.mu.Unlock()
			}
		}
		await(ctx, s.shopsChanged, time.Minute)
	}
}

// ShopsChanged looks at once which shops are connected.
func (s *Syncer) ShopsChanged() { wake(s.shopsChanged) }

// wake ends what waits for c, now or next.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// await waits for d, until it is woken or until ctx ends.
func await(ctx context.Context, woken <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-woken:
	case <-t.C:
	}
}

// keeperOf is a shop's keeper.
func (s *Syncer) keeperOf(shop string) *keeper {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keepers[shop]
	if k == nil {
		k = &keeper{
			s: s, shop: shop, wake: make(chan struct{}, 1), wakeLooks: make(chan struct{}, 1), fails: map[string]int{},
			proof: proof{remote: -1}, subscriptions: Subscriptions{Present: s.o.Pull},
		}
		s.keepers[shop] = k
	}
	return k
}

// rouse has the keeper look at once what is to be done.
func (k *keeper) rouse() {
	wake(k.wake)
	wake(k.wakeLooks)
}

// set changes a keeper, and get reads what it knows.
func (k *keeper) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
}

func get[T any](k *keeper, of *T) T {
	k.mu.Lock()
	defer k.mu.Unlock()
	return *of
}

// run makes the shop's runs until ctx ends.
func (k *keeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		p, at := k.next(time.Now())
		if wait := time.Until(at); p == nil || wait > 0 {
			// A minute at most: a clock that is put back must not stretch the wait.
			await(ctx, k.wake, min(max(wait, time.Millisecond), time.Minute))
			continue
		}
		rctx, place, err := k.s.takePlace(ctx)
		if err != nil {
			return
		}
		k.do(rctx, p)
		place.give()
	}
}

// next is the run to be made next and when; nil: nothing for now.
func (k *keeper) next(now time.Time) (*planned, time.Time) {
	shop, ok := k.s.o.State.Shop(k.shop)
	if !ok || shop.Pause.Paused() {
		return nil, now.Add(time.Minute)
	}
	asked, quiet, left := get(k, &k.asked), get(k, &k.quiet), get(k, &k.unfinished)
	switch {
	case asked != nil && (left == nil || asked.name != scheduleFull):
		return asked, now
	case left != nil && (asked != nil || !k.s.o.Manual):
		p := plan(scheduleFull, left.Trigger, false)
		if asked != nil {
			p = asked
		}
		p.resume = left
		return p, k.notBefore(scheduleFull, now)
	case k.s.o.Manual:
		return nil, now.Add(time.Minute)
	case quiet.After(now):
		return nil, quiet
	}
	if w := get(k, &k.fullWanted); w != nil {
		at := k.notBefore(scheduleFull, now)
		if later := (w.At + 1).Time(); at.Before(later) && now.Add(time.Second).After(later) {
			at = later // what is asked for in the millisecond of a run's beginning is not answered by it
		}
		return plan(scheduleFull, w.Reason, false), at
	}
	if w, ok := k.s.comparisonWanted(k.shop); ok && !k.firstIsDue() {
		return plan(scheduleReconcile, w.Why, false), k.notBefore(scheduleReconcile, now)
	}
	return k.nextBySchedule(now)
}

// nextBySchedule is the run that is due first; of those that are due now, the most
// urgent one.
func (k *keeper) nextBySchedule(now time.Time) (next *planned, when time.Time) {
	for _, sc := range k.s.schedules() {
		if sc.every <= 0 || sc.name != scheduleFull && k.firstIsDue() {
			continue
		}
		if at := k.dueAt(sc, now); next == nil || at.Before(when) && when.After(now) {
			next, when = plan(sc.name, "by schedule", false), at
			if sc.name == scheduleFull && k.lastOf(sc.name).started.IsZero() {
				next.trigger = "the first sync of this shop"
			}
		}
	}
	if next == nil {
		return nil, now.Add(time.Minute)
	}
	return next, when
}

// do makes one run.
func (k *keeper) do(ctx context.Context, p *planned) {
	deadline := takeDeadline
	for _, sc := range k.s.schedules() {
		if sc.name == p.name {
			deadline = sc.deadline
		}
	}
	rctx, end := context.WithTimeoutCause(ctx, deadline, errDeadline)
	defer end()
	rctx, cancel := context.WithCancelCause(rctx)
	defer cancel(nil)
	k.set(func() {
		k.running, k.cancel = p, cancel
		if k.asked == p {
			k.asked = nil
		}
		if p.resume != nil {
			k.unfinished = nil
		}
	})
	defer k.set(func() { k.running, k.cancel = nil, nil })

	started := time.Now()
	if !p.dryRun {
		k.note("begin", k.s.o.State.RunStarted(k.shop, p.name, started))
	}
	run, err := k.s.makes(rctx, k.shop, p)
	if ctx.Err() != nil {
		return // the process ends; it goes on at the next start
	}
	k.s.refreshProof(context.WithoutCancel(ctx), k.shop)
	switch {
	case !p.dryRun:
		k.conclude(ctx, p, started, run, err)
	case err != nil:
		k.s.log.Warn("a comparison failed", "shop", k.shop, "error", err.Error())
	}
}

// conclude notes how a run ended that is no dry run.
func (k *keeper) conclude(ctx context.Context, p *planned, started time.Time, run store.SyncRun, err error) {
	log := k.s.log.With("shop", k.shop, "kind", p.name)
	words := ""
	if err == nil {
		k.s.judgeDeliveries(context.WithoutCancel(ctx), k.shop, run)
		if !run.Proven && p.name != scheduleIncremental {
			err = errNothingShown
		}
	}
	if err != nil {
		words = cmp.Or(run.Error, err.Error())
	}
	k.note("end", k.s.o.State.RunFinished(k.shop, p.name, time.Now(), words))
	k.set(func() {
		switch {
		case errors.Is(err, errCancelled):
			k.quiet = time.Now().Add(cancelHolds)
		case err != nil:
			k.fails[p.name]++
		default:
			k.fails[p.name], k.quiet = 0, time.Time{}
		}
	})
	if err != nil {
		log.Warn("a sync failed; it is tried again automatically", "error", words)
		return
	}
	k.forgetAnswered(ctx, p.name, run)
	log.Info("synced", "trigger", p.trigger, "added", run.Added, "changed", run.Changed, "removed", run.Removed,
		"points", run.Points, "took", time.Since(started).Round(time.Millisecond).String())
}

// errNothingShown stands for a run that came to its end and proves nothing. It
// does not count as done.
var errNothingShown = errors.New("what it read was not complete, so it proves nothing")

// errDeadline is the cause of a run's end that took too long.
var errDeadline = errors.New("it took longer than a run may")

func (k *keeper) note(what string, err error) {
	if err != nil {
		k.s.log.Warn("a run can't be noted in state.db; after a restart it may be made again",
			"shop", k.shop, "which", what, "error", err.Error())
	}
}

// Why a run that was asked for has not begun yet. It begins later.
var (
	ErrOtherRuns = errors.New("another sync of the shop runs")
	ErrNotBegun  = errors.New("the sync has not begun yet")
)

// Start begins a run at once, or joins the one of its kind that runs or waits,
// and returns its id. When it has not begun as ctx ends, the error is ErrOtherRuns,
// ErrNotBegun or a *PausedError.
func (s *Syncer) Start(ctx context.Context, shop string, kind store.RunKind, dryRun bool) (id int64, err error) {
	if err := s.TryNow(ctx, shop); err != nil { // a person asks, so the shop is really asked
		return 0, cmp.Or(s.pausedNow(shop), err)
	}
	k, p := s.keeperOf(shop), plan(scheduleOf(kind), "asked for by hand", dryRun)
	same := func(have *planned) bool { return have != nil && have.name == p.name && have.dryRun == dryRun }
	k.set(func() {
		switch {
		case same(k.running) && !k.running.ends:
			p = k.running
		case same(k.asked):
			p = k.asked
		default:
			k.asked = p // who asks later has thought again
		}
	})
	k.rouse()
	select {
	case <-p.begun:
		return p.id, nil
	case <-ctx.Done():
	}
	if running := get(k, &k.running); running != nil && running != p {
		err = ErrOtherRuns
	} else {
		err = ErrNotBegun
	}
	return 0, cmp.Or(s.pausedNow(shop), err)
}

// begins notes the id of a shop's run when its row is stored, and ends that the run
// is about to be shown as ended.
func (s *Syncer) begins(shop string, id int64) {
	k := s.keeperOf(shop)
	k.set(func() {
		if p := k.running; p != nil && p.id == 0 {
			p.id = id
			close(p.begun)
		}
	})
}

func (s *Syncer) ends(shop string) {
	k := s.keeperOf(shop)
	k.set(func() {
		if k.running != nil {
			k.running.ends = true
		}
	})
}

// Cancel ends the shop's run, or drops the one that waits. It reports whether
// there was one.
func (s *Syncer) Cancel(shop string) bool {
	k := s.keeperOf(shop)
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.asked != nil || k.cancel != nil
	if k.asked = nil; k.cancel != nil {
		k.cancel(errCancelled)
	}
	return was
}
