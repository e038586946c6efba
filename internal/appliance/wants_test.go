package appliance

import (
	"testing"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/queue"
	"stockroom/store"
)

// TestWorkThatDiedWaitsForNews looks at the table again and again while a row
// has a dead letter.
func TestWorkThatDiedWaitsForNews(t *testing.T) {
	p := newPlant(t, fakeshopify.Options{Products: 2}, nil)
	if _, err := p.client.Shop(t.Context(), testShop, 0); err != nil {
		t.Fatal(err)
	}
	p.shop.Fail(fakeshopify.Fault{Status: 404})
	id := p.shop.IDs()[0]
	p.want(t, id)
	j, _ := p.job(t)
	if j.State != queue.Dead {
		t.Fatalf("%+v", j)
	}
	now := time.Now()
	p.wants.rebuild(t.Context(), now) // the first look takes all
	for range 5 {
		now = now.Add(wantsLook)
		p.wants.rebuild(t.Context(), now)
	}
	if jobs := p.jobs(t); len(jobs) != 1 || jobs[0].State != queue.Dead {
		t.Fatalf("the row brought it back: %+v", jobs)
	}
	if _, err := p.queue.Discard(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	p.wants.rebuild(t.Context(), now.Add(lookBack))
	if jobs := p.jobs(t); len(jobs) != 0 {
		t.Errorf("what a person discarded came back: %+v", jobs)
	}
	p.want(t, id) // news
	if j, there := p.job(t); there {
		t.Errorf("not done: %+v", j)
	}
}

// jobs are the product fetches that the queue's file holds; its numbers in memory
// follow a commit a moment later.
func (p *plant) jobs(t *testing.T) []queue.Job {
	t.Helper()
	jobs, _, err := p.queue.List(t.Context(), queue.Filter{Kind: string(store.WantProduct)})
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

// TestARowWhoseNoticeWasDroppedIsFound wants something without telling anybody.
func TestARowWhoseNoticeWasDroppedIsFound(t *testing.T) {
	p := newPlant(t, fakeshopify.Options{Products: 2}, nil)
	p.wants.rebuild(t.Context(), time.Now())
	if err := p.store.Want(t.Context(), store.Wanted{Shop: testShop, Kind: store.WantProduct, ID: p.shop.IDs()[1]}); err != nil {
		t.Fatal(err)
	}
	p.wants.rebuild(t.Context(), time.Now())
	if s := p.queue.Stats(); s.Counts.Enqueued != 1 {
		t.Errorf("%+v", s)
	}
}
