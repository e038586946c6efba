package appliance

import (
	"bytes"
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"
)

const (
	publicMost = 2048             // connections of the public listener
	ending     = 256              // further ones, closed to make room, whose requests have not ended yet
	linesMost  = 256              // of the head of a request; each takes 100 bytes, however short it is
	writeMost  = 30 * time.Second // for a client to take the next piece of an answer
	writePiece = 16 << 10
)

// connections is a listener that bounds what its clients may hold: with most
// connections open, one more closes the one that has waited longest without a
// right signature. Those that never had one come first, the oldest first. Behind
// them, whose signatures may be of a delivery that was seen and is sent again, come
// those of whose sender a delivery was applied lately, then those of which one was.
type connections struct {
	net.Listener
	most   int  // 0 for no bound
	sealed bool // what comes is TLS

	mu      sync.Mutex
	known   func(remote string) bool // of whose sender a delivery was applied lately; nil: nobody's
	lists   [applied + 1]list.List   // of *conn, each the one that has waited longest first
	closed  int                      // to make room
	served  int                      // by net/http still, the closed ones among them
	fresh   int                      // of which no request was handled yet
	resting bool                     // no more are accepted
	rested  bool                     // and none is on its way from Accept any more
	over    bool                     // the listener is closed
	changed sync.Cond                // of these
}

// The lists, in the order in which they give way.
const (
	stranger = iota
	signed   // it had a right signature
	known    // a delivery of its sender was applied lately
	applied  // one of its own was
)

// conn is one connection. A client that takes nothing of an answer is cut off.
type conn struct {
	net.Conn
	of    *connections
	in    int // of the lists
	place *list.Element
	ended context.Context // done when the connection is closed
	end   context.CancelFunc
	lines int  // of the head that is read now, -1 after it
	begun bool // a request was handled, or it is closed
}

// Accept waits for the next connection, and makes room for it.
func (l *connections) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		l.atRest()
		return nil, err
	}
	c := &conn{Conn: accepted, of: l}
	c.ended, c.end = context.WithCancel(context.WithValue(context.Background(), connKey{}, c))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.most > 0 && l.open() >= l.most {
		var gives *list.Element
		for i := 0; gives == nil; i++ {
			gives = l.lists[i].Front()
		}
		l.closed++
		_ = l.close(gives.Value.(*conn)) // its client may have closed it already
	}
	for l.changed.L = &l.mu; l.most > 0 && l.served >= l.most+ending && !l.over; {
		l.changed.Wait() // so that no more come than can be ended
	}
	l.served++
	l.fresh++
	l.rested = false
	if l.known != nil && l.known(c.RemoteAddr().String()) {
		c.in = known
	}
	c.place = l.lists[c.in].PushBack(c)
	return c, nil
}

// rest accepts no more, and waits until of each connection that was accepted a request
// is handled, or it is closed; at most until ctx ends. net/http drops what it reads of
// a request once it shuts down.
func (l *connections) rest(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed.L = &l.mu
	l.resting = true
	_ = l.Listener.Close()
	defer context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changed.Broadcast()
	})()
	for (!l.rested || l.fresh > 0) && ctx.Err() == nil {
		l.changed.Wait()
	}
}

// atRest keeps the error of a listener that rests from net/http until it shuts down.
func (l *connections) atRest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed.L = &l.mu
	l.rested = true
	for l.changed.Broadcast(); l.resting && !l.over; {
		l.changed.Wait()
	}
}

// begin notes that a request of c is handled, or that none will be; mu is held.
func (l *connections) begin(c *conn) {
	if !c.begun {
		c.begun = true
		l.fresh--
		l.changed.Broadcast()
	}
}

// close closes c, so that its request waits for nothing any more; mu is held.
func (l *connections) close(c *conn) error {
	if c.place != nil {
		l.lists[c.in].Remove(c.place)
		c.place = nil
	}
	c.end()
	return c.Conn.Close()
}

// open is how many are open; mu is held.
func (l *connections) open() (n int) {
	for i := range l.lists {
		n += l.lists[i].Len()
	}
	return n
}

// count tells how many connections are open, and how many were closed to make
// room.
func (l *connections) count() (open, closed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open(), l.closed
}

// connKey is the key of a request's *conn in its context.
type connKey struct{}

// begins hands a request on, and notes that it is handled.
func begins(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			c.of.mu.Lock()
			c.of.begin(c)
			c.of.mu.Unlock()
		}
		h.ServeHTTP(w, r)
	})
}

// proven moves a request's connection to the back: its signature was right, and
// its delivery was applied.
func proven(r *http.Request, wasApplied bool) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok {
		return // not from a listener of ours
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.place != nil {
		c.of.lists[c.in].Remove(c.place)
		if c.in = max(c.in, signed); wasApplied {
			c.in = applied
		}
		c.place = c.of.lists[c.in].PushBack(c)
	}
}

// proved reports whether a delivery on a request's connection was applied.
func proved(r *http.Request) bool {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok {
		return false
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	return c.in == applied
}

// Close closes the listener.
func (l *connections) Close() error {
	l.mu.Lock()
	l.over = true
	rests := l.resting
	l.changed.Broadcast()
	l.mu.Unlock()
	if rests {
		return nil // it is closed
	}
	return l.Listener.Close()
}

// turn is told by net/http of each change of a connection. After each answer others
// run first: a client that sends requests ahead would else keep a processor for
// 10 ms whenever its turn comes, and two hundred of them would hold up a delivery
// for seconds.
func turn(nc net.Conn, to http.ConnState) {
	switch c := connOf(nc); to {
	case http.StateActive:
		c.lines = -1
	case http.StateIdle:
		c.lines = 0
		runtime.Gosched()
	case http.StateClosed:
		c.of.mu.Lock()
		c.of.served--
		c.of.changed.Broadcast()
		c.of.begin(c)
		c.of.mu.Unlock()
	}
}

// connOf is the connection below one that net/http knows.
func connOf(nc net.Conn) *conn {
	if over, ok := nc.(*tls.Conn); ok {
		nc = over.NetConn()
	}
	return nc.(*conn)
}

// Close closes the connection.
func (c *conn) Close() error {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	return c.of.close(c)
}

// Read refuses a head of too many lines before there is memory taken for them. Of one that
// comes by TLS it sees none: secureHead bounds those, and HTTP/2 reads while net/http tells
// of changes, so lines is not looked at then.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.of.sealed && c.lines >= 0 {
		head, _, _ := bytes.Cut(b[:n], []byte("\r\n\r\n"))
		if c.lines += bytes.Count(head, []byte("\n")); c.lines > linesMost {
			return 0, errLines
		}
	}
	return n, err
}

var errLines = errors.New("the head of the request has too many lines")

// Write writes in pieces with a deadline for each, so that a client that is slow
// may take as long as it needs.
func (c *conn) Write(b []byte) (n int, err error) {
	for {
		if err := c.SetWriteDeadline(time.Now().Add(writeMost)); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(b[n:min(len(b), n+writePiece)])
		if n += m; err != nil || n == len(b) {
			return n, err
		}
	}
}

// CloseWrite lets net/http end an answer before the request was read whole, so
// that the client still reads the answer.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
