package shopify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/uptime"
	"stockroom/limiter"
)

// pageSizes are how much of a product one call asks for.
type pageSizes struct{ variants, media, more int }

// sizesLargestFirst are tried from the first: the budget decides. The first
// page brings whole nearly every product there is.
var sizesLargestFirst = []pageSizes{{250, 250, largestVariantPage}, {100, 50, largestPage}, {25, 10, 50}, {10, 5, 20}}

// rounds is how often the reading of a product starts again because the product
// changed meanwhile.
const rounds = 4

// Product reads a product with all of its variants (up to 2,048) and images. nil
// without an error says that the shop has no such product. All pages are of one
// state of the product: when it changes on the way the reading starts again, and
// after some rounds ends with KindChanging.
func (c *Client) Product(ctx context.Context, name string, class limiter.Class, id int64) (*catalog.Product, error) {
	if err := c.taught(ctx, name, class); err != nil {
		return nil, err
	}
	for round := 1; ; round++ {
		n, whole, err := c.productOnce(ctx, name, class, id, c.largest(name, sizesLargestFirst, func(s pageSizes) []operation {
			return []operation{
				c.queries["Product"].call(map[string]any{"id": "", "variants": s.variants, "media": s.media}),
				c.queries["ProductVariants"].call(map[string]any{"id": "", "variants": s.more}),
			}
		}))
		if err != nil || n == nil {
			return nil, err
		}
		if whole {
			p, err := wholeOf(n, id)
			if err != nil {
				return nil, &Error{Kind: KindUnreadable, Shop: name, Op: "Product", Err: err}
			}
			return p, nil
		}
		if round >= rounds {
			return nil, &Error{Kind: KindChanging, Shop: name, Op: "Product"}
		}
	}
}

// wholeOf is a product of which every page is there.
func wholeOf(n *productNode, id int64) (*catalog.Product, error) {
	p, err := productOf(n)
	if err != nil {
		return nil, err
	}
	if p.ID != id {
		return nil, errors.New("it is about another product")
	}
	p.Coverage, p.VariantsComplete = catalog.Complete, true
	return p, nil
}

// taught asks for the shop's budget where it is not known: it decides how large
// the pages are.
func (c *Client) taught(ctx context.Context, name string, class limiter.Class) error {
	if snap, ok := c.o.Limiter.Snapshot(name); !ok || !snap.Untaught {
		return nil
	}
	return c.call(ctx, name, class, c.queries["Shop"].call(nil), &struct{}{})
}

// largest is the first of the sizes whose calls fit the shop's budget, with room
// for the probes that go on while the shop has not told it; else the last.
func (c *Client) largest(name string, sizes []pageSizes, calls func(pageSizes) []operation) pageSizes {
	budget := 0
	if snap, ok := c.o.Limiter.Snapshot(name); ok {
		budget = snap.Budget
		if m := int(snap.Server.MaximumAvailable); m > 0 {
			budget = min(budget, m)
		}
	}
	budget -= budget / 10
	for _, s := range sizes {
		if !slices.ContainsFunc(calls(s), func(op operation) bool { return c.o.Limiter.Bound(op.cost, op.bound) > budget }) {
			return s
		}
	}
	return sizes[len(sizes)-1]
}

// productOnce reads all pages once. whole is false when they do not belong
// together.
func (c *Client) productOnce(ctx context.Context, name string, class limiter.Class, id int64, size pageSizes) (n *productNode, whole bool, err error) {
	var first struct {
		Product *productNode `json:"product"`
	}
	vars := map[string]any{"id": catalog.GID("Product", id), "variants": size.variants, "media": size.media}
	if err := c.read(ctx, name, class, c.queries["Product"].call(vars), &first); err != nil {
		return nil, false, err
	}
	n = first.Product
	if n == nil {
		return nil, false, nil
	}
	variants, media := Walk{Most: mostOfProduct}, Walk{Most: mostOfProduct}
	if err := errors.Join(turn(&variants, name, "Product", size.variants, n.Variants),
		turn(&media, name, "Product", size.media, n.Media)); err != nil {
		return nil, false, err
	}
	if variants.More() || media.More() {
		// An edit in the second of the last one would not show in updatedAt.
		if fresh := catalog.SameSecond - c.Now(name).Sub(n.UpdatedAt); fresh > 0 {
			return n, false, pause(ctx, name, min(fresh, catalog.SameSecond))
		}
	}
	same, err := further(ctx, c, name, class, "ProductVariants", map[string]any{"id": vars["id"], "variants": size.more}, size.more, &variants, n, &n.Variants)
	if same && err == nil {
		same, err = further(ctx, c, name, class, "ProductMedia", map[string]any{"id": vars["id"], "media": size.media}, size.media, &media, n, &n.Media)
	}
	return n, same && err == nil && complete(n), err
}

// further reads the rest of a product's variants or media into list. same is
// false when the product has changed meanwhile.
func further[T any](
	ctx context.Context, c *Client, name string, class limiter.Class, query string, vars map[string]any, first int,
	w *Walk, n *productNode, list *connection[T],
) (same bool, err error) {
	for w.More() {
		var next struct {
			Product *struct {
				UpdatedAt time.Time     `json:"updatedAt"`
				Page      connection[T] `json:"page"`
			} `json:"product"`
		}
		if err := c.readOn(ctx, name, class, w.page(c.queries[query], vars), &next); err != nil {
			return false, err
		}
		p := next.Product
		if p == nil || !p.UpdatedAt.Equal(n.UpdatedAt) || len(p.Page.Nodes) == 0 {
			return false, nil
		}
		list.Nodes = append(list.Nodes, p.Page.Nodes...)
		if err := turn(w, name, query, first, p.Page); err != nil {
			return false, err
		}
	}
	return true, nil
}

// patience bounds the wait for points between two pages of a product.
const patience = 15 * time.Minute

// readOn reads a further page. It waits for points where a first page would be
// put off: giving up now would spend the pages read so far, and where the budget
// is small no reading would ever end.
func (c *Client) readOn(ctx context.Context, name string, class limiter.Class, op operation, out any) error {
	limit := time.Now().Add(patience)
	for {
		err := c.read(ctx, name, class, op, out)
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindBudget || e.RetryAt.After(limit) {
			return err
		}
		if err := pause(ctx, name, max(time.Until(e.RetryAt), 100*time.Millisecond)); err != nil {
			return err
		}
	}
}

// complete reports whether every variant that the shop counts is there, once.
func complete(n *productNode) bool {
	ids := make(map[string]bool, len(n.Variants.Nodes))
	for i := range n.Variants.Nodes {
		ids[n.Variants.Nodes[i].ID] = true
	}
	if len(ids) != len(n.Variants.Nodes) || n.VariantsCount == nil {
		return false
	}
	return n.VariantsCount.Precision == "EXACT" && n.VariantsCount.Count == len(ids)
}

func pause(ctx context.Context, name string, d time.Duration) error {
	if !uptime.Sleep(ctx, d) {
		return cancelled(name, "Product", ctx)
	}
	return nil
}

// ProductOfItem finds the product that owns an inventory item; 0 when there is
// none.
func (c *Client) ProductOfItem(ctx context.Context, name string, class limiter.Class, item int64) (int64, error) {
	var out struct {
		InventoryItem *struct {
			Variants *connection[struct {
				Product struct {
					ID string `json:"id"`
				} `json:"product"`
			}] `json:"variants"`
		} `json:"inventoryItem"`
	}
	op := c.queries["InventoryItem"].call(map[string]any{"id": catalog.GID("InventoryItem", item)})
	if err := c.read(ctx, name, class, op, &out); err != nil {
		return 0, err
	}
	if out.InventoryItem == nil || out.InventoryItem.Variants == nil || len(out.InventoryItem.Variants.Nodes) == 0 {
		return 0, nil
	}
	id, err := parseGID("Product", out.InventoryItem.Variants.Nodes[0].Product.ID)
	if err != nil {
		return 0, &Error{Kind: KindUnreadable, Shop: name, Op: op.name, Err: fmt.Errorf("owner of an inventory item: %w", err)}
	}
	return id, nil
}
