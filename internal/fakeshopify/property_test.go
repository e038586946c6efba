package fakeshopify

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

// checkShop checks what holds after any sequence of edits.
func checkShop(t *rapid.T, s *Shop) {
	if !slices.IsSorted(s.ids) || len(s.ids) != len(s.products) {
		t.Fatalf("%d ids, sorted %v, for %d products", len(s.ids), slices.IsSorted(s.ids), len(s.products))
	}
	owned := 0
	for _, id := range s.ids {
		p := s.products[id]
		if len(p.Variants) == 0 || len(p.Variants) > maxVariants {
			t.Fatalf("%d variants", len(p.Variants))
		}
		owned += 2 * len(p.Variants)
		for _, v := range p.Variants {
			if s.owner[v.ID] != id || s.owner[v.InventoryItemID] != id {
				t.Fatalf("variant %d is owned by %d, not %d", v.ID, s.owner[v.ID], id)
			}
			if v.UpdatedAt.After(p.UpdatedAt) || len(v.Options) != len(p.Options) {
				t.Fatalf("variant %d of %d: %v after %v, or %d options", v.ID, id, v.UpdatedAt, p.UpdatedAt, len(v.Options))
			}
			if v.ImageID != nil && p.image(*v.ImageID) == nil {
				t.Fatalf("variant %d shows an image that is gone", v.ID)
			}
		}
		var body struct {
			ID       int64
			Title    string
			Updated  time.Time `json:"updated_at"`
			Variants []struct {
				ID       int64
				Price    string
				Quantity int `json:"inventory_quantity"`
			}
			GIDs []struct{} `json:"variant_gids"`
		}
		if err := json.Unmarshal(s.body(TopicUpdate, p), &body); err != nil {
			t.Fatal(err)
		}
		if body.ID != id || body.Title != p.Title || !body.Updated.Equal(p.UpdatedAt) || len(body.GIDs) != len(p.Variants) ||
			len(body.Variants) != min(len(p.Variants), fullVariants) {
			t.Fatalf("body of %d does not show it: %+v", id, body)
		}
		for i, v := range body.Variants {
			if w := p.Variants[i]; v.ID != w.ID || v.Price != w.Price || v.Quantity != w.Quantity() {
				t.Fatalf("body's variant %+v is not %+v", v, w)
			}
		}
	}
	if owned != len(s.owner) {
		t.Fatalf("%d owners for %d", len(s.owner), owned)
	}
}

func TestAnyHistoryOfEditsKeepsTheShopWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := epoch
		s := New(Options{Seed: rapid.Uint64().Draw(t, "seed"), Products: rapid.IntRange(0, 6).Draw(t, "products"),
			Chaos: Chaos{SameSecond: 0.3, TriggeredEarly: 0.3}, Target: "https://r.example", Now: func() time.Time { return at }})
		seen := make(map[int64]time.Time)
		last := time.Time{}
		for range rapid.IntRange(1, 30).Draw(t, "edits") {
			at = at.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 400, 1000, 90_000, -2000}).Draw(t, "ms")) * time.Millisecond)
			s.RandomEdit()
			for id, p := range s.products {
				if p.UpdatedAt.Before(seen[id]) {
					t.Fatalf("updated_at of %d went back from %v to %v", id, seen[id], p.UpdatedAt)
				}
				seen[id] = p.UpdatedAt
			}
			if !s.lastTriggered.After(last) {
				t.Fatalf("triggered-at went from %v to %v", last, s.lastTriggered)
			}
			last = s.lastTriggered
		}
		checkShop(t, s)
	})
}

func TestTheActualCostNeverExceedsTheRequestedOne(t *testing.T) {
	s := apiShop(Options{Seed: 6, Products: 30, Now: fixed(epoch), API: APIOptions{Plan: Plan{"big", 1e9, 1e9}}})
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.SampledFrom([]int{0, 1, 2, 3, 10, 30, 31, 250})
		deep := ""
		if rapid.Bool().Draw(rt, "deep") {
			deep = fmt.Sprintf("media(first:%d){nodes{id preview{image{url}}}} options{optionValues{name}} category{name} seo{title description}", n.Draw(rt, "media"))
		}
		query := fmt.Sprintf(`{products(%s:%d,sortKey:%s){nodes{id variants(first:%d){edges{node{id inventoryItem{measurement{weight{value}}} selectedOptions{name}}}} %s}} shop{plan{shopifyPlus}}}`,
			rapid.SampledFrom([]string{"first", "last"}).Draw(rt, "side"), n.Draw(rt, "products"),
			rapid.SampledFrom([]string{"ID", "UPDATED_AT", "TITLE"}).Draw(rt, "sort"), n.Draw(rt, "variants"), deep)
		r := ask(t, s, query, nil)
		if len(r.Errors) > 0 {
			if r.Errors[0].Extensions["code"] == "MAX_COST_EXCEEDED" {
				return
			}
			rt.Fatalf("%s: %+v", query, r.Errors)
		}
		if c := r.Extensions.Cost; *c.ActualQueryCost > c.RequestedQueryCost || *c.ActualQueryCost < 1 {
			rt.Fatalf("%s: requested %d, actual %d", query, c.RequestedQueryCost, *c.ActualQueryCost)
		}
	})
}

func TestTheBucketAgreesWithAnotherOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := rapid.SampledFrom([]Plan{Standard, Advanced, Plus}).Draw(t, "plan")
		now := epoch
		b := bucket{level: plan.Maximum, at: now}
		oracle := rate.NewLimiter(rate.Limit(plan.Restore), int(plan.Maximum))
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "centiseconds")) * 10 * time.Millisecond)
			cost := rapid.IntRange(1, 1000).Draw(t, "cost")
			b.refill(plan, now)
			if d := b.level - float64(cost); d > -1e-6 && d < 1e-6 {
				continue // too near to call for either
			}
			ok := float64(cost) <= b.level
			if ok {
				b.level -= float64(cost)
			}
			if want := oracle.AllowN(now, cost); ok != want {
				t.Fatalf("cost %d at level %v: %v, the other says %v with %v", cost, b.level, ok, want, oracle.TokensAt(now))
			}
		}
	})
}
