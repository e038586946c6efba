package store

import (
	"context"
	"encoding/json"
	"fmt"

	"stockroom/internal/catalog"
)

const (
	driftRows   = 1000 // rows of one run's report
	driftFields = 100  // fields of one row
)

// report writes what a run found to differ in its report, which holds at most
// 1,000 products; the rest is only counted.
func (t *tx) report(r Read, id int64, res Result) error {
	if !r.Report || r.Run == 0 || res.Drift == "" {
		return nil
	}
	if res.Diff == nil {
		res.Diff = []catalog.FieldDiff{}
	}
	fields, err := json.Marshal(res.Diff)
	if err != nil {
		return fmt.Errorf("encode differences: %w", err)
	}
	return t.do("write drift report", `
		INSERT INTO drift (run, shop, external_id, kind, at, title, fields)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE (SELECT count(*) FROM drift WHERE run = ?1) < ?8`,
		r.Run, r.Shop, id, string(res.Drift), t.now, res.title, string(fields), int64(driftRows))
}

// Drift returns up to limit rows of a run's report after the given row, in the
// order they were found. limit 0 means 100.
func (s *Store) Drift(ctx context.Context, run, after int64, limit int) ([]Drift, error) {
	if limit <= 0 {
		limit = 100
	}
	return query(ctx, s, func(scan func(...any) error) (Drift, error) {
		var d Drift
		var fields string
		if err := scan(&d.ID, &d.Run, &d.Shop, &d.ExternalID, &d.Title, &d.Kind, &fields, &d.At); err != nil {
			return d, err
		}
		d.GID = catalog.GID("Product", d.ExternalID)
		if err := json.Unmarshal([]byte(fields), &d.Fields); err != nil {
			return d, fmt.Errorf("column fields: %w", err)
		}
		return d, nil
	}, `SELECT id, run, shop, external_id, title, kind, fields, at FROM drift WHERE run = ? AND id > ? ORDER BY id LIMIT ?`, run, after, limit)
}
