package limiter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"stockroom/internal/uptime"
)

// spentThenCrash spends 50 of 80 points at epoch and dies without Close.
func spentThenCrash(t *testing.T, db *bolt.DB, m *machine) {
	t.Helper()
	l := openLimiter(t, db, Options{Fixed: true, Uptime: m.uptime})
	l.Snapshot(shopA)
	until(0)
	for range 50 { // one by one: what is under way when the lease is noted burns with it
		if !spend(l, Bulk, 1) {
			t.Fatal("denied")
		}
	}
	l.settled()
	l.crash()
}

// most takes all the points that are to be had now.
func most(l *Limiter) int {
	n := 0
	for spend(l, Bulk, 1) {
		n++
	}
	return n
}

func TestAfterACrash(t *testing.T) {
	cases := []struct {
		name        string
		boot        string        // "" = the same
		passed      time.Duration // true time until the restart
		jump        time.Duration // what the wall clock did besides
		least, most int           // points to be had at the restart
	}{
		{"what was spent stays spent and the lease burns", "", time.Second, 0, 10, 30},
		{"a window later all of the log is free, the lease is not", "", time.Minute, 0, 60, 79},
		{"a wall clock that jumps ahead frees nothing", "", time.Second, 24 * time.Hour, 10, 30},
		{"a wall clock that falls back frees nothing", "", time.Minute, -24 * time.Hour, 10, 30},
		{"a wall clock in 1970 frees nothing", "", time.Minute, -56 * 365 * 24 * time.Hour, 10, 30},
		{"after a reboot no time has passed", "another", time.Minute, 0, 10, 30},
		{"after a reboot with a clock ahead no time has passed", "another", time.Second, 24 * time.Hour, 10, 30},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, m := openDB(t), newMachine()
				spentThenCrash(t, db, m)
				until(tc.passed)
				if tc.boot != "" {
					m.reboot(tc.boot, 48*time.Hour)
				}
				l := openLimiter(t, db, Options{Fixed: true, Uptime: m.uptime})
				l.start.Wall += int64(tc.jump)
				if n := most(l); n < tc.least || n > tc.most {
					t.Errorf("%d points to be had, want %d to %d", n, tc.least, tc.most)
				}
				// under-granting is at most one window's worth
				until(tc.passed + time.Minute)
				if n := most(l); n != 80 {
					t.Errorf("%d points one window later", n)
				}
			})
		})
	}
}

func TestACleanCloseReturnsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, m := openDB(t), newMachine()
		spentThenCrash(t, db, m)
		until(9 * time.Minute)
		o := Options{Fixed: true, Uptime: m.uptime}
		l := openLimiter(t, db, o)
		most(l)
		until(10 * time.Minute)
		spend(l, Bulk, 7)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if n := most(openLimiter(t, db, o)); n != 73 {
			t.Errorf("%d points after a clean close, want 73", n)
		}
	})
}

func TestAProcessThatDiesOverAndOverAfterARebootRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, m := openDB(t), newMachine()
		o := Options{Fixed: true, Uptime: m.uptime}
		spentThenCrash(t, db, m)
		until(time.Minute)
		m.reboot("two", 0)
		for range 7 { // never alive for a whole window
			l := openLimiter(t, db, o)
			l.Snapshot(shopA)
			l.settled()
			l.crash()
			time.Sleep(10 * time.Second)
		}
		if n := most(openLimiter(t, db, o)); n < 50 {
			t.Errorf("%d points to be had a whole window after the reboot", n)
		}
	})
}

func TestGrantsUnderWayAtACloseCountAsSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, m := openDB(t), newMachine()
		o := Options{Fixed: true, Uptime: m.uptime}
		l := openLimiter(t, db, o)
		l.Snapshot(shopA)
		until(0)
		g := grab(t, l, Bulk, 30)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		g.Settle(Answer{Actual: 0}) // too late to change anything
		if n := most(openLimiter(t, db, o)); n != 50 {
			t.Errorf("%d points, want 50", n)
		}
	})
}

func TestStateThatIsDamagedCountsAsAFullSpentWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, m := openDB(t), newMachine()
		spentThenCrash(t, db, m)
		var good []byte
		put := func(rec []byte) {
			err := db.Update(func(tx *bolt.Tx) error {
				b := tx.Bucket(rootBucket).Bucket(shopsBucket)
				if good == nil {
					good = append(good, b.Get([]byte(shopA))...)
					return nil
				}
				return b.Put([]byte(shopA), rec)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		put(nil) // reads it
		if _, err := decodeRecord(shopA, good); err != nil {
			t.Fatal(err)
		}
		if _, err := decodeRecord("other", good); err == nil {
			t.Error("a record was read under another shop's name")
		}
		until(time.Hour)
		try := func(name string, rec []byte) {
			put(rec)
			l := openLimiter(t, db, Options{Fixed: true, Uptime: m.uptime})
			l.Snapshot(shopA)
			time.Sleep(time.Minute - 1)
			early := spend(l, Bulk, 1)
			time.Sleep(1 * time.Nanosecond)
			if early || !spend(l, Bulk, 80) {
				t.Errorf("%s: not a full spent window", name)
			}
			l.crash()
		}
		for i := range good {
			bad := append([]byte(nil), good...)
			bad[i] ^= 1 << (i % 8)
			try(fmt.Sprint("byte ", i, " flipped"), bad)
			try(fmt.Sprint("cut at ", i), good[:i])
		}
		put(good)
		l := openLimiter(t, db, Options{Fixed: true, Window: 2 * time.Minute, Uptime: m.uptime})
		l.Snapshot(shopA)
		time.Sleep(2*time.Minute - 1)
		if n := most(l); n != 0 {
			t.Error("a log shorter than the window was believed")
		}
	})
}

func TestWhatWasLearntSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, m := openDB(t), newMachine()
		o := Options{Uptime: m.uptime}
		l := openLimiter(t, db, o)
		until(0)
		g, err := probe(l)
		if err != nil {
			t.Fatal(err)
		}
		g.Settle(Answer{Actual: 1, Status: &ThrottleStatus{4000, 3999, 200.5}})
		g, err = l.Acquire(t.Context(), Call{Shop: shopA, Query: "products/250", Cost: 200})
		if err != nil {
			t.Fatal(err)
		}
		g.Settle(Answer{Actual: 160, Requested: 167, Until: at(30 * time.Second)})
		l.settled()
		l.crash()
		until(10 * time.Second)
		l = openLimiter(t, db, o)
		s, _ := l.Snapshot(shopA)
		if s.Mode != "adaptive" || s.Server.MaximumAvailable != 4000 || s.Server.RestoreRate != 200.5 {
			t.Errorf("%+v", s)
		}
		if !s.Penalty.Equal(at(30 * time.Second)) {
			t.Errorf("penalty until %v", s.Penalty)
		}
		if l.wantsProbe() {
			t.Error("wants a probe although the budget is known")
		}
		if b := l.Bound("products/250", 999); b != 167 {
			t.Errorf("bound %d", b)
		}
	})
}

func TestAProbeIsNotedOnDiskBeforeItGoesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, m := openDB(t), newMachine()
		o := Options{Uptime: m.uptime}
		for range 5 { // a process that dies over and over
			l := openLimiter(t, db, o)
			probe(l)
			l.crash()
		}
		l := openLimiter(t, db, o)
		if _, err := probe(l); err == nil {
			t.Errorf("a second probe within a window: %v", err)
		}
	})
}

func TestNoLeaseNoGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &flaky{DB: openDB(t)}
		l := openLimiter(t, db, Options{Fixed: true})
		l.Snapshot(shopA)
		until(0)
		snap, _ := l.Snapshot(shopA)
		db.down.Store(true)
		if n := most(l); n != snap.Leased {
			t.Errorf("granted %d points with %d on disk", n, snap.Leased)
		}
		if _, err := l.Acquire(t.Context(), Call{Shop: shopA, Class: Bulk, Cost: 1}); !errors.Is(err, syscall.EIO) {
			t.Errorf("got %v", err)
		}
	})
}

// flaky is a store that fails and is mended.
type flaky struct {
	*bolt.DB
	down atomic.Bool
}

func (f *flaky) Update(fn func(*bolt.Tx) error) error {
	if f.down.Load() {
		return syscall.EIO
	}
	return f.DB.Update(fn)
}

func TestAStoreThatIsMendedGrantsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &flaky{DB: openDB(t)}
		l := openLimiter(t, db, Options{Fixed: true})
		l.Snapshot(shopA)
		until(0)
		db.down.Store(true)
		lost := most(l)
		if lost > 15 {
			t.Errorf("granted %d points that were not on disk", lost)
		}
		db.down.Store(false)
		if n := most(l); n != 80-lost {
			t.Errorf("%d points after the mending, want %d", n, 80-lost)
		}
	})
}

func TestForgetAndCompact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, m := openDB(t), newMachine()
		l := openLimiter(t, db, Options{Fixed: true, Uptime: m.uptime})
		l.Snapshot(shopA)
		until(0)
		spend(l, Bulk, 80)
		l.settled()
		until(time.Minute)
		if l.Compact(); l.flushing || len(l.shops) != 1 {
			t.Error("dropped a shop in use")
		}
		until(3 * time.Minute)
		l.Compact()
		if l.settled(); len(l.shops) != 0 {
			t.Error("kept an idle shop")
		}
		if n := most(l); n != 80 {
			t.Errorf("%d points after compaction, want 80", n)
		}
		if err := l.Forget(shopA); err != nil {
			t.Fatal(err)
		}
		until(7 * time.Minute)
		l.Snapshot(shopA)
		until(8*time.Minute - 1)
		early := spend(l, Bulk, 1)
		until(8 * time.Minute)
		if early || !spend(l, Bulk, 80) {
			t.Error("a forgotten shop does not start with a spent window")
		}
	})
}

func TestAShopThatIsAskedForWhileItIsPutAwayStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, db := newMachine(), &hooked{DB: openDB(t)}
		o := Options{Fixed: true, Uptime: m.uptime}
		l := openLimiter(t, db, o)
		l.Snapshot(shopA)
		until(0)
		g := grab(t, l, Bulk, 40)
		g.Settle(Answer{Actual: 40, Until: at(time.Hour)})
		l.settled()
		until(10 * time.Minute)
		lift := func() { l.Lift(shopA) }
		db.before.Store(&lift)
		l.Compact()
		if l.settled(); len(l.shops) != 1 {
			t.Error("dropped a shop that somebody wants")
		}
		l.crash()
		l = openLimiter(t, db.DB, o)
		if s, _ := l.Snapshot(shopA); !s.Penalty.IsZero() {
			t.Errorf("the wait that a person ended is back after a crash: %+v", s)
		}
	})
}

// TestKill9 spends points in a process that is killed, over and over, and adds
// up what it reported before it died, by the clock since boot.
func TestKill9(t *testing.T) {
	if dir := os.Getenv("LIMITER_KILL9"); dir != "" {
		spendUntilKilled(dir)
		return
	}
	if _, _, ok := uptime.Machine(); !ok {
		t.Skip("no boot clock on this system: a restart always counts as no time passed")
	}
	rounds := 6
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		rounds = 200
	}
	const window, budget = 500 * time.Millisecond, 4000
	dir := t.TempDir()
	type grant struct {
		up     time.Duration
		points int
	}
	var grants []grant
	for r := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill9$")
		cmd.Env = append(os.Environ(), "LIMITER_KILL9="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		stop := 200 + 331*r%800
		for n := 0; lines.Scan(); n++ {
			up, points, ok := strings.Cut(lines.Text(), " ")
			ns, err := strconv.ParseInt(up, 10, 64)
			p, err2 := strconv.Atoi(points)
			if ok && err == nil && err2 == nil {
				grants = append(grants, grant{time.Duration(ns), p})
			}
			if n == stop {
				cmd.Process.Signal(syscall.SIGKILL)
			}
		}
		cmd.Wait()
	}
	total, sum, first := 0, 0, 0
	for _, g := range grants {
		total += g.points
		sum += g.points
		for grants[first].up <= g.up-window {
			sum -= grants[first].points
			first++
		}
		if sum > budget {
			t.Fatalf("a window of %v holds %d of %d points", window, sum, budget)
		}
	}
	if total < 2*budget {
		t.Errorf("only %d points in %d lives", total, rounds)
	}
	t.Logf("%d grants, %d points in %d lives", len(grants), total, rounds)
}

// spendUntilKilled reports each call while it is under way, as a shop that
// counts it at that moment would.
func spendUntilKilled(dir string) {
	db, err := bolt.Open(filepath.Join(dir, "state.db"), 0o600, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := Open(db, Options{Fixed: true, Points: 4000, Window: 500 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := 0; ; i++ {
		cost := 1 + i*7%20
		g, err := l.Acquire(context.Background(), Call{Shop: shopA, Class: Bulk, Cost: cost})
		if err != nil {
			continue
		}
		_, up, _ := uptime.Machine()
		// one write per line: a kill loses a whole line or none
		os.Stdout.WriteString(fmt.Sprintf("%d %d\n", up, cost))
		g.Settle(Answer{Actual: cost})
	}
}
