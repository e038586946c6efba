package store

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stockroom/internal/catalog"
)

const cdn = "https://cdn.shopify.com/s/files/1/2/files/"

// pictured returns a product with two images as a webhook shows it; its first
// variant shows the second image.
func pictured(updated int64) *catalog.Product {
	p := product(1, "v", updated, "1", "2")
	p.Images = catalog.Of([]catalog.Image{
		{ID: 71, Position: 1, Src: cdn + "a.jpg?v=1", Width: 3, Height: 4},
		{ID: 72, Position: 2, Src: cdn + "b.jpg?v=1", Width: 3, Height: 4, VariantIDs: []int64{100}},
	})
	p.Variants.Value()[0].ImageID = catalog.Of[int64](72)
	return p
}

// picturedRead is the same product as a read of the shop shows it: an image that
// no variant shows has no number there.
func picturedRead(updated int64) *catalog.Product {
	p := pictured(updated)
	p.Images.Value()[0].ID = 0
	for i := range p.Variants.Value() {
		p.Variants.Value()[i].WeightGrams = catalog.Null[int64]()
	}
	return p
}

// showsPictures checks the numbers of the images, the variants that show them, and the
// picture of the first variant.
func (b *bench) showsPictures(want ...any) {
	b.t.Helper()
	row := b.product(1)
	var got []any
	for _, m := range row.Images.Value() {
		got = append(got, m.ID, m.VariantIDs)
	}
	if id, ok := row.Variants[0].ImageID.Get(); ok {
		got = append(got, id)
	}
	none := []int64(nil)
	for i, v := range want {
		switch v := v.(type) {
		case int:
			want[i] = int64(v)
		case nil:
			want[i] = none
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		b.t.Error(d)
	}
}

func TestPicturesSurviveAReadThatDoesNotNumberThem(t *testing.T) {
	b := open(t)
	b.fetched(Read{Started: earlier()}, picturedRead(10_000))
	b.showsPictures(0, nil, 72, []int64{100}, 72)
	b.want(upsertOf(pictured(20_000)), Applied)
	b.showsPictures(71, nil, 72, []int64{100}, 72)
	for _, updated := range []int64{20_000, 30_000} {
		b.fetched(Read{Started: later()}, picturedRead(updated))
		b.showsPictures(71, nil, 72, []int64{100}, 72)
	}
	// The file has another version in its address now.
	p := picturedRead(40_000)
	p.Images.Value()[0].Src = cdn + "a.jpg?v=9"
	b.fetched(Read{Started: later()}, p)
	b.showsPictures(71, nil, 72, []int64{100}, 72)
	// The order of the lines was lost on the way.
	p = picturedRead(50_000)
	p.Images = catalog.Of([]catalog.Image{p.Images.Value()[1], p.Images.Value()[0]})
	p.Images.Value()[1].Src = cdn + "a.jpg?v=9"
	p.ImagesUnordered = true
	b.fetched(Read{Started: later()}, p)
	b.showsPictures(71, nil, 72, []int64{100}, 72)
}

func TestAReadMovesAPictureToAnotherVariant(t *testing.T) {
	for _, updated := range []int64{10_000, 20_000} { // seen with and without a new version
		b := open(t)
		b.want(upsertOf(pictured(10_000)), Applied)
		p := picturedRead(updated)
		p.Images.Value()[0], p.Images.Value()[1] = catalog.Image{
			ID: 71, Position: 1, Src: cdn + "a.jpg?v=1", VariantIDs: []int64{100},
		}, catalog.Image{Position: 2, Src: cdn + "b.jpg?v=1"}
		p.Variants.Value()[0].ImageID = catalog.Of[int64](71)
		res := b.fetched(Read{Started: later(), Report: true}, p)
		b.showsPictures(71, []int64{100}, 72, nil, 71)
		want := []catalog.FieldDiff{{Path: "variants[100].image_id", Old: "72", New: "71"}}
		if d := cmp.Diff(want, res.Diff); d != "" {
			t.Errorf("version %d: reported %s", updated, d)
		}
	}
}

func TestPicturesThatWereNotKnownAreTakenFromTheSameVersion(t *testing.T) {
	unknown := picturedRead(10_000)
	unknown.Images.Value()[1].ID, unknown.Images.Value()[1].VariantIDs = 0, nil
	unknown.Variants.Value()[0].ImageID = catalog.Field[int64]{}
	t.Run("from a read", func(t *testing.T) {
		b := open(t)
		b.fetched(Read{Started: earlier()}, unknown)
		b.showsPictures(0, nil, 0, nil)
		before := b.s.LastSeq()
		for range 2 {
			b.fetched(Read{Started: later()}, picturedRead(10_000))
			b.showsPictures(0, nil, 72, []int64{100}, 72)
		}
		if n := b.s.LastSeq() - before; n != 1 {
			t.Errorf("%d changes in the feed, want one", n)
		}
	})
	t.Run("from a delivery that came after the read", func(t *testing.T) {
		b := open(t)
		b.fetched(Read{Started: earlier()}, picturedRead(10_000))
		before := b.s.LastSeq()
		for range 2 {
			b.want(upsertOf(pictured(10_000)), Stale)
			b.showsPictures(71, nil, 72, []int64{100}, 72)
		}
		if n := b.s.LastSeq() - before; n != 1 {
			t.Errorf("%d changes in the feed, want one", n)
		}
	})
	t.Run("but an earlier delivery of that second does not move them", func(t *testing.T) {
		b := open(t)
		b.fetched(Read{Started: time.Now()}, picturedRead(10_000))
		p := pictured(10_000)
		p.Images.Value()[0].VariantIDs, p.Images.Value()[1].VariantIDs = []int64{100}, nil
		p.Variants.Value()[0].ImageID = catalog.Of[int64](71)
		b.want(upsertOf(p), Stale)
		b.showsPictures(71, nil, 72, []int64{100}, 72)
	})
}

func TestAPictureIsKnownByItsFileWhereItHasNoNumber(t *testing.T) {
	b := open(t)
	b.want(upsertOf(pictured(10_000)), Applied)
	p := picturedRead(20_000)
	p.Images.Value()[0].VariantIDs = []int64{100}
	p.Images.Value()[1].ID, p.Images.Value()[1].VariantIDs = 0, nil
	p.Variants.Value()[0].ImageID = catalog.Field[int64]{} // what the shop answered is no image's number
	r := Read{Shop: testShop, Source: "fetch", Started: later()}
	if _, err := b.s.PutFetched(context.Background(), r, p); err != nil {
		t.Fatal(err)
	}
	b.showsPictures(71, []int64{100}, 72, nil, 71)
}
