package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/folder"
	"stockroom/internal/state"
)

// filled makes a closed state.db with two shops, and returns its bytes.
func filled(t *testing.T, path string) []byte {
	t.Helper()
	s := open(t, path, state.Options{})
	fill(t, s)
	ok(t, s.Close())
	raw, err := os.ReadFile(path)
	ok(t, err)
	return raw
}

func fill(t *testing.T, s *state.Store) {
	t.Helper()
	for _, shop := range []string{shopA, shopB} {
		ok(t, s.AddShop(shop, "merchant-of-"+shop, noon()),
			s.SetCredentials(shop, state.Credentials{APIKey: "key", APISecret: config.NewSecret("secret-of-" + shop)}),
			s.SetSelection(shop, catalog.Selection{Mode: catalog.SelectInclude, Include: []int64{4711}}))
	}
	ok(t, s.RaiseWatermark(5, noon()), s.Put("admin", "password", []byte("hash")))
}

// describe is everything a store knows, for comparison.
func describe(s *state.Store) map[string]string {
	all := map[string]string{}
	for _, shop := range s.Shops() {
		sel, known := s.Selection(shop.Domain)
		all["shop "+shop.Domain] = shop.MerchantID
		all["selection "+shop.Domain] = fmt.Sprint(sel.Mode, sel.Include, known)
		all["secrets "+shop.Domain] = secretsOf(s.Secrets(shop.Domain))
	}
	all["watermark"] = fmt.Sprint(s.Watermark().Seq)
	value, _ := s.Get("admin", "password")
	all["password"] = string(value)
	return all
}

func TestADamagedRecordIsDroppedAloneAndSaidSo(t *testing.T) {
	for _, tt := range []struct{ claim, find, record, gone string }{
		{"a shop", `{"merchant_id":"merchant-of-a`, "shops a.myshopify.com", ""},
		{"its credentials", `"secret-of-a`, "credentials a.myshopify.com", "secrets a.myshopify.com"},
		{"its selection", `[4711]`, "selections ", "selection "},
		{"the watermark", `{"seq":5`, "watermark changes", "watermark"},
		{"a value", `"aGFzaA=="`, "values admin/password", "password"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			raw := filled(t, path)
			sound := describe(open(t, copyOf(t, raw), state.Options{}))
			at := bytes.LastIndex(raw, []byte(tt.find))
			if at < 0 {
				t.Fatal("the record is not in the file")
			}
			// Pages that are not in use any more hold older copies of the record.
			for i := 0; i+len(tt.find) <= len(raw); i++ {
				if bytes.HasPrefix(raw[i:], []byte(tt.find)) {
					raw[i+len(tt.find)-2] ^= 0x04
				}
			}
			ok(t, os.WriteFile(path, raw, 0o600))
			s := open(t, path, state.Options{})
			reopened(t, s, path, state.Options{}, func(t *testing.T, s *state.Store) {
				d, damaged := s.Damage()
				if !damaged || d.Lost || len(d.Records) == 0 || !strings.HasPrefix(d.Records[0], tt.record) || !d.At.Equal(kept()) {
					t.Fatalf("damage: %+v, %v", d, damaged)
				}
				if copied, err := os.ReadFile(d.File); err != nil || !bytes.Equal(copied, raw) {
					t.Errorf("the damaged file was not kept: %v", err)
				}
				for key, was := range sound {
					now := describe(s)[key]
					if affected := strings.HasPrefix(key, tt.gone) && tt.gone != "" || strings.Contains(key, "a.myshopify") && tt.gone == ""; !affected && now != was {
						t.Errorf("%s was %q and is %q", key, was, now)
					} else if affected && now == was {
						t.Errorf("%s should be gone and is %q", key, now)
					}
				}
			})
		})
	}
}

func copyOf(t *testing.T, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	ok(t, os.WriteFile(path, raw, 0o600))
	return path
}

func TestALostFileIsSetAsideAndNothingIsSelectedUntilSomebodySays(t *testing.T) {
	env := state.Options{Shop: config.EnvShop{Domain: shopA, APISecret: config.NewSecret("s")}}
	for claim, spoil := range map[string]func(t *testing.T, path string, raw []byte) state.Options{
		"truncated": func(t *testing.T, path string, raw []byte) state.Options {
			ok(t, os.WriteFile(path, raw[:len(raw)/2], 0o600))
			return env
		},
		"zero length": func(t *testing.T, path string, _ []byte) state.Options {
			ok(t, os.WriteFile(path, nil, 0o600))
			return env
		},
		"missing beside a catalogue": func(t *testing.T, path string, _ []byte) state.Options {
			ok(t, os.Remove(path))
			o := env
			o.Existing = true
			return o
		},
		"set aside by a start that died right after": func(t *testing.T, path string, _ []byte) state.Options {
			ok(t, os.Rename(path, path+".damaged-20261123T120000Z"))
			o, err := boltfile.Open(path, boltfile.Options{})
			ok(t, err, o.Close())
			return env
		},
	} {
		t.Run(claim, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			o := spoil(t, path, filled(t, path))
			s := open(t, path, o)
			o.Existing = false // the loss must be remembered without help
			reopened(t, s, path, o, func(t *testing.T, s *state.Store) {
				d, damaged := s.Damage()
				if !damaged || !d.Lost || d.Reason == "" {
					t.Errorf("damage: %+v, %v", d, damaged)
				}
				if _, err := os.Stat(d.File); d.File != "" && err != nil {
					t.Error(err)
				}
				if _, known := s.Selection(shopA); known {
					t.Error("the declared shop's selection is known")
				}
				if healed, err := s.ForgetHealed(); healed || err != nil {
					t.Errorf("healed: %v, %v", healed, err)
				}
			})
			s = open(t, path, o)
			ok(t, s.RestoreShop(shopA, "ignored", noon()), s.RestoreShop(shopB, "m-2", noon()), s.RestoreShop(shopB, "other", noon()))
			if shop, known := s.Shop(shopB); !known || shop.MerchantID != "m-2" || !shop.AddedAt.Equal(kept()) {
				t.Errorf("restored: %+v, %v", shop, known)
			}
			if _, known := s.Selection(shopB); known {
				t.Error("a selection that nobody gave is known")
			}
			for _, give := range []func() error{
				func() error { return s.SetSelection(shopA, catalog.Selection{}) },
				func() error { return s.SetCredentials(shopB, state.Credentials{APISecret: config.NewSecret("again")}) },
				func() error { return s.SetSelection(shopB, catalog.Selection{}) },
			} {
				if healed, err := s.ForgetHealed(); healed || err != nil {
					t.Errorf("healed before all was given again: %v, %v", healed, err)
				}
				ok(t, give())
			}
			if healed, err := s.ForgetHealed(); !healed || err != nil {
				t.Errorf("healed: %v, %v", healed, err)
			}
			ok(t, s.Close())
			if d, damaged := open(t, path, o).Damage(); damaged {
				t.Errorf("still reported: %+v", d)
			}
		})
	}
}

func TestAcknowledgedDamageIsForgottenForGood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path, state.Options{Existing: true})
	ok(t, s.AcknowledgeDamage(), s.AcknowledgeDamage())
	reopened(t, s, path, state.Options{}, func(t *testing.T, s *state.Store) {
		if d, damaged := s.Damage(); damaged {
			t.Errorf("still reported: %+v", d)
		}
	})
}

func TestALostValueIsMissedUntilItIsGivenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path, state.Options{})
	fill(t, s)
	ok(t, s.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("state")).Bucket([]byte("values")).Put([]byte("admin/password"), []byte("spoilt"))
	}), s.Close())
	s = open(t, path, state.Options{})
	if d, _ := s.Damage(); !slices.Equal(d.Records, []string{"values admin/password"}) {
		t.Fatalf("damage: %+v", d)
	}
	if healed, err := s.ForgetHealed(); healed || err != nil {
		t.Errorf("healed: %v, %v", healed, err)
	}
	ok(t, s.Put("admin", "password", []byte("hash")))
	if healed, err := s.ForgetHealed(); !healed || err != nil {
		t.Errorf("healed: %v, %v", healed, err)
	}
}

func TestDamageWhileRunningLosesNothing(t *testing.T) {
	for claim, spoil := range map[string]func(path string) error{
		"cut short":    func(path string) error { return os.Truncate(path, 4096) },
		"cut to zero":  func(path string) error { return os.Truncate(path, 0) },
		"metas zeroed": func(path string) error { return overwrite(path, 0, make([]byte, 8192)) },
		"removed":      os.Remove,
	} {
		t.Run(claim, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			s := open(t, path, state.Options{})
			fill(t, s)
			bucket := []byte("of somebody else")
			seeds := 0
			ok(t, s.Seed(func(tx *bbolt.Tx) error {
				seeds++
				_, err := tx.CreateBucketIfNotExists(bucket)
				return err
			}))
			want := describe(s)
			ok(t, spoil(path))
			if diff := cmp.Diff(want, describe(s)); diff != "" {
				t.Error("reading needs the disk: " + diff)
			}
			// The first change may fail, and then it has not happened.
			if err := s.RaiseWatermark(6, noon()); err != nil && s.Watermark().Seq != 5 {
				t.Errorf("a change that failed (%v) shows", err)
			}
			ok(t, s.RaiseWatermark(7, noon()))
			ok(t, s.Update(func(tx *bbolt.Tx) error {
				if tx.Bucket(bucket) == nil {
					return errors.New("the other bucket is missing")
				}
				return nil
			}))
			want["watermark"] = "7"
			reopened(t, s, path, state.Options{}, func(t *testing.T, s *state.Store) {
				if diff := cmp.Diff(want, describe(s)); diff != "" {
					t.Error(diff)
				}
				if d, damaged := s.Damage(); damaged && (d.Lost || d.File == "") {
					t.Errorf("damage: %+v", d)
				}
			})
		})
	}
}

func overwrite(path string, at int64, with []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(with, at)
	return errors.Join(err, f.Close())
}

func TestAPanicInATransactionIsAnErrorAndNoDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path, state.Options{})
	fill(t, s)
	for _, run := range []func(func(*bbolt.Tx) error) error{s.Update, s.View} {
		if err := run(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("none")).Put(nil, nil) }); err == nil {
			t.Error("no error")
		}
	}
	refused := errors.New("refused")
	if err := s.Update(func(*bbolt.Tx) error { return refused }); err != refused {
		t.Errorf("got %v", err)
	}
	ok(t, s.RaiseWatermark(6, noon()))
	if d, damaged := s.Damage(); damaged {
		t.Errorf("damage: %+v", d)
	}
	if old, _ := filepath.Glob(path + ".*"); len(old) != 0 {
		t.Errorf("files: %q", old)
	}
}

func TestAFileOfANewerVersionIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path, state.Options{})
	ok(t, s.Put(state.NotedIn, state.NotedAs, []byte(`{"version":"9.8.7"}`)), s.Close())
	o, err := boltfile.Open(path, boltfile.Options{})
	ok(t, err)
	ok(t, o.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("state")).Bucket([]byte("watermark"))
		return b.Put([]byte("changes"), state.NewerRecord("watermark", "changes"))
	}), o.Close())
	before, err := os.ReadFile(path)
	ok(t, err)
	_, err = state.Open(path, noon(), state.Options{})
	if _, is := errors.AsType[*folder.NewerError](err); !is || !strings.Contains(err.Error(), "state.db was written by Stockroom 9.8.7") {
		t.Fatalf("got %v", err)
	}
	after, err := os.ReadFile(path)
	ok(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
}

func TestAnotherHolderIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	open(t, path, state.Options{})
	if _, err := state.Open(path, noon(), state.Options{}); !errors.Is(err, boltfile.ErrLocked) {
		t.Errorf("got %v", err)
	}
}

func TestAClosedStoreStoresNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"), state.Options{})
	ok(t, s.Close(), s.Close())
	if err := s.RaiseWatermark(1, noon()); !errors.Is(err, state.ErrClosed) || s.Watermark().Seq != 0 {
		t.Errorf("got %v", err)
	}
	if err := s.View(func(*bbolt.Tx) error { return nil }); !errors.Is(err, state.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// Every flipped bit either changes nothing, or is reported and loses at most the
// records it hit; none is believed.
func TestNoFlippedBitIsBelieved(t *testing.T) {
	raw := filled(t, filepath.Join(t.TempDir(), "state.db"))
	sound := describe(open(t, copyOf(t, raw), state.Options{}))
	trials := 40
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		trials = 2000
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "state.db")
	reported := 0
	for range trials {
		bad := bytes.Clone(raw)
		at, bit := random.IntN(len(bad)), byte(1)<<random.IntN(8)
		bad[at] ^= bit
		ok(t, os.WriteFile(path, bad, 0o600))
		s, err := state.Open(path, noon(), state.Options{})
		if err != nil {
			t.Fatalf("bit %02x of byte %d: %v", bit, at, err)
		}
		_, damaged := s.Damage()
		if damaged {
			reported++
		}
		for key, now := range describe(s) {
			// The older meta page may be what is left: that state has fewer records.
			if was := sound[key]; now != was && !damaged && now != "" && now != "0" {
				t.Errorf("bit %02x of byte %d: %s was %q and is %q", bit, at, key, was, now)
			}
		}
		ok(t, s.Close())
		for _, old := range must(filepath.Glob(path + ".*")) {
			ok(t, os.Remove(old))
		}
	}
	t.Logf("%d of %d reported", reported, trials)
}

func must[T any](v T, _ error) T { return v }

func TestConcurrentUseSurvivesDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path, state.Options{})
	fill(t, s)
	var wg sync.WaitGroup
	acknowledged := make([]int, 4)
	for w := range acknowledged {
		wg.Go(func() {
			for i := 1; i <= 40; i++ {
				if s.Put("worker", fmt.Sprint(w), fmt.Append(nil, i)) == nil {
					acknowledged[w] = i
				}
				s.Shops()
				s.Secrets(shopA)
				_ = s.View(func(tx *bbolt.Tx) error { return nil })
				_ = s.Update(func(tx *bbolt.Tx) error { return nil })
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			_ = s.Update(func(*bbolt.Tx) error { return overwrite(path, 0, make([]byte, 8192)) })
		}
	})
	wg.Wait()
	if slices.Max(acknowledged) == 0 {
		t.Error("nothing was acknowledged, so nothing could be lost")
	}
	reopened(t, s, path, state.Options{}, func(t *testing.T, s *state.Store) {
		for w, n := range acknowledged {
			if got, _ := s.Get("worker", fmt.Sprint(w)); string(got) != fmt.Sprint(n) && n != 0 {
				t.Errorf("worker %d: acknowledged %d, found %s", w, n, got)
			}
		}
		if len(s.Shops()) != 2 {
			t.Error("a shop is gone")
		}
	})
}

func TestASecondStartWithoutShopsIsNoLoss(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	ok(t, open(t, path, state.Options{}).Close())
	s := open(t, path, state.Options{Existing: true})
	if d, damaged := s.Damage(); damaged {
		t.Errorf("damage: %+v", d)
	}
}

func TestRecordsThatAreMissingOrOldAreNoticed(t *testing.T) {
	table := func(tx *bbolt.Tx, name string) *bbolt.Bucket {
		return tx.Bucket([]byte("state")).Bucket([]byte(name))
	}
	for claim, tt := range map[string]struct {
		spoil  func(tx *bbolt.Tx) error
		record string
		lost   bool
	}{
		"a record is missing":    {func(tx *bbolt.Tx) error { return table(tx, "shops").Delete([]byte(shopA)) }, "selections", false},
		"a table is missing":     {func(tx *bbolt.Tx) error { return tx.Bucket([]byte("state")).DeleteBucket([]byte("shops")) }, "shops", false},
		"the sum is missing":     {func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("state.sum")) }, "sum", false},
		"the sum is damaged":     {func(tx *bbolt.Tx) error { return tx.Bucket([]byte("state.sum")).Put([]byte("sum"), []byte("x")) }, "sum", false},
		"all but it are missing": {func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("state")) }, "all", true},
	} {
		t.Run(claim, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			filled(t, path)
			o, err := boltfile.Open(path, boltfile.Options{})
			ok(t, err, o.Update(tt.spoil), o.Close())
			s := open(t, path, state.Options{})
			reopened(t, s, path, state.Options{}, func(t *testing.T, s *state.Store) {
				d, damaged := s.Damage()
				if !damaged || d.Lost != tt.lost || !cmp.Equal(d.Records, []string{tt.record}) || d.File == "" {
					t.Errorf("damage: %+v, %v", d, damaged)
				}
				if _, known := s.Selection(shopB); known == (tt.record == "selections" || tt.lost) {
					t.Errorf("the selection is known: %v", known)
				}
			})
		})
	}
}
