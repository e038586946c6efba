package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stockroom/internal/catalog"
)

// modelProduct is what a product should be by the rules of the order.
type modelProduct struct {
	stored    bool
	second    int64
	version   string
	tombstone bool
	read      bool // the shop itself showed this version
	refused   refusedRead
}

// refusedRead is a read that showed an older version than the stored one.
type refusedRead struct {
	content string
	began   int64
}

// bulkModel is the catalogue and one run's counters, kept by the rules alone.
type bulkModel struct {
	products map[int64]*modelProduct
	how      map[int64]counted // of the products the run has seen
	doubtful map[int64]bool
	offset   int64
}

// shown applies what a read of the shop shows. late reads began long after all
// that was written before, the others before it.
func (m *bulkModel) shown(id, second int64, version string, late bool, began int64) {
	p := m.products[id]
	how, want := countedUnchanged, false
	switch {
	case p.tombstone && !late:
	case !p.stored:
		*p = modelProduct{stored: true, second: second, version: version, read: true}
		how = countedAdded
	case second < p.second && !late:
	case second < p.second:
		content := fmt.Sprint(second, version)
		if p.refused.content == content && began > p.refused.began {
			p.second, p.version, p.read, p.refused = second, version, true, refusedRead{}
			how = countedChanged
			break
		}
		if began > p.refused.began {
			p.refused = refusedRead{content, began}
		}
		how, want = 0, true
	case second == p.second && version == p.version:
		p.read, p.refused = true, refusedRead{}
	case second == p.second && !late:
		want = true
	default:
		p.second, p.version, p.read, p.refused = second, version, true, refusedRead{}
		how = countedChanged
	}
	m.how[id] = max(m.how[id], how)
	m.doubtful[id] = m.doubtful[id] || want
}

// TestAnyBulkHistoryEndsAsTheRulesSay stores bulk batches among deliveries,
// deletes and removals, with commits that fail before and after they are on
// disk, and compares rows, tombstones, counters and marks with a model.
func TestAnyBulkHistoryEndsAsTheRulesSay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := open(t)
		b.t = t
		run := b.fullRun()
		m := &bulkModel{products: map[int64]*modelProduct{}, how: map[int64]counted{}, doubtful: map[int64]bool{}}
		for id := int64(1); id <= 4; id++ {
			m.products[id] = &modelProduct{}
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"bulk", "bulk", "bulk", "delivery", "delete", "gone"}).Draw(rt, "step") {
			case "bulk":
				drawBulk(rt, b, m, &run)
			case "delivery":
				drawDelivery(rt, b, m)
			case "delete":
				id := rapid.Int64Range(1, 4).Draw(rt, "deleted")
				b.apply(deleteOf(id))
				*m.products[id] = modelProduct{tombstone: true}
			case "gone":
				drawGone(rt, b, m, run)
			}
			if rapid.IntRange(0, 19).Draw(rt, "restart") == 0 {
				b.reopen()
			}
		}
		checkModel(rt, b, m, run)
		if err := b.s.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

func drawVersion(rt *rapid.T) (second int64, version string) {
	return rapid.Int64Range(1, 3).Draw(rt, "second"), rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "version")
}

func drawBulk(rt *rapid.T, b *bench, m *bulkModel, run *SyncRun) {
	late := rapid.Bool().Draw(rt, "late")
	r := Read{Shop: testShop, Source: "bulk", Run: run.ID, Started: earlier()}
	if late {
		r.Started = later()
	}
	var batch []*catalog.Product
	type item struct {
		id, second int64
		version    string
	}
	var items []item
	for range rapid.IntRange(0, 4).Draw(rt, "products") {
		it := item{id: rapid.Int64Range(1, 4).Draw(rt, "id")}
		it.second, it.version = drawVersion(rt)
		items = append(items, it)
		prices := slices.Repeat([]string{it.version + "1"}, int(it.second))
		batch = append(batch, product(it.id, it.version, it.second*1000, prices...))
	}
	run.Offset += 10
	fault := rapid.SampledFrom([]string{"", "", "before bulk mark", "before commit", "after commit"}).Draw(rt, "fault")
	b.fail(func(at string) error {
		if at == fault {
			return &UnavailableError{Cause: CauseLocked, Err: errors.New("a fault")}
		}
		return nil
	})
	_, err := b.s.PutBulk(context.Background(), r, *run, batch...)
	b.fail(nil)
	if (err != nil) != (fault != "") {
		rt.Fatalf("put bulk: %v with fault %q", err, fault)
	}
	stored := fault == "" || fault == "after commit"
	if stored {
		for _, it := range items {
			m.shown(it.id, it.second, it.version, late, r.Started.UnixMilli())
		}
		m.offset = run.Offset
	}
	if fault == "" || !rapid.Bool().Draw(rt, "again") {
		return
	}
	// What a caller does that was told of a failure.
	if _, err := b.s.PutBulk(context.Background(), r, *run, batch...); err != nil {
		rt.Fatal(err)
	}
	for _, it := range items {
		m.shown(it.id, it.second, it.version, late, r.Started.UnixMilli())
	}
	m.offset = run.Offset
}

func drawDelivery(rt *rapid.T, b *bench, m *bulkModel) {
	id := rapid.Int64Range(1, 4).Draw(rt, "id")
	second, version := drawVersion(rt)
	b.apply(upsertOf(product(id, version, second*1000, slices.Repeat([]string{version + "1"}, int(second))...)))
	p := m.products[id]
	if p.tombstone || p.stored && second < p.second {
		return
	}
	if p.stored && second == p.second && (version == p.version || p.read) {
		return // these seconds are long past, so what a read showed was the last of them
	}
	// Of two others of one second the one triggered later stands: always this one.
	*p = modelProduct{stored: true, second: second, version: version}
}

func drawGone(rt *rapid.T, b *bench, m *bulkModel, run SyncRun) {
	id, late := rapid.Int64Range(1, 4).Draw(rt, "gone"), rapid.Bool().Draw(rt, "late")
	r := Read{Shop: testShop, Source: "bulk", Run: run.ID, Started: earlier()}
	if late {
		r.Started = later()
	}
	if _, err := b.s.PutGone(context.Background(), r, id); err != nil {
		rt.Fatal(err)
	}
	p := m.products[id]
	switch {
	case p.stored && late:
		*p = modelProduct{tombstone: true}
		m.how[id] = countedRemoved
	case !p.stored:
		p.tombstone = true
	}
}

func checkModel(rt *rapid.T, b *bench, m *bulkModel, run SyncRun) {
	for id, p := range m.products {
		row, err := b.s.Product(context.Background(), testShop, id)
		if p.stored != (err == nil) {
			rt.Fatalf("product %d: %v, want stored %v", id, err, p.stored)
		}
		if !p.stored {
			continue
		}
		if row.Title.Value() != "Shirt "+p.version || Millis(row.UpdatedAt.Value()) != Millis(p.second*1000) || int64(len(row.Variants)) != p.second {
			rt.Fatalf("product %d is %s of %d with %d variants, want %s of %d", id, row.Title.Value(), Millis(row.UpdatedAt.Value()), len(row.Variants), p.version, p.second*1000)
		}
		for _, v := range row.Variants {
			if v.Price.Value() != p.version+"1" {
				rt.Fatalf("product %d of %s has a variant of %s", id, p.version, v.Price.Value())
			}
		}
	}
	var sum tally
	var ids []int64
	for id, how := range m.how {
		if m.doubtful[id] {
			how += countedDoubtful
		}
		sum.add(how, 1)
		ids = append(ids, id)
	}
	slices.Sort(ids)
	got := b.run(run.ID)
	counters := fmt.Sprint(got.Ignored, got.Unchanged, got.Changed, got.Added, got.Removed, got.Doubtful, got.Offset)
	if want := fmt.Sprint(sum.byKind[1], sum.byKind[2], sum.byKind[3], sum.byKind[4], sum.byKind[5], sum.doubtful, m.offset); counters != want {
		rt.Fatalf("ignored, unchanged, changed, added, removed, doubtful, offset: %s, want %s", counters, want)
	}
	if seen := b.seenIDs(run.ID); !slices.Equal(seen, ids) {
		rt.Fatalf("seen %v, want %v", seen, ids)
	}
	b.kinds(0)
}
