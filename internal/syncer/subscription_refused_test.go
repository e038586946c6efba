package syncer

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
)

// reasons are those of the wanted topics that have one.
func reasons(s Subscriptions) map[string]string {
	list := map[string]string{}
	for _, w := range s.Wanted {
		if w.Reason != "" {
			list[w.Topic] = w.Reason
		}
	}
	return list
}

func TestWhyShopifyRefusesIsKeptUntilItDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.o.PublicURL = "https://my-shop.myshopify.com"
		const reason = "Address cannot be a Shopify or an internal domain"
		got, _ := r.check(true)
		if got.Present || got.Error != "Shopify refuses the address https://my-shop.myshopify.com: "+reason+"." ||
			!strings.Contains(got.Next, "another --public-url") || len(reasons(got)) != len(wantedTopics) || reasons(got)["products/update"] != reason {
			t.Fatalf("%+v", got)
		}
		// Looking asks for nothing, and a restart forgets nothing.
		r.keeperOf(testShop).subscriptions = Subscriptions{}
		if again, _ := r.check(false); again.Error != got.Error || again.Next != got.Next || reasons(again)["products/update"] != reason {
			t.Errorf("looked at: %+v", again)
		}
		r.o.PublicURL = ourBase
		if got, _ := r.check(false); got.Error != "" || len(reasons(got)) > 0 || !strings.Contains(got.Next, "Press Register") {
			t.Errorf("another address: %+v", got)
		}
		if got, _ := r.check(true); !got.Present || got.Error != "" || got.Next != "" || len(reasons(got)) > 0 {
			t.Errorf("mended: %+v", got)
		}
	})
}

func TestAPermissionThatLacksIsNoFaultOfTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		a := r.spoil()
		a.before = func(call string) error {
			if strings.HasPrefix(call, "create ") {
				return &shopify.Error{Kind: shopify.KindScope, Shop: testShop, Op: "SubscriptionCreate", Scope: "read_products"}
			}
			return nil
		}
		got, _ := r.check(true)
		if got.Present || !strings.Contains(got.Error, "the app lacks a permission: the access scope read_products is missing; add it to the app") || strings.Contains(got.Next, "public-url") {
			t.Errorf("%+v", got)
		}
		for _, w := range got.Wanted {
			if want := strings.HasPrefix(w.Topic, "products/"); w.Needed != want {
				t.Errorf("%s is needed: %v", w.Topic, w.Needed)
			}
		}
	})
}

// TestWhatCarriesNoProductIsNotNeeded holds the topics without which the copy is
// as true.
func TestWhatCarriesNoProductIsNotNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		useful := []string{"app/uninstalled", "app/scopes_update", "bulk_operations/finish"}
		a := r.spoil()
		a.before = func(call string) error {
			for _, topic := range useful {
				if call == "create "+topic {
					return &shopify.Error{Kind: shopify.KindRefused, Message: "not for this app", Status: 200}
				}
			}
			return nil
		}
		got, _ := r.check(true)
		if !got.Present || got.Error != "" || got.Next != "" || len(reasons(got)) != len(useful) {
			t.Errorf("%+v", got)
		}
		a.before = nil
		r.check(true)
		r.shop.Unsubscribe(r.ours("products/delete")[0].ID)
		if got, _ := r.check(false); got.Present || unlike(got, subPresent)["products/delete"] != subMissing {
			t.Errorf("a deletion is not missed: %+v", got)
		}
	})
}

// TestAShopOfTheConfigurationFileIsKnownByItsDeliveries: Shopify refuses what is to
// be made beside it, and the API lists nothing. What has simply not occurred yet is
// not missing.
func TestAShopOfTheConfigurationFileIsKnownByItsDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.o.PublicURL = "https://my-shop.myshopify.com"
		if got, _ := r.check(true); got.Present || !strings.Contains(got.Error, "Shopify refuses the address") || !strings.Contains(got.Next, "--public-url") {
			t.Errorf("before the first delivery: %+v", got)
		}
		r.heard("app/uninstalled", "w-0", time.Now())
		if got, _ := r.check(true); got.Present {
			t.Errorf("known by what is about no product: %+v", got)
		}
		r.heard("products/update", "w-1", time.Now())
		got, healed := r.check(true)
		if !got.Present || got.Error != "" || got.Next != "" || healed || r.subscriptionRecord(testShop).Since.IsZero() {
			t.Errorf("after it: %+v", got)
		}
		if s := unlike(got, subByDeliveries); s["products/delete"] != subUnheard || s["products/create"] != subUnheard {
			t.Errorf("after it: %v", s)
		}
		r.quiet()
		r.keeperOf(testShop).subscriptions = Subscriptions{}
		got, _ = r.check(true)
		if !got.Present || unlike(got, "")["products/update"] != subUnheard {
			t.Errorf("after a week without an edit: %+v", got)
		}
		// One that the API had listed is missed all the same.
		r.shop.Subscribe("products/delete", ourBase+"/webhooks/shopify/products")
		r.o.PublicURL = ourBase
		r.check(false)
		r.shop.Unsubscribe(r.ours("products/delete")[0].ID)
		if got, _ := r.check(false); got.Present {
			t.Errorf("what vanished from the list is not missed: %+v", got)
		}
	})
}
