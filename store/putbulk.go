package store

import (
	"context"
	"errors"
	"math"
	"time"

	"stockroom/internal/catalog"
)

const (
	// A delivery that arrives during a bulk transaction waits for its end.
	bulkTime = 40 * time.Millisecond
	// With deliveries waiting, a bulk transaction gives way earlier.
	bulkGiveWay = 10 * time.Millisecond
)

// PutBulk stores products of a bulk result as PutFetched does, and notes in the
// same transaction that the run (r.Run, or run.ID) has seen them and how far it
// is: run's Offset, Mark, Read, Objects and Bytes. A product that can't be
// applied rolls back alone, its Result has Err, and it is not seen. The run's
// counter Doubtful counts the products for which a fetch is then wanted.
//
// A call takes several transactions when one would keep deliveries waiting. The
// mark moves with the last of them, or by Read.Progress with each, so it never
// runs ahead of the products, and never back; the products of those before stay
// when a later one fails, and are counted once when they come again. Some hundred
// products a call are the fastest.
func (s *Store) PutBulk(ctx context.Context, r Read, run SyncRun, products ...*catalog.Product) ([]Result, error) {
	if r.Run == 0 {
		r.Run = run.ID
	}
	b := bulkPut{read: r, run: run, products: products, results: make([]Result, len(products))}
	for {
		var next int
		one := func(t *tx) (err error) {
			next, err = t.putBulk(&b)
			return err
		}
		err := s.writeAlone(ctx, one)
		if err != nil && !errors.Is(err, ErrUnavailable) && !b.careful {
			// Something is wrong with one of them: find out with which.
			b.careful = true
			err = s.writeAlone(ctx, one)
			b.careful = false
		}
		if err != nil {
			return nil, err
		}
		if b.from = next; b.from == len(products) {
			return b.results, nil
		}
	}
}

// bulkPut is one call of PutBulk.
type bulkPut struct {
	read     Read
	run      SyncRun
	products []*catalog.Product
	results  []Result
	from     int  // products before are committed
	careful  bool // each product in a savepoint of its own
}

// putBulk stores products until the transaction has taken long enough, and
// returns how far it came. The last part saves the mark.
func (t *tx) putBulk(b *bulkPut) (int, error) {
	began := time.Now()
	if err := t.prepareBulk(b); err != nil {
		return 0, err
	}
	list := make([]seen, 0, len(b.products)-b.from)
	next := b.from
	for ; next < len(b.products); next++ {
		if next > b.from {
			if took := time.Since(began); took > t.s.bulkTime || took > bulkGiveWay && len(t.s.urgent) > 0 {
				break
			}
		}
		p := b.products[next]
		res, err := t.putOne(b, p)
		if err != nil {
			return 0, err
		}
		b.results[next] = res
		if res.Err != nil {
			continue
		}
		if err := t.report(b.read, p.ID, res); err != nil {
			return 0, err
		}
		how := countedAs(res)
		if res.Wanted != nil || b.read.Doubtful {
			how += countedDoubtful
		}
		list = append(list, seen{p.ID, how})
	}
	if err := t.flush(); err != nil {
		return 0, err
	}
	if err := t.countIn(b.read.Run, list); err != nil {
		return 0, err
	}
	run := b.run
	if next < len(b.products) {
		if b.read.Progress == nil {
			return next, nil
		}
		var err error
		if run, err = b.read.Progress(next); err != nil {
			return 0, err
		}
	}
	if err := t.fail("before bulk mark"); err != nil {
		return 0, err
	}
	return next, t.do("save how far the run is", `
		UPDATE sync_runs SET byte_offset = ?, mark = ?, read = ?, objects = ?, bytes = ?
		WHERE id = ? AND objects <= ?`,
		run.Offset, run.Mark, run.Read, run.Objects, run.Bytes, b.read.Run, run.Objects)
}

func (t *tx) prepareBulk(b *bulkPut) error {
	some, err := t.exists("look for wanted fetches", `
		SELECT 1 FROM wanted WHERE shop = ? AND kind = 'fetch_product'`, b.read.Shop)
	t.noneWanted = err == nil && !some
	if err != nil || b.careful {
		return err
	}
	t.rows = newRowBuffer()
	from, to := int64(math.MaxInt64), int64(0)
	for _, p := range b.products[b.from:] {
		from, to = min(from, p.ID), max(to, p.ID)
	}
	some, err = t.exists("look for products of these ids", `
		SELECT 1 FROM products WHERE external_id BETWEEN ?1 AND ?2 UNION ALL
		SELECT 1 FROM tombstones WHERE shop = ?3 AND external_id BETWEEN ?1 AND ?2`, from, to, b.read.Shop)
	if err == nil && !some {
		t.rows.newFrom, t.rows.newTo = from, to
	}
	return err
}

func (t *tx) putOne(b *bulkPut, p *catalog.Product) (res Result, err error) {
	if !b.careful {
		res, err = t.putShown(b.read, p.ID, p)
		if err == nil && t.rows.full() {
			err = t.flush()
		}
		return res, err
	}
	wrong, broken := t.try(true, func() (err error) {
		res, err = t.putShown(b.read, p.ID, p)
		return err
	})
	if wrong != nil {
		res = Result{Err: wrong}
	}
	return res, broken
}
