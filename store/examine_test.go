package store

import (
	"os"
	"testing"
	"time"

	"stockroom/internal/catalog"
)

// The damaged page is one that no delivery and no page of ours reads.
func TestDamageThatNobodyMeetsIsFoundAfterOpen(t *testing.T) {
	b := open(t)
	for id := int64(1); id <= 20; id++ {
		b.want(upsertOf(product(id, "v1", 10_000, "1")), Applied)
	}
	if err := b.s.PutShop(t.Context(), Shop{Shop: testShop}); err != nil {
		t.Fatal(err)
	}
	b.selection(catalog.Selection{Mode: catalog.SelectAll, Exclude: []int64{500}})
	if err := b.s.Close(); err != nil {
		t.Fatal(err)
	}
	var page int64
	db := b.other()
	if err := db.QueryRow(`SELECT rootpage FROM sqlite_schema WHERE name = 'variants_by_sku'`).Scan(&page); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(b.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 3000), (page-1)*4096+1000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	select {
	case <-b.s.salvaged:
	case <-time.After(time.Minute):
		t.Fatalf("nothing was found: %+v", b.s.Health())
	}
	if h := b.s.Health(); h.Quarantined == "" || h.Salvaged != 20 {
		t.Errorf("health %+v, want a quarantine and 20 products taken over", h)
	}
	b.title(7, "Shirt v1")
	b.want(upsertOf(product(7, "v2", 20_000, "1")), Applied)
	b.want(upsertOf(product(500, "v1", 10_000, "1")), Ignored)
}

func TestASoundFileIsLeftAloneByTheExamination(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	if err := b.s.integrity(t.Context()); err != nil {
		t.Error(err)
	}
	b.s.examine()
	if h := b.s.Health(); h.Quarantined != "" || h.Cause != "" {
		t.Errorf("health %+v", h)
	}
}
