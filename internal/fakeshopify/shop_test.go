package fakeshopify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)

// receiver answers deliveries without a socket and remembers them.
type receiver struct {
	mu     sync.Mutex
	answer func(n int, r *http.Request) (int, error)
	got    []received
}

type received struct {
	url    string
	header http.Header
	body   string
	at     time.Time
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.got = append(r.got, received{req.URL.String(), req.Header, string(b), time.Now()})
	n := len(r.got)
	r.mu.Unlock()
	status := 200
	if r.answer != nil {
		if status, err = r.answer(n, req); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {"http://elsewhere.example/"}},
		Body: io.NopCloser(strings.NewReader(`{"success":true}`)), Request: req}, nil
}

func fixed(at time.Time) func() time.Time { return func() time.Time { return at } }

func TestSameSeedSameCallsSameBytes(t *testing.T) {
	life := func(seed uint64) string {
		rec := &receiver{}
		chaos, _ := ChaosLevel("wild")
		at := epoch
		s := New(Options{Seed: seed, Products: 40, MaxVariants: 4, Target: "https://receiver.example", Client: &http.Client{Transport: rec},
			Chaos: chaos, Now: func() time.Time { at = at.Add(37 * time.Millisecond); return at },
			Topics: []string{TopicCreate, TopicUpdate, TopicDelete, TopicInventoryLevel, TopicInventoryItem}})
		for range 300 {
			s.RandomEdit()
		}
		if err := s.Drain(context.Background()); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, g := range rec.got {
			b.WriteString(g.url)
			for _, k := range slices.Sorted(maps.Keys(g.header)) {
				fmt.Fprintln(&b, k, g.header[k])
			}
			b.WriteString(g.body)
		}
		for _, p := range s.Snapshot() {
			fmt.Fprintf(&b, "%s\n", s.Body(TopicUpdate, p.ID))
		}
		return b.String()
	}
	one, two := life(7), life(7)
	if one != two {
		t.Fatal("two shops with one seed differ")
	}
	if one == life(8) {
		t.Fatal("two seeds give the same shop")
	}
}

// keysOf collects the paths of all members of a JSON text, with [] for elements.
func keysOf(t *testing.T, b []byte) map[string]bool {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	keys := make(map[string]bool)
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				keys[prefix+k] = true
				walk(prefix+k+".", e)
			}
		case []any:
			for _, e := range v {
				walk(prefix+"[].", e)
			}
		}
	}
	walk("", v)
	return keys
}

func TestBodiesHaveTheMembersOfTheDocumentedSamples(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "fixtures", "webhooks")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("skipped: the fixtures folder is not beside this project")
	}
	s := New(Options{Products: 1, Now: fixed(epoch)})
	id := s.IDs()[0]
	for topic, file := range map[string]string{
		TopicUpdate:         "docs2026-07_products_update.json",
		TopicDelete:         "docs2026-07_products_delete.json",
		TopicInventoryLevel: "docs2026-07_inventory_levels_update.json",
		TopicInventoryItem:  "docs2026-07_inventory_items_update.json",
		TopicScopes:         "docs2026-07_app_scopes_update.json",
		TopicBulkFinish:     "docs2026-07_bulk_operations_finish.json",
	} {
		sample, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		want, got := keysOf(t, sample), keysOf(t, s.Body(topic, id))
		for k := range want {
			if !got[k] {
				t.Errorf("%s: member %s is missing", topic, k)
			}
		}
		for k := range got {
			// The sample product has no options, images or category to show.
			if !want[k] && !strings.HasPrefix(k, "options.") && !strings.HasPrefix(k, "image") &&
				!strings.HasPrefix(k, "media.") && !strings.HasPrefix(k, "category.") {
				t.Errorf("%s: member %s is not in the sample", topic, k)
			}
		}
	}
}

func TestABodyOfFiveVariantsIsAbout7500Bytes(t *testing.T) {
	s := New(Options{Products: 400, MinVariants: 5, MaxVariants: 5, Large: -1, Now: fixed(epoch)})
	var sizes []int
	for _, id := range s.IDs() {
		sizes = append(sizes, len(s.Body(TopicUpdate, id)))
	}
	sort.Ints(sizes)
	if m := sizes[len(sizes)/2]; m < 6500 || m > 8500 {
		t.Errorf("median body is %d bytes, want about 7500", m)
	}
}

func TestBodiesAreEscapedAsShopifyEscapes(t *testing.T) {
	for _, c := range []struct {
		name        string
		ascii       bool
		title, want string
	}{
		{"slash and markup", false, `a/b <i> & "c" \`, `"a\/b \u003ci\u003e \u0026 \"c\" \\"`},
		{"control characters", false, "a\nb\r\tc\x01", `"a\nb\r\tc\u0001"`},
		{"unicode stays", false, "é👕", `"é👕"`},
		{"line separators", false, "\u2028\u2029", `"\u2028\u2029"`},
		{"unicode escaped", true, "é👕日", `"\u00e9\ud83d\udc55\u65e5"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(Options{Products: 1, ASCII: c.ascii, Now: fixed(epoch)})
			id := s.IDs()[0]
			s.UpdateProduct(id, func(p *Product) { p.Title = c.title })
			b := s.Body(TopicUpdate, id)
			if !bytes.Contains(b, []byte(`"title":`+c.want)) {
				t.Errorf("no %s in %s", c.want, b)
			}
			var v struct{ Title string }
			if err := json.Unmarshal(b, &v); err != nil || v.Title != c.title {
				t.Errorf("reads back as %q, %v", v.Title, err)
			}
			if !bytes.Contains(b, []byte(`gid:\/\/shopify\/Product\/`)) {
				t.Error("slashes of the gid are not escaped")
			}
		})
	}
}

func TestALargeProductHas100VariantsInFullAndAllNamed(t *testing.T) {
	s := New(Options{Products: 1, MinVariants: 2048, MaxVariants: 2048, Now: fixed(epoch)})
	var v struct {
		Variants    []struct{ ID int64 }
		VariantGIDs []struct {
			GID string    `json:"admin_graphql_api_id"`
			At  time.Time `json:"updated_at"`
		} `json:"variant_gids"`
	}
	if err := json.Unmarshal(s.Body(TopicUpdate, s.IDs()[0]), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Variants) != 100 || len(v.VariantGIDs) != 2048 {
		t.Errorf("%d in full, %d named", len(v.Variants), len(v.VariantGIDs))
	}
	combos := make(map[string]bool)
	p, _ := s.Product(s.IDs()[0])
	for _, x := range p.Variants {
		combos[x.Title] = true
	}
	if len(combos) != 2048 {
		t.Errorf("%d different titles", len(combos))
	}
}

func TestTheCatalogueIsUsable(t *testing.T) {
	s := New(Options{Seed: 3, Products: 2000, Now: fixed(epoch)})
	handles, ids := make(map[string]bool), make(map[int64]bool)
	var big, hundred, huge, multi, untracked, digital, seo int
	last := int64(0)
	for _, p := range s.Snapshot() {
		if p.ID <= last {
			t.Fatalf("ids do not grow: %d after %d", p.ID, last)
		}
		last = p.ID
		if handles[p.Handle] || p.Handle == "" {
			t.Errorf("handle %q twice", p.Handle)
		}
		handles[p.Handle] = true
		if p.ID > 1<<53 {
			big++
		}
		if p.SEO != (SEO{}) {
			seo++
		}
		if len(p.Options) > 1 {
			multi++
		}
		if n := len(p.Variants); n == 2048 {
			huge++
		} else if n > 100 {
			hundred++
		}
		combos := make(map[string]bool)
		for _, v := range p.Variants {
			if ids[v.ID] || ids[v.InventoryItemID] {
				t.Fatal("an id twice")
			}
			ids[v.ID], ids[v.InventoryItemID] = true, true
			if combos[v.Title] {
				t.Fatalf("product %q has variant %q twice", p.Title, v.Title)
			}
			combos[v.Title] = true
			if len(v.Options) != len(p.Options) {
				t.Fatal("a variant without a value for each option")
			}
			if !v.Tracked {
				untracked++
			}
			if !v.RequiresShipping {
				digital++
			}
			if !v.Tracked && v.Quantity() != 0 {
				t.Fatal("stock of a variant that is not tracked")
			}
		}
		if p.UpdatedAt.After(epoch) || p.UpdatedAt.Nanosecond() != 0 {
			t.Errorf("updated at %v", p.UpdatedAt)
		}
	}
	if untracked <= digital || digital == 0 || untracked > len(ids)/6 || seo == 0 || seo == 2000 {
		t.Errorf("of %d variants %d not tracked, %d not shipped; %d products with words for searches", len(ids)/2, untracked, digital, seo)
	}
	if big == 0 || hundred == 0 || huge != 1 || multi < 500 {
		t.Errorf("big ids %d, over 100 variants %d, 2048 variants %d, several options %d", big, hundred, huge, multi)
	}
}

func TestAnEditChangesTimesOfWhatChanged(t *testing.T) {
	at := epoch
	s := New(Options{Products: 3, MinVariants: 3, Now: func() time.Time { return at }})
	id := s.IDs()[1]
	before, _ := s.Product(id)
	at = at.Add(time.Hour)
	after, ok := s.UpdateProduct(id, func(p *Product) {
		p.Variants[1].Price = "1.23"
		p.Variants = append(p.Variants, Variant{Options: slices.Clone(p.Variants[0].Options), Price: "2"})
		p.Variants[3].Options[0] = "Odd"
	})
	if !ok || !after.UpdatedAt.Equal(at.Truncate(time.Second)) {
		t.Fatalf("updated at %v", after.UpdatedAt)
	}
	if !after.Variants[0].UpdatedAt.Equal(before.Variants[0].UpdatedAt) {
		t.Error("an untouched variant moved")
	}
	if !after.Variants[1].UpdatedAt.Equal(after.UpdatedAt) {
		t.Error("a changed variant did not move")
	}
	if v := after.Variants[3]; v.ID == 0 || v.InventoryItemID == 0 || !strings.HasPrefix(v.Title, "Odd") {
		t.Errorf("new variant %+v", v)
	}
	if got, _ := s.Product(id); got.Title != after.Title || !s.SetInventory(after.Variants[3].ID, 1, 9) {
		t.Error("the new variant cannot be found")
	}
	if !s.DeleteProduct(id) || s.DeleteProduct(id) {
		t.Error("a product is deleted once")
	}
	if _, ok := s.UpdateProduct(id, func(*Product) {}); ok {
		t.Error("a deleted product was updated")
	}
}
