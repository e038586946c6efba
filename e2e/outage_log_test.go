//go:build unix

package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestALogThatNobodyReadsHoldsUpNothing: both outputs are pipes that are not read
// any more, for good or for a while, or whose reader is gone, from a random moment
// under load. Deliveries and probes are answered, a signal stops the process, and
// nothing is lost.
func TestALogThatNobodyReadsHoldsUpNothing(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	binary(t)
	trials, end := campaignTrials(t, 3, 300)
	var mu sync.Mutex
	total, slowest := &ledger{refused: map[int]int{}}, time.Duration(0)
	done := lanes(t, trials, end, func(t *testing.T, n int) {
		how := []string{"not read", "closed", "not read for a while"}[n%3]
		t.Run(fmt.Sprintf("%d %s", n, how), func(t *testing.T) {
			l, took := logTrial(t, rand.New(rand.NewPCG(seed, uint64(6000+n))), how)
			mu.Lock()
			defer mu.Unlock()
			total.add(l)
			slowest = max(slowest, took)
		})
	})
	line := fmt.Sprintf("a log that nobody reads: %d trials, %s, stopped within %v; seed %d", done, total.summary(), slowest.Round(time.Millisecond), seed)
	t.Log(line)
	progress("%s", line)
}

func logTrial(t *testing.T, rng *rand.Rand, how string) (*ledger, time.Duration) {
	s := startServer(t, serveOptions{})
	w := &witness{l: newLedger(rng)}
	stop := w.load(t, s, 8, 0)
	defer stop()
	began := time.Now()
	sent := func(n int) {
		t.Helper()
		from := w.acked(began)
		await(t, fmt.Sprintf("%d answers with a log that is %s", n, how), func() bool { return w.acked(began) >= from+n })
	}
	sent(rng.IntN(200))
	resume := func() {}
	if how == "closed" {
		_ = s.out.Close()
	} else {
		s.unread.Lock()
		resume = sync.OnceFunc(s.unread.Unlock)
		t.Cleanup(resume) // else the end of the process would be waited for in vain
	}
	sent(1500 + rng.IntN(500)) // far more lines than a pipe holds
	s.requireProbes(t)
	if how == "not read for a while" {
		resume()
		sent(200 + rng.IntN(500))
	}
	sig := stopSignal(rng)
	if rng.IntN(2) == 0 { // else it stops under load
		stop()
	}
	before := time.Now()
	took := s.stopsInTime(t, sig, 0)
	stop()
	resume()
	w.each(func(a answer) {
		if a.status != 200 && a.came.Before(before) || !slices.Contains([]int{0, 200, 503}, a.status) || a.came.Sub(a.sent) > stoppedWithin {
			t.Errorf("a delivery was answered %d after %v", a.status, a.came.Sub(a.sent))
		}
	})
	again := startServer(t, serveOptions{Dir: s.Dir})
	w.l.settle(t, again, &marks{})
	again.stop()
	return w.l, took
}

// stopSignal is one of those that end the process gracefully.
func stopSignal(rng *rand.Rand) syscall.Signal {
	return []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT}[rng.IntN(3)]
}
