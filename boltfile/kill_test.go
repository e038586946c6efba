//go:build unix

package boltfile

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestMain turns the test binary into a program that kills itself (SIGKILL) at
// the step named in the environment.
func TestMain(m *testing.M) {
	if step := os.Getenv("BOLTFILE_KILL_AT"); step != "" {
		o, err := Open(os.Getenv("BOLTFILE_PATH"), Options{CompactAbove: 1, fault: func(s string) error {
			if s == step {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			return nil
		}})
		if err != nil {
			os.Exit(3)
		}
		_ = o.Close()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestKilledAtAnyStepLeavesNothingOrASoundFile(t *testing.T) {
	steps := []string{
		"create: before write", "create: before rename", "create: before directory sync",
		"rewrite: before copy", "rewrite: before rename", "rewrite: before directory sync",
	}
	for _, step := range steps {
		for _, start := range []string{"none", "sample", "damaged"} {
			if (step[0] == 'r') != (start == "sample") {
				continue
			}
			t.Run(step+", "+start, func(t *testing.T) {
				path := boltPath(t)
				switch start {
				case "sample":
					writeSample(t, path, rand.New(rand.NewPCG(9, 9)))
					o := mustOpen(t, path, Options{CompactAbove: -1})
					update(t, o, deleteBucket("large"))
					_ = o.Close()
				case "damaged":
					if err := os.WriteFile(path, []byte("not bolt"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), "BOLTFILE_KILL_AT="+step, "BOLTFILE_PATH="+path)
				err := cmd.Run()
				if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
					t.Fatalf("the program did not reach the step: %v", err)
				}
				o := mustOpen(t, path, Options{CompactAbove: -1})
				if o.Quarantined != "" {
					t.Errorf("quarantined after the kill: %s", o.Reason)
				}
				if n, broken := census(t, o); start == "sample" && n < sampleKeys || broken != 0 {
					t.Errorf("%d records, %d broken", n, broken)
				}
				requireUsable(t, o, path, rand.New(rand.NewPCG(10, 10)))
				if left, _ := filepath.Glob(path + ".[nr]*"); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
				aside, _ := filepath.Glob(path + ".damaged-*")
				if (start == "damaged") != (len(aside) == 1) {
					t.Errorf("set aside: %v", aside)
				}
			})
		}
	}
}
