package shopify

import (
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
)

func addImages(r *rig, id int64, n int) {
	r.shop.UpdateProduct(id, func(p *fakeshopify.Product) {
		for len(p.Images) < n {
			p.Images = append(p.Images, fakeshopify.Image{Src: "https://cdn.example/" + strings.Repeat("x", len(p.Images)) + ".jpg", Width: 1, Height: 1})
		}
	})
}

func TestProductsAreReadTogetherAsEachIsReadByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: MostAtOnce, MaxVariants: 5, Large: 1, Huge: 1})
		ids := r.shop.IDs()
		pictures := ids[len(ids)-1]
		addImages(r, pictures, 26)
		r.shop.DeleteProduct(ids[10])
		if _, err := r.Product(t.Context(), testShop, limiter.Reconcile, ids[0]); err != nil { // teaches the budget
			t.Fatal(err)
		}
		before := r.shop.APIStats().Calls
		got, err := r.Products(t.Context(), testShop, limiter.Reconcile, ids)
		if err != nil {
			t.Fatal(err)
		}
		if n := r.shop.APIStats().Calls - before; n != 1 {
			t.Errorf("%d calls", n)
		}
		large := 0
		for _, id := range ids {
			want, err := r.Product(t.Context(), testShop, limiter.Reconcile, id)
			if err != nil {
				t.Fatal(err)
			}
			p, there := got[id]
			switch {
			case want != nil && (len(want.Variants.Value()) > 100 || id == pictures):
				if large++; there {
					t.Errorf("product %d does not fit and was taken for whole", id)
				}
			case !there || !reflect.DeepEqual(p, want):
				t.Errorf("product %d: %v, %+v, not %+v", id, there, p, want)
			}
		}
		if large < 3 || got[ids[10]] != nil {
			t.Errorf("%d that do not fit; the deleted one is %v", large, got[ids[10]])
		}
	})
}

// TestProductsAreReadTogetherWithinTheDefaultBudget holds a shop that never tells
// its budget.
func TestProductsAreReadTogetherWithinTheDefaultBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", limiter: limiter.Options{Points: 80, Fixed: true}, shop: fakeshopify.Options{
			Products: 50, MaxVariants: 5, Large: -1, Huge: -1, API: fakeshopify.APIOptions{NoThrottleStatus: true}}})
		time.Sleep(2 * time.Minute)
		got, err := r.Products(t.Context(), testShop, limiter.Reconcile, r.shop.IDs())
		for KindOf(err) == KindBudget { // as a run does
			time.Sleep(time.Until(err.(*Error).RetryAt))
			got, err = r.Products(t.Context(), testShop, limiter.Reconcile, r.shop.IDs())
		}
		if err != nil || len(got) < 40 {
			t.Errorf("read %d of 50, %v", len(got), err)
		}
	})
}

// rewritten lets something change the answers to an operation.
func rewritten(op string, change func(body string) string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return transportFunc(func(req *http.Request) (*http.Response, error) {
			asked, err := io.ReadAll(req.Body)
			if err != nil {
				return nil, err
			}
			req.Body = io.NopCloser(bytes.NewReader(asked))
			res, err := next.RoundTrip(req)
			if err != nil || !strings.Contains(string(asked), "query "+op+"(") {
				return res, err
			}
			body, err := io.ReadAll(res.Body)
			text := change(string(body))
			res.Body, res.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			return res, err
		})
	}
}

func TestOneProductThatCannotBeReadDoesNotSpoilTheOthers(t *testing.T) {
	first := func(old, text string) func(string) string {
		return func(body string) string { return strings.Replace(body, old, text, 1) }
	}
	for _, tt := range []struct {
		name   string
		change func(body string) string
		left   int // how many of three are read
	}{
		{"an id of another kind", first("gid://shopify/InventoryItem/", "gid://shopify/Thing/"), 2},
		{"a field of another shape", first(`"vendor":"`, `"vendor":7,"x":"`), 2},
		{"another product", first("gid://shopify/Product/", "gid://shopify/Product/1"), 2},
		{"a wrong count of variants", first(`"precision":"EXACT"`, `"precision":"AT_LEAST"`), 2},
		{"fewer than were asked for", func(string) string { return `{"data":{"nodes":[null,null]}}` }, 0},
		{"a fault in one of them", func(string) string {
			return `{"data":{"nodes":[null,null,null]},"errors":[{"message":"no","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`
		}, 0},
		{"too long", func(string) string { return strings.Repeat(" ", 7<<20) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{static: "token", wrap: rewritten("Products", tt.change),
					shop: fakeshopify.Options{Products: 3, MaxVariants: 3, Large: -1, Huge: -1}})
				got, err := r.Products(t.Context(), testShop, limiter.Reconcile, r.shop.IDs())
				if err != nil || len(got) != tt.left {
					t.Fatalf("%d products, %v", len(got), err)
				}
				for id, p := range got {
					if p == nil || p.ID != id || p.Coverage != catalog.Complete {
						t.Errorf("product %d: %+v", id, p)
					}
				}
			})
		})
	}
}

func TestAFaultOfTheWholeBatchIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", shop: fakeshopify.Options{Products: 3}})
		r.shop.SetTokens("another")
		got, err := r.Products(t.Context(), testShop, limiter.Reconcile, r.shop.IDs())
		if KindOf(err) != KindToken || got != nil {
			t.Errorf("%v, %v", got, err)
		}
	})
}
