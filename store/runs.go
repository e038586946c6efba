package store

import (
	"context"
	"fmt"
)

// StartRun writes the row of a run that begins and returns it with its id.
// State is running unless it says otherwise; StartedAt 0 means now.
func (s *Store) StartRun(ctx context.Context, run SyncRun) (SyncRun, error) {
	err := s.write(ctx, s.urgent, 1, func(t *tx) error {
		if run.State == "" {
			run.State = RunRunning
		}
		if run.StartedAt == 0 {
			run.StartedAt = Millis(t.now)
		}
		id, err := t.insert(`
			INSERT INTO sync_runs (shop, kind, reason, dry_run, state, phase, started_at, finished_at, proven, proven_at, error,
			                       expected, read, objects, objects_total, bytes, bytes_total, points, calls,
			                       operation, byte_offset, spilled, mark, cause)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)`,
			append([]any{run.Shop, string(run.Kind), run.Trigger, bit(run.DryRun), string(run.State), run.Phase, int64(run.StartedAt)}, savedOf(run)...)...)
		if err != nil {
			return fmt.Errorf("write sync run: %w", err)
		}
		run.ID = id
		run.Added, run.Changed, run.Removed, run.Unchanged, run.Ignored, run.Doubtful = 0, 0, 0, 0, 0, 0
		return nil
	})
	if err != nil {
		return SyncRun{}, err
	}
	return run, nil
}

// SaveRun writes how a run stands: everything but its shop, kind, beginning and
// the counters Added to Doubtful, which the store raises itself. A run that has
// no row any more is ErrNotFound.
func (s *Store) SaveRun(ctx context.Context, run SyncRun) error {
	return s.write(ctx, s.urgent, 1, func(t *tx) error {
		res, err := t.exec(`
			UPDATE sync_runs SET state = ?, phase = ?, finished_at = ?, proven = ?, proven_at = ?, error = ?,
			       expected = ?, read = ?, objects = ?, objects_total = ?, bytes = ?, bytes_total = ?, points = ?, calls = ?,
			       operation = ?, byte_offset = ?, mark = ?, cause = ?
			WHERE id = ?`,
			append(append([]any{string(run.State), run.Phase}, savedOf(run)...), run.ID)...)
		if err != nil {
			return fmt.Errorf("write sync run: %w", err)
		}
		n, err := res.RowsAffected()
		if err == nil && n == 0 {
			err = fmt.Errorf("sync run %d: %w", run.ID, ErrNotFound)
		}
		return err
	})
}

// savedOf are the columns from finished_at on that StartRun and SaveRun share.
func savedOf(r SyncRun) []any {
	return []any{
		int64(r.FinishedAt), bit(r.Proven), int64(r.ProvenAt), r.Error, r.Expected, r.Read, r.Objects, r.ObjectsTotal,
		r.Bytes, r.BytesTotal, r.Points, r.Calls, r.Operation, r.Offset, r.Mark, r.Cause,
	}
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

const runColumns = `id, shop, kind, reason, dry_run, state, phase, started_at, finished_at, proven, proven_at, error,
	expected, read, objects, objects_total, bytes, bytes_total, added, changed, removed, unchanged, ignored, doubtful,
	points, calls, operation, byte_offset, mark, cause`

func scanRun(scan func(...any) error) (SyncRun, error) {
	var r SyncRun
	err := scan(&r.ID, &r.Shop, &r.Kind, &r.Trigger, &r.DryRun, &r.State, &r.Phase, &r.StartedAt, &r.FinishedAt, &r.Proven, &r.ProvenAt,
		&r.Error, &r.Expected, &r.Read, &r.Objects, &r.ObjectsTotal, &r.Bytes, &r.BytesTotal, &r.Added, &r.Changed, &r.Removed,
		&r.Unchanged, &r.Ignored, &r.Doubtful, &r.Points, &r.Calls, &r.Operation, &r.Offset, &r.Mark, &r.Cause)
	return r, err
}

// Run returns one run, or ErrNotFound.
func (s *Store) Run(ctx context.Context, id int64) (SyncRun, error) {
	return queryOne(ctx, s, scanRun, `SELECT `+runColumns+` FROM sync_runs WHERE id = ?`, id)
}

// RunFilter narrows a list of runs. Zero fields do not narrow.
type RunFilter struct {
	Shop   string
	Kind   RunKind
	Before int64 // run id to go on before
	Limit  int   // 0 means 100
}

// Runs lists runs, the newest first.
func (s *Store) Runs(ctx context.Context, f RunFilter) ([]SyncRun, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	where, args := ``, []any{f.Shop, string(f.Kind), f.Before, f.Limit}
	if f.Shop != "" {
		where = `shop = ?1 AND `
	}
	if f.Kind != "" {
		where += `kind = ?2 AND `
	}
	return query(ctx, s, scanRun, `
		SELECT `+runColumns+` FROM sync_runs
		WHERE `+where+`(?1 = '' OR shop = ?1) AND (?2 = '' OR kind = ?2) AND (?3 = 0 OR id < ?3)
		ORDER BY id DESC LIMIT ?4`, args...)
}

// RunningRuns lists the runs that have not ended, the oldest first. After a
// start they are those that the last process left.
func (s *Store) RunningRuns(ctx context.Context) ([]SyncRun, error) {
	return query(ctx, s, scanRun, `SELECT `+runColumns+` FROM sync_runs WHERE state = 'running' ORDER BY id`)
}

// LastProof returns when a shop's copy was last shown to equal the shop's. A
// full sync compares every field, and with them ids and times. Last is by the
// order of the runs: one made under a clock that was ahead must not outlive those
// after it.
func (s *Store) LastProof(ctx context.Context, shop string) (Proof, error) {
	return queryOne(ctx, s, func(scan func(...any) error) (Proof, error) {
		var p Proof
		err := scan(&p.IDs, &p.Fields, &p.Run)
		return p, err
	}, `WITH proofs AS (SELECT id, kind, proven_at FROM sync_runs WHERE shop = ?1 AND kind IN ('full', 'reconcile') AND proven_at > 0)
	    SELECT coalesce((SELECT proven_at FROM proofs ORDER BY id DESC LIMIT 1), 0),
	           coalesce((SELECT proven_at FROM proofs WHERE kind = 'full' ORDER BY id DESC LIMIT 1), 0),
	           coalesce((SELECT max(id) FROM proofs), 0)`, shop)
}
