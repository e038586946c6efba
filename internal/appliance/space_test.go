package appliance

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/queue"
	"stockroom/store"
)

// spaceRig is an appliance whose stores find the disk full on demand.
type spaceRig struct {
	*Appliance
	log       bytes.Buffer
	catalogue atomic.Bool
	queued    atomic.Bool
}

func newSpaceRig(t *testing.T, warn string) *spaceRig {
	t.Helper()
	r := &spaceRig{}
	settings, err := config.Load(config.Sources{Flags: map[string]string{"data": t.TempDir(), "space-warn": warn}})
	if err != nil {
		t.Fatal(err)
	}
	r.Appliance, err = Open(t.Context(), Options{
		Settings: settings, Logger: slog.New(slog.NewTextHandler(&r.log, nil)), Manual: true,
		StoreFault: func(point string) error {
			if point == "before commit" && r.catalogue.Load() {
				return &store.UnavailableError{Cause: store.CauseFull, Err: syscall.ENOSPC}
			}
			return nil
		},
		QueueFault: func(string) error {
			if r.queued.Load() {
				return syscall.ENOSPC
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// finding is the level at which the doctor puts what a check is of.
func (r *spaceRig) finding(t *testing.T, check string) string {
	t.Helper()
	for _, f := range r.doctor(t.Context(), false) {
		if f.Check == check {
			return f.Level
		}
	}
	t.Fatalf("the doctor does not look at %s", check)
	return ""
}

func TestFreeSpaceIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSpaceRig(t, "0")
		if s := r.Space(); s.Level != datadir.SpaceOK || s.Free <= 0 || s.Total <= 0 {
			t.Skipf("the disk of the tests has no room: %+v", s)
		}
		_, stop := r.Work(t.Context())
		want := func(level datadir.SpaceLevel, doctor string) {
			t.Helper()
			if got := r.Space().Level; got != level {
				t.Errorf("%s, want %s", got, level)
			}
			if got := r.finding(t, "space"); got != doctor {
				t.Errorf("the doctor says %s, want %s", got, doctor)
			}
		}
		want(datadir.SpaceOK, levelOK)

		// A refused write counts at once, however much the system says is free.
		r.catalogue.Store(true)
		if err := r.store.Probe(t.Context()); store.CauseOf(err) != store.CauseFull {
			t.Fatal(err)
		}
		want(datadir.SpaceCritical, levelFail)
		if got := r.finding(t, "catalogue"); got != levelFail {
			t.Errorf("the doctor says %s of a catalogue that can't be written", got)
		}
		time.Sleep(time.Minute)
		want(datadir.SpaceCritical, levelFail)
		r.catalogue.Store(false)
		time.Sleep(3*spaceEvery + time.Second) // nobody else writes; the watch itself finds out
		want(datadir.SpaceOK, levelOK)

		r.queued.Store(true)
		if _, _, err := r.queue.Enqueue(t.Context(), queue.NewJob{Kind: "test"}); err == nil {
			t.Fatal("the queue took a job on a full disk")
		}
		want(datadir.SpaceCritical, levelFail)
		r.queued.Store(false)
		if _, _, err := r.queue.Enqueue(t.Context(), queue.NewJob{Kind: "test"}); err != nil {
			t.Fatal(err)
		}
		want(datadir.SpaceOK, levelOK)
		if err := errors.Join(stop(), r.Close()); err != nil {
			t.Error(err)
		}
		if n := strings.Count(r.log.String(), "the disk is full or nearly so"); n != 1 {
			t.Errorf("%d lines of one outage:\n%s", n, r.log.String())
		}
	})
}

func TestLessRoomThanAskedForIsAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSpaceRig(t, "1048576GiB")
		if s := r.Space(); s.Level != datadir.SpaceLow || s.Warn != 1<<50 {
			t.Errorf("space %+v", s)
		}
		if got := r.finding(t, "space"); got != levelWarn {
			t.Errorf("the doctor says %s", got)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(r.log.String(), "less room than --space-warn asks for"); n != 1 {
			t.Errorf("%d lines:\n%s", n, r.log.String())
		}
	})
}

// A disk that is full for large commits and not for small ones fails and recovers
// with each delivery, which anybody can send again. The log has a few lines of it.
func TestAStoreThatFailsOnAndOffMakesAFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSpaceRig(t, "0")
		for i := range 1000 {
			r.catalogue.Store(i%2 == 0)
			r.queued.Store(i%2 == 0)
			if err := r.store.Probe(t.Context()); (err != nil) != (i%2 == 0) {
				t.Fatal(err)
			}
			if _, err := r.queue.Bury(t.Context(), queue.NewJob{Kind: "test"}, queue.ClassPoison, errors.New("no")); err == nil && i%2 == 0 {
				t.Fatal("the queue took a job on a full disk")
			}
		}
		time.Sleep(time.Minute)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the last count of lines that were left out is written on its own
		if n := strings.Count(r.log.String(), "\n"); n > 60 || !strings.Contains(r.log.String(), "not_listed_before") {
			t.Errorf("%d lines: %.1000s", n, &r.log)
		}
	})
}

func TestASyncIsToldWhenItWouldTakeTheRoomOfDeliveries(t *testing.T) {
	r := newSpaceRig(t, "1")
	defer func() { _ = r.Close() }()
	if why := r.room(0); why != "" {
		t.Skip("the disk of the test is full: " + why)
	}
	if why := r.room(1 << 60); !strings.Contains(why, "MiB free, and deliveries need 16 MiB beside the 1099511627776 MiB that this sync may take; make room on it") {
		t.Errorf("%q", why)
	}
}
