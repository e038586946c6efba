package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// poster posts new products to a server until it is stopped.
type poster struct {
	stop, done   chan struct{}
	count        atomic.Int64 // of acknowledged
	acknowledged []int64      // to be read after done
}

// postProducts posts products with ids from first on.
func postProducts(t *testing.T, s *server, first int64) *poster {
	p := &poster{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for id := first; ; id++ {
			select {
			case <-p.stop:
				return
			case <-t.Context().Done():
				return
			default:
			}
			r, err := s.try(t.Context(), delivery{Body: productBody(id, 1, 1)})
			switch {
			case err != nil: // the server is gone
				<-time.After(10 * time.Millisecond)
			case r.Status < 300:
				p.acknowledged = append(p.acknowledged, id)
				p.count.Add(1)
			case r.Status != 503:
				t.Errorf("product %d: %s", id, r)
			}
		}
	}()
	return p
}

// stored waits until all products are in the catalogue of dir.
func stored(t *testing.T, dir string, ids []int64) {
	t.Helper()
	db := openCatalogue(t, dir)
	await(t, fmt.Sprintf("all %d acknowledged products in %s", len(ids), dir), func() bool {
		return !slices.ContainsFunc(ids, func(id int64) bool {
			return count(t, db, `SELECT count(*) FROM products WHERE external_id = ?`, id) == 0
		})
	})
}

// F7, I18: a server whose dir was moved set aside the files of the next one.
func TestAServerWhoseDataDirIsMovedEndsAndTheNextOneThereKeepsAll(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "x")
	first := startServer(t, serveOptions{Dir: dir})
	toFirst := postProducts(t, first, 1)
	await(t, "products in the first server", func() bool { return toFirst.count.Load() > 20 })
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Skipf("can't move an open folder here: %v", err)
	}
	moved := time.Now()
	second := startServer(t, serveOptions{Dir: dir})
	lock := lockCatalogue(t, dir)
	toSecond := postProducts(t, second, 1_000_000)
	code, _ := first.wait()
	if took := time.Since(moved); code != 4 || took > 5*time.Second {
		t.Errorf("the first server ended with %d after %s, want 4 within 5 s", code, took)
	}
	said := 0
	for line := range strings.Lines(first.log.String()) {
		if strings.Contains(line, `"level":"ERROR"`) && strings.Contains(line, dir) && strings.Contains(line, "was moved while Stockroom ran; it stops.") {
			said++
		}
	}
	if said != 1 {
		t.Errorf("the log says it %d times:\n%s", said, first.log)
	}
	close(toFirst.stop)
	<-toFirst.done
	// The second server goes on for a while, and has what the lock kept waiting.
	await(t, "updates that wait in the second server", func() bool { return toSecond.count.Load() > 0 })
	lock.release(t)
	close(toSecond.stop)
	<-toSecond.done
	stored(t, dir, toSecond.acknowledged)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"admin.json", "ballast", "lock", "products.db", "products.db-shm", "products.db-wal", "queue.db", "state.db"}
	for _, e := range entries {
		if !slices.Contains(known, e.Name()) {
			t.Errorf("%s was left in the second server's dir", e.Name())
		}
	}
	second.stop()

	third := startServer(t, serveOptions{Dir: dir + ".old"})
	stored(t, dir+".old", toFirst.acknowledged)
	third.stop()
}
