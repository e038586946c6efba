package store

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

func (b *bench) deliveries(f DeliveryFilter) DeliveryPage {
	b.t.Helper()
	page, err := b.s.SearchDeliveries(context.Background(), f)
	if err != nil {
		b.t.Fatalf("deliveries %+v: %v", f, err)
	}
	return page
}

func rowsOf(p DeliveryPage) []int64 {
	ids := []int64{}
	for _, d := range p.Deliveries {
		ids = append(ids, d.ID)
	}
	return ids
}

// journal writes rows straight into the file: row i is of shop i%shops, product
// i%10, and dead every hundredth.
func (b *bench) journal(rows, shops int) {
	b.t.Helper()
	_, err := b.other().Exec(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO deliveries (id, shop, topic, external_id, received_at, outcome, duration_us, dedupe)
		SELECT i, 'shop-' || (i % ?2) || '.myshopify.com', CASE i % 3 WHEN 0 THEN 'products/create' ELSE 'products/update' END,
		       i % 10, ?3, CASE i % 100 WHEN 0 THEN 'dead' ELSE 'applied' END, 10, i FROM n`, rows, shops, time.Now().UnixMilli())
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestTheJournalIsFilteredAndPagedBothWays(t *testing.T) {
	b := open(t)
	b.journal(1000, 4)
	for name, c := range map[string]struct {
		f    DeliveryFilter
		want int
	}{
		"all":               {DeliveryFilter{}, 1000},
		"shop":              {DeliveryFilter{Shop: "shop-1.myshopify.com"}, 250},
		"topic":             {DeliveryFilter{Topic: "products/create"}, 333},
		"rare outcome":      {DeliveryFilter{Outcome: Dead}, 10},
		"common outcome":    {DeliveryFilter{Outcome: Applied}, 990},
		"product":           {DeliveryFilter{Product: 7}, 100},
		"product and shop":  {DeliveryFilter{Product: 7, Shop: "shop-1.myshopify.com"}, 50},
		"dead of one shop":  {DeliveryFilter{Outcome: Dead, Shop: "shop-0.myshopify.com"}, 10},
		"dead of no shop":   {DeliveryFilter{Outcome: Dead, Shop: "shop-1.myshopify.com"}, 0},
		"nothing is queued": {DeliveryFilter{Outcome: Queued}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := c.f
			f.Limit = 37
			var forth []int64
			page := b.deliveries(f)
			for {
				forth = append(forth, rowsOf(page)...)
				if page.Next == "" {
					break
				}
				f.Cursor = page.Next
				page = b.deliveries(f)
			}
			if len(forth) != c.want || !slices.IsSortedFunc(forth, func(a, b int64) int { return int(b - a) }) {
				t.Fatalf("%d rows, want %d", len(forth), c.want)
			}
			back := rowsOf(page)
			for page.Prev != "" {
				f.Cursor = page.Prev
				page = b.deliveries(f)
				if newest := page.Prev == ""; newest && len(page.Deliveries) == 37 && len(back)+37 > len(forth) {
					break // there was nothing newer: the newest page once more
				}
				back = append(rowsOf(page), back...)
			}
			if !slices.Equal(back, forth) {
				t.Errorf("back %v\nforth %v", back, forth)
			}
		})
	}
}

func TestAPageOfTheJournalLooksAtABoundedNumberOfRows(t *testing.T) {
	b := open(t)
	b.journal(journalLooked+2000, 1)
	f := DeliveryFilter{Topic: "products/delete"}
	page := b.deliveries(f)
	if len(page.Deliveries) != 0 || page.Next != "n2001" {
		t.Fatalf("%d rows, next %q", len(page.Deliveries), page.Next)
	}
	f.Cursor = page.Next
	if page = b.deliveries(f); page.Next != "" || page.Prev != "p2000" {
		t.Fatalf("the last page: next %q, previous %q", page.Next, page.Prev)
	}
	f.Cursor = "p0"
	if page = b.deliveries(f); page.Prev != fmt.Sprint("p", journalLooked) {
		t.Fatalf("towards newer rows: previous %q", page.Prev)
	}
}

func TestNewRowsDoNotMoveAPage(t *testing.T) {
	b := open(t)
	for id := range int64(30) {
		b.want(upsertOf(product(id+1, "a", 1000)), Applied)
	}
	first := b.deliveries(DeliveryFilter{Limit: 10})
	second := b.deliveries(DeliveryFilter{Limit: 10, Cursor: first.Next})
	for id := range int64(15) {
		b.want(upsertOf(product(id+1, "b", 2000)), Applied)
	}
	if again := b.deliveries(DeliveryFilter{Limit: 10, Cursor: first.Next}); !slices.Equal(rowsOf(again), rowsOf(second)) {
		t.Errorf("the second page was %v and is %v", rowsOf(second), rowsOf(again))
	}
	newer := b.deliveries(DeliveryFilter{Limit: 10, Cursor: second.Prev})
	if !slices.Equal(rowsOf(newer), rowsOf(first)) || newer.Prev == "" {
		t.Errorf("the page before the second is %v, want %v", rowsOf(newer), rowsOf(first))
	}
}

func TestActivityCountsTheLastHourOverARestart(t *testing.T) {
	b := open(t)
	now := time.Now().Truncate(time.Minute).Add(30 * time.Second)
	send := func(shop string, ago time.Duration) {
		b.n++
		c := upsertOf(product(b.n, "a", 1000))
		d := b.delivery(c)
		d.Shop, d.ReceivedAt = shop, now.Add(-ago)
		b.deliver(d, c)
	}
	send(testShop, 0)
	send(testShop, 0)
	send(testShop, 59*time.Minute)
	send(testShop, 61*time.Minute)
	send("other.myshopify.com", time.Minute)
	c := upsertOf(product(1, "a", 1000))
	if _, err := b.s.Record(context.Background(), b.delivery(c), 1, Dead, "no", nil); err != nil {
		t.Fatal(err)
	}
	want := [ActivityMinutes]int{0: 1, 59: 3}
	for range 2 {
		if got := b.s.Activity(testShop, now); got != want {
			t.Errorf("shop: %v", got)
		}
		all := want
		all[58] = 1
		if got := b.s.Activity("", now); got != all {
			t.Errorf("all: %v", got)
		}
		if got := b.s.Activity(testShop, now.Add(10*time.Minute)); got[49] != 3 || got[59] != 0 {
			t.Errorf("ten minutes later: %v", got)
		}
		if at := b.s.LastDelivery(testShop); at.Before(now.Truncate(time.Minute)) || !b.s.LastDelivery("none.myshopify.com").IsZero() {
			t.Errorf("the last one came at %v", at)
		}
		b.reopen()
		for range 12_000 { // it is filled beside Open
			if b.s.Activity("", now) == all {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func TestAClockSetBackDoesNotHideActivity(t *testing.T) {
	var m minutes
	now := time.Unix(1_800_000_000, 0)
	m.add(now.Add(time.Hour), now.Add(time.Hour))
	m.add(now, now)
	m.add(now, now)
	s := &Store{}
	s.activity.shops.Store("a", &m)
	if got := s.Activity("a", now); got[59] != 2 {
		t.Errorf("%v", got)
	}
}

func TestACommitWakesEveryListenerAndWaitsForNone(t *testing.T) {
	b := open(t)
	const listeners = 1000
	woken := make(chan int64, listeners)
	for range listeners {
		wake := b.s.Watch()
		go func() {
			<-wake
			woken <- b.s.LastSeq()
		}()
	}
	idle := b.s.Watch() // nobody listens to this one
	b.want(upsertOf(product(1, "a", 1000)), Applied)
	for range listeners {
		select {
		case seq := <-woken:
			if seq == 0 {
				t.Fatal("a listener was woken before the commit could be seen")
			}
		case <-time.After(time.Minute):
			t.Fatal("a listener was not woken")
		}
	}
	for id := int64(2); id < 50; id++ {
		b.want(upsertOf(product(id, "a", 1000)), Applied)
	}
	<-idle
}

func TestAListenerThatTakesTheChannelFirstMissesNoCommit(t *testing.T) {
	b := open(t)
	const commits = 200
	done := make(chan struct{})
	go func() {
		defer close(done)
		for seen := int64(0); seen < commits; {
			wake := b.s.Watch()
			if now := b.s.LastSeq(); now > seen {
				seen = now
				continue
			}
			<-wake
		}
	}()
	for id := range int64(commits) {
		b.want(upsertOf(product(id+1, "a", 1000)), Applied)
	}
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the listener sleeps although everything is committed")
	}
}

func TestWhenAShopWasWrittenLastIsKnownAfterARestart(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "a", 1000)), Applied)
	count := func() Counts {
		t.Helper()
		c, err := b.s.CountShop(context.Background(), testShop)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := count()
	if before.Products != 1 || before.Active != 1 || time.Since(time.UnixMilli(before.LastSync)) > time.Minute {
		t.Fatalf("%+v", before)
	}
	if _, err := b.other().Exec(`UPDATE products SET synced_at = 5000`); err != nil {
		t.Fatal(err)
	}
	for _, lost := range []string{``, `DELETE FROM changes`} { // without a feed the products tell
		if _, err := b.other().Exec(lost); err != nil {
			t.Fatal(err)
		}
		b.reopen()
		for range 12_000 { // it is read beside Open
			if count().LastSync != 0 {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		want := before.LastSync
		if lost != "" {
			want = 5000
		}
		if got := count(); got.LastSync != want || got.Products != 1 {
			t.Errorf("%s: %+v, want %d", lost, got, want)
		}
	}
	b.apply(deleteOf(1))
	if got := count(); got.Products != 0 || got.Active != 0 || got.LastSync != 0 {
		t.Errorf("without products: %+v", got)
	}
}
