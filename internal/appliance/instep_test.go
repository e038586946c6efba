package appliance

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/status"
	"stockroom/queue"
	"stockroom/store"
)

// standing is how a shop's copy stands, as every face says it.
func (a *Appliance) standing(shop string) *status.Sync {
	return a.status.Read(context.Background(), time.Now()).Shop(shop).Sync
}

// says are the codes of the lines about a shop.
func (a *Appliance) says(shop string, now time.Time) (codes []string) {
	for _, l := range a.status.Read(context.Background(), now).Lines {
		if l.Shop == shop {
			codes = append(codes, l.Code)
		}
	}
	return codes
}

// TestWorkThatWaitsIsSeenBehindThatOfAnotherShop holds that a shop is not in step
// while a job of its waits, however many of another shop are before it.
func TestWorkThatWaitsIsSeenBehindThatOfAnotherShop(t *testing.T) {
	p := newPlant(t, fakeshopify.Options{}, nil)
	if codes := p.says(testShop, time.Now()); slices.Contains(codes, "unworked") {
		t.Fatalf("to begin with: %v", codes)
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
	if codes := p.says(testShop, time.Now().Add(time.Hour)); slices.Contains(codes, "unworked") {
		t.Errorf("nothing of the shop waits: %v", codes)
	}
	jobs = nil
	add(testShop, 0)
	if err := p.queue.EnqueueAll(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	if codes := p.says(testShop, time.Now().Add(2*time.Hour)); !slices.Contains(codes, "unworked") {
		t.Errorf("in step while a job waits: %v", codes)
	}
}

// TestAWantedFetchWithoutAJobIsNotInStep holds the time until the queue can take
// what a commit asked for. It is the one state that is damped.
func TestAWantedFetchWithoutAJobIsNotInStep(t *testing.T) {
	p := newPlant(t, fakeshopify.Options{}, map[string]string{"public-url": "https://stock.example"})
	if err := p.store.Want(t.Context(), store.Wanted{Shop: testShop, Kind: store.WantProduct, ID: 7, Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	wanted := time.Now()
	if codes := p.says(testShop, wanted.Add(4*time.Second)); slices.Contains(codes, "reading") {
		t.Errorf("not damped: %v", codes)
	}
	if codes := p.says(testShop, wanted.Add(6*time.Second)); !slices.Contains(codes, "reading") {
		t.Errorf("in step while a product is to be fetched: %v", codes)
	}
}
