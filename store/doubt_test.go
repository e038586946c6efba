package store

import (
	"strings"
	"testing"

	"stockroom/internal/catalog"
)

// TestAReadWithoutTheOrderOfImagesAnswersNoWish holds that a guessed order stays
// wanted until a read shows the true one: the next result without it must not
// take the guess for what the shop has.
func TestAReadWithoutTheOrderOfImagesAnswersNoWish(t *testing.T) {
	b := open(t)
	mixed := product(1, "v1", 10_000, "1")
	mixed.Images = catalog.Of([]catalog.Image{{Src: "b.png"}, {Src: "a.png"}})
	mixed.ImagesUnordered = true
	for range 3 {
		run := b.fullRun()
		read := bulkRead(run)
		read.Started = later()
		b.putBulk(read, run, mixed)
		if list, err := b.s.WantedList(t.Context()); err != nil || len(list) != 1 || list[0].ID != 1 {
			t.Fatalf("wanted: %+v, %v", list, err)
		}
	}
	sure := product(1, "v1", 10_000, "1")
	sure.Images = catalog.Of([]catalog.Image{{Src: "a.png"}, {Src: "b.png"}})
	if res := b.fetched(Read{Started: later()}, sure); res.Outcome != Applied {
		t.Errorf("%+v", res)
	}
	run := b.fullRun()
	b.putBulk(bulkRead(run), run, mixed)
	if list, err := b.s.WantedList(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("wanted: %+v, %v", list, err)
	}
	if p := b.product(1); !strings.HasSuffix(p.Images.Value()[0].Src, "a.png") {
		t.Errorf("images %v", p.Images.Value())
	}
}

// TestAVariantsOwnTimeIsTakenFromARead holds two edits of one second, the second
// undoing the first: only a variant's time tells of them.
func TestAVariantsOwnTimeIsTakenFromARead(t *testing.T) {
	b := open(t)
	p := product(1, "v1", 10_000, "1")
	p.Variants.Value()[0].UpdatedAt = catalog.Of(int64(9_000))
	b.fetched(Read{Started: later()}, p)
	undone := product(1, "v1", 10_000, "1")
	undone.Variants.Value()[0].UpdatedAt = catalog.Of(int64(10_000))
	b.fetched(Read{Started: later()}, undone)
	if got := b.product(1).Variants[0].UpdatedAt.Value(); got != 10_000 {
		t.Errorf("the variant is of %d", got)
	}
}

// TestALateDeliveryOfTheSameContentTakesNoTimeBack holds the other order of the
// two: the read first, and then the delivery of the first edit.
func TestALateDeliveryOfTheSameContentTakesNoTimeBack(t *testing.T) {
	b := open(t)
	p := product(1, "v1", 10_000, "1")
	p.Variants.Value()[0].UpdatedAt = catalog.Of(int64(10_000))
	b.fetched(Read{Started: later()}, p)
	late := upsertOf(product(1, "v1", 10_000, "1"))
	late.Product.Variants.Value()[0].UpdatedAt = catalog.Of(int64(9_000))
	d := b.delivery(late)
	d.TriggeredAt = later()
	if res := b.deliver(d, late); res.Outcome != Stale {
		t.Errorf("%+v", res)
	}
	if got := b.product(1).Variants[0].UpdatedAt.Value(); got != 10_000 {
		t.Errorf("the variant is of %d", got)
	}
}
