package store

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"stockroom/internal/catalog"
)

// Read says where an authoritative read of the shop comes from.
type Read struct {
	Shop    string
	Source  string    // fetch, bulk or reconcile
	Ref     string    // bulk operation or run, "" for none
	Started time.Time // when the read began; only what was stored before may be overruled

	// Run is the sync run that the read belongs to, 0 for none. The run's
	// counters are raised in the transaction that does what they count.
	Run int64
	// Report asks for what changes: Result.Diff, and rows in the run's report.
	Report bool
	// DryRun of a fetch: all is done and taken back, so that only the run's counters
	// and report tell of it.
	DryRun bool
	// Expected reports whether a delivery of a topic should have come for a change made
	// at an instant; nil: none. What a run stores of such changes before one did is
	// undelivered.
	Expected func(topic catalog.Topic, change time.Time) bool
	// Doubtful counts what PutBulk stores as doubtful: a bulk result did not show
	// it whole.
	Doubtful bool
	// Progress, when set, says how far the run is once the first n products of a
	// PutBulk are stored: its Offset, Mark, Read, Objects and Bytes. Then
	// each transaction of a long call saves how far it came, so that what a run
	// has seen and its mark always agree. Nil: the last one alone saves the run's.
	Progress func(n int) (SyncRun, error)
}

func (r Read) origin() origin {
	cause := r.Source
	if r.Ref != "" {
		cause += ":" + r.Ref
	}
	return origin{
		source: r.Source, ref: r.Ref, cause: cause, authoritative: true, started: r.Started.UnixMilli(),
		run: r.Run, report: r.Report, awaited: r.Expected != nil,
	}
}

// PutFetched stores products as the shop itself shows them, in one transaction.
// A newer version that a webhook brought meanwhile wins, and so does another one
// of the same second that was written after the read began, until the fetch that
// is then wanted (Result.Wanted) decides; a tombstone gives way only to a read
// that started after it was written. A newer version from before the read began
// is an open difference (Result.Refused). The outcome of each is applied, stale
// or ignored.
func (s *Store) PutFetched(ctx context.Context, r Read, products ...*catalog.Product) ([]Result, error) {
	lane, rows := s.urgent, 0
	ids := make([]int64, len(products))
	for i, p := range products {
		rows += 1 + len(p.Variants.Value())
		ids[i] = p.ID
	}
	if len(products) > 1 {
		lane = s.bulk
	}
	return s.put(ctx, r, lane, rows, ids, products)
}

// PutGone stores that the shop itself showed no product under this id, which
// is a delete. A row that was written after the read began stays, and a fetch is
// wanted that decides.
func (s *Store) PutGone(ctx context.Context, r Read, id int64) (Result, error) {
	list, err := s.put(ctx, r, s.urgent, 1, []int64{id}, []*catalog.Product{nil})
	if err != nil {
		return Result{}, err
	}
	return list[0], nil
}

// put stores what a read showed, nil for no product, counts it in the run and
// reports it there. A dry run does the same and takes it back before it counts.
func (s *Store) put(
	ctx context.Context, r Read, lane chan *request, rows int, ids []int64, products []*catalog.Product,
) ([]Result, error) {
	results := make([]Result, len(ids))
	err := s.write(ctx, lane, rows, func(t *tx) error {
		store := func() (err error) {
			for i := range ids {
				if results[i], err = t.putShown(r, ids[i], products[i]); err != nil {
					return err
				}
			}
			return nil
		}
		var err, broken error
		if r.DryRun {
			err, broken = t.try(false, store)
		} else {
			err = store()
		}
		if err = cmp.Or(broken, err); err != nil {
			return err
		}
		var list []seen
		for i, res := range results {
			if err := t.report(r, ids[i], res); err != nil {
				return err
			}
			if products[i] != nil || res.Drift != "" {
				list = append(list, seen{ids[i], countedAs(res)})
			}
		}
		return t.countIn(r.Run, list)
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// putShown stores one product as the shop itself shows it, nil for none.
func (t *tx) putShown(r Read, id int64, p *catalog.Product) (Result, error) {
	m := matter{shop: r.Shop, id: id, p: p, o: r.origin()}
	if !t.rows.isNew(id) {
		err := t.written(id)
		if err == nil {
			m.h, err = t.head(r.Shop, id, nil)
		}
		if err != nil {
			return Result{}, err
		}
	}
	title, err := t.titleOf(&m)
	if err != nil {
		return Result{}, err
	}
	v, err := t.decide(&m)
	if err != nil {
		return Result{}, err
	}
	if err := t.undelivered(r, &m, v); err != nil {
		return Result{}, err
	}
	if v.want != nil {
		if err := t.want(*v.want); err != nil {
			return Result{}, err
		}
	}
	res := Result{Outcome: v.outcome, Reason: v.reason, Wanted: v.want, Drift: v.drift, Diff: v.diff, title: title}
	if v.refused != (difference{}) {
		res.Refused = time.UnixMilli(v.refused.settles())
	}
	return res, nil
}

// titleOf returns the title for a report: the shop's, or of a product that is gone
// the stored one.
func (t *tx) titleOf(m *matter) (string, error) {
	if m.p != nil {
		return m.p.Title.Value(), nil
	}
	var row [1]driver.Value
	if _, err := t.one(`SELECT title FROM products WHERE id = ?`, row[:], m.h.id); err != nil {
		return "", fmt.Errorf("read title: %w", err)
	}
	return asText(row[0]), nil
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
	return query(ctx, s, scanWanted, wantedRows+` ORDER BY wanted_at`)
}

const wantedRows = `SELECT shop, kind, external_id, reason, wanted_at FROM wanted`

func scanWanted(scan func(...any) error) (w Wanted, err error) {
	err = scan(&w.Shop, &w.Kind, &w.ID, &w.Reason, &w.At)
	return w, err
}

// WantsProducts reports whether products of a shop are to be fetched.
func (s *Store) WantsProducts(ctx context.Context, shop string) (bool, error) {
	return queryOne(ctx, s, scanOne[bool], `SELECT EXISTS (SELECT 1 FROM wanted WHERE shop = ? AND kind = 'fetch_product')`, shop)
}

// WantsProduct reports whether one product of a shop is to be fetched.
func (s *Store) WantsProduct(ctx context.Context, shop string, id int64) (bool, error) {
	return queryOne(ctx, s, scanOne[bool],
		`SELECT EXISTS (SELECT 1 FROM wanted WHERE shop = ? AND kind = 'fetch_product' AND external_id = ?)`, shop, id)
}

// WantedCount is how many products of a shop are to be fetched, and since when
// the oldest wish for one was told last, Unix milliseconds.
type WantedCount struct {
	Shop   string
	Count  int
	Oldest int64
}

// WantedProducts counts the products that are to be fetched, by shop.
func (s *Store) WantedProducts(ctx context.Context) ([]WantedCount, error) {
	return query(ctx, s, func(scan func(...any) error) (w WantedCount, err error) {
		err = scan(&w.Shop, &w.Count, &w.Oldest)
		return w, err
	}, `SELECT shop, count(*), min(wanted_at) FROM wanted WHERE kind = 'fetch_product' GROUP BY shop`)
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
