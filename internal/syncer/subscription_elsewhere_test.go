package syncer

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/store"
)

// quiet makes the journal hold nothing any more, as after a week without an edit.
func (r *subRig) quiet() {
	r.t.Helper()
	err := r.store.Close()
	if err == nil {
		r.store, err = store.Open(r.t.Context(), store.Options{Path: r.t.TempDir() + "/products.db"})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.o.Store = r.store
}

// TestWhatWasOursAndIsMadeElsewhereNowIsNotMissingForEver: ours vanished, the API takes
// no other, and the app's configuration file delivers. What comes in the hours in which
// Shopify still repeats ours shows nothing.
func TestWhatWasOursAndIsMadeElsewhereNowIsNotMissingForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		for _, topic := range wantedTopics {
			r.shop.Unsubscribe(r.ours(topic)[0].ID)
		}
		r.shop.RefuseSubscriptions("this app subscribes in its configuration")
		if got, _ := r.check(true); got.Present || !strings.Contains(got.Error, "this app subscribes in its configuration") {
			t.Fatalf("%+v", got)
		}
		time.Sleep(time.Hour)
		r.heard("products/update", "w-1", time.Now())
		if got, _ := r.check(true); got.Present {
			t.Errorf("known by what may be a repeat: %+v", got)
		}
		time.Sleep(retriesFor)
		r.heard("products/update", "w-2", time.Now())
		got, healed := r.check(true)
		if s := unlike(got, ""); !got.Present || healed || got.Error != "" || s["products/update"] != subByDeliveries || s["products/delete"] != subUnheard {
			t.Errorf("healed %v: %+v", healed, got)
		}
		r.quiet()
		if got, _ := r.check(true); !got.Present {
			t.Errorf("after a week without an edit: %+v", got)
		}
		r.shop.RefuseSubscriptions("")
		if got, healed := r.check(true); !got.Present || !healed || len(unlike(got, subCreated)) > 0 {
			t.Errorf("the API takes them again: healed %v, %+v", healed, got)
		}
	})
}

// TestAnEventServesTheTopicsOfProducts, so that none is missing where the API takes
// none. Where it takes them they are made all the same: an Event need not tell of all.
func TestAnEventServesTheTopicsOfProducts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.shop.RefuseSubscriptions("not this one")
		if got, _ := r.check(true); got.Present {
			t.Fatalf("before anything was heard: %+v", got)
		}
		r.heard(string(catalog.EventProduct), "e-1", time.Now())
		for range 2 {
			got, healed := r.check(true)
			s := unlike(got, "")
			if !got.Present || healed || got.Error != "" || s["products/create"] != subByDeliveries || s["products/delete"] != subByDeliveries ||
				s["inventory_levels/update"] != subUnheard || r.subscriptionRecord(testShop).Since.IsZero() {
				t.Errorf("healed %v: %+v", healed, got)
			}
		}
		if got, _ := r.check(false); reasons(got)["inventory_levels/update"] != "not this one" {
			t.Errorf("why the topic of stock was refused is forgotten: %+v", got)
		}
		r.quiet()
		if got, _ := r.check(true); !got.Present {
			t.Errorf("after a week without an edit: %+v", got)
		}
		r.heard(string(catalog.EventProduct), "e-2", time.Now())
		r.shop.RefuseSubscriptions("")
		if got, _ := r.check(true); !got.Present || len(unlike(got, subCreated)) > 0 {
			t.Errorf("the API takes them: %+v", got)
		}
	})
}

// TestOneThatIsTakenAndNotListedIsThere: Shopify says itself that there is one. It is
// asked once in each check, and no comparison is owed again and again.
func TestOneThatIsTakenAndNotListedIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.proven()
		r.shop.RefuseSubscriptions(fakeshopify.TakenWords)
		// What a delivery should have told of is waited for as where one is listed.
		defer func() {
			if expected := r.expected(testShop); expected == nil || !expected(catalog.ProductsUpdate, time.Now().Add(time.Minute)) {
				t.Error("nothing is waited for")
			}
		}()
		r.check(true)
		a := r.spoil()
		for range 2 {
			a.calls = nil
			got, healed := r.check(true)
			if !got.Present || healed || got.Error != "" || len(unlike(got, subUnheard)) > 0 || len(a.calls) != 1+len(wantedTopics) {
				t.Errorf("healed %v, %d calls: %+v", healed, len(a.calls), got)
			}
		}
	})
}

// TestWithoutAnySubscriptionChangesAreLookedForAsInPullMode, and what is said is the
// same at each check.
func TestWithoutAnySubscriptionChangesAreLookedForAsInPullMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.proven()
		r.o.PollEvery = 30 * time.Second
		r.Syncer = New(r.o)
		k := r.keeperOf(testShop)
		if k.late(t.Context()) {
			t.Error("before a check")
		}
		r.shop.RefuseSubscriptions("not here")
		said := map[string]bool{}
		for range 3 {
			if _, err := r.CheckSubscriptions(t.Context(), testShop, true); err != nil {
				t.Fatal(err)
			}
			sub := r.Status(testShop, time.Now()).Subscriptions
			said[fmt.Sprint(sub.Error, sub.Next)] = true
		}
		if l := r.Status(testShop, time.Now()).Looking; !k.late(t.Context()) || l.Every != 30*time.Second {
			t.Errorf("looks: %+v", l)
		}
		for words := range said {
			if !strings.Contains(words, "not here") || !strings.Contains(words, "--webhooks off") || !strings.Contains(words, ourBase+productsHook) || len(said) > 1 {
				t.Errorf("it is said: %s", words)
			}
		}
		r.shop.RefuseSubscriptions("")
		if _, err := r.CheckSubscriptions(t.Context(), testShop, true); err != nil || k.late(t.Context()) {
			t.Errorf("once they are there: %v", err)
		}
	})
}
