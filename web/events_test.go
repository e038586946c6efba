package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/store"
)

// change returns the next change event of a page's stream.
func (r *reader) change(t testing.TB) changeEvent {
	t.Helper()
	for {
		e, ok := r.next()
		if !ok {
			t.Fatalf("the stream ended: %v", r.in.Err())
		}
		if e.kind == "ping" {
			continue
		}
		var c changeEvent
		if err := json.Unmarshal([]byte(e.data), &c); err != nil || e.kind != "change" {
			t.Fatalf("event %+v: %v", e, err)
		}
		return c
	}
}

func TestAnOpenPageIsToldWhatChangedWithinASecond(t *testing.T) {
	t.Parallel()
	r, f := newSyncRig(t, nil)
	page := follow(t, 200, r.listen()+"/events")
	if e, ok := page.next(); !ok || e.kind != "ping" {
		t.Fatalf("first came %+v", e)
	}
	for _, c := range []struct {
		name   string
		change func()
		want   []string
	}{
		{"a product", func() { r.edit(1) }, []string{"deliveries", "products"}},
		{"a delivery that changes nothing", func() {
			d := store.Delivery{Shop: testShop, Topic: "products/update", ReceivedAt: time.Now()}
			if _, err := r.store.Record(t.Context(), d, 1, store.Dead, "no", nil); err != nil {
				t.Fatal(err)
			}
		}, []string{"deliveries"}},
		{"a job", func() { r.deadJob("{}") }, []string{"jobs"}},
		{"a sync", func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.status.Running = &store.SyncRun{ID: 7, Read: 5}
		}, []string{"syncs"}},
		{"its progress", func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.status.Running = &store.SyncRun{ID: 7, Read: 6}
		}, []string{"syncs"}},
		{"a shop", func() {
			r.shops.mu.Lock()
			defer r.shops.mu.Unlock()
			r.shops.list[0].State = "paused"
		}, []string{"shops"}},
	} {
		time.Sleep(eventsPause) // what was said before is over
		c.change()
		var got changeEvent
		for len(got.Topics) < len(c.want) { // one event may come between the two
			more := page.change(t)
			topics := slices.DeleteFunc(append(got.Topics, more.Topics...), func(t string) bool { return t == "status" }) // what follows from it
			got = changeEvent{more.Seq, slices.Sorted(slices.Values(topics))}
		}
		if !slices.Equal(got.Topics, c.want) || got.Seq != r.store.LastSeq() {
			t.Errorf("%s: %+v, want %v", c.name, got, c.want)
		}
	}
}

// The script of a page says that contact is lost after ten seconds of silence.
func TestAnOpenPageHearsABeatEveryThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		w, done := httptest.NewRecorder(), make(chan struct{})
		go func() {
			defer close(done)
			if err := r.events(w, request(http.MethodGet, "/events", "").WithContext(ctx), nil); err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(30*time.Second + time.Millisecond)
		cancel()
		<-done
		if beats := strings.Count(w.Body.String(), "event: ping\n"); beats != 11 { // one at the start
			t.Errorf("%d beats in 30 seconds", beats)
		}
	})
}

func TestAgesThatGrowAreNoChange(t *testing.T) {
	r, f := newSyncRig(t, nil)
	now := time.Now()
	first, _, _ := r.shopsPrint(t.Context(), now, seen{})
	f.status.Staleness, f.status.Rate, f.status.EndsAt = 77, 12.5, now.Add(time.Hour)
	if again, _, _ := r.shopsPrint(t.Context(), now.Add(time.Hour), seen{}); again != first {
		t.Error("an hour went by, and that is told as a change")
	}
}

func TestAPageIsToldAtMostTwiceASecondHoweverMuchHappens(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	page := follow(t, 200, r.listen()+"/events")
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for id := range int64(4) {
		writers.Go(func() {
			for ctx.Err() == nil {
				if err := edit(r.store, fmt.Sprintf("shop-%d.myshopify.com", id), id+1); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	began, events := time.Now(), 0
	for events < 3 || time.Since(began) < 1600*time.Millisecond {
		page.change(t)
		events++
	}
	elapsed := time.Since(began)
	cancel()
	writers.Wait()
	if most := int(elapsed/eventsPause) + 2; events > most {
		t.Errorf("%d events in %v", events, elapsed)
	}
	// And the last word is about the last commit.
	deadline := time.Now().Add(time.Minute)
	for got := page.change(t); got.Seq != r.store.LastSeq(); got = page.change(t) {
		if time.Now().After(deadline) {
			t.Fatalf("the last event speaks of %d, the last commit is %d", got.Seq, r.store.LastSeq())
		}
	}
}

// BenchmarkApplyWithOpenPages measures durable applies a second by 32 callers
// while pages are open; the two figures have to be alike.
func BenchmarkApplyWithOpenPages(b *testing.B) {
	for _, pages := range []int{0, 20} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			r := newRig(b, nil)
			url := r.listen()
			events := make(chan struct{}, 1<<16)
			for range pages {
				page := follow(b, 200, url+"/events")
				go func() {
					for {
						if _, ok := page.next(); !ok {
							return
						}
						events <- struct{}{}
					}
				}()
			}
			b.SetParallelism(16)
			b.ResetTimer()
			var n sync.Mutex
			shop := 0
			b.RunParallel(func(pb *testing.PB) {
				n.Lock()
				shop++
				mine := shop
				n.Unlock()
				for i := int64(0); pb.Next(); i++ {
					if err := edit(r.store, fmt.Sprintf("shop-%d.myshopify.com", mine), int64(mine)*1000+i%100); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "applies/s")
			b.ReportMetric(float64(len(events))/b.Elapsed().Seconds(), "events/s")
		})
	}
}
