package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"stockroom/internal/catalog"
)

// put stores a product of a shop with a title, SKU and barcode.
func (b *bench) put(shop string, id int64, title, sku, barcode string) {
	b.t.Helper()
	p := product(id, "", 1000+id, "1.00")
	p.Title, p.Handle = catalog.Of(title), catalog.Of(fmt.Sprint("handle-", id))
	v := p.Variants.Value()
	v[0].SKU, v[0].Barcode = catalog.Of(sku), catalog.Of(barcode)
	p.Variants = catalog.Of(v)
	d := b.delivery(upsertOf(p))
	d.Shop = shop
	b.deliver(d, upsertOf(p))
}

func (b *bench) search(f SearchFilter) SearchPage {
	b.t.Helper()
	page, err := b.s.Search(context.Background(), f)
	if err != nil {
		b.t.Fatalf("search %+v: %v", f, err)
	}
	return page
}

func idsOf(p SearchPage) []int64 {
	ids := []int64{}
	for _, f := range p.Products {
		ids = append(ids, f.ExternalID)
	}
	return ids
}

func TestAProductIsFoundByWhatAPersonKnowsOfIt(t *testing.T) {
	b := open(t)
	b.put(testShop, 101, "Washed linen shirt", "LIN-001", "4006381333931")
	b.put(testShop, 102, "Льняная Рубашка", "LIN-002", "")
	b.put(testShop, 103, "Große Übergröße 100% Wolle", "WOL_1", "")
	b.put(testShop, 104, `Back\slash "quoted" 50_50`, "", "x")
	b.put("other.myshopify.com", 105, "Washed denim", "LIN-001-B", "")
	b.put(testShop, 106, "Both ABC-9", "ABC-9", "ABC-9")
	b.put(testShop, 107, "Лён и хлопок для ДОМА [2*3] ΟΔΟΣ", "", "")
	for text, want := range map[string][]int64{
		"":                         {105, 101, 102, 103, 104, 106, 107},
		"linen":                    {101},
		"WASHED":                   {105, 101},
		"  washed LINEN ":          {101},
		"рубашка":                  {102},
		"РУБАШКА":                  {102},
		"льняная рубашка":          {102},
		"übergröße":                {103},
		"ÜBER":                     {103},
		"лён И ХЛОПОК дЛя дома":    {107},
		"ЛЁН И хлопок для":         {107},
		"дома [2*3]":               {107},
		"дома [2*4]":               {},
		"дома ?2*3":                {},
		"дома *":                   {},
		"[д]ома":                   {},
		"] οδος":                   {107},
		"ОДОС":                     {}, // Cyrillic letters that look like the Greek ones
		"große ü":                  {103},
		"GROẞE Ü":                  {103},
		"100%":                     {103},
		"%":                        {103},
		"_":                        {104},
		`\`:                        {104},
		`"quoted"`:                 {104},
		"lin-001":                  {105, 101},
		"LIN-00":                   {105, 101, 102},
		"LIN-001-B":                {105},
		"IN-001":                   {},
		"4006381333931":            {101},
		"400638133393":             {},
		"handle-104":               {104},
		"103":                      {103},
		"abc-9":                    {106},
		"nothing":                  {},
		"a\x00b":                   {},
		strings.Repeat("é", 5_000): {},
	} {
		if got := idsOf(b.search(SearchFilter{Text: text})); !slices.Equal(got, want) {
			t.Errorf("%.40q found %v, want %v", text, got, want)
		}
	}
	for name, f := range map[string]struct {
		SearchFilter
		want int
	}{
		"shop":         {SearchFilter{Shop: testShop}, 6},
		"shop, text":   {SearchFilter{Shop: testShop, Text: "LIN-001"}, 1},
		"status":       {SearchFilter{Status: "ACTIVE"}, 7},
		"no status":    {SearchFilter{Status: "INACTIVE"}, 0},
		"vendor":       {SearchFilter{Vendor: "Acme", Text: "linen"}, 1},
		"other vendor": {SearchFilter{Vendor: "acme"}, 0},
		"type":         {SearchFilter{Type: "Shirts"}, 7},
		"key, type":    {SearchFilter{Type: "Shoes", Text: "101"}, 0},
	} {
		if got := b.search(f.SearchFilter); len(got.Products) != f.want {
			t.Errorf("%s: %d products, want %d", name, len(got.Products), f.want)
		}
	}
	if p := b.search(SearchFilter{Text: "linen", Brief: true}).Products[0]; !p.BodyHTML.IsNull() || *p.VariantCount != 1 || p.Title.Value() != "Washed linen shirt" {
		t.Errorf("brief: %+v", p)
	}
}

func TestABeginningThatManySKUsShareIsNoSKU(t *testing.T) {
	b := open(t)
	p := product(1, "", 1000)
	var variants []catalog.Variant
	for i := range int64(keyMatches + 2) {
		v := variant(100_000+i, "1.00")
		v.SKU = catalog.Of(fmt.Sprintf("MANY-%d", i))
		variants = append(variants, v)
	}
	p.Variants = catalog.Of(variants)
	b.want(upsertOf(p), Applied)
	for text, want := range map[string]int{"MANY-": 0, "MANY-1001": 1, "MANY-100": 1} {
		if got := len(b.search(SearchFilter{Text: text}).Products); got != want {
			t.Errorf("%s found %d, want %d", text, got, want)
		}
	}
}

func TestSearchFollowsEveryChangeOfAProduct(t *testing.T) {
	b := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			b.n++
			id := rapid.Int64Range(1, 6).Draw(rt, "id") + b.n/40*10
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0:
				b.apply(deleteOf(id))
			case 1:
				sel := catalog.Selection{Mode: catalog.SelectAll, Exclude: []int64{id}}
				if _, err := b.s.SetSelection(context.Background(), testShop, sel); err != nil {
					rt.Fatal(err)
				}
			default:
				p := product(id, rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "title"), 1000*b.n, "1.00")
				p.Vendor = rapid.SampledFrom([]catalog.Field[string]{catalog.Of("A"), catalog.Of("B"), catalog.Null[string]()}).Draw(rt, "vendor")
				p.ProductType = rapid.SampledFrom([]catalog.Field[string]{catalog.Of("A"), catalog.Null[string]()}).Draw(rt, "type")
				p.Handle = rapid.SampledFrom([]catalog.Field[string]{catalog.Of("A"), catalog.Of("B")}).Draw(rt, "handle")
				p.Status = catalog.Of(rapid.SampledFrom([]string{"active", "draft"}).Draw(rt, "status"))
				b.apply(upsertOf(p))
			}
		}
		db := b.s.readers.Load()
		var wrong int
		const columns = `shop, id, status, vendor, product_type, handle, title`
		err := db.QueryRow(`SELECT (SELECT count(*) FROM (SELECT ` + columns + ` FROM products EXCEPT SELECT ` + columns + ` FROM product_search))
			+ (SELECT count(*) FROM (SELECT ` + columns + ` FROM product_search EXCEPT SELECT ` + columns + ` FROM products))`).Scan(&wrong)
		if err != nil || wrong != 0 {
			rt.Fatalf("%d rows of product_search differ from products (%v)", wrong, err)
		}
		const counts = `SELECT shop, count(*), sum(status = 'ACTIVE') FROM products GROUP BY shop`
		err = db.QueryRow(`SELECT (SELECT count(*) FROM (` + counts + ` EXCEPT SELECT * FROM product_counts))
			+ (SELECT count(*) FROM (SELECT * FROM product_counts WHERE products > 0 OR active <> 0 EXCEPT ` + counts + `))`).Scan(&wrong)
		if err != nil || wrong != 0 {
			rt.Fatalf("%d shops are counted wrong (%v)", wrong, err)
		}
	})
}

func TestPagesNeitherRepeatNorSkipAProductWhileOthersComeAndGo(t *testing.T) {
	b := open(t)
	shops := []string{testShop, "other.myshopify.com", "a.myshopify.com"}
	next := int64(0)
	add := func(n int) (ids []int64) {
		for range n {
			next++
			b.put(shops[next%3], next, "Shirt", fmt.Sprint("S", next), "")
			ids = append(ids, next)
		}
		return ids
	}
	stay := add(60)
	for _, f := range []SearchFilter{{Limit: 7}, {Limit: 7, Shop: testShop}, {Limit: 5, Text: "shirt"}, {Limit: 3, Vendor: "Acme", Shop: shops[2]}} {
		want := 0
		for _, id := range stay {
			if f.Shop == "" || f.Shop == shops[id%3] {
				want++
			}
		}
		seen := map[int64]int{}
		for page := b.search(f); ; page = b.search(f) {
			for _, id := range idsOf(page) {
				seen[id]++
			}
			if page.Next == "" {
				break
			}
			gone := add(2)[0]
			d := b.delivery(deleteOf(gone))
			d.Shop = shops[gone%3]
			b.deliver(d, deleteOf(gone))
			f.Cursor = page.Next
		}
		found := 0
		for _, id := range stay {
			found += min(1, seen[id])
		}
		for id, n := range seen {
			if n > 1 {
				t.Errorf("%+v: product %d came %d times", f, id, n)
			}
		}
		if found != want {
			t.Errorf("%+v: %d of %d products came", f, found, want)
		}
		// And the same way back, now that nothing changes.
		f.Cursor = ""
		var forth []string
		page := b.search(f)
		for {
			forth = append(forth, fmt.Sprint(idsOf(page)))
			if page.Next == "" {
				break
			}
			f.Cursor = page.Next
			page = b.search(f)
		}
		back := []string{fmt.Sprint(idsOf(page))}
		for page.Prev != "" {
			f.Cursor = page.Prev
			page = b.search(f)
			back = append(back, fmt.Sprint(idsOf(page)))
		}
		slices.Reverse(back)
		// The way back cuts its pages from the end, so only the ids compare.
		if flat(back) != flat(forth) {
			t.Errorf("%+v: forth %v, back %v", f, forth, back)
		}
	}
}

func flat(pages []string) string {
	return strings.NewReplacer("[", "", "]", "").Replace(strings.Join(pages, " "))
}

func TestAnEmptyPageLeadsBack(t *testing.T) {
	b := open(t)
	for id := range int64(6) {
		b.put(testShop, id+1, "Shirt", "", "")
	}
	first := b.search(SearchFilter{Limit: 2})
	second := b.search(SearchFilter{Limit: 2, Cursor: first.Next})
	b.apply(deleteOf(5))
	b.apply(deleteOf(6))
	empty := b.search(SearchFilter{Limit: 2, Cursor: second.Next})
	if len(empty.Products) != 0 || empty.Next != "" || empty.Prev == "" {
		t.Fatalf("the page behind: %+v", empty)
	}
	if got := idsOf(b.search(SearchFilter{Limit: 2, Cursor: empty.Prev})); !slices.Equal(got, []int64{3, 4}) {
		t.Errorf("back: %v", got)
	}
	for id := range int64(4) {
		b.apply(deleteOf(id + 1))
	}
	b.put(testShop, 9, "Shirt", "", "")
	if got := idsOf(b.search(SearchFilter{Limit: 2, Cursor: "p" + first.Next[1:]})); !slices.Equal(got, []int64{9}) {
		t.Errorf("before the first: %v, want the first page", got)
	}
}

func TestACursorOfNobodyIsRefused(t *testing.T) {
	b := open(t)
	for _, c := range []string{"x", "n", "n!!", "7", "nMQ", "pYSBi", "n" + strings.Repeat("A", 100)} {
		if _, err := b.s.Search(context.Background(), SearchFilter{Cursor: c}); !errors.Is(err, ErrCursor) {
			t.Errorf("%q: %v", c, err)
		}
		if _, err := b.s.SearchDeliveries(context.Background(), DeliveryFilter{Cursor: c}); c != "7" && !errors.Is(err, ErrCursor) {
			t.Errorf("journal, %q: %v", c, err)
		}
	}
}

// plan returns what SQLite means to do for a query.
func (b *bench) plan(query string, args ...any) string {
	b.t.Helper()
	rows, err := b.s.readers.Load().Query(`EXPLAIN QUERY PLAN `+query, args...)
	if err != nil {
		b.t.Fatalf("%v: %s", err, query)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			b.t.Fatal(err)
		}
		lines = append(lines, detail)
	}
	b.must(rows.Err())
	return strings.Join(lines, "\n")
}

func TestNoSearchReadsTheProductsOrVariantsFromEndToEnd(t *testing.T) {
	b := open(t)
	from := &place{testShop, 5}
	for _, f := range []SearchFilter{
		{}, {Shop: testShop}, {Status: "ACTIVE"}, {Vendor: "Acme", Type: "Shirts"}, {Text: "none"}, {Text: "нет"}, {Shop: testShop, Text: "none"},
	} {
		for _, at := range []*place{nil, from} {
			for _, backward := range []bool{false, true} {
				query, args := titleQuery(f, at, backward)
				plan := b.plan(query, args...)
				if strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "products") {
					t.Errorf("%+v from %v:\n%s", f, at, plan)
				}
				if (f.Shop != "" || at != nil) && !strings.Contains(plan, "SEARCH s USING PRIMARY KEY (") {
					t.Errorf("%+v from %v does not begin at its place:\n%s", f, at, plan)
				}
			}
		}
	}
	for _, query := range []string{productByShopifyID, productBySKU, productByWholeSKU, productByBarcode} {
		if plan := b.plan(query, slices.Repeat([]any{1}, strings.Count(query, "?"))...); strings.Contains(plan, "SCAN") {
			t.Errorf("%s:\n%s", query, plan)
		}
	}
	if plan := b.plan(itemOwner, 1, testShop); strings.Contains(plan, "SCAN") {
		t.Errorf("%s:\n%s", itemOwner, plan)
	}
	for _, query := range []string{explainDeliveries} {
		plan := b.plan(query, slices.Repeat([]any{1}, 2)...)
		if strings.Contains(plan, "SCAN changes") || strings.Contains(plan, "SCAN deliveries") || strings.Contains(plan, "SCAN v") || strings.Contains(plan, "SCAN p") {
			t.Errorf("%s:\n%s", query, plan)
		}
	}
	for _, f := range []DeliveryFilter{{}, {Shop: testShop}, {Outcome: Dead}, {Outcome: Dead, Shop: testShop}, {Product: 7}, {Outcome: Applied}} {
		query, args, _ := journalQuery(f, 9, false)
		plan := b.plan(query, append(args, 10)...)
		if strings.Contains(plan, "SCAN deliveries") || f.Product == 0 && strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%+v:\n%s", f, plan)
		}
		if f.Outcome == Dead != strings.Contains(plan, "deliveries_rare") {
			t.Errorf("%+v:\n%s", f, plan)
		}
	}
}

func TestAnOlderFileIsSearchedToo(t *testing.T) {
	b := open(t)
	b.put(testShop, 1, "Washed linen shirt", "LIN-001", "")
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Index(names, "migrations/0003_search.sql")
	if err := b.s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", dsn(b.path, writerQuery(patience)))
	if err != nil {
		t.Fatal(err)
	}
	if before != len(names)-1 {
		t.Skip("later steps can't be undone here")
	}
	for _, undo := range []string{
		`DROP TRIGGER product_search_insert`, `DROP TRIGGER product_search_update`, `DROP TRIGGER product_search_delete`,
		`ALTER TABLE sync_runs DROP COLUMN cause`, `DROP TABLE product_search`, `DROP TABLE product_counts`, `DROP INDEX variants_by_barcode`, `DROP INDEX deliveries_rare`, fmt.Sprint(`PRAGMA user_version = `, before),
	} {
		if _, err := db.Exec(undo); err != nil {
			t.Fatalf("%s: %v", undo, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	if got := idsOf(b.search(SearchFilter{Text: "linen"})); !slices.Equal(got, []int64{1}) {
		t.Errorf("found %v", got)
	}
}
