package fakeshopify

import (
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// count is a Count; beyond limit it is only a lower bound.
func (e *exec) count(f *fieldGroup, n int) object {
	precision := "EXACT"
	if v, ok := f.args["limit"]; ok && v != nil {
		if limit := intArg(f.args, "limit"); n > limit {
			n, precision = limit, "AT_LEAST"
		}
	}
	return object{"Count", members{{"count", n}, {"precision", precision}}}
}

// filtered is the products that the field's query finds, by id.
func (e *exec) filtered(f *fieldGroup, path string) []*Product {
	s := e.s
	text, _ := f.args["query"].(string)
	q := s.parseQuery(text, productFields...)
	e.warn(path, text, q)
	key := "p\x00" + text
	if c, ok := s.keptList(key); ok {
		return c
	}
	var list []*Product
	lo, hi := q.idBounds()
	first, _ := slices.BinarySearch(s.ids, lo)
	for _, id := range s.ids[first:] {
		if id > hi {
			break
		}
		if p := s.products[id]; q.match(s.api.index.search(p)) {
			list = append(list, p)
		}
	}
	s.keepList(key, list)
	return list
}

func (e *exec) products(f *fieldGroup) (any, *gqlError) {
	s := e.s
	list := e.filtered(f, f.Alias)
	text, _ := f.args["query"].(string)
	sortBy, _ := f.args["sortKey"].(string)
	down := argBool(f, "reverse")
	keyOf := productOrder(sortBy)
	cached := "s\x00" + sortBy + "\x00" + strconv.FormatBool(down) + "\x00" + text
	if c, ok := s.keptList(cached); ok {
		list = c
	} else if sortBy != "ID" || down {
		list = slices.Clone(list)
		sort.SliceStable(list, func(i, j int) bool { return keyOf(list[i]).compare(keyOf(list[j])) < 0 })
		if down {
			slices.Reverse(list)
		}
		s.keepList(cached, list)
	}
	return e.page(f, listing{typ: "Product", n: len(list), down: down,
		item: func(i int) object { return object{"Product", list[i]} },
		key:  func(i int) orderKey { return keyOf(list[i]) }}, maxPage)
}

// keepList remembers a filtered list until the next edit, because paging asks
// for it again and again.
func (s *Shop) keepList(key string, list []*Product) {
	if s.api.listsOf != s.version || len(s.api.lists) >= 16 || s.api.lists == nil {
		s.api.lists, s.api.listsOf = make(map[string][]*Product), s.version
	}
	s.api.lists[key] = list
}

func (s *Shop) keptList(key string) ([]*Product, bool) {
	if s.api.listsOf != s.version {
		return nil, false
	}
	c, ok := s.api.lists[key]
	return c, ok
}

func productOrder(sortBy string) func(*Product) orderKey {
	return func(p *Product) orderKey {
		k := orderKey{id: p.ID}
		switch sortBy {
		case "UPDATED_AT":
			k.num = p.UpdatedAt.Unix()
		case "CREATED_AT":
			k.num = p.CreatedAt.Unix()
		case "PUBLISHED_AT":
			if p.PublishedAt != nil {
				k.num = p.PublishedAt.Unix()
			}
		case "TITLE":
			k.text = strings.ToLower(p.Title)
		case "VENDOR":
			k.text = strings.ToLower(p.Vendor)
		case "PRODUCT_TYPE":
			k.text = strings.ToLower(p.ProductType)
		case "INVENTORY_TOTAL":
			k.num = int64(p.total())
		}
		return k
	}
}

func (e *exec) variantList(f *fieldGroup) (any, *gqlError) {
	text, _ := f.args["query"].(string)
	q := e.s.parseQuery(text, variantFields...)
	e.warn(f.Alias, text, q)
	var list []variantRef
	for _, id := range e.s.ids {
		p := e.s.products[id]
		for i := range p.Variants {
			if q.match(variantSearch(p, &p.Variants[i])) {
				list = append(list, variantRef{p, i})
			}
		}
	}
	key := func(i int) orderKey {
		v := list[i].variant()
		k := orderKey{id: v.ID}
		switch f.args["sortKey"] {
		case "SKU":
			if v.SKU != nil {
				k.text = *v.SKU
			}
		case "INVENTORY_QUANTITY":
			k.num = int64(v.Quantity())
		case "TITLE", "NAME":
			k.text = v.Title
		}
		return k
	}
	down := argBool(f, "reverse")
	keys := make(map[int64]orderKey, len(list))
	for i := range list {
		keys[list[i].variant().ID] = key(i)
	}
	sort.Slice(list, func(i, j int) bool {
		c := keys[list[i].variant().ID].compare(keys[list[j].variant().ID])
		return c < 0 != down && c != 0
	})
	return e.page(f, listing{typ: "ProductVariant", n: len(list), down: down, key: key,
		item: func(i int) object { return object{"ProductVariant", list[i]} }}, maxPage)
}

func (e *exec) eventList(f *fieldGroup) []*Event {
	text, _ := f.args["query"].(string)
	q := e.s.parseQuery(text, "id", "action", "subject_type", "created_at", "comments")
	e.warn(f.Alias, text, q)
	var list []*Event
	for i := range e.s.events {
		ev := &e.s.events[i]
		// Kept for a year.
		if e.now.Sub(ev.At) > 365*24*time.Hour || !ev.found.shows(e.now) {
			continue
		}
		if q.match(func(field string) ([]any, bool) {
			switch field {
			case "id":
				return []any{ev.ID}, true
			case "action":
				return []any{ev.Action}, true
			case "subject_type":
				return []any{ev.SubjectType}, true
			case "created_at":
				return []any{ev.At}, true
			}
			return []any{ev.Title}, field == ""
		}) {
			list = append(list, ev)
		}
	}
	if argBool(f, "reverse") {
		slices.Reverse(list)
	}
	return list
}

func (e *exec) warn(path, text string, q *query) {
	if len(q.warnings) > 0 {
		e.search = append(e.search, members{{"path", []any{path}}, {"query", text}, {"warnings", q.warnings}})
	}
}
