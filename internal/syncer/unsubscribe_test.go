package syncer

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
)

// TestARemovedShopIsUnsubscribedFromOursAndOnlyThose also after a move and in pull
// mode, and of one whose creation was answered to nobody.
func TestARemovedShopIsUnsubscribedFromOursAndOnlyThose(t *testing.T) {
	for name, then := range map[string]func(r *subRig){
		"moved":      func(r *subRig) { r.o.PublicURL = "https://moved.example" },
		"no address": func(r *subRig) { r.pulls(false) },
		"off":        func(r *subRig) { r.pulls(true) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSubRig(t, fakeshopify.Options{})
				r.spoil().after = func(call string) error {
					if call == "create bulk_operations/finish" { // the last
						return &shopify.Error{Kind: shopify.KindTimeout}
					}
					return nil
				}
				if _, err := r.checkSubscriptions(t.Context(), testShop, true); err == nil {
					t.Fatal("no answer was lost")
				}
				then(r)
				r.shop.Subscribe("products/update", "https://other.example/hooks")
				deleted, left, err := r.Unsubscribe(t.Context(), testShop)
				if err != nil || deleted != len(wantedTopics) || len(left) != 0 {
					t.Errorf("%d deleted, left %v, %v", deleted, left, err)
				}
				if list := r.shop.Subscriptions(); len(list) != 1 || list[0].Address != "https://other.example/hooks" {
					t.Errorf("still there: %v", list)
				}
				if names := r.state.Names(subscriptionMarks); len(names) != 0 {
					t.Errorf("remembered: %v", names)
				}
			})
		})
	}
}

// TestAShopThatIsConnectedAgainIsSubscribedAgain: what it delivered before it was
// removed speaks for no configuration file.
func TestAShopThatIsConnectedAgainIsSubscribedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		r.heard("products/update", "w-1", time.Now())
		time.Sleep(time.Hour)
		_, _, err := r.Unsubscribe(t.Context(), testShop)
		have, _ := r.state.Credentials(testShop)
		if err = errors.Join(err, r.state.RemoveShop(testShop, time.Now()), r.state.AddShop(testShop, "", time.Now()), r.state.SetCredentials(testShop, have)); err != nil {
			t.Fatal(err)
		}
		if got, _ := r.check(true); !got.Present || len(unlike(got, subCreated)) > 0 {
			t.Errorf("%v", unlike(got, subCreated))
		}
	})
}

func TestWhatCouldNotBeUnsubscribedIsListed(t *testing.T) {
	down := &shopify.Error{Kind: shopify.KindServer, Message: "it does not answer"}
	for name, c := range map[string]struct {
		call          string
		deleted, left int
	}{
		"the shop can't be asked":   {"list", 0, len(wantedTopics)},
		"the third deletion failed": {"delete", 2, len(wantedTopics) - 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSubRig(t, fakeshopify.Options{})
				r.check(true)
				calls := 0
				r.spoil().before = func(call string) error {
					if calls++; call == c.call && (call == "list" || calls > 3) {
						return down
					}
					return nil
				}
				deleted, left, err := r.Unsubscribe(t.Context(), testShop)
				if !errors.Is(err, down) || deleted != c.deleted || len(left) != c.left || left[0].URI == "" || left[0].Topic == "" {
					t.Errorf("%d deleted, left %v, %v", deleted, left, err)
				}
				if calls > 4 {
					t.Errorf("%d calls to a shop that does not answer", calls)
				}
				if len(r.shop.Subscriptions()) != c.left || len(r.state.Names(subscriptionMarks)) != 1 {
					t.Error("what is left is forgotten")
				}
			})
		})
	}
}
