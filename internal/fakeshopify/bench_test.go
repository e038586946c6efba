package fakeshopify

import (
	"net/http"
	"strings"
	"testing"
)

func BenchmarkNewShopOfTen(b *testing.B) {
	for b.Loop() {
		New(Options{Products: 10, Now: fixed(epoch)})
	}
}

func BenchmarkNewShopOf10000Lean(b *testing.B) {
	for b.Loop() {
		New(Options{Products: 10_000, Lean: true, Now: fixed(epoch)})
	}
}

func BenchmarkBodyOfFiveVariants(b *testing.B) {
	s := New(Options{Products: 1, MinVariants: 5, MaxVariants: 5, Now: fixed(epoch)})
	id := s.IDs()[0]
	for b.Loop() {
		b.SetBytes(int64(len(s.Body(TopicUpdate, id))))
	}
}

func BenchmarkEditAndDeliver(b *testing.B) {
	rec := &receiver{}
	s := New(Options{Products: 100, Target: "https://r.example", Client: &http.Client{Transport: rec}, Now: fixed(epoch)})
	for b.Loop() {
		s.RandomEdit()
		if err := s.Drain(b.Context()); err != nil {
			b.Fatal(err)
		}
		rec.got = rec.got[:0]
	}
}

func BenchmarkAPICall(b *testing.B) {
	for name, query := range map[string]string{
		"one product":  `{"query":"query($id:ID!){product(id:$id){id title updatedAt variants(first:50){nodes{id price sku updatedAt}}}}","variables":{"id":"ID"}}`,
		"page of 250":  `{"query":"{products(first:250){nodes{id updatedAt variantsCount{count}} pageInfo{hasNextPage endCursor}}}"}`,
		"smallest one": `{"query":"{shop{name}}"}`,
	} {
		b.Run(name, func(b *testing.B) {
			s := apiShop(Options{Products: 1000, Large: -1, Huge: -1, Now: fixed(epoch), API: APIOptions{Plan: Plan{"big", 1e15, 1e9}}})
			client := &http.Client{Transport: Transport(s.Handler())}
			body := strings.Replace(query, `"ID"`, `"`+gid("Product", s.IDs()[5])+`"`, 1)
			for b.Loop() {
				req, err := http.NewRequest("POST", "https://s.example/admin/api/2026-10/graphql.json", strings.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("X-Shopify-Access-Token", testToken)
				res, err := client.Do(req)
				if err != nil || res.StatusCode != 200 {
					b.Fatal(res, err)
				}
				res.Body.Close()
			}
		})
	}
}
