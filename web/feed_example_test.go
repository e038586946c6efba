package web

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/store"
)

// TestTheExampleConsumerKeepsUp builds docs/examples/feed and runs it against a
// server: from nothing, behind changes and deletes, after a kill, and behind a
// feed that was cut.
func TestTheExampleConsumerKeepsUp(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("builds a program")
	}
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "feed")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../docs/examples/feed/main.go").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r := newRig(t, nil)
	url, dir := r.listen(), filepath.Join(t.TempDir(), "products")
	run := func() string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), binary, "-url", url, "-dir", dir, "-once").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	same := func(when string) {
		t.Helper()
		if got, want := filesOf(t, dir), r.hashes(); len(got) != len(want) {
			t.Errorf("%s: %d products, want %d", when, len(got), len(want))
		} else {
			for id, hash := range want {
				if got[id] != hash {
					t.Errorf("%s: product %d is another version", when, id)
				}
			}
		}
	}
	r.changes(7)
	if out := run(); !strings.Contains(out, "all products read") {
		t.Errorf("the first run: %s", out)
	}
	same("first run")

	r.edit(3)
	r.edit(77)
	r.deliver(catalog.ProductsDelete, `{"id":1}`)
	r.deliver(catalog.ProductsDelete, `{"id":77}`)
	if out := run(); out != "" {
		t.Errorf("a run behind changes: %s", out)
	}
	same("after changes")

	// Killed at some moment while much happens, again and again.
	for range 3 {
		cmd := exec.CommandContext(t.Context(), binary, "-url", url, "-dir", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(150 * time.Millisecond)
		for time.Now().Before(deadline) {
			r.edit(r.store.LastSeq()%9 + 1000)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
	}
	run()
	same("after kills")

	for id := range int64(3) {
		r.edit(id + 2) // not 1, which was deleted and stays so
	}
	if _, err := r.store.Prune(t.Context(), time.Now().Add(2000*time.Hour)); err != nil {
		t.Fatal(err)
	}
	r.edit(4)
	if out := run(); !strings.Contains(out, "reading all products again") {
		t.Errorf("behind a feed that was cut: %s", out)
	}
	same("after a cut")
}

func (r *rig) hashes() map[int64]string {
	r.t.Helper()
	page, err := r.store.Search(r.t.Context(), store.SearchFilter{Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	all := map[int64]string{}
	for _, p := range page.Products {
		all[p.ExternalID] = p.ContentHash
	}
	return all
}

func filesOf(t *testing.T, dir string) map[int64]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, testShop, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[int64]string{}
	for _, name := range names {
		id, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(name), ".json"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var p struct {
			Hash string `json:"content_hash"`
		}
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		all[id] = p.Hash
	}
	return all
}
