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

// Changed lists the products that changed at or after since (to the second), the
// longest unchanged first: the next page of a walk. Cursors are good for one run
// only: keep an instant between runs, and overlap.
func (c *Client) Changed(ctx context.Context, name string, class limiter.Class, since time.Time, w *Walk) ([]Listed, error) {
	vars := map[string]any{"query": "updated_at:>=" + searchTime(since)}
	return c.listed(ctx, name, class, "ProductsChanged", vars, w)
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
	return c.listed(ctx, name, class, "ProductIDs", map[string]any{"query": query}, w)
}

// DeepestPage is how many objects Shopify pages through in one listing.
const DeepestPage = 25_000

func (c *Client) listed(ctx context.Context, name string, class limiter.Class, query string, vars map[string]any, w *Walk) ([]Listed, error) {
	nodes, err := page[listedNode](ctx, c, name, class, query, vars, largestPage, w)
	if err != nil {
		return nil, err
	}
	return listedOf(name, query, nodes)
}

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

// searchTime is an instant as a search has it. Without the quotes Shopify splits
// it at its colons and finds others.
func searchTime(at time.Time) string { return at.UTC().Format("'2006-01-02T15:04:05Z'") }

func deletedSince(since time.Time) string {
	return "action:destroy AND subject_type:PRODUCT AND created_at:>=" + searchTime(since)
}

type eventNode struct {
	Action      string    `json:"action"`
	CreatedAt   time.Time `json:"createdAt"`
	SubjectID   string    `json:"subjectId"`
	SubjectType string    `json:"subjectType"`
}

// deletedOf are the deletions of products among events. older tells that the last
// event is from before since. The search is not the proof: what it finds says
// itself what it is.
func deletedOf(name string, nodes []eventNode, since time.Time) (list []Deletion, older bool, err error) {
	for _, n := range nodes {
		if older = n.CreatedAt.Unix() < since.Unix(); older || n.Action != "destroy" || n.SubjectType != "PRODUCT" {
			continue
		}
		id, err := parseGID("Product", n.SubjectID)
		if err != nil {
			return nil, false, &Error{Kind: KindUnreadable, Shop: name, Op: "Deletions", Err: err}
		}
		list = append(list, Deletion{id, n.CreatedAt})
	}
	return list, older, nil
}

// Deletion is a product that was deleted.
type Deletion struct {
	Product int64
	At      time.Time
}

// Deletions lists the products deleted at or after since, the oldest first:
// the next page of a walk. Shopify keeps events for a year.
func (c *Client) Deletions(ctx context.Context, name string, class limiter.Class, since time.Time, w *Walk) ([]Deletion, error) {
	nodes, err := page[eventNode](ctx, c, name, class, "Deletions", map[string]any{"query": deletedSince(since)}, largestPage, w)
	if err != nil {
		return nil, err
	}
	list, _, err := deletedOf(name, nodes, since)
	return list, err
}
