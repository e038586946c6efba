package e2e_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stockroom/internal/fakeshopify"
)

// Litestream beside products.db, as docs/replication.md sets it up: the machine dies under
// load, and on another one only the replica is left, or the replica beside an earlier
// queue.db and state.db. The start says what is missing, claims nothing before a comparison
// has proven it, and ends equal to the shop.
func TestTheReplicaOfADeadMachineIsNoticedAndHealed(t *testing.T) {
	t.Parallel()
	litestream, err := exec.LookPath("litestream")
	if err != nil {
		t.Skip("needs litestream, which is not installed")
	}
	seed := campaignSeed(t)
	trials, end := campaignTrials(t, 1, 20)
	for n := 0; n < trials && !over(end); n++ {
		t.Run(fmt.Sprint("trial ", n), func(t *testing.T) {
			m := newReplicated(t, litestream, seed+uint64(n))
			m.live()
			m.die()
			beside := n%2 == 0
			m.restore(beside)
			m.comeBack(beside)
			progress("replica %d: restored beside queue.db and state.db: %v, log at most %d MiB", n, beside, m.longest>>20)
		})
	}
}

// replicated is a machine with Stockroom and Litestream, and a shop.
type replicated struct {
	t          *testing.T
	rng        *rand.Rand
	litestream string
	config     string
	replicas   string
	shop       *fakeshopify.Shop
	api        string
	down       atomic.Bool // the shop's API
	target     atomic.Pointer[string]
	s          *server
	replicator *exec.Cmd
	said       bytes.Buffer
	longest    int64 // bytes of the write-ahead log
}

func newReplicated(t *testing.T, litestream string, seed uint64) *replicated {
	dir := t.TempDir()
	m := &replicated{t: t, rng: rand.New(rand.NewPCG(seed, 0)), litestream: litestream,
		config: filepath.Join(dir, "litestream.yml"), replicas: filepath.Join(dir, "replica")}
	m.shop = fakeshopify.New(fakeshopify.Options{
		Shop: e2eShop, Seed: seed, Secret: e2eSecret, Products: 150, MaxVariants: 6, Large: -1, Huge: -1,
		Route: func(address string) string {
			return strings.Replace(address, "https://stockroom.example", *m.target.Load(), 1)
		},
		Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
		API:    fakeshopify.APIOptions{Plan: fakeshopify.Plus},
	})
	handler := m.shop.Handler()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(api.Close)
	m.api = api.URL
	m.start(filepath.Join(dir, "data"))
	text := fmt.Sprintf("dbs:\n  - path: %s\n    replica:\n      type: file\n      path: %s\n",
		filepath.Join(m.s.Dir, "products.db"), m.replicas)
	if err := os.WriteFile(m.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m.replicator = exec.Command(litestream, "replicate", "-config", m.config)
	m.replicator.Stdout, m.replicator.Stderr = &m.said, &m.said
	if err := m.replicator.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = m.replicator.Process.Kill()
		_ = m.replicator.Wait()
		if t.Failed() {
			t.Logf("Litestream: %s", tail(m.said.String(), 20))
		}
	})
	return m
}

func (m *replicated) start(dir string) {
	m.s = launch(m.t, serveOptions{Dir: dir, Args: []string{"--api-base", m.api,
		"--public-url", "https://stockroom.example", "--limit-points", "10000"}})
	select {
	case line := <-m.s.log.wait(`"serving"`):
		m.s.announced(line)
	case <-m.s.done:
		m.t.Fatalf("the server ended: %s", tail(m.s.log.String(), 20))
	}
	m.target.Store(&m.s.Public)
}

// live has the shop edited until the copy was proven and Litestream has copied for a while.
func (m *replicated) live() {
	await(m.t, "a first proof", func() bool { return m.standing().InStep })
	ctx, cancel := context.WithCancel(m.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = m.shop.Run(ctx, 100)
	}()
	defer func() { cancel(); <-ended }()
	await(m.t, "copies by Litestream of what changed", func() bool {
		m.noteLog()
		copies, _ := filepath.Glob(filepath.Join(m.replicas, "ltx", "0", "*.ltx"))
		return len(copies) >= 5 && m.shop.Stats().Acknowledged > 500
	})
	for range 20 + m.rng.IntN(100) {
		m.noteLog()
		<-time.After(20 * time.Millisecond)
	}
	if code := m.standing().Code; code == "log-long" {
		m.t.Errorf("Litestream keeps the log long: %d MiB", m.longest>>20)
	}
	m.s.kill()
	_ = m.replicator.Process.Kill()
}

func (m *replicated) noteLog() {
	if info, err := os.Stat(filepath.Join(m.s.Dir, "products.db-wal")); err == nil {
		m.longest = max(m.longest, info.Size())
	}
}

// die lets the shop be edited on with nobody there.
func (m *replicated) die() {
	_ = m.replicator.Wait()
	for range 50 {
		m.shop.RandomEdit()
	}
	m.shop.Forget()
	if m.longest > 128<<20 {
		m.t.Errorf("the write-ahead log came to %d MiB beside Litestream", m.longest>>20)
	}
}

// restore makes a data dir of the replica alone, or beside queue.db and state.db.
func (m *replicated) restore(beside bool) {
	dir := filepath.Join(m.t.TempDir(), "restored")
	if err := os.Mkdir(dir, 0o700); err != nil {
		m.t.Fatal(err)
	}
	file := filepath.Join(dir, "products.db")
	out, err := exec.Command(m.litestream, "restore", "-config", m.config, "-o", file,
		filepath.Join(m.s.Dir, "products.db")).CombinedOutput()
	if err != nil {
		m.t.Fatalf("litestream restore: %v\n%s", err, out)
	}
	for _, name := range []string{"queue.db", "state.db"} {
		if !beside {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.s.Dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			m.t.Fatal(err)
		}
	}
	withCatalogue(m.t, dir, func(db *sql.DB) { requireIntegrity(m.t, db) })
	m.s.Dir = dir
}

// comeBack starts there, first with a shop that can't be asked, so that nothing can be
// proven, then with one that can.
func (m *replicated) comeBack(beside bool) {
	m.down.Store(true)
	m.start(m.s.Dir)
	var codes []string
	await(m.t, "a call that fails, after the start", func() bool {
		now := m.standing()
		codes = append(codes, now.Code)
		if now.InStep || now.Code == "in-step" || now.Mood == "good" {
			m.t.Fatalf("claimed before any proof: %+v", now)
		}
		return slices.Contains(now.codes(), "unreachable")
	})
	last := m.standing()
	m.t.Logf("beside queue.db and state.db: %v; said: %q, then %q", beside, slices.Compact(codes), last.codes())
	noticed := []string{"loss", "lost", "owed", "never-compared"}
	if !slices.ContainsFunc(last.codes(), func(code string) bool { return slices.Contains(noticed, code) }) {
		m.t.Errorf("nothing is said of what is missing: %+v", last)
	}
	m.down.Store(false)
	m.s.cli("shop", "calls", e2eShop, "--try")
	await(m.t, "a copy that was proven", func() bool { return m.standing().InStep })
	checkRead(m.t, openCatalogue(m.t, m.s.Dir), m.shop)
	m.s.stop()
}

// standing is what /api/v1/status says.
type standing struct {
	Mood, Code, Sentence string
	InStep               bool `json:"in_step"`
	Lines                []struct{ Code, Text, Next string }
}

func (s standing) codes() (list []string) {
	for _, l := range s.Lines {
		list = append(list, l.Code)
	}
	return append(list, s.Code)
}

func (m *replicated) standing() (doc standing) {
	m.t.Helper()
	r := m.s.admin(http.MethodGet, "/api/v1/status", "")
	if err := json.Unmarshal([]byte(r.Body), &doc); err != nil {
		m.t.Fatalf("%v: %s", err, r)
	}
	return doc
}
