package webhook

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"stockroom/internal/uptime"
	"stockroom/store"
)

// gate keeps deliveries away from a catalogue that has just failed, so that
// each need not find that out again. A probe that commits opens it.
type gate struct {
	catalogue Catalogue
	queue     Queue
	log       *slog.Logger
	closing   chan struct{} // one token: wakes the prober

	mu     sync.Mutex
	cause  error
	since  time.Time
	turned chan struct{} // closed and replaced when the gate opens or closes
	told   told
	counts outage
}

// told is the newest log line of the outage.
type told struct {
	cause store.Cause
	at    time.Time
}

// outage counts the deliveries that came while the gate was closed.
type outage struct {
	queued  int // kept in the retry queue
	refused int // could not be kept there either
}

const (
	probeEvery  = 500 * time.Millisecond // while deliveries are kept away
	probeIdle   = 5 * time.Second        // after a write that failed, be it nobody's delivery
	probeBudget = 2 * time.Second
	tellAgain   = time.Minute     // between two log lines of an outage with one cause
	tellChange  = 5 * time.Second // least time before another cause has a line
)

func newGate(c Catalogue, q Queue, log *slog.Logger) *gate {
	return &gate{catalogue: c, queue: q, log: log, closing: make(chan struct{}, 1), turned: make(chan struct{})}
}

// err returns why the gate is closed, nil when it is open.
func (g *gate) err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause
}

func (g *gate) state() (time.Time, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.since, g.cause != nil
}

// close closes the gate. It keeps the cause that it was closed for; a probe that
// fails for another replaces it.
func (g *gate) close(cause error) {
	now := time.Now()
	g.mu.Lock()
	was := g.cause
	if was == nil {
		g.cause, g.since = cause, now
		g.told, g.counts = told{store.CauseOf(cause), now}, outage{}
		g.turn()
	}
	g.mu.Unlock()
	if was == nil {
		g.log.Error("the catalogue can't be written; until it can, deliveries are offered to the retry queue",
			"cause", string(store.CauseOf(cause)), "error", cause.Error())
	}
	select {
	case g.closing <- struct{}{}:
	default:
	}
}

// stillFails notes why a probe failed. The log has a line when the cause is
// another one, and a summary from time to time.
func (g *gate) stillFails(cause error) {
	now, kind := time.Now(), store.CauseOf(cause)
	g.mu.Lock()
	g.cause = cause
	since, counts, age := g.since, g.counts, now.Sub(g.told.at)
	tell := age >= tellAgain || kind != g.told.cause && age >= tellChange
	if tell {
		g.told = told{kind, now}
	}
	g.mu.Unlock()
	if tell {
		g.log.Error("the catalogue still can't be written", "cause", string(kind), "error", cause.Error(),
			"for", now.Sub(since).Round(time.Second), "queued", counts.queued, "refused", counts.refused)
	}
}

// noteQueued counts a delivery that was kept in the queue instead.
func (g *gate) noteQueued() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts.queued++
}

// noteRefused counts a delivery that could not be kept at all, and reports
// whether that has to be told: an outage has one line of it.
func (g *gate) noteRefused() (tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts.refused++
	return g.cause == nil || g.counts.refused == 1
}

func (g *gate) open(ctx context.Context) {
	g.mu.Lock()
	since, counts := g.since, g.counts
	g.cause, g.since = nil, time.Time{}
	g.turn()
	g.mu.Unlock()
	g.log.Info("deliveries go to the catalogue again", "after", time.Since(since).Round(time.Millisecond),
		"queued", counts.queued, "refused", counts.refused)
	if _, err := g.queue.Wake(ctx, store.DeliveryJob); err != nil {
		g.log.Warn("waiting deliveries could not be woken; they are tried at their own time", "error", err.Error())
	}
}

// turn tells who waits for a change of state. mu is held.
func (g *gate) turn() {
	close(g.turned)
	g.turned = make(chan struct{})
}

// waitOpen waits until the gate is open; false means that ctx ended first.
func (g *gate) waitOpen(ctx context.Context) bool {
	for ctx.Err() == nil {
		g.mu.Lock()
		open, turned := g.cause == nil, g.turned
		g.mu.Unlock()
		if open {
			return true
		}
		select {
		case <-turned:
		case <-ctx.Done():
		}
	}
	return false
}

// whileOpen runs fn with a context that ends when the gate closes.
func (g *gate) whileOpen(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g.mu.Lock()
	open, turned := g.cause == nil, g.turned
	g.mu.Unlock()
	if !open {
		return nil
	}
	go func() {
		select {
		case <-turned:
			cancel()
		case <-ctx.Done():
		}
	}()
	return fn(ctx)
}

// probe commits a small row in the catalogue.
func (g *gate) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeBudget)
	defer cancel()
	return g.catalogue.Probe(ctx)
}

// run probes the catalogue while the gate is closed, until ctx ends. Nobody else does
// that. While it is open only a failed write is followed by a probe, so that it is not
// told of for ever where nobody writes.
func (g *gate) run(ctx context.Context) {
	g.wakeFirst(ctx)
	idle := time.NewTicker(probeIdle)
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.closing:
		case <-idle.C:
			if g.catalogue.Health().Cause != "" {
				_ = g.probe(ctx) // what comes of it is in Health
			}
		}
		for g.err() != nil {
			err := g.probe(ctx)
			if err == nil {
				g.open(ctx)
				break
			}
			if ctx.Err() != nil {
				return // the probe was cut off, which says nothing of the catalogue
			}
			g.stillFails(err)
			if !uptime.Sleep(ctx, probeEvery) {
				return
			}
		}
	}
}

// wakeFirst wakes what an outage put off in an earlier process, as the commit
// that ends an outage does.
func (g *gate) wakeFirst(ctx context.Context) {
	if err := g.probe(ctx); err != nil {
		return // they wait for their own time, or for the end of this outage
	}
	if _, err := g.queue.Wake(ctx, store.DeliveryJob); err != nil {
		g.log.Warn("waiting deliveries could not be woken; they are tried at their own time", "error", err.Error())
	}
}

// jitter spreads d over half to all of it.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func poisonKey(dedupe int64) string { return "body:" + strconv.FormatUint(uint64(dedupe), 16) }
