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
		r.o.PublicURL = "https://new.example/shop"
		if got, _ := r.check(false); got.Present || len(unlike(got, subWrongAddress)) > 0 {
			t.Errorf("not seen: %+v", got)
		}
		got, healed := r.check(true)
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
		r.o.PublicURL = ourBase // and back
		if got, healed := r.check(true); !got.Present || !healed || len(r.ours("products/update")) != 1 || r.ours("products/update")[0].ID != was {
			t.Errorf("back: healed %v, %+v", healed, got)
		}
	})
}

// TestWithoutARecordOnlyWhatLeadsHereIsOurs: the record is what tells our old
// subscriptions from those of another Stockroom.
func TestWithoutARecordOnlyWhatLeadsHereIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		if err := r.state.Delete(subscriptionMarks, testShop); err != nil {
			t.Fatal(err)
		}
		a := r.spoil()
		if got, healed := r.check(true); !got.Present || healed || len(unlike(got, subPresent)) > 0 || len(a.calls) != 1 {
			t.Errorf("at the same address: healed %v, %q: %+v", healed, a.calls, got)
		}
		r.o.PublicURL = "https://new.example" // those were learnt again
		if got, _ := r.check(true); !got.Present || len(unlike(got, subMoved)) > 0 {
			t.Errorf("moved: %+v", got)
		}
		if err := r.state.Delete(subscriptionMarks, testShop); err != nil {
			t.Fatal(err)
		}
		r.o.PublicURL = ourBase
		got, _ := r.check(true)
		if !got.Present || len(unlike(got, subCreated)) > 0 || len(got.Others) != len(wantedTopics) || got.Others[0].State != subElsewhere {
			t.Errorf("at another address: %+v", got)
		}
	})
}

// TestAMoveWhoseAnswerIsLostIsKnown also when the address changes once more
// before the next check.
func TestAMoveWhoseAnswerIsLostIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		was := r.ours("products/create")[0].ID
		r.o.PublicURL = "https://second.example"
		a := r.spoil()
		a.after = func(call string) error {
			if call == "move" {
				return &shopify.Error{Kind: shopify.KindTimeout}
			}
			return nil
		}
		if _, err := r.checkSubscriptions(t.Context(), testShop, true); err == nil {
			t.Fatal("no answer was lost")
		}
		a.after = nil
		r.o.PublicURL = "https://third.example"
		got, healed := r.check(true)
		if have := r.ours("products/create"); !got.Present || !healed || len(unlike(got, subMoved)) > 0 || len(got.Others) > 0 || len(have) != 1 || have[0].ID != was {
			t.Errorf("healed %v: %+v, %+v", healed, got, have)
		}
	})
}

// TestWhatEarlierVersionsRememberedStillHolds: their record has what served each
// topic, and further keys.
func TestWhatEarlierVersionsRememberedStillHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		id := r.shop.Subscribe("products/update", "https://old.example/webhooks/shopify/products")
		text := fmt.Sprintf(`{"topics":{"products/update":{"id":"gid://shopify/WebhookSubscription/%d",`+
			`"uri":"https://old.example/webhooks/shopify/products","listed":true,"asked":"2026-11-23T12:00:00Z"}},`+
			`"bases":["https://old.example"],"made":["x"],"foreign":["y"]}`, id)
		if err := r.state.Put(subscriptionMarks, testShop, []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, healed := r.check(true)
		if have := r.ours("products/update"); !got.Present || !healed || unlike(got, subCreated)["products/update"] != subMoved || len(have) != 1 || have[0].ID != id {
			t.Errorf("healed %v: %+v, %+v", healed, got, have)
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

// TestTwoStockroomsOnOneAppLeaveEachOtherAlone: each makes its own, also one that
// has the other's record, as a copy of its data dir has. That one takes them over
// once, as after a move; the first makes its own, and from then on both stand.
func TestTwoStockroomsOnOneAppLeaveEachOtherAlone(t *testing.T) {
	for _, copied := range []bool{false, true} {
		t.Run(fmt.Sprint("copied ", copied), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { twoStockrooms(t, copied) })
		})
	}
}

func twoStockrooms(t *testing.T, copied bool) {
	a := newSubRig(t, fakeshopify.Options{})
	a.check(true)
	b := newSubRig(t, fakeshopify.Options{})
	b.shop, b.o.API, b.o.PublicURL = a.shop, a.o.API, "https://second.example"
	first, second := subPresent, subCreated
	if copied {
		first, second = subCreated, subMoved
		if err := b.saveSubscriptionRecord(testShop, a.subscriptionRecord(testShop)); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := b.check(true); !got.Present || len(unlike(got, second)) > 0 {
		t.Errorf("%+v", got)
	}
	if got, healed := a.check(true); !got.Present || healed != copied || len(unlike(got, first)) > 0 {
		t.Errorf("healed %v: %+v", healed, got)
	}
	for range 3 {
		for _, r := range []*subRig{b, a} {
			if got, healed := r.check(true); !got.Present || healed || len(unlike(got, subPresent)) > 0 || len(got.Others) != len(wantedTopics) {
				t.Errorf("%s: healed %v, %+v", r.o.PublicURL, healed, got)
			}
		}
	}
	// Also when one of them loses its own.
	a.shop.Unsubscribe(a.ours("products/update")[0].ID)
	if got, healed := a.check(true); !got.Present || !healed || len(a.ours("products/update")) != 1 || len(b.ours("products/update")) != 1 {
		t.Errorf("healed %v, %+v", healed, got)
	}
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
		rec.Ours[got.Others[0].ID] = got.Others[0].URI // as if we had made it
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
			r.shop.Subscribe(topic, ourBase+"/webhooks/shopify/products")
		}
		a := r.spoil()
		if got, healed := r.check(true); !got.Present || healed || len(unlike(got, subPresent)) > 0 || len(a.calls) != 1 {
			t.Errorf("healed %v, %q: %+v", healed, a.calls, got)
		}
	})
}

// TestAPlanIsKeptWhateverTheOrderOfTheList: Shopify promises none.
func TestAPlanIsKeptWhateverTheOrderOfTheList(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	sub := func(id, topic, uri string) shopify.Subscription {
		return shopify.Subscription{ID: id, Topic: topic, URI: uri, Format: "JSON", CreatedAt: at}
	}
	list := []shopify.Subscription{
		sub("1", "products/update", "https://old.example/webhooks/shopify/products"),
		sub("2", "products/update", ourBase+"/webhooks/shopify/other"),
		sub("3", "products/update", ourBase+"/webhooks/shopify/products"),
		sub("4", "products/update", "https://feed.example/x"),
	}
	rec := subscriptionRecord{Topics: map[string]topicRecord{}, Ours: map[string]string{"2": ourBase + "/webhooks/shopify/other", "4": ourBase}}
	for range 24 {
		p := planSubscriptions(ourBase, list, rec, nil)
		if s := p.steps[1]; s.do != keepSub || s.have.ID != "3" || len(p.others) != 3 || len(p.surplus) != 1 || p.surplus[0].ID != "2" {
			t.Errorf("%+v, surplus %+v", s, p.surplus)
		}
		list = append(list[1:], list[0])
	}
}
