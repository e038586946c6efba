package syncer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
)

func TestANewPublicAddressTakesItsSubscriptionsAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		was := r.ours("products/update")[0].ID
		foreign := r.shop.Subscribe("products/update", "https://feed.example/hooks/products/update")
		r.base = "https://New.Example:443/shop/"
		if got, _ := r.check(false); got.Present || len(unlike(got, subWrongAddress)) > 0 {
			t.Errorf("not seen: %+v", got)
		}
		got, healed := r.check(true)
		r.base = "https://new.example/shop"
		if !got.Present || !healed || !r.owesComparison() || len(unlike(got, subMoved)) > 0 {
			t.Errorf("healed %v: %+v", healed, got)
		}
		now := r.ours("products/update")
		if len(now) != 1 || now[0].ID != was || now[0].Address != "https://new.example/shop/webhooks/shopify/products" {
			t.Errorf("%+v", now)
		}
		if len(got.Others) != 1 || got.Others[0].State != subElsewhere || !strings.HasSuffix(got.Others[0].ID, fmt.Sprint(foreign)) {
			t.Errorf("others: %+v", got.Others)
		}
		r.paid()
		r.base = ourBase // and back
		if got, healed := r.check(true); !got.Present || !healed || len(r.ours("products/update")) != 1 || r.ours("products/update")[0].ID != was {
			t.Errorf("back: healed %v, %+v", healed, got)
		}
	})
}

// TestALostRecordStillFindsOldAddresses: the path tells an earlier Stockroom's
// subscription, as after a tunnel that got another name.
func TestALostRecordStillFindsOldAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		old := r.shop.Subscribe("products/update", "https://old-tunnel.example/webhooks/shopify/products")
		level := r.shop.Subscribe("inventory_levels/update", "https://old-tunnel.example/webhooks/shopify/products")
		other := r.shop.Subscribe("products/delete", "https://feed.example/webhooks/shopify/products/deleted")
		got, healed := r.check(true)
		if !got.Present || healed || r.ours("products/update")[0].ID != old || r.ours("inventory_levels/update")[0].ID != level {
			t.Errorf("healed %v: %+v", healed, got)
		}
		if len(got.Others) != 1 || !strings.HasSuffix(got.Others[0].ID, fmt.Sprint(other)) || r.ours("products/delete")[0].ID == other {
			t.Errorf("%+v", got.Others)
		}
	})
}

func TestForeignSubscriptionsAreNeverTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		for i := range 120 { // more than a page
			r.shop.Subscribe("products/update", fmt.Sprintf("https://feed-%d.example/hooks", i))
		}
		r.shop.Subscribe("products/update", "pubsub://project:topic")
		r.shop.Subscribe("products/create", "arn:aws:events:us-east-1::event-source/aws.partner/shopify.com/1/x")
		r.shop.Subscribe("orders/create", "https://erp.example/orders")
		r.shop.Subscribe("products/update", "https://stock.example.evil.example/webhooks/shopify/x")
		r.shop.Subscribe("products/update", "http://stock.example/webhooks/shopify/x")
		before := r.shop.Subscriptions()
		for range 2 {
			got, _ := r.check(true)
			if !got.Present || len(got.Others) != len(before) {
				t.Errorf("%d others, want %d: %v", len(got.Others), len(before), unlike(got, subPresent))
			}
			for _, o := range got.Others {
				if o.State != subElsewhere {
					t.Errorf("%+v", o)
				}
			}
		}
		after := r.shop.Subscriptions()
		for i, s := range before {
			if a := after[i]; a.ID != s.ID || a.Address != s.Address || !a.UpdatedAt.Equal(s.UpdatedAt) {
				t.Errorf("was %+v, is %+v", s, a)
			}
		}
	})
}

// TestTwoStockroomsOnOneAppLeaveEachOtherAlone: the second takes over once, as
// after a move; the first makes its own, and from then on both stand.
func TestTwoStockroomsOnOneAppLeaveEachOtherAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSubRig(t, fakeshopify.Options{})
		a.check(true)
		b := newSubRig(t, fakeshopify.Options{})
		b.shop, b.o.API, b.base = a.shop, a.o.API, "https://second.example"
		if got, _ := b.check(true); !got.Present || len(unlike(got, subMoved)) > 0 {
			t.Errorf("%+v", got)
		}
		if got, healed := a.check(true); !got.Present || !healed || len(unlike(got, subCreated)) > 0 {
			t.Errorf("healed %v: %+v", healed, got)
		}
		for range 3 {
			for _, r := range []*subRig{b, a} {
				if got, healed := r.check(true); !got.Present || healed || len(unlike(got, subPresent)) > 0 || len(got.Others) != len(wantedTopics) {
					t.Errorf("%s: healed %v, %+v", r.base, healed, got)
				}
			}
		}
		// Also when one of them loses its own.
		a.shop.Unsubscribe(a.ours("products/update")[0].ID)
		if got, healed := a.check(true); !got.Present || !healed || len(a.ours("products/update")) != 1 || len(b.ours("products/update")) != 1 {
			t.Errorf("healed %v, %+v", healed, got)
		}
	})
}

func TestWhatLeavesSomethingOutIsReplaced(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(s *fakeshopify.Subscription)
		calls []string
	}{
		// Shopify takes these two for the same: the old one has to go first.
		{"fields", func(s *fakeshopify.Subscription) { s.IncludeFields = []string{"id", "title"} }, []string{"create products/update", "delete", "create products/update"}},
		// Here the new one comes first, so that nothing falls between them.
		{"a filter", func(s *fakeshopify.Subscription) { s.Filter = "status:active" }, []string{"create products/update", "delete"}},
		{"XML", func(s *fakeshopify.Subscription) { s.Format = "XML" }, []string{"create products/update", "delete"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSubRig(t, fakeshopify.Options{})
				r.check(true)
				r.shop.Resubscribe(r.ours("products/update")[0].ID, tt.spoil)
				got, _ := r.check(false)
				if got.Present || unlike(got, subPresent)["products/update"] != subIncomplete {
					t.Errorf("not seen: %+v", got)
				}
				a := r.spoil()
				got, healed := r.check(true)
				if !got.Present || !healed || !r.owesComparison() {
					t.Errorf("healed %v: %+v", healed, got)
				}
				if !slices.Equal(a.calls[1:], tt.calls) {
					t.Errorf("calls %q", a.calls)
				}
				now := r.ours("products/update")
				if len(now) != 1 || now[0].Format != "JSON" || now[0].Filter != "" || len(now[0].IncludeFields) > 0 {
					t.Errorf("%+v", now)
				}
			})
		})
	}
}

func TestASurplusOneIsDeletedOnlyWhenItIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		by := r.shop.Subscribe("products/update", ourBase+"/webhooks/shopify/by-hand")
		got, _ := r.check(true)
		if !got.Present || len(got.Others) != 1 || got.Others[0].State != subDuplicate || len(r.ours("products/update")) != 2 {
			t.Fatalf("%+v", got)
		}
		rec := r.subscriptionRecord(testShop)
		rec.Made = append(rec.Made, got.Others[0].ID) // as if we had made it
		if err := r.saveSubscriptionRecord(testShop, rec); err != nil {
			t.Fatal(err)
		}
		got, healed := r.check(true)
		if left := r.ours("products/update"); healed || len(got.Others) != 0 || len(left) != 1 || left[0].ID == by {
			t.Errorf("healed %v: %+v, left %+v", healed, got.Others, left)
		}
	})
}

// TestAHandMadeOneBelowOurPathServes: every path below ours takes every topic.
func TestAHandMadeOneBelowOurPathServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		for _, topic := range wantedTopics {
			r.shop.Subscribe(topic, "https://Stock.Example:443/webhooks/shopify/products")
		}
		a := r.spoil()
		if got, healed := r.check(true); !got.Present || healed || len(unlike(got, subPresent)) > 0 || len(a.calls) != 1 {
			t.Errorf("healed %v, %q: %+v", healed, a.calls, got)
		}
	})
}

func TestWithoutAPublicAddressNothingIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		for base, words := range map[string]string{
			"": "--public-url https://YOUR-HOST", "http://stock.example": "https only", "stock.example": "no address", "ftp://x": "no address",
		} {
			r.base = base
			got, healed := r.check(true)
			if got.Present || healed || !strings.Contains(got.Error+got.Next, words) || len(r.shop.Subscriptions()) > 0 {
				t.Errorf("%q: %+v", base, got)
			}
		}
		// What is there is believed.
		r.base = ""
		for _, topic := range wantedTopics {
			r.shop.Subscribe(topic, ourBase+HookPath(topic))
		}
		if got, _ := r.check(true); !got.Present || got.Error != "" || len(unlike(got, subPresent)) > 0 {
			t.Errorf("%+v", got)
		}
		r.shop.Unsubscribe(r.shop.Subscriptions()[1].ID)
		if got, _ := r.check(true); got.Present || unlike(got, subPresent)["products/update"] != subMissing {
			t.Errorf("%+v", got)
		}
		r.base = ourBase
		if got, healed := r.check(true); !got.Present || !healed {
			t.Errorf("healed %v: %+v", healed, got)
		}
	})
}

func TestLoopbackMayBePlainHTTP(t *testing.T) {
	for base, ok := range map[string]bool{
		"http://127.0.0.1:8080": true, "http://localhost:8080": true, "http://[::1]:8080": true, "http://127.0.0.1": true,
		"http://10.0.0.1:8080": false, "http://localhost.example": false, "https://x.example/a/": true,
	} {
		if _, problem := parseBase(base); (problem == trouble{}) != ok {
			t.Errorf("%s: %+v", base, problem)
		}
	}
	a, _ := parseBase("http://127.0.0.1:8080")
	for uri, want := range map[string]bool{
		"http://127.0.0.1:8080/webhooks/shopify/products": true, "http://127.0.0.1:8080/webhooks/shopify": false,
		"https://127.0.0.1:8080/webhooks/shopify/products": false, "http://127.0.0.1/webhooks/shopify/products": false, "pubsub://a:b": false,
	} {
		if a.leadsTo(uri) != want {
			t.Errorf("%s leads to %+v: %v", uri, a, !want)
		}
	}
	var nowhere *address
	if nowhere.leadsTo("https://stock.example/webhooks/shopify/products") {
		t.Error("an unknown place is led to")
	}
}

// TestAPlanIsKeptWhateverTheOrderOfTheList: Shopify promises none.
func TestAPlanIsKeptWhateverTheOrderOfTheList(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	base, _ := parseBase(ourBase)
	sub := func(id, topic, uri string) shopify.Subscription {
		return shopify.Subscription{ID: id, Topic: topic, URI: uri, Format: "JSON", CreatedAt: at}
	}
	list := []shopify.Subscription{
		sub("1", "products/update", "https://old.example/webhooks/shopify/products"),
		sub("2", "products/update", ourBase+"/webhooks/shopify/other"),
		sub("3", "products/update", ourBase+"/webhooks/shopify/products"),
		sub("4", "products/update", "https://feed.example/x"),
	}
	rec := subscriptionRecord{Topics: map[string]topicRecord{}, Made: []string{"2", "4"}}
	for range 24 {
		p := planSubscriptions(base, list, rec, nil)
		if s := p.steps[1]; s.do != keepSub || s.have.ID != "3" || len(p.others) != 3 || len(p.surplus) != 1 || p.surplus[0].ID != "2" {
			t.Errorf("%+v, surplus %+v", s, p.surplus)
		}
		list = append(list[1:], list[0])
	}
}
