package fakeshopify

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

// changedSince is the products that a search by updated_at finds, and the
// deletions that events show, as numbers of ids.
func changedSince(t *testing.T, s *Shop, ids []int64, since time.Time) (changed, deleted []int) {
	t.Helper()
	const query = `query($q:String!,$e:String!){products(first:250,query:$q){nodes{id}}
		events(first:250,query:$e){nodes{... on BasicEvent{subjectId}}}}`
	stamp := utc(since)
	v := into[struct {
		Products struct{ Nodes []struct{ ID string } }
		Events   struct{ Nodes []struct{ SubjectID string } }
	}](t, ask(t, s, query, map[string]any{"q": "updated_at:>='" + stamp + "'",
		"e": "action:destroy AND subject_type:PRODUCT AND created_at:>='" + stamp + "'"}))
	number := func(gid string) int {
		_, id, _ := splitGID(gid)
		return slices.Index(ids, id)
	}
	for _, n := range v.Products.Nodes {
		changed = append(changed, number(n.ID))
	}
	for _, n := range v.Events.Nodes {
		deleted = append(deleted, number(n.SubjectID))
	}
	return changed, deleted
}

func TestSearchesFindAnEditOnlyAfterTheIndexLag(t *testing.T) {
	at := epoch
	s := apiShop(Options{Products: 6, Lean: true, Now: func() time.Time { return at },
		API: APIOptions{IndexLag: time.Minute, Plan: Plus}})
	at = at.Add(time.Hour)
	start, ids := at, s.IDs()
	s.UpdateProduct(ids[0], func(p *Product) { p.Title = "New" })
	_, v := s.products[ids[1]].variant(s.products[ids[1]].Variants[0].ID)
	s.SetInventory(v.ID, 0, v.Available[0]+5)
	s.DeleteProduct(ids[2])
	ids = append(ids, s.CreateProduct(nil).ID)
	due := make(map[int]time.Time)
	for _, n := range []int{0, 1, 2, len(ids) - 1} {
		f, ok := s.Findable(ids[n])
		if !ok || f.Before(start) || f.After(start.Add(time.Minute+time.Millisecond)) {
			t.Fatalf("product %d is findable at %v, %v", n, f, ok)
		}
		due[n] = f
	}
	for ; !at.After(start.Add(61 * time.Second)); at = at.Add(500 * time.Millisecond) {
		changed, deleted := changedSince(t, s, ids, start.Add(-time.Second))
		for n, f := range due {
			list := changed
			if n == 2 {
				list = deleted
			}
			if got := slices.Contains(list, n); got != !f.After(at) {
				t.Fatalf("after %v product %d is found: %v, due at %v", at.Sub(start), n, got, f.Sub(start))
			}
		}
	}
	// What does not search by time shows all as it is, at once.
	at = at.Add(time.Second)
	s.UpdateProduct(ids[4], func(p *Product) { p.Title = "Newest" })
	r := ask(t, s, fmt.Sprintf(`{product(id:%q){title updatedAt} nodes(ids:[%[1]q]){... on Product{title}}
		products(first:1,query:"id:%[2]d"){nodes{title}}}`, gid("Product", ids[4]), ids[4]), nil)
	want := fmt.Sprintf(`{"product":{"title":"Newest","updatedAt":%q},"nodes":[{"title":"Newest"}],`+
		`"products":{"nodes":[{"title":"Newest"}]}}`, utc(at))
	if string(r.Data) != want {
		t.Errorf("%s\nwant %s", r.Data, want)
	}
}

func TestALostRowIsFoundAfterTheNextEdit(t *testing.T) {
	at := epoch
	s := apiShop(Options{Products: 4, Lean: true, Now: func() time.Time { return at },
		API: APIOptions{IndexLost: 1, Plan: Plus}})
	ids := s.IDs()
	at = at.Add(time.Hour)
	title := func(p *Product) { p.Title += "!" }
	s.UpdateProduct(ids[0], title)
	s.DeleteProduct(ids[1])
	ids = append(ids, s.CreateProduct(nil).ID)
	for _, n := range []int{0, 1, 4} {
		if _, ok := s.Findable(ids[n]); ok {
			t.Errorf("product %d counts as findable", n)
		}
	}
	at = at.Add(24 * time.Hour)
	if changed, deleted := changedSince(t, s, ids, epoch); len(changed)+len(deleted) > 0 {
		t.Errorf("%v, %v are found", changed, deleted)
	}
	// By its old time an edited product is still found; a new one is by none.
	r := ask(t, s, `{old:productsCount(query:"updated_at:>='2020-01-01T00:00:00Z'"){count}
		new:productsCount(query:"created_at:>='2026-11-23T12:30:00Z'"){count} all:productsCount{count}}`, nil)
	if want := `{"old":{"count":3},"new":{"count":0},"all":{"count":4}}`; string(r.Data) != want {
		t.Errorf("%s", r.Data)
	}
	s.SetIndex(0, 0)
	s.UpdateProduct(ids[0], title)
	s.UpdateProduct(ids[4], title)
	if changed, _ := changedSince(t, s, ids, at); !slices.Equal(changed, []int{0, 4}) {
		t.Errorf("%v are found", changed)
	}
	if _, ok := s.Findable(ids[0]); !ok || len(s.api.index.rows) > 0 {
		t.Errorf("%d rows are behind", len(s.api.index.rows))
	}
}

func TestAnOvertakenRowChangesNothing(t *testing.T) {
	at := epoch
	s := apiShop(Options{Products: 1, Lean: true, Now: func() time.Time { return at },
		API: APIOptions{IndexLag: 24 * time.Hour, Plan: Plus}})
	ids := s.IDs()
	at = at.Add(time.Hour)
	s.UpdateProduct(ids[0], func(p *Product) { p.Title = "Slow" })
	first, _ := s.Findable(ids[0])
	at = at.Add(time.Minute)
	s.SetIndex(0, 0)
	s.UpdateProduct(ids[0], func(p *Product) { p.Title = "Fast" })
	if changed, _ := changedSince(t, s, ids, at); len(changed) != 1 {
		t.Error("the second edit is not found")
	}
	second := at
	at = first.Add(time.Second)
	if changed, _ := changedSince(t, s, ids, second); len(changed) != 1 {
		t.Error("the row of the first edit took its place")
	}
}

// The stock total of a product is of the index, too: variants and levels are not.
func TestTheStockTotalLagsAsTheIndexDoes(t *testing.T) {
	at := epoch
	s := apiShop(Options{Products: 1, MaxVariants: 1, Now: func() time.Time { return at },
		API: APIOptions{IndexLag: time.Minute, IndexLost: 1}})
	id := s.IDs()[0]
	p, _ := s.Product(id)
	v := p.Variants[0]
	s.SetInventory(v.ID, 0, v.Available[0]+1000)
	before := v.Quantity()
	const query = `{product(id:%q){totalInventory variants(first:1){nodes{inventoryQuantity}}}}`
	const answer = `{"product":{"totalInventory":%d,"variants":{"nodes":[{"inventoryQuantity":%d}]}}}`
	for _, want := range []int{before, before + 1000} {
		r := ask(t, s, fmt.Sprintf(query, gid("Product", id)), nil)
		if text := fmt.Sprintf(answer, want, before+1000); string(r.Data) != text {
			t.Errorf("%s, want %s", r.Data, text)
		}
		at = at.Add(time.Minute + time.Second)
	}
}

func TestABrokenFilterMatchesEverything(t *testing.T) {
	s := apiShop(Options{Products: 5, Lean: true, Now: fixed(epoch)})
	s.DeleteProduct(s.IDs()[0])
	const query = `{products(first:1,query:"updated_at:>='2999-01-01T00:00:00Z' status:*"){nodes{id}}
		productsCount(query:"created_at:>'2999-01-01'"){count}
		events(first:1,query:"action:destroy created_at:>'2999-01-01'"){nodes{id}}
		wrong:events(first:1,query:"action:create created_at:>'2999-01-01'"){nodes{id}}}`
	found := func() (products, count, events, wrong int, warned bool) {
		r := ask(t, s, query, nil)
		type list struct{ Nodes []struct{ ID string } }
		v := into[struct {
			Products      list
			ProductsCount struct{ Count int }
			Events, Wrong list
		}](t, r)
		return len(v.Products.Nodes), v.ProductsCount.Count, len(v.Events.Nodes), len(v.Wrong.Nodes),
			len(r.Extensions.Search) > 0
	}
	for _, c := range []struct {
		fault        FilterFault
		all, warning bool
	}{{FilterWorks, false, false}, {FilterIgnored, true, false}, {FilterWarned, true, true}, {FilterWorks, false, false}} {
		s.BreakFilter(c.fault)
		products, count, events, wrong, warned := found()
		if (products == 1 && count == 4 && events == 1) != c.all || (products+count+events == 0) == c.all ||
			wrong != 0 || warned != c.warning {
			t.Errorf("fault %d: %d products, count %d, %d and %d events, warned %v",
				c.fault, products, count, events, wrong, warned)
		}
	}
}

// A look at a shop asks for three things under names of its own in one request.
func TestSeveralSearchesUnderOwnNamesAreOneRequest(t *testing.T) {
	at := epoch
	s := apiShop(Options{Products: 30, Lean: true, Now: func() time.Time { return at }})
	at = at.Add(time.Hour)
	ids := s.IDs()
	s.UpdateProduct(ids[3], func(p *Product) { p.Title = "New" })
	s.UpdateProduct(ids[5], func(p *Product) { p.Title = "New" })
	s.DeleteProduct(ids[7])
	const query = `query($q:String!,$never:String!,$gone:String!){
		changed:products(first:250,query:$q,sortKey:UPDATED_AT){nodes{id updatedAt} pageInfo{hasNextPage endCursor}}
		canary:products(first:1,query:$never){nodes{id}}
		deleted:events(first:250,query:$gone){nodes{... on BasicEvent{subjectId createdAt}} pageInfo{hasNextPage}}}`
	vars := map[string]any{"q": "updated_at:>='" + utc(at) + "'", "never": "updated_at:>='9999-01-01T00:00:00Z'",
		"gone": "action:destroy AND subject_type:PRODUCT AND created_at:>='" + utc(at) + "'"}
	type node struct{ ID, SubjectID, UpdatedAt, CreatedAt string }
	type list struct{ Nodes []node }
	r := ask(t, s, query, vars)
	v := into[struct{ Changed, Canary, Deleted list }](t, r)
	stamp := utc(at)
	changed := []node{{ID: gid("Product", ids[3]), UpdatedAt: stamp}, {ID: gid("Product", ids[5]), UpdatedAt: stamp}}
	deleted := []node{{SubjectID: gid("Product", ids[7]), CreatedAt: stamp}}
	if !slices.Equal(v.Changed.Nodes, changed) || len(v.Canary.Nodes) != 0 || !slices.Equal(v.Deleted.Nodes, deleted) {
		t.Errorf("%s", r.Data)
	}
	// 13 + 3 + 13; of what was returned 2+1 for two products, 2 for none, 2+1 for a deletion.
	if c := r.Extensions.Cost; c.RequestedQueryCost != 29 || *c.ActualQueryCost != 3+2+3 {
		t.Errorf("requested %d, actual %d", c.RequestedQueryCost, *c.ActualQueryCost)
	}
	s.BreakFilter(FilterWarned)
	r = ask(t, s, query, vars)
	var paths []any
	for _, w := range r.Extensions.Search {
		paths = append(paths, w.(map[string]any)["path"].([]any)...)
	}
	if !slices.Equal(paths, []any{"changed", "canary", "deleted"}) {
		t.Errorf("warnings of %v", paths)
	}
	s.DeleteProduct(ids[8])
	v = into[struct{ Changed, Canary, Deleted list }](t, ask(t, s, query, vars))
	if len(v.Canary.Nodes) != 1 || len(v.Changed.Nodes) != 28 {
		t.Errorf("%d and %d products are found", len(v.Changed.Nodes), len(v.Canary.Nodes))
	}
}

func TestAQuietChangeOfStockMovesNoTime(t *testing.T) {
	at, rec := epoch, &receiver{}
	s := apiShop(Options{Products: 1, MaxVariants: 1, Now: func() time.Time { return at }, Target: "https://r.example",
		Client: &http.Client{Transport: rec}, Topics: []string{TopicUpdate, TopicInventoryLevel}})
	id := s.IDs()[0]
	before, _ := s.Product(id)
	v := before.Variants[0]
	at = at.Add(time.Hour)
	if !s.SetInventoryQuietly(v.ID, 1, v.Available[1]+7) || s.SetInventoryQuietly(v.ID+1, 1, 0) {
		t.Error("a variant is taken for missing, or a missing one for a variant")
	}
	s.DrainAll(t.Context())
	if len(rec.got) != 1 || rec.got[0].header.Get("X-Shopify-Topic") != TopicInventoryLevel {
		t.Errorf("%d deliveries: %+v", len(rec.got), rec.got)
	}
	r := ask(t, s, fmt.Sprintf(`{product(id:%q){updatedAt totalInventory variants(first:1){nodes{updatedAt}}}
		productsCount(query:"updated_at:>='2026-11-23T12:30:00Z'"){count}}`, gid("Product", id)), nil)
	want := fmt.Sprintf(`{"product":{"updatedAt":%q,"totalInventory":%d,"variants":{"nodes":[{"updatedAt":%q}]}},`+
		`"productsCount":{"count":0}}`, utc(before.UpdatedAt), v.Quantity()+7, utc(v.UpdatedAt))
	if string(r.Data) != want {
		t.Errorf("%s\nwant %s", r.Data, want)
	}
}

// The option changes how stock moves and nothing else: a seed makes the same edits.
func TestAShareOfTheStockChangesIsQuiet(t *testing.T) {
	edits := func(share float64) (kinds []string) {
		at := epoch
		s := New(Options{Products: 20, MaxVariants: 2, Lean: true, QuietStock: share, Now: func() time.Time { return at }})
		for range 200 {
			at = at.Add(time.Second)
			e := s.RandomEdit()
			p, _ := s.Product(e.ProductID)
			if e.Kind == "stock" && !p.UpdatedAt.Equal(at.Truncate(time.Second)) ||
				e.Kind == "stock-quiet" && p.UpdatedAt.Equal(at.Truncate(time.Second)) {
				t.Fatalf("%s: updated at %v, not %v", e.Kind, p.UpdatedAt, at)
			}
			kinds = append(kinds, e.Kind)
		}
		return kinds
	}
	none, half := edits(0), edits(0.5)
	stock, quiet := 0, 0
	for i, k := range half {
		switch k {
		case "stock":
			stock++
		case "stock-quiet":
			quiet++
			k = "stock"
		}
		if k != none[i] {
			t.Fatalf("edit %d is %s, without the option %s", i, k, none[i])
		}
	}
	if stock == 0 || quiet == 0 || slices.Contains(edits(1), "stock") {
		t.Errorf("%d changes of stock with a time, %d without", stock, quiet)
	}
}
