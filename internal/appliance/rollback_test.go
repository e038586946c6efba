package appliance

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
)

// Each store is replaced by an older copy of itself, alone and in pairs: it is named, and
// healed to zero difference.
func TestAnOlderCopyOfAStoreIsNoticedAndHealed(t *testing.T) {
	for _, files := range []string{"", "state", "products", "queue", "state products", "state queue", "products queue"} {
		if raceEnabled && files != "" && files != "products queue" { // ten times slower
			continue
		}
		t.Run(files, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { rollBack(t, strings.Fields(files)) })
		})
	}
}

func rollBack(t *testing.T, files []string) {
	dir, kept := t.TempDir(), t.TempDir()
	r, stop := newGapRig(t, dir, fakeshopify.Options{Seed: 12, Products: 8, MaxVariants: 3})
	time.Sleep(5 * time.Minute)
	stop()
	if err := os.CopyFS(filepath.Join(kept, "copy"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	// run opens the dir and works on it for a while, or until it is in step.
	run := func(inStep bool, what func(a *Appliance)) {
		a, err := Open(t.Context(), Options{Settings: r.opt.Settings, Transport: r.opt.Transport})
		if err != nil {
			t.Fatal(err)
		}
		r.Appliance = a
		what(a)
		_, stopWork := a.Work(t.Context())
		time.Sleep(2 * time.Minute)
		for n := 0; inStep && n < 20 && (!r.standing(gapShop).InStep || len(r.differences()) > 0); n++ {
			time.Sleep(time.Minute)
		}
		if inStep {
			r.exact()
		}
		if err := errors.Join(stopWork(), a.Close()); err != nil {
			t.Error(err)
		}
	}
	edit := func() {
		for range 8 {
			time.Sleep(time.Second)
			r.shop.RandomEdit()
		}
		r.shop.Forget()
	}
	edit()
	run(false, func(a *Appliance) {
		if n := a.notices(); len(n) > 0 {
			t.Errorf("before: %+v", n)
		}
		sel := catalog.Selection{Mode: catalog.SelectAll, Exclude: []int64{99}}
		if _, err := (shops{a}).Select(t.Context(), gapShop, sel); err != nil {
			t.Fatal(err)
		}
	})
	for _, name := range files {
		name += ".db"
		raw, err := os.ReadFile(filepath.Join(kept, "copy", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(filepath.Join(dir, name+"-wal"))
		_ = os.Remove(filepath.Join(dir, name+"-shm"))
	}
	edit()
	run(len(files) > 0, func(a *Appliance) {
		requireRolledBack(t, a, files)
		sel, _ := a.state.Selection(gapShop)
		if lost := slices.Contains(files, "state") && slices.Contains(files, "products"); (len(sel.Exclude) == 0) != lost {
			t.Errorf("the selection is %+v", sel)
		}
	})
	run(false, func(a *Appliance) { // what was healed stays so; what a person has to look at is said until then
		for _, n := range a.notices() {
			if !strings.HasPrefix(n.Text, "state.db lacks") {
				t.Errorf("after the healing: %+v", n)
			}
		}
	})
}

func requireRolledBack(t *testing.T, a *Appliance, files []string) {
	t.Helper()
	words := map[string]string{
		"state":    "state.db lacks what was changed since: it is older than the other files",
		"products": "products.db lacks what was stored since: it is older than the other files",
		"queue":    "queue.db lost jobs (it is older than the other files",
	}
	notices := a.notices()
	if len(notices) != len(files) {
		t.Errorf("%+v", notices)
	}
	for _, name := range files {
		said := false
		for _, n := range notices {
			said = said || strings.HasPrefix(n.Text, words[name]) && n.Level == "bad" && n.ID != ""
		}
		if !said {
			t.Errorf("%s: the page says %+v", name, notices)
		}
	}
	if loss := a.syncer.Status(gapShop, time.Now()).Loss; (loss != "") != (len(files) > 0) {
		t.Errorf("the loss is %q", loss)
	}
}

// A copy of products.db that was made a moment before the end, as Litestream makes them,
// has neither an older generation nor an older end. That its log is missing shows it: the
// shop is compared before anything is claimed.
func TestACopyOfProductsWithoutItsLogIsComparedBeforeAnythingIsClaimed(t *testing.T) {
	for _, log := range []string{"left", "gone", "empty"} {
		t.Run(log, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				killed := filepath.Join(t.TempDir(), "killed")
				r, stop := newGapRig(t, t.TempDir(), fakeshopify.Options{Seed: 12, Products: 8, MaxVariants: 3})
				time.Sleep(5*time.Minute + time.Second)
				if err := os.CopyFS(killed, os.DirFS(r.dir.Path())); err != nil {
					t.Fatal(err)
				}
				stop()
				file := filepath.Join(killed, "products.db-wal")
				var err error
				switch log {
				case "gone":
					err = os.Remove(file)
				case "empty":
					err = os.Truncate(file, 0)
				}
				if err != nil {
					t.Fatal(err)
				}
				settings := r.opt.Settings
				settings.DataDir = killed
				for _, owed := range []bool{log != "left", false} {
					a, err := Open(t.Context(), Options{Settings: settings, Transport: r.opt.Transport})
					if err != nil {
						t.Fatal(err)
					}
					if why := a.syncer.Status(gapShop, time.Now()).Owed; (why == unclosedWords) != owed {
						t.Errorf("to be compared: %q", why)
					}
					r.Appliance = a
					_, stopWork := a.Work(t.Context())
					time.Sleep(2 * time.Minute)
					if left := r.differences(); len(left) > 0 {
						t.Errorf("%d products differ afterwards", len(left))
					}
					if err := errors.Join(stopWork(), a.Close()); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}
