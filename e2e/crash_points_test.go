//go:build unix

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stockroom/internal/appliance"
	"stockroom/internal/config"
	"stockroom/store"
)

// crashPoints are the durable steps at which the process is ended. The first
// word says whose step it is.
func crashPoints() []string {
	points := []string{
		"store between product and variants", "store after change feed", "store before journal", "store before commit", "store after commit",
	}
	for _, step := range []string{"enqueue", "enqueue all", "bury", "lease", "finish", "wake"} {
		points = append(points, "queue before "+step, "queue after "+step)
	}
	return points
}

// TestKilledAtAnyNamedStepLosesNothingAcknowledged ends the process at a step of
// the catalogue or the queue, at a random one of its hits, and checks what the
// real binary finds afterwards. The process that dies is this test binary, so
// that the shipped one has no such switch.
func TestKilledAtAnyNamedStepLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	rng := rand.New(rand.NewPCG(seed, 50))
	binary(t)
	rounds := 1
	if torture() {
		rounds = 20
	}
	total := &ledger{refused: map[int]int{}}
	slowest := time.Duration(0)
	for range rounds {
		for _, point := range crashPoints() {
			l, took := dieAt(t, rng, point)
			total.counts.acked += l.counts.acked
			total.counts.queued += l.counts.queued
			total.counts.redelivered += l.counts.redelivered
			slowest = max(slowest, took)
			if t.Failed() {
				t.Fatalf("at %q", point)
			}
		}
	}
	line := fmt.Sprintf("named steps: %d of them, %d deaths, %s; backlog worked off %v after the start at most; seed %d",
		len(crashPoints()), rounds*len(crashPoints()), total.summary(), slowest.Round(time.Millisecond), seed)
	t.Log(line)
	progress("%s", line)
}

func dieAt(t *testing.T, rng *rand.Rand, point string) (l *ledger, drainedIn time.Duration) {
	t.Helper()
	most := 12
	if strings.HasSuffix(point, "wake") || strings.HasSuffix(point, "all") {
		most = 1 // once a backlog, or a batch
	}
	dir := filepath.Join(t.TempDir(), "data")
	victim := startVictim(t, dir, point, 1+rng.IntN(most))
	l = newLedger(rng)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// Inventory of unknown items asks for fetches, which are jobs too.
	go func() {
		for i := 0; ctx.Err() == nil && victim.Public != ""; i++ {
			body := fmt.Appendf(nil, `{"inventory_item_id":%d,"location_id":1,"available":%d,"updated_at":"2026-11-01T00:00:00Z"}`, 5_000_000+i, i)
			if _, err := victim.try(ctx, delivery{Topic: "inventory_levels/update", WebhookID: "inv-" + strconv.Itoa(i), Body: body}); err != nil {
				return
			}
		}
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if victim.Public != "" {
			l.load(ctx, victim, 16)
		}
	}()
	select {
	case <-victim.done:
	case <-ctx.Done():
		t.Fatalf("the step %q was not reached:\n%s", point, tail(victim.log.String(), 20))
	}
	cancel()
	<-ended
	victim.client.CloseIdleConnections()
	if ws, ok := victim.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
		t.Fatalf("it ended otherwise than at %q:\n%s", point, tail(victim.log.String(), 20))
	}
	s := startServer(t, serveOptions{Dir: dir})
	// What the outage put off for five seconds is woken by the new process.
	await(t, "no delivery put off any more", func() bool {
		for _, j := range s.pagedJobs("waiting") {
			if j.Kind == "webhook" && j.Reason != "" {
				return false
			}
		}
		return true
	})
	l.requireKept(t, s, 0)
	drainedIn = drained(t, s)
	l.settle(t, s, &marks{})
	requireOnlyPoisonDead(t, s)
	requireNothingSetAside(t, s)
	s.kill()
	return l, drainedIn
}

// startVictim starts this test binary as a server that dies at the n-th hit of a
// step.
func startVictim(t *testing.T, dir, point string, n int) *server {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := launch(t, serveOptions{
		Dir: dir, Binary: self,
		// What launch adds for the real binary comes after these and is not read.
		Prefix: []string{"/usr/bin/env", "CRASH_POINT=" + point, "CRASH_HIT=" + strconv.Itoa(n), "CRASH_DIR=" + dir, self, "-test.run=^TestServeAndDieAtAStep$", "-test.count=1", "--"},
	})
	select {
	case line := <-s.log.wait(`"serving"`):
		s.Public = publicOf(line)
	case <-s.done: // the step came before it served
	case <-time.After(patience):
		t.Fatalf("neither served nor reached %q:\n%s", point, s.log)
	}
	return s
}

// publicOf reads the public address from a server's "serving" line. Its
// admin.json may come too late for a process that is about to die.
func publicOf(line string) string {
	_, rest, _ := strings.Cut(line, `"webhooks":"`)
	url, _, _ := strings.Cut(rest, "/webhooks/")
	return url
}

// TestServeAndDieAtAStep is the process that dies; alone it does nothing.
func TestServeAndDieAtAStep(t *testing.T) {
	point, dir := os.Getenv("CRASH_POINT"), os.Getenv("CRASH_DIR")
	if point == "" {
		return
	}
	hit, err := strconv.ParseInt(os.Getenv("CRASH_HIT"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var hits atomic.Int64
	at := func(what string) {
		if what == point && hits.Add(1) == hit {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	// The catalogue fails for a while, so that the queue has something to do.
	var failing atomic.Bool
	go func() {
		for range 100 {
			<-time.After(150 * time.Millisecond)
			failing.Store(true)
			<-time.After(100 * time.Millisecond)
			failing.Store(false)
			<-time.After(600 * time.Millisecond)
		}
	}()
	settings, err := config.Load(config.Sources{
		Flags:   map[string]string{"data": dir, "listen": "127.0.0.1:0", "admin-listen": "127.0.0.1:0"},
		Environ: os.Environ(),
	})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	a, err := appliance.Open(context.Background(), appliance.Options{
		Settings: settings, Logger: log, Version: "victim",
		StoreFault: func(step string) error {
			at("store " + step)
			if step == "before commit" && failing.Load() {
				return &store.UnavailableError{Cause: store.CauseReadOnly, Err: errors.New("made to fail")}
			}
			return nil
		},
		QueueFault: func(step string) error { at("queue " + step); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := appliance.Listen(settings)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("serving", "webhooks", "http://"+l.Public.Addr().String()+"/webhooks/shopify/products", "page", l.AdminURL())
	_ = a.Serve(context.Background(), l)
}
