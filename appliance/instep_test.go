package appliance

import (
	"fmt"
	"testing"
	"time"

	"stockroom/fakeshopify"
	"stockroom/queue"
	"stockroom/store"
)

// TestWorkThatWaitsIsSeenBehindThatOfAnotherShop holds that a shop is not in step
// while a job of its waits, however many of another shop are before it.
func TestWorkThatWaitsIsSeenBehindThatOfAnotherShop(t *testing.T) {
	p := newPlant(t, fakeshopify.Options{}, nil)
	page := &syncs{a: p.Appliance}
	if words := page.jobWords(testShop, time.Now()); words != "" {
		t.Fatalf("to begin with: %s", words)
	}
	var jobs []queue.NewJob
	add := func(shop string, n int) {
		jobs = append(jobs, queue.NewJob{Kind: "parked", Key: fmt.Sprint(shop, n), Labels: map[string]string{"shop": shop}, Payload: []byte("{}")})
	}
	for n := range 20_100 {
		add("large.myshopify.com", n)
	}
	for n := 0; n < len(jobs); n += 5000 {
		if err := p.queue.EnqueueAll(t.Context(), jobs[n:min(n+5000, len(jobs))]); err != nil {
			t.Fatal(err)
		}
	}
	if words := page.jobWords(testShop, time.Now().Add(time.Hour)); words != "" {
		t.Errorf("nothing of the shop waits: %s", words)
	}
	jobs = nil
	add(testShop, 0)
	if err := p.queue.EnqueueAll(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	if page.jobWords(testShop, time.Now().Add(2*time.Hour)) == "" {
		t.Error("in step while a job waits")
	}
}

// TestAWantedFetchWithoutAJobIsNotInStep holds the time until the queue can take
// what a commit asked for.
func TestAWantedFetchWithoutAJobIsNotInStep(t *testing.T) {
	p := newPlant(t, fakeshopify.Options{}, nil)
	page := &syncs{a: p.Appliance}
	if err := p.store.Want(t.Context(), store.Wanted{Shop: testShop, Kind: store.WantProduct, ID: 7, Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if page.jobWords(testShop, time.Now()) == "" {
		t.Error("in step while a product is to be fetched")
	}
	if words := page.jobWords("other.myshopify.com", time.Now()); words != "" {
		t.Errorf("of another shop: %s", words)
	}
}
