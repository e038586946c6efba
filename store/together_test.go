package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stockroom/internal/catalog"
)

// wide is a product of many variants whose title says how many there are and
// the sum of their prices, so that a mixture of two versions can't go unseen.
type wide struct {
	prices  map[int64]int64
	rng     *rand.Rand
	version int64
}

func (w *wide) edit() *catalog.Product {
	const most, changes = 2048, 20
	w.version++
	for range changes {
		id := w.rng.Int64N(most) + 1
		if w.version%3 == 0 && len(w.prices) > most-10 {
			delete(w.prices, id)
		} else {
			w.prices[id] = w.rng.Int64N(1_000_000)
		}
	}
	p := product(1, "", w.version*1000)
	var sum int64
	var list []catalog.Variant
	for id := int64(1); id <= most; id++ {
		price, ok := w.prices[id]
		if !ok {
			continue
		}
		sum += price
		v := variant(id, strconv.FormatInt(price, 10))
		v.Position = catalog.Of(id)
		list = append(list, v)
	}
	p.Title = catalog.Of(fmt.Sprint(len(list), " ", sum))
	p.Variants = catalog.Of(list)
	return p
}

// TestNoReaderEverSeesHalfAnEdit is I4 at Shopify's largest product: while it is
// edited by deliveries, fetches and bulk results, readers of ours and another
// program in a transaction see one version at a time.
func TestNoReaderEverSeesHalfAnEdit(t *testing.T) {
	edits := 100
	if underRace {
		edits = 15
	}
	b := open(t)
	w := &wide{prices: map[int64]int64{}, rng: rand.New(rand.NewPCG(4, 2048))}
	for id := int64(1); id <= 2048; id++ {
		w.prices[id] = id
	}
	var titles sync.Map // of every version, before it is written
	first := w.edit()
	titles.Store(first.Title.Value(), true)
	b.want(upsertOf(first), Applied)
	run := b.fullRun()
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	defer readers.Wait()
	defer stop()
	var looks [3]atomic.Int64
	var turns [3]chan struct{} // a few looks during each edit
	watch := func(n int, look func() (title string, count int, sum int64, err error)) {
		turns[n] = make(chan struct{}, 2)
		readers.Go(func() {
			for {
				select {
				case <-turns[n]:
				case <-ctx.Done():
					return
				}
				title, count, sum, err := look()
				if err != nil {
					t.Errorf("reader %d: %v", n, err)
					return
				}
				if want := fmt.Sprint(count, " ", sum); title != want {
					t.Errorf("reader %d saw %q and variants of %q", n, title, want)
					return
				}
				looks[n].Add(1)
			}
		})
	}
	watch(0, func() (string, int, int64, error) {
		row, err := b.s.Product(context.Background(), testShop, 1)
		if err != nil {
			return "", 0, 0, err
		}
		var sum int64
		for _, v := range row.Variants {
			n, err := strconv.ParseInt(v.Price.Value(), 10, 64)
			if err != nil {
				return "", 0, 0, err
			}
			sum += n
		}
		return row.Title.Value(), len(row.Variants), sum, nil
	})
	other, err := sql.Open("sqlite", dsn(b.path, url.Values{"mode": {"ro"}}))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	watch(1, func() (title string, count int, sum int64, err error) {
		tx, err := other.Begin()
		if err != nil {
			return "", 0, 0, err
		}
		defer tx.Rollback()
		if err := tx.QueryRow(`SELECT title FROM products WHERE external_id = 1`).Scan(&title); err != nil {
			return "", 0, 0, err
		}
		err = tx.QueryRow(`SELECT count(*), sum(CAST(price AS INTEGER)) FROM variants`).Scan(&count, &sum)
		return title, count, sum, err
	})
	// The list of variants alone is one version, too: its size and sum are those
	// of a title that was written.
	watch(2, func() (string, int, int64, error) {
		list, err := variants(context.Background(), b.s, 1)
		var sum int64
		for _, v := range list {
			n, err := strconv.ParseInt(v.Price.Value(), 10, 64)
			if err != nil {
				return "", 0, 0, err
			}
			sum += n
		}
		title := fmt.Sprint(len(list), " ", sum)
		if _, known := titles.Load(title); err == nil && !known {
			return "no version that was written", len(list), sum, nil
		}
		return title, len(list), sum, err
	})
	for n := range edits {
		p := w.edit()
		titles.Store(p.Title.Value(), true)
		for i := range 2 * len(turns) {
			select {
			case turns[i%len(turns)] <- struct{}{}:
			default: // it is still looking
			}
		}
		switch n % 3 {
		case 0:
			b.want(upsertOf(p), Applied)
		case 1:
			if res := b.fetched(Read{Started: time.Now()}, p); res.Outcome != Applied {
				t.Fatalf("%+v", res)
			}
		default:
			if res := b.putBulk(bulkRead(run), run, p); res[0].Outcome != Applied {
				t.Fatalf("%+v", res)
			}
		}
	}
	stop()
	readers.Wait()
	for n := range looks {
		if looks[n].Load() == 0 {
			t.Errorf("reader %d never read", n)
		}
	}
	t.Logf("%d edits, %d, %d and %d reads", edits, looks[0].Load(), looks[1].Load(), looks[2].Load())
}
