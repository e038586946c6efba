package syncer

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
)

func TestRegistrationsThatRaceMakeEachOneOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		// Two of one process wait for each other; another process does not, and
		// finds topics taken.
		twin := New(r.o)
		var wg sync.WaitGroup
		answers := make([]Subscriptions, 6)
		for i := range answers {
			s := []*Syncer{r.Syncer, twin}[i%2]
			wg.Go(func() {
				got, err := s.checkSubscriptions(t.Context(), testShop, true)
				if answers[i] = got; err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if r.owesComparison() {
			t.Error("a comparison is owed")
		}
		for _, got := range answers {
			if !got.Present || got.Error != "" {
				t.Errorf("%+v", got)
			}
		}
		if n := len(r.shop.Subscriptions()); n != len(wantedTopics) {
			t.Errorf("%d subscriptions", n)
		}
	})
}

func TestARefusedTopicStopsNoOther(t *testing.T) {
	for _, tt := range []struct {
		name, topic string
		err         *shopify.Error
		present     bool
		words       string
	}{
		// Without the scope for stock its topics are not wanted.
		{"stock without its scope", "inventory_levels/update", &shopify.Error{Kind: shopify.KindScope, Scope: "read_inventory"}, true, "read_inventory"},
		{"stock without its scope, said in words", "inventory_items/update", &shopify.Error{Kind: shopify.KindRefused, Message: "You do not have permission to create this"}, true, "permission"},
		{"products without their scope", "products/delete", &shopify.Error{Kind: shopify.KindScope, Scope: "read_products"}, false,
			"products/delete, because the app lacks a permission: the access scope read_products is missing"},
		{"an address that Shopify does not like", "products/create", &shopify.Error{Kind: shopify.KindRefused, Message: "Address is invalid"}, false, "Address is invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSubRig(t, fakeshopify.Options{})
				a := r.spoil()
				a.before = func(call string) error {
					if call == "create "+tt.topic {
						return tt.err
					}
					return nil
				}
				for range 2 {
					got, healed := r.check(true)
					if got.Present != tt.present || healed || !strings.Contains(got.Error+reasons(got)[tt.topic], tt.words) || len(r.shop.Subscriptions()) != len(wantedTopics)-1 {
						t.Errorf("healed %v: %+v", healed, got)
					}
					for _, w := range got.Wanted {
						if (w.State == subMissing) != (w.Topic == tt.topic) {
							t.Errorf("%+v", w)
						}
					}
				}
				a.before = nil
				if got, healed := r.check(true); !got.Present || healed || got.Error != "" {
					t.Errorf("after: healed %v, %+v", healed, got)
				}
			})
		})
	}
}

// TestALostAnswerLosesNoComparison: Shopify made the subscription and the
// answer, or the process, was lost before that was noted.
func TestALostAnswerLosesNoComparison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		r.shop.Unsubscribe(r.ours("products/update")[0].ID)
		a := r.spoil()
		a.after = func(call string) error {
			if call == "create products/update" {
				return &shopify.Error{Kind: shopify.KindTimeout}
			}
			return nil
		}
		got, err := r.checkSubscriptions(t.Context(), testShop, true)
		if err == nil || r.owesComparison() || got.Error == "" || !got.CheckedAt.IsZero() || len(got.Wanted) > 0 {
			t.Errorf("%v: %+v", err, got)
		}
		a.after = nil
		r.Syncer = New(r.o) // as after a restart
		got, healed := r.check(true)
		if !got.Present || !healed || !r.owesComparison() || len(r.ours("products/update")) != 1 {
			t.Errorf("healed %v: %+v", healed, got)
		}
		if rec := r.subscriptionRecord(testShop); len(rec.Ours) != len(wantedTopics) {
			t.Errorf("made by us: %v", rec.Ours)
		}
	})
}

// TestOneThatSomebodyElseMakesAgainWasAwayAllTheSame: between our list and our
// creation.
func TestOneThatSomebodyElseMakesAgainWasAwayAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		r.shop.Unsubscribe(r.ours("products/update")[0].ID)
		a := r.spoil()
		a.before = func(call string) error {
			if call == "create products/update" {
				r.shop.Subscribe("products/update", ourBase+productsHook)
			}
			return nil
		}
		if got, healed := r.check(true); !got.Present || !healed || !r.owesComparison() || len(r.ours("products/update")) != 1 {
			t.Errorf("healed %v: %+v", healed, got)
		}
	})
}

func TestWhatIsOwedIsNotedBeforeAnythingIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		r.shop.Unsubscribe(r.ours("products/update")[0].ID)
		a := r.spoil()
		a.before = func(call string) error {
			if call == "create products/update" && !r.subscriptionRecord(testShop).Healing {
				t.Error("a crash now would lose what is owed")
			}
			return nil
		}
		r.check(true)
		if r.subscriptionRecord(testShop).Healing || !r.owesComparison() {
			t.Error("the debt is not handed on")
		}
	})
}

func TestAShopThatCannotBeAskedIsLeftAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		a := r.spoil()
		for _, kind := range []shopify.Kind{shopify.KindNetwork, shopify.KindOpen, shopify.KindToken, shopify.KindThrottled, shopify.KindScope} {
			a.before = func(string) error { return &shopify.Error{Kind: kind} }
			got, err := r.checkSubscriptions(t.Context(), testShop, true)
			if shopify.KindOf(err) != kind || r.owesComparison() || got.Error == "" || got.Present {
				t.Errorf("%v: %v, %+v", kind, err, got)
			}
		}
		a.before = nil
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.checkSubscriptions(ctx, testShop, true); err == nil {
			t.Error("an ended context made no error")
		}
		if err := r.state.Put(subscriptionMarks, testShop, []byte("{")); err != nil {
			t.Fatal(err)
		}
		if got, _ := r.check(true); !got.Present { // a record that can't be read is learnt again
			t.Errorf("%+v", got)
		}
	})
}

// subEvent is one thing that happens to a shop's subscriptions.
type subEvent struct {
	what  string
	topic string
	good  int    // calls that go well before the fault
	base  string // our new address
}

func drawEvents(t *rapid.T) []subEvent {
	kinds := []string{"check", "check", "vanish", "foreign", "fault", "lost answer", "move", "filter", "double", "restart", "off", "off, fault"}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) subEvent {
		return subEvent{
			rapid.SampledFrom(kinds).Draw(t, "what"), rapid.SampledFrom(wantedTopics[:]).Draw(t, "topic"), rapid.IntRange(0, 6).Draw(t, "good"),
			rapid.SampledFrom([]string{ourBase, "https://other.example", "https://third.example/x"}).Draw(t, "base"),
		}
	}), 1, 12).Draw(t, "events")
}

// TestWhateverHappensEachTopicLeadsToUs plays people, Shopify, faults and
// restarts against the check: in the end each topic leads to us, what belongs to
// others is as it was, and what was away is owed a comparison.
func TestWhateverHappensEachTopicLeadsToUs(t *testing.T) {
	if os.Getenv("STOCKROOM_TORTURE") == "" {
		checks := flag.Lookup("rapid.checks").Value.String()
		_ = flag.Set("rapid.checks", "20")
		defer func() { _ = flag.Set("rapid.checks", checks) }()
	}
	rapid.Check(t, func(rt *rapid.T) {
		events := drawEvents(rt)
		var failed error
		synctest.Test(t, func(t *testing.T) { failed = playSubscriptions(t, events) })
		if failed != nil {
			rt.Fatal(failed)
		}
	})
}

func playSubscriptions(t *testing.T, events []subEvent) error {
	r := newSubRig(t, fakeshopify.Options{})
	a := r.spoil()
	foreign := map[int64]string{}
	served := func() map[string]bool {
		m := map[string]bool{}
		for _, topic := range wantedTopics {
			m[topic] = slices.ContainsFunc(r.ours(topic), func(s fakeshopify.Subscription) bool { return s.Filter == "" })
		}
		return m
	}
	var was map[string]bool // served after the last check that went well
	away := false           // one of them has not been since
	check := func() error {
		for topic, then := range was {
			away = away || then && !served()[topic]
		}
		_, err := r.checkSubscriptions(t.Context(), testShop, true)
		if err != nil {
			return err
		}
		if away && !r.owesComparison() {
			return errors.New("one was away and no comparison is owed")
		}
		r.paid()
		was, away = served(), false
		return nil
	}
	off := func(faulty bool) error {
		fresh := !r.subscriptionRecord(testShop).Removed
		r.o.Pull, r.o.Unsubscribe = true, true
		_, err := r.checkSubscriptions(t.Context(), testShop, true)
		r.o.Pull, r.o.Unsubscribe = false, false
		for _, topic := range wantedTopics {
			if fresh && !faulty && err == nil && len(r.ours(topic)) > 0 {
				err = fmt.Errorf("%s is left: %+v", topic, r.ours(topic))
			}
		}
		return err
	}
	for i, e := range events {
		var some fakeshopify.Subscription
		if list := r.ours(e.topic); len(list) > 0 {
			some = list[0]
		}
		switch e.what {
		case "check":
			if err := check(); err != nil {
				return fmt.Errorf("event %d: %w", i, err)
			}
		case "off":
			if err := off(false); err != nil {
				return fmt.Errorf("event %d: %w", i, err)
			}
		case "fault", "lost answer", "off, fault":
			left := e.good
			fail := func(string) error {
				if left--; left < 0 {
					return &shopify.Error{Kind: shopify.KindTimeout}
				}
				return nil
			}
			do := check
			if a.before = fail; e.what == "lost answer" {
				a.before, a.after = nil, fail
			} else if e.what != "fault" {
				do = func() error { return off(true) }
			}
			if err := do(); err != nil && shopify.KindOf(err) != shopify.KindTimeout {
				return fmt.Errorf("event %d: %w", i, err)
			}
			a.before, a.after = nil, nil
		case "vanish":
			r.shop.Unsubscribe(some.ID)
		case "filter":
			r.shop.Resubscribe(some.ID, func(s *fakeshopify.Subscription) { s.Filter = "status:active" })
		case "double":
			r.shop.Subscribe(e.topic, r.o.PublicURL+"/webhooks/shopify/by-hand")
		case "foreign":
			uri := fmt.Sprintf("https://feed-%d.example/hooks", i)
			foreign[r.shop.Subscribe(e.topic, uri)] = uri
		case "move":
			r.o.PublicURL = e.base
		case "restart":
			r.Syncer = New(r.o)
		}
	}
	for range 2 {
		if err := check(); err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
	}
	got, healed := r.check(true)
	if !got.Present || got.Error != "" || healed {
		return fmt.Errorf("at the end: healed %v, %+v", healed, got)
	}
	for topic, ok := range served() {
		exact := slices.DeleteFunc(r.ours(topic), func(s fakeshopify.Subscription) bool {
			return s.Filter != "" || strings.HasSuffix(s.Address, "by-hand")
		})
		if !ok || len(exact) > 1 {
			return fmt.Errorf("%s: %+v", topic, r.ours(topic))
		}
	}
	for _, s := range r.shop.Subscriptions() {
		if uri, ok := foreign[s.ID]; ok && uri == s.Address {
			delete(foreign, s.ID)
		}
	}
	if len(foreign) > 0 {
		return fmt.Errorf("of others, gone or changed: %v", foreign)
	}
	return nil
}
