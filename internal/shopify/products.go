package shopify

import (
	"context"
	"encoding/json"

	"stockroom/internal/catalog"
	"stockroom/limiter"
)

// MostAtOnce is how many ids one call of Products may ask for.
const MostAtOnce = 50

// batchSizes are how much of each product one call of Products asks for, the
// largest first.
var batchSizes = []pageSizes{{variants: 100, media: 25}, {variants: 25, media: 10}, {variants: 10, media: 5}}

// Products reads products by id in one call, at most MostAtOnce. nil under an id
// says that the shop has no such product. An id that is not there could not be
// read whole with the others: it has more variants or media than a page of the
// call, or can't be read. Product reads it, or says why not.
func (c *Client) Products(ctx context.Context, name string, class limiter.Class, ids []int64) (map[int64]*catalog.Product, error) {
	if err := c.taught(ctx, name, class); err != nil {
		return nil, err
	}
	gids, found := gidsOf(ids), make(map[int64]*catalog.Product, len(ids))
	call := func(s pageSizes) operation {
		return c.queries["Products"].call(map[string]any{"ids": gids, "variants": s.variants, "media": s.media})
	}
	size := c.largest(name, batchSizes, func(s pageSizes) []operation { return []operation{call(s)} })
	var out struct {
		Nodes []json.RawMessage `json:"nodes"`
	}
	err := c.read(ctx, name, class, call(size), &out)
	switch KindOf(err) {
	case KindServer, KindTimeout, KindUnreadable, KindPartial, KindTooDear:
		return found, nil // it may lie in one of them, or in their size: reading each by itself tells
	}
	if err != nil {
		return nil, err
	}
	if len(out.Nodes) != len(ids) {
		return found, nil
	}
	for i, text := range out.Nodes {
		if isNull(text) {
			found[ids[i]] = nil
		} else if p := productOfNode(text, ids[i]); p != nil {
			found[ids[i]] = p
		}
	}
	return found, nil
}

// productOfNode reads one product of several, nil when it is not whole.
func productOfNode(text []byte, id int64) *catalog.Product {
	var n productNode
	if json.Unmarshal(text, &n) != nil || n.Media.PageInfo.HasNextPage || !complete(&n) {
		return nil
	}
	p, err := wholeOf(&n, id)
	if err != nil {
		return nil
	}
	return p
}
