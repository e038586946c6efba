package fakeshopify

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// eventShop is a shop of one product that sends Events only, and what was sent.
func eventShop(t *testing.T) (*Shop, *receiver, *Product) {
	t.Helper()
	rec := &receiver{}
	s := New(Options{Products: 1, MinVariants: 2, MaxVariants: 2, Secret: "hush", Target: "https://receiver.example", Topics: []string{}, Events: true,
		Client: &http.Client{Transport: rec}, Now: fixed(epoch)})
	p := s.Snapshot()[0]
	return s, rec, &p
}

func drained(t *testing.T, s *Shop) {
	t.Helper()
	if err := s.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestAnEventIsSentOfEachChangedField(t *testing.T) {
	s, rec, p := eventShop(t)
	s.UpdateProduct(p.ID, func(p *Product) {
		p.Title, p.SEO.Title = "New", new(string)
		p.Variants[0].Price = "77.00"
		p.Variants[1].Tracked = !p.Variants[1].Tracked
	})
	drained(t, s)
	var got, ids []string
	for _, g := range rec.got {
		got = append(got, g.header.Get("Shopify-Topic")+" "+g.body)
		ids = append(ids, g.header.Get("Shopify-Webhook-Id"))
		if g.url != "https://receiver.example/webhooks/shopify/events" || g.header.Get("Shopify-Hmac-Sha256") != Sign("hush", []byte(g.body)) ||
			g.header.Get("Shopify-Action") != "update" || g.header.Get("Shopify-Handle") == "" || g.header.Get("X-Shopify-Topic") != "" ||
			g.header.Get("Shopify-Event-Id") != "" {
			t.Errorf("%s: %v", g.url, g.header)
		}
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 3 {
		t.Fatalf("ids %v of %v", ids, got)
	}
	all := strings.ReplaceAll(strings.Join(got, "\n"), `\/`, "/")
	for _, want := range []string{
		`"updated":["product[id: '` + gid("Product", p.ID) + `'].title"]`,
		`"updated":["product[id: '` + gid("Product", p.ID) + `'].variants[id: '` + gid("ProductVariant", p.Variants[0].ID) + `'].price"]`,
		`InventoryItem {"topic":"InventoryItem","action":"update"`,
		`"query_variables":{"productId":"` + gid("Product", p.ID) + `"}`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("missing %s in\n%s", want, all)
		}
	}
}

func TestNoEventIsSentOfStockAndOfSearchEngineTexts(t *testing.T) {
	s, rec, p := eventShop(t)
	s.SetInventory(p.Variants[0].ID, 0, 999)
	s.UpdateProduct(p.ID, func(p *Product) { p.SEO.Title, p.PublishedAt = new(string), nil })
	drained(t, s)
	if len(rec.got) != 0 {
		t.Errorf("%+v", rec.got)
	}
}

func TestASubscriptionToEventsSaysWhichItWants(t *testing.T) {
	s, rec, p := eventShop(t)
	for _, sub := range s.Subscriptions() {
		s.Unsubscribe(sub.ID)
	}
	s.SubscribeEvents(EventSubscription{Handle: "prices", Topic: TopicProductEvent, Actions: []string{"update"}, QueryFails: true,
		Triggers: []string{"product.variants.*"}, URI: "https://receiver.example/e"})
	s.UpdateProduct(p.ID, func(p *Product) { p.Title, p.Variants[0].Price = "New", "77.00" })
	s.DeleteProduct(p.ID)
	drained(t, s)
	if len(rec.got) != 1 || !strings.Contains(rec.got[0].body, ".price") || !strings.Contains(rec.got[0].body, `"data":null,"query_errors":[{"message":`) {
		t.Errorf("%+v", rec.got)
	}
}
