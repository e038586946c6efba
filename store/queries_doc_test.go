package store

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stockroom/internal/catalog"
)

// TestTheTwentyQueriesOfThePageAreTrue runs each on a catalogue in which each finds
// something, and holds the columns, the rows, and the way to them.
func TestTheTwentyQueriesOfThePageAreTrue(t *testing.T) {
	page, err := os.ReadFile("../docs/queries.md")
	if err != nil {
		t.Fatal(err)
	}
	b := asked(t)
	db := b.other()
	sections := regexp.MustCompile(`(?m)^### `).Split(string(page), -1)[1:]
	if len(sections) != 20 {
		t.Errorf("%d questions, want 20", len(sections))
	}
	parts := regexp.MustCompile("(?s)^(\\d+)\\. .*\\?\n\n```sql show\n(.*)```\n\nGives (.*?):")
	times := regexp.MustCompile(`20\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)?`)
	var got strings.Builder
	for i, section := range sections {
		m := parts.FindStringSubmatch(section)
		if m == nil || m[1] != fmt.Sprint(i+1) {
			t.Errorf("not a number, a question, a statement and what it gives:\n%s", section)
			continue
		}
		rows, err := b.query(m[2])
		if err != nil || len(rows) < 2 {
			t.Errorf("%d gives %v, %v", i+1, rows, err)
			continue
		}
		said := strings.Join(strings.Fields(strings.NewReplacer("`", "", ",", "").Replace(m[3])), " ")
		if columns := strings.Trim(fmt.Sprint(rows[0]), "[]"); columns != said {
			t.Errorf("%d gives the columns %s, the page says %s", i+1, columns, said)
		}
		for _, row := range rows[1:] {
			fmt.Fprintf(&got, "%d %s\n", i+1, times.ReplaceAllString(fmt.Sprint(row), "TIME"))
		}
		plan, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+m[2])
		if err != nil {
			t.Fatal(err)
		}
		for plan.Next() {
			var id, parent, unused int
			var detail string
			if err := plan.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if regexp.MustCompile(`^SCAN (deliveries|changes)\b`).MatchString(detail) {
				t.Errorf("%d reads a whole journal: %s", i+1, detail)
			}
		}
		if err := errors.Join(plan.Err(), plan.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(strings.ReplaceAll(answers, "SHOP", testShop), got.String()); d != "" {
		t.Error(d)
	}
}

// asked is a catalogue in which each question has an answer.
func asked(t *testing.T) *bench {
	t.Helper()
	b := open(t)
	put := func(id int64, title string, change func(*catalog.Product, *catalog.Variant)) {
		p := product(id, "", 10_000, "10.00")
		p.Title = catalog.Of(title)
		p.Images = catalog.Of([]catalog.Image{{ID: id, Position: 1, Src: "https://cdn.example.com/a.jpg"}})
		v := &p.Variants.Value()[0]
		v.Barcode, v.InventoryQuantity = catalog.Of(fmt.Sprint(id)), catalog.Of[int64](50)
		change(p, v)
		b.want(upsertOf(p), Applied)
	}
	put(1, "Nearly gone", func(_ *catalog.Product, v *catalog.Variant) { v.InventoryQuantity = catalog.Of[int64](2) })
	put(2, "Gone", func(_ *catalog.Product, v *catalog.Variant) { v.InventoryQuantity = catalog.Of[int64](-1) })
	put(3, "Sold on", func(_ *catalog.Product, v *catalog.Variant) { v.InventoryPolicy = catalog.Of("continue") })
	put(4, "Without a picture", func(p *catalog.Product, _ *catalog.Variant) { p.Images = catalog.Of([]catalog.Image{}) })
	put(5, "Without a barcode", func(_ *catalog.Product, v *catalog.Variant) { v.Barcode = catalog.Of("") })
	put(6, "A twin", func(_ *catalog.Product, v *catalog.Variant) { v.SKU = catalog.Of("SKU-100") })
	put(7, "A draft", func(p *catalog.Product, _ *catalog.Variant) { p.Status = catalog.Of("draft") })
	put(8, "Reduced", func(p *catalog.Product, v *catalog.Variant) {
		p.Tags, p.Vendor = catalog.Of([]string{"sale", "summer"}), catalog.Of("Other")
		v.CompareAtPrice = catalog.Of("20.00")
	})
	put(9, "Soon deleted", func(*catalog.Product, *catalog.Variant) {})
	b.want(deleteOf(9), Applied)
	letter := upsertOf(product(10, "v1", 10_000, "1"))
	if _, err := b.s.Record(t.Context(), b.delivery(letter), letter.ID, Dead, "no title", nil); err != nil {
		t.Fatal(err)
	}
	run, err := b.s.StartRun(t.Context(), SyncRun{Shop: testShop, Kind: RunReconcile, Trigger: "schedule"})
	if err != nil {
		t.Fatal(err)
	}
	p := product(1, "read", 20_000, "12.00")
	p.Title = catalog.Of("Nearly gone")
	p.Images = catalog.Of([]catalog.Image{{ID: 1, Position: 1, Src: "https://cdn.example.com/a.jpg"}})
	v := &p.Variants.Value()[0]
	v.Barcode, v.InventoryQuantity = catalog.Of("1"), catalog.Of[int64](2)
	b.fetched(Read{Shop: testShop, Source: "reconcile", Started: later(), Run: run.ID, Report: true}, p)
	const even = `UPDATE deliveries SET duration_us = id * 1000, received_at = (SELECT max(received_at) FROM deliveries)`
	if _, err := b.other().ExecContext(t.Context(), even); err != nil {
		t.Fatal(err)
	}
	return b
}

// answers are what the questions find there.
const answers = `1 [Nearly gone S SKU-100 2]
2 [Gone S SKU-200 -1]
3 [Sold on S SKU-300 50]
4 [SHOP Acme 6 202 2024]
4 [SHOP Other 1 50 500]
5 [SHOP Without a picture shirt 4]
6 [Without a barcode S 500 0 1]
7 [SHOP SKU-100 2 Nearly gone,A twin]
8 [Nearly gone shirt]
9 [A draft shirt draft 1]
10 [summer 7]
10 [sale 1]
11 [Reduced S 10 20 50]
12 [TIME updated Nearly gone 1]
12 [TIME deleted <nil> 9]
12 [TIME created <nil> 9]
12 [TIME created Reduced 8]
12 [TIME created A draft 7]
12 [TIME created A twin 6]
12 [TIME created Without a barcode 5]
12 [TIME created Without a picture 4]
12 [TIME created Sold on 3]
12 [TIME created Gone 2]
12 [TIME created Nearly gone 1]
13 [1 SHOP 1 created delivery:1]
13 [2 SHOP 2 created delivery:2]
13 [3 SHOP 3 created delivery:3]
13 [4 SHOP 4 created delivery:4]
13 [5 SHOP 5 created delivery:5]
13 [6 SHOP 6 created delivery:6]
13 [7 SHOP 7 created delivery:7]
13 [8 SHOP 8 created delivery:8]
13 [9 SHOP 9 created delivery:9]
13 [10 SHOP 9 deleted delivery:10]
13 [11 SHOP 1 updated reconcile]
14 [TIME Nearly gone variants[100].price 10 12]
15 [TIME SHOP 9 delivery:10]
16 [SHOP webhook 7 TIME]
16 [SHOP reconcile 1 TIME]
17 [TIME 11 10]
18 [11 products/update 10 11 TIME]
18 [10 products/delete 9 10 TIME]
18 [9 products/update 9 9 TIME]
18 [8 products/update 8 8 TIME]
18 [7 products/update 7 7 TIME]
18 [6 products/update 6 6 TIME]
18 [5 products/update 5 5 TIME]
18 [4 products/update 4 4 TIME]
18 [3 products/update 3 3 TIME]
18 [2 products/update 2 2 TIME]
18 [1 products/update 1 1 TIME]
19 [11 SHOP products/update dead no title]
20 [SHOP reconcile running TIME 0 0 1 0 ]
`
