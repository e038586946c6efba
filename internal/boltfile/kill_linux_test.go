package boltfile

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestMain turns the test binary into a program that kills itself (SIGKILL), and
// if asked cuts the power first, at the step named in the environment.
func TestMain(m *testing.M) {
	step, path := os.Getenv("BOLTFILE_KILL_AT"), os.Getenv("BOLTFILE_PATH")
	if step == "" {
		os.Exit(m.Run())
	}
	die := func(s string) error {
		if s != step {
			return nil
		}
		if os.Getenv("BOLTFILE_CUT") != "" {
			if err := cutPower(path); err != nil {
				os.Exit(4)
			}
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	o, err := Open(path, Options{compactAbove: 1, fault: die})
	if err != nil {
		os.Exit(3)
	}
	_ = die("opened")
	_ = o.Close()
	os.Exit(0)
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
					o := mustOpen(t, path, Options{compactAbove: never})
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
				o := mustOpen(t, path, Options{compactAbove: never})
				// The start that was killed could not tell anybody of the damage.
				if told := o.Quarantined != ""; told != (start == "damaged" && o.Fresh) {
					t.Errorf("quarantined as %q: %s", o.Quarantined, o.Reason)
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
