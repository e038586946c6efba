//go:build unix

package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"

	"go.etcd.io/bbolt"

	"stockroom/internal/folder"
)

func TestFreshFileIsPrivateAndLeavesNothingElse(t *testing.T) {
	path := boltPath(t)
	for _, leftover := range []string{tempNew + "1", tempRewrite + "2"} {
		if err := os.WriteFile(path+leftover, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := mustOpen(t, path, Options{})
	defer o.Close()
	st, err := os.Stat(path)
	if err != nil || st.Mode() != 0o600 || !o.Fresh {
		t.Errorf("mode %v, fresh %v, %v", st.Mode(), o.Fresh, err)
	}
	if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{"queue.db"}) {
		t.Errorf("directory holds %v", got)
	}
}

func TestExistingFileLosesTheRightsOfOthers(t *testing.T) {
	path := boltPath(t)
	_ = mustOpen(t, path, Options{}).Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	o := mustOpen(t, path, Options{})
	defer o.Close()
	if st, _ := os.Stat(path); st.Mode() != 0o600 || o.Fresh {
		t.Errorf("mode %v, fresh %v", st.Mode(), o.Fresh)
	}
}

func TestFileOutOfReachIsAnErrorAndIsLeftAlone(t *testing.T) {
	cases := []struct {
		name  string
		setup func(t *testing.T, path string)
		want  error
	}{
		{"held by another opener", func(t *testing.T, path string) {
			o := mustOpen(t, path, Options{})
			t.Cleanup(func() { _ = o.Close() })
		}, ErrLocked},
		{"is a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"is a pipe", func(t *testing.T, path string) {
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Skip(err)
			}
		}, nil},
		{"is a link", func(t *testing.T, path string) {
			target := filepath.Join(t.TempDir(), "target")
			if err := errors.Join(os.WriteFile(target, nil, 0o644), os.Symlink(target, path)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if info, err := os.Stat(target); err != nil || info.Size() != 0 || info.Mode() != 0o644 {
					t.Errorf("the target of the link was changed: %v, %v", info, err)
				}
			})
		}, folder.ErrNotRegular},
		{"may not be read", func(t *testing.T, path string) {
			if os.Geteuid() == 0 {
				t.Skip("root may read everything")
			}
			_ = mustOpen(t, path, Options{}).Close()
			_ = os.Chmod(path, 0)
		}, fs.ErrPermission},
		{"directory is missing", func(t *testing.T, path string) {
			_ = os.Remove(filepath.Dir(path))
		}, fs.ErrNotExist},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "queue.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			c.setup(t, path)
			var o Opened
			var err error
			synctest.Test(t, func(*testing.T) { o, err = Open(path, Options{}) }) // waits for a lock by that clock
			if err == nil {
				t.Fatalf("opened: %+v", o)
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if errors.Is(err, ErrDamaged) {
				t.Errorf("called damage: %v", err)
			}
			if entries, err := os.ReadDir(filepath.Dir(path)); err == nil && len(entries) > 1 {
				t.Errorf("directory holds %v", entries)
			}
		})
	}
}

// Each step of making, copying or replacing a file fails once; what was there
// before must still be there, and the next Open must work.
func TestFailedStepLeavesNothingOrASoundFile(t *testing.T) {
	steps := []string{
		"create: before write", "create: before rename", "create: before directory sync",
		"rewrite: before copy", "rewrite: before rename", "rewrite: before directory sync",
	}
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			path := boltPath(t)
			rewrite := step[0] == 'r'
			if rewrite {
				writeSample(t, path, rand.New(rand.NewPCG(4, 4)))
			}
			failure := fmt.Errorf("injected: %w", syscall.ENOSPC)
			opt := Options{compactAbove: never, fault: func(s string) error {
				if s == step {
					return failure
				}
				return nil
			}}
			if rewrite {
				o := mustOpen(t, path, opt)
				if _, err := o.rewrite(); !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("got %v", err)
				}
				if n, broken := census(t, o); n < sampleKeys || broken != 0 {
					t.Errorf("old handle: %d records, %d broken", n, broken)
				}
				_ = o.Close()
			} else if _, err := Open(path, opt); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("got %v", err)
			}
			for _, name := range names(t, filepath.Dir(path)) {
				if name != "queue.db" {
					t.Errorf("left behind: %s", name)
				}
			}
			o := mustOpen(t, path, Options{compactAbove: never})
			if n, broken := census(t, o); rewrite && n < sampleKeys || broken != 0 || o.Quarantined != "" {
				t.Errorf("%d records, %d broken, %+v", n, broken, o)
			}
			requireUsable(t, o, path, rand.New(rand.NewPCG(5, 5)))
		})
	}
}

func TestMostlyFreeFileIsCompactedWithItsSequences(t *testing.T) {
	path := boltPath(t)
	o := mustOpen(t, path, Options{})
	update(t, o, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("jobs"))
		if err != nil {
			return err
		}
		for range 500 {
			id, _ := b.NextSequence()
			k := fmt.Appendf(nil, "k%06d", id)
			if err := b.Put(k, seal(k, make([]byte, 8000))); err != nil {
				return err
			}
		}
		return nil
	})
	update(t, o, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("jobs"))
		for i := 1; i <= 490; i++ {
			if err := b.Delete(fmt.Appendf(nil, "k%06d", i)); err != nil {
				return err
			}
		}
		return nil
	})
	_ = o.Close()
	before, _ := os.Stat(path)

	o = mustOpen(t, path, Options{})
	after, _ := os.Stat(path)
	if after.Size() > before.Size()/4 {
		t.Errorf("%d bytes from %d", after.Size(), before.Size())
	}
	if n, broken := census(t, o); n != 10 || broken != 0 {
		t.Errorf("%d records, %d broken", n, broken)
	}
	update(t, o, func(tx *bbolt.Tx) error {
		if id, _ := tx.Bucket([]byte("jobs")).NextSequence(); id != 501 {
			t.Errorf("sequence went on with %d, want 501", id)
		}
		return nil
	})
	_ = o.Close()

	o = mustOpen(t, path, Options{compactAbove: 1})
	if again, _ := os.Stat(path); !os.SameFile(after, again) {
		t.Error("a full file was compacted again")
	}
	requireUsable(t, o, path, rand.New(rand.NewPCG(6, 6)))
}

func TestLockIsWaitedFor(t *testing.T) {
	path := boltPath(t)
	first := mustOpen(t, path, Options{})
	done := make(chan error, 1)
	go func() {
		second, err := Open(path, Options{})
		if err == nil {
			err = second.Close()
		}
		done <- err
	}()
	_ = first.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCommitErrorsAreToldApart(t *testing.T) {
	write := func(errno syscall.Errno) error {
		return &fs.PathError{Op: "write", Path: "queue.db", Err: errno}
	}
	cases := []struct {
		name string
		err  error
		want bool
	}{
		{"no space for a page", write(syscall.ENOSPC), true},
		{"quota reached", fmt.Errorf("commit: %w", write(syscall.EDQUOT)), true},
		{"size limit reached", write(syscall.EFBIG), true},
		{"write failed in the disk", write(syscall.EIO), false},
		{"sync failed", syscall.EIO, false},
		{"sync found no space", syscall.ENOSPC, false},
		{"anything else", errors.New("file sync error"), false},
	}
	for _, c := range cases {
		if got := WroteNothing(c.err); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestPanicInATransactionIsAnErrorAndTheNextWriterIsNotStuck(t *testing.T) {
	o := mustOpen(t, boltPath(t), Options{})
	defer o.Close()
	for range 3 {
		if err := o.Update(func(*bbolt.Tx) error { panic("page 7 already freed") }); !errors.Is(err, ErrDamaged) {
			t.Fatalf("got %v", err)
		}
		if err := o.View(func(*bbolt.Tx) error { panic("assertion") }); !errors.Is(err, ErrDamaged) {
			t.Fatalf("got %v", err)
		}
	}
	update(t, o, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("b")); return err })
}

// A file that loses its name between being opened and being locked is not the one
// that was asked for: the one that has the name then is, and when there is none a
// new one is made.
func TestTheFileThatHasTheNameIsOpened(t *testing.T) {
	for name, take := range map[string]func(path string) error{
		"replaced": func(path string) error { return os.Rename(path+".other", path) },
		"removed":  os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			path := boltPath(t)
			_ = mustOpen(t, path, Options{}).Close()
			_ = mustOpen(t, path+".other", Options{}).Close()
			taken := false
			o := mustOpen(t, path, Options{fault: func(step string) error {
				if step != "open: before lock" || taken {
					return nil
				}
				taken = true
				return take(path)
			}})
			defer o.Close()
			if err := o.Look(); err != nil || o.Fresh != (name == "removed") || o.Quarantined != "" {
				t.Errorf("look: %v, fresh %t, set aside %q", err, o.Fresh, o.Quarantined)
			}
		})
	}
}
