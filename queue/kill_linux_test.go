package queue

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestMain turns the test binary into one of the programs below when the
// environment asks for it.
func TestMain(m *testing.M) {
	switch path := os.Getenv("QUEUE_PATH"); os.Getenv("QUEUE_PROGRAM") {
	case "busy":
		busyProgram(path)
	case "store":
		storeProgram(path)
	case "limited":
		limitedProgram(path)
	default:
		// Few long lives of a queue find more than many short ones.
		_ = flag.Set("rapid.steps", "120")
		_ = flag.Set("rapid.checks", "25")
		if torture() {
			_ = flag.Set("rapid.checks", "500")
		}
		os.Exit(m.Run())
	}
}

func program(name, path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "QUEUE_PROGRAM="+name, "QUEUE_PATH="+path)
	return cmd
}

func killOptions(path string) Options {
	return Options{Path: path, RetryDelay: 20 * time.Millisecond, MaxAttempts: 3}
}

// busyProgram stores and works jobs until it is killed and says what it does:
//
//	a ID               Enqueue returned
//	s ID ATTEMPT MS    a handler began, MS after the start of the program
//	d ID               a handler is about to return nil
func busyProgram(path string) {
	began := time.Now()
	q, err := Open(killOptions(path))
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	for _, kind := range []string{"apply", "fetch"} {
		go q.Work(context.Background(), kind, 8, jobTime, func(_ context.Context, j Job) error {
			say("s %d %d %d", j.ID, j.Attempts, time.Since(began).Milliseconds())
			switch j.ID % 10 {
			case 0:
				return errors.New("always fails")
			case 1:
				if j.Snoozes < 2 {
					return Snooze(time.Now(), "twice")
				}
			case 2:
				if j.Attempts < 2 {
					return errors.New("fails once")
				}
			}
			say("d %d", j.ID)
			return nil
		})
	}
	for c := range 3 {
		go func() {
			rnd := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(c)))
			for {
				j := NewJob{Kind: "apply", Payload: make([]byte, rnd.IntN(8000))}
				if rnd.IntN(4) == 0 {
					j.Kind, j.Key = "fetch", fmt.Sprint("p", rnd.IntN(20))
				}
				id, _, err := q.Enqueue(context.Background(), j)
				if err != nil {
					say("enqueue: %v", err)
					os.Exit(1)
				}
				if j.Key == "" {
					say("a %d", id)
				}
			}
		}()
	}
	select {}
}

func TestKilledAgainAndAgainLosesNoAcknowledgedJob(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	kills := 15
	if torture() {
		kills = 150
	}
	acked, done, inHand := map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}
	starts, resumed, slowest := 0, 0, 0
	for life := range kills {
		cmd := program("busy", path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killAfter := 50 + rand.IntN(1200) // lines
		now := map[uint64]bool{}
		in := bufio.NewScanner(out)
		for n := 0; in.Scan(); n++ {
			if n == killAfter {
				_ = cmd.Process.Kill()
			}
			var id uint64
			var attempt, ms int
			switch line := in.Text(); {
			case scan(line, "a %d", &id):
				acked[id] = true
			case scan(line, "s %d %d %d", &id, &attempt, &ms):
				starts++
				if attempt < 1 || attempt > 3 {
					t.Errorf("life %d: job %d began attempt %d", life, id, attempt)
				}
				if inHand[id] {
					delete(inHand, id)
					resumed++
					slowest = max(slowest, ms)
				}
				now[id] = true
			case scan(line, "d %d", &id):
				done[id] = true
			default:
				if n < killAfter { // else the line was cut by the kill
					t.Fatalf("life %d: %s", life, line)
				}
			}
		}
		_ = cmd.Wait()
		inHand = now
	}
	if resumed == 0 {
		t.Error("no job that was in hand at a kill began again")
	}

	requireSound(t, path)
	d := newDesk(t, killOptions(path), time.Now())
	requireSame(t, d)
	left, byState := map[uint64]bool{}, map[State]int{}
	for after := uint64(0); ; {
		jobs, next, err := d.q.List(t.Context(), Filter{After: after, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			left[j.ID] = true
			byState[j.State]++
			if j.Attempts > 3 || j.Reclaims > 3 || j.State == Dead && (j.LastError == "" || j.Class == "") {
				t.Errorf("got %+v", j)
			}
		}
		if after = next; next == 0 {
			break
		}
	}
	d.close()
	lost := 0
	for id := range acked {
		if !done[id] && !left[id] {
			lost++
		}
	}
	if lost > 0 || len(acked) < 100 {
		t.Errorf("%d of %d acknowledged jobs are nowhere", lost, len(acked))
	}
	t.Logf("%d kills: %d acknowledged, %d handler starts, %d resumed (slowest %d ms), %v left", kills, len(acked), starts, resumed, slowest, byState)

	// What is left is worked to its end.
	q := started(t, killOptions(path))
	var failing atomic.Int64
	for _, kind := range []string{"apply", "fetch"} {
		stop := work(t, q, kind, 8, func(_ context.Context, j Job) error {
			if j.Attempts > 3 {
				failing.Add(1)
			}
			return nil
		})
		defer stop()
	}
	for waited := time.Now(); q.Stats().Waiting+q.Stats().Leased > 0; {
		if time.Since(waited) > 2*time.Minute {
			t.Fatalf("left: %+v", q.Stats())
		}
		mustEnqueue(t, q, NewJob{Kind: "tick"})
		if _, err := q.DiscardAll(t.Context(), Filter{State: Waiting, Kind: "tick"}, anyJob); err != nil {
			t.Fatal(err)
		}
	}
	if failing.Load() > 0 {
		t.Errorf("%d attempts beyond the limit", failing.Load())
	}
}

// scan reads a whole line.
func scan(line, format string, args ...any) bool {
	n, err := fmt.Sscanf(line, format, args...)
	return err == nil && n == len(args) && strings.Count(line, " ") == len(args)
}

// limitedProgram meets a file size limit while it stores jobs, waits until it is
// lifted, and says how that went.
func limitedProgram(path string) {
	signal.Ignore(syscall.SIGXFSZ)
	q, err := Open(Options{Path: path})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	var old syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old)
	limit := syscall.Rlimit{Cur: 256 << 10, Max: old.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println("limit:", err)
		os.Exit(1)
	}
	stored, refused := 0, 0
	for refused < 5 {
		_, _, err := q.Enqueue(context.Background(), NewJob{Kind: "apply", Payload: make([]byte, 8000)})
		switch {
		case err == nil:
			stored++
		case errors.Is(err, ErrUnavailable):
			refused++
		default:
			fmt.Println("enqueue:", err)
			os.Exit(1)
		}
	}
	if n := q.Stats().Waiting; n != stored {
		fmt.Printf("%d jobs, but %d were acknowledged\n", n, stored)
		os.Exit(1)
	}
	_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)
	for tries := 0; ; tries++ {
		if _, _, err = q.Enqueue(context.Background(), NewJob{Kind: "apply"}); err == nil {
			break
		}
		if tries > 6000 {
			fmt.Println("no recovery:", err)
			os.Exit(1)
		}
		<-time.After(10 * time.Millisecond)
	}
	if err := q.Close(); err != nil {
		fmt.Println("close:", err)
		os.Exit(1)
	}
	fmt.Println("stored", stored+1)
	os.Exit(0)
}

func TestFileSizeLimitRefusesJobsAndTheQueueRecoversByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	out, err := program("limited", path).Output()
	var stored int
	if _, serr := fmt.Sscanf(string(out), "stored %d", &stored); err != nil || serr != nil || stored < 5 {
		t.Fatalf("%v: %s", err, out)
	}
	requireSound(t, path)
	d := newDesk(t, Options{Path: path}, time.Now())
	defer d.close()
	if n := len(d.all()); n != stored {
		t.Errorf("%d jobs, want %d", n, stored)
	}
}
