package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"stockroom/internal/catalog"
)

// repeated returns the n-th delivery of one body, under a webhook id of its own.
func repeated(c catalog.Change, body string, n int) Delivery {
	at := time.Now()
	topic, id := string(c.Topic), fmt.Sprint("r", n)
	return Delivery{Shop: testShop, Topic: topic, WebhookID: id, ReceivedAt: at, TriggeredAt: at,
		Dedupe: DedupeKey(testShop, topic, id, []byte(body)), Body: []byte(body)}
}

// rowCounts returns the rows, oldest first, as outcome and count.
func (b *bench) rowCounts() (rows []string) {
	b.t.Helper()
	list, err := b.s.Deliveries(b.t.Context(), "", 0, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, d := range list {
		rows = append([]string{fmt.Sprint(d.Outcome, " ", d.Count)}, rows...)
	}
	return rows
}

// TestRepeatsOfOneBodyAreOneRowWithACount sends one body ten times: by one webhook
// id, by ids of their own, and as what is kept beside the catalogue.
func TestRepeatsOfOneBodyAreOneRowWithACount(t *testing.T) {
	inventory := catalog.Change{Topic: catalog.InventoryLevelsUpdate, Kind: catalog.Inventory, ID: 999}
	uninstall := catalog.Change{Topic: catalog.AppUninstalled, Kind: catalog.Uninstalled}
	v1 := upsertOf(product(1, "v1", 10_000, "1"))
	undated := upsertOf(product(1, "v2", 0, "1"))
	undated.Product.UpdatedAt = catalog.Field[int64]{}
	for _, tt := range []struct {
		name   string
		c      catalog.Change
		one    bool // one webhook id for all
		record bool
		want   []string
		wanted int
	}{
		{"a version, redelivered", v1, true, false, []string{"applied 1", "duplicate 9"}, 0},
		{"a version, by ids of their own", v1, false, false, []string{"applied 1", "stale 9"}, 0},
		{"a delete", deleteOf(1), false, false, []string{"applied 1", "stale 9"}, 0},
		{"a stock level", inventory, false, false, []string{"applied 1", "duplicate 9"}, 1},
		{"an uninstall", uninstall, false, false, []string{"applied 10"}, 1},
		{"a body without a time", undated, false, false, []string{"stale 10"}, 1},
		{"a mismatch", deleteOf(1), false, true, []string{"mismatch 10"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t)
			if tt.name == "a body without a time" {
				b.want(v1, Applied)
				tt.want = append([]string{"applied 1"}, tt.want...)
			}
			asked := 0
			for n := range 10 {
				if tt.one {
					n = 0
				}
				d := repeated(tt.c, "body", n)
				if tt.record {
					w, err := b.s.Record(t.Context(), d, 1, Mismatch, "no", &Wanted{Shop: testShop, Kind: WantProduct, ID: 1})
					if err != nil {
						t.Fatal(err)
					}
					if w != nil {
						asked++
					}
				} else if res := b.deliver(d, tt.c); res.Wanted != nil {
					asked++
				}
			}
			got, list := b.rowCounts(), b.wanted()
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || asked != tt.wanted || len(list) != tt.wanted {
				t.Errorf("journal %q, asked %d times for %+v", got, asked, list)
			}
			if seen := b.s.DeliveriesSeen(); int(seen) < 10 {
				t.Errorf("%d deliveries were counted", seen)
			}
		})
	}
}

// TestWhatARowDoesNotCount holds what makes another row: another body, topic or
// shop, a row that is gone, one that is a day old, one whose commit failed, and a
// change of the catalogue.
func TestWhatARowDoesNotCount(t *testing.T) {
	b := open(t)
	c := upsertOf(product(1, "v1", 10_000, "1"))
	b.want(c, Applied)
	n := 0
	send := func(change func(*Delivery), body string) {
		t.Helper()
		n++
		d := repeated(c, body, n)
		if change != nil {
			change(&d)
		}
		b.deliver(d, c)
	}
	rows := func(what string, want ...string) {
		t.Helper()
		if got := b.rowCounts(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s: journal %q, want %q", what, got, want)
		}
	}
	send(nil, "a")
	send(nil, "a")
	rows("twice", "applied 1", "stale 2")
	send(nil, "b")
	send(func(d *Delivery) { d.Topic = "products/create" }, "a")
	send(func(d *Delivery) { d.Body = nil }, "a")
	rows("others", "applied 1", "stale 2", "stale 1", "stale 1", "stale 1")

	b.fail(func(point string) error {
		if point == "before commit" {
			return errors.New("no")
		}
		return nil
	})
	if _, err := b.s.Apply(t.Context(), repeated(c, "lost", 90), c); err == nil {
		t.Fatal("it was committed")
	}
	b.fail(nil)
	send(nil, "c") // takes the number of the row that was not committed
	send(nil, "lost")
	send(nil, "lost")
	rows("a failed commit", "applied 1", "stale 2", "stale 1", "stale 1", "stale 1", "stale 1", "stale 2")

	if _, err := b.s.Prune(t.Context(), time.Now().Add(8*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	send(nil, "a")
	rows("a row that is gone", "stale 2", "stale 1")

	b.reopen()
	send(nil, "a")
	rows("after a start", "stale 2", "stale 1", "stale 1")
	err := b.s.write(t.Context(), b.s.urgent, 1, func(t *tx) error {
		for _, key := range t.s.repeats.rows.Keys() {
			r, _ := t.s.repeats.rows.Get(key)
			r.began -= repeatsDay.Milliseconds()
			t.s.repeats.rows.Add(key, r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	send(nil, "a")
	rows("a day later", "stale 2", "stale 1", "stale 1", "stale 1")
}

// TestARowIsKeptAsLongAsItsNewestRepeat holds the retention.
func TestARowIsKeptAsLongAsItsNewestRepeat(t *testing.T) {
	b := open(t)
	c := upsertOf(product(1, "v1", 10_000, "1"))
	b.want(c, Applied)
	const week = 7 * 24 * time.Hour
	now := time.Now()
	for i, ago := range []time.Duration{week + time.Hour, time.Hour} {
		d := repeated(c, "body", i)
		d.ReceivedAt = now.Add(-ago)
		b.deliver(d, c)
	}
	b.want(c, Stale)
	list, err := b.s.Deliveries(t.Context(), testShop, 0, 2)
	if err != nil || list[1].Count != 2 || list[1].LastAt != MillisOf(now.Add(-time.Hour)) {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, when := range []struct {
		at   time.Time
		want int
	}{{now, 3}, {now.Add(week), 1}} {
		if _, err := b.s.Prune(t.Context(), when.at); err != nil || len(b.rowCounts()) != when.want {
			t.Errorf("at %v: %q, %v", when.at, b.rowCounts(), err)
		}
	}
}

// TestTheRowsThatAreRememberedAreBounded holds the bound of the memory.
func TestTheRowsThatAreRememberedAreBounded(t *testing.T) {
	rows := newRepeats().rows
	for key := range uint64(2 * repeatsKept) {
		rows.Add(key, repeat{key: key})
	}
	if rows.Len() != repeatsKept {
		t.Errorf("%d rows are remembered", rows.Len())
	}
}
