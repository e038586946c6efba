package syncer

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"stockroom/store"
)

// What is owed to a shop is kept in state.db: a gap in the deliveries that has
// to be filled is not forgotten when the process ends before it is.
const marks = "sync"

// retriesEnd is for how long Shopify repeats a delivery that fails (8 times over
// 4 hours, shopify.dev/docs/apps/build/webhooks/verify-deliveries). What was
// triggered before a longer absence is lost.
const retriesEnd = 4 * time.Hour

type owedMark struct {
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

// owe notes that deliveries may be missing, so that the copy is compared as soon
// as can be.
func (s *Syncer) owe(shop, why string, at time.Time) error {
	text, err := json.Marshal(owedMark{why, at})
	if err != nil {
		return err
	}
	if err := s.o.State.Put(marks, shop+"/owed", text); err != nil {
		return fmt.Errorf("note that a comparison is owed: %w", err)
	}
	s.keeperOf(shop).poke()
	return nil
}

func (s *Syncer) owedMark(shop string) (owedMark, bool) {
	text, ok := s.o.State.Get(marks, shop+"/owed")
	if !ok {
		return owedMark{}, false
	}
	var m owedMark
	if err := json.Unmarshal(text, &m); err != nil {
		return owedMark{Why: "deliveries may be missing"}, true
	}
	return m, true
}

// owed returns why a comparison is owed.
func (s *Syncer) owed(shop string) (why string, ok bool) {
	m, ok := s.owedMark(shop)
	return m.Why, ok
}

// settle forgets what a run that went well has paid.
func (s *Syncer) settle(ctx context.Context, shop, name string, run store.SyncRun) {
	if name == scheduleIncremental || !run.Proven {
		return
	}
	started, now := run.StartedAt.Time(), time.Now()
	switch m, ok := s.owedMark(shop); {
	case !ok:
	case m.At.After(now): // the clock was put back since; the next run pays
		if err := s.owe(shop, m.Why, now); err != nil {
			s.log.Warn("when a comparison was owed can't be corrected", "shop", shop, "error", err.Error())
		}
	case m.At.Before(started):
		if err := s.o.State.Delete(marks, shop+"/owed"); err != nil {
			s.log.Warn("that a comparison was made can't be noted; it is made again", "shop", shop, "error", err.Error())
		}
	}
	if name != scheduleFull {
		return
	}
	s.mu.Lock()
	w, lost := s.losses[shop]
	s.mu.Unlock()
	if !lost {
		return
	}
	if w.At > store.MillisOf(now) {
		s.ownLoss(ctx, w, now)
		return
	}
	if w.At >= run.StartedAt {
		return
	}
	if err := s.o.Store.WantedDone(ctx, store.Wanted{Shop: shop, Kind: store.WantSync}, started); err != nil {
		s.log.Warn("that the full sync was made can't be stored; it is made again", "shop", shop, "error", err.Error())
		return
	}
	s.mu.Lock()
	if s.losses[shop].At == w.At {
		delete(s.losses, shop)
	}
	s.mu.Unlock()
}

// ownLoss corrects the time of a wish that was noted under a clock that has been
// put back since. The next full sync answers it.
func (s *Syncer) ownLoss(ctx context.Context, w store.Wanted, now time.Time) {
	if err := s.o.Store.Want(ctx, w); err != nil { // which notes its own time
		s.log.Warn("when a full sync was wanted can't be corrected", "shop", w.Shop, "error", err.Error())
		return
	}
	w.At = store.MillisOf(now)
	s.mu.Lock()
	s.losses[w.Shop] = w
	s.mu.Unlock()
}

// lossOf returns the wish for a full sync.
func (s *Syncer) lossOf(shop string) (store.Wanted, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok := s.losses[shop]
	return w, ok
}

// wantFull has the shop's keeper make a full sync because a loss or a selection
// asks for it. Its row in the catalogue stays until one was made.
func (s *Syncer) wantFull(w store.Wanted) {
	s.mu.Lock()
	if old, ok := s.losses[w.Shop]; !ok || w.At > old.At {
		s.losses[w.Shop] = w
	}
	s.mu.Unlock()
	s.keeperOf(w.Shop).poke()
}

// loadWanted reads which full syncs are wanted, before anybody can ask how the
// copy stands.
func (s *Syncer) loadWanted(ctx context.Context) error {
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

// lookForGap compares the last sign of life with now: after an absence longer
// than Shopify repeats deliveries, each shop is owed a comparison.
func (s *Syncer) lookForGap(now time.Time) {
	text, ok := s.o.State.Get(marks, "alive")
	var was time.Time
	if !ok || was.UnmarshalText(text) != nil {
		s.noteAlive(now)
		return
	}
	s.absent(was, now)
	gap := now.Sub(was)
	if gap < 0 {
		gap = -gap // the clock was put back: how long it was is not known
	}
	if gap > retriesEnd {
		for _, shop := range s.o.State.Shops() {
			why := fmt.Sprintf("Stockroom was off for %s, longer than Shopify repeats deliveries", hours(gap))
			if err := s.owe(shop.Domain, why, now); err != nil {
				s.log.Warn("a gap can't be noted", "shop", shop.Domain, "error", err.Error())
				return // and alive stays as it is, so that the next start finds it
			}
		}
	}
	s.noteAlive(now)
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
