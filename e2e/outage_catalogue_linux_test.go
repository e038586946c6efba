package e2e_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// steady sends deliveries at a bearable pace until the returned function is
// called, which waits for the last answer.
func (l *ledger) steady(tb testing.TB, s *server, connections int, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(tb.Context())
	var g sync.WaitGroup
	for range connections {
		g.Go(func() {
			for ctx.Err() == nil {
				e := l.next()
				r, err := s.try(tb.Context(), e.delivery())
				if err != nil {
					r = reply{}
				}
				l.answered(e, r)
				select {
				case <-ctx.Done():
				case <-time.After(every):
				}
			}
		})
	}
	return sync.OnceFunc(func() { cancel(); g.Wait() })
}

// awaitReady waits until /readyz has nothing to complain about.
func awaitReady(tb testing.TB, s *server) {
	tb.Helper()
	await(tb, "everything ready again", func() bool { return degraded(tb, s) == "" })
}

// requireShown checks that /readyz and the page say that something is wrong.
func requireShown(tb testing.TB, s *server, check string) {
	tb.Helper()
	_, text := readyz(tb, s)
	if !strings.Contains(text, check) {
		tb.Errorf("/readyz does not speak of %s: %q", check, text)
	}
	if r := s.admin(http.MethodGet, "/", ""); r.Status != http.StatusOK {
		tb.Errorf("the page answers %d", r.Status)
	}
	if r := s.admin(http.MethodGet, "/api/v1/status", ""); !strings.HasPrefix(check, "notice") && strings.Contains(r.Body, `"mood":"good"`) {
		tb.Errorf("the page's sentence is good while %s: %.300s", text, r.Body)
	}
}

func outageLedger(tb testing.TB, seed, lane uint64) *ledger {
	return newLedger(rand.New(rand.NewPCG(seed, lane)))
}

// TestDeliveriesAreQueuedWhileTheCatalogueCannotBeWritten makes products.db fail
// in the ways that pass, and expects every delivery to be applied afterwards.
func TestDeliveriesAreQueuedWhileTheCatalogueCannotBeWritten(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	binary(t)
	locked := 5 * time.Second
	if torture() {
		locked = 20 * time.Second
	}
	for i, tt := range []struct {
		name, says string
		lasts      time.Duration
		fail       func(t *testing.T, dir string) (heal func())
	}{
		{"locked by another program", "another program holds", locked, func(t *testing.T, dir string) func() {
			l := lockCatalogue(t, dir)
			return func() { l.release(t) }
		}},
		{"read-only", "read-only", 2 * time.Second, func(t *testing.T, dir string) func() {
			return makeImmutable(t, filepath.Join(dir, "products.db"), filepath.Join(dir, "products.db-wal"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, serveOptions{})
			l, m := outageLedger(t, seed, uint64(i)), &marks{}
			stop := l.steady(t, s, 8, 10*time.Millisecond)
			defer stop()
			await(t, "some deliveries", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.counts.acked > 50 })
			heal := tt.fail(t, s.Dir)
			began := time.Now()
			await(t, "deliveries in the queue", func() bool { return l.queuedCount() > 50 })
			requireShown(t, s, "catalogue: ")
			if text := degraded(t, s); !strings.Contains(text, tt.says) {
				t.Errorf("/readyz does not name the cause: %s", text)
			}
			<-time.After(max(0, tt.lasts-time.Since(began)))
			if status, text := readyz(t, s); status != http.StatusOK {
				t.Errorf("/readyz is %d while the queue works: %s", status, text)
			}
			queued := l.queuedCount()
			heal()
			healed := time.Now()
			await(t, "deliveries applied at once again", func() bool { return degraded(t, s) == "" })
			stop()
			took := drained(t, s)
			if len(l.refused) > 0 {
				t.Errorf("refused while the queue worked: %v", l.refused)
			}
			requireOnlyPoisonDead(t, s)
			l.settle(t, s, m)
			requireNothingSetAside(t, s)
			for _, other := range []string{"too slow", "did not answer in time"} {
				if n := strings.Count(s.log.String(), other); n > 0 {
					t.Errorf("%d log lines give another cause: %q", n, other)
				}
			}
			t.Logf("outage of %v: %s; %d queued before it ended, queue empty %v after the last, %v after the end", healed.Sub(began).Round(time.Millisecond), l.summary(), queued, took.Round(time.Millisecond), time.Since(healed).Round(time.Millisecond))
		})
	}
}

// makeImmutable sets the immutable flag, which holds against root too.
func makeImmutable(t *testing.T, paths ...string) (undo func()) {
	t.Helper()
	set := func(path string, on bool) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil {
			return err
		}
		const immutable = 0x10 // FS_IMMUTABLE_FL
		flags &^= immutable
		if on {
			flags |= immutable
		}
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
	}
	clear := sync.OnceFunc(func() {
		for _, path := range paths {
			if err := set(path, false); err != nil && !os.IsNotExist(err) {
				t.Errorf("make %s writable again: %v", path, err)
			}
		}
	})
	t.Cleanup(clear)
	for _, path := range paths {
		if err := set(path, true); err != nil {
			t.Skipf("needs root and a file system with the immutable flag: %v", err)
		}
	}
	return clear
}

// TestDamageUnderARunningServerIsSetAsideAndSaid overwrites pages of products.db
// and of its write-ahead log while they are in use.
func TestDamageUnderARunningServerIsSetAsideAndSaid(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	rng := rand.New(rand.NewPCG(seed, 7))
	s := startServer(t, serveOptions{})
	s.cli("select", e2eShop, "--exclude", "42")
	// More than the writer keeps in memory, so that it has to read.
	const products = 40
	base := int64(9_100_000_000_000) + rng.Int64N(1<<30)
	big := func(id int64, version int) []byte {
		text := make([]byte, 700_000)
		for i := range text {
			text[i] = byte('a' + rng.IntN(26))
		}
		return bytes.Replace(campaignBody(id, version), []byte(`"body_html":"`), append([]byte(`"body_html":"`), text...), 1)
	}
	post := func(id int64, version int, body []byte) reply {
		return s.post(delivery{WebhookID: fmt.Sprintf("wh-%d-%d", id, version), Body: body})
	}
	for i := range int64(products) {
		if r := post(base+i, 1, big(base+i, 1)); r.Body != `{"success":true}` {
			t.Fatalf("v1: %s", r)
		}
	}
	for _, name := range []string{"products.db", "products.db-wal"} {
		overwritePages(t, filepath.Join(s.Dir, name), rng)
	}
	answers := map[string]int{}
	for i := range int64(products) {
		r := post(base+i, 2, big(base+i, 2))
		if r.Status != http.StatusOK {
			t.Errorf("I1: answered %s", r)
		}
		answers[r.Body]++
	}
	aside := asideFiles(t, s.Dir)
	if len(aside) == 0 {
		t.Fatalf("nothing was set aside; answers: %v", answers)
	}
	requireShown(t, s, "notice: products.db was damaged")
	if body := s.admin(http.MethodGet, "/", "").Body; !strings.Contains(body, "damaged") {
		t.Error("the page does not say that the file was damaged")
	}
	drained(t, s)
	requireOnlyPoisonDead(t, s)
	missing := 0
	withCatalogue(t, s.Dir, func(db *sql.DB) {
		rows := (&ledger{base: base}).rows(t, db)
		for i := range int64(products) {
			// v2 was acknowledged after the damage: it must be there.
			if r := rows[base+i]; !r.known {
				missing++
			} else if r.version != 2 || !r.whole(base+i) {
				t.Errorf("product %d is %+v, want v2", base+i, r)
			}
		}
		requireIntegrity(t, db)
	})
	// An answer that was given before the damage was noticed went with the file;
	// the page has said so, and a full sync or the next delivery brings it back.
	t.Logf("answers %v, %d of %d products missing until they are read again, set aside: %v, seed %d", answers, missing, products, aside, seed)
	if r := s.post(delivery{WebhookID: "excluded", Body: campaignBody(42, 1)}); r.Status != http.StatusOK {
		t.Errorf("answered %s", r)
	}
	withCatalogue(t, s.Dir, func(db *sql.DB) {
		if n := count(t, db, `SELECT count(*) FROM products WHERE external_id = 42`); n != 0 {
			t.Error("the selection was lost with the file: an excluded product was created")
		}
	})
	for i := range int64(products) {
		if r := post(base+i, 3, campaignBody(base+i, 3)); r.Status != http.StatusOK {
			t.Errorf("v3: %s", r)
		}
	}
	drained(t, s)
	withCatalogue(t, s.Dir, func(db *sql.DB) {
		for i, r := range (&ledger{base: base}).rows(t, db) {
			if r.version != 3 || !r.whole(i) {
				t.Errorf("I3: product %d is %+v, want v3", i, r)
			}
		}
		if n := count(t, db, `SELECT count(*) FROM products WHERE external_id >= ?`, base); n != products {
			t.Errorf("I3: %d products, want %d", n, products)
		}
		requireIntegrity(t, db)
	})
	s.kill()
	s = startServer(t, serveOptions{Dir: s.Dir})
	if r := s.post(delivery{WebhookID: "last", Body: campaignBody(base, 4)}); r.Body != `{"success":true}` {
		t.Errorf("after a restart: %s", r)
	}
}

// overwritePages puts noise over two thirds of a file's pages, without opening
// it through SQLite.
func overwritePages(t *testing.T, path string, rng *rand.Rand) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 4096)
	for at := int64(0); at < info.Size(); at += 4096 {
		if rng.IntN(3) == 0 {
			continue
		}
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		if _, err := f.WriteAt(noise[:min(4096, info.Size()-at)], at); err != nil {
			t.Fatal(err)
		}
	}
}
