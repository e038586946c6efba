package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// step is what the writer does at a moment.
type step int

// The steps of a group, in their order.
const (
	stepIdle   step = iota // nothing is waiting
	stepOpen               // the file is being opened or replaced
	stepBegin              // waits for the write lock of the file
	stepChange             // reads and writes rows
	stepSync               // waits for the disk: the fsync of a commit or a checkpoint
)

// tells is how long a step must have taken to be the reason why somebody behind
// the writer ran out of time.
const tells = 100 * time.Millisecond

// progress is what the writer is doing and what took it longest of late. Who
// waits for the writer learns from it what the wait is for: running out of time
// is no cause of its own.
type progress struct {
	mu      sync.Mutex
	step    step
	since   time.Time
	longest stay // of the group under way
	before  stay // of the group before it
}

// stay is a step with the time that it took.
type stay struct {
	step step
	took time.Duration
}

func (a stay) longer(b stay) stay {
	if b.took > a.took {
		return b
	}
	return a
}

// to is called by the writer at the beginning of each step.
func (p *progress) to(next step) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.step != stepIdle {
		p.longest = p.longest.longer(stay{p.step, now.Sub(p.since)})
	}
	if next == stepIdle {
		p.before, p.longest = p.longest, stay{}
	}
	p.step, p.since = next, now
}

// holdsUp returns what the writer has spent most of its time with, in the group
// under way and the one before it, as the cause of a wait.
func (p *progress) holdsUp() Cause {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := p.before.longer(p.longest)
	if p.step != stepIdle {
		most = most.longer(stay{p.step, time.Since(p.since)})
	}
	if most.took < tells {
		return CauseTimeout
	}
	switch most.step {
	case stepOpen:
		return CauseClosed
	case stepBegin:
		return CauseLocked
	case stepSync:
		return CauseSlow
	}
	return CauseTimeout
}

// late is the error of a request whose ctx ended before its commit. Its cause is
// the one for which the writer fails now, else what the writer is held up by.
func (s *Store) late(ctx context.Context) error {
	s.mu.Lock()
	cause := s.health.Cause
	s.mu.Unlock()
	if cause == "" {
		cause = s.progress.holdsUp()
	}
	return &UnavailableError{Cause: cause, Err: fmt.Errorf("wait for the commit: %w", context.Cause(ctx))}
}
