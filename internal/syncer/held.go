package syncer

import (
	"context"
	"time"

	"stockroom/internal/state"
	"stockroom/store"
)

// Held says why nothing is read from a shop now and until when; a zero instant:
// until a person says so. It asks nobody.
func (s *Syncer) Held(shop string, now time.Time) (why string, until time.Time, held bool) {
	have, ok := s.o.State.Shop(shop)
	if !ok {
		return "", time.Time{}, false
	}
	if p := have.Pause; p.Paused() {
		if until = p.NextProbe; !until.IsZero() && until.Before(now) {
			until = now
		}
		return pauseWords(p), until, true
	}
	if e := s.o.API.Held(shop, now); e != nil {
		return e.Words(), e.RetryAt, true
	}
	return "", time.Time{}, false
}

// NextRun is when a schedule's next run begins, as it stands now: a zero instant
// means that it waits for a person, or for the first full sync of the shop, and
// why says what it waits for. Of a shop that is held it is when the shop is asked
// again.
func (s *Syncer) NextRun(shop, name string, now time.Time) (at time.Time, why string) {
	k := s.keeperOf(shop)
	at = now
	for _, sc := range append(s.schedules(shop), schedule{name: scheduleSubscriptions, every: s.subscriptionsEvery()}) {
		if sc.name != name {
			continue
		}
		if sc.every <= 0 {
			return time.Time{}, "it is not made by itself"
		}
		at = k.dueAt(sc, now)
	}
	if why, until, held := s.Held(shop, now); held {
		if until.IsZero() {
			return until, why
		}
		return latest(at, until), why
	}
	if name == scheduleSubscriptions {
		return latest(at, now), ""
	}
	k.mu.Lock()
	until := k.held
	k.mu.Unlock()
	if until.After(now) {
		at, why = latest(at, until), "a sync was cancelled by hand, so none begins by itself for a while"
	}
	if name != scheduleFull && s.firstIsDue(shop) {
		return time.Time{}, "the first full sync of the shop comes before it"
	}
	return latest(at, now), why
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// firstIsDue reports whether a shop still waits for its first full sync.
func (s *Syncer) firstIsDue(shop string) bool {
	return s.o.FullSyncEvery > 0 && s.lastOf(shop, scheduleFull, 0).started.IsZero() && !s.proofOf(shop).read
}

// FirstRead is how the first full sync of a shop stands.
type FirstRead struct {
	Done bool // every product was read once, proven or not
	// Failed is when the last try ended that failed, zero for none; Words and
	// Cause say why, as the run's row does. Fails is how many did in a row since
	// the process started.
	Failed       time.Time
	Words, Cause string
	Fails        int
	Next         time.Time // of the next try, zero when it waits for a person
	Held         string    // why it has to wait for longer than after a failure, "" for nothing
	Expected     int64     // products that the shop counted, -1 when not known
}

// FirstRead tells how the first full sync of a shop stands. It asks nobody.
func (s *Syncer) FirstRead(shop string, now time.Time) FirstRead {
	p := s.proofOf(shop)
	f := FirstRead{Done: p.read || !s.lastOf(shop, scheduleFull, 0).started.IsZero(), Expected: p.remote}
	if r, ok := s.o.State.Run(shop, scheduleFull); ok && !f.Done && !r.OK && !r.Finished.IsZero() {
		f.Failed, f.Words = r.Finished, r.Error
	}
	if run := p.full; run != nil && !f.Failed.IsZero() && run.State == store.RunFailed {
		f.Words, f.Cause = run.Error, run.Cause
	}
	k := s.keeperOf(shop)
	k.mu.Lock()
	f.Fails = k.fails[scheduleFull]
	k.mu.Unlock()
	if !f.Done {
		f.Next, f.Held = s.NextRun(shop, scheduleFull, now)
	}
	return f
}

// TryNow asks a shop that is held at once, whatever the instant that it waits
// for. Its error says why the shop still can't go on: a *PausedError, or what the
// question ran into. A pause by hand, and calls held back by hand, stay.
func (s *Syncer) TryNow(ctx context.Context, shop string) error {
	have, ok := s.o.State.Shop(shop)
	if !ok {
		return state.ErrUnknownShop
	}
	k := s.keeperOf(shop)
	k.mu.Lock()
	k.held = time.Time{}
	k.mu.Unlock()
	s.o.API.TryNow(shop)
	if p := have.Pause; p.Reason == state.PauseOperator {
		return &PausedError{Words: pauseWords(p)}
	} else if p.Paused() {
		if err := s.ask(ctx, have); err != nil {
			return err
		}
	}
	if have, _ = s.o.State.Shop(shop); have.Pause.Paused() {
		return &PausedError{Words: pauseWords(have.Pause), Until: have.Pause.NextProbe}
	}
	s.progress.lookAgain(shop)
	s.wakeJobs(ctx, shop)
	k.poke()
	return nil
}

// wakeJobs has the jobs look again that were put off.
func (s *Syncer) wakeJobs(ctx context.Context, shop string) {
	for _, kind := range s.kinds() {
		if _, err := s.o.Queue.Wake(ctx, kind); err != nil && ctx.Err() == nil {
			s.log.Warn("jobs of a shop that goes on can't be woken; they come by themselves",
				"shop", shop, "kind", kind, "error", err.Error())
		}
	}
}
