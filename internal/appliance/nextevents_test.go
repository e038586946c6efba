package appliance

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/store"
)

const eventsURI = "https://stockroom.example/webhooks/shopify/events"

// eventRig is an appliance that nothing but Events reaches; they are kept until they
// are posted.
type eventRig struct {
	*replayRig
	shop *fakeshopify.Shop
	id   int64
	sent []*http.Request
}

// RoundTrip takes what the shop sends. What is no Event is lost on the way.
func (r *eventRig) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Header.Get("Shopify-Topic") != "" {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return nil, err
		}
		r.sent = append(r.sent, requestOf(q.Header, body))
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: q}, nil
}

func requestOf(header http.Header, body []byte) *http.Request {
	q := httptest.NewRequest(http.MethodPost, eventsURI, bytes.NewReader(body))
	q.Header = header.Clone()
	q.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return q
}

func newEventRig(t *testing.T) *eventRig {
	t.Helper()
	r := &eventRig{}
	r.replayRig = newReplayRig(t, func(o *fakeshopify.Options) { o.Client = &http.Client{Transport: r} })
	r.shop = r.shops[ours]
	for _, topic := range []string{fakeshopify.TopicProductEvent, fakeshopify.TopicItemEvent} {
		r.shop.SubscribeEvents(fakeshopify.EventSubscription{Handle: topic, Topic: topic, Actions: []string{"create", "update", "delete"}, URI: eventsURI})
	}
	r.id = r.shop.IDs()[0]
	r.collect()
	r.sent = nil
	return r
}

// collect takes what the shop has to send.
func (r *eventRig) collect() []*http.Request {
	r.t.Helper()
	if err := r.shop.Drain(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return r.sent
}

func (r *eventRig) post(q *http.Request) {
	r.t.Helper()
	q.Body, _ = q.GetBody()
	w := httptest.NewRecorder()
	r.intake.ServeHTTP(w, q)
	if w.Code != http.StatusOK || w.Body.String() != `{"success":true}` {
		r.t.Errorf("%d %s", w.Code, w.Body)
	}
}

// equal holds the copy against the shop.
func (r *eventRig) equal() {
	r.t.Helper()
	list := r.shop.Snapshot()
	n, err := r.store.CountShop(r.t.Context(), ours)
	if err != nil || int(n.Products) != len(list) {
		r.t.Errorf("%d products, want %d: %v", n.Products, len(list), err)
	}
	for _, want := range list {
		got, err := r.store.Product(r.t.Context(), ours, want.ID)
		if err != nil || got.Title.Value() != want.Title {
			r.t.Errorf("product %d: %+v, %v", want.ID, got, err)
			continue
		}
		variants := got.Variants
		if len(variants) != len(want.Variants) {
			r.t.Errorf("product %d has %d variants, want %d", want.ID, len(variants), len(want.Variants))
			continue
		}
		for i, v := range want.Variants {
			if variants[i].Price.Value() != v.Price || v.SKU != nil && variants[i].SKU.Value() != *v.SKU {
				r.t.Errorf("variant %d: %+v, want %+v", v.ID, variants[i], v)
			}
		}
	}
}

func retitle(r *eventRig) {
	r.shop.UpdateProduct(r.id, func(p *fakeshopify.Product) { p.Title, p.Variants[0].Price = "Retitled", "77.00" })
}

func TestAnEventOfEachKindEndsInTheRightProduct(t *testing.T) {
	inOrder := func(r *eventRig, list []*http.Request) {
		for _, q := range list {
			r.post(q)
		}
	}
	for name, tt := range map[string]struct {
		edit   func(r *eventRig)
		arrive func(r *eventRig, list []*http.Request) // nil: in order
		reads  int                                     // of products, at most: each Event's, and one of the next look
		wait   time.Duration
	}{
		"an update":             {edit: retitle, reads: 2},
		"a product that is new": {edit: func(r *eventRig) { r.shop.CreateProduct(nil) }, reads: 1},
		"a delete":              {edit: func(r *eventRig) { r.shop.DeleteProduct(r.id) }, reads: 1},
		"an inventory item": {edit: func(r *eventRig) {
			r.shop.UpdateProduct(r.id, func(p *fakeshopify.Product) { sku := "OTHER"; p.Variants[0].SKU = &sku })
		}, reads: 1},
		"doubled": {edit: retitle, reads: 3, arrive: func(r *eventRig, list []*http.Request) {
			inOrder(r, list)
			inOrder(r, list)
			time.Sleep(30 * time.Second)
			inOrder(r, list)
		}},
		"in reverse, a delete first": {edit: func(r *eventRig) {
			p := r.shop.CreateProduct(nil)
			r.shop.UpdateProduct(p.ID, func(p *fakeshopify.Product) { p.Title = "Second" })
			r.shop.DeleteProduct(p.ID)
		}, reads: 2, arrive: func(r *eventRig, list []*http.Request) {
			for i := range list {
				r.post(list[len(list)-1-i])
				time.Sleep(time.Second)
			}
		}},
		"of an action nobody knows": {edit: retitle, reads: 1, arrive: func(r *eventRig, list []*http.Request) {
			body, _ := io.ReadAll(list[0].Body)
			body = bytes.Replace(body, []byte(`"action":"update"`), []byte(`"action":"archive"`), 1)
			list[0].Header.Set("Shopify-Hmac-Sha256", fakeshopify.Sign(appSecret, body))
			r.post(requestOf(list[0].Header, body))
		}},
		"whose query failed": {edit: func(r *eventRig) {
			for _, sub := range r.shop.Subscriptions() {
				if sub.App {
					r.shop.Unsubscribe(sub.ID)
				}
			}
			r.shop.SubscribeEvents(fakeshopify.EventSubscription{Handle: "q", Topic: "Product", Actions: []string{"update"}, URI: eventsURI, QueryFails: true})
			retitle(r)
		}, reads: 3},
		"lost": {edit: retitle, arrive: func(*eventRig, []*http.Request) {}, wait: 90 * time.Minute, reads: 4},
	} {
		if raceEnabled && tt.wait > 0 { // an hour and a half, ten times slower
			continue
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newEventRig(t)
				before := r.reads()
				tt.edit(r)
				list := r.collect()
				if len(list) == 0 {
					t.Fatal("no Event was sent")
				}
				if tt.arrive == nil {
					tt.arrive = inOrder
				}
				tt.arrive(r, list)
				time.Sleep(max(tt.wait, 5*time.Second))
				r.equal()
				if n := r.reads() - before; n > tt.reads {
					t.Errorf("%d reads, at most %d", n, tt.reads)
				}
				if letters, misfits := r.letters(); len(letters)+len(misfits) > 0 {
					t.Errorf("%+v %+v", letters, misfits)
				}
			})
		})
	}
}

// reads counts the calls that read products whole.
func (r *eventRig) reads() (n int) {
	for _, c := range r.shop.APICalls() {
		if strings.HasPrefix(c.Operation, "Product") {
			n++
		}
	}
	return n
}

// A bulk edit in the shop's admin sends an Event of every field of every product.
func TestAThousandEventsOfOneProductAreTwoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newEventRig(t)
		retitle(r)
		header := r.collect()[0].Header
		before := r.reads()
		r.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultSlow, Delay: time.Millisecond}) // the first read is under way while they come
		var wg sync.WaitGroup
		for i := range 1000 {
			body := fmt.Appendf(nil, `{"topic":"Product","action":"update","fields_changed":{"updated":["product[id: 'gid://shopify/Product/%d'].metafields[id: '%d'].value"]}}`, r.id, i)
			own := header.Clone()
			own.Set("Shopify-Webhook-Id", fmt.Sprint("w", i))
			own.Set("Shopify-Hmac-Sha256", fakeshopify.Sign(appSecret, body))
			wg.Go(func() { r.post(requestOf(own, body)) })
		}
		wg.Wait()
		time.Sleep(40 * time.Second) // and another look at what is wanted
		r.equal()
		if n := r.reads() - before; n < 1 || n > 2 {
			t.Errorf("%d reads", n)
		}
		if list, err := r.store.WantedList(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("still wanted: %+v, %v", list, err)
		}
		e, err := r.store.Explain(t.Context(), ours, r.id)
		if err != nil || e.Deliveries[0].Outcome != store.Applied || *e.Deliveries[0].Error != "changed: value of 1 metafield; the product is read from the shop" {
			t.Errorf("%+v, %v", e.Deliveries[0], err)
		}
	})
}
