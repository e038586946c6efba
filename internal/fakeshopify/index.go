package fakeshopify

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// FilterFault is what is wrong with the terms updated_at and created_at of
// searches.
type FilterFault int

const (
	FilterWorks FilterFault = iota
	// FilterIgnored matches everything and says nothing.
	FilterIgnored
	// FilterWarned matches everything and warns as of an unknown field.
	FilterWarned
)

// searchIndex is what searches of products go by in place of the products. A
// product whose newest state it shows has no row.
type searchIndex struct {
	rand   *rand.Rand
	lag    time.Duration
	lost   float64
	broken FilterFault
	edits  uint64
	rows   map[int64]*indexRow
	coming []indexChange       // by due, then edit
	found  map[int64]indexTime // of the newest edit of each product
}

// indexRow is a product as the index shows it. Zero times: it does not know the
// product.
type indexRow struct {
	created, updated time.Time
	total            int
	timesOf, totalOf uint64 // the edits that they are of
	newest           uint64 // the product's newest edit
}

// indexTime is when an edit shows in searches.
type indexTime struct {
	at   time.Time
	lost bool // never
}

func (t indexTime) shows(now time.Time) bool { return !t.lost && !t.at.After(now) }

// indexChange is a row on its way to the index.
type indexChange struct {
	indexTime // lost: only the total arrives
	edit      uint64
	product   *Product
}

// SetIndex changes Options.API.IndexLag and IndexLost for the edits that
// follow.
func (s *Shop) SetIndex(lag time.Duration, lost float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.api.index.lag, s.api.index.lost = lag, lost
}

// BreakFilter makes the terms updated_at and created_at of all searches match
// everything, until FilterWorks mends them.
func (s *Shop) BreakFilter(f FilterFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.api.index.broken = f
	s.version++ // lists kept for paging are of the other filter
}

// Findable says from when on searches show the newest edit of the product: its
// updated_at in products, or its deletion in events. ok is false when they
// never do, unless the product is edited again. A zero time: at once.
func (s *Shop) Findable(id int64) (at time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.api.index.found[id]
	return t.at, !t.lost
}

// advance does what has happened by itself by now: rows reach the index, bulk
// operations go on.
func (s *Shop) advance(now time.Time) {
	if s.api.index.advance(now) {
		s.version++
	}
	s.advanceBulk(now)
}

func (x *searchIndex) exact() bool { return x.lag <= 0 && x.lost <= 0 }

// when draws when an edit made now will show; a zero time is at once.
func (x *searchIndex) when(now time.Time) indexTime {
	t := indexTime{lost: chance(x.rand, x.lost)}
	if x.lag > 0 {
		t.at = now.Add(time.Duration(x.rand.Int64N(int64(x.lag) + 1)))
	}
	return t
}

// edited takes in that p was made of old, or of nothing. A quiet edit left
// updated_at as it was, so there is no time to find it by.
func (x *searchIndex) edited(old, p *Product, now time.Time, quiet bool) {
	row := x.rows[p.ID]
	if x.exact() && row == nil {
		delete(x.found, p.ID)
		return
	}
	x.edits++
	if row == nil {
		row = &indexRow{}
		if old != nil {
			row.created, row.updated, row.total = old.CreatedAt, old.UpdatedAt, old.total()
		}
		x.rows[p.ID] = row
	}
	row.newest = x.edits
	c := indexChange{x.when(now), x.edits, p}
	if quiet {
		c.lost = true
	} else {
		x.found[p.ID] = c.indexTime
	}
	i, _ := slices.BinarySearchFunc(x.coming, c, func(a, b indexChange) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.edit, b.edit))
	})
	x.coming = slices.Insert(x.coming, i, c)
	x.advance(now)
}

// deleted forgets the product; its event shows it from at on.
func (x *searchIndex) deleted(id int64, at indexTime) {
	delete(x.rows, id)
	delete(x.found, id)
	if !x.exact() {
		x.found[id] = at
	}
}

// advance shows the rows that are due and reports whether there were any. A row
// that was overtaken by that of a later edit changes nothing.
func (x *searchIndex) advance(now time.Time) bool {
	n := 0
	for ; n < len(x.coming) && !x.coming[n].at.After(now); n++ {
		c := x.coming[n]
		row := x.rows[c.product.ID]
		if row == nil {
			continue
		}
		if c.edit > row.totalOf {
			row.total, row.totalOf = c.product.total(), c.edit
		}
		if c.lost || c.edit < row.timesOf {
			continue
		}
		row.created, row.updated, row.timesOf = c.product.CreatedAt, c.product.UpdatedAt, c.edit
		if c.edit == row.newest {
			delete(x.rows, c.product.ID)
		}
	}
	x.coming = slices.Delete(x.coming, 0, n)
	return n > 0
}

// total is the stock that Product.totalInventory shows.
func (x *searchIndex) total(p *Product) int {
	if row := x.rows[p.ID]; row != nil {
		return row.total
	}
	return p.total()
}

// search is productSearch by the index.
func (x *searchIndex) search(p *Product) fieldsOf {
	row, fields := x.rows[p.ID], productSearch(p)
	if row == nil {
		return fields
	}
	return func(field string) ([]any, bool) {
		switch field {
		case "created_at", "updated_at":
			if row.updated.IsZero() {
				return nil, true
			}
			return []any{map[bool]time.Time{true: row.created, false: row.updated}[field == "created_at"]}, true
		case "inventory_total":
			return []any{int64(row.total)}, true
		}
		return fields(field)
	}
}
