package shopify

import (
	"context"
	"fmt"

	"stockroom/limiter"
)

const (
	// MostProducts is how many products a shop may have: what a listing collects
	// is held in memory. Shops at Shopify have far fewer.
	MostProducts = 2_000_000
	// mostOfProduct is how many variants, or media, one product may have: twice
	// Shopify's own limit of variants.
	mostOfProduct = 4096
	// mostSubscriptions is how many webhook subscriptions an app may have.
	mostSubscriptions = 2000
	// bytesPerEntry is what an entry of a listing takes at most, on average.
	bytesPerEntry = 4 << 10
)

// Walk is one pass over the pages of a listing; the zero value is at the first.
// It ends whatever the shop answers: each page but the last brings something and
// leads to one that was not read yet, and all together are not more, and not
// longer, than Most entries can be.
type Walk struct {
	// Most is how many entries there can be, 0 when nobody knows: MostProducts.
	Most int

	after          string // leads to the next page
	begun, more    bool
	entries, pages int
	bytes          int64
	been           map[string]bool
}

// More reports whether there is a page to be read.
func (w *Walk) More() bool { return w.more || !w.begun }

// Begin goes on with the first page of a further listing, for the rest of the
// same entries.
func (w *Walk) Begin() { w.after, w.begun = "", false }

// page is an operation that asks for the next page.
func (w *Walk) page(q *query, vars map[string]any) operation {
	if w.after != "" {
		vars["after"] = w.after
	}
	op := q.call(vars)
	op.bytes = &w.bytes
	return op
}

// Turn takes a page of n entries, of which at most first were asked for; with
// more, after leads to the next one.
func (w *Walk) Turn(shop, op string, n, first int, more bool, after string) error {
	most := w.Most
	if most <= 0 || most > MostProducts {
		most = MostProducts
	}
	entries, pages, why := w.entries+n, w.pages+1, ""
	switch {
	case n > first:
		why = fmt.Sprintf("a page has %d entries where %d were asked for", n, first)
	case entries > most || pages > 100+2*most/first || w.bytes > 16<<20+int64(most)*bytesPerEntry:
		why = fmt.Sprintf("the list does not end: %d entries on %d pages with %d bytes so far, and there can be %d entries",
			entries, pages, w.bytes, most)
	case more && (after == "" || n == 0):
		why = "there is a next page but no way to it"
	case more && w.been[after]:
		why = "the shop sends a page again that was read already"
	default:
		if w.been == nil {
			w.been = map[string]bool{}
		}
		w.after, w.begun, w.more, w.been[after] = after, true, more, true
		w.entries, w.pages = entries, pages
		return nil
	}
	return &Error{Kind: KindUnreadable, Shop: shop, Op: op, Message: why}
}

// turn is Turn for a page as it was read.
func turn[T any](w *Walk, shop, op string, first int, page connection[T]) error {
	return w.Turn(shop, op, len(page.Nodes), first, page.PageInfo.HasNextPage, page.PageInfo.EndCursor)
}

// page reads the next page of the one list that a query asks for, at most first
// entries.
func page[T any](ctx context.Context, c *Client, name string, class limiter.Class, query string, vars map[string]any, first int, w *Walk) ([]T, error) {
	vars["first"] = first
	var out map[string]connection[T]
	if err := c.read(ctx, name, class, w.page(c.queries[query], vars), &out); err != nil {
		return nil, err
	}
	for _, list := range out {
		return list.Nodes, turn(w, name, query, first, list)
	}
	return nil, &Error{Kind: KindUnreadable, Shop: name, Op: query, Message: "there is no list in it"}
}
