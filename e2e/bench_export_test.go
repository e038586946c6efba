package e2e_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// exportedDir is a data dir with n products of five variants, two images and
// 1,200 bytes of description each, written straight into the file.
func exportedDir(tb testing.TB, n int) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "data")
	startServer(tb, serveOptions{Dir: dir}).stop()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "products.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	for _, one := range []string{
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO products (id, shop, external_id, status, shopify_status, selected, shopify_updated_at, content_hash, synced_at, source,
		                      title, vendor, product_type, handle, tags, options, images, body_html)
		SELECT i, ?2, 7000000 + i, 'ACTIVE', 'active', 1, 1000, 'x', 1000, 'bulk', 'Washed linen shirt with long sleeves ' || i, 'Vendor ' || (i % 50),
		       'Shirts', 'washed-linen-shirt-' || i, '["linen","summer"]', '[{"id":1,"name":"Size","position":1,"values":["0","1","2","3","4"]}]',
		       '[{"id":1,"position":1,"src":"https://cdn.example/files/front-' || i || '.jpg","alt":"front"},{"id":2,"position":2,"src":"https://cdn.example/files/back-' || i || '.jpg","alt":null}]',
		       hex(zeroblob(600)) FROM n`,
		`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 5 * ?1 - 1)
		INSERT INTO variants (product_id, external_id, row_hash, position, title, sku, barcode, price, option1, inventory_item_id, inventory_quantity)
		SELECT 1 + i / 5, 9000000 + i, 1, 1 + i % 5, 'Size ' || (i % 5), 'SKU-' || i, '40' || i, '10.00', (i % 5), 9500000 + i, 7 FROM n WHERE ?2 <> ''`,
	} {
		if _, err := db.Exec(one, n, e2eShop); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// memory is a process's resident memory and the most it was since it was last
// reset, in bytes.
func memory(tb testing.TB, pid int) (now, most int64) {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		for name, into := range map[string]*int64{"VmRSS:": &now, "VmHWM:": &most} {
			if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == name {
				kb, err := strconv.ParseInt(string(f[1]), 10, 64)
				if err != nil {
					tb.Fatal(err)
				}
				*into = kb << 10
			}
		}
	}
	return now, most
}

// exported is what one export took.
type exported struct {
	bytes        int64
	took         time.Duration
	before, most int64 // resident memory of the server
}

// export asks the real binary for an export and throws it away.
func (s *server) export(format string) exported {
	s.tb.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.PID), []byte("5"), 0); err != nil {
		s.tb.Skip("the peak of resident memory can't be reset here: ", err)
	}
	var e exported
	e.before, _ = memory(s.tb, s.PID)
	r, err := http.NewRequestWithContext(s.tb.Context(), http.MethodGet, s.Admin+"/api/v1/products-export?format="+format, nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	began := time.Now()
	res, err := (&http.Client{}).Do(r)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer res.Body.Close()
	if e.bytes, err = io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		s.tb.Fatalf("%s: %d, %v", format, res.StatusCode, err)
	}
	e.took = time.Since(began)
	_, e.most = memory(s.tb, s.PID)
	return e
}

var exportFormats = []string{"ndjson", "csv", "json"}

// BenchmarkExport measures exports by the real binary and the most resident
// memory that it had meanwhile. The memory has to be alike for both sizes.
func BenchmarkExport(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("resident memory is read from /proc, which only Linux has")
	}
	for _, n := range []int{10_000, 100_000} {
		dir := exportedDir(b, n)
		for _, format := range exportFormats {
			b.Run(fmt.Sprintf("%s/products=%d", format, n), func(b *testing.B) {
				s := startServer(b, serveOptions{Dir: dir})
				defer s.stop()
				s.export(format) // what a start looks at is looked at beside this one
				b.ResetTimer()
				var all exported
				for b.Loop() {
					e := s.export(format)
					all.bytes, all.took, all.most = all.bytes+e.bytes, all.took+e.took, max(all.most, e.most)
					all.before = e.before
				}
				b.ReportMetric(float64(n)*float64(b.N)/all.took.Seconds(), "products/s")
				b.ReportMetric(float64(all.bytes)/float64(b.N)/1e6, "MB")
				b.ReportMetric(float64(all.before)/1e6, "rss-before-MB")
				b.ReportMetric(float64(all.most)/1e6, "rss-most-MB")
			})
		}
	}
}

// TestAnExportOfALargeCatalogueTakesNoMoreMemory compares the resident memory of
// the real binary while it exports 10,000 and 100,000 products.
func TestAnExportOfALargeCatalogueTakesNoMoreMemory(t *testing.T) {
	if !torture() {
		t.Skip("exports 100,000 products; STOCKROOM_TORTURE=1 runs it")
	}
	if runtime.GOOS != "linux" {
		t.Skip("resident memory is read from /proc, which only Linux has")
	}
	const more = 16 << 20
	small := map[string]int64{}
	for _, n := range []int{10_000, 100_000} {
		dir := exportedDir(t, n)
		s := startServer(t, serveOptions{Dir: dir})
		s.export("ndjson") // what a start looks at is looked at beside this one
		for _, format := range exportFormats {
			e := s.export(format)
			t.Logf("%s of %d products: %d MB in %s, resident memory %d MB before and %d MB at most", format, n, e.bytes/1e6, e.took.Round(time.Millisecond), e.before/1e6, e.most/1e6)
			if small[format] == 0 {
				small[format] = e.most
			} else if e.most > small[format]+more {
				t.Errorf("%s: %d MB for %d products, %d MB for a tenth", format, e.most/1e6, n, small[format]/1e6)
			}
		}
		s.stop()
	}
}
