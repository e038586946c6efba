package fakeshopify

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

type productPage struct {
	Products struct {
		Nodes    []struct{ ID, UpdatedAt string }
		PageInfo struct {
			HasNextPage, HasPreviousPage bool
			StartCursor, EndCursor       *string
		}
	}
}

// pages walks a list of products and returns the ids in its order.
func pages(t *testing.T, s *Shop, size int, args string, back bool) []string {
	t.Helper()
	dir, cur := "first", "after"
	if back {
		dir, cur = "last", "before"
	}
	query := fmt.Sprintf(`query($n:Int,$c:String){products(%s:$n,%s:$c%s){nodes{id updatedAt} pageInfo{hasNextPage hasPreviousPage startCursor endCursor}}}`, dir, cur, args)
	var ids []string
	vars := map[string]any{"n": size}
	for range 1000 {
		p := into[productPage](t, ask(t, s, query, vars)).Products
		var page []string
		for _, n := range p.Nodes {
			page = append(page, n.ID)
		}
		if len(page) > size {
			t.Fatalf("%d on a page of %d", len(page), size)
		}
		if back {
			ids = append(page, ids...)
			if !p.PageInfo.HasPreviousPage {
				return ids
			}
			vars["c"] = *p.PageInfo.StartCursor
		} else {
			ids = append(ids, page...)
			if !p.PageInfo.HasNextPage {
				return ids
			}
			vars["c"] = *p.PageInfo.EndCursor
		}
	}
	t.Fatal("no end")
	return nil
}

func TestPagesShowEachProductOnceInOrder(t *testing.T) {
	at := epoch
	s := apiShop(Options{Seed: 5, Products: 103, Lean: true, Now: func() time.Time { return at }, API: APIOptions{Plan: Plan{"big", 1e9, 1e9}}})
	for range 50 {
		at = at.Add(time.Second)
		s.RandomEdit()
	}
	var byID []string
	for _, id := range s.IDs() {
		byID = append(byID, gid("Product", id))
	}
	list := s.Snapshot()
	slices.SortStableFunc(list, func(a, b Product) int { return a.UpdatedAt.Compare(b.UpdatedAt) })
	var byTime []string
	for _, p := range list {
		byTime = append(byTime, gid("Product", p.ID))
	}
	reversed := func(s []string) []string { s = slices.Clone(s); slices.Reverse(s); return s }
	for _, size := range []int{1, 7, 50, 103, 250} {
		for _, back := range []bool{false, true} {
			for args, want := range map[string][]string{
				"": byID, ",sortKey:ID,reverse:true": reversed(byID),
				",sortKey:UPDATED_AT": byTime, ",sortKey:UPDATED_AT,reverse:true": reversed(byTime),
			} {
				if got := pages(t, s, size, args, back); !slices.Equal(got, want) {
					t.Errorf("pages of %d%s, backward %v: %d ids, not in the order wanted", size, args, back, len(got))
				}
			}
		}
	}
}

func TestACursorSurvivesTheDeletionOfItsItem(t *testing.T) {
	s := apiShop(Options{Products: 10, Now: fixed(epoch)})
	ids := s.IDs()
	p := into[productPage](t, ask(t, s, `{products(first:3){nodes{id} pageInfo{endCursor}}}`, nil)).Products
	s.DeleteProduct(ids[2])
	q := into[productPage](t, ask(t, s, `query($c:String){products(first:3,after:$c){nodes{id}}}`, map[string]any{"c": *p.PageInfo.EndCursor})).Products
	if len(q.Nodes) != 3 || q.Nodes[0].ID != gid("Product", ids[3]) {
		t.Errorf("%+v", q.Nodes)
	}
}

func TestPagingEndsAt25000ObjectsButSlicesByIDReachAll(t *testing.T) {
	s := apiShop(Options{Products: 25_300, MaxVariants: 1, Large: -1, Huge: -1, Lean: true, Now: fixed(epoch), API: APIOptions{Plan: Plan{"big", 1e9, 1e9}}})
	const query = `query($c:String,$q:String){products(first:250,after:$c,query:$q){nodes{id} pageInfo{hasNextPage endCursor}}}`
	n := 0
	vars := map[string]any{}
	var r reply
	for {
		if r = ask(t, s, query, vars); len(r.Errors) > 0 {
			break
		}
		p := into[productPage](t, r).Products
		n += len(p.Nodes)
		if !p.PageInfo.HasNextPage {
			break
		}
		vars["c"] = *p.PageInfo.EndCursor
	}
	if n != 25_000 || len(r.Errors) != 1 {
		t.Errorf("%d products, errors %+v", n, r.Errors)
	}
	vars["c"], vars["q"] = nil, fmt.Sprintf("id:>%d", s.IDs()[24_999])
	n = 0
	for {
		p := into[productPage](t, ask(t, s, query, vars)).Products
		n += len(p.Nodes)
		if !p.PageInfo.HasNextPage {
			break
		}
		vars["c"] = *p.PageInfo.EndCursor
	}
	if n != 300 {
		t.Errorf("%d products in the last slice", n)
	}
}

func TestOneProductShowsUpTo2000VariantsWhenAskedAlone(t *testing.T) {
	s := apiShop(Options{Products: 1, MinVariants: 2048, MaxVariants: 2048, Now: fixed(epoch)})
	id := s.IDs()[0]
	query := func(extra string, n int) string {
		return fmt.Sprintf(`{product(id:"gid://shopify/Product/%d"){variants(first:%d){nodes{id} pageInfo{hasNextPage}}} %s}`, id, n, extra)
	}
	type result struct {
		Product struct {
			Variants struct {
				Nodes    []struct{ ID string }
				PageInfo struct{ HasNextPage bool }
			}
		}
	}
	if v := into[result](t, ask(t, s, query("", 2000), nil)).Product.Variants; len(v.Nodes) != 2000 || !v.PageInfo.HasNextPage {
		t.Errorf("%d variants", len(v.Nodes))
	}
	if r := ask(t, s, query("", 2001), nil); len(r.Errors) != 1 {
		t.Error("2001 are given")
	}
	if r := ask(t, s, query("shop{name}", 251), nil); len(r.Errors) != 1 {
		t.Error("251 are given beside another query")
	}
}

func TestSearches(t *testing.T) {
	at := epoch
	s := apiShop(Options{Seed: 9, Products: 30, Now: func() time.Time { return at }, API: APIOptions{Plan: Plus}})
	ids := s.IDs()
	at = epoch.Add(time.Hour)
	s.UpdateProduct(ids[4], func(p *Product) {
		p.Vendor, p.Tags, p.Status, p.Title, p.ProductType = "Zed & Sons", []string{"Two Words", "x"}, StatusDraft, "Find me", "Odd"
	})
	s.UpdateProduct(ids[7], func(p *Product) { p.Vendor, p.Status = "Zed", StatusActive; p.Tags = nil })
	stamp := at.UTC().Format("2006-01-02T15:04:05Z")
	for _, c := range []struct {
		query string
		want  []int
		warns bool
	}{
		{"updated_at:>='" + stamp + "'", []int{4, 7}, false},
		{"updated_at:>'" + stamp + "'", nil, false},
		{"updated_at:>=\"" + stamp + "\"", []int{4, 7}, false},
		{"updated_at:>='2026-11-23T12:30:00Z' updated_at:<'2026-11-23T14:00:00Z'", []int{4, 7}, false},
		{fmt.Sprintf("id:%d", ids[3]), []int{3}, false},
		{fmt.Sprintf("id:>=%d AND id:<%d", ids[2], ids[5]), []int{2, 3, 4}, false},
		{fmt.Sprintf("id:>%d id:<=%d", ids[2], ids[5]), []int{3, 4, 5}, false},
		{fmt.Sprintf("id:%d OR id:%d", ids[2], ids[5]), []int{2, 5}, false},
		{"vendor:zed", []int{7}, false},
		{"vendor:'Zed & Sons'", []int{4}, false},
		{"vendor:zed*", []int{4, 7}, false},
		{"vendor:zed* -status:draft", []int{7}, false},
		{"vendor:zed* AND NOT (status:active OR tag:y)", []int{4}, false},
		{"tag:'two words'", []int{4}, false},
		{"product_type:odd", []int{4}, false},
		{"\"find me\"", []int{4}, false},
		{"nonsense:1 vendor:zed", []int{7}, true},
	} {
		t.Run(c.query, func(t *testing.T) {
			r := ask(t, s, `query($q:String){products(first:250,query:$q){nodes{id}} productsCount(query:$q){count}}`, map[string]any{"q": c.query})
			v := into[struct {
				Products struct {
					Nodes []struct{ ID string }
				}
				ProductsCount struct{ Count int }
			}](t, r)
			var got, want []string
			for _, n := range v.Products.Nodes {
				got = append(got, n.ID)
			}
			for _, i := range c.want {
				want = append(want, gid("Product", ids[i]))
			}
			if !slices.Equal(got, want) || v.ProductsCount.Count != len(want) || (len(r.Extensions.Search) > 0) != c.warns {
				t.Errorf("found %d, want %d; count %d; warnings %v", len(got), len(want), v.ProductsCount.Count, r.Extensions.Search)
			}
		})
	}
	t.Run("a time without quotes finds other rows", func(t *testing.T) {
		for query, want := range map[string]int{"updated_at:>='2026-11-23T20:00:00Z'": 0, "updated_at:>=2026-11-23T20:00:00Z": 2} {
			p := into[productPage](t, ask(t, s, `query($q:String){products(first:250,query:$q){nodes{id}}}`, map[string]any{"q": query})).Products
			if len(p.Nodes) != want {
				t.Errorf("%s finds %d, want %d", query, len(p.Nodes), want)
			}
		}
	})
}

func TestCountsAreBoundedByTheirLimit(t *testing.T) {
	s := apiShop(Options{Products: 30, Now: fixed(epoch)})
	r := ask(t, s, `{a:productsCount(limit:10){count precision} b:productsCount(limit:null){count precision} v:productVariantsCount(query:"id:1"){count}}`, nil)
	_, variants := s.Counts()
	want := fmt.Sprintf(`{"a":{"count":10,"precision":"AT_LEAST"},"b":{"count":30,"precision":"EXACT"},"v":{"count":%d}}`, variants)
	if string(r.Data) != want {
		t.Errorf("%s, want %s", r.Data, want)
	}
}

func TestDeletionsShowInEvents(t *testing.T) {
	at := epoch
	s := apiShop(Options{Products: 5, Now: func() time.Time { return at }})
	ids := s.IDs()
	s.DeleteProduct(ids[1])
	at = at.Add(time.Hour)
	s.DeleteProduct(ids[3])
	s.CreateProduct(nil)
	find := func(q string) (got []string) {
		v := into[struct {
			Events struct {
				Nodes []struct{ Action, SubjectID, SubjectType, CreatedAt string }
			}
		}](t, ask(t, s, `query($q:String){events(first:50,query:$q){nodes{action createdAt ... on BasicEvent{subjectId subjectType}}}}`, map[string]any{"q": q}))
		for _, n := range v.Events.Nodes {
			got = append(got, n.Action+" "+n.SubjectID)
		}
		return got
	}
	if got := find("action:destroy subject_type:PRODUCT"); !slices.Equal(got, []string{"destroy " + gid("Product", ids[1]), "destroy " + gid("Product", ids[3])}) {
		t.Errorf("%q", got)
	}
	if got := find("action:'destroy' AND created_at:>='2026-11-23T12:30:00Z'"); len(got) != 1 || !strings.HasSuffix(got[0], gid("Product", ids[3])) {
		t.Errorf("%q", got)
	}
	r := ask(t, s, `query($ids:[ID!]!){nodes(ids:$ids){id}}`, map[string]any{"ids": []string{gid("Product", ids[0]), gid("Product", ids[1])}})
	if want := fmt.Sprintf(`{"nodes":[{"id":%q},null]}`, gid("Product", ids[0])); string(r.Data) != want {
		t.Errorf("%s", r.Data)
	}
	at = at.AddDate(1, 0, 1)
	if got := find("action:destroy"); len(got) != 0 {
		t.Errorf("after a year: %q", got)
	}
}

func TestTheAPIShowsWhatTheWebhookShows(t *testing.T) {
	s := apiShop(Options{Seed: 4, Products: 1, Now: fixed(epoch)})
	id := s.IDs()[0]
	s.UpdateProduct(id, func(p *Product) {
		p.Tags = []string{"zebra", "Apple"}
		p.Variants[0].Price, p.Variants[0].CompareAtPrice = "25", ptr("9.9")
		p.Variants[0].Weight, p.Variants[0].WeightUnit = 1.25, "KILOGRAMS"
		p.Variants[0].Available = [locations]int{-5, 2}
		p.Status = StatusUnlisted
	})
	r := ask(t, s, fmt.Sprintf(`{product(id:%q){tags status updatedAt variants(first:1){nodes{price compareAtPrice inventoryQuantity inventoryItem{measurement{weight{value unit}} inventoryLevels(first:2){nodes{quantities(names:["available"]){quantity}}}}}}}}`, gid("Product", id)), nil)
	want := `{"product":{"tags":["Apple","zebra"],"status":"UNLISTED","updatedAt":"2026-11-23T12:00:00Z","variants":{"nodes":[{"price":"25.00","compareAtPrice":"9.90","inventoryQuantity":-3,"inventoryItem":{"measurement":{"weight":{"value":1.25,"unit":"KILOGRAMS"}},"inventoryLevels":{"nodes":[{"quantities":[{"quantity":-5}]},{"quantities":[{"quantity":2}]}]}}}]}}}`
	if string(r.Data) != want {
		t.Errorf("%s\nwant %s", r.Data, want)
	}
}

// The inventory item's fields and SEO are in no body of products/update; category and
// template are.
func TestWhatIsSoldHowIsShownWhereShopifyShowsIt(t *testing.T) {
	at, rec := epoch, &receiver{}
	s := apiShop(Options{Seed: 4, Products: 1, Now: func() time.Time { return at }, Target: "https://receiver.example",
		Client: &http.Client{Transport: rec}, Topics: []string{TopicUpdate, TopicInventoryItem}})
	id := s.IDs()[0]
	s.UpdateProduct(id, func(p *Product) { p.Variants[0].Tracked, p.Variants[0].RequiresShipping = true, true })
	s.DrainAll(t.Context())
	at = at.Add(time.Hour)
	rec.got = nil
	after, _ := s.UpdateProduct(id, func(p *Product) {
		p.SEO = SEO{Title: ptr("For <search>")}
		p.TemplateSuffix, p.Category = ptr("wide"), &Category{"gid://shopify/TaxonomyCategory/sg-4-17", "Balls", "Sports > Balls"}
		p.Variants[0].Tracked, p.Variants[0].RequiresShipping = false, false
	})
	s.DrainAll(t.Context())
	if !after.UpdatedAt.Equal(at.Truncate(time.Second)) || len(rec.got) != 2 {
		t.Fatalf("updated at %v, %d deliveries", after.UpdatedAt, len(rec.got))
	}
	product, item := rec.got[0].body, rec.got[1].body
	for body, want := range map[string]string{
		product: `"category":{"admin_graphql_api_id":"gid:\/\/shopify\/TaxonomyCategory\/sg-4-17","name":"Balls","full_name":"Sports \u003e Balls"}`,
		item:    `"tracked":false`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	if !strings.Contains(product, `"template_suffix":"wide"`) || !strings.Contains(item, `"requires_shipping":false`) ||
		strings.Contains(product, "tracked") || strings.Contains(product, "requires_shipping") || strings.Contains(product, "search") {
		t.Errorf("%s\n%s", product, item)
	}
	r := ask(t, s, fmt.Sprintf(`{product(id:%q){templateSuffix category{id fullName name} seo{title description} variants(first:1){nodes{inventoryItem{tracked requiresShipping}}}}}`, gid("Product", id)), nil)
	want := `{"product":{"templateSuffix":"wide","category":{"id":"gid://shopify/TaxonomyCategory/sg-4-17","fullName":"Sports \u003e Balls","name":"Balls"},"seo":{"title":"For \u003csearch\u003e","description":null},"variants":{"nodes":[{"inventoryItem":{"tracked":false,"requiresShipping":false}}]}}}`
	if string(r.Data) != want {
		t.Errorf("%s\nwant %s", r.Data, want)
	}
}

func TestNodesShowWhatProductShowsInTheOrderAskedFor(t *testing.T) {
	s := apiShop(Options{Seed: 3, Products: 250, MaxVariants: 3, Now: fixed(epoch), API: APIOptions{Plan: Plus}})
	schema := schemaNew()
	fields := all(schema.Types["Product"], 2)
	e := &exec{s: s, schema: schema, now: epoch, version: "2026-10"}
	text := func(v any) string {
		w := &jsonText{}
		w.tree(v)
		return string(w.b)
	}
	ids := s.IDs()
	gone := ids[40]
	s.DeleteProduct(gone)
	slices.Reverse(ids)
	var asked, want []string
	for _, id := range ids {
		asked = append(asked, fmt.Sprintf("%q", gid("Product", id)))
		one := s.queryUnlimited(t, e, fmt.Sprintf(`{product(id:%q)%s}`, gid("Product", id), fields)).get("data").(members)
		want = append(want, text(one.get("product")))
	}
	list := strings.Join(asked, ",")
	got := s.queryUnlimited(t, e, fmt.Sprintf(`{nodes(ids:[%s]){... on Product%s}}`, list, fields))
	if text(got.get("data").(members).get("nodes")) != "["+strings.Join(want, ",")+"]" || got.get("errors") != nil {
		t.Errorf("nodes of 250 products differ from the products one by one: %.500s", text(got))
	}
	if n := slices.Index(want, "null"); n < 0 || ids[n] != gone {
		t.Errorf("the deleted product is number %d", n)
	}
	r := ask(t, s, fmt.Sprintf(`{nodes(ids:[%s,%s]){id}}`, list, asked[0]), nil)
	if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "MAX_INPUT_SIZE_EXCEEDED" ||
		r.Errors[0].Message != "The input array size of 251 is greater than the maximum allowed of 250." {
		t.Errorf("%+v", r.Errors)
	}
}
