package webhook

import (
	"cmp"
	"container/heap"
	"container/list"
	"context"
	"errors"
	"io"
	"math/bits"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	bodiesInFlight = 4 // largest bodies that are held in memory at one time, or as much of smaller ones

	bodyFirst    = 16 << 10               // most bytes held for a body before any of it has come
	bodyLeast    = 4 << 10                // of memory, even for the smallest
	bodyTime     = 5 * time.Second        // for a whole body; Shopify gives up then (shopify.dev, verify deliveries)
	bodyPatience = 300 * time.Millisecond // a body that takes longer gives way to one of its own sender
	bodyWait     = time.Second            // for memory
	bodyWaiters  = 256                    // most that wait; beyond them the last in the order is refused
	bodyReused   = 128 << 10              // larger buffers are left to the collector
)

// bodies bounds the memory of the bodies in flight. Memory is taken as bytes
// arrive, never for a length that was only declared. When it runs out, the bodies
// of senders that are not known give way first; among them that of the sender that
// holds most, its oldest. Of two that are known, or neither, a body never gives way
// to one whose sender would then hold more than its own.
type bodies struct {
	pools [32]sync.Pool // of *[]byte, by the logarithm of their size

	mu      sync.Mutex
	free    int64
	leaving int64 // held by bodies that gave way and have not ended yet
	shares  map[from]*share
	giving  giving
	waiting []*arrival // for memory
}

// from is whose bodies share a place. Those on connections that had a right
// signature are apart from the others of their sender.
type from struct {
	sender netip.Prefix
	known  int  // 1: a delivery of the sender was applied within the last hour
	conn   bool // the connection had one
}

// share is what the bodies of one sender hold.
type share struct {
	from
	held    int64 // without the bodies that gave way
	bodies  int
	reading list.List // of *arrival: those that hold memory and can give way, oldest first
	index   int       // in giving
}

// giving is a heap of the senders that have bodies that can give way: who gives
// way first is first.
type giving []*share

func (g giving) Len() int { return len(g) }
func (g giving) Less(i, j int) bool {
	if g[i].known != g[j].known {
		return g[i].known < g[j].known
	}
	return g[i].held > g[j].held
}
func (g giving) Swap(i, j int) {
	g[i], g[j] = g[j], g[i]
	g[i].index, g[j].index = i, j
}
func (g *giving) Push(s any) { s.(*share).index = len(*g); *g = append(*g, s.(*share)) }
func (g *giving) Pop() any {
	last := (*g)[len(*g)-1]
	last.index = -1
	*g = (*g)[:len(*g)-1]
	return last
}

// place puts a sender where it belongs after a change.
func (g *giving) place(s *share) {
	switch {
	case s.reading.Len() > 0 && s.index < 0:
		heap.Push(g, s)
	case s.reading.Len() > 0:
		heap.Fix(g, s.index)
	case s.index >= 0:
		heap.Remove(g, s.index)
	}
}

// arrival is one body in flight.
type arrival struct {
	of      *share
	place   *list.Element // in of.reading, nil when it can't give way
	began   time.Time
	held    int64
	asks    int64 // more, while it waits
	evicted bool
	turned  chan struct{} // closed when it waits no more
	abort   func()
	probe   [1]byte
}

// errNoMemory: the budget is used up, or the body gave way to others.
var errNoMemory = errors.New("the memory for bodies in flight is used up")

func newBodies(budget int64) *bodies {
	return &bodies{free: budget, shares: map[from]*share{}}
}

// read reads a body of at most limit bytes. release gives its memory back; the body must not be used after it.
func (b *bodies) read(w http.ResponseWriter, req *request, f from, limit int64) (body []byte, release func(), err error) {
	r, conn := req.http, http.NewResponseController(w)
	_ = conn.SetReadDeadline(req.arrived.Add(bodyTime)) // not every writer has a connection
	a := b.begin(f, req.arrived, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	first := int64(bodyFirst)
	if r.ContentLength >= 0 {
		first = min(first, r.ContentLength)
	}
	source := http.MaxBytesReader(w, r.Body, limit)
	buf, err := b.grow(r.Context(), a, nil, min(first, limit))
	for err == nil {
		var n int
		if len(buf) < cap(buf) {
			n, err = source.Read(buf[len(buf):cap(buf)])
			buf = buf[:len(buf)+n]
			continue
		}
		n, end := source.Read(a.probe[:]) // there may be no more
		if n > 0 {
			if buf, err = b.grow(r.Context(), a, buf, min(2*int64(len(buf)), limit)); err == nil {
				buf = append(buf, a.probe[0])
			}
		}
		err = cmp.Or(err, end)
	}
	release = func() {
		b.reuse(buf)
		b.end(a)
	}
	if b.stay(a) && errors.Is(err, io.EOF) {
		return buf, release, nil
	}
	release()
	if a.evicted {
		err = errNoMemory
	}
	return nil, nil, err
}

// grow returns a buffer for size bytes with what is in buf, once there is memory
// for it.
func (b *bodies) grow(ctx context.Context, a *arrival, buf []byte, size int64) ([]byte, error) {
	class := bits.Len64(uint64(max(size, bodyLeast) - 1))
	if err := b.take(ctx, a, 1<<class); err != nil {
		return buf, err
	}
	larger, _ := b.pools[class].Get().(*[]byte)
	if larger == nil {
		larger = new(make([]byte, 0, 1<<class))
	}
	*larger = append((*larger)[:0], buf...)
	b.reuse(buf)
	return *larger, nil
}

// reuse keeps a buffer for the next body.
func (b *bodies) reuse(buf []byte) {
	if size := cap(buf); size > 0 && size <= bodyReused {
		b.pools[bits.Len(uint(size-1))].Put(&buf)
	}
}

// take raises what a holds to size. It waits for memory for bodyWait at most.
func (b *bodies) take(ctx context.Context, a *arrival, size int64) error {
	if turned := b.ask(a, size-a.held); turned != nil {
		timer := time.NewTimer(bodyWait)
		defer timer.Stop()
		select {
		case <-turned:
		case <-timer.C:
		case <-ctx.Done():
		}
		b.giveUp(a)
	}
	if a.held < size {
		return errNoMemory
	}
	return nil
}

// giveUp ends the wait of a, if it waits still.
func (b *bodies) giveUp(a *arrival) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(a)
	b.settle() // the next may ask for less
}

// begin notes a body that begins to arrive.
func (b *bodies) begin(f from, began time.Time, abort func()) *arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shares[f]
	if s == nil {
		s = &share{from: f, index: -1}
		b.shares[f] = s
	}
	s.bodies++
	return &arrival{of: s, began: began, abort: abort}
}

// ask asks for more memory. It returns nil when a has it or gets none, and
// otherwise what is closed when that is decided.
func (b *bodies) ask(a *arrival, more int64) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.evicted {
		return nil
	}
	a.asks = more
	b.waiting = append(b.waiting, a)
	b.settle()
	if len(b.waiting) > bodyWaiters {
		b.forget(slices.MaxFunc(b.waiting, order))
	}
	if a.asks == 0 {
		return nil
	}
	a.turned = make(chan struct{})
	return a.turned
}

// settle grants what is free to those that wait, in their order, and makes room for
// the first that has to go on waiting. mu is held.
func (b *bodies) settle() {
	for len(b.waiting) > 0 {
		a := slices.MinFunc(b.waiting, order)
		for b.free+b.leaving < a.asks {
			v := b.victim(a)
			if v == nil {
				return
			}
			b.evict(v)
		}
		if b.free < a.asks {
			return // what gave way ends soon
		}
		b.free -= a.asks
		a.of.held += a.asks
		a.held += a.asks
		if a.place == nil {
			a.place = a.of.reading.PushBack(a)
		}
		b.giving.place(a.of)
		b.forget(a)
	}
}

// order is the one in which bodies get memory: known senders first, then the
// smaller share.
func order(x, y *arrival) int {
	return cmp.Or(cmp.Compare(y.of.known, x.of.known), cmp.Compare(x.of.held+x.asks, y.of.held+y.asks))
}

// victim is the body that gives way to a first, nil for none. mu is held.
func (b *bodies) victim(a *arrival) *arrival {
	if len(b.giving) > 0 {
		most := b.giving[0]
		if most.known < a.of.known || most.known == a.of.known && most.held >= a.of.held+a.asks {
			return most.reading.Front().Value.(*arrival)
		}
	}
	for e := a.of.reading.Front(); e != nil; e = e.Next() {
		if v := e.Value.(*arrival); time.Since(v.began) < bodyPatience {
			return nil // the rest is younger still
		} else if v != a {
			return v
		}
	}
	return nil
}

// evict has a body give way. Its memory is free when its reading has ended; mu is
// held.
func (b *bodies) evict(v *arrival) {
	v.of.reading.Remove(v.place)
	v.place = nil
	v.evicted = true
	v.of.held -= v.held
	b.giving.place(v.of)
	b.leaving += v.held
	b.forget(v)
	v.abort()
}

// forget takes a from those that wait. mu is held.
func (b *bodies) forget(a *arrival) {
	if a.asks == 0 {
		return
	}
	a.asks = 0
	b.waiting = slices.DeleteFunc(b.waiting, func(w *arrival) bool { return w == a })
	if a.turned != nil {
		close(a.turned)
		a.turned = nil
	}
}

// stay reports whether a did not give way. From now on it can't.
func (b *bodies) stay(a *arrival) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.place != nil {
		a.of.reading.Remove(a.place)
		a.place = nil
		b.giving.place(a.of)
	}
	return !a.evicted
}

// end gives back what a holds.
func (b *bodies) end(a *arrival) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += a.held
	if a.evicted {
		b.leaving -= a.held
	} else {
		a.of.held -= a.held
		b.giving.place(a.of)
	}
	if a.of.bodies--; a.of.bodies == 0 {
		delete(b.shares, a.of.from)
	}
	b.settle()
}
