package syncer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stockroom/internal/bulk/bulktest"
)

// BenchmarkFullSync reads a result of a million lines from a socket into a
// catalogue of its own, in a process of its own. lines/s and rows/s are those of
// the whole run; import-rows/s is sqlite3's .import of the very same rows into
// the same two tables with their indexes, on the same disk right after it.
func BenchmarkFullSync(b *testing.B) {
	lines := 1_000_000
	if testing.Short() {
		lines = 50_000
	}
	for _, order := range []bulktest.Order{bulktest.Grouped, bulktest.Ungrouped, bulktest.Shuffled} {
		b.Run(string(order), func(b *testing.B) {
			srv, x := newLineServer(b, order, lines)
			var seconds, imported, peak float64
			rows := 0
			for b.Loop() {
				dir := filepath.Join(b.TempDir(), "data")
				res := x.finish(b, srv, dir)
				products, variants, _ := content(b, dir)
				if !res.Run.Proven || products != x.lines/bulktest.Each {
					b.Fatalf("%d products, %+v", products, res.Run)
				}
				rows += products + variants
				seconds += res.Seconds
				peak = max(peak, float64(res.PeakKiB)/1024)
				imported += importRows(b, dir).Seconds()
			}
			b.ReportMetric(float64(x.lines)*float64(b.N)/seconds, "lines/s")
			b.ReportMetric(float64(rows)/seconds, "rows/s")
			b.ReportMetric(peak, "peak-MiB")
			if imported > 0 {
				b.ReportMetric(float64(rows)/imported, "import-rows/s")
				b.ReportMetric(imported/seconds, "times-import")
			}
		})
	}
}

// importRows has sqlite3 read the catalogue's rows from CSV into a new file; 0
// where there is no sqlite3.
func importRows(b *testing.B, dir string) time.Duration {
	b.Helper()
	shell, err := exec.LookPath("sqlite3")
	if err != nil {
		b.Log("no sqlite3 to compare with")
		return 0
	}
	run := func(file, script string) string {
		b.Helper()
		cmd := exec.Command(shell, "-bail", file)
		cmd.Dir = dir
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			fmt.Fprint(in, script)
			in.Close()
		}()
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("sqlite3: %v: %s", err, out)
		}
		return string(out)
	}
	schema := run("products.db", "SELECT sql || ';' FROM sqlite_master WHERE tbl_name IN ('products', 'variants') AND type IN ('table', 'index') AND sql IS NOT NULL ORDER BY type DESC;\n")
	run("products.db", ".mode csv\n.nullvalue NULL\n.once products.csv\nSELECT * FROM products;\n.once variants.csv\nSELECT * FROM variants;\n")
	// Empty fields of number columns do not fit STRICT tables.
	loose := filepath.Join(dir, "import.db")
	schema = looseSchema(schema)
	begun := time.Now()
	run("import.db", "PRAGMA journal_mode = WAL;\nPRAGMA synchronous = FULL;\n"+schema+"\n.mode csv\n.import products.csv products\n.import variants.csv variants\n")
	took := time.Since(begun)
	if out := run("import.db", "SELECT count(*) FROM variants;\n"); out == "0\n" {
		b.Fatal("nothing was imported")
	}
	if err := os.Remove(loose); err != nil {
		b.Fatal(err)
	}
	return took
}

// looseSchema takes the checks of types off, which text from CSV does not pass.
func looseSchema(schema string) string {
	return strings.ReplaceAll(schema, ") STRICT", ")")
}
