package syncer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stockroom/store"
)

// runs makes the runs of a syncer.
type runs struct{ s *Syncer }

func (r runs) full(ctx context.Context, shop, trigger string, resume *store.SyncRun) (store.SyncRun, error) {
	r.s.mu.Lock()
	delete(r.s.unfinished, shop)
	r.s.mu.Unlock()
	return r.s.runFull(ctx, shop, trigger, resume)
}

func (r runs) incremental(ctx context.Context, shop, trigger string) (store.SyncRun, error) {
	return r.s.runIncremental(ctx, shop, trigger)
}

func (r runs) reconcile(ctx context.Context, shop, trigger string, dryRun bool) (store.SyncRun, error) {
	return r.s.runReconcile(ctx, shop, trigger, dryRun)
}

// Load reads what is stored about syncs, before anybody can ask how a copy
// stands: wanted full syncs, proofs, and runs that the last process left. Those
// of full syncs are taken up; the others begin anew.
func (s *Syncer) Load(ctx context.Context) error {
	left, err := s.o.Store.RunningRuns(ctx)
	if err != nil {
		return fmt.Errorf("read the runs that were left: %w", err)
	}
	for _, run := range left {
		s.mu.Lock()
		_, another := s.unfinished[run.Shop]
		if run.Kind == store.RunFull && !run.DryRun && !another {
			s.unfinished[run.Shop] = run
			s.mu.Unlock()
			continue
		}
		s.mu.Unlock()
		if run.Kind != store.RunFull && !run.DryRun && (run.Phase == phaseRepairing || run.Phase == phaseRemoving) {
			if err := s.owe(run.Shop, brokenOff(0), time.Now()); err != nil {
				return err
			}
		}
		run.State, run.Phase, run.FinishedAt, run.Error = store.RunFailed, "", store.MillisOf(time.Now()), "Stockroom was stopped during it"
		if err := s.o.Store.SaveRun(ctx, run); err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("end the runs that were left: %w", err)
		}
	}
	var kept []store.SyncRun
	s.mu.Lock()
	for _, run := range s.unfinished {
		kept = append(kept, run)
	}
	s.mu.Unlock()
	s.dropSpills(kept)
	for _, shop := range s.o.State.Shops() {
		s.refreshProof(ctx, shop.Domain)
	}
	return s.loadWanted(ctx)
}

// unfinishedOf is the full sync that the last process left.
func (s *Syncer) unfinishedOf(shop string) (store.SyncRun, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	run, ok := s.unfinished[shop]
	return run, ok
}

// ShopsChanged looks at once which shops are connected.
func (s *Syncer) ShopsChanged() {
	select {
	case s.shopsChanged <- struct{}{}:
	default:
	}
}
