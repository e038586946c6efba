package store

import (
	"context"
	"fmt"
	"time"
)

const (
	pruneEvery = time.Minute
	pruneBatch = 500 // rows in one transaction, so that deliveries do not wait
)

// housekeeping looks at the files, and drops journal and feed rows past their
// retention, in small bites on the bulk lane.
func (s *Store) housekeeping() {
	tick := time.NewTicker(s.opt.LookEvery)
	defer tick.Stop()
	pruned := time.Now()
	for {
		select {
		case <-s.life.Done():
			return
		case <-tick.C:
		}
		s.lookIdle()
		if time.Since(pruned) < pruneEvery {
			continue
		}
		pruned = time.Now()
		if _, err := s.Prune(context.Background(), time.Now()); err != nil {
			s.log.Warn("old journal rows stay until the next minute", "error", err.Error())
		}
	}
}

// Prune drops the rows that are past their retention at now and returns how
// many. The newest row of either table stays, so that its numbering goes on
// after a restart.
func (s *Store) Prune(ctx context.Context, now time.Time) (int, error) {
	total := 0
	for _, job := range []struct {
		sql  string
		keep time.Duration
	}{
		{`DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries ORDER BY id LIMIT ?1)
		  AND coalesce(last_at, received_at) < ?2 AND id < (SELECT max(id) FROM deliveries)`, s.opt.KeepDeliveries},
		{`DELETE FROM changes WHERE seq IN (SELECT seq FROM changes ORDER BY seq LIMIT ?1)
		  AND at < ?2 AND seq < (SELECT max(seq) FROM changes)`, s.opt.KeepChanges},
		{`DELETE FROM undelivered WHERE (shop, external_id) IN (SELECT shop, external_id FROM undelivered WHERE found_at < ?2 LIMIT ?1)`, keepUndelivered},
	} {
		n, err := s.prune(ctx, job.sql, int64(pruneBatch), now.Add(-job.keep).UnixMilli())
		if total += n; err != nil {
			return total, err
		}
	}
	n, err := s.pruneRuns(ctx, now)
	return total + n, err
}

// prune runs a deletion of some rows on the bulk lane until none is left, and
// returns how many went.
func (s *Store) prune(ctx context.Context, sql string, args ...any) (total int, err error) {
	for n := int64(1); n > 0 && err == nil; total += int(n) {
		err = s.write(ctx, s.bulk, pruneBatch, func(t *tx) error {
			res, err := t.exec(sql, args...)
			if err != nil {
				return fmt.Errorf("prune: %w", err)
			}
			n, err = res.RowsAffected()
			return err
		})
	}
	return total, err
}

const runsKept = 50 // newest runs of each shop that stay whatever their age

// pruneRuns drops ended runs past their retention with their reports. The
// newest runs of a shop stay, and so does the newest proof of each kind, which
// is what the shop's staleness counts from. Those that brought changes are as many
// as deliveries in pull mode, and are kept as long as these.
func (s *Store) pruneRuns(ctx context.Context, now time.Time) (int, error) {
	const old = `SELECT id FROM sync_runs r WHERE state <> 'running' AND started_at < iif(kind = 'incremental', ?4, ?2)
		AND id NOT IN (SELECT id FROM sync_runs n WHERE n.shop = r.shop ORDER BY id DESC LIMIT ?3)
		AND NOT (proven_at > 0 AND id = (SELECT max(id) FROM sync_runs p WHERE p.shop = r.shop AND p.kind = r.kind AND p.proven_at > 0))`
	total := 0
	for _, sql := range []string{
		// What an ended run has seen is of no more use.
		`DELETE FROM sync_seen WHERE (run, external_id) IN (
		   SELECT s.run, s.external_id FROM sync_runs r CROSS JOIN sync_seen s ON s.run = r.id WHERE r.state <> 'running' LIMIT ?1)`,
		`DELETE FROM drift WHERE id IN (SELECT id FROM drift WHERE run IN (` + old + `) LIMIT ?1)`,
		`DELETE FROM sync_runs WHERE id IN (` + old + ` LIMIT ?1)`,
	} {
		n, err := s.prune(ctx, sql, int64(pruneBatch), now.Add(-s.opt.KeepChanges).UnixMilli(), int64(runsKept),
			now.Add(-s.opt.KeepDeliveries).UnixMilli())
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}
