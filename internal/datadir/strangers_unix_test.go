//go:build unix

package datadir_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"stockroom/internal/datadir"
)

// read returns all files of a dir by their names.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(text)
	}
	return files
}

// own makes path a data dir of ours.
func own(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path, "state.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What stands in place of a store refuses the start; what stands in place of a
// file that only serves us is told. Neither is waited for, written or removed.
func TestWhatIsNoFileOfOursIsNeitherWrittenNorRemoved(t *testing.T) {
	for name, refused := range map[string]bool{
		"lock": true, "state.db": true, "queue.db": true, "products.db": true, "products.db-wal": true, "products.db-shm": true,
		"ballast": false, "probe": false, "admin.json": false, "open.html": false,
	} {
		for kind, put := range map[string]func(target, path string) error{
			"link": os.Symlink, "link to nothing": func(_, path string) error { return os.Symlink("nothing", path) },
			"folder": func(_, path string) error { return os.Mkdir(path, 0o755) },
			"pipe":   func(_, path string) error { return syscall.Mkfifo(path, 0o644) },
		} {
			path, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
			at := filepath.Join(path, name)
			if err := errors.Join(os.WriteFile(target, []byte("theirs"), 0o644), put(target, at)); err != nil {
				t.Fatal(err)
			}
			if !refused {
				own(t, path)
			}
			was, err := os.Lstat(at)
			if err != nil {
				t.Fatal(err)
			}
			d, err := datadir.Open(path, datadir.Options{Ballast: 64 << 10})
			if refused {
				var told *datadir.DirError
				if !errors.As(err, &told) || !strings.Contains(err.Error(), at+" is not a regular file; ") {
					t.Errorf("%s in place of %s: %v", kind, name, err)
				}
			} else {
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(d.Warnings, "\n"); !strings.Contains(got, at+" is not a regular file") || !strings.Contains(got, "move it away") {
					t.Errorf("%s in place of %s: warnings %q", kind, name, d.Warnings)
				}
				d.ReleaseBallast()
				_ = d.Mend()
				if err := d.Announce("http://127.0.0.1:1", "t"); (err != nil) != (name == "admin.json") {
					t.Errorf("%s in place of %s: announce: %v", kind, name, err)
				}
				if a, err := datadir.ReadAdmin(path); (err != nil) != (name == "admin.json") || errors.Is(err, datadir.ErrNoServer) && kind != "link to nothing" {
					t.Errorf("%s in place of %s: found %v, %v", kind, name, a, err)
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
			if now, err := os.Lstat(at); err != nil || !os.SameFile(was, now) || now.Mode() != was.Mode() {
				t.Errorf("%s in place of %s was changed: %v", kind, name, err)
			}
			if text, err := os.ReadFile(target); err != nil || string(text) != "theirs" || modeOf(t, target) != 0o644 {
				t.Errorf("%s in place of %s: its target holds %q, %v", kind, name, text, err)
			}
		}
	}
	path := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(path, "lock"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := datadir.ReadAdmin(path); err == nil || errors.Is(err, datadir.ErrNoServer) {
		t.Errorf("a pipe for a lock: %v", err)
	}
}

func TestWhatOnlyServesUsIsPutRight(t *testing.T) {
	const ballast = 64 << 10
	for _, name := range []string{"ballast", "admin.json"} {
		for deed, do := range map[string]func(path string) error{
			"removed": os.Remove, "emptied": func(path string) error { return os.Truncate(path, 0) },
			"replaced": func(path string) error {
				return errors.Join(os.WriteFile(path+".new", []byte("theirs"), 0o644), os.Rename(path+".new", path))
			},
			"linked": func(path string) error { return errors.Join(os.Remove(path), os.Symlink("theirs", path)) },
		} {
			d := open(t, t.TempDir(), datadir.Options{Ballast: ballast})
			if err := errors.Join(d.Announce("http://127.0.0.1:1", "t"), do(d.File(name))); err != nil {
				t.Fatal(err)
			}
			err := d.Mend()
			if deed == "linked" {
				if err == nil || !strings.Contains(err.Error(), d.File(name)+" is not a regular file; move it away") {
					t.Errorf("%s %s: %v", name, deed, err)
				}
				err = errors.Join(os.Remove(d.File(name)), d.Mend())
			}
			a, aerr := datadir.ReadAdmin(d.Path())
			info, serr := os.Lstat(d.File("ballast"))
			if err != nil || aerr != nil || serr != nil || a.Token != "t" || info.Size() != ballast || d.BallastReleased() {
				t.Errorf("%s %s: %v, %v %v, %v", name, deed, err, a, aerr, serr)
			}
		}
	}
}

func TestABallastThatASnapshotNamesTooIsLeftToIt(t *testing.T) {
	path, o := t.TempDir(), datadir.Options{Ballast: 64 << 10}
	ballast, snapshot := filepath.Join(path, "ballast"), filepath.Join(t.TempDir(), "ballast")
	if err := open(t, path, o).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(ballast, snapshot); err != nil {
		t.Skipf("no hard links here: %v", err)
	}
	for _, size := range []int64{64 << 10, 128 << 10} { // as large as it should be, and too short
		o.Ballast = size
		before, err := os.ReadFile(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if err := open(t, path, o).Close(); err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(snapshot)
		if err != nil || string(after) != string(before) {
			t.Errorf("the snapshot was written: %v", err)
		}
		info, err := os.Lstat(ballast)
		if err != nil || info.Size() != size || info.Sys().(*syscall.Stat_t).Nlink != 1 {
			t.Errorf("the ballast: %v, %v", info, err)
		}
		if err := errors.Join(os.Remove(snapshot), os.Link(ballast, snapshot)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALostDirIsToldAndTheOneInItsPlaceIsLeftAlone(t *testing.T) {
	move := func(t *testing.T, path string) {
		if err := os.Rename(path, path+".old"); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		lose   func(t *testing.T, path string)
		second bool   // another server opens what is at the path
		ours   string // where the first one's files are
		says   string
	}{
		"moved":        {lose: move, ours: ".old", says: "was moved while Stockroom ran; it stops. What it acknowledged is in the moved dir. Move it back, or "},
		"replaced":     {lose: move, second: true, ours: ".old", says: "another folder is at "},
		"lock removed": {lose: func(t *testing.T, path string) { _ = os.Remove(filepath.Join(path, "lock")) }, says: "the lock file of the data dir "},
		"lock replaced": {lose: func(t *testing.T, path string) { _ = os.Remove(filepath.Join(path, "lock")) }, second: true,
			says: "another server may have started there"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			own(t, path)
			d := open(t, path, datadir.Options{Ballast: 64 << 10})
			if err := errors.Join(d.Announce("http://127.0.0.1:1", "first"), d.Folder().Check()); err != nil {
				t.Fatal(err)
			}
			c.lose(t, path)
			var before map[string]string
			if c.second {
				other := open(t, path, datadir.Options{Ballast: 64 << 10})
				if err := other.Announce("http://127.0.0.1:2", "second"); err != nil {
					t.Fatal(err)
				}
				before = read(t, path)
			}
			lost := datadir.Lost(path, d.Folder().Check())
			if lost == nil || !strings.Contains(lost.Error(), c.says) || !strings.Contains(lost.Error(), path) {
				t.Fatalf("it says %v", lost)
			}
			if d.ReleaseBallast(); d.Mend() != nil || !d.BallastReleased() {
				t.Error("a ballast was made in a lost dir")
			}
			if c.second && c.ours == "" {
				delete(before, "ballast") // the one dir has one, which the first server gave up
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			if c.second {
				now := read(t, path)
				for name, text := range before {
					if now[name] != text {
						t.Errorf("%s of the other server is changed", name)
					}
				}
			}
			if now := read(t, path+c.ours); c.ours != "" && now["admin.json"] != "" {
				t.Error("admin.json is still there")
			}
		})
	}
}

func TestTheDirMayBeALink(t *testing.T) {
	path, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Chmod(path, 0o755), os.Symlink(path, link)); err != nil {
		t.Fatal(err)
	}
	d := open(t, link, datadir.Options{})
	if err := d.Folder().Check(); err != nil || modeOf(t, path) != 0o700 || d.Path() != link {
		t.Errorf("%s: %v", d.Path(), err)
	}
	if err := errors.Join(os.Remove(link), os.Symlink(t.TempDir(), link)); err != nil {
		t.Fatal(err)
	}
	if datadir.Lost(link, d.Folder().Check()) == nil {
		t.Error("that it leads elsewhere was not noticed")
	}
}
