package syncer

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stockroom/internal/bulk/bulktest"
	"stockroom/store"
)

// TestAFullSyncKilledAtAnyMomentEndsAsAnUndisturbedOne kills the process at
// random moments and takes the run up again, until it comes to its end. The copy
// is then the same, row for row, and the run is proven at its first reading.
func TestAFullSyncKilledAtAnyMomentEndsAsAnUndisturbedOne(t *testing.T) {
	lines, kills, orders := 60_000, 5, []bulktest.Order{bulktest.Ungrouped, bulktest.Shuffled}
	if raceEnabled {
		lines, kills = 5000, 2
	}
	if long() {
		lines, kills, orders = 1_000_000, 20, append(orders, bulktest.Grouped)
	}
	for _, order := range orders {
		t.Run(string(order), func(t *testing.T) { killFullSync(t, order, lines, kills) })
	}
}

func killFullSync(t *testing.T, order bulktest.Order, lines, kills int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	srv, x := newLineServer(t, order, lines)
	calm := filepath.Join(t.TempDir(), "calm")
	whole := x.finish(t, srv, calm)
	products, variants, want := content(t, calm)
	if !whole.Run.Proven || products != x.lines/bulktest.Each || variants != products*(bulktest.Each-2) {
		t.Fatalf("undisturbed: %+v, %d products, %d variants", whole.Run, products, variants)
	}
	if mib := whole.PeakKiB >> 10; mib >= 128 && !raceEnabled {
		t.Errorf("%d MiB of memory at most for %d lines", mib, x.lines)
	}
	dir := filepath.Join(t.TempDir(), "killed")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// A process needs some time before it begins.
	most := time.Duration(whole.Seconds*float64(time.Second))*2/time.Duration(kills) + 300*time.Millisecond
	resumed := 0
	for killed := 0; killed < kills; {
		had, begun := saved(t, dir), srv.begun.Load()
		cmd, out, err := x.child(srv, dir)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-time.After(time.Duration(rnd.Int64N(int64(most)))):
			_ = cmd.Process.Kill() // it may have ended by itself
			if err := <-ended; err != nil {
				killed++
				break
			}
			t.Logf("at its end after %d kills", killed)
			killed = kills
		case err := <-ended:
			if err != nil {
				t.Fatalf("it ended by itself after %d kills: %v: %s", killed, err, out)
			}
			t.Logf("at its end after %d kills", killed)
			killed = kills
		}
		if strings.Contains(out.String(), "FAIL") {
			t.Fatalf("after %d kills: %s", killed, out)
		}
		if had {
			resumed++
			if srv.begun.Load() > begun {
				t.Errorf("after %d kills the result was read from its beginning, although that was not needed any more", killed)
			}
		}
	}
	had, begun := saved(t, dir), srv.begun.Load()
	last := x.finish(t, srv, dir)
	if last.Run.State != store.RunDone || !last.Run.Proven || last.Run.Error != "" || last.Run.Added != int64(products) || last.Run.Objects != int64(x.lines) {
		t.Errorf("%+v", last.Run)
	}
	if p, v, got := content(t, dir); got != want {
		t.Errorf("%d products and %d variants, not the same as the %d and %d of an undisturbed run", p, v, products, variants)
	}
	t.Logf("%d lines, undisturbed %.1f s, %d MiB at most; %d kills, %d of them in a run that had come further than the first line", x.lines, whole.Seconds, whole.PeakKiB>>10, kills, resumed)
	if had && srv.begun.Load() > begun {
		t.Error("at last the result was read from its beginning, although that was not needed any more")
	}
	if left := filesLike(t, dir, "sync-"); len(left) > 0 {
		t.Errorf("temporary files stay: %v", left)
	}
}
