package webhook

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	bodyFirst    = 64 << 10               // bytes held for a body before any of it has come
	bodyTime     = 5 * time.Second        // for a whole body; Shopify gives up then (shopify.dev, verify deliveries)
	bodyPatience = 300 * time.Millisecond // a body that takes longer gives way when memory runs out
	bodyWait     = time.Second            // for memory
	bodyReused   = 128 << 10              // larger buffers are left to the collector
	bodySlack    = 2 * bytes.MinRead      // so that the end is found without growing the buffer
)

// bodies bounds the memory of the bodies in flight. Memory is taken as bytes
// arrive, never for a length that was only declared, and when it runs out the
// bodies that have been arriving for longest are given up: Shopify's come in
// milliseconds, so those are the ones of a sender that holds connections open.
type bodies struct {
	free *semaphore.Weighted
	pool sync.Pool

	mu      sync.Mutex
	reading *list.List // of *arrival, oldest first
}

// arrival is one body that is being read.
type arrival struct {
	began   time.Time
	held    int64
	evicted bool
	abort   func()
}

// errNoMemory: the budget is used up, or the body gave way to others.
var errNoMemory = errors.New("the memory for bodies in flight is used up")

func newBodies(budget int64) *bodies {
	return &bodies{free: semaphore.NewWeighted(budget), reading: list.New()}
}

// read reads a body of at most limit bytes. release gives its memory back; the
// body must not be used after it.
func (b *bodies) read(w http.ResponseWriter, r *http.Request, limit int64, began time.Time) (body []byte, release func(), err error) {
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(began.Add(bodyTime)) // not every writer has a connection
	a := &arrival{began: began, abort: func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }}
	b.mu.Lock()
	place := b.reading.PushBack(a)
	b.mu.Unlock()
	buf, _ := b.pool.Get().(*bytes.Buffer)
	if buf == nil {
		buf = new(bytes.Buffer)
	}
	release = func() {
		b.free.Release(a.held)
		if buf.Cap() <= bodyReused {
			buf.Reset()
			b.pool.Put(buf)
		}
	}
	from := http.MaxBytesReader(w, r.Body, limit)
	for want := bodyFirst; err == nil; want *= 2 {
		size := int64(want)
		if r.ContentLength >= 0 {
			size = min(size, r.ContentLength)
		}
		size = min(size, limit) + bodySlack
		if err = b.hold(r.Context(), a, size); err != nil {
			break
		}
		buf.Grow(int(size) - buf.Len())
		if _, err = io.CopyN(buf, from, size-bodySlack+1-int64(buf.Len())); err != nil {
			break
		}
	}
	b.mu.Lock()
	b.reading.Remove(place)
	evicted := a.evicted
	b.mu.Unlock()
	if errors.Is(err, io.EOF) {
		return buf.Bytes(), release, nil
	}
	release()
	if evicted {
		err = errNoMemory
	}
	return nil, nil, err
}

// hold raises what a holds to size, making room when there is none.
func (b *bodies) hold(ctx context.Context, a *arrival, size int64) error {
	more := size - a.held
	if more <= 0 {
		return nil
	}
	if !b.free.TryAcquire(more) {
		b.makeRoom(a, more)
		ctx, cancel := context.WithTimeout(ctx, bodyWait)
		defer cancel()
		if b.free.Acquire(ctx, more) != nil {
			return errNoMemory
		}
	}
	b.mu.Lock()
	a.held = size
	b.mu.Unlock()
	return nil
}

// makeRoom gives up the bodies that have been arriving for longest until they
// free need bytes or none is old enough.
func (b *bodies) makeRoom(asks *arrival, need int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := b.reading.Front(); e != nil && need > 0; e = e.Next() {
		a := e.Value.(*arrival)
		if time.Since(a.began) < bodyPatience {
			return // the rest is younger still
		}
		if a == asks {
			continue
		}
		need -= a.held
		if !a.evicted {
			a.evicted = true
			a.abort()
		}
	}
}
