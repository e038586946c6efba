package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"stockroom/internal/catalog"
)

func TestVariantsKeepTheirIDsAndMissingOnesGo(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1", "2", "3")), Applied)
	before := b.product(1).Variants
	p := product(1, "v2", 20_000, "1", "2.50")
	p.Variants = catalog.Of(append(p.Variants.Value(), variant(150, "9")))
	b.want(upsertOf(p), Applied)
	after := map[int64]VariantRow{}
	for _, v := range b.product(1).Variants {
		after[v.ExternalID] = v
	}
	if len(after) != 3 || after[100].ID != before[0].ID || after[101].ID != before[1].ID {
		t.Errorf("variants %v after %v", after, before)
	}
	if after[101].Price.Value() != "2.50" || after[150].Price.Value() != "9" {
		t.Errorf("prices %v %v", after[101].Price.Value(), after[150].Price.Value())
	}
}

func TestATruncatedBodyRemovesNothingAndWantsOneFetch(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1", "2", "3")), Applied)
	for i := range 3 {
		p := product(1, "v2", 20_000+int64(i)*1000, "7")
		p.Coverage, p.VariantsComplete = catalog.Truncated, false
		p.Named = catalog.Of([]catalog.VariantRef{{ID: 100}, {ID: 101}, {ID: 102}, {ID: 103}})
		b.want(upsertOf(p), Applied)
	}
	row := b.product(1)
	if len(row.Variants) != 3 || row.Variants[0].Price.Value() != "7" || row.Title.Value() != "Shirt v2" {
		t.Errorf("%d variants, first price %s", len(row.Variants), row.Variants[0].Price.Value())
	}
	if w := b.wanted(); len(w) != 1 {
		t.Errorf("wanted %v", w)
	}
}

func TestAnAbsentFieldKeepsItsValueAndNullClearsIt(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	p := &catalog.Product{ID: 1, UpdatedAt: catalog.Of[int64](20_000), Vendor: catalog.Null[string](), Coverage: catalog.Partial}
	b.want(upsertOf(p), Applied)
	row := b.product(1)
	if row.Title.Value() != "Shirt v1" || !row.Vendor.IsNull() || len(row.Variants) != 1 {
		t.Errorf("title %v vendor %v, %d variants", row.Title.Value(), row.Vendor, len(row.Variants))
	}
	v := catalog.Variant{ID: 100, SKU: catalog.Null[string](), Price: catalog.Of("5")}
	p = &catalog.Product{ID: 1, UpdatedAt: catalog.Of[int64](30_000), Variants: catalog.Of([]catalog.Variant{v}), VariantsComplete: true, Coverage: catalog.Partial}
	b.want(upsertOf(p), Applied)
	got := b.product(1).Variants[0]
	if !got.SKU.IsNull() || got.Price.Value() != "5" || got.Option1.Value() != "S" {
		t.Errorf("sku %v price %s option %v", got.SKU, got.Price.Value(), got.Option1)
	}
}

func TestWeightOutlivesWebhooksThatCarryNone(t *testing.T) {
	b := open(t)
	p := product(1, "v1", 10_000, "1")
	p.Variants.Value()[0].WeightGrams = catalog.Of[int64](250)
	b.want(upsertOf(p), Applied)
	b.want(upsertOf(product(1, "v2", 20_000, "2")), Applied)
	got := b.product(1).Variants[0]
	if got.WeightGrams.Value() != 250 || got.Price.Value() != "2" {
		t.Errorf("weight %v price %s", got.WeightGrams, got.Price.Value())
	}
}

// TestAProductAndItsVariantsChangeTogether is I4, and both fault cases of the
// step between them: failed and not stored, failed but stored.
func TestAProductAndItsVariantsChangeTogether(t *testing.T) {
	boom := errors.New("the disk is on fire")
	for _, point := range []string{"between product and variants", "after change feed", "before journal", "before commit"} {
		t.Run("a fault "+point+" leaves the old product whole", func(t *testing.T) {
			b := open(t)
			b.want(upsertOf(product(1, "v1", 10_000, "1", "2")), Applied)
			seq := b.s.LastSeq()
			c := upsertOf(product(1, "v2", 20_000, "8", "9", "10"))
			d := b.delivery(c)
			b.fail(func(at string) error {
				if at == point {
					return boom
				}
				return nil
			})
			if _, err := b.s.Apply(context.Background(), d, c); !errors.Is(err, boom) {
				t.Fatalf("error %v, want the fault", err)
			}
			b.fail(nil)
			b.reopen()
			row := b.product(1)
			if row.Title.Value() != "Shirt v1" || len(row.Variants) != 2 || row.Variants[0].Price.Value() != "1" {
				t.Errorf("title %s, %d variants", row.Title.Value(), len(row.Variants))
			}
			if got := b.kinds(seq); len(got) != 0 {
				t.Errorf("the feed has %v of a change that was rolled back", got)
			}
			if res := b.deliver(d, c); res.Outcome != Applied {
				t.Errorf("sent again: %s, want applied", res.Outcome)
			}
			b.title(1, "Shirt v2")
		})
	}
	t.Run("a fault after the commit is a duplicate when sent again", func(t *testing.T) {
		b := open(t)
		b.want(upsertOf(product(1, "v1", 10_000, "1", "2")), Applied)
		c := upsertOf(product(1, "v2", 20_000, "8", "9", "10"))
		d := b.delivery(c)
		b.fail(func(at string) error {
			if at == "after commit" {
				return boom
			}
			return nil
		})
		if _, err := b.s.Apply(context.Background(), d, c); !errors.Is(err, boom) {
			t.Fatalf("error %v, want the fault", err)
		}
		b.fail(nil)
		if res := b.deliver(d, c); res.Outcome != Duplicate {
			t.Errorf("sent again: %s, want duplicate", res.Outcome)
		}
		row := b.product(1)
		if row.Title.Value() != "Shirt v2" || len(row.Variants) != 3 {
			t.Errorf("title %s, %d variants", row.Title.Value(), len(row.Variants))
		}
		b.kinds(0)
	})
}

func TestAPoisonChangeFailsAloneInItsGroup(t *testing.T) {
	b := open(t)
	bad := errors.New("poison")
	var wg sync.WaitGroup
	for i := range int64(40) {
		wg.Go(func() {
			err := b.s.write(context.Background(), b.s.urgent, 1, func(tx *tx) error {
				if i%4 == 0 {
					_, err := tx.exec(`INSERT INTO meta (key, value) VALUES (?, 'x')`, fmt.Sprint(i))
					return errors.Join(bad, err)
				}
				if i%4 == 1 {
					panic("poison")
				}
				_, err := tx.exec(`INSERT INTO meta (key, value) VALUES (?, 'x')`, fmt.Sprint(i))
				return err
			})
			if (err != nil) != (i%4 < 2) {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	n, err := queryOne(context.Background(), b.s, func(scan func(...any) error) (n int, err error) {
		err = scan(&n)
		return n, err
	}, `SELECT count(*) FROM meta`)
	if err != nil || n != 20 {
		t.Errorf("%d rows (%v), want the 20 good ones", n, err)
	}
}

// A change that wrote its feed row before it failed must not leave a gap in the
// feed of the others in its group.
func TestAFailedChangeLeavesNoGapInTheFeed(t *testing.T) {
	b := open(t)
	// The writer is held up once, so that all the rest becomes one group.
	held, entered := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.s.write(t.Context(), b.s.urgent, 1, func(*tx) error { close(entered); <-held; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-entered
	for i := range int64(30) {
		wg.Go(func() {
			err := b.s.write(t.Context(), b.s.urgent, 1, func(tx *tx) error {
				if err := tx.change(testShop, i, "created", "test"); err != nil {
					return err
				}
				if i%3 == 0 {
					return errors.New("poison")
				}
				return nil
			})
			if (err != nil) != (i%3 == 0) {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	for len(b.s.urgent) < 30 {
		runtime.Gosched()
	}
	close(held)
	wg.Wait()
	if got := b.kinds(0); len(got) != 20 {
		t.Errorf("%d rows in the feed, want the 20 good ones", len(got))
	}
}

func TestNoReaderSeesAMixtureOfVersions(t *testing.T) {
	b := open(t)
	const variants = 300
	version := func(n int) *catalog.Product {
		prices := make([]string, variants)
		for i := range prices {
			prices[i] = fmt.Sprint(n)
		}
		return product(1, fmt.Sprint(n), int64(n)*10_000, prices...)
	}
	b.want(upsertOf(version(1)), Applied)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				row, err := b.s.Product(context.Background(), testShop, 1)
				if err != nil {
					t.Error(err)
					return
				}
				if len(row.Variants) != variants {
					t.Errorf("a reader saw %d variants", len(row.Variants))
				}
				for _, v := range row.Variants {
					if "Shirt "+v.Price.Value() != row.Title.Value() {
						t.Errorf("a reader saw price %s under %s", v.Price.Value(), row.Title.Value())
						return
					}
				}
			}
		})
	}
	for n := 2; n <= 12; n++ {
		b.want(upsertOf(version(n)), Applied)
	}
	close(stop)
	wg.Wait()
}

// A weight that only a read of the shop carries comes with the next one, and one
// that changed without a new version is repaired.
func TestWeightsComeWithReadsOfTheSameVersion(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1", "2")), Applied)
	shown := func(grams int64) *catalog.Product {
		p := product(1, "v1", 10_000, "1", "2")
		p.Variants.Value()[0].WeightGrams = catalog.Of(grams)
		p.Variants.Value()[1].WeightGrams = catalog.Null[int64]()
		return p
	}
	for _, step := range []struct {
		grams   int64
		outcome Outcome
		feed    int
		diff    int
	}{{250, Stale, 1, 0}, {250, Stale, 0, 0}, {300, Applied, 1, 1}} {
		seq := b.s.LastSeq()
		res := b.fetched(Read{Shop: testShop, Source: "fetch", Started: later(), Report: true}, shown(step.grams))
		if res.Outcome != step.outcome || len(res.Diff) != step.diff {
			t.Errorf("%d g: %+v, want %s", step.grams, res, step.outcome)
		}
		if got := b.kinds(seq); len(got) != step.feed {
			t.Errorf("%d g: feed %v", step.grams, got)
		}
		if got := b.product(1).Variants[0].WeightGrams.Value(); got != step.grams {
			t.Errorf("%d g: stored %v", step.grams, got)
		}
	}
}

// What only a read of the shop carries of a product comes with it, is told and
// outlives webhooks.
func TestWordsForSearchesComeWithReadsOfTheSameVersion(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	for _, step := range []struct {
		title   catalog.Field[string]
		outcome Outcome
		feed    int
		diff    []catalog.FieldDiff
	}{
		{catalog.Null[string](), Stale, 0, nil},
		{catalog.Of("Find me"), Stale, 1, nil},
		{catalog.Of("Find me"), Stale, 0, nil},
		{catalog.Of("Found"), Applied, 1, []catalog.FieldDiff{{Path: "seo_title", Old: "Find me", New: "Found"}}},
	} {
		seq := b.s.LastSeq()
		p := product(1, "v1", 10_000, "1")
		p.SEOTitle = step.title
		res := b.fetched(Read{Shop: testShop, Source: "fetch", Started: later(), Report: true}, p)
		if res.Outcome != step.outcome || len(res.Diff) != len(step.diff) || len(res.Diff) == 1 && res.Diff[0] != step.diff[0] {
			t.Errorf("%v: %+v, want %s", step.title, res, step.outcome)
		}
		if got := b.kinds(seq); len(got) != step.feed || len(got) == 1 && got[0] != "updated" {
			t.Errorf("%v: feed %v", step.title, got)
		}
		if got := b.product(1).SEOTitle; got != step.title {
			t.Errorf("stored %v, want %v", got, step.title)
		}
	}
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied)
	if row := b.product(1); row.SEOTitle.Value() != "Found" || row.Title.Value() != "Shirt v2" || !b.fits(1) {
		t.Errorf("after a webhook: %v, the hash fits: %t", row.SEOTitle, b.fits(1))
	}
}

// A webhook body of an older API version lacks fields that came later, and is whole.
func TestAWholeBodyWithoutALaterFieldKeepsTheStoredOne(t *testing.T) {
	b := open(t)
	p := product(1, "v1", 10_000, "1")
	p.TemplateSuffix = catalog.Of("wide")
	b.want(upsertOf(p), Applied)
	old := product(1, "v2", 20_000, "1")
	old.TemplateSuffix = catalog.Field[string]{}
	if res := b.apply(upsertOf(old)); res.Outcome != Applied || res.Wanted != nil {
		t.Errorf("%+v", res)
	}
	if row := b.product(1); row.TemplateSuffix.Value() != "wide" || !b.fits(1) {
		t.Errorf("template %v, the hash fits: %t", row.TemplateSuffix, b.fits(1))
	}
	p = product(1, "v3", 30_000, "1")
	b.want(upsertOf(p), Applied)
	if row := b.product(1); !row.TemplateSuffix.IsNull() || !b.fits(1) {
		t.Errorf("template %v after null, the hash fits: %t", row.TemplateSuffix, b.fits(1))
	}
}

// A body can be whole for its coverage and still lack a field that the content hash
// has: it keeps its stored value, and the hash is that of the row.
func TestAWholeBodyWithoutACreationTimeKeepsTheStoredOne(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	p := product(1, "v2", 20_000, "1")
	p.CreatedAt = catalog.Field[int64]{}
	b.want(upsertOf(p), Applied)
	if row := b.product(1); row.CreatedAt != catalog.Of[int64](1000) || row.Title.Value() != "Shirt v2" {
		t.Errorf("created %v, title %s", row.CreatedAt, row.Title.Value())
	}
	if !b.fits(1) {
		t.Error("the content hash does not fit the row")
	}
}
