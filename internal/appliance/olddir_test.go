package appliance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"stockroom/breaker"
	"stockroom/internal/boltfile"
	"stockroom/internal/config"
	"stockroom/internal/state"
	"stockroom/queue"
	"stockroom/store"
)

const (
	// oldDir is a data dir as a kill left it under the version of commit 680580d:
	// one shop with credentials, a token and a selection; 4 products; one dead, one
	// leased and two waiting jobs; calls that were paused a few seconds before.
	oldDir  = "testdata/dir-680580d.tgz"
	oldShop = "old-shop.myshopify.com"

	oldCommit = "680580d"
)

// unpack writes the files of an archive into a new folder.
func unpack(t *testing.T, archive string) (dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(r)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(h.Name)), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func settingsFor(t *testing.T, dir string) config.Settings {
	t.Helper()
	s, err := config.Load(config.Sources{Flags: map[string]string{"data": dir, "breaker-reset": "10m"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What an older version stored means the same to this one, at the first start and
// at the next.
func TestADataDirOfAnOlderVersionOpensUnchanged(t *testing.T) {
	settings := settingsFor(t, unpack(t, oldDir))
	for range 2 {
		a, err := Open(t.Context(), Options{Settings: settings, Manual: true})
		if err != nil {
			t.Fatal(err)
		}
		requireWhatTheOldDirHeld(t, a)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		aside, _ := filepath.Glob(filepath.Join(settings.DataDir, "*.damaged-*"))
		if len(aside) > 0 {
			t.Errorf("set aside: %q", aside)
		}
	}
	requireNewer(t, settings.DataDir)
}

// requireNewer fails unless an older version finds what makes it end before it has
// changed anything: in state.db, which it opens first, and in queue.db.
func requireNewer(t *testing.T, dir string) {
	t.Helper()
	for _, c := range []struct{ file, bucket, key, want string }{
		{"state.db", "state.sum", "sum", string([]byte{boltfile.RecordVersion})}, {"queue.db", "meta", "format", "2"},
	} {
		o, err := boltfile.Open(filepath.Join(dir, c.file), boltfile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = o.View(func(tx *bolt.Tx) error {
			if got := string(tx.Bucket([]byte(c.bucket)).Get([]byte(c.key))); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s says %.10q, want %q", c.file, got, c.want)
			}
			return nil
		})
		if err := errors.Join(err, o.Close()); err != nil {
			t.Error(err)
		}
	}
}

func requireWhatTheOldDirHeld(t *testing.T, a *Appliance) {
	t.Helper()
	if n := a.notices(); len(n) > 0 {
		t.Errorf("the page says %+v", n)
	}
	if _, damaged := a.state.Damage(); damaged {
		t.Error("state.db is said to be damaged")
	}
	if _, reason, _ := a.queue.Quarantined(); reason != "" || a.queue.Stats().Damaged > 0 {
		t.Errorf("queue.db: %q, %d records set aside", reason, a.queue.Stats().Damaged)
	}
	wanted, err := a.store.WantedList(t.Context())
	wanted = slices.DeleteFunc(wanted, func(w store.Wanted) bool {
		// It was asked for there, a moment before the kill.
		return w.Kind == store.WantProduct || w.Kind == store.WantSync && w.Reason == "the selection changed"
	})
	if err != nil || len(wanted) > 0 {
		t.Errorf("wanted beyond what was: %+v, %v", wanted, err)
	}
	requireOldShop(t, a)
	requireOldJobs(t, a.queue)
	requireOldCalls(t, a)
}

func requireOldShop(t *testing.T, a *Appliance) {
	t.Helper()
	shop, known := a.state.Shop(oldShop)
	if !known || shop.MerchantID != "merchant-7" || shop.Pause.Paused() {
		t.Errorf("shop %+v, %t", shop, known)
	}
	var secrets []string
	for _, s := range a.state.Secrets(oldShop) {
		secrets = append(secrets, string(s))
	}
	if want := []string{"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", "older-secret"}; !slices.Equal(secrets, want) {
		t.Errorf("secrets %q", secrets)
	}
	token, valid := a.state.Token(oldShop, time.Date(2026, 11, 30, 11, 20, 0, 0, time.UTC))
	if !valid || token.Value.Reveal() != "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" || len(token.Scopes) != 3 {
		t.Errorf("token valid %t, scopes %q", valid, token.Scopes)
	}
	if sel, known := a.state.Selection(oldShop); !known || !slices.Equal(sel.Exclude, []int64{9999}) {
		t.Errorf("selection %+v, %t", sel, known)
	}
	if m := a.state.Watermark(); m.Seq != 4 || a.store.LastSeq() != 4 || a.store.Health().Behind != 0 {
		t.Errorf("watermark %+v, last change %d", m, a.store.LastSeq())
	}
	if run, ok := a.state.Run(oldShop, "full_sync"); !ok || run.LastSuccess.IsZero() {
		t.Errorf("last full sync %+v, %t", run, ok)
	}
	for _, name := range []string{"alive", oldShop + "/incremental"} {
		if v, ok := a.state.Get("sync", name); !ok || len(v) < 20 {
			t.Errorf("mark sync/%s: %q", name, v)
		}
	}
}

func requireOldJobs(t *testing.T, q *queue.Queue) {
	t.Helper()
	jobs, _, err := q.List(t.Context(), queue.Filter{})
	if err != nil || len(jobs) != 4 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	slices.SortFunc(jobs, func(x, y queue.Job) int { return int(x.ID) - int(y.ID) })
	for i, product := range []int64{0, 7100000035648, 7100000041632, 7100000063840} {
		j, err := q.Get(t.Context(), jobs[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		if product == 0 {
			if j.State != queue.Dead || j.Class != queue.ClassPoison || j.Kind != "webhook" || !bytes.Contains(j.Payload, []byte(oldShop)) {
				t.Errorf("the dead letter is %+v", j)
			}
			continue
		}
		// The leased one waits again: its process is gone.
		if j.State != queue.Waiting || j.Kind != "fetch_product" || j.Key != fmt.Sprintf("%s/%d", oldShop, product) ||
			string(j.Payload) != fmt.Sprintf(`{"shop":%q,"id":%d}`, oldShop, product) || j.Attempts != 0 {
			t.Errorf("job %d is %+v", i+1, j)
		}
	}
}

func requireOldCalls(t *testing.T, a *Appliance) {
	t.Helper()
	circuits := a.breaker.ShopAt(time.Now(), oldShop)
	if len(circuits) != 1 || circuits[0].State != breaker.StateOpen || circuits[0].Reason != breaker.ReasonFailures {
		t.Errorf("circuits %+v", circuits)
	}
	snap, ok := a.limiter.Snapshot(oldShop)
	if !ok || snap.Mode != "adaptive" || snap.Server.MaximumAvailable == 0 || snap.Server.RestoreRate == 0 {
		t.Errorf("limiter %+v, %t", snap, ok)
	}
	for query, cost := range map[string]int{"BulkRun": 10, "ProductsChanged first=250": 24, "Subscriptions first=100": 20} {
		if got := a.limiter.Bound(query, 1000); got != cost {
			t.Errorf("%s costs %d, want %d", query, got, cost)
		}
	}
}

// Data dirs as kills left them under later versions, one for each form of state.db and
// queue.db and most of products.db; TestAFileOfEachEarlierSchemaWorksOn in store has all of
// its forms. In each: one shop with a secret and a selection, a run, 4 products, one dead
// letter, and what was asked for of a shop that did not answer.
func TestADataDirOfEachLaterFormatOpensAndWorksOn(t *testing.T) {
	archives, err := filepath.Glob("testdata/dir-*.tgz")
	archives = slices.DeleteFunc(archives, func(name string) bool { return filepath.ToSlash(name) == oldDir })
	if err != nil || len(archives) < 3 {
		t.Fatalf("archives %q, %v", archives, err)
	}
	for _, archive := range archives {
		t.Run(filepath.Base(archive), func(t *testing.T) {
			t.Parallel()
			settings := settingsFor(t, unpack(t, archive))
			for round := range 2 {
				a, err := Open(t.Context(), Options{Settings: settings, Manual: true})
				if err != nil {
					t.Fatal(err)
				}
				requireWhatALaterDirHeld(t, a, []string{"Old mug", "New mug"}[round])
				if err := a.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func requireWhatALaterDirHeld(t *testing.T, a *Appliance, title string) {
	t.Helper()
	const product int64 = 7123456789
	if n := a.notices(); len(n) > 0 {
		t.Errorf("the page says %+v", n)
	}
	shop, known := a.state.Shop(oldShop)
	secrets, run := a.state.Secrets(oldShop), state.Run{}
	if run, _ = a.state.Run(oldShop, "full_sync"); !known || shop.MerchantID != "merchant-7" || len(secrets) != 1 || run.LastSuccess.IsZero() {
		t.Fatalf("shop %+v, %d secrets, run %+v", shop, len(secrets), run)
	}
	if sel, _ := a.state.Selection(oldShop); !slices.Equal(sel.Exclude, []int64{9999}) {
		t.Errorf("selection %+v", sel)
	}
	row, err := a.store.Product(t.Context(), oldShop, product)
	if err != nil || row.Title.Value() != title || len(row.Variants) != 1 || row.Variants[0].SKU.Value() != "M-1" {
		t.Errorf("product %+v, %v", row, err)
	}
	if n, err := a.store.CountShop(t.Context(), oldShop); err != nil || n.Products != 4 {
		t.Errorf("counts %+v, %v", n, err)
	}
	states := map[queue.State]int{}
	jobs, _, err := a.queue.List(t.Context(), queue.Filter{})
	for _, j := range jobs {
		states[j.State]++
	}
	if err != nil || states[queue.Dead] != 1 || states[queue.Waiting] == 0 {
		t.Errorf("jobs %v, %v", states, err)
	}
	body := fmt.Sprintf(`{"id":%d,"title":"New mug","status":"active","updated_at":"2026-11-30T23:00:00Z",`+
		`"variants":[{"id":71,"title":"Small","price":"3.50","sku":"M-1","position":1,"inventory_item_id":711}]}`, product)
	if got := deliverSigned(t, a, oldShop, string(secrets[0]), "products/update", body); got != `{"success":true}` {
		t.Errorf("a delivery was answered %s", got)
	}
	if row, err = a.store.Product(t.Context(), oldShop, product); err != nil || row.Title.Value() != "New mug" {
		t.Errorf("after it: %+v, %v", row, err)
	}
}

// buildOld builds the program of oldCommit from the history.
func buildOld(t *testing.T) (program string) {
	t.Helper()
	dir := t.TempDir()
	run := func(where, name string, args ...string) error {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = where, append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off", "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, out)
		}
		return nil
	}
	program = filepath.Join(dir, "stockroom-old")
	if run("../..", "git", "cat-file", "-e", oldCommit+"^{commit}") != nil {
		t.Skip("no git or no history here: the older version can't be built")
	}
	err := run("../..", "git", "archive", "--format=tar", "-o", filepath.Join(dir, "old.tar"), oldCommit)
	if err == nil {
		err = run(dir, "tar", "xf", "old.tar")
	}
	if err == nil {
		err = run(dir, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, ".")
	}
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// An older version that meets a data dir of this one ends before it has changed a
// byte, whether this one was closed or killed.
func TestAnOlderVersionRefusesTheDataDirAndTouchesNothing(t *testing.T) {
	if testing.Short() || raceEnabled || runtime.GOOS == "windows" {
		t.Skip("builds the older version, which takes half a minute")
	}
	program := buildOld(t)
	settings := settingsFor(t, unpack(t, oldDir))
	a, err := Open(t.Context(), Options{Settings: settings, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(t.TempDir(), "killed")
	err = os.CopyFS(killed, os.DirFS(settings.DataDir))
	if err := errors.Join(err, a.Close(), os.Chmod(killed, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{settings.DataDir, killed} {
		before := filesOf(t, dir)
		cmd := exec.CommandContext(t.Context(), program, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
		out, err := cmd.CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != config.ExitIntegrity ||
			!strings.Contains(string(out), "newer version of Stockroom") {
			t.Errorf("%v: %s", err, out)
		}
		for name, content := range filesOf(t, dir) {
			if was, there := before[name]; !there || was != content && name != "lock" {
				t.Errorf("%s: made %t, changed", name, !there)
			}
			delete(before, name)
		}
		delete(before, "admin.json") // which named the process that was killed
		if len(before) > 0 {
			t.Errorf("removed: %d files", len(before))
		}
	}
}
