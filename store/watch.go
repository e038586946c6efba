package store

import (
	"sync/atomic"
	"time"
)

// watchPause is the least time between two wakings: under load a listener is
// woken for many commits at once.
const watchPause = 50 * time.Millisecond

// watch wakes listeners after commits. The writer leaves a token and goes on;
// a goroutine of its own does the waking.
type watch struct {
	token chan struct{}
	next  atomic.Pointer[chan struct{}]
}

func newWatch() *watch {
	w := &watch{token: make(chan struct{}, 1)}
	first := make(chan struct{})
	w.next.Store(&first)
	return w
}

// committed never blocks.
func (w *watch) committed() {
	select {
	case w.token <- struct{}{}:
	default:
	}
}

// run wakes until stop is closed.
func (w *watch) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-w.token:
		}
		next := make(chan struct{})
		close(*w.next.Swap(&next))
		select {
		case <-stop:
			return
		case <-time.After(watchPause):
		}
	}
}

// Watch returns a channel that is closed after the next commit, at the latest a
// twentieth of a second after it. Take it before reading what may have changed,
// or a commit in between is missed. After Close it stays open.
func (s *Store) Watch() <-chan struct{} { return *s.watch.next.Load() }
