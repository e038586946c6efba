package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"stockroom/catalog"
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
	// Expected reports whether a delivery of a change made at an instant should
	// have come; nil: none. What a run stores of such changes before one did is
	// undelivered.
	Expected func(change time.Time) bool
	// Doubtful counts what PutBulk stores as doubtful: a bulk result did not show
	// it whole.
	Doubtful bool
	// Progress, when set, says how far the run is once the first n products of a
	// PutBulk are stored: its Offset, Spilled, Mark, Read, Objects and Bytes. Then
	// each transaction of a long call saves how far it came, so that what a run
	// has seen and its mark always agree. Nil: the last one alone saves the run's.
	Progress func(n int) (SyncRun, error)
}

func (r Read) origin() origin {
	cause := r.Source
	if r.Ref != "" {
		cause += ":" + r.Ref
	}
	return origin{source: r.Source, ref: r.Ref, cause: cause, authoritative: true, started: r.Started.UnixMilli(),
		report: r.Report}
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
	for _, p := range products {
		rows += 1 + len(p.Variants.Value())
	}
	if len(products) > 1 {
		lane = s.bulk
	}
	results := make([]Result, len(products))
	err := s.write(ctx, lane, rows, func(t *tx) error {
		var list []seen
		for i, p := range products {
			var err error
			if results[i], err = t.putShown(r, r.origin(), p); err != nil {
				return err
			}
			list = append(list, seen{p.ID, countedAs(results[i])})
		}
		return t.countIn(r.Run, list)
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// putShown stores one product as the shop itself shows it.
func (t *tx) putShown(r Read, o origin, p *catalog.Product) (Result, error) {
	o.unordered = p.ImagesUnordered
	var h head
	if !t.rows.isNew(p.ID) {
		err := t.written(p.ID)
		if err == nil {
			h, err = t.shownHead(r.Shop, p.ID)
		}
		if err != nil {
			return Result{}, err
		}
	}
	v, err := t.upsert(r.Shop, p, h, o)
	if err != nil {
		return Result{}, err
	}
	if err := t.undelivered(r, p, h, v); err != nil {
		return Result{}, err
	}
	if v.outcome != Applied && v.refused == 0 {
		if err := t.confirmed(r.Shop, p.ID, o); err != nil {
			return Result{}, err
		}
	}
	if v.outcome == Ignored {
		if err := t.settled(r.Shop, p.ID); err != nil {
			return Result{}, err
		}
	}
	if v.want != nil {
		if err := t.want(*v.want); err != nil {
			return Result{}, err
		}
	}
	res := Result{Outcome: v.outcome, Reason: v.reason, Wanted: v.want, Created: v.created, Diff: v.diff}
	if v.refused != 0 {
		res.Refused = time.UnixMilli(v.refused)
	}
	if r.Report && r.Run != 0 && v.outcome == Applied && (v.created || len(v.diff) > 0) {
		d := Drift{Shop: r.Shop, ExternalID: p.ID, Title: p.Title.Value(), Kind: DriftDifferent, Fields: v.diff}
		if v.created {
			d.Kind = DriftMissing
		}
		if err := t.report(r.Run, d); err != nil {
			return Result{}, err
		}
	}
	return res, nil
}

// PutGone stores that the shop itself showed no product under this id, which
// is a delete. A row that was written after the read began stays, and a fetch is
// wanted that decides.
func (s *Store) PutGone(ctx context.Context, r Read, id int64) (Result, error) {
	var res Result
	err := s.write(ctx, s.urgent, 1, func(t *tx) error {
		h, err := t.shownHead(r.Shop, id)
		if err != nil {
			return err
		}
		if h.writtenSince(r.origin(), t.now) {
			w := Wanted{Shop: r.Shop, Kind: WantProduct, ID: id, Reason: "it was written while the shop was asked and did not show it"}
			res = Result{Outcome: Stale, Reason: "the product was written after the read began; it is fetched to decide", Wanted: &w}
			return t.want(w)
		}
		if r.Report && r.Run != 0 && h.id != 0 {
			if err := t.reportExtra(r, id, h); err != nil {
				return err
			}
		}
		if t.s.opt.Break == BreakSweep && r.Run != 0 {
			return nil
		}
		v, err := t.remove(r.Shop, id, h, r.origin())
		res = Result{Outcome: v.outcome, Reason: v.reason}
		if err != nil || h.id == 0 {
			return err
		}
		return t.countIn(r.Run, []seen{{id, countedRemoved}})
	})
	if err != nil {
		return Result{}, err
	}
	return res, nil
}

// reportExtra writes the report's row of a product that is about to go.
func (t *tx) reportExtra(r Read, id int64, h head) error {
	var row [1]driver.Value
	if _, err := t.one(`SELECT title FROM products WHERE id = ?`, row[:], h.id); err != nil {
		return fmt.Errorf("read title: %w", err)
	}
	return t.report(r.Run, Drift{Shop: r.Shop, ExternalID: id, Title: asText(row[0]), Kind: DriftExtra})
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

// WantsProducts reports whether products of a shop are to be fetched.
func (s *Store) WantsProducts(ctx context.Context, shop string) (bool, error) {
	return queryOne(ctx, s, scanOne[bool], `SELECT EXISTS (SELECT 1 FROM wanted WHERE shop = ? AND kind = 'fetch_product')`, shop)
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
