package catalog

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// BenchmarkTokensOnly is the reference beside BenchmarkDecode: the JSON
// library reading every token of the same body and doing nothing with it.
func BenchmarkTokensOnly(b *testing.B) {
	body := typicalBody()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var dec jsontext.Decoder
	for b.Loop() {
		dec.Reset(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
		for {
			if _, err := dec.ReadToken(); err != nil {
				break
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	body := typicalBody()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(ProductsUpdate, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode2048Variants(b *testing.B) {
	body := bodySpec{id: 9000000000001, variants: 100, named: 2048, words: 10}.bytes()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(ProductsUpdate, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeDelete(b *testing.B) {
	body := []byte(`{"id":788032119674292922}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(ProductsDelete, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkContentHash(b *testing.B) {
	c, err := Decode(ProductsUpdate, typicalBody())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Product.ContentHash()
	}
}

func BenchmarkMerge(b *testing.B) {
	c, err := Decode(ProductsUpdate, typicalBody())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		Merge(c.Product, c.Product)
	}
}

func BenchmarkDiffOfEqualProducts(b *testing.B) {
	c, err := Decode(ProductsUpdate, typicalBody())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Product.Diff(c.Product)
	}
}
