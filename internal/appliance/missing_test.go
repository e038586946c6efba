package appliance

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/internal/config"
	"stockroom/store"
)

// F20: a file that is missing beside those that were made after it, or that knew
// it, was lost: the page says so, and a full sync is owed. What a kill during the
// first start can leave was not.
func TestAFileThatWasLostIsKnownToBe(t *testing.T) {
	const shop = "linen.myshopify.com"
	settings, err := config.Load(config.Sources{Flags: map[string]string{"data": filepath.Join(t.TempDir(), "x")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		connected bool
		removed   string
		lost      []string // parts of what the page says
	}{
		{"nothing, after a first start", false, "", nil},
		{"nothing", true, "", nil},
		{"everything", true, "state products queue", nil},
		{"after a kill behind state.db", false, "products queue", nil},
		{"after a kill behind products.db", false, "queue", nil},
		{"products.db", true, "products", []string{"products.db was missing at this start"}},
		{"products.db, without a shop", false, "products", []string{"products.db was missing at this start"}},
		{"queue.db", true, "queue", []string{"queue.db lost jobs (the file was missing)"}},
		{"products.db and queue.db", true, "products queue", []string{"products.db was missing at this start", "queue.db lost jobs (the file was missing)"}},
		{"state.db", true, "state", []string{"state.db was lost: the file was missing"}},
		{"state.db and products.db", true, "state products", []string{"products.db was missing at this start", "state.db was lost: the file was missing"}},
		{"state.db and queue.db", true, "state queue", []string{"queue.db lost jobs (the file was missing)", "state.db was lost: the file was missing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := settings.DataDir
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			start := func() *Appliance {
				a, err := Open(t.Context(), Options{Settings: settings, Manual: true})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = a.Close() })
				return a
			}
			a := start()
			if c.connected {
				if err := errors.Join(a.state.AddShop(shop, "", time.Now()), a.loadShops(t.Context())); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			for name := range strings.FieldsSeq(c.removed) {
				if err := os.Remove(filepath.Join(dir, name+".db")); err != nil {
					t.Fatal(err)
				}
			}
			for again := range 2 { // it is known to the next start too, which may come before any sync
				a := start()
				var said []string
				for _, n := range a.notices() {
					if strings.Contains(n.Text, ".db ") {
						said = append(said, n.Text)
					}
				}
				told := func(part string) bool {
					return slices.ContainsFunc(said, func(text string) bool { return strings.HasPrefix(text, part) })
				}
				if len(said) != len(c.lost) || again == 0 && slices.ContainsFunc(c.lost, func(part string) bool { return !told(part) }) {
					t.Errorf("start %d says %q, want %q", again+1, said, c.lost)
				}
				if slices.ContainsFunc(c.lost, func(part string) bool { return strings.HasPrefix(part, "products") }) && a.state.Watermark().Seq == 0 {
					t.Error("a kill now would hide what was lost")
				}
				owed, err := a.store.WantedList(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				sync := slices.ContainsFunc(owed, func(w store.Wanted) bool { return w.Kind == store.WantSync && w.Shop == shop })
				if want := len(c.lost) > 0 && c.connected && !strings.HasPrefix(c.removed, "state products"); sync != want {
					t.Errorf("start %d: a full sync is owed: %t, want %t", again+1, sync, want)
				}
				if err := a.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
