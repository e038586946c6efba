package store

import (
	"context"
	"fmt"
	"time"
)

const (
	lookEvery  = time.Second // at the files
	pruneEvery = time.Minute
	pruneBatch = 500 // rows in one transaction, so that deliveries do not wait
)

// housekeeping looks at the files, and drops journal and feed rows past their
// retention, in small bites on the bulk lane.
func (s *Store) housekeeping() {
	tick := time.NewTicker(lookEvery)
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
