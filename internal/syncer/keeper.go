package syncer

import (
	"context"
	"errors"
	"sync"
	"time"

	"stockroom/store"
)

// runner makes the runs; tests put their own in its place.
type runner interface {
	full(ctx context.Context, shop, trigger string, resume *store.SyncRun) (store.SyncRun, error)
	incremental(ctx context.Context, shop, trigger string) (store.SyncRun, error)
	reconcile(ctx context.Context, shop, trigger string, dryRun bool) (store.SyncRun, error)
}

// keeper makes one shop's runs, one at a time: what somebody asked for, what a
// gap or a loss makes necessary, and what is due by schedule.
type keeper struct {
	s    *Syncer
	shop string
	wake chan struct{}

	mu      sync.Mutex
	asked   *asked // by a person; nil for none
	running *job   // nil for none
	cancel  context.CancelCauseFunc
	fails   map[string]int // in a row, by schedule
	held    time.Time      // nothing runs by itself before: somebody has cancelled a run
}

// job is one run to be made.
type job struct {
	name    string // of its schedule
	trigger string // why, in words
	dryRun  bool
	resume  *store.SyncRun
	asked   *asked
	// ends: it does nothing more, so nobody may join it. Guarded by the keeper's mu.
	ends bool
}

// asked is a run that somebody waits for.
type asked struct {
	name   string
	dryRun bool
	begun  chan struct{} // closed when its run begins
}

// cancelHolds is for how long nothing runs by itself after a person has
// cancelled a run.
const cancelHolds = time.Hour

// errCancelled is the cause of a run's end that a person wanted.
var errCancelled = errors.New("cancelled by hand")

// keep has a keeper for each shop until ctx ends.
func (s *Syncer) keep(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	stops := map[string]context.CancelFunc{}
	s.lookForGap(time.Now())
	for {
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
				wg.Go(func() { s.watchSubscriptions(kctx, shop.Domain) })
			}
		}
		for shop, stop := range stops {
			if !connected[shop] {
				stop()
				delete(stops, shop)
				s.dropKeeper(shop)
			}
		}
		t := time.NewTimer(time.Minute)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-s.shopsChanged:
		case <-t.C:
			s.lookForGap(time.Now()) // the machine may have slept
		}
		t.Stop()
	}
}

// keeperOf is a shop's keeper.
func (s *Syncer) keeperOf(shop string) *keeper {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keepers[shop]
	if k == nil {
		k = &keeper{s: s, shop: shop, wake: make(chan struct{}, 1), fails: map[string]int{}}
		s.keepers[shop] = k
	}
	return k
}

func (s *Syncer) dropKeeper(shop string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keepers, shop)
	delete(s.proofs, shop)
	delete(s.subscriptions, shop)
}

func (s *Syncer) wakeKeepers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keepers {
		k.poke()
	}
}

func (k *keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run makes the shop's runs until ctx ends.
func (k *keeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		j, at := k.next(ctx, time.Now())
		if wait := time.Until(at); j == nil || wait > 0 {
			// A minute at most: a clock that is put back must not stretch the wait.
			t := time.NewTimer(min(max(wait, time.Millisecond), time.Minute))
			select {
			case <-ctx.Done():
			case <-k.wake:
			case <-t.C:
			}
			t.Stop()
			continue
		}
		rctx, sl, err := k.s.takeSlot(ctx)
		if err != nil {
			return
		}
		k.do(rctx, j)
		sl.give()
	}
}

// next is the run to be made next and when; nil: nothing for now.
func (k *keeper) next(ctx context.Context, now time.Time) (*job, time.Time) {
	shop, ok := k.s.o.State.Shop(k.shop)
	if !ok || shop.Pause.Paused() {
		return nil, now.Add(time.Minute)
	}
	k.mu.Lock()
	a, held := k.asked, k.held
	k.mu.Unlock()
	run, unfinished := k.s.unfinishedOf(k.shop)
	switch {
	case a != nil && !(unfinished && a.name == scheduleFull):
		return &job{name: a.name, trigger: "asked for by hand", dryRun: a.dryRun, asked: a}, now
	case unfinished && (a != nil || !k.s.o.Manual):
		return &job{name: scheduleFull, trigger: run.Trigger, resume: &run, asked: a}, k.notBefore(scheduleFull, now)
	case k.s.o.Manual:
		return nil, now.Add(time.Minute)
	case held.After(now):
		return nil, held
	}
	if w, ok := k.s.lossOf(k.shop); ok {
		at := k.notBefore(scheduleFull, now)
		if later := (w.At + 1).Time(); at.Before(later) && now.Add(time.Second).After(later) {
			at = later // what is asked for in the millisecond of a run's beginning is not answered by it
		}
		return &job{name: scheduleFull, trigger: w.Reason}, at
	}
	first := k.s.firstIsDue(k.shop)
	if reason, ok := k.s.owed(k.shop); ok && !first {
		return &job{name: scheduleReconcile, trigger: reason}, k.notBefore(scheduleReconcile, now)
	}
	var found *job
	var when time.Time
	for _, sc := range k.s.schedules(k.shop) {
		if sc.every <= 0 {
			continue
		}
		at := k.dueAt(sc, now)
		if first && sc.name != scheduleFull {
			continue
		}
		if found == nil || at.Before(when) && when.After(now) {
			found, when = &job{name: sc.name, trigger: k.why(sc.name)}, at
		}
	}
	if found == nil {
		return nil, now.Add(time.Minute)
	}
	return found, when
}

func (k *keeper) why(name string) string {
	if name == scheduleFull && k.s.lastOf(k.shop, name, 0).started.IsZero() {
		return "the first sync of this shop"
	}
	return "by schedule"
}

func (k *keeper) dueAt(sc schedule, now time.Time) time.Time {
	k.mu.Lock()
	fails := k.fails[sc.name]
	k.mu.Unlock()
	return due(k.shop, sc, k.s.lastOf(k.shop, sc.name, fails), now)
}

// notBefore is when a run that is needed at once may begin: after a failure not
// before its backoff.
func (k *keeper) notBefore(name string, now time.Time) time.Time {
	k.mu.Lock()
	fails := k.fails[name]
	k.mu.Unlock()
	if fails == 0 {
		return now
	}
	l := k.s.lastOf(k.shop, name, fails)
	if l.failed.IsZero() {
		return now
	}
	return due(k.shop, schedule{name: name}, l, now)
}

// do makes one run.
func (k *keeper) do(ctx context.Context, j *job) {
	deadline := 48 * time.Hour
	for _, sc := range k.s.schedules(k.shop) {
		if sc.name == j.name {
			deadline = sc.deadline
		}
	}
	rctx, end := context.WithTimeoutCause(ctx, deadline, errDeadline)
	defer end()
	rctx, cancel := context.WithCancelCause(rctx)
	defer cancel(nil)
	k.mu.Lock()
	k.running, k.cancel = j, cancel
	if k.asked == j.asked {
		k.asked = nil
	}
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.running, k.cancel = nil, nil
		k.mu.Unlock()
	}()
	if j.asked != nil {
		close(j.asked.begun)
	}

	started := time.Now()
	if !j.dryRun {
		k.note("begin", k.s.o.State.RunStarted(k.shop, j.name, started))
	}
	run, err := k.make(rctx, j)
	if ctx.Err() != nil {
		return // the process ends; it goes on at the next start
	}
	k.s.refreshProof(context.WithoutCancel(ctx), k.shop)
	if err == nil && !j.dryRun {
		k.s.judgeDeliveries(context.WithoutCancel(ctx), k.shop, run)
	}
	if j.dryRun {
		if err != nil {
			k.s.log.Warn("a comparison failed", "shop", k.shop, "error", err.Error())
		}
		return
	}
	if err == nil && !run.Proven && j.name != scheduleIncremental {
		err = errNothingShown
	}
	words := ""
	if err != nil {
		words = run.Error
		if words == "" {
			words = err.Error()
		}
	}
	k.note("end", k.s.o.State.RunFinished(k.shop, j.name, time.Now(), words))
	k.mu.Lock()
	switch {
	case errors.Is(err, errCancelled):
		k.held = time.Now().Add(cancelHolds)
	case err != nil:
		k.fails[j.name]++
	default:
		k.fails[j.name], k.held = 0, time.Time{}
	}
	k.mu.Unlock()
	if err != nil {
		k.s.log.Warn("a sync failed; it is tried again by itself", "shop", k.shop, "kind", j.name, "error", words)
		return
	}
	k.s.settle(ctx, k.shop, j.name, run)
	k.s.log.Info("synced", "shop", k.shop, "kind", j.name, "trigger", j.trigger, "added", run.Added, "changed", run.Changed, "removed", run.Removed,
		"points", run.Points, "took", time.Since(started).Round(time.Millisecond).String())
}

// errNothingShown stands for a run that came to its end and proves nothing. It
// does not count as done.
var errNothingShown = errors.New("what it read was not complete, so it proves nothing")

// errDeadline is the cause of a run's end that took too long.
var errDeadline = errors.New("it took longer than a run may")

func (k *keeper) make(ctx context.Context, j *job) (store.SyncRun, error) {
	switch j.name {
	case scheduleFull:
		return k.s.runner.full(ctx, k.shop, j.trigger, j.resume)
	case scheduleReconcile:
		return k.s.runner.reconcile(ctx, k.shop, j.trigger, j.dryRun)
	}
	return k.s.runner.incremental(ctx, k.shop, j.trigger)
}

func (k *keeper) note(what string, err error) {
	if err != nil {
		k.s.log.Warn("a run can't be noted in state.db; after a restart it may be made again", "shop", k.shop, "which", what, "error", err.Error())
	}
}

// Start begins a run at once, or joins the one of its kind that runs or waits.
// It returns when the run has begun, or with began false when another one is in
// the way when ctx ends; then it begins after that.
func (s *Syncer) Start(ctx context.Context, shop string, kind store.RunKind, dryRun bool) (began bool, err error) {
	if err := s.TryNow(ctx, shop); err != nil { // a person asks, so the shop is really asked
		if have, _ := s.o.State.Shop(shop); have.Pause.Paused() {
			err = &PausedError{Words: pauseWords(have.Pause), Until: have.Pause.NextProbe}
		}
		return false, err
	}
	k := s.keeperOf(shop)
	name := scheduleOf(kind)
	k.mu.Lock()
	if j := k.running; j != nil && j.name == name && j.dryRun == dryRun && !j.ends {
		k.mu.Unlock()
		return true, nil
	}
	a := k.asked
	if a == nil || a.name != name || a.dryRun != dryRun {
		a = &asked{name: name, dryRun: dryRun, begun: make(chan struct{})}
		k.asked = a // who asks later has thought again
	}
	k.mu.Unlock()
	k.poke()
	select {
	case <-a.begun:
		return true, nil
	case <-ctx.Done():
		if have, _ := s.o.State.Shop(shop); have.Pause.Paused() { // meanwhile
			return false, &PausedError{Words: pauseWords(have.Pause), Until: have.Pause.NextProbe}
		}
		return false, nil
	}
}

// ends notes that a shop's run is about to be told as ended.
func (s *Syncer) ends(shop string) {
	k := s.keeperOf(shop)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running != nil {
		k.running.ends = true
	}
}

// PausedError says that a shop's calls wait.
type PausedError struct {
	Words string
	Until time.Time // zero: a person ends it
}

// Error returns the words.
func (e *PausedError) Error() string { return e.Words }

// Cancel ends the shop's run, or drops the one that waits. It reports whether
// there was one.
func (s *Syncer) Cancel(shop string) bool {
	k := s.keeperOf(shop)
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.asked != nil
	k.asked = nil
	if k.cancel != nil {
		k.cancel(errCancelled)
		was = true
	}
	return was
}
