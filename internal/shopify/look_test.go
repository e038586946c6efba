package shopify

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
)

// withVars lets something change the variables of each call before the shop sees
// them.
func withVars(change func(vars map[string]any)) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return transportFunc(func(req *http.Request) (*http.Response, error) {
			var in struct {
				Query     string         `json:"query"`
				Variables map[string]any `json:"variables"`
			}
			if err := json.NewDecoder(req.Body).Decode(&in); err != nil {
				return nil, err
			}
			change(in.Variables)
			body, err := json.Marshal(in)
			if err != nil {
				return nil, err
			}
			req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			return next.RoundTrip(req)
		})
	}
}

func TestALookFindsWhatChangedAndWhatWasDeletedInOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: 10})
		ids := r.shop.IDs()
		r.shop.DeleteProduct(ids[0])
		time.Sleep(time.Hour)
		mark := time.Now()
		r.shop.UpdateProduct(ids[3], func(p *fakeshopify.Product) { p.Title += "!" })
		time.Sleep(time.Second)
		r.shop.UpdateProduct(ids[7], func(p *fakeshopify.Product) { p.Title += "!" })
		r.shop.DeleteProduct(ids[2])
		for _, tt := range []struct {
			since         time.Time
			changed, gone []int64
		}{
			{mark.Add(999 * time.Millisecond), []int64{ids[3], ids[7]}, []int64{ids[2]}},
			{mark.Add(time.Second), []int64{ids[7]}, []int64{ids[2]}},
			{mark.Add(2 * time.Second), nil, nil},
		} {
			before := r.shop.APIStats().Calls
			look, err := r.Look(t.Context(), testShop, limiter.Reconcile, tt.since, 250)
			if err != nil || !look.Whole {
				t.Fatalf("%+v, %v", look, err)
			}
			var changed, gone []int64
			for _, l := range look.Changed {
				changed = append(changed, l.ID)
				if p, _ := r.shop.Product(l.ID); l.UpdatedAt != p.UpdatedAt.UnixMilli() || l.Variants != -1 {
					t.Errorf("%+v", l)
				}
			}
			for _, d := range look.Deleted {
				gone = append(gone, d.Product)
			}
			if !slices.Equal(changed, tt.changed) || !slices.Equal(gone, tt.gone) {
				t.Errorf("since %s: changed %v, deleted %v", tt.since, changed, gone)
			}
			if n := r.shop.APIStats().Calls - before; n > 2 { // the first one teaches the budget
				t.Errorf("%d calls", n)
			}
		}
	})
}

// TestALookGoesOnWithoutEvents holds that changes are listed where the app may not
// read the events, and that what could not be listed is told.
func TestALookGoesOnWithoutEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{shop: fakeshopify.Options{Products: 10}, wrap: func(next http.RoundTripper) http.RoundTripper {
			return transportFunc(func(req *http.Request) (*http.Response, error) {
				body, err := io.ReadAll(req.Body)
				if err != nil {
					return nil, err
				}
				if bytes.Contains(body, []byte(`"withEvents":true`)) {
					const denied = `{"data":null,"errors":[{"message":"Access denied for events field.","path":["deleted"],"extensions":{"code":"SOME_CODE"}}]}`
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(denied)), Request: req}, nil
				}
				req.Body = io.NopCloser(bytes.NewReader(body))
				return next.RoundTrip(req)
			})
		}})
		time.Sleep(time.Hour)
		mark := time.Now()
		r.shop.UpdateProduct(r.shop.IDs()[3], func(p *fakeshopify.Product) { p.Title += "!" })
		r.shop.DeleteProduct(r.shop.IDs()[0])
		look, err := r.Look(t.Context(), testShop, limiter.Reconcile, mark, 250)
		if err != nil || !look.Whole || len(look.Changed) != 1 || len(look.Deleted) != 0 || look.NoEvents == nil || !strings.Contains(look.NoEvents.Error(), "Access denied") {
			t.Errorf("%+v, %v", look, err)
		}
	})
}

func TestALookReadsFurtherPagesUntilItHasWhatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: 1200, MaxVariants: 1, Large: -1, Huge: -1})
		ids := r.shop.IDs()
		time.Sleep(time.Hour)
		mark := time.Now()
		for _, id := range ids[:600] {
			r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title += "!" })
		}
		for _, id := range ids[600:900] {
			r.shop.DeleteProduct(id)
		}
		time.Sleep(time.Minute)
		for _, tt := range []struct {
			most, changed, deleted int
			whole                  bool
		}{{1000, 600, 300, true}, {500, 500, 300, false}, {1, 250, 250, false}} {
			look, err := r.Look(t.Context(), testShop, limiter.Reconcile, mark, tt.most)
			if err != nil || look.Whole != tt.whole || len(look.Changed) != tt.changed || len(look.Deleted) != tt.deleted {
				t.Errorf("at most %d: %d changed, %d deleted, whole %v, %v", tt.most, len(look.Changed), len(look.Deleted), look.Whole, err)
			}
			for i, l := range look.Changed {
				if l.ID != ids[i] {
					t.Fatalf("the changed product %d is another one", i)
				}
			}
		}
	})
}

func TestASearchThatDoesNotFilterByTimeIsNoticed(t *testing.T) {
	for _, tt := range []struct {
		name, words string
		change      func(vars map[string]any)
		fails       bool
	}{
		{"it matches everything", "it found product ", func(vars map[string]any) { vars["changed"], vars["canary"] = "", "" }, true},
		{"only the canary shows it", "it found product ", func(vars map[string]any) { vars["canary"] = "" }, true},
		{"only the times show it", "which is not in the window", func(vars map[string]any) { vars["changed"] = "" }, true},
		{"the time has no quotes", "which is not in the window", func(vars map[string]any) {
			for _, name := range []string{"changed", "canary"} {
				if s, ok := vars[name].(string); ok {
					vars[name] = strings.ReplaceAll(s, "'", "")
				}
			}
		}, true},
		{"Shopify warns of it", "it did not understand the search: updated", func(vars map[string]any) {
			for _, name := range []string{"changed", "canary"} {
				if s, ok := vars[name].(string); ok {
					vars[name] = strings.ReplaceAll(s, "updated_at", "updated")
				}
			}
		}, true},
		{"the search for events finds all of them", "", func(vars map[string]any) { vars["deleted"] = "" }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{static: "token", shop: fakeshopify.Options{Products: 600, MaxVariants: 1, Large: -1, Huge: -1},
					wrap: withVars(func(vars map[string]any) {
						if vars["changed"] != nil {
							tt.change(vars)
						}
					})})
				ids := r.shop.IDs()
				for _, id := range ids[:400] {
					r.shop.DeleteProduct(id)
				}
				r.shop.UpdateProduct(ids[550], func(p *fakeshopify.Product) { p.Title += "!" })
				time.Sleep(2 * time.Hour)
				r.shop.DeleteProduct(ids[500])
				before := r.shop.APIStats().Calls
				look, err := r.Look(t.Context(), testShop, limiter.Reconcile, time.Now().Add(-time.Hour), 1000)
				if !tt.fails {
					if err != nil || !look.Whole || len(look.Deleted) != 1 || look.Deleted[0].Product != ids[500] {
						t.Errorf("%+v, %v", look, err)
					}
					if n := r.shop.APIStats().Calls - before; n > 2 {
						t.Errorf("it read on through the events of a year, %d calls", n)
					}
					return
				}
				if KindOf(err) != KindUnreadable || !strings.Contains(err.Error(), "the shop's search does not filter by time: ") ||
					!strings.Contains(err.Error(), tt.words) || len(look.Changed)+len(look.Deleted) > 0 {
					t.Errorf("%+v, %v", look, err)
				}
			})
		})
	}
}
