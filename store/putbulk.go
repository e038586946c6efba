package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stockroom/catalog"
)

const (
	// A delivery that arrives during a bulk transaction waits for its end.
	bulkTime = 40 * time.Millisecond
	// With deliveries waiting, a bulk transaction gives way earlier.
	bulkGiveWay = 10 * time.Millisecond
)

// PutBulk stores products of a bulk result as PutFetched does, and notes in the
// same transaction that the run (r.Run, or run.ID) has seen them and how far it
// is: run's Offset, Spilled, Mark, Read, Objects and Bytes. A product that can't be
// applied rolls back alone, its Result has Err, and it is not seen.
//
// A call takes several transactions when one would keep deliveries waiting. The
// mark moves with the last of them, so it never runs ahead of the products; the
// products of those before stay when a later one fails, and are counted once
// when they come again.
func (s *Store) PutBulk(ctx context.Context, r Read, run SyncRun, products ...*catalog.Product) ([]Result, error) {
	if r.Run == 0 {
		r.Run = run.ID
	}
	results := make([]Result, len(products))
	for from := 0; ; {
		var next int
		err := s.write(ctx, s.bulk, groupRows, func(t *tx) error {
			var err error
			next, err = t.putBulk(r, run, products, results, from)
			return err
		})
		if err != nil {
			return nil, err
		}
		if from = next; from == len(products) {
			return results, nil
		}
	}
}

// putBulk stores products from one on until the transaction has taken long
// enough, and returns how far it came. Only the last part saves the mark.
func (t *tx) putBulk(r Read, run SyncRun, products []*catalog.Product, results []Result, from int) (int, error) {
	began := time.Now()
	o := r.origin()
	var list []seen
	var doubtful int64
	next := from
	for ; next < len(products); next++ {
		if next > from {
			if took := time.Since(began); took > bulkTime || took > bulkGiveWay && len(t.s.urgent) > 0 {
				break
			}
		}
		p := products[next]
		res, err := t.putAlone(r, o, p)
		if err != nil {
			return from, err
		}
		results[next] = res
		if res.Err != nil {
			continue
		}
		list = append(list, seen{p.ID, countedAs(res)})
		if res.Wanted != nil {
			doubtful++
		}
	}
	if err := t.countIn(r.Run, list, doubtful); err != nil {
		return from, err
	}
	if next < len(products) {
		return next, nil
	}
	if err := t.fail("before bulk mark"); err != nil {
		return from, err
	}
	_, err := t.exec(`UPDATE sync_runs SET byte_offset = ?, spilled = ?, mark = ?, read = ?, objects = ?, bytes = ? WHERE id = ?`,
		run.Offset, run.Spilled, run.Mark, run.Read, run.Objects, run.Bytes, r.Run)
	if err != nil {
		return from, fmt.Errorf("save how far the run is: %w", err)
	}
	return next, nil
}

// putAlone stores one product in a savepoint of its own.
func (t *tx) putAlone(r Read, o origin, p *catalog.Product) (res Result, err error) {
	seq := t.seq
	if _, err := t.exec(`SAVEPOINT product`); err != nil {
		return res, fmt.Errorf("savepoint: %w", err)
	}
	res, err = t.putGuarded(r, o, p)
	if err != nil {
		if err = classify(err); errors.Is(err, ErrUnavailable) {
			return res, err
		}
		t.seq = seq
		res = Result{Err: err}
		if _, err := t.exec(`ROLLBACK TO product`); err != nil {
			return res, fmt.Errorf("rollback to savepoint: %w", err)
		}
	}
	if _, err := t.exec(`RELEASE product`); err != nil {
		return res, fmt.Errorf("release savepoint: %w", err)
	}
	return res, nil
}

// putGuarded turns a panic into the product's error.
func (t *tx) putGuarded(r Read, o origin, p *catalog.Product) (res Result, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("store: panic while applying a product: %v", v)
		}
	}()
	return t.putShown(r, o, p)
}
