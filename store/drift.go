package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"stockroom/catalog"
)

const (
	driftRows   = 1000 // rows of one run's report
	driftFields = 100  // fields of one row
)

// AddDrift adds rows to a run's report, which holds at most 1,000; the rest is
// only counted. In a dry run they raise the run's counters, because nothing is
// written that could.
func (s *Store) AddDrift(ctx context.Context, run int64, list ...Drift) error {
	return s.write(ctx, s.urgent, len(list), func(t *tx) error {
		shop, dry, err := t.runOf(run)
		if err != nil {
			return err
		}
		var marks []seen
		for _, d := range list {
			if d.Shop == "" {
				d.Shop = shop
			}
			if err := t.report(run, d); err != nil {
				return err
			}
			how := countedChanged
			switch d.Kind {
			case DriftMissing:
				how = countedAdded
			case DriftExtra:
				how = countedRemoved
			}
			marks = append(marks, seen{d.ExternalID, how})
		}
		if !dry {
			return nil
		}
		return t.countIn(run, marks)
	})
}

// report writes one row of a run's report unless it is full.
func (t *tx) report(run int64, d Drift) error {
	if len(d.Fields) > driftFields {
		d.Fields = d.Fields[:driftFields]
	}
	if d.Fields == nil {
		d.Fields = []catalog.FieldDiff{}
	}
	fields, err := json.Marshal(d.Fields)
	if err != nil {
		return fmt.Errorf("encode differences: %w", err)
	}
	_, err = t.exec(`
		INSERT INTO drift (run, shop, external_id, kind, at, title, fields)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE (SELECT count(*) FROM drift WHERE run = ?1) < ?8`,
		run, d.Shop, d.ExternalID, string(d.Kind), t.now, d.Title, string(fields), int64(driftRows))
	if err != nil {
		return fmt.Errorf("write drift report: %w", err)
	}
	return nil
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

// Compare tells in what a product that a read of the shop showed differs from
// what is stored. found is false for nothing: it is the same, it is not selected,
// or a newer version was stored since the read began.
func (s *Store) Compare(ctx context.Context, r Read, p *catalog.Product) (d Drift, found bool, err error) {
	shop := r.Shop
	d = Drift{Shop: shop, ExternalID: p.ID, Title: p.Title.Value(), Kind: DriftMissing}
	sel, err := s.Selection(ctx, shop)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return d, false, err
	}
	row, err := s.Product(ctx, shop, p.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		selected, known := sel.Judge(p)
		return d, selected && known, nil
	case err != nil:
		return d, false, err
	}
	old, err := row.content()
	if err != nil {
		return d, false, fmt.Errorf("product %d: %w", p.ID, err)
	}
	full := whole(old, p)
	selected, known := sel.Judge(full)
	if !known {
		selected = row.Selected
	}
	if !selected && !row.Selected {
		return d, false, nil
	}
	newer := old.UpdatedAt.Value()/1000 > full.UpdatedAt.Value()/1000 && full.UpdatedAt.Present()
	if h := (head{id: row.ID, syncedAt: int64(row.SyncedAt)}); newer && h.writtenSince(r.origin(), time.Now().UnixMilli()) {
		return d, false, nil
	}
	d.Kind, d.Fields = DriftDifferent, differences(old, full)
	if d.Title == "" {
		d.Title = old.Title.Value()
	}
	return d, len(d.Fields) > 0 || selected != row.Selected, nil
}

// differences are those of the content, or of the version's time alone when the
// content is the same.
func differences(old, full *catalog.Product) []catalog.FieldDiff {
	wrong, _ := unhashed(old, full)
	list := append(old.Diff(full), wrong...)
	if len(list) > driftFields {
		return list[:driftFields]
	}
	if len(list) == 0 && full.UpdatedAt.Present() && old.UpdatedAt.Value()/1000 != full.UpdatedAt.Value()/1000 {
		list = append(list, catalog.FieldDiff{Path: "updated_at", Old: instant(old.UpdatedAt), New: instant(full.UpdatedAt)})
	}
	return list
}

func instant(f catalog.Field[int64]) string {
	if ms, ok := f.Get(); ok {
		return time.UnixMilli(ms).UTC().Format(time.RFC3339)
	}
	return ""
}
