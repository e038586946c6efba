package appliance

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"stockroom/internal/certs"
	"stockroom/internal/certs/certstest"
	"stockroom/internal/folder"
)

// streams is a client of HTTP/2 that keeps to no rule but what it is told, and a server
// of ours that it speaks to.
type streams struct {
	t *testing.T
	*http2.Framer
	conn   net.Conn
	server *connections
	head   *hpack.Encoder
	coded  bytes.Buffer
}

// keptCerts are those of a data dir, for hooksName.
func keptCerts(t *testing.T) *certs.Certs {
	t.Helper()
	dir := t.TempDir()
	certstest.Keep(t, dir, nobody, hooksName, time.Now(), time.Now().Add(time.Hour))
	f, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := certs.New(certs.Options{
		Folder: f, Names: []string{hooksName}, Directory: nobody, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		c.Close()
		_ = f.Close()
	})
	return c
}

// inStreams runs a test with one on the time of a bubble.
func inStreams(t *testing.T, answer http.HandlerFunc, window uint32, test func(*streams)) {
	t.Helper()
	c := keptCerts(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSecured(Secure{Name: hooksName})
		s.use(c)
		ln := make(pipes)
		x := &streams{t: t, server: &connections{Listener: ln, most: secureMost, sealed: true}}
		srv := newServer(s.split(answer, answer), slog.New(slog.DiscardHandler))
		go s.serve(srv, x.server)
		defer srv.Close()
		x.conn = tls.Client(ln.dial(), &tls.Config{
			ServerName: hooksName, InsecureSkipVerify: true, NextProtos: []string{"h2"},
		})
		defer x.conn.Close()
		if _, err := io.WriteString(x.conn, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		x.Framer = http2.NewFramer(x.conn, x.conn)
		x.head = hpack.NewEncoder(&x.coded)
		x.must(x.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}))
		test(x)
	})
}

func (x *streams) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// begin sends the head of a request, whose body is yet to come unless it ends.
func (x *streams) begin(id uint32, method string, ends bool) {
	x.coded.Reset()
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: hooksName}, {Name: ":path", Value: "/"},
	} {
		x.must(x.head.WriteField(f))
	}
	x.must(x.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: x.coded.Bytes(), EndHeaders: true, EndStream: ends,
	}))
}

// A client by HTTP/2 that grants no room for an answer is let go as one by HTTP/1.1 is,
// whose other requests go on; a stream of events may be silent for as long as it likes.
func TestARequestWhoseAnswerIsNotTakenEndsByHTTP2Too(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter) error{
		"a large answer": func(w http.ResponseWriter) error {
			_, err := io.WriteString(w, strings.Repeat("x", 1<<20))
			return err
		},
		"a stream": func(w http.ResponseWriter) error {
			time.Sleep(10 * time.Minute)
			_, err := io.WriteString(w, "event: x\n\n")
			return errors.Join(err, http.NewResponseController(w).Flush())
		},
		"a small answer": func(w http.ResponseWriter) error {
			_, err := io.WriteString(w, "x")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			began := make(chan time.Time, 1)
			inStreams(t, func(w http.ResponseWriter, _ *http.Request) {
				_ = answer(w)
			}, 0, func(x *streams) {
				x.begin(1, "GET", true)
				for {
					frame, err := x.ReadFrame()
					x.must(err)
					if h, ok := frame.(*http2.HeadersFrame); ok && h.StreamID == 1 {
						began <- time.Now()
					}
					if reset, ok := frame.(*http2.RSTStreamFrame); ok {
						if took := time.Since(<-began); reset.StreamID != 1 || took > writeMost {
							t.Errorf("stream %d ended after %s", reset.StreamID, took)
						}
						return
					}
				}
			})
		})
	}
}

// However many requests one connection sends ahead, few are served at one time, and it
// is one connection.
func TestAConnectionByHTTP2HasFewRequestsAtOneTime(t *testing.T) {
	var now, most atomic.Int32
	inStreams(t, func(w http.ResponseWriter, r *http.Request) {
		for n := now.Add(1); n > most.Load(); {
			most.Store(n)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		now.Add(-1)
	}, 1<<16, func(x *streams) {
		refused := make(chan int)
		go func() {
			n := 0
			for {
				frame, err := x.ReadFrame()
				if err != nil {
					refused <- n
					return
				}
				if _, ok := frame.(*http2.RSTStreamFrame); ok {
					n++
				}
			}
		}()
		x.must(x.WriteSettingsAck())
		sent := 0
		for sent < 200 {
			x.begin(uint32(2*sent+1), "POST", false)
			sent++
		}
		synctest.Wait()
		if open, closed := x.server.count(); open != 1 || closed != 0 {
			x.t.Errorf("%d connections are open, %d closed", open, closed)
		}
		if got := most.Load(); got != streamsMost {
			x.t.Errorf("%d requests at one time, want %d", got, streamsMost)
		}
		_ = x.conn.Close()
		if got := <-refused; got != sent-streamsMost {
			x.t.Errorf("%d of %d were refused", got, sent)
		}
		synctest.Wait()
		if x.server.served != 0 || now.Load() != 0 {
			x.t.Errorf("%d connections and %d requests are left", x.server.served, now.Load())
		}
	})
}

// A body that does not come ends its request, and a head that does not end its connection.
func TestWhatDoesNotComeByHTTP2IsNotWaitedForLong(t *testing.T) {
	inStreams(t, func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		if _, err := io.Copy(io.Discard, r.Body); err == nil || time.Since(began) > 30*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	}, 1<<16, func(x *streams) {
		began := time.Now()
		x.begin(1, "POST", false)
		for {
			if _, err := x.ReadFrame(); err != nil {
				break
			}
		}
		if took := time.Since(began); took > 3*time.Minute {
			x.t.Errorf("the connection was open for %s", took)
		}
	})
}

// A handshake that comes before the data dir is open waits for it, but not for long.
func TestAHandshakeAtTheStartWaitsForTheCertificates(t *testing.T) {
	c := keptCerts(t)
	for _, opens := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s, ln, began := newSecured(Secure{Name: hooksName}), make(pipes), time.Now()
			srv := newServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
			go s.serve(srv, &connections{Listener: ln, most: secureMost, sealed: true})
			defer srv.Close()
			shaken := make(chan error)
			go func() {
				conn := tls.Client(ln.dial(), &tls.Config{ServerName: hooksName, InsecureSkipVerify: true})
				defer conn.Close()
				shaken <- conn.Handshake()
			}()
			time.Sleep(shakeMost / 2)
			synctest.Wait()
			if opens {
				s.use(c)
			}
			if err := <-shaken; (err == nil) != opens || time.Since(began) > shakeMost {
				t.Errorf("opens %t: %v after %s", opens, err, time.Since(began))
			}
		})
	}
}
