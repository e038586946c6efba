package appliance

import (
	"container/list"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	publicMost = 2048             // connections of the public listener
	writeMost  = 30 * time.Second // for a client to take the next piece of an answer
	writePiece = 16 << 10
)

// connections is a listener that bounds what its clients may hold: with most
// connections open, one more closes the one that has waited longest without a
// right signature. Those that never had one come first, the oldest first, then
// the one whose last right signature is longest ago.
type connections struct {
	net.Listener
	most int // 0 for no bound

	mu               sync.Mutex
	known            func(remote string) bool // whose connections count as signed from the start; nil: nobody's
	unsigned, signed list.List                // of *conn, each the one that has waited longest first
	closed           int                      // to make room
}

// conn is one connection. A client that takes nothing of an answer is cut off.
type conn struct {
	net.Conn
	of    *connections
	in    *list.List
	place *list.Element
}

// Accept waits for the next connection, and makes room for it.
func (l *connections) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: accepted, of: l, in: &l.unsigned}
	l.mu.Lock()
	var gives *list.Element
	if l.most > 0 && l.unsigned.Len()+l.signed.Len() >= l.most {
		if gives = l.unsigned.Front(); gives == nil {
			gives = l.signed.Front()
		}
		l.closed++
		l.remove(gives.Value.(*conn))
	}
	if l.known != nil && l.known(c.RemoteAddr().String()) {
		c.in = &l.signed
	}
	c.place = c.in.PushBack(c)
	l.mu.Unlock()
	if gives != nil {
		_ = gives.Value.(*conn).Conn.Close() // its client may have closed it already
	}
	return c, nil
}

// remove takes c out of its list; mu is held.
func (l *connections) remove(c *conn) {
	if c.place != nil {
		c.in.Remove(c.place)
		c.place = nil
	}
}

// count tells how many connections are open, and how many were closed to make
// room.
func (l *connections) count() (open, closed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unsigned.Len() + l.signed.Len(), l.closed
}

// connKey is the key of a request's *conn in its context.
type connKey struct{}

// proven moves a request's connection to the back: its signature was right.
func proven(r *http.Request) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok {
		return // not from a listener of ours
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.place != nil {
		c.of.remove(c)
		c.in = &c.of.signed
		c.place = c.in.PushBack(c)
	}
}

// Close closes the connection.
func (c *conn) Close() error {
	c.of.mu.Lock()
	c.of.remove(c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

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
