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
	"time"

	bolt "go.etcd.io/bbolt"
)

// spentThenCrash spends 50 of 80 points at epoch+60 s and dies without Close.
func spentThenCrash(t *testing.T, db *bolt.DB, m *machine) {
	t.Helper()
	o := Options{Fixed: true, Uptime: m.uptime}
	l := openAt(t, epoch, db, o)
	l.SnapshotAt(epoch, shopA)
	l.settled()
	m.pass(time.Minute)
	if !l.AllowAt(at(time.Minute), shopA, Bulk, 50) {
		t.Fatal("denied")
	}
	l.settled()
	l.crash()
}

func most(l *Limiter, now time.Time) int {
	n := 0
	for l.AllowAt(now, shopA, Bulk, 1) {
		n++
	}
	return n
}

func TestAfterACrash(t *testing.T) {
	spent := at(time.Minute)
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
			db, m := openDB(t), &machine{boot: "one"}
			spentThenCrash(t, db, m)
			m.pass(tc.passed)
			if tc.boot != "" {
				m.reboot(tc.boot, 48*time.Hour)
			}
			now := spent.Add(tc.passed + tc.jump)
			l := openAt(t, now, db, Options{Fixed: true, Uptime: m.uptime})
			if n := most(l, now); n < tc.least || n > tc.most {
				t.Errorf("%d points to be had, want %d to %d", n, tc.least, tc.most)
			}
			// under-granting is at most one window's worth
			if n := most(l, now.Add(time.Minute)); n != 80 {
				t.Errorf("%d points one window later", n)
			}
		})
	}
}

func TestACleanCloseReturnsTheLease(t *testing.T) {
	db, m := openDB(t), &machine{boot: "one"}
	spentThenCrash(t, db, m)
	now := at(10 * time.Minute)
	m.pass(9 * time.Minute)
	o := Options{Fixed: true, Uptime: m.uptime}
	l := openAt(t, now, db, o)
	most(l, now)
	now = now.Add(time.Minute)
	m.pass(time.Minute)
	l.AllowAt(now, shopA, Bulk, 7)
	if err := l.CloseAt(now); err != nil {
		t.Fatal(err)
	}
	l = openAt(t, now, db, o)
	if n := most(l, now); n != 73 {
		t.Errorf("%d points after a clean close, want 73", n)
	}
}

func TestAProcessThatDiesOverAndOverAfterARebootRecovers(t *testing.T) {
	db, m := openDB(t), &machine{boot: "one"}
	spentThenCrash(t, db, m)
	m.reboot("two", 0)
	now := at(2 * time.Minute)
	for range 7 { // never alive for a whole window
		l := openAt(t, now, db, Options{Fixed: true, Uptime: m.uptime})
		l.SnapshotAt(now, shopA)
		l.settled()
		l.crash()
		now = now.Add(10 * time.Second)
		m.pass(10 * time.Second)
	}
	l := openAt(t, now, db, Options{Fixed: true, Uptime: m.uptime})
	if n := most(l, now); n < 50 {
		t.Errorf("%d points to be had a whole window after the reboot", n)
	}
}

func TestGrantsUnderWayAtACloseCountAsSpent(t *testing.T) {
	db, m := openDB(t), &machine{boot: "one"}
	o := Options{Fixed: true, Uptime: m.uptime}
	l := openAt(t, epoch, db, o)
	l.SnapshotAt(epoch, shopA)
	now := at(time.Minute)
	g, err := l.ReserveAt(now, shopA, Bulk, 30)
	if err != nil || g.DelayFrom(now) != 0 {
		t.Fatal(err)
	}
	l.CloseAt(now)
	g.SettleAt(now, 0, nil) // too late to change anything
	l = openAt(t, now, db, o)
	if n := most(l, now); n != 50 {
		t.Errorf("%d points, want 50", n)
	}
}

func TestStateThatIsDamagedCountsAsAFullSpentWindow(t *testing.T) {
	db, m := openDB(t), &machine{boot: "one"}
	spentThenCrash(t, db, m)
	var good []byte
	db.View(func(tx *bolt.Tx) error {
		good = append(good, tx.Bucket(rootBucket).Bucket(shopsBucket).Get([]byte(shopA))...)
		return nil
	})
	if _, err := decodeRecord(good); err != nil {
		t.Fatal(err)
	}
	now := at(10 * time.Minute)
	m.pass(time.Hour)
	try := func(name string, rec []byte) {
		db.Update(func(tx *bolt.Tx) error {
			return tx.Bucket(rootBucket).Bucket(shopsBucket).Put([]byte(shopA), rec)
		})
		l, _ := OpenAt(now, db, Options{Fixed: true, Uptime: m.uptime})
		l.SnapshotAt(now, shopA)
		if l.AllowAt(now.Add(time.Minute-1), shopA, Bulk, 1) || !l.AllowAt(now.Add(time.Minute), shopA, Bulk, 80) {
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
	db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(rootBucket).Bucket(shopsBucket).Put([]byte(shopA), good)
	})
	l, _ := OpenAt(now, db, Options{Fixed: true, Window: 2 * time.Minute, Uptime: m.uptime})
	defer l.crash()
	l.SnapshotAt(now, shopA)
	if n := most(l, now.Add(2*time.Minute-1)); n != 0 {
		t.Error("a log shorter than the window was believed")
	}
}

func TestWhatWasLearntSurvives(t *testing.T) {
	db, m := openDB(t), &machine{boot: "one"}
	o := Options{Uptime: m.uptime}
	l := openAt(t, epoch, db, o)
	g, err := l.ProbeAt(epoch, shopA, 1)
	if err != nil {
		t.Fatal(err)
	}
	g.SettleAt(epoch, 1, &ThrottleStatus{4000, 3999, 200.5})
	l.PenaltyAt(epoch, shopA, at(30*time.Second))
	if err := l.Learn("products/250", 167); err != nil {
		t.Fatal(err)
	}
	l.settled()
	l.crash()
	m.pass(10 * time.Second)
	now := at(10 * time.Second)
	l = openAt(t, now, db, o)
	s, _ := l.SnapshotAt(now, shopA)
	if s.Mode != "adaptive" || s.Server.MaximumAvailable != 4000 || s.Server.RestoreRate != 200.5 {
		t.Errorf("%+v", s)
	}
	if !s.Penalty.Equal(at(30 * time.Second)) {
		t.Errorf("penalty until %v", s.Penalty)
	}
	if l.NeedsProbeAt(now, shopA) {
		t.Error("wants a probe although the budget is known")
	}
	if b := l.Bound("products/250", 999); b != 167 {
		t.Errorf("bound %d", b)
	}
}

func TestAProbeIsNotedOnDiskBeforeItGoesOut(t *testing.T) {
	db, m := openDB(t), &machine{boot: "one"}
	o := Options{Uptime: m.uptime}
	for range 5 { // a process that dies over and over
		l := openAt(t, epoch, db, o)
		l.ProbeAt(epoch, shopA, 10)
		l.crash()
	}
	l := openAt(t, epoch, db, o)
	if _, err := l.ProbeAt(epoch, shopA, 10); !errors.Is(err, ErrNoProbe) {
		t.Errorf("a second probe within a window: %v", err)
	}
}

func TestNoLeaseNoGrant(t *testing.T) {
	db := openDB(t)
	l := openAt(t, epoch, db, Options{Fixed: true})
	l.SnapshotAt(epoch, shopA)
	l.settled()
	now := at(time.Minute)
	lease := func() int { s, _ := l.SnapshotAt(now, shopA); return s.Leased }()
	l.lease.io.Lock()
	l.lease.poison = errors.New("disk gone")
	l.lease.io.Unlock()
	if n := most(l, now); n != lease {
		t.Errorf("granted %d points with %d on disk", n, lease)
	}
	if _, err := l.ReserveAt(now, shopA, Bulk, 1); err == nil || !strings.Contains(err.Error(), "disk gone") {
		t.Errorf("got %v", err)
	}
	if _, err := l.Wait(t.Context(), shopA, Bulk, 1); err == nil {
		t.Error("no error")
	}
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
	db := &flaky{DB: openDB(t)}
	l, err := OpenAt(epoch, db, Options{Fixed: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.crash()
	l.SnapshotAt(epoch, shopA)
	l.settled()
	db.down.Store(true)
	now := at(time.Minute)
	lost := most(l, now)
	if lost > 15 {
		t.Errorf("granted %d points that were not on disk", lost)
	}
	db.down.Store(false)
	if n := most(l, now); n != 80-lost {
		t.Errorf("%d points after the mending, want %d", n, 80-lost)
	}
}

func TestForgetAndCompact(t *testing.T) {
	db, m := openDB(t), &machine{boot: "one"}
	l := openAt(t, epoch, db, Options{Fixed: true, Uptime: m.uptime})
	l.SnapshotAt(epoch, shopA)
	l.settled()
	m.pass(time.Minute)
	l.AllowAt(at(time.Minute), shopA, Bulk, 80)
	l.settled()
	if n, err := l.CompactAt(at(2 * time.Minute)); n != 0 || err != nil {
		t.Errorf("dropped a shop in use: %d %v", n, err)
	}
	m.pass(3 * time.Minute)
	if n, err := l.CompactAt(at(4 * time.Minute)); n != 1 || err != nil || len(l.Shops()) != 0 {
		t.Errorf("kept an idle shop: %d %v", n, err)
	}
	if n := most(l, at(4*time.Minute)); n != 80 {
		t.Errorf("%d points after compaction, want 80", n)
	}
	if err := l.Forget(shopA); err != nil {
		t.Fatal(err)
	}
	l.SnapshotAt(at(8*time.Minute), shopA)
	if l.AllowAt(at(9*time.Minute-1), shopA, Bulk, 1) || !l.AllowAt(at(9*time.Minute), shopA, Bulk, 80) {
		t.Error("a forgotten shop does not start with a spent window")
	}
}

// TestKill9 spends points in a process that is killed, over and over, and adds
// up what it reported before it died, by the clock since boot.
func TestKill9(t *testing.T) {
	if dir := os.Getenv("LIMITER_KILL9"); dir != "" {
		spendUntilKilled(dir)
		return
	}
	if _, _, ok := machineUptime(); !ok {
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
		g, err := l.Wait(context.Background(), shopA, Bulk, cost)
		if err != nil {
			continue
		}
		_, up, _ := machineUptime()
		// one write per line: a kill loses a whole line or none
		os.Stdout.WriteString(fmt.Sprintf("%d %d\n", up, cost))
		g.Settle(cost, nil)
	}
}
