package state_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
	"stockroom/internal/folder"
	"stockroom/internal/state"
)

// Somebody takes the file or its folder away under a running store, before a
// change or inside one. A removed file is put back with all that was stored; where
// something else has taken its place nothing is stored any more, and nothing is
// touched.
func TestAFileThatIsTakenAwayIsPutBackOrLeftToWhatTookItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		lost bool
		take func(dir, spare string) error
	}{
		"removed":                  {false, func(dir, _ string) error { return os.Remove(dir + "/state.db") }},
		"replaced by a sound file": {true, func(dir, spare string) error { return os.Rename(spare+"/state.db", dir+"/state.db") }},
		"replaced by garbage": {true, func(dir, _ string) error {
			return first(os.Remove(dir+"/state.db"), os.WriteFile(dir+"/state.db", []byte("garbage"), 0o600))
		}},
		"folder moved": {true, func(dir, _ string) error { return os.Rename(dir, dir+".old") }},
		"folder moved, another in its place": {true, func(dir, spare string) error {
			return first(os.Rename(dir, dir+".old"), os.Rename(spare, dir))
		}},
		"lock removed": {true, func(dir, _ string) error { return os.Remove(dir + "/lock") }},
	} {
		for _, inside := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, inside a change: %t", name, inside), func(t *testing.T) {
				base := t.TempDir()
				dir, spare := base+"/data", base+"/spare"
				ok(t, os.Mkdir(dir, 0o700), os.Mkdir(spare, 0o700), os.WriteFile(dir+"/lock", nil, 0o600))
				ok(t, open(t, spare+"/state.db", state.Options{}).Close())
				home, err := folder.Open(dir)
				ok(t, err)
				defer home.Close()
				lock, err := home.Open("lock", os.O_RDWR)
				ok(t, err, home.Hold("lock", lock))
				defer lock.Close()
				s := open(t, dir+"/state.db", state.Options{Folder: home})
				fill(t, s)
				want := describe(s)
				change := func(*bbolt.Tx) error { return nil }
				if inside {
					change = func(*bbolt.Tx) error { return c.take(dir, spare) }
				} else {
					ok(t, c.take(dir, spare))
				}
				err = s.Update(change)
				if inside && err == nil || !inside && boltfile.Lost(err) != c.lost {
					t.Errorf("update: %v", err)
				}
				before := content(t, base)
				if err := s.Look(); boltfile.Lost(err) != c.lost || err != nil && !c.lost {
					t.Errorf("look: %v", err)
				}
				if c.lost {
					if err := s.RaiseWatermark(9, noon()); !boltfile.Lost(err) {
						t.Errorf("a change was stored: %v", err)
					}
				}
				if got := describe(s); !maps.Equal(got, want) {
					t.Errorf("it holds %v, want %v", got, want)
				}
				if c.lost {
					if err := s.Close(); boltfile.Lost(err) != strings.HasPrefix(name, "replaced") || err != nil && !boltfile.Lost(err) {
						t.Errorf("close: %v", err)
					}
					if !maps.Equal(content(t, base), before) {
						t.Error("a file was changed")
					}
					return
				}
				reopened(t, s, dir+"/state.db", state.Options{}, func(t *testing.T, s *state.Store) {
					if got := describe(s); !maps.Equal(got, want) {
						t.Errorf("after a restart it holds %v, want %v", got, want)
					}
					if d, damaged := s.Damage(); damaged {
						t.Errorf("damage: %+v", d)
					}
				})
			})
		}
	}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// content is that of all files below dir.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	ok(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	}))
	return all
}

func TestPeekFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir+"/real.db", state.Options{})
	fill(t, s)
	ok(t, s.Close(), os.Symlink("real.db", dir+"/state.db"))
	if shops, err := state.Peek(dir+"/real.db", -1); err != nil || len(shops) != 2 {
		t.Errorf("peek: %v, %v", shops, err)
	}
	if shops, err := state.Peek(dir+"/state.db", -1); err == nil {
		t.Errorf("a link was followed: %v", shops)
	}
}

// Somebody cuts the file under a store to which nobody writes.
func TestAFileThatIsCutIsSetAsideByALook(t *testing.T) {
	for _, size := range []int64{0, 20 << 10} {
		path := filepath.Join(t.TempDir(), "state.db")
		s := open(t, path, state.Options{})
		fill(t, s)
		want := describe(s)
		ok(t, os.Truncate(path, size), s.Look())
		if d, damaged := s.Damage(); !damaged {
			t.Errorf("cut to %d bytes: %+v", size, d)
		}
		if got := describe(s); !maps.Equal(got, want) {
			t.Errorf("cut to %d bytes: it holds %v, want %v", size, got, want)
		}
	}
}
