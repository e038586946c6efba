//go:build unix

package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"stockroom/internal/catalog"
)

const bulkVariants = 9 // variants of each product of the bulk benchmarks

// bulkProducts is how many products the bulk benchmarks store; with their
// variants they are ten times as many rows.
func bulkProducts(b *testing.B) int64 {
	n, err := strconv.ParseInt(os.Getenv("STOCKROOM_BULK_PRODUCTS"), 10, 64)
	if err != nil {
		return 20_000
	}
	return n
}

// bulkProduct is a product as a bulk result shows it. SKUs and inventory items
// come in no order, as in a real shop; ids ascend, as bulk results do.
func bulkProduct(id int64) *catalog.Product {
	rng := rand.New(rand.NewPCG(uint64(id), 7))
	p := benchProduct(id, id)
	list := make([]catalog.Variant, 0, bulkVariants)
	for i := range int64(bulkVariants) {
		v := p.Variants.Value()[i%5]
		v.ID = id*100 + i
		v.SKU = catalog.Of(fmt.Sprintf("%08X-%d", rng.Uint32(), i))
		v.InventoryItemID = catalog.Of(id*1000 + rng.Int64N(1000)*1000 + i)
		v.Barcode = catalog.Of("")
		v.WeightGrams = catalog.Of(rng.Int64N(3000))
		v.Position = catalog.Of(i + 1)
		v.ImageID = catalog.Field[int64]{}
		list = append(list, v)
	}
	p.Variants = catalog.Of(list)
	return p
}

// BenchmarkPutBulk stores a whole catalogue into an empty store, again with
// nothing changed, and lets the sqlite3 program import the same rows into the
// same tables for comparison.
func BenchmarkPutBulk(b *testing.B) {
	n := bulkProducts(b)
	rows := float64(n * (1 + bulkVariants))
	for b.Loop() {
		s := benchStore(b)
		run, err := s.StartRun(b.Context(), SyncRun{Shop: "bench.myshopify.com", Kind: RunFull})
		if err != nil {
			b.Fatal(err)
		}
		before := cpuTime(b)
		fresh, spent, peak := putAll(b, s, run, n)
		busy := cpuTime(b) - before - spent
		b.ReportMetric(rows/fresh.Seconds(), "rows/s")
		b.ReportMetric(spent.Seconds(), "own-s")
		b.ReportMetric(float64(peak)/(1<<20), "heap-MiB")
		if run, err = s.StartRun(b.Context(), SyncRun{Shop: "bench.myshopify.com", Kind: RunFull}); err != nil {
			b.Fatal(err)
		}
		again, _, _ := putAll(b, s, run, n)
		b.ReportMetric(rows/again.Seconds(), "rows-again/s")
		if took, cpu, ok := importAll(b, s, n); ok {
			b.ReportMetric(cpu.Seconds()/busy.Seconds(), "x-sqlite3-cpu")
			b.ReportMetric(rows/took.Seconds(), "sqlite3-rows/s")
			b.ReportMetric(took.Seconds()/fresh.Seconds(), "x-sqlite3")
		}
	}
}

// putAll stores n products in batches and returns how long PutBulk took, what
// making the products took besides, and the largest heap seen.
func putAll(b *testing.B, s *Store, run SyncRun, n int64) (took, making time.Duration, peak uint64) {
	read := Read{Shop: run.Shop, Source: "bulk", Ref: "1", Started: time.Now(), Run: run.ID}
	const batch = 500
	list := make([]*catalog.Product, 0, batch)
	for id := int64(1); id <= n; {
		began := time.Now()
		for list = list[:0]; len(list) < batch && id <= n; id++ {
			list = append(list, bulkProduct(id))
		}
		making += time.Since(began)
		began = time.Now()
		run.Offset, run.Read = id, id
		results, err := s.PutBulk(context.Background(), read, run, list...)
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
		took += time.Since(began)
		if id%10_000 < batch {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}
	}
	return took, making, peak
}

// importAll lets sqlite3 import the rows that the store now holds into a new
// file of the same schema.
func importAll(b *testing.B, s *Store, n int64) (took, cpu time.Duration, ok bool) {
	tool, err := exec.LookPath("sqlite3")
	if err != nil {
		b.Log("no comparison with sqlite3: the program is not installed")
		return 0, 0, false
	}
	dir := b.TempDir()
	empty, err := Open(context.Background(), Options{Path: filepath.Join(dir, "import.db")})
	if err != nil {
		b.Fatal(err)
	}
	if err := empty.Close(); err != nil {
		b.Fatal(err)
	}
	db := s.readers.Load()
	for _, table := range []string{"products", "variants"} {
		f, err := os.Create(filepath.Join(dir, table+".csv"))
		if err != nil {
			b.Fatal(err)
		}
		out := bufio.NewWriter(f)
		w := csv.NewWriter(out)
		rows, err := db.Query(`SELECT * FROM ` + table)
		if err != nil {
			b.Fatal(err)
		}
		columns, err := rows.ColumnTypes()
		if err != nil {
			b.Fatal(err)
		}
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		record := make([]string, len(columns))
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				b.Fatal(err)
			}
			for i, v := range values {
				record[i] = ""
				switch {
				case v != nil:
					record[i] = fmt.Sprint(v)
				case columns[i].DatabaseTypeName() == "INTEGER":
					record[i] = "0" // an import can't say NULL
				}
			}
			if err := w.Write(record); err != nil {
				b.Fatal(err)
			}
		}
		w.Flush()
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			b.Fatal(err)
		}
		if err := out.Flush(); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
	script := ".bail on\n.mode csv\n.import products.csv products\n.import variants.csv variants\n"
	cmd := exec.Command(tool, "import.db")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader([]byte(script))
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		b.Fatalf("sqlite3: %v: %s", err, out)
	}
	took, cpu = time.Since(began), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	var products int64
	count := exec.Command(tool, filepath.Join(dir, "import.db"), "SELECT count(*) FROM products")
	out, err := count.Output()
	if err == nil {
		products, err = strconv.ParseInt(string(bytes.TrimSpace(out)), 10, 64)
	}
	if err != nil || products != n {
		b.Fatalf("sqlite3 imported %d of %d products: %v", products, n, err)
	}
	return took, cpu, true
}

// cpuTime is what this process has used of the processors.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
