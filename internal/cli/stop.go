package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"stockroom/internal/config"
)

// stopWithin is how long a stop may take, whatever hangs: a disk, a lock, a shop, a
// reader, a fault of ours. What was acknowledged is on disk at every moment, so that
// cutting a stop short loses nothing.
const stopWithin = 8500 * time.Millisecond

// stopper is the one bound of all that happens when the process ends.
type stopper struct {
	stderr io.Writer
	flush  func()
	exit   func(code int)

	mu    sync.Mutex
	limit *time.Timer // nil: nothing is being stopped
	waits string      // for what the stop waits
}

// waitsFor notes what the stop waits for; with the first call its time begins.
func (s *stopper) waitsFor(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = what
	if s.limit == nil {
		s.limit = time.AfterFunc(stopWithin, s.now)
	}
}

// now ends the process, whether or not the reason can be told.
func (s *stopper) now() {
	s.mu.Lock()
	waits := s.waits
	s.mu.Unlock()
	within(flushFor, func() {
		fmt.Fprintf(s.stderr, "stockroom: stopped at once, as it still waited for %s; nothing acknowledged is lost\n", waits)
		s.flush()
	})
	s.exit(config.ExitFailed)
}

// ended says that the stop came to its end.
func (s *stopper) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit != nil {
		s.limit.Stop()
	}
}

// within calls what may hang and leaves it alone after most.
func within(most time.Duration, call func()) {
	done := make(chan struct{})
	go func() { call(); close(done) }()
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

// notify ends ctx at the first SIGINT, SIGTERM or, unless it was ignored at the
// start, SIGHUP; a second one ends the process at once, and so does the end of the
// stopper's time.
func (s *stopper) notify(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	done := make(chan struct{})
	go func() {
		for act := func() { s.waitsFor("its work to end"); cancel() }; ; act = s.now {
			select {
			case <-signals:
				act()
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		s.ended()
		cancel()
	}
}

// tellManager tells the service manager, which need not listen.
func tellManager(log *slog.Logger, state string) {
	within(flushFor, func() {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn("the service manager can't be told how it stands", "error", err.Error())
		}
	})
}
