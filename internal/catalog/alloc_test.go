//go:build !race

package catalog

import "testing"

// The race detector makes pools forget, so these counts hold without it only.

func TestDecodingFiveVariantsTakesFewAllocations(t *testing.T) {
	body := typicalBody()
	if n := testing.AllocsPerRun(200, func() { Decode(ProductsUpdate, body) }); n > 16 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(200, func() { Decode(ProductsDelete, []byte(`{"id":1}`)) }); n > 1 {
		t.Errorf("%v allocations for a delete", n)
	}
}

func TestHashingTakesNoAllocation(t *testing.T) {
	p := decodeProduct(t, string(typicalBody()))
	if n := testing.AllocsPerRun(200, func() { p.ContentHash() }); n > 0.5 {
		t.Errorf("%v allocations", n)
	}
}

// TestOneHugeBodyDoesNotStayInMemory: what a pool keeps is bounded.
func TestOneHugeBodyDoesNotStayInMemory(t *testing.T) {
	r := newReader(bodySpec{id: 5, variants: 2000, images: 500, words: 50_000}.bytes())
	r.openBody()
	if r.product() == nil {
		t.Fatal(r.err)
	}
	r.release()
	kept := cap(r.variants)*400 + cap(r.images)*100 + cap(r.options)*100 + cap(r.named)*16 + cap(r.texts)*16 + cap(r.unquoted) + 8*(cap(r.carried)+cap(r.listed))
	if kept > 256<<10 || r.body != nil || r.text.Len() != 0 {
		t.Errorf("%d bytes stay", kept)
	}
	for _, v := range r.variants[:cap(r.variants)] {
		if v != (Variant{}) {
			t.Fatal("a variant stays")
		}
	}
	for _, s := range r.texts[:cap(r.texts)] {
		if s != "" {
			t.Fatal("a text stays")
		}
	}
}
