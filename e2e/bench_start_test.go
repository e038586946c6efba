package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/store"
)

// startToFirst200 is the time from the start of the process to the first
// delivery answered 200.
func startToFirst200(tb testing.TB, dir string, id int64) time.Duration {
	tb.Helper()
	began := time.Now()
	s := launch(tb, serveOptions{Dir: dir})
	select {
	case line := <-s.log.wait(`"serving"`):
		_, rest, _ := strings.Cut(line, `"webhooks":"`)
		s.Public, _, _ = strings.Cut(rest, "/webhooks/")
	case <-s.done:
		tb.Fatalf("the server ended: %s", s.log)
	}
	if r := s.post(delivery{Body: productBody(id, 1, 1)}); r.Status != 200 {
		tb.Fatalf("answer %s", r)
	}
	took := time.Since(began)
	s.kill()
	return took
}

// The targets of performance.md, 50 ms and 200 ms, are for a quiet machine; the
// test logs what it measured and fails only far beyond.
func TestServerAnswersSoonAfterItsStart(t *testing.T) {
	binary(t)
	var list []time.Duration
	for range 5 {
		list = append(list, startToFirst200(t, filepath.Join(t.TempDir(), "data"), 1))
	}
	slices.Sort(list)
	t.Logf("empty dir: best %s, median %s of %d starts (target 50 ms)", list[0].Round(time.Millisecond), list[2].Round(time.Millisecond), len(list))
	if list[0] > 3*time.Second {
		t.Errorf("the best start took %s", list[0])
	}
	n := 2000
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		n = 100_000
	}
	dir := filledDir(t, n)
	list = list[:0]
	for i := range 3 {
		list = append(list, startToFirst200(t, dir, int64(n+i+1)))
	}
	slices.Sort(list)
	t.Logf("%d products: best %s, median %s of %d starts after kill -9 (target 200 ms at 100,000)", n, list[0].Round(time.Millisecond), list[1].Round(time.Millisecond), len(list))
	if list[0] > 5*time.Second {
		t.Errorf("the best start with %d products took %s", n, list[0])
	}
}

// filledDir is a data dir with n products of three variants.
func filledDir(tb testing.TB, n int) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "data")
	s := startServer(tb, serveOptions{Dir: dir})
	s.stop()
	db, err := store.Open(context.Background(), store.Options{Path: filepath.Join(dir, "products.db")})
	if err != nil {
		tb.Fatal(err)
	}
	next, failed := make(chan int), make(chan error, 64)
	for range 64 {
		go func() {
			var err error
			for i := range next {
				body := productBody(int64(i+1), 1, 3)
				c, decodeErr := catalog.Decode(catalog.ProductsCreate, body)
				if err == nil {
					err = decodeErr
				}
				if err == nil {
					_, err = db.Apply(context.Background(), store.Delivery{Shop: e2eShop, Topic: "products/create", WebhookID: fmt.Sprint(i), ReceivedAt: time.Now(),
						Dedupe: store.DedupeKey(e2eShop, "products/create", fmt.Sprint(i), body)}, c)
				}
			}
			failed <- err
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	for range 64 {
		if err := <-failed; err != nil {
			tb.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// BenchmarkStart measures the start with 100,000 products stored.
func BenchmarkStart(b *testing.B) {
	for _, n := range []int{0, 100_000} {
		b.Run(fmt.Sprint(n, " products"), func(b *testing.B) {
			binary(b)
			dir := filepath.Join(b.TempDir(), "data")
			if n > 0 {
				dir = filledDir(b, n)
			}
			id := int64(n)
			for b.Loop() {
				id++
				if n == 0 {
					dir = filepath.Join(b.TempDir(), fmt.Sprint("data-", id))
				}
				startToFirst200(b, dir, id)
			}
		})
	}
}
