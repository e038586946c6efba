package syncer

import (
	"context"
	"errors"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/shopify"
	"stockroom/store"
)

// chosen is a selection that is asked for many ids.
type chosen struct {
	catalog.Selection
	include, exclude map[int64]bool
}

func choose(sel catalog.Selection) chosen {
	return chosen{sel, setOf(sel.Include), setOf(sel.Exclude)}
}

func setOf(ids []int64) map[int64]bool {
	set := make(map[int64]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// leftOut reports whether the selection leaves a product out whatever it is
// like. Its content is not kept current.
func (c chosen) leftOut(id int64) bool {
	return c.exclude[id] || c.Mode == catalog.SelectInclude && !c.include[id]
}

// differs reports whether a product has to be read because the stored row, nil
// for none, is not what the shop lists. passed is the version that the rules did
// not match, nil for none.
func (c chosen) differs(l shopify.Listed, row *store.LocalProduct, passed *store.Passed) bool {
	second := catalog.Second(l.UpdatedAt)
	switch {
	case c.leftOut(l.ID):
		return false
	case passed != nil && catalog.Second(passed.UpdatedAt) == second:
		return false
	case row == nil, catalog.Second(row.UpdatedAt) != second:
		return true
	}
	listed, told := l.Stock.Get()
	stored, known := row.Stock.Get() // as Shopify said it too: its total is not the variants' sum
	return l.Variants >= 0 && row.Variants != l.Variants || told && known && listed != stored
}

// comparison is what a listing and the stored rows differ in.
type comparison struct {
	differ []int64 // to be read: missing here, or not as listed
	// unsure are listed as stored, but an edit of the same second could hide
	// behind that, or they are wanted for another reason; and those not listed that
	// were written since.
	unsure []int64
	extra  []int64 // stored before the run began, and not listed
	equal  int
}

// compare walks through the listing, the stored rows and the versions passed
// over, all by ascending id. Of rows written since started nothing is told by the
// listing. What is wanted is read in any case. skew is how far our clock is ahead
// of the shop's.
func (c chosen) compare(listed []shopify.Listed, wanted map[int64]bool, rows *pages[store.LocalProduct], passed *pages[store.Passed], started time.Time, skew time.Duration) (comparison, error) {
	var found comparison
	extra := func(row *store.LocalProduct) {
		if row.SyncedAt < started.UnixMilli() {
			found.extra = append(found.extra, row.ID)
		} else { // new since, or brought by a late delivery: a read of it tells
			found.unsure = append(found.unsure, row.ID)
		}
	}
	for _, l := range listed {
		row, err := rows.find(l.ID, extra)
		if err != nil {
			return found, err
		}
		over, err := passed.find(l.ID, nil)
		if err != nil {
			return found, err
		}
		switch {
		case c.differs(l, row, over):
			found.differ = append(found.differ, l.ID)
		case !c.leftOut(l.ID) && (wanted[l.ID] || !settled(row, over, skew)):
			found.unsure = append(found.unsure, l.ID)
		default:
			found.equal++
		}
	}
	_, err := rows.find(lastID, extra)
	return found, err
}

// lastID is beyond every product.
const lastID = 1<<63 - 1

// settled reports whether no edit can hide behind the time of a stored or passed
// over version, which has whole seconds: the shop itself was read after that
// second was over.
func settled(row *store.LocalProduct, passed *store.Passed, skew time.Duration) bool {
	if passed != nil {
		return catalog.ShowsLast(passed.ReadAt, passed.UpdatedAt, skew)
	}
	return catalog.ShowsLast(row.ReadAt, row.UpdatedAt, skew)
}

// pages walks once through rows in the order of their ids, a page at a time.
type pages[T any] struct {
	load func(after int64) ([]T, error) // none when there are no more
	id   func(*T) int64

	list  []T
	at    int
	after int64
	end   bool
}

// find goes on to the row of an id, nil when there is none, and hands those
// before it to skip. Ids have to be asked for in ascending order.
func (p *pages[T]) find(id int64, skip func(*T)) (*T, error) {
	for {
		for ; p.at < len(p.list); p.at++ {
			row := &p.list[p.at]
			switch have := p.id(row); {
			case have == id:
				p.at++
				return row, nil
			case have > id:
				return nil, nil
			}
			if skip != nil {
				skip(row)
			}
		}
		if p.end {
			return nil, nil
		}
		list, err := p.load(p.after)
		if err != nil {
			return nil, err
		}
		if p.list, p.at, p.end = list, 0, len(list) == 0; !p.end {
			p.after = p.id(&list[len(list)-1])
		}
	}
}

// pageOf is how many rows are read at a time.
const pageOf = 5000

func (r *run) rows(ctx context.Context, limit int) func(after int64) ([]store.LocalProduct, error) {
	return func(after int64) ([]store.LocalProduct, error) {
		return asked(ctx, r, func(ctx context.Context) ([]store.LocalProduct, error) {
			return r.s.o.Store.Listing(ctx, r.shop, after, limit)
		})
	}
}

func (r *run) passed(ctx context.Context, limit int) func(after int64) ([]store.Passed, error) {
	return func(after int64) ([]store.Passed, error) {
		return asked(ctx, r, func(ctx context.Context) ([]store.Passed, error) {
			return r.s.o.Store.PassedOver(ctx, r.shop, after, limit)
		})
	}
}

// localProduct is what is stored of one product; nil for nothing.
type localProduct struct {
	row    *store.LocalProduct
	passed *store.Passed
}

func (r *run) local(ctx context.Context, id int64) (localProduct, error) {
	var l localProduct
	rows, err := r.rows(ctx, 1)(id - 1)
	if err != nil {
		return l, err
	}
	if len(rows) == 1 && rows[0].ID == id {
		l.row = &rows[0]
	}
	passed, err := r.passed(ctx, 1)(id - 1)
	if err != nil {
		return l, err
	}
	if len(passed) == 1 && passed[0].ID == id {
		l.passed = &passed[0]
	}
	return l, nil
}

// selection is what is kept of the shop.
func (r *run) selection(ctx context.Context) (chosen, error) {
	sel, err := asked(ctx, r, func(ctx context.Context) (catalog.Selection, error) {
		return r.s.o.Store.Selection(ctx, r.shop)
	})
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return choose(sel), err
}
