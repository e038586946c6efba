package store

import (
	"context"
	"time"
)

const runsKept = 50 // newest runs of each shop that stay whatever their age

// pruneRuns drops ended runs past their retention with their reports. The
// newest runs of a shop stay, and so does the newest proof of each kind, which
// is what the shop's staleness counts from.
func (s *Store) pruneRuns(ctx context.Context, now time.Time) (int, error) {
	const old = `SELECT id FROM sync_runs r WHERE state <> 'running' AND started_at < ?2
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
		n, err := s.prune(ctx, sql, int64(pruneBatch), now.Add(-s.opt.KeepChanges).UnixMilli(), int64(runsKept))
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}
