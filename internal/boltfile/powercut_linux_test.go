package boltfile

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// cutPower makes the file system that holds path forget all that was not synced.
func cutPower(path string) error {
	const shutdown, noLogFlush = 0x8004587d, 2
	f, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), shutdown, noLogFlush)
}

// The power fails during the very first start, while a damaged file is replaced
// and while a file is compacted. What is found afterwards is nothing or a sound
// file, and once Open has returned the file stays.
func TestPowerCutAtAnyStepLeavesNothingOrASoundFile(t *testing.T) {
	cases := []struct{ start, step string }{
		{"nothing", "create: before directory sync"},
		{"nothing", "opened"},
		{"sample", "opened"},
		{"sample", "rewrite: before directory sync"},
		{"nothing", "create: before write"},
		{"nothing", "create: before rename"},
		{"damaged", "create: before write"},
		{"damaged", "create: before directory sync"},
		{"damaged", "opened"},
		{"sample", "rewrite: before copy"},
		{"sample", "rewrite: before rename"},
	}
	if os.Getenv("STOCKROOM_TORTURE") == "" {
		cases = cases[:3]
	}
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			d := newDisk(t, kind)
			for i, c := range cases {
				t.Run(c.start+", "+c.step, func(t *testing.T) {
					path := filepath.Join(d.dir, string(rune('a'+i)), "state.db")
					if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
						t.Fatal(err)
					}
					cutAt(t, d, path, c.start, c.step)
				})
			}
		})
	}
}

func cutAt(t *testing.T, d *disk, path, start, step string) {
	want := 0
	switch start {
	case "sample":
		writeSample(t, path, rand.New(rand.NewPCG(11, 11)))
		o := mustOpen(t, path, Options{compactAbove: never})
		update(t, o, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("large")) })
		want, _ = census(t, o)
		_ = o.Close()
	case "damaged":
		if err := os.WriteFile(path, []byte("not bolt"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unix.Sync()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BOLTFILE_KILL_AT="+step, "BOLTFILE_CUT=1", "BOLTFILE_PATH="+path)
	err := cmd.Run()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
		t.Fatalf("the program did not reach the step: %v", err)
	}
	d.run(t, "umount", d.dir)
	d.run(t, "mount", "-o", "loop", d.image, d.dir)
	_, err = os.Stat(path)
	if missing := errors.Is(err, fs.ErrNotExist); missing && (step == "opened" || start == "sample") {
		t.Fatal("the file is gone")
	}
	o := mustOpen(t, path, Options{compactAbove: never})
	if start != "damaged" && (o.Quarantined != "" || o.Suspect != "") || step == "opened" && o.Quarantined != "" {
		t.Errorf("quarantined %q, suspect %q: %s", o.Quarantined, o.Suspect, o.Reason)
	}
	if n, broken := census(t, o); n != want || broken != 0 {
		t.Errorf("%d records, want %d; %d broken", n, want, broken)
	}
	if aside, _ := filepath.Glob(path + ".damaged-*"); start == "damaged" && len(aside) != 1 {
		t.Errorf("set aside: %v", aside)
	}
	requireUsable(t, o, path, rand.New(rand.NewPCG(12, 12)))
}

// disk is a file system in a file.
type disk struct{ image, dir string }

func newDisk(t *testing.T, kind string) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: cutting the power of a file system needs root")
	}
	d := &disk{image: filepath.Join(t.TempDir(), "disk"), dir: t.TempDir()}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, 320<<20); err != nil {
		t.Fatal(err)
	}
	d.run(t, "mkfs."+kind, "-q", d.image)
	d.run(t, "mount", "-o", "loop", d.image, d.dir)
	t.Cleanup(func() { _ = exec.Command("umount", "-l", d.dir).Run() })
	return d
}

// run skips the test where loop-mounted file systems are not to be had.
func (d *disk) run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Skipf("skipped: no loop-mounted file system here (%s: %v: %s)", name, err, out)
	}
}
