package datadir_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"stockroom/internal/datadir"
)

// smallDisk mounts a file system of its own with size bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		t.Skipf("can't mount a small disk here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) })
	return path
}

// fillUp writes until the disk is full and returns the file it wrote.
func fillUp(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "products.db")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for buf := make([]byte, 4096); err == nil; {
		_, err = f.Write(buf)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func TestTheBallastTakesRealSpaceAndGivesItBack(t *testing.T) {
	path := t.TempDir()
	const size = 1 << 20
	d := open(t, path, datadir.Options{Ballast: size})
	ballast := filepath.Join(path, "ballast")
	blocks := func() int64 {
		info, err := os.Stat(ballast)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Blocks * 512
	}
	if got := blocks(); got < size {
		t.Errorf("the ballast takes %d bytes", got)
	}
	if !d.ReleaseBallast() || exists(ballast) || !d.BallastReleased() {
		t.Error("the ballast was not released")
	}
	if d.ReleaseBallast() {
		t.Error("a ballast that is gone was released again")
	}
	// A copy with holes takes no space.
	if err := os.Truncate(ballast, 0); err == nil {
		t.Fatal("the ballast is still there")
	}
	hole, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(hole.Truncate(size), hole.Close(), d.Mend()); err != nil {
		t.Fatal(err)
	}
	if got := blocks(); got < size || d.BallastReleased() {
		t.Errorf("a ballast with holes was kept: %d bytes", got)
	}
}

func TestOnAFullDiskTheBallastMakesRoomAndComesBackWhenThereIsSpace(t *testing.T) {
	path := smallDisk(t, "8m")
	o := datadir.Options{Ballast: 1 << 20}
	d := open(t, path, o)
	big := fillUp(t, path)

	if !d.ReleaseBallast() {
		t.Fatal("no ballast to release")
	}
	if free, err := d.Available(); err != nil || free < 1<<20 {
		t.Errorf("%d bytes free after the release, %v", free, err)
	}
	if err := d.Mend(); err != nil || !d.BallastReleased() {
		t.Errorf("the ballast came back on a full disk: %v", err)
	}
	if err := os.Truncate(big, 4096); err != nil {
		t.Fatal(err)
	}
	if err := d.Mend(); err != nil || d.BallastReleased() {
		t.Errorf("the ballast did not come back: %v", err)
	}
}

func TestStartingOnAFullDiskReleasesTheBallast(t *testing.T) {
	path := smallDisk(t, "8m")
	o := datadir.Options{Ballast: 1 << 20}
	if err := open(t, path, o).Close(); err != nil {
		t.Fatal(err)
	}
	fillUp(t, path)
	d := open(t, path, o)
	if !d.BallastReleased() || len(d.Warnings) != 1 {
		t.Errorf("released: %v, warnings %q", d.BallastReleased(), d.Warnings)
	}
	if err := d.Announce("http://127.0.0.1:1", "t"); err != nil {
		t.Errorf("no room for admin.json: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	// Without a ballast left it starts all the same.
	if d := open(t, path, o); !d.BallastReleased() {
		t.Error("a full disk was not noticed")
	}
}

func TestADiskOutOfInodesIsFull(t *testing.T) {
	path := smallDisk(t, "8m,nr_inodes=4") // the root, the lock, the ballast and one more
	o := datadir.Options{Ballast: 1 << 20}
	if err := open(t, path, o).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "products.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if d := open(t, path, o); !d.BallastReleased() || exists(filepath.Join(path, "ballast")) {
		t.Errorf("the ballast was not released, warnings %q", d.Warnings)
	}
}

func TestALockFileThatCantBeMadeTakesTheBallastsPlace(t *testing.T) {
	path := smallDisk(t, "8m,nr_inodes=3") // the root, the ballast and one more
	o := datadir.Options{Ballast: 1 << 20}
	if err := open(t, path, o).Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(path, "lock")), os.WriteFile(filepath.Join(path, "products.db"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if d := open(t, path, o); !d.BallastReleased() {
		t.Error("the ballast is still there")
	}
}

func TestAReadOnlyDiskIsRefused(t *testing.T) {
	path := smallDisk(t, "8m")
	if err := syscall.Mount("", path, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err := datadir.Open(path, datadir.Options{})
	if !errors.Is(err, syscall.EROFS) {
		t.Errorf("got %v", err)
	}
	var refused *datadir.DirError
	if !errors.As(err, &refused) || refused.Do == "" {
		t.Errorf("got %v", err)
	}
}
