package webhook

import (
	"fmt"
	"testing"
	"time"

	"stockroom/queue"
	"stockroom/store"
)

func dated(id int64, at time.Time) []byte {
	return fmt.Appendf(nil, `{"id":%d,"title":"POISON","updated_at":%q}`, id, at.UTC().Format(time.RFC3339))
}

// aheadBench is an intake for a shop whose clock is an hour behind ours.
func aheadBench() (b *bench, now time.Time) {
	now = time.Now().Add(-time.Hour).Truncate(time.Second)
	return newBench(func(o *Options) { o.ShopTime = func(string) time.Time { return now } }), now
}

// TestABodyFromTheShopsFutureIsNotApplied holds both ways a body can come to the
// catalogue: it is kept as a mismatch, and the product is read instead.
func TestABodyFromTheShopsFutureIsNotApplied(t *testing.T) {
	for _, tt := range []struct {
		name  string
		at    func(now time.Time) time.Time
		ahead bool
	}{
		{"a year ahead", func(now time.Time) time.Time { return now.AddDate(1, 0, 0) }, true},
		{"at the end of time", func(time.Time) time.Time { return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) }, true},
		{"behind our clock, ahead of the shop's", func(now time.Time) time.Time { return now.Add(30 * time.Minute) }, true},
		{"five minutes and a second", func(now time.Time) time.Time { return now.Add(5*time.Minute + time.Second) }, true},
		{"five minutes", func(now time.Time) time.Time { return now.Add(5 * time.Minute) }, false},
		{"as old as the hills", func(now time.Time) time.Time { return now.AddDate(-20, 0, 0) }, false},
	} {
		t.Run("delivered "+tt.name, func(t *testing.T) {
			b, now := aheadBench()
			answer := success
			if tt.ahead {
				answer = kept
			}
			want(t, b.send(signed(dated(7, tt.at(now)))), 200, answer)
			if applied := len(b.catalogue.applied) > 0; applied == tt.ahead {
				t.Errorf("applied: %v", applied)
			}
			b.readIsWanted(t, tt.ahead)
			if jobs := b.queue.list(); tt.ahead && (len(jobs) != 1 || jobs[0].State != queue.Dead || jobs[0].Class != queue.ClassValidation || jobs[0].Labels[store.LabelProduct] != "7") {
				t.Errorf("dead letters: %+v", jobs)
			}
		})
		t.Run("queued "+tt.name, func(t *testing.T) {
			b, now := aheadBench()
			e := Envelope{Shop: testShop, Topic: "products/update", ReceivedAt: now, Body: dated(7, tt.at(now))}
			payload, err := e.Encode()
			if err != nil {
				t.Fatal(err)
			}
			err = b.work(t.Context(), queue.Job{Payload: payload})
			if applied := len(b.catalogue.applied) > 0; applied == tt.ahead || (err != nil) != tt.ahead {
				t.Errorf("applied: %v, %v", applied, err)
			}
			b.readIsWanted(t, tt.ahead)
		})
	}
}

// readIsWanted checks that a mismatch is in the journal with the wish for a read
// of product 7, or that there is none.
func (b *bench) readIsWanted(t *testing.T, wanted bool) {
	t.Helper()
	list := b.catalogue.wanted
	switch {
	case !wanted && len(list)+len(b.catalogue.records) == 0:
	case wanted && len(list) == 1 && list[0].Kind == store.WantProduct && list[0].ID == 7 && list[0].Shop == testShop &&
		len(b.catalogue.records) == 1 && b.catalogue.records[0] == store.Mismatch:
	default:
		t.Errorf("wanted %+v, journal %v", list, b.catalogue.records)
	}
}

// TestADeadLetterNamesTheProductWhoseReadAnswersIt holds which bodies that are
// not applied have their product read.
func TestADeadLetterNamesTheProductWhoseReadAnswersIt(t *testing.T) {
	for _, tt := range []struct {
		name, topic, body string
		apply             func(int) (store.Result, error)
		want              string
	}{
		{"a title that is no text", "products/update", `{"id":7,"title":{"a":1},"updated_at":"2026-11-01T10:00:00Z"}`, nil, "7"},
		{"a product under the topic of deletions", "products/delete", `{"id":7,"title":"x"}`, nil, "7"},
		{"no JSON", "products/update", `{"id":7`, nil, ""},
		{"no id", "products/update", `{"title":"x"}`, nil, ""},
		{"another shop's product", "products/update", string(update(7)), func(int) (store.Result, error) { return store.Result{}, store.ErrOtherShop }, "7"},
		{"what the law asks for", "customers/redact", `{"id":7,"admin_graphql_api_id":"gid://shopify/Product/7"}`, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(nil)
			b.catalogue.set(tt.apply, nil)
			r := signed([]byte(tt.body))
			r.Header.Set("X-Shopify-Topic", tt.topic)
			want(t, b.send(r), 200, kept)
			jobs := b.queue.list()
			if len(jobs) != 1 || jobs[0].Labels[store.LabelProduct] != tt.want || (len(b.catalogue.wanted) == 1) != (tt.want != "") {
				t.Errorf("jobs %+v, wanted %+v", jobs, b.catalogue.wanted)
			}
		})
	}
}
