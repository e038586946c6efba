package fakeshopify

import (
	"encoding/base64"
	"encoding/json"
	"sort"
	"strings"
)

// Limits of Shopify on lists.
const (
	maxPage         = 250
	maxPageAlone    = 2000  // product(id){variants} as the only query
	maxPagedObjects = 25000 // what a list can be paged through
	maxArrayInput   = 250
)

// orderKey places an item in a list. Items compare by num, then text, then id.
type orderKey struct {
	num  int64
	text string
	id   int64
}

func (k orderKey) compare(l orderKey) int {
	switch {
	case k.num != l.num:
		return cmpInt(k.num, l.num)
	case k.text != l.text:
		return strings.Compare(k.text, l.text)
	}
	return cmpInt(k.id, l.id)
}

func cmpInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// listing is a whole list in its order, ascending by key unless down.
type listing struct {
	typ  string // of its nodes; also the prefix of the connection's type
	n    int
	down bool
	item func(i int) object
	key  func(i int) orderKey
}

// connection is a page of a listing.
type connection struct {
	typ           string
	items         []object
	keys          []orderKey
	after, before bool // there is more on that side
}

type cursorText struct {
	LastID    int64  `json:"last_id"`
	LastValue string `json:"last_value"`
	Num       int64  `json:"n,omitempty"`
}

func (c *connection) cursor(i int) string {
	k := c.keys[i]
	b, _ := json.Marshal(cursorText{k.id, k.text, k.num}) // cannot fail: plain fields
	return base64.StdEncoding.EncodeToString(b)
}

func parseCursor(s string) (orderKey, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	var c cursorText
	if err != nil || json.Unmarshal(b, &c) != nil || c.LastID == 0 {
		return orderKey{}, false
	}
	return orderKey{num: c.Num, text: c.LastValue, id: c.LastID}, true
}

func (c *connection) pageInfo(fields []*fieldGroup) members {
	var out members
	for _, f := range fields {
		var v any
		switch f.Name {
		case "__typename":
			v = "PageInfo"
		case "hasNextPage":
			v = c.after
		case "hasPreviousPage":
			v = c.before
		case "startCursor":
			if len(c.items) > 0 {
				v = c.cursor(0)
			}
		case "endCursor":
			if n := len(c.items); n > 0 {
				v = c.cursor(n - 1)
			}
		}
		out = append(out, member{f.Alias, v})
	}
	return out
}

// page cuts a page out of the listing by first, last, after and before.
func (e *exec) page(f *fieldGroup, l listing, most int) (any, *gqlError) {
	if e.bulk {
		c := &connection{typ: l.typ}
		for i := range l.n {
			c.items = append(c.items, l.item(i))
		}
		return c, nil
	}
	_, hasFirst := f.args["first"]
	_, hasLast := f.args["last"]
	hasFirst, hasLast = hasFirst && f.args["first"] != nil, hasLast && f.args["last"] != nil
	bad := func(text string) (any, *gqlError) { return nil, errorAt(f.Position, "BAD_REQUEST", text) }
	if !hasFirst && !hasLast {
		return bad("you must provide one of first or last")
	}
	if hasFirst && hasLast {
		return bad("providing both first and last is not supported")
	}
	size := intArg(f.args, "first") + intArg(f.args, "last")
	if size > most {
		return bad(map[bool]string{true: "first", false: "last"}[hasFirst] + " cannot exceed " + itoa(most))
	}
	lo, hi := 0, l.n
	for _, side := range []string{"after", "before"} {
		s, ok := f.args[side].(string)
		if !ok {
			continue
		}
		k, ok := parseCursor(s)
		if !ok {
			return bad("Invalid cursor for current pagination sort.")
		}
		// The item itself may be gone: its place in the order is what counts.
		at := sort.Search(l.n, func(i int) bool {
			c := l.key(i).compare(k)
			if l.down {
				c = -c
			}
			return c > 0 || side == "before" && c == 0
		})
		if side == "after" {
			lo = at
		} else {
			hi = at
		}
	}
	hi = max(hi, lo)
	if hasLast {
		if l.n-hi >= maxPagedObjects {
			return bad("Pagination beyond " + itoa(maxPagedObjects) + " objects is not supported")
		}
		lo = max(lo, hi-size)
	} else {
		if lo >= maxPagedObjects {
			return bad("Pagination beyond " + itoa(maxPagedObjects) + " objects is not supported")
		}
		hi = min(hi, lo+size, maxPagedObjects)
	}
	c := &connection{typ: l.typ, before: lo > 0, after: hi < l.n}
	for i := lo; i < hi; i++ {
		c.items = append(c.items, l.item(i))
		c.keys = append(c.keys, l.key(i))
	}
	return c, nil
}
