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
	if os.Geteuid() != 0 {
		t.Skip("skipped: cutting the power of a file system needs root")
	}
	image, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Skipf("skipped: no loop-mounted ext4 here (%s: %v: %s)", name, err, out)
		}
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	run("mkfs.ext4", "-q", image)
	run("mount", "-o", "loop", image, dir)
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })

	cases := []struct{ start, step string }{
		{"nothing", "create: before directory sync"},
		{"nothing", "opened"},
		{"sample", "rewrite: before directory sync"},
		{"nothing", "create: before write"},
		{"nothing", "create: before rename"},
		{"damaged", "create: before write"},
		{"damaged", "create: before directory sync"},
		{"damaged", "opened"},
		{"sample", "rewrite: before copy"},
		{"sample", "rewrite: before rename"},
		{"sample", "opened"},
	}
	if os.Getenv("STOCKROOM_TORTURE") == "" {
		cases = cases[:3]
	}
	for i, c := range cases {
		t.Run(c.start+", "+c.step, func(t *testing.T) {
			path := filepath.Join(dir, string(rune('a'+i)), "state.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			want := 0
			switch c.start {
			case "sample":
				writeSample(t, path, rand.New(rand.NewPCG(11, 11)))
				o := mustOpen(t, path, Options{CompactAbove: -1})
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
			cmd.Env = append(os.Environ(), "BOLTFILE_KILL_AT="+c.step, "BOLTFILE_CUT=1", "BOLTFILE_PATH="+path)
			err := cmd.Run()
			if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
				t.Fatalf("the program did not reach the step: %v", err)
			}
			run("umount", dir)
			run("mount", "-o", "loop", image, dir)
			_, err = os.Stat(path)
			if missing := errors.Is(err, fs.ErrNotExist); missing && (c.step == "opened" || c.start == "sample") {
				t.Fatal("the file is gone")
			}
			o := mustOpen(t, path, Options{CompactAbove: -1})
			if c.start != "damaged" && (o.Quarantined != "" || o.Suspect != "") || c.step == "opened" && o.Quarantined != "" {
				t.Errorf("quarantined %q, suspect %q: %s", o.Quarantined, o.Suspect, o.Reason)
			}
			if n, broken := census(t, o); n != want || broken != 0 {
				t.Errorf("%d records, want %d; %d broken", n, want, broken)
			}
			if aside, _ := filepath.Glob(path + ".damaged-*"); c.start == "damaged" && len(aside) != 1 {
				t.Errorf("set aside: %v", aside)
			}
			requireUsable(t, o, path, rand.New(rand.NewPCG(12, 12)))
		})
	}
}
