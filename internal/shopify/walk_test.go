package shopify

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/limiter"
)

// endless answers every listing with pages that always promise a further one.
// cursor says where the nth page leads, nodes how many entries it has.
func endless(cursor func(n int) string, nodes func(n int) int) http.RoundTripper {
	n := 0
	return transportFunc(func(req *http.Request) (*http.Response, error) {
		var in struct{ Query string }
		body, _ := io.ReadAll(req.Body)
		_ = json.Unmarshal(body, &in)
		page := func(node string) string {
			n++
			list := make([]string, nodes(n))
			for i := range list {
				list[i] = strings.ReplaceAll(node, "ID", fmt.Sprint(n*3000+i+1))
			}
			return fmt.Sprintf(`{"nodes":[%s],"pageInfo":{"hasNextPage":true,"endCursor":%q}}`, strings.Join(list, ","), cursor(n))
		}
		data := `{"shop":{"id":"gid://shopify/Shop/1","name":"x","myshopifyDomain":"` + testShop + `"}}`
		const last = `{"nodes":[],"pageInfo":{"hasNextPage":false}}`
		const at = `"updatedAt":"1999-01-01T00:00:00Z"`
		switch q := in.Query; {
		case strings.HasPrefix(q, "query ProductIDs"):
			data = `{"products":` + page(`{"id":"gid://shopify/Product/ID","updatedAt":"1999-01-01T00:00:00Z"}`) + `}`
		case strings.HasPrefix(q, "query Look") && strings.Contains(string(body), "2001-"):
			data = `{"changed":` + page(`{"id":"gid://shopify/Product/ID","updatedAt":"2003-01-01T00:00:00Z"}`) + `,"canary":` + last + `,"deleted":` + last + `}`
		case strings.HasPrefix(q, "query Look"):
			data = `{"changed":` + last + `,"canary":` + last + `,"deleted":` + page(`{"action":"create","createdAt":"2003-01-01T00:00:00Z"}`) + `}`
		case strings.HasPrefix(q, "query Subscriptions"):
			data = `{"webhookSubscriptions":` + page(`{"id":"gid://shopify/WebhookSubscription/ID"}`) + `}`
		case strings.HasPrefix(q, "query ProductVariants"):
			data = `{"product":{` + at + `,"page":` + page(`{"id":"gid://shopify/ProductVariant/ID"}`) + `}}`
		case strings.HasPrefix(q, "query ProductMedia"):
			data = `{"product":{` + at + `,"page":` + page(`{"alt":"ID"}`) + `}}`
		case strings.HasPrefix(q, "query Product(") && strings.Contains(string(body), "Product/1\""):
			data = `{"product":{"id":"gid://shopify/Product/1",` + at + `,"variants":` + page(`{"id":"gid://shopify/ProductVariant/ID"}`) + `,"media":` + last + `}}`
		case strings.HasPrefix(q, "query Product("):
			data = `{"product":{"id":"gid://shopify/Product/2",` + at + `,"variants":` + last + `,"media":` + page(`{"alt":"ID"}`) + `}}`
		}
		answer := `{"data":` + data + `,"extensions":{"cost":{"requestedQueryCost":1,"actualQueryCost":1,` +
			`"throttleStatus":{"maximumAvailable":20000,"currentlyAvailable":19999,"restoreRate":1000}}}}`
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: req}, nil
	})
}

// walks are all loops over pages there are, each until it ends.
var walks = map[string]func(t *testing.T, c *Client) error{
	"IDs": func(t *testing.T, c *Client) (err error) {
		for w := (Walk{Most: 5000}); w.More() && err == nil; {
			_, err = c.IDs(t.Context(), testShop, limiter.Bulk, 1, 0, &w)
		}
		return err
	},
	"Look at changes": func(t *testing.T, c *Client) error {
		_, err := c.Look(t.Context(), testShop, limiter.Bulk, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), 5000)
		return err
	},
	"Look at deletions": func(t *testing.T, c *Client) error {
		_, err := c.Look(t.Context(), testShop, limiter.Bulk, time.Date(2002, 1, 1, 0, 0, 0, 0, time.UTC), 5000)
		return err
	},
	"Subscriptions": func(t *testing.T, c *Client) error {
		_, err := c.Subscriptions(t.Context(), testShop, limiter.Bulk)
		return err
	},
	"variants": func(t *testing.T, c *Client) error {
		_, err := c.Product(t.Context(), testShop, limiter.Bulk, 1)
		return err
	},
	"media": func(t *testing.T, c *Client) error {
		_, err := c.Product(t.Context(), testShop, limiter.Bulk, 2)
		return err
	},
}

func TestEveryLoopOverPagesEndsWhateverTheShopSays(t *testing.T) {
	fresh := func(n int) string { return fmt.Sprint("page ", n) }
	some := func(int) int { return 10 }
	for _, tt := range []struct {
		name, words string
		cursor      func(n int) string
		nodes       func(n int) int
	}{
		{"the same cursor", "a page again that was read already", func(int) string { return "same" }, some},
		{"cursors in a circle", "a page again that was read already", func(n int) string { return fmt.Sprint(n % 7) }, some},
		{"ever new ids", "the list does not end: ", fresh, some},
		{"no cursor", "a next page but no way to it", func(int) string { return "" }, some},
		{"too many entries", "entries where ", fresh, func(int) int { return 2001 }},
		{"long cursors", "the list does not end: ", func(n int) string { return fmt.Sprint(n, strings.Repeat("x", 3<<20)) }, some},
	} {
		if testing.Short() && tt.cursor(1) != tt.cursor(8) {
			continue // thousands of entries
		}
		for name, walk := range walks {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, rigOptions{static: "token", client: Options{Transport: endless(tt.cursor, tt.nodes)}})
					err := walk(t, r.Client)
					if KindOf(err) != KindUnreadable || !strings.Contains(err.Error(), tt.words) {
						t.Errorf("it ended with %v", err)
					}
					// The bytes of 5,000 entries are 36 MiB: 12 such pages, not the hundred that there can be.
					if entries, pages := 0, 0; tt.name == "long cursors" {
						_, text, _ := strings.Cut(err.Error(), "does not end: ")
						if _, e := fmt.Sscanf(text, "%d entries on %d pages", &entries, &pages); e != nil || pages > 16 {
							t.Errorf("it read %d pages, %v", pages, e)
						}
					}
				})
			})
		}
	}
}
