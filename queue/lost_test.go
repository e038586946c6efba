package queue

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"stockroom/internal/boltfile"
	"stockroom/internal/folder"
)

// Somebody takes the file or its folder away under a running queue, before a
// commit or in it. What was acknowledged is in the file that is used from then on,
// or in the one that lost its place and can still be read; nobody else's file is
// touched. Damage costs the file what it held, but no other.
func TestAQueueWhoseFileIsTakenAwayLosesNothingAndTouchesNothingElse(t *testing.T) {
	const kept, lost, damaged = "kept", "lost", "damaged"
	for name, c := range map[string]struct {
		want string
		take func(dir, spare string) error
	}{
		"removed": {kept, func(dir, _ string) error { return os.Remove(dir + "/queue.db") }},
		"replaced by a sound file": {lost, func(dir, spare string) error {
			return os.Rename(spare+"/queue.db", dir+"/queue.db")
		}},
		"replaced by garbage": {lost, func(dir, spare string) error {
			return errors.Join(os.Remove(dir+"/queue.db"), os.WriteFile(dir+"/queue.db", []byte("garbage"), 0o600))
		}},
		"cut to nothing": {damaged, func(dir, _ string) error { return os.Truncate(dir+"/queue.db", 0) }},
		"cut":            {damaged, func(dir, _ string) error { return os.Truncate(dir+"/queue.db", 8192) }},
		"folder moved":   {lost, func(dir, _ string) error { return os.Rename(dir, dir+".old") }},
		"folder moved, another in its place": {lost, func(dir, spare string) error {
			return errors.Join(os.Rename(dir, dir+".old"), os.Rename(spare, dir))
		}},
		"lock removed": {lost, func(dir, _ string) error { return os.Remove(dir + "/lock") }},
	} {
		for _, inside := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, inside a commit: %t", name, inside), func(t *testing.T) {
				base := t.TempDir()
				dir, spare := base+"/data", base+"/spare"
				ok(t, os.Mkdir(dir, 0o700), os.Mkdir(spare, 0o700), os.WriteFile(dir+"/lock", nil, 0o600))
				other, err := Open(Options{Path: spare + "/queue.db"})
				ok(t, err, other.Close())
				home, err := folder.Open(dir)
				ok(t, err)
				defer home.Close()
				lock, err := home.Open("lock", os.O_RDWR)
				ok(t, err, home.Hold("lock", lock))
				defer lock.Close()

				var armed atomic.Bool
				var refused atomic.Int64
				q := started(t, Options{Path: dir + "/queue.db", Folder: home,
					OnCommit: func(c Commit) {
						if boltfile.Lost(c.Err) {
							refused.Add(1)
						}
					},
					Fault: func(step string) error {
						if step == "before enqueue" && armed.CompareAndSwap(true, false) {
							return c.take(dir, spare)
						}
						return nil
					}})
				first := mustEnqueue(t, q, NewJob{Kind: "apply", Payload: []byte("first")})
				if armed.Store(inside); !inside {
					ok(t, c.take(dir, spare))
				}
				ids := map[uint64]bool{first: true}
				put := func() (err error) {
					id, _, err := q.Enqueue(t.Context(), NewJob{Kind: "apply", Payload: []byte("new")})
					if err == nil {
						ids[id] = true
					}
					return err
				}
				err = put()
				before := files(t, base)
				look := q.Look(t.Context())
				if c.want == lost {
					again := put()
					if !boltfile.Lost(err) || !boltfile.Lost(look) || !boltfile.Lost(again) || !errors.Is(again, ErrUnavailable) || refused.Load() != 3 {
						t.Errorf("enqueue: %v, look: %v, again: %v, told %d times", err, look, again, refused.Load())
					}
				} else if errs := errors.Join(look, put()); errs != nil {
					t.Errorf("not mended: %v", errs)
				}
				if c.want != damaged {
					jobs, _, err := q.List(t.Context(), Filter{Limit: 100})
					for _, j := range jobs {
						delete(ids, j.ID)
					}
					if err != nil || len(ids) > 0 {
						t.Errorf("acknowledged and not there: %v, %v", ids, err)
					}
				}
				if err := q.Close(); boltfile.Lost(err) != strings.HasPrefix(name, "replaced") || err != nil && !boltfile.Lost(err) {
					t.Errorf("close: %v", err)
				}
				if c.want != lost {
					requireSound(t, dir+"/queue.db")
					if dir, err := Open(Options{Path: dir + "/queue.db"}); err != nil || dir.Stats().Waiting == 0 {
						t.Errorf("after a restart: %v", err)
					} else {
						ok(t, dir.Close())
					}
				} else if now := files(t, base); !maps.Equal(now, before) {
					t.Errorf("files were changed: %d, were %d", len(now), len(before))
				}
			})
		}
	}
}

func ok(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// files are those below dir with what they hold.
func files(t *testing.T, dir string) map[string]string {
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
