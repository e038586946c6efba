package store

import (
	"context"
	"time"

	"stockroom/catalog"
)

// Read says where an authoritative read of the shop comes from.
type Read struct {
	Shop    string
	Source  string    // fetch, bulk or reconcile
	Ref     string    // bulk operation or run, "" for none
	Started time.Time // when the read began; only what was stored before may be overruled
}

func (r Read) origin() origin {
	cause := r.Source
	if r.Ref != "" {
		cause += ":" + r.Ref
	}
	return origin{source: r.Source, ref: r.Ref, cause: cause, authoritative: true, started: r.Started.UnixMilli()}
}

// PutFetched stores products as the shop itself shows them, each in a savepoint
// of the same transaction. A newer version that a webhook brought meanwhile
// wins; a tombstone gives way only to a read that started after it was written.
// The outcome of each is applied, stale or ignored.
func (s *Store) PutFetched(ctx context.Context, r Read, products ...*catalog.Product) ([]Result, error) {
	lane, rows := s.urgent, 0
	for _, p := range products {
		rows += 1 + len(p.Variants.Value())
	}
	if len(products) > 1 {
		lane = s.bulk
	}
	results := make([]Result, len(products))
	err := s.write(ctx, lane, rows, func(t *tx) error {
		for i, p := range products {
			h, err := t.head(r.Shop, p.ID, nil)
			if err != nil {
				return err
			}
			v, err := t.upsert(r.Shop, p, h, r.origin())
			if err != nil {
				return err
			}
			if v.outcome != Applied {
				if err := t.confirmed(r.Shop, p.ID, r.origin()); err != nil {
					return err
				}
			}
			if v.want != nil {
				if err := t.want(*v.want); err != nil {
					return err
				}
			}
			results[i] = Result{Outcome: v.outcome, Reason: v.reason, Wanted: v.want}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// PutGone stores that the shop itself showed no product under this id, which
// is a delete.
func (s *Store) PutGone(ctx context.Context, r Read, id int64) (Result, error) {
	var res Result
	err := s.write(ctx, s.urgent, 1, func(t *tx) error {
		h, err := t.head(r.Shop, id, nil)
		if err != nil {
			return err
		}
		v, err := t.remove(r.Shop, id, h, r.origin())
		res = Result{Outcome: v.outcome, Reason: v.reason}
		return err
	})
	if err != nil {
		return Result{}, err
	}
	return res, nil
}

// Want notes work that is not asked for by a change, for example a full sync
// after a loss.
func (s *Store) Want(ctx context.Context, list ...Wanted) error {
	return s.write(ctx, s.urgent, len(list), func(t *tx) error {
		for _, w := range list {
			if err := t.want(w); err != nil {
				return err
			}
		}
		return nil
	})
}

// WantedList returns the work that commits asked for and that is not done, the
// oldest first.
func (s *Store) WantedList(ctx context.Context) ([]Wanted, error) {
	return query(ctx, s, func(scan func(...any) error) (Wanted, error) {
		var w Wanted
		err := scan(&w.Shop, &w.Kind, &w.ID, &w.Reason, &w.At)
		return w, err
	}, `SELECT shop, kind, external_id, reason, wanted_at FROM wanted ORDER BY wanted_at`)
}

// WantedDone drops wanted work that was done by something started at started;
// what was wanted since stays.
func (s *Store) WantedDone(ctx context.Context, w Wanted, started time.Time) error {
	return s.write(ctx, s.urgent, 1, func(t *tx) error {
		_, err := t.exec(`DELETE FROM wanted WHERE shop = ? AND kind = ? AND external_id = ? AND wanted_at < ?`,
			w.Shop, string(w.Kind), w.ID, started.UnixMilli())
		return err
	})
}
