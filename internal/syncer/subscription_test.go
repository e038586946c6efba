package syncer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/limiter"
	"stockroom/store"
)

const ourBase = "https://stock.example"

// subRig is a rig with a public address.
type subRig struct{ *rig }

func newSubRig(t *testing.T, o fakeshopify.Options) *subRig {
	t.Helper()
	r := &subRig{openRig(t, o)}
	r.o.PublicURL = ourBase
	return r
}

// check compares, and wants no error. healed: it owes a comparison.
func (r *subRig) check(fix bool) (got Subscriptions, healed bool) {
	r.t.Helper()
	owed, was := r.state.Get(marks, testShop+"/owed")
	if was {
		r.paid()
	}
	got, err := r.checkSubscriptions(r.t.Context(), testShop, fix)
	if err != nil {
		r.t.Fatal(err)
	}
	healed = r.owesComparison()
	if was && !healed {
		if err := r.state.Put(marks, testShop+"/owed", owed); err != nil {
			r.t.Fatal(err)
		}
	}
	return got, healed
}

// states are those of the wanted topics that are not want.
func unlike(s Subscriptions, want string) map[string]string {
	list := map[string]string{}
	for _, w := range s.Wanted {
		if w.State != want {
			list[w.Topic] = w.State
		}
	}
	return list
}

// ours are the listed subscriptions of the topic that lead to us.
func (r *subRig) ours(topic string) (list []fakeshopify.Subscription) {
	for _, s := range r.shop.Subscriptions() {
		if s.Topic == topic && !s.App && strings.HasPrefix(s.Address, r.o.PublicURL+"/") {
			list = append(list, s)
		}
	}
	return list
}

// heard writes a journal row, as a delivery of the topic does.
func (r *subRig) heard(topic, webhookID string, at time.Time) {
	r.t.Helper()
	c, err := catalog.Decode(catalog.ProductsUpdate, fmt.Appendf(nil, `{"id":7,"title":"Hat","updated_at":%q}`, at.UTC().Format(time.RFC3339)))
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = r.store.Apply(r.t.Context(), store.Delivery{Shop: testShop, Topic: topic, WebhookID: webhookID, ReceivedAt: at,
		Dedupe: store.DedupeKey(testShop, topic, webhookID, nil)}, c)
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *subRig) owesComparison() bool {
	_, ok := r.comparisonWanted(testShop)
	return ok
}

func (r *subRig) paid() {
	r.t.Helper()
	if err := r.state.Delete(marks, testShop+"/owed"); err != nil {
		r.t.Fatal(err)
	}
}

// spoilt is an API of which some calls go wrong. It notes all of them.
type spoilt struct {
	API
	mu    sync.Mutex
	calls []string
	// before and after may return an error instead of what the call returns.
	before, after func(call string) error
}

func (a *spoilt) wrap(call string, do func() error) error {
	a.mu.Lock()
	a.calls = append(a.calls, call)
	a.mu.Unlock()
	if a.before != nil {
		if err := a.before(call); err != nil {
			return err
		}
	}
	err := do()
	if a.after != nil && err == nil {
		err = a.after(call)
	}
	return err
}

func (a *spoilt) Subscriptions(ctx context.Context, shop string, class limiter.Class) (list []shopify.Subscription, err error) {
	err = a.wrap("list", func() error { list, err = a.API.Subscriptions(ctx, shop, class); return err })
	return list, err
}

func (a *spoilt) Subscribe(ctx context.Context, shop string, class limiter.Class, topic, uri string) (id string, err error) {
	err = a.wrap("create "+topic, func() error { id, err = a.API.Subscribe(ctx, shop, class, topic, uri); return err })
	return id, err
}

func (a *spoilt) MoveSubscription(ctx context.Context, shop string, class limiter.Class, id, uri string) error {
	return a.wrap("move", func() error { return a.API.MoveSubscription(ctx, shop, class, id, uri) })
}

func (a *spoilt) Unsubscribe(ctx context.Context, shop string, class limiter.Class, id string) error {
	return a.wrap("delete", func() error { return a.API.Unsubscribe(ctx, shop, class, id) })
}

func (r *subRig) spoil() *spoilt {
	a := &spoilt{API: r.o.API}
	r.o.API = a
	return a
}

func TestTheFirstCheckSubscribesEveryTopicOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		if got, _ := r.check(false); got.Present || len(unlike(got, subMissing)) > 0 || len(r.shop.Subscriptions()) > 0 {
			t.Errorf("looking changed something: %+v", got)
		}
		got, healed := r.check(true)
		if !got.Present || healed || r.owesComparison() || got.Error != "" || len(unlike(got, subCreated)) > 0 || got.CheckedAt.IsZero() {
			t.Errorf("healed %v: %+v", healed, got)
		}
		for i, topic := range []string{"products/create", "products/update", "products/delete", "inventory_levels/update",
			"inventory_levels/connect", "inventory_levels/disconnect", "inventory_items/update", "app/uninstalled", "app/scopes_update", "bulk_operations/finish"} {
			want := ourBase + "/webhooks/shopify/" + strings.ReplaceAll(topic, "/", "_")
			if strings.HasPrefix(topic, "products/") {
				want = ourBase + "/webhooks/shopify/products"
			}
			have := r.ours(topic)
			if len(have) != 1 || have[0].Address != want || have[0].Format != "JSON" || len(have[0].IncludeFields) > 0 || have[0].Filter != "" {
				t.Errorf("%s: %+v", topic, have)
			}
			if w := got.Wanted[i]; w.Topic != topic || w.URI != want || w.ID == "" {
				t.Errorf("shown: %+v", w)
			}
		}
		a := r.spoil()
		got, healed = r.check(true)
		if !got.Present || healed || len(unlike(got, subPresent)) > 0 || !slices.Equal(a.calls, []string{"list"}) {
			t.Errorf("a second check: healed %v, calls %v, %+v", healed, a.calls, got)
		}
	})
}

// TestAFirstSubscriptionAfterAProofOwesAComparison holds the time between the
// proof of a copy and the first subscription, as where the public address became
// known later: what changed in it was not delivered.
func TestAFirstSubscriptionAfterAProofOwesAComparison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.proven()
		time.Sleep(time.Hour)
		if _, healed := r.check(false); healed || r.owesComparison() {
			t.Error("looking owes something")
		}
		if got, healed := r.check(true); !got.Present || !healed || !r.owesComparison() {
			t.Errorf("healed %v: %+v", healed, got)
		}
		r.paid()
		if _, healed := r.check(true); healed || r.owesComparison() {
			t.Error("and once more")
		}
	})
}

// TestWhatShopifyDeletedIsMadeAgain also holds the rule about deliveries: they
// speak for a topic only while it was never seen in the list.
func TestWhatShopifyDeletedIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{Products: 1, DropEager: true, Client: &http.Client{Transport: failing{}}})
		r.check(true)
		for range 8 {
			r.shop.UpdateProduct(r.shop.IDs()[0], func(p *fakeshopify.Product) { p.Title += "!" })
			if err := r.shop.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if len(r.shop.DroppedSubscriptions()) == 0 || len(r.ours("products/update")) != 0 {
			t.Fatal("the shop did not drop the subscription")
		}
		r.heard("products/update", "w-1", time.Now().Add(-time.Hour)) // before it vanished
		if got, _ := r.check(false); got.Present || got.Error != "" {
			t.Errorf("not missed: %+v", got)
		}
		got, healed := r.check(true)
		if !got.Present || !healed || !r.owesComparison() || unlike(got, subPresent)["products/update"] != subCreated || len(r.ours("products/update")) != 1 {
			t.Errorf("healed %v, owed %v: %+v", healed, r.owesComparison(), got)
		}
		r.paid()
		if _, healed := r.check(true); healed || r.owesComparison() {
			t.Error("healed twice")
		}
	})
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

// TestWhatTheConfigurationFileSubscribesIsKnownByItsDeliveries: the API never
// lists it, and a second subscription would double every delivery.
func TestWhatTheConfigurationFileSubscribesIsKnownByItsDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		closed := r.store.Close() // or it would work through every minute of the week
		time.Sleep(heardFor)      // the shop is connected for longer
		r.quiet()
		if closed != nil {
			t.Fatal(closed)
		}
		fromFile := []string{"products/create", "products/update", "products/delete", "inventory_levels/update"}
		for i, topic := range fromFile {
			r.shop.SubscribeApp(topic, ourBase+"/webhooks/shopify/products")
			r.heard(topic, fmt.Sprint("w-", i), time.Now().Add(2*time.Minute-heardFor))
		}
		r.heard("app/uninstalled", "w-old", time.Now().Add(-8*24*time.Hour)) // so long ago that it says nothing
		r.heard("app/scopes_update", "stockroom-test-X", time.Now())         // a sample of our own
		for range 2 {
			got, healed := r.check(true)
			if !got.Present || healed || got.Error != "" {
				t.Errorf("healed %v: %+v", healed, got)
			}
			for _, w := range got.Wanted {
				heard := slices.Contains(fromFile, w.Topic)
				if (w.State == subByDeliveries) != heard || len(r.ours(w.Topic)) != map[bool]int{true: 0, false: 1}[heard] {
					t.Errorf("%+v, %d of the API", w, len(r.ours(w.Topic)))
				}
			}
		}
		// They fall silent: taken out of the file, or nothing happens. One that the
		// API makes does no harm, and what was missed is compared.
		time.Sleep(3 * time.Minute)
		got, healed := r.check(true)
		if !got.Present || !healed || !r.owesComparison() || len(r.ours("products/update")) != 1 {
			t.Errorf("healed %v: %+v", healed, got)
		}
	})
}

func TestAJournalThatCannotBeReadMakesNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		topics := r.subscriptionRecord(testShop)
		delete(topics.Topics, "products/create") // never seen in the list
		if err := r.saveSubscriptionRecord(testShop, topics); err != nil {
			t.Fatal(err)
		}
		for _, topic := range []string{"products/create", "products/update"} {
			r.shop.Unsubscribe(r.ours(topic)[0].ID)
		}
		closed, err := store.Open(t.Context(), store.Options{Path: t.TempDir() + "/products.db"})
		if err != nil {
			t.Fatal(err)
		}
		if err := closed.Close(); err != nil {
			t.Fatal(err)
		}
		r.o.Store = closed
		got, healed := r.check(true)
		if got.Present || !healed || !strings.Contains(got.Error, "journal") || len(r.ours("products/create")) != 0 || len(r.ours("products/update")) != 1 {
			t.Errorf("healed %v: %+v", healed, got)
		}
	})
}
