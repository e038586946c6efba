package queue

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// storeProgram stores jobs until it is killed and says which are acknowledged.
func storeProgram(path string) {
	q, err := Open(Options{Path: path})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	for range 8 {
		go func() {
			for {
				id, _, err := q.Enqueue(context.Background(), NewJob{Kind: "apply", Payload: make([]byte, rand.IntN(9000))})
				if err == nil {
					mu.Lock()
					fmt.Println("a", id)
					mu.Unlock()
				}
			}
		}()
	}
	select {}
}

// powerCut makes the file system of dir forget everything that was not synced.
func powerCut(dir string) error {
	const shutdown, noLogFlush = 0x8004587d, 2
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), shutdown, noLogFlush)
}

func TestPowerCutLosesNoAcknowledgedJob(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: cutting the power of a file system needs root")
	}
	image, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	must := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Skipf("skipped: no loop-mounted ext4 here (%s: %v: %s)", name, err, out)
		}
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 256<<20); err != nil {
		t.Fatal(err)
	}
	must("mkfs.ext4", "-q", image)
	must("mount", "-o", "loop", image, dir)
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	path := filepath.Join(dir, "queue.db")

	cuts := 2
	if torture() {
		cuts = 50
	}
	acked := map[uint64]bool{}
	for cut := range cuts {
		cmd := program("store", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stopAt := 20 + rand.IntN(400)
		in := bufio.NewScanner(out)
		for n := 0; in.Scan(); n++ {
			var id uint64
			if scan(in.Text(), "a %d", &id) {
				acked[id] = true
			} else if n < stopAt {
				t.Fatalf("cut %d: %s", cut, in.Text())
			}
			if n == stopAt {
				if err := powerCut(dir); err != nil {
					_ = cmd.Process.Kill()
					t.Skipf("skipped: this file system has no power switch (%v)", err)
				}
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		must("umount", dir)
		must("mount", "-o", "loop", image, dir)

		requireSound(t, path)
		q := started(t, Options{Path: path})
		if moved, reason, _ := q.Quarantined(); reason != "" {
			t.Fatalf("cut %d: set aside as %q: %s", cut, moved, reason)
		}
		lost := 0
		for id := range acked {
			if _, err := q.Get(t.Context(), id); err != nil {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("cut %d: %d of %d acknowledged jobs are gone", cut, lost, len(acked))
		}
		// Pages come free and are used again, so that old ones get overwritten.
		if _, err := q.DiscardAll(t.Context(), Filter{State: Waiting}, anyJob); err != nil {
			t.Fatal(err)
		}
		clear(acked)
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
