package store

import (
	"slices"
	"testing"
	"time"

	"stockroom/internal/catalog"
)

func (b *bench) fetched(r Read, p *catalog.Product) Result {
	b.t.Helper()
	if r.Shop == "" {
		r.Shop, r.Source = testShop, "fetch"
	}
	results, err := b.s.PutFetched(b.t.Context(), r, p)
	if err != nil {
		b.t.Fatalf("put fetched: %v", err)
	}
	return results[0]
}

func earlier() time.Time { return time.Now().Add(-time.Hour) } // before anything the test wrote
func later() time.Time   { return time.Now().Add(time.Hour) }  // after it

func TestOfTwoVersionsOfASecondAReadFromBeforeTheRowDoesNotWin(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "webhook", 10_000, "1")), Applied)
	res := b.fetched(Read{Started: earlier()}, product(1, "read", 10_400, "1"))
	if res.Outcome != Stale || res.Wanted == nil || res.Wanted.ID != 1 {
		t.Errorf("result %+v, want stale and a fetch", res)
	}
	b.title(1, "Shirt webhook")
	if w := b.wanted(); len(w) != 1 || w[0].Kind != WantProduct {
		t.Errorf("wanted %v", w)
	}
	if res := b.fetched(Read{Started: later()}, product(1, "read", 10_400, "1")); res.Outcome != Applied || res.Drift != DriftDifferent {
		t.Errorf("a read from after the row: %+v, want applied", res)
	}
	b.title(1, "Shirt read")
	if w := b.wanted(); len(w) != 0 {
		t.Errorf("still wanted: %v", w)
	}
}

func TestARowFromTheFutureDoesNotBlockReads(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "webhook", 10_000, "1")), Applied)
	if _, err := b.other().Exec(`UPDATE products SET synced_at = ?`, later().UnixMilli()); err != nil {
		t.Fatal(err)
	}
	if res := b.fetched(Read{Started: time.Now()}, product(1, "read", 10_000, "1")); res.Outcome != Applied {
		t.Errorf("after the clock was set back: %+v", res)
	}
}

func TestAReadThatShowsNothingDoesNotRemoveWhatCameSince(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	res, err := b.s.PutGone(t.Context(), Read{Shop: testShop, Source: "reconcile", Started: earlier()}, 1)
	if err != nil || res.Outcome != Stale || res.Wanted == nil {
		t.Errorf("%+v, %v: want stale and a fetch", res, err)
	}
	b.title(1, "Shirt v1")
	if res, err = b.s.PutGone(t.Context(), Read{Shop: testShop, Source: "reconcile", Started: later()}, 1); err != nil || res.Outcome != Applied {
		t.Errorf("%+v, %v", res, err)
	}
	b.absent(1)
	if w := b.wanted(); len(w) != 0 {
		t.Errorf("still wanted: %v", w)
	}
}

func pictures(p *catalog.Product, src ...string) *catalog.Product {
	var list []catalog.Image
	for i, s := range src {
		list = append(list, catalog.Image{Position: int64(i + 1), Src: s, Width: 10, Height: 20})
	}
	p.Images = catalog.Of(list)
	return p
}

func TestImagesInUnknownOrder(t *testing.T) {
	stored := []string{"a", "b", "c"}
	for _, tc := range []struct {
		name    string
		updated int64
		src     []string
		want    []string
		outcome Outcome
		fetch   bool
	}{
		{"keep the stored order when the set is the same", 10_000, []string{"c", "a", "b"}, stored, Stale, false},
		{"keep it for a newer version until a fetch tells", 20_000, []string{"c", "a", "b"}, stored, Applied, true},
		{"stand as given when the set is another one", 20_000, []string{"c", "a"}, []string{"c", "a"}, Applied, true},
		{"stand as given when one was exchanged in the same second", 10_000, []string{"c", "a", "d"}, []string{"c", "a", "d"}, Applied, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := open(t)
			b.want(upsertOf(pictures(product(1, "v", 10_000, "1"), stored...)), Applied)
			p := pictures(product(1, "v", tc.updated, "1"), tc.src...)
			p.ImagesUnordered = true
			p.Images.Value()[0].Width = 0 // not known
			run := b.fullRun()
			r := bulkRead(run)
			r.Started = later()
			res := b.putBulk(r, run, p)[0]
			if res.Outcome != tc.outcome || (res.Wanted != nil) != tc.fetch {
				t.Errorf("%+v", res)
			}
			row := b.product(1)
			var got []string
			for _, m := range row.Images.Value() {
				got = append(got, m.Src)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("images %v, want %v", got, tc.want)
			}
			if !b.fits(1) {
				t.Error("the content hash does not fit the row")
			}
		})
	}
	t.Run("a new product's are fetched", func(t *testing.T) {
		b := open(t)
		p := pictures(product(1, "v", 10_000, "1"), "b", "a")
		p.ImagesUnordered = true
		run := b.fullRun()
		if res := b.putBulk(bulkRead(run), run, p)[0]; res.Drift != DriftMissing || res.Wanted == nil {
			t.Errorf("%+v", res)
		}
	})
}

func TestAVersionThatRulesPassOverIsListedUntilTheSelectionChanges(t *testing.T) {
	b := open(t)
	summer := catalog.Selection{Mode: catalog.SelectRules, Rules: []catalog.Rule{{Field: catalog.RuleTag, Value: "summer"}}}
	b.selection(summer)
	winter := func(id int64, version string, at int64) *catalog.Product {
		p := product(id, version, at, "1")
		p.Tags = catalog.Of([]string{"winter"})
		return p
	}
	passed := func() []int64 {
		list, err := b.s.PassedOver(t.Context(), testShop, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for _, p := range list {
			if p.UpdatedAt == 0 || p.ReadAt == 0 {
				t.Errorf("%+v", p)
			}
			ids = append(ids, p.ID)
		}
		return ids
	}
	for id := int64(1); id <= 3; id++ {
		if res := b.fetched(Read{Started: later()}, winter(id, "v5", 50_000)); res.Outcome != Ignored {
			t.Fatalf("%+v", res)
		}
	}
	if got := passed(); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("passed over %v", got)
	}
	// It still outranks an older version that would match.
	b.want(upsertOf(product(1, "v4", 40_000, "1")), Stale)
	b.want(upsertOf(product(1, "v6", 60_000, "1")), Applied)
	b.want(deleteOf(2), Applied)
	if got := passed(); !slices.Equal(got, []int64{3}) {
		t.Errorf("passed over %v after one was stored and one deleted", got)
	}
	b.selection(catalog.Selection{})
	if got := passed(); len(got) != 0 {
		t.Errorf("passed over %v after the selection changed", got)
	}
}

// A size tells two images of one address apart, so one that differs is another
// image, and the stored order says nothing of it. A size of 0 is not known.
func TestAnImageOfAnotherSizeIsAnotherImage(t *testing.T) {
	sized := func(sizes ...[2]int64) (list []catalog.Image) {
		for i, s := range sizes {
			list = append(list, catalog.Image{Position: int64(i + 1), Src: []string{"a", "b"}[i], Width: s[0], Height: s[1]})
		}
		return list
	}
	stored := sized([2]int64{3, 4}, [2]int64{5, 6})
	for _, tt := range []struct {
		name string
		read []catalog.Image
		want bool
	}{
		{"the same sizes", sized([2]int64{3, 4}, [2]int64{5, 6}), true},
		{"sizes that are not known", sized([2]int64{0, 4}, [2]int64{5, 0}), true},
		{"another width", sized([2]int64{9, 4}, [2]int64{5, 6}), false},
		{"another height", sized([2]int64{3, 4}, [2]int64{5, 9}), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slices.Reverse(tt.read)
			if list, same := inOrderOf(stored, tt.read); same != tt.want || same && !slices.EqualFunc(list, stored, sameImage) {
				t.Errorf("%v: %+v, want %v", same, list, tt.want)
			}
		})
	}
	twins := []catalog.Image{{ID: 1, Position: 1, Src: "a", Width: 9}, {ID: 2, Position: 2, Src: "a", Width: 3}}
	read := []catalog.Image{{Src: "a", Width: 3, VariantIDs: []int64{100}}, {Src: "a", Width: 9}}
	if list, same := inOrderOf(twins, read); !same || len(list[0].VariantIDs) != 0 || len(list[1].VariantIDs) != 1 {
		t.Errorf("twins: %v, %+v", same, list)
	}
}

func sameImage(a, b catalog.Image) bool {
	return a.ID == b.ID && a.Position == b.Position && a.Src == b.Src && a.Width == b.Width && a.Height == b.Height
}

// TestAReadOfTheStoredVersionIsNotedForADay holds that each read of a new version
// is noted, as an edit of its second may hide behind it, and that one of an old
// version costs no write.
func TestAReadOfTheStoredVersionIsNotedForADay(t *testing.T) {
	b := open(t)
	readAt := func() int64 {
		list, err := b.s.Listing(t.Context(), testShop, 0, 10)
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		return list[0].ReadAt
	}
	made := time.Now().Truncate(time.Second)
	b.want(upsertOf(product(1, "v1", made.UnixMilli(), "1")), Applied)
	for _, step := range []struct{ began, noted time.Duration }{
		{10 * time.Second, 10 * time.Second},
		{20 * time.Second, 20 * time.Second},
		{15 * time.Second, 20 * time.Second}, // an earlier read that was stored later
		{23 * time.Hour, 23 * time.Hour},
		{25 * time.Hour, 25 * time.Hour}, // until one is noted from after the day
		{26 * time.Hour, 25 * time.Hour},
	} {
		b.fetched(Read{Started: made.Add(step.began)}, product(1, "v1", made.UnixMilli(), "1"))
		if got := time.UnixMilli(readAt()).Sub(made); got != step.noted {
			t.Errorf("after a read of %v the row says %v, want %v", step.began, got, step.noted)
		}
	}
}

// TestTheStockThatAReadTellsOfIsKeptUntilADeliveryChangesTheRow holds what a
// comparison looks at: it is noted by each newer read, whatever else that one shows.
func TestTheStockThatAReadTellsOfIsKeptUntilADeliveryChangesTheRow(t *testing.T) {
	b := open(t)
	made := time.Now().Add(-72 * time.Hour).Truncate(time.Second)
	read := func(after time.Duration, version string, total catalog.Field[int64]) func() {
		return func() {
			p := product(1, version, made.UnixMilli(), "1")
			p.StockTotal = total
			b.fetched(Read{Started: made.Add(after)}, p)
		}
	}
	three, four, unknown := catalog.Of[int64](3), catalog.Of[int64](4), catalog.Null[int64]()
	for _, step := range []struct {
		name string
		do   func()
		want catalog.Field[int64]
	}{
		{"a delivery", func() { b.want(upsertOf(product(1, "v1", made.UnixMilli(), "1")), Applied) }, unknown},
		{"a read", read(48*time.Hour, "v1", three), three},
		{"an earlier read that was stored later", read(47*time.Hour, "v1", four), three},
		{"a read that tells nothing", read(49*time.Hour, "v1", catalog.Field[int64]{}), unknown},
		{"another total of the same content", read(71*time.Hour, "v1", four), four},
		{"a delivery that changes nothing", func() { b.want(upsertOf(product(1, "v1", made.UnixMilli(), "1")), Stale) }, four},
		{"a delivery that changes the row", func() { b.want(upsertOf(product(1, "v2", time.Now().UnixMilli(), "1")), Applied) }, unknown},
	} {
		step.do()
		list, err := b.s.Listing(t.Context(), testShop, 0, 10)
		if err != nil || len(list) != 1 || list[0].Stock != step.want {
			t.Errorf("after %s: %+v, %v, want %+v", step.name, list, err, step.want)
		}
	}
}
