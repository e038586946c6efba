package shopify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stockroom/internal/catalog"
	"stockroom/limiter"
)

// Listed is one product of a listing, with what tells whether it has changed.
type Listed struct {
	ID        int64
	UpdatedAt int64 // Unix milliseconds
	Variants  int   // how many there are, -1 when Shopify did not count exactly
	// Stock is what is in stock of all variants together; absent when the listing
	// does not ask.
	Stock catalog.Field[int64]
}

type listedNode struct {
	ID            string     `json:"id"`
	UpdatedAt     time.Time  `json:"updatedAt"`
	StockTotal    *int64     `json:"totalInventory"`
	VariantsCount *countNode `json:"variantsCount"`
}

// IDs lists products by id, those with from <= id < to; to is 0 for no end: the
// next page of a walk.
// Shopify pages through at most 25,000 objects, so a large catalogue is read in
// slices: go on from the last id of the slice before.
func (c *Client) IDs(ctx context.Context, name string, class limiter.Class, from, to int64, w *Walk) ([]Listed, error) {
	query := fmt.Sprintf("id:>=%d", from)
	if to > 0 {
		query += fmt.Sprintf(" AND id:<%d", to)
	}
	nodes, err := page[listedNode](ctx, c, name, class, "ProductIDs", map[string]any{"query": query}, largestPage, w)
	if err != nil {
		return nil, err
	}
	return listedOf(name, "ProductIDs", nodes)
}

// DeepestPage is how many objects Shopify pages through in one listing.
const DeepestPage = 25_000

func listedOf(name, op string, nodes []listedNode) ([]Listed, error) {
	var list []Listed
	for _, n := range nodes {
		id, err := parseGID("Product", n.ID)
		if err != nil {
			return nil, &Error{Kind: KindUnreadable, Shop: name, Op: op, Err: err}
		}
		l := Listed{ID: id, UpdatedAt: n.UpdatedAt.UnixMilli(), Variants: -1}
		if n.VariantsCount != nil && n.VariantsCount.Precision == "EXACT" {
			l.Variants = n.VariantsCount.Count
		}
		if n.StockTotal != nil {
			l.Stock = catalog.Of(*n.StockTotal)
		}
		list = append(list, l)
	}
	return list, nil
}

// Count returns how many products the shop has. exact is false when Shopify only
// knows a lower bound.
func (c *Client) Count(ctx context.Context, name string, class limiter.Class) (n int, exact bool, err error) {
	var out struct {
		Count *countNode `json:"productsCount"`
	}
	if err := c.read(ctx, name, class, c.queries["ProductsCount"].call(nil), &out); err != nil {
		return 0, false, err
	}
	if out.Count == nil {
		return 0, false, &Error{Kind: KindUnreadable, Shop: name, Op: "ProductsCount", Message: "it counts nothing"}
	}
	return out.Count.Count, out.Count.Precision == "EXACT", nil
}

// MostIDs is how many ids one call of Existing may ask for.
const MostIDs = 250

// Existing returns those of the products that the shop still has, at most
// MostIDs at a time.
func (c *Client) Existing(ctx context.Context, name string, class limiter.Class, ids []int64) ([]int64, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	gids := gidsOf(ids)
	var out struct {
		Nodes []*struct {
			ID string `json:"id"`
		} `json:"nodes"`
	}
	if err := c.read(ctx, name, class, c.queries["Existing"].call(map[string]any{"ids": gids}), &out); err != nil {
		return nil, err
	}
	if len(out.Nodes) != len(ids) {
		return nil, &Error{Kind: KindUnreadable, Shop: name, Op: "Existing", Message: "it answers for another number of ids"}
	}
	var list []int64
	for i, n := range out.Nodes {
		if n == nil {
			continue
		}
		if n.ID != gids[i] {
			return nil, &Error{Kind: KindUnreadable, Shop: name, Op: "Existing", Message: "it answers for other ids"}
		}
		list = append(list, ids[i])
	}
	slices.Sort(list)
	return list, nil
}

func gidsOf(ids []int64) []string {
	gids := make([]string, len(ids))
	for i, id := range ids {
		gids[i] = catalog.GID("Product", id)
	}
	return gids
}
