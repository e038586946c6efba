package shopify

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
)

func TestAProductWith2048VariantsIsReadWhole(t *testing.T) {
	for _, tt := range []struct {
		name string
		plan fakeshopify.Plan
		opt  limiter.Options
		most int // calls
	}{
		{"with a learnt budget in two pages", fakeshopify.Standard, limiter.Options{}, 3},
		{"with a budget of 200 points in small pages", fakeshopify.Plan{Maximum: 200, Restore: 50}, limiter.Options{}, 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{static: "token", limiter: tt.opt, shop: fakeshopify.Options{
					Products: 1, Huge: 1, API: fakeshopify.APIOptions{Plan: tt.plan}}})
				time.Sleep(time.Minute)
				id := r.shop.IDs()[0]
				before, _ := r.shop.Product(id)
				p, err := r.Product(t.Context(), testShop, limiter.WebhookRefetch, id)
				if err != nil {
					t.Fatal(err)
				}
				if n := len(p.Variants.Value()); n != 2048 || n != len(before.Variants) || !p.VariantsComplete {
					t.Errorf("read %d variants of %d", n, len(before.Variants))
				}
				for i, v := range p.Variants.Value() {
					if v.ID != before.Variants[i].ID || v.SKU.Value() != str(before.Variants[i].SKU) {
						t.Fatalf("variant %d is another one", i)
					}
				}
				if s := r.shop.APIStats(); s.Calls > tt.most || s.Throttled > 0 {
					t.Errorf("%d calls, %d throttled", s.Calls, s.Throttled)
				}
			})
		})
	}
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func TestManyImagesAreReadWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", limiter: limiter.Options{Points: 80, Fixed: true}, shop: fakeshopify.Options{Products: 1, API: fakeshopify.APIOptions{NoThrottleStatus: true}}})
		id := r.shop.IDs()[0]
		r.shop.UpdateProduct(id, func(p *fakeshopify.Product) {
			for len(p.Images) < 40 {
				p.Images = append(p.Images, fakeshopify.Image{Src: "https://cdn.example/" + strings.Repeat("x", len(p.Images)) + ".jpg", Width: 1, Height: 1})
			}
		})
		time.Sleep(2 * time.Minute)
		for {
			p, err := r.Product(t.Context(), testShop, limiter.WebhookRefetch, id)
			if KindOf(err) == KindBudget { // as a job does
				time.Sleep(time.Until(err.(*Error).RetryAt))
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if n := len(p.Images.Value()); n != 40 {
				t.Errorf("read %d images of 40", n)
			}
			break
		}
	})
}

func TestAProductThatIsGoneIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", shop: fakeshopify.Options{Products: 1}})
		p, err := r.Product(t.Context(), testShop, limiter.WebhookRefetch, 404)
		if p != nil || err != nil {
			t.Errorf("got %v, %v", p, err)
		}
	})
}

// afterCall lets something happen in the shop after each call of an operation.
func afterCall(op string, do func(n int)) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		n := 0
		return transportFunc(func(req *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return nil, err
			}
			req.Body = io.NopCloser(bytes.NewReader(body))
			res, err := next.RoundTrip(req)
			if strings.Contains(string(body), "query "+op+"(") {
				n++
				do(n)
			}
			return res, err
		})
	}
}

func TestPagesOfTwoStatesOfAProductAreNeverJoined(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edits int // after how many first pages the product changes
		wait  time.Duration
		kind  Kind
	}{
		{"one edit between the pages: read again", 1, 3 * time.Second, 0},
		{"an edit in the same second: read again", 1, 0, 0},
		{"an edit after every first page: given up for now", 99, 3 * time.Second, KindChanging},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r *rig
				edit := func() {
					r.shop.UpdateProduct(r.shop.IDs()[0], func(p *fakeshopify.Product) {
						// The count stays, so that only the times can tell.
						p.Title += "!"
						p.Variants[0].Price += "1"
						p.Variants[len(p.Variants)-1].Price += "1"
					})
				}
				r = newRig(t, rigOptions{
					static: "token", shop: fakeshopify.Options{Products: 1, Huge: 1, API: fakeshopify.APIOptions{Plan: fakeshopify.Plus}},
					wrap: afterCall("Product", func(n int) {
						if n <= tt.edits {
							edit()
						}
					}),
				})
				time.Sleep(time.Minute)
				if tt.wait == 0 {
					edit() // the edit between the pages comes in this second too
				}
				p, err := r.Product(t.Context(), testShop, limiter.WebhookRefetch, r.shop.IDs()[0])
				if KindOf(err) != tt.kind {
					t.Fatalf("got %v", err)
				}
				if err != nil {
					return
				}
				now, _ := r.shop.Product(p.ID)
				if len(p.Variants.Value()) != len(now.Variants) || p.Title.Value() != now.Title {
					t.Errorf("read %d variants of %q; there are %d of %q", len(p.Variants.Value()), p.Title.Value(), len(now.Variants), now.Title)
				}
				for i, v := range p.Variants.Value() {
					got, _ := catalog.CanonicalDecimal(v.Price.Value())
					want, _ := catalog.CanonicalDecimal(now.Variants[i].Price)
					if v.ID != now.Variants[i].ID || got != want {
						t.Fatalf("variant %d costs %s, not %s: it is of another state", i, got, want)
					}
				}
			})
		})
	}
}

func TestAMiscountedProductIsNotTakenForWhole(t *testing.T) {
	n := productNode{Variants: connection[variantNode]{Nodes: []variantNode{{ID: "a"}, {ID: "b"}}}}
	for _, tt := range []struct {
		count *countNode
		ids   []string
		whole bool
	}{
		{&countNode{2, "EXACT"}, []string{"a", "b"}, true},
		{&countNode{3, "EXACT"}, []string{"a", "b"}, false},
		{&countNode{2, "AT_LEAST"}, []string{"a", "b"}, false},
		{&countNode{2, "EXACT"}, []string{"a", "a"}, false},
		{nil, []string{"a", "b"}, false},
	} {
		n.VariantsCount = tt.count
		for i, id := range tt.ids {
			n.Variants.Nodes[i].ID = id
		}
		if complete(&n) != tt.whole {
			t.Errorf("%v %v: taken for whole: %v", tt.count, tt.ids, !tt.whole)
		}
	}
}

func TestTheProductOfAnInventoryItemIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", shop: fakeshopify.Options{Products: 2}})
		p, _ := r.shop.Product(r.shop.IDs()[1])
		id, err := r.ProductOfItem(t.Context(), testShop, limiter.WebhookRefetch, p.Variants[0].InventoryItemID)
		if id != p.ID || err != nil {
			t.Errorf("got %d, %v", id, err)
		}
		id, err = r.ProductOfItem(t.Context(), testShop, limiter.WebhookRefetch, 1)
		if id != 0 || err != nil {
			t.Errorf("of an unknown item: got %d, %v", id, err)
		}
	})
}
