package e2e_test

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// memoryDisk mounts a small tmpfs.
func memoryDisk(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small disk")
	}
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", 0, options); err != nil {
		t.Skipf("needs a tmpfs mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	return path
}

// fillDisk writes until nothing more fits and returns what gives the space back.
func fillDisk(t *testing.T, path string) (empty func()) {
	t.Helper()
	name := filepath.Join(path, "filler")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4096, 1} {
		block := make([]byte, size)
		for err = nil; err == nil; {
			_, err = f.Write(block)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

// awaitRefusals waits until deliveries are answered 503, and checks that such an
// answer says when to come back.
func (l *ledger) awaitRefusals(t *testing.T, s *server) {
	t.Helper()
	await(t, "deliveries answered 503", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.refused[503] > 20 })
	for range 50 {
		r := s.post(delivery{WebhookID: "retry-after-" + strconv.Itoa(rand.Int()), Topic: "products/update", Body: campaignBody(1, 1)})
		if r.Status != http.StatusServiceUnavailable {
			continue
		}
		if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || seconds < 1 || r.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("503 without a Retry-After or as something else than problem+json: %v", r.Header)
		}
		return
	}
	t.Error("no answer was 503")
}

func (l *ledger) requireOnlyRefused(t *testing.T, status int) {
	t.Helper()
	for got, n := range l.refused {
		if got != status {
			t.Errorf("%d answers were %d", n, got)
		}
	}
}

// TestFullDiskRefusesWithoutHalvesAndRecovers fills the disk of a running server
// and makes room again.
func TestFullDiskRefusesWithoutHalvesAndRecovers(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	disk := memoryDisk(t, "size=40m")
	s := startServer(t, serveOptions{Dir: filepath.Join(disk, "data")})
	l, m := outageLedger(t, seed, 20), &marks{}
	for round := range 2 {
		stop := l.steady(t, s, 8, 2*time.Millisecond)
		await(t, "some deliveries", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.counts.acked > 50*(round+1) })
		empty := fillDisk(t, disk)
		l.mu.Lock()
		l.refused = map[int]int{}
		l.mu.Unlock()
		// What lies free inside the files is used up first.
		l.awaitRefusals(t, s)
		status, text := readyz(t, s)
		if status != http.StatusServiceUnavailable && text == "" {
			t.Errorf("/readyz is %d and has nothing to complain about", status)
		}
		// Single commits still fit into what lies free in a file, so the cause may
		// be gone for a moment.
		await(t, "/readyz names the disk", func() bool { return strings.Contains(degraded(t, s), "disk") })
		if _, err := os.Stat(filepath.Join(s.Dir, "ballast")); err != nil {
			t.Errorf("the reserve of the next start is gone: %v", err)
		}
		empty()
		began := time.Now()
		awaitReady(t, s)
		recovered := time.Since(began)
		stop()
		drained(t, s)
		l.requireOnlyRefused(t, http.StatusServiceUnavailable)
		requireOnlyPoisonDead(t, s)
		l.settle(t, s, m)
		t.Logf("round %d: %s; /readyz while full: %d %q; ready %v after there was space; seed %d", round+1, l.summary(), status, text, recovered.Round(time.Millisecond), seed)
	}
	s.kill()
	s = startServer(t, serveOptions{Dir: s.Dir})
	requireNothingSetAside(t, s)
}

// TestStartOnAFullDiskComesUpDegradedAndRecovers fills the disk while nothing
// runs.
func TestStartOnAFullDiskComesUpDegradedAndRecovers(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"killed", "stopped"} {
		t.Run("after it was "+end, func(t *testing.T) {
			t.Parallel()
			seed := campaignSeed(t)
			disk := memoryDisk(t, "size=40m")
			s := startServer(t, serveOptions{Dir: filepath.Join(disk, "data")})
			l, m := outageLedger(t, seed, 21), &marks{}
			stop := l.steady(t, s, 8, time.Millisecond)
			await(t, "some deliveries", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.counts.acked > 200 })
			if end == "killed" {
				s.kill()
				stop()
			} else {
				stop()
				s.stop()
			}
			empty := fillDisk(t, disk)
			s = startServer(t, serveOptions{Dir: s.Dir})
			// The ballast is gone: take its place as well.
			more := func() {}
			if _, err := os.Stat(filepath.Join(s.Dir, "ballast")); err == nil {
				t.Error("the ballast is still there on a full disk")
			} else {
				more = refill(t, disk)
			}
			stop = l.steady(t, s, 8, 2*time.Millisecond)
			l.awaitRefusals(t, s)
			requireShown(t, s, "disk") // the reserve that was given up
			more()
			empty()
			await(t, "everything ready again", func() bool { return degraded(t, s) == "" })
			stop()
			l.settle(t, s, m)
			l.requireOnlyRefused(t, http.StatusServiceUnavailable)
			requireOnlyPoisonDead(t, s)
			requireNothingSetAside(t, s)
			if info, err := os.Stat(filepath.Join(s.Dir, "ballast")); err != nil || info.Size() < 1<<20 {
				t.Errorf("the ballast was not made again: %v", err)
			}
			t.Logf("%s, seed %d", l.summary(), seed)
		})
	}
}

// refill takes what the server has just given back.
func refill(t *testing.T, path string) func() {
	t.Helper()
	dir := filepath.Join(path, "more")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return fillDisk(t, dir)
}

// TestNoFreeInodesStopNothing uses up the inodes, running and at a start.
func TestNoFreeInodesStopNothing(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	disk := memoryDisk(t, "size=64m,nr_inodes=60")
	s := startServer(t, serveOptions{Dir: filepath.Join(disk, "data")})
	l, m := outageLedger(t, seed, 22), &marks{}
	takeInodes := func() (free func()) {
		dir := filepath.Join(disk, "taken")
		if err := os.Mkdir(dir, 0o700); err != nil {
			return func() {}
		}
		for i := 0; ; i++ {
			f, err := os.Create(filepath.Join(dir, strconv.Itoa(i)))
			if err != nil {
				break
			}
			_ = f.Close()
		}
		return func() {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		}
	}
	run := func(what string, wantRefusals bool) {
		stop := l.steady(t, s, 8, 2*time.Millisecond)
		<-time.After(700 * time.Millisecond)
		stop()
		if !wantRefusals && len(l.refused) > 0 {
			t.Errorf("%s: refused: %v", what, l.refused)
		}
	}
	free := takeInodes()
	run("while it runs", false)
	free()
	s.stop()
	free = takeInodes()
	s = launch(t, serveOptions{Dir: s.Dir})
	select {
	case line := <-s.log.wait(`"serving"`):
		s.Public = publicOf(line)
		run("started without", true)
	case <-s.done:
		t.Fatalf("it does not start without free inodes:\n%s", s.log)
	case <-time.After(patience):
		t.Fatal("it neither serves nor ends")
	}
	free()
	// admin.json could not be made; a restart is what a person would do.
	s.kill()
	s = startServer(t, serveOptions{Dir: s.Dir})
	awaitReady(t, s)
	l.settle(t, s, m)
	requireNothingSetAside(t, s)
	t.Logf("%s, seed %d", l.summary(), seed)
}

// TestFileSizeLimitLosesNothing gives the process a limit on the size of its
// files, which ends writes in the middle.
func TestFileSizeLimitLosesNothing(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	dir := filepath.Join(t.TempDir(), "data")
	// In blocks of 512 bytes: 6 MiB. The ballast has 4.
	s := startServer(t, serveOptions{Dir: dir, Prefix: []string{"/bin/sh", "-c", `ulimit -f 12288 && exec "$0" "$@"`}})
	l, m := outageLedger(t, seed, 23), &marks{}
	l.padding = 400_000 // 24 products are more than the limit
	stop := l.steady(t, s, 16, 0)
	await(t, "the limit is met", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.refused[503] > 50
	})
	stop()
	status, text := readyz(t, s)
	l.requireOnlyRefused(t, http.StatusServiceUnavailable)
	l.requireKept(t, s, 0)
	s.kill()
	s = startServer(t, serveOptions{Dir: dir})
	awaitReady(t, s)
	l.settle(t, s, m)
	requireOnlyPoisonDead(t, s)
	requireNothingSetAside(t, s)
	t.Logf("%s; /readyz at the limit: %d %q; seed %d", l.summary(), status, text, seed)
}

// TestFewFileDescriptorsLoseNothing leaves the process hardly any descriptors
// and takes them with idle connections.
func TestFewFileDescriptorsLoseNothing(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	s := startServer(t, serveOptions{Prefix: []string{"/bin/sh", "-c", `ulimit -n 40 && exec "$0" "$@"`}})
	l, m := outageLedger(t, seed, 24), &marks{}
	stop := l.steady(t, s, 4, time.Millisecond)
	await(t, "some deliveries", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.counts.acked > 50 })
	var idle []interface{ Close() error }
	address := strings.TrimPrefix(s.Public, "http://")
	for range 60 {
		if c, err := dialShort(address); err == nil {
			idle = append(idle, c)
		}
	}
	before := l.ackedCount()
	<-time.After(time.Second)
	during := l.ackedCount() - before
	for _, c := range idle {
		_ = c.Close()
	}
	await(t, "deliveries after the descriptors are free again", func() bool { return l.ackedCount() > before+during+50 })
	stop()
	awaitReady(t, s)
	l.settle(t, s, m)
	requireNothingSetAside(t, s)
	t.Logf("%d acknowledged in the second without descriptors; %s, seed %d", during, l.summary(), seed)
}

// TestStoppedProcessGoesOnWhereItWas stops the process with SIGSTOP for longer
// than the catalogue's budget.
func TestStoppedProcessGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	s := startServer(t, serveOptions{})
	l, m := outageLedger(t, seed, 25), &marks{}
	stop := l.steady(t, s, 8, time.Millisecond)
	await(t, "some deliveries", func() bool { return l.ackedCount() > 50 })
	s.signal(syscall.SIGSTOP)
	<-time.After(3500 * time.Millisecond)
	before := l.ackedCount()
	s.signal(syscall.SIGCONT)
	await(t, "deliveries after it goes on", func() bool { return l.ackedCount() > before+100 })
	stop()
	awaitReady(t, s)
	l.requireOnlyRefused(t, http.StatusServiceUnavailable)
	requireOnlyPoisonDead(t, s)
	l.settle(t, s, m)
	requireNothingSetAside(t, s)
	t.Logf("%s, seed %d", l.summary(), seed)
}

// dialShort opens a connection and sends nothing.
func dialShort(address string) (net.Conn, error) {
	return net.DialTimeout("tcp", address, 500*time.Millisecond)
}
