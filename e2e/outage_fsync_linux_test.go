package e2e_test

import (
	"bufio"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tamper makes fsync and fdatasync of a running server fail or last, with
// strace, until the returned function is called.
func tamper(t testing.TB, s *server, fault string) (undo func()) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace, which is not installed")
	}
	cmd := exec.Command(strace, "-f", "-p", strconv.Itoa(s.PID), "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:"+fault, "-o", "/dev/null")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 16)
	go func() {
		in := bufio.NewScanner(said)
		for in.Scan() {
			select {
			case lines <- in.Text():
			default:
			}
		}
		close(lines)
	}()
	ended := false
	undo = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Signal(syscall.SIGINT)
			_ = cmd.Wait()
		}
	}
	t.Cleanup(undo)
	for {
		select {
		case line, ok := <-lines:
			if strings.Contains(line, "attached") {
				return undo
			}
			if !ok || strings.Contains(line, "not permitted") {
				t.Skipf("needs strace to be allowed: %s", line)
			}
		case <-time.After(patience):
			t.Fatal("strace does not attach")
		}
	}
}

// TestFailedSyncAcknowledgesNothingThatIsNotOnDisk lets the next fsync of each
// thread fail with EIO and cuts the power soon after: what such a sync had to
// write is not on disk, so only what was written again may have been answered.
func TestFailedSyncAcknowledgesNothingThatIsNotOnDisk(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	rng := rand.New(rand.NewPCG(seed, 30))
	cuts := 6
	if torture() {
		cuts = 100
	}
	d := newDisk(t, "ext4", 96<<20)
	s := startServer(t, serveOptions{Dir: filepath.Join(d.mount, "data")})
	l, m := newLedger(rng), &marks{}
	for i := range cuts {
		stop := l.steady(t, s, 16, 0)
		await(t, "some deliveries", func() bool { return len(l.ackedOpen()) > 20 })
		undo := tamper(t, s, "error=EIO:when="+[]string{"1", "2", "1+3"}[i%3])
		<-time.After(time.Duration(rng.IntN(400)) * time.Millisecond)
		if rng.IntN(2) == 0 { // else the power goes while syncs still fail
			undo()
			<-time.After(time.Duration(rng.IntN(800)) * time.Millisecond)
		}
		began := time.Now()
		if err := d.cut(); err != nil {
			t.Fatal(err)
		}
		undo()
		s.kill()
		stop()
		s.client.CloseIdleConnections()
		l.doubt(began)
		d.back(t)
		s = startServer(t, serveOptions{Dir: s.Dir})
		l.settle(t, s, m)
		requireNothingSetAside(t, s)
		if t.Failed() {
			t.FailNow()
		}
	}
	s.kill()
	t.Logf("%d failed syncs followed by a power cut: %s; seed %d", cuts, l.summary(), seed)
}

// TestFailedSyncsHealByThemselves goes on after EIO without a restart.
func TestFailedSyncsHealByThemselves(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	s := startServer(t, serveOptions{})
	l, m := outageLedger(t, seed, 31), &marks{}
	stop := l.steady(t, s, 8, time.Millisecond)
	await(t, "some deliveries", func() bool { return l.ackedCount() > 50 })
	undo := tamper(t, s, "error=EIO:when=1+2")
	<-time.After(2 * time.Second)
	undo()
	awaitReady(t, s)
	stop()
	l.requireOnlyRefused(t, http.StatusServiceUnavailable)
	requireOnlyPoisonDead(t, s)
	l.settle(t, s, m)
	requireNothingSetAside(t, s)
	t.Logf("%s, seed %d", l.summary(), seed)
}

// TestSlowSyncs delays every fsync: a little is borne, five seconds are answered
// with 503 before Shopify gives up.
func TestSlowSyncs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		delay time.Duration
		want  int
	}{
		{"a fifth of a second is borne", 200 * time.Millisecond, http.StatusOK},
		{"five seconds are refused in time", 5 * time.Second, http.StatusServiceUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seed := campaignSeed(t)
			s := startServer(t, serveOptions{})
			l, m := outageLedger(t, seed, 32), &marks{}
			send := func() (status int, took time.Duration) {
				e := l.next()
				began := time.Now()
				r, err := s.try(t.Context(), e.delivery())
				if err != nil {
					t.Fatal(err)
				}
				l.answered(e, r)
				return r.Status, time.Since(began)
			}
			send()
			undo := tamper(t, s, "delay_enter="+strconv.FormatInt(tt.delay.Microseconds(), 10))
			for range 2 {
				status, took := send()
				if status != tt.want { // in how many seconds is shown in fake time, in package webhook
					t.Errorf("answered %d after %v, want %d", status, took, tt.want)
				}
				t.Logf("answered %d after %v", status, took.Round(time.Millisecond))
			}
			undo()
			await(t, "deliveries answered again", func() bool { status, _ := send(); return status == http.StatusOK })
			awaitReady(t, s)
			l.settle(t, s, m)
			requireOnlyPoisonDead(t, s)
			requireNothingSetAside(t, s)
		})
	}
}

// I11 of a first start on a disk that takes seconds for each sync: the log says
// what is waited for, and a stop is not kept by it.
func TestASlowFirstStartSaysSoAndCanBeStopped(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace, which is not installed")
	}
	// -D keeps the server our own child.
	s := launch(t, serveOptions{Prefix: []string{
		strace, "-D", "-f", "-qq", "-o", "/dev/null",
		"-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:delay_enter=4000000",
	}})
	select {
	case line := <-s.log.wait("waiting for the disk, "):
		t.Log(line)
	case <-s.done:
		t.Fatalf("the server ended: %s", s.log)
	case <-time.After(patience):
		t.Fatalf("no line says what is waited for: %s", s.log)
	}
	s.signal(syscall.SIGTERM)
	if code, took := s.wait(); code != 0 || took > 10*time.Second {
		t.Errorf("exit code %d after %s, want 0 within 10 s", code, took)
	}
}
