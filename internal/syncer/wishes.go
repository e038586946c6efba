package syncer

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"stockroom/store"
)

// What has to be compared is kept in state.db: a gap in the deliveries that has to
// be filled is not forgotten when the process ends before it is.
const marks = "sync"

// retriesEnd is for how long Shopify repeats a delivery that fails (8 times over
// 4 hours, shopify.dev/docs/apps/build/webhooks/verify-deliveries). What was
// triggered before a longer absence is lost.
const retriesEnd = 4 * time.Hour

// wish is why a comparison is wanted, and since when.
type wish struct {
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

// wantComparison notes that deliveries may be missing, so that the copy is compared
// as soon as can be.
func (s *Syncer) wantComparison(shop, why string, at time.Time) error {
	text, err := json.Marshal(wish{why, at})
	if err != nil {
		return err
	}
	if err := s.o.State.Put(marks, shop+"/owed", text); err != nil {
		return fmt.Errorf("note that a comparison is wanted: %w", err)
	}
	s.keeperOf(shop).rouse()
	return nil
}

// comparisonWanted is the wish for a comparison; false for none.
func (s *Syncer) comparisonWanted(shop string) (w wish, ok bool) {
	text, ok := s.o.State.Get(marks, shop+"/owed")
	if ok && json.Unmarshal(text, &w) != nil {
		w.Why = "deliveries may be missing"
	}
	return w, ok
}

// wantFull has the shop's keeper make a full sync because a loss or a selection
// asks for it. Its row in the catalogue stays until one was made.
func (s *Syncer) wantFull(w store.Wanted) {
	k := s.keeperOf(w.Shop)
	k.set(func() {
		if k.fullWanted == nil || w.At > k.fullWanted.At {
			k.fullWanted = &w
		}
	})
	k.rouse()
}

// forgetAnswered forgets the wishes that a run has answered which went well.
func (k *keeper) forgetAnswered(ctx context.Context, name string, run store.SyncRun) {
	if name == scheduleIncremental || !run.Proven {
		return
	}
	s, now, started := k.s, time.Now(), run.StartedAt.Time()
	if s.o.Proved != nil {
		s.o.Proved()
	}
	switch w, ok := s.comparisonWanted(k.shop); {
	case !ok:
	case w.At.After(now): // the clock was put back since; the next run answers it
		if err := s.wantComparison(k.shop, w.Why, now); err != nil {
			s.log.Warn("when a comparison was wanted can't be corrected", "shop", k.shop, "error", err.Error())
		}
	case w.At.Before(started):
		if err := s.o.State.Delete(marks, k.shop+"/owed"); err != nil {
			s.log.Warn("that a comparison was made can't be noted; it is made again", "shop", k.shop, "error", err.Error())
		}
	}
	if full := get(k, &k.fullWanted); name == scheduleFull && full != nil {
		k.forgetFull(ctx, full, run, now)
	}
}

// forgetFull forgets the wish for a full sync, if it was there before the run. The
// time of one that was noted under a clock that has been put back since is
// corrected, so that the next full sync answers it.
func (k *keeper) forgetFull(ctx context.Context, w *store.Wanted, run store.SyncRun, now time.Time) {
	var corrected *store.Wanted
	var err error
	switch {
	case w.At > store.MillisOf(now):
		own := *w
		own.At, corrected = store.MillisOf(now), &own
		err = k.s.o.Store.Want(ctx, own) // which notes its own time
	case w.At >= run.StartedAt:
		return
	default:
		err = k.s.o.Store.WantedDone(ctx, store.Wanted{Shop: k.shop, Kind: store.WantSync}, run.StartedAt.Time())
	}
	if err != nil {
		k.s.log.Warn("that a full sync was made can't be stored; it is made again", "shop", k.shop, "error", err.Error())
		return
	}
	k.set(func() {
		if k.fullWanted == w {
			k.fullWanted = corrected
		}
	})
}

// lookForGap compares the last sign of life with now: after an absence longer
// than Shopify repeats deliveries, each shop has to be compared.
func (s *Syncer) lookForGap(now time.Time) {
	text, ok := s.o.State.Get(marks, "alive")
	var was time.Time
	if !ok || was.UnmarshalText(text) != nil {
		s.noteAlive(now)
		return
	}
	s.absent(was, now)
	gap := now.Sub(was).Abs() // where the clock was put back, how long it was is not known
	if gap > retriesEnd {
		why := fmt.Sprintf("Stockroom was off for %s, longer than Shopify repeats deliveries", hours(gap))
		if err := s.Owe(why, now); err != nil {
			s.log.Warn("a gap can't be noted", "error", err.Error())
			return // and alive stays as it is, so that the next start finds it
		}
	}
	s.noteAlive(now)
}

// Owe notes why each shop has to be compared.
func (s *Syncer) Owe(why string, now time.Time) error {
	for _, shop := range s.o.State.Shops() {
		if err := s.wantComparison(shop.Domain, why, now); err != nil {
			return err
		}
	}
	return nil
}

// Restored notes that the stores were put back to how they were at an instant, so that
// each shop has to be compared. Call it before Run.
func (s *Syncer) Restored(at, now time.Time) error {
	if err := s.Owe("Stockroom was restored from a backup of "+at.UTC().Format("2006-01-02 15:04 UTC"), now); err != nil {
		return err
	}
	s.absent(at, now)
	s.noteAlive(now) // that is no gap of its own
	return nil
}

func hours(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func (s *Syncer) noteAlive(now time.Time) {
	text, err := now.UTC().MarshalText()
	if err == nil {
		err = s.o.State.Put(marks, "alive", text)
	}
	if err != nil {
		s.log.Warn("the sign of life can't be written", "error", err.Error())
	}
}
