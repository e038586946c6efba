package fakeshopify

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestADeliveryCarriesTheDocumentedHeaders(t *testing.T) {
	rec := &receiver{}
	s := New(Options{Products: 1, Secret: "hush", Target: "https://receiver.example", Client: &http.Client{Transport: rec}, Now: fixed(epoch)})
	id := s.IDs()[0]
	s.UpdateProduct(id, func(p *Product) { p.Title = "New" })
	if err := s.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(rec.got) != 1 {
		t.Fatalf("%d deliveries", len(rec.got))
	}
	g := rec.got[0]
	for k, want := range map[string]string{
		"Content-Type":           "application/json",
		"User-Agent":             "Shopify-Captain-Hook",
		"Accept":                 "*/*",
		"Accept-Encoding":        "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
		"X-Shopify-Topic":        "products/update",
		"X-Shopify-Hmac-Sha256":  Sign("hush", []byte(g.body)),
		"X-Shopify-Shop-Domain":  "my-shop.myshopify.com",
		"X-Shopify-API-Version":  "2026-10",
		"X-Shopify-Triggered-At": "2026-11-23T12:00:00.123456789Z",
	} {
		if got := g.header.Get(k); got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	for _, k := range []string{"X-Shopify-Webhook-Id", "X-Shopify-Event-Id", "X-Shopify-Product-Id"} {
		if g.header.Get(k) == "" {
			t.Errorf("no %s", k)
		}
	}
	if g.url != "https://receiver.example/webhooks/shopify/products" {
		t.Errorf("sent to %s", g.url)
	}
	if st := s.Stats(); st.Acknowledged != 1 || st.Failed != 0 || st.Pending != 0 {
		t.Errorf("%+v", st)
	}
}

func TestOneActionSharesItsEventID(t *testing.T) {
	rec := &receiver{}
	s := New(Options{Products: 1, Target: "https://receiver.example", Client: &http.Client{Transport: rec}, Now: fixed(epoch),
		Topics: []string{TopicUpdate, TopicInventoryLevel}})
	p := s.Snapshot()[0]
	s.SetInventory(p.Variants[0].ID, 1, 42)
	s.Drain(context.Background())
	if len(rec.got) != 2 || rec.got[0].header.Get("X-Shopify-Event-Id") != rec.got[1].header.Get("X-Shopify-Event-Id") ||
		rec.got[0].header.Get("X-Shopify-Webhook-Id") == rec.got[1].header.Get("X-Shopify-Webhook-Id") {
		t.Errorf("%d deliveries, or wrong ids", len(rec.got))
	}
}

func TestAFailedDeliveryIsRetriedEightTimesInFourHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{answer: func(n int, _ *http.Request) (int, error) { return 503, nil }}
		s := New(Options{Products: 1, Target: "https://old.example", Client: &http.Client{Transport: rec}})
		id, start := s.IDs()[0], time.Now()
		s.UpdateProduct(id, func(p *Product) { p.Title = "first" })
		sub := s.Subscriptions()[1]
		s.Unsubscribe(sub.ID)
		s.Subscribe(TopicUpdate, "https://new.example")
		s.mu.Lock()
		s.products[id].Title = "changed since, silently"
		s.mu.Unlock()
		for {
			next, err := s.DeliverDue(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if next.IsZero() {
				break
			}
			time.Sleep(time.Until(next))
		}
		if len(rec.got) != 9 {
			t.Fatalf("%d attempts, want 9", len(rec.got))
		}
		var last time.Duration
		for i, g := range rec.got {
			if g.body != rec.got[0].body || g.url != rec.got[0].url || g.header.Get("X-Shopify-Webhook-Id") != rec.got[0].header.Get("X-Shopify-Webhook-Id") {
				t.Errorf("attempt %d differs from the first", i+1)
			}
			if i > 1 {
				if gap := g.at.Sub(rec.got[i-1].at); gap < last*19/10 {
					t.Errorf("wait %v after %v", gap, last)
				}
			}
			if i > 0 {
				last = g.at.Sub(rec.got[i-1].at)
			}
		}
		if d := rec.got[8].at.Sub(start); d < 3*time.Hour+59*time.Minute || d > 4*time.Hour {
			t.Errorf("the last attempt was after %v", d)
		}
		if st := s.Stats(); st.GivenUp != 1 || st.Attempts != 9 || st.Failed != 9 {
			t.Errorf("%+v", st)
		}
	})
}

func TestWhatCountsAsAFailure(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		err    error
		ok     bool
	}{
		{"200", 200, nil, true}, {"202", 202, nil, true}, {"299", 299, nil, true},
		{"a redirect, which is not followed", 302, nil, false}, {"308", 308, nil, false},
		{"401", 401, nil, false}, {"503", 503, nil, false}, {"a reset", 0, errors.New("reset"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := &receiver{answer: func(int, *http.Request) (int, error) { return c.status, c.err }}
			s := New(Options{Products: 1, Target: "https://r.example", Client: &http.Client{Transport: rec}, Now: fixed(epoch)})
			s.UpdateProduct(s.IDs()[0], func(*Product) {})
			s.Drain(t.Context())
			d := s.Deliveries()
			if len(d) != 1 || len(rec.got) != 1 || d[0].Acknowledged() != c.ok {
				t.Errorf("%d requests, records %+v", len(rec.got), d)
			}
			if want := map[bool]int{true: 0, false: 1}[c.ok]; s.Pending() != want {
				t.Errorf("%d pending", s.Pending())
			}
		})
	}
}

func TestAnAnswerAfterFiveSecondsIsTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{answer: func(_ int, r *http.Request) (int, error) {
			select {
			case <-r.Context().Done():
				return 0, r.Context().Err()
			case <-time.After(6 * time.Second):
				return 200, nil
			}
		}}
		s := New(Options{Products: 1, Target: "https://r.example", Client: &http.Client{Transport: rec}})
		s.UpdateProduct(s.IDs()[0], func(*Product) {})
		s.Drain(t.Context())
		if d := s.Deliveries()[0]; d.Acknowledged() || d.Duration != 5*time.Second {
			t.Errorf("%+v", d)
		}
	})
}

func TestASubscriptionIsDeletedAfterEightFailuresInARow(t *testing.T) {
	for _, c := range []struct {
		name  string
		eager bool
		fails func(n int, first bool) bool
		want  int
	}{
		{"one delivery fails 8 times", false, func(int, bool) bool { return true }, 1},
		{"another delivery succeeds in between", false, func(_ int, first bool) bool { return first }, 0},
		{"eager: 8 attempts of any delivery", true, func(int, bool) bool { return true }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := ""
			rec := &receiver{answer: func(n int, r *http.Request) (int, error) {
				if n == 1 {
					id = r.Header.Get("X-Shopify-Webhook-Id")
				}
				if c.fails(n, r.Header.Get("X-Shopify-Webhook-Id") == id) {
					return 500, nil
				}
				return 200, nil
			}}
			at := epoch
			s := New(Options{Products: 1, Target: "https://r.example", Client: &http.Client{Transport: rec}, DropEager: c.eager,
				Topics: []string{TopicUpdate}, Now: func() time.Time { at = at.Add(time.Millisecond); return at }})
			edits := 2
			if c.eager {
				edits = 8
			}
			for range edits {
				s.UpdateProduct(s.IDs()[0], func(*Product) {})
			}
			if c.eager {
				s.Drain(t.Context())
			} else {
				s.DrainAll(t.Context())
			}
			if n := len(s.DroppedSubscriptions()); n != c.want || len(s.Subscriptions()) != 1-c.want {
				t.Errorf("%d dropped, %d left", n, len(s.Subscriptions()))
			}
			before := s.Stats().Fired
			s.UpdateProduct(s.IDs()[0], func(*Product) {})
			if fired := s.Stats().Fired - before; fired != 1-c.want {
				t.Errorf("%d deliveries after it", fired)
			}
		})
	}
}

func TestEachKindOfChaosHappensAboutAsOftenAsAsked(t *testing.T) {
	run := func(c Chaos) (Stats, []received) {
		rec := &receiver{}
		at := epoch
		s := New(Options{Products: 20, MaxVariants: 2, Lean: true, Target: "https://r.example", Client: &http.Client{Transport: rec}, Chaos: c,
			Now: func() time.Time { at = at.Add(10 * time.Millisecond); return at }})
		for range 1000 {
			s.RandomEdit()
		}
		s.Drain(t.Context())
		return s.Stats(), rec.got
	}
	disorder := func(got []received) (n int) {
		for i := 1; i < len(got); i++ {
			if got[i].header.Get("X-Shopify-Triggered-At") < got[i-1].header.Get("X-Shopify-Triggered-At") {
				n++
			}
		}
		return n
	}
	if st, got := run(Chaos{}); st.Lost+st.Duplicated != 0 || disorder(got) != 0 || st.Fired != len(got) {
		t.Errorf("without chaos: %+v, %d out of order", st, disorder(got))
	}
	if st, _ := run(Chaos{Loss: 0.2}); st.Lost < 150 || st.Lost > 250 {
		t.Errorf("%d of 1000 lost", st.Lost)
	}
	if st, got := run(Chaos{Duplicate: 0.2}); st.Duplicated < 150 || len(got) != st.Fired+st.Duplicated {
		t.Errorf("%d of 1000 twice, %d sent", st.Duplicated, len(got))
	}
	if _, got := run(Chaos{Reorder: 0.3}); disorder(got) < 150 {
		t.Errorf("%d of 1000 out of order", disorder(got))
	}
	if _, got := run(Chaos{Delay: 0.1, DelayMax: 5 * time.Second}); disorder(got) < 50 {
		t.Errorf("%d of 1000 out of order", disorder(got))
	}
}

func TestWhatTheAdminSubscribedIsTheShopsOwn(t *testing.T) {
	rec := &receiver{}
	s := apiShop(Options{Products: 1, Secret: "the app's", NotificationSecret: "the shop's", Target: "https://r.example",
		Topics: []string{TopicUpdate}, Client: &http.Client{Transport: rec}, Now: fixed(epoch)})
	s.SubscribeNotification(TopicUpdate, "https://r.example/own")
	edit := func() (signed []string) {
		rec.got = nil
		s.UpdateProduct(s.IDs()[0], func(*Product) {})
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, g := range rec.got {
			for _, secret := range []string{"the app's", "the shop's"} {
				if g.header.Get("X-Shopify-Hmac-Sha256") == Sign(secret, []byte(g.body)) {
					signed = append(signed, secret)
				}
			}
		}
		return signed
	}
	if got := edit(); !slices.Equal(got, []string{"the app's", "the shop's"}) {
		t.Errorf("signed with %q", got)
	}
	r := ask(t, s, `{webhookSubscriptions(first:5){nodes{topic}}}`, nil)
	if strings.Count(string(r.Data), "PRODUCTS_UPDATE") != 1 {
		t.Errorf("the API lists %s", r.Data)
	}
	s.Uninstall()
	if got := edit(); !slices.Equal(got, []string{"the shop's"}) {
		t.Errorf("without the app signed with %q", got)
	}
}

func TestAfterARotationTheOldSecretSignsForAtMostAnHour(t *testing.T) {
	rec := &receiver{}
	at := epoch
	s := New(Options{Products: 5, Secret: "old", Target: "https://r.example", Client: &http.Client{Transport: rec}, Now: func() time.Time { return at }})
	s.RotateSecret("new")
	signed := func() (old, fresh int) {
		rec.got = nil
		for range 100 {
			s.UpdateProduct(s.IDs()[0], func(*Product) {})
		}
		s.Drain(t.Context())
		for _, g := range rec.got {
			switch g.header.Get("X-Shopify-Hmac-Sha256") {
			case Sign("old", []byte(g.body)):
				old++
			case Sign("new", []byte(g.body)):
				fresh++
			}
		}
		return old, fresh
	}
	if old, _ := signed(); old != 100 {
		t.Errorf("at once: %d of 100 with the old secret", old)
	}
	at = at.Add(30 * time.Minute)
	if old, fresh := signed(); old < 25 || fresh < 25 || old+fresh != 100 {
		t.Errorf("half way: %d old, %d new", old, fresh)
	}
	at = at.Add(31 * time.Minute)
	if _, fresh := signed(); fresh != 100 {
		t.Errorf("after an hour: %d of 100 with the new secret", fresh)
	}
}

func TestRunEditsAndDeliversOverARealSocketAndStops(t *testing.T) {
	var n atomic.Int64
	enough := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 200 {
			close(enough)
		}
	}))
	defer srv.Close()
	chaos, _ := ChaosLevel("mild")
	s := New(Options{Products: 50, Target: srv.URL, Chaos: chaos})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx, 2000) }()
	<-enough
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Acknowledged < 200 || int64(st.Attempts) != n.Load() {
		t.Errorf("%+v, received %d", st, n.Load())
	}
}

func TestRunPacesEditsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{}
		s := New(Options{Products: 50, Target: "https://r.example", Client: &http.Client{Transport: rec}})
		ctx, cancel := context.WithTimeout(t.Context(), 1000*time.Second)
		defer cancel()
		s.Run(ctx, 2)
		if n := s.Stats().Fired; n < 1700 || n > 2300 {
			t.Errorf("%d deliveries in 1000 s at 2 edits/s", n)
		}
		if s.Pending() != 0 {
			t.Errorf("%d pending", s.Pending())
		}
	})
}
