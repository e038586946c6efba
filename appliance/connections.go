package appliance

import (
	"net"
	"time"
)

const (
	writeMost  = 30 * time.Second // for a client to take the next piece of an answer
	writePiece = 16 << 10
)

// connections is a listener whose connections bound what a client may hold.
type connections struct{ net.Listener }

// Accept waits for the next connection.
func (l *connections) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

// conn is one connection. A client that takes nothing of an answer is cut off.
type conn struct{ net.Conn }

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
