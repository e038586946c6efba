package state_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/state"
)

// model is what a store should know of one shop.
type model struct {
	merchant, secret, previous string
	include                    []int64
	removed                    bool
}

// TestAnyHistoryEndsInWhatWasAskedFor runs random changes, reopenings and
// damage to the running file against a plain map.
func TestAnyHistoryEndsInWhatWasAskedFor(t *testing.T) {
	// The disk is not the subject, so a file system in memory will do.
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = ""
	}
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "state")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "state.db")
		s, err := state.Open(path, noon(), state.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		shops := map[string]*model{}
		watermark := int64(0)
		domain := func() string {
			return fmt.Sprintf("s%d.myshopify.com", rapid.IntRange(0, 2).Draw(t, "shop"))
		}
		// do runs a change that must work exactly when the shop is connected.
		do := func(m *model, err error, change func()) {
			if connected := m != nil && !m.removed; connected != (err == nil) {
				t.Fatalf("connected %v, error %v", connected, err)
			}
			if err == nil {
				change()
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				d, merchant := domain(), rapid.StringMatching(`[a-z]{0,3}`).Draw(t, "merchant")
				if err := s.AddShop(d, merchant, noon()); err != nil {
					t.Fatal(err)
				}
				if m := shops[d]; m == nil {
					shops[d] = &model{}
				} else if m.removed {
					m.removed, m.include = false, nil
				}
				shops[d].merchant = merchant
			},
			"remove": func(*rapid.T) {
				d := domain()
				do(shops[d], s.RemoveShop(d, noon()), func() { shops[d].removed = true })
			},
			"rotate": func(t *rapid.T) {
				d, secret := domain(), rapid.StringMatching(`[a-c]`).Draw(t, "secret")
				m := shops[d]
				c := state.Credentials{APISecret: config.NewSecret(secret)}
				if m != nil {
					c.PreviousSecret = config.NewSecret(m.secret)
				}
				do(m, s.SetCredentials(d, c), func() { m.previous, m.secret = m.secret, secret })
			},
			"select": func(t *rapid.T) {
				d, ids := domain(), rapid.SliceOfN(rapid.Int64Range(1, 9), 1, 3).Draw(t, "ids")
				do(shops[d], s.SetSelection(d, catalog.Selection{Mode: catalog.SelectInclude, Include: ids}), func() { shops[d].include = ids })
			},
			"raise": func(t *rapid.T) {
				seq := rapid.Int64Range(1, 100).Draw(t, "seq")
				if err := s.RaiseWatermark(seq, noon()); err != nil {
					t.Fatal(err)
				}
				watermark = max(watermark, seq)
			},
			"reopen": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = state.Open(path, noon(), state.Options{}); err != nil {
					t.Fatal(err)
				}
			},
			"damage": func(t *rapid.T) {
				if err := overwrite(path, 0, make([]byte, 8192)); err != nil {
					t.Fatal(err)
				}
				// The look before a change notices it, and mends the file for the change.
				if err := s.Put("x", "x", nil); err != nil {
					t.Fatal(err)
				}
				if d, damaged := s.Damage(); !damaged || d.Lost {
					t.Fatalf("damage %+v, %v", d, damaged)
				}
			},
			"": func(t *rapid.T) {
				var connected []string
				for _, d := range slices.Sorted(maps.Keys(shops)) {
					m := shops[d]
					shop, known := s.Shop(d)
					if known == m.removed || known && shop.MerchantID != m.merchant {
						t.Fatalf("%s: %+v, known %v, want %+v", d, shop, known, m)
					}
					if _, removed := s.RemovedAt(d); removed != m.removed {
						t.Fatalf("%s: removed %v", d, removed)
					}
					secrets := m.secret
					if m.previous != "" {
						secrets += " " + m.previous
					}
					if got := secretsOf(s.Secrets(d)); got != secrets {
						t.Fatalf("%s: secrets %q, want %q", d, got, secrets)
					}
					if m.removed {
						continue
					}
					connected = append(connected, d)
					if sel, known := s.Selection(d); !known || !slices.Equal(sel.Include, m.include) {
						t.Fatalf("%s: selection %+v, known %v, want %v", d, sel, known, m.include)
					}
				}
				var listed []string
				for _, shop := range s.Shops() {
					listed = append(listed, shop.Domain)
				}
				if diff := cmp.Diff(connected, listed); diff != "" {
					t.Fatal(diff)
				}
				if got := s.Watermark().Seq; got != watermark {
					t.Fatalf("watermark %d, want %d", got, watermark)
				}
			},
		})
	})
}
