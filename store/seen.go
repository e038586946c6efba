package store

import (
	"context"
	"fmt"
	"math"
	"time"
)

// counted is how a run's counters count a product: one of ignored, unchanged,
// changed, added and removed, or 0 for one whose difference is still open.
// sync_seen keeps it, so that a product which is stored again in the same run,
// because a commit's answer was lost or a download began again, is counted once.
type counted int64

const (
	countedIgnored counted = iota + 1
	countedUnchanged
	countedChanged
	countedAdded
	countedRemoved

	// countedDoubtful is added for a product that is to be fetched as well.
	countedDoubtful counted = 16
)

func countedAs(r Result) counted {
	switch {
	case !r.Refused.IsZero():
		return 0 // it is not equal, and nothing was done yet
	case r.Drift == DriftMissing:
		return countedAdded
	case r.Drift == DriftExtra:
		return countedRemoved
	case r.Outcome == Applied:
		return countedChanged
	case r.Outcome == Ignored:
		return countedIgnored
	}
	return countedUnchanged
}

// tally is by how much a transaction raises a run's counters.
type tally struct {
	byKind   [countedRemoved + 1]int64
	doubtful int64
}

// add counts a product, or with -1 takes it back.
func (s *tally) add(how counted, n int64) {
	if how >= countedDoubtful {
		s.doubtful += n
		how -= countedDoubtful
	}
	if int(how) < len(s.byKind) {
		s.byKind[how] += n
	}
}

// seen is one product that a run has stored.
type seen struct {
	id  int64
	how counted
}

// countIn counts products in the run's counters; run 0 is none.
func (t *tx) countIn(run int64, list []seen) error {
	if run == 0 {
		return nil
	}
	var sum tally
	if err := t.mark(run, list, &sum); err != nil {
		return err
	}
	return t.raise(run, sum)
}

// mark notes products as stored by the run and adds to the tally what is to be
// counted of them.
func (t *tx) mark(run int64, list []seen, sum *tally) error {
	if t.rows != nil {
		if done, err := t.markNew(run, list, sum); done || err != nil {
			return err
		}
	}
	for _, p := range list {
		res, err := t.exec(insertSeen+`(?, ?, ?) ON CONFLICT DO NOTHING`, run, p.id, int64(p.how))
		if err != nil {
			return fmt.Errorf("note product as seen: %w", err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n == 1 {
			sum.add(p.how, 1)
			continue
		}
		was, err := t.count(`SELECT counted FROM sync_seen WHERE run = ? AND external_id = ?`, run, p.id)
		if err != nil {
			return fmt.Errorf("read how a product was counted: %w", err)
		}
		before := counted(was)
		now := before.and(p.how)
		if now == before {
			continue
		}
		err = t.do("note product as seen", `
			UPDATE sync_seen SET counted = ? WHERE run = ? AND external_id = ?`, int64(now), run, p.id)
		if err != nil {
			return err
		}
		sum.add(now, 1)
		sum.add(before, -1)
	}
	return nil
}

// markNew does so at once when the run has seen none of them before. A product
// that is listed twice makes it fail, and then each is stored alone.
func (t *tx) markNew(run int64, list []seen, sum *tally) (done bool, err error) {
	args := make([]any, 0, len(list)*seenArgs)
	from, to := int64(math.MaxInt64), int64(0)
	for _, p := range list {
		from, to = min(from, p.id), max(to, p.id)
		args = append(args, run, p.id, int64(p.how))
	}
	some, err := t.exists("look for seen products", `
		SELECT 1 FROM sync_seen WHERE run = ? AND external_id BETWEEN ? AND ?`, run, from, to)
	if err != nil || some {
		return false, err
	}
	if err := t.insertMany(insertSeen, seenArgs, args); err != nil {
		return false, fmt.Errorf("note products as seen: %w", err)
	}
	for _, p := range list {
		sum.add(p.how, 1)
	}
	return true, nil
}

const insertSeen = `INSERT INTO sync_seen (run, external_id, counted) VALUES `

// and is how a product counts that was stored before in this run and again now:
// what was done then still counts, unless more was done since.
func (c counted) and(again counted) counted {
	return max(c%countedDoubtful, again%countedDoubtful) + max(c-c%countedDoubtful, again-again%countedDoubtful)
}

// raise adds the tally to the run's counters.
func (t *tx) raise(run int64, sum tally) error {
	if sum == (tally{}) {
		return nil
	}
	return t.do("raise the run's counters", `
		UPDATE sync_runs SET added = added + ?, changed = changed + ?, unchanged = unchanged + ?, ignored = ignored + ?,
		       removed = removed + ?, doubtful = doubtful + ?
		WHERE id = ?`,
		sum.byKind[countedAdded], sum.byKind[countedChanged], sum.byKind[countedUnchanged], sum.byKind[countedIgnored],
		sum.byKind[countedRemoved], sum.doubtful, run)
}

// SeenIDs returns the ids of the products that a run has stored, ascending.
func (s *Store) SeenIDs(ctx context.Context, run int64) ([]int64, error) {
	return query(ctx, s, scanOne[int64], `SELECT external_id FROM sync_seen WHERE run = ? ORDER BY external_id`, run)
}

// Unseen returns up to limit ids after the given one, ascending, of the shop's
// rows that a run has not seen and that were last written before the given
// instant. Nothing that was written since is ever among them.
func (s *Store) Unseen(ctx context.Context, shop string, run int64, writtenBefore time.Time, after int64, limit int) ([]int64, error) {
	return query(ctx, s, scanOne[int64], `
		SELECT external_id FROM products p
		WHERE shop = ?1 AND external_id > ?2 AND synced_at < ?3
		  AND NOT EXISTS (SELECT 1 FROM sync_seen s WHERE s.run = ?4 AND s.external_id = p.external_id)
		ORDER BY external_id LIMIT ?5`, shop, after, writtenBefore.UnixMilli(), run, limit)
}

// ForgetSeen drops what a run has seen, in small bites.
func (s *Store) ForgetSeen(ctx context.Context, run int64) error {
	_, err := s.prune(ctx, `
		DELETE FROM sync_seen WHERE run = ?1 AND external_id IN (
		  SELECT external_id FROM sync_seen WHERE run = ?1 ORDER BY external_id LIMIT ?2)`, run, int64(pruneBatch))
	return err
}
