package appliance

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// pipes is a listener whose connections are pipes: they buffer nothing, and
// their deadlines keep to the time of a bubble.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) dial() net.Conn {
	here, there := net.Pipe()
	p <- there
	return here
}

// A client that takes nothing of an answer is let go, whatever the answer is; one
// that takes it slowly is served for as long as it takes.
func TestAClientThatTakesNothingOfAnAnswerIsCutOff(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	answers := map[string]func(http.ResponseWriter) error{
		"an answer in one piece": func(w http.ResponseWriter) error { _, err := io.WriteString(w, large); return err },
		"an export": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(large)})
			return err
		},
		"a stream": func(w http.ResponseWriter) error {
			for range 100 {
				_, err := io.WriteString(w, "event: x\n\n")
				if err = errors.Join(err, http.NewResponseController(w).Flush()); err != nil {
					return err
				}
				time.Sleep(15 * time.Second)
			}
			return nil
		},
		"pipelined requests": func(w http.ResponseWriter) error {
			w.Header().Set("X-Filler", large[:8<<10]) // more than net/http buffers
			w.(http.Flusher).Flush()
			return nil
		},
	}
	for name, answer := range answers {
		for _, reads := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, read %t", name, reads), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ended := make(chan error, 100)
					srv := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { ended <- answer(w) }), slog.New(slog.DiscardHandler))
					ln := make(pipes)
					go srv.Serve(&connections{Listener: ln})
					defer srv.Close()
					c, began := ln.dial(), time.Now()
					defer c.Close()
					go io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 3))
					if !reads {
						time.Sleep(writeMost + time.Second)
						synctest.Wait()
						if _, err := io.Copy(io.Discard, c); err != nil {
							t.Error(err)
						}
						if took := time.Since(began); took > writeMost+time.Second {
							t.Errorf("the connection was open for %s", took)
						}
						return
					}
					slow := make([]byte, 8<<10)
					for {
						if _, err := c.Read(slow); err != nil {
							t.Fatalf("after %s: %v", time.Since(began), err)
						}
						select {
						case err := <-ended:
							if err != nil {
								t.Errorf("after %s: %v", time.Since(began), err)
							}
							return
						case <-time.After(14 * time.Second):
						}
					}
				})
			})
		}
	}
}

func TestAWriteThatIsNotTakenFailsAndTheNextHasItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		c, began := &conn{Conn: there}, time.Now()
		if n, err := c.Write(make([]byte, 1<<20)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != writeMost {
			t.Errorf("%d, %v after %s", n, err, time.Since(began))
		}
		go io.Copy(io.Discard, here)
		if n, err := c.Write(make([]byte, 1<<20)); n != 1<<20 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := c.Write(nil); n != 0 || err != nil {
			t.Errorf("%d, %v for nothing", n, err)
		}
	})
}

// dialled dials a server of ours that answers with a handler.
func dialled(t *testing.T, answer http.HandlerFunc) (net.Conn, *bufio.Reader) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := newServer(answer, slog.New(slog.DiscardHandler))
	go srv.Serve(&connections{Listener: ln})
	t.Cleanup(func() { _ = srv.Close() })
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, bufio.NewReader(c)
}

// What net/http does with a TCP connection it does with ours too: an answer
// before the end of a large body is read, and a connection is used again.
func TestAnswersBeforeTheEndOfABodyAreReadAndConnectionsAreKept(t *testing.T) {
	c, in := dialled(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 100 {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})
	for _, size := range []int{10, 10, 4 << 20} {
		head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = c.Write(append([]byte(head), bytes.Repeat([]byte("x"), size)...)) // refused in the middle
		}()
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if want := map[bool]int{true: 413, false: 200}[size > 100]; res.StatusCode != want {
			t.Errorf("%d bytes: %d", size, res.StatusCode)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		if size <= 100 {
			<-sent
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Errorf("the connection did not end in good order: %v", err)
	}
}

// The order in which connections give way, against a model: a list in which each
// has its time without a right signature.
func TestConnectionsGiveWayInOrder(t *testing.T) {
	type modelled struct {
		c     *conn
		in    int // 0 stranger, 1 signed, 2 known sender, 3 applied
		since int // the step of its last right signature, or of its beginning
	}
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 6).Draw(t, "most")
		ln := make(pipes, 1)
		l := &connections{Listener: ln, most: most}
		var open []modelled
		closed := 0
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, most).Draw(t, "which")
			switch act := rapid.SampledFrom([]string{"accept", "accept known", "prove", "apply", "close"}).Draw(t, "act"); {
			case (act == "prove" || act == "apply") && i < len(open):
				proven((&http.Request{}).WithContext(context.WithValue(context.Background(), connKey{}, open[i].c)), act == "apply")
				open[i].in, open[i].since = max(open[i].in, map[string]int{"prove": 1, "apply": 3}[act]), step
			case act == "close" && i < len(open):
				_ = open[i].c.Close()
				turn(open[i].c, http.StateClosed)
				open = slices.Delete(open, i, i+1)
			case strings.HasPrefix(act, "accept"):
				in := 0
				if act == "accept known" {
					in = 2
				}
				l.known = func(string) bool { return in == 2 }
				here, there := net.Pipe()
				ln <- there
				c, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer here.Close()
				if len(open) == most {
					first := slices.MinFunc(open, func(a, b modelled) int {
						return cmp.Or(a.in-b.in, a.since-b.since)
					})
					if err := first.c.SetDeadline(time.Time{}); !errors.Is(err, io.ErrClosedPipe) {
						t.Fatalf("the one that has waited longest is open: %v", err)
					}
					proven((&http.Request{}).WithContext(context.WithValue(context.Background(), connKey{}, first.c)), false) // too late
					closed++
					if turn(first.c, http.StateClosed); first.c.ended.Err() == nil {
						t.Fatal("its request goes on")
					}
					open = slices.DeleteFunc(open, func(m modelled) bool { return m.c == first.c })
				}
				open = append(open, modelled{c.(*conn), in, step})
			}
			if n, shut := l.count(); n != len(open) || shut != closed || n > most {
				t.Fatalf("%d open and %d closed, want %d and %d", n, shut, len(open), closed)
			}
			for _, m := range open {
				if r := (&http.Request{}).WithContext(context.WithValue(context.Background(), connKey{}, m.c)); proved(r) != (m.in == 3) {
					t.Fatalf("a connection of rank %d: proved is %t", m.in, proved(r))
				}
				if err := m.c.SetDeadline(time.Time{}); err != nil {
					t.Fatalf("another one was closed: %v", err)
				}
			}
		}
	})
}

// More connections than the public listener holds: all that had no right
// signature give way, one that had keeps its place, and the page of the other
// listener has no bound.
func TestThePublicListenerHoldsAtMostItsConnections(t *testing.T) {
	var l Listeners
	var err error
	if l.Public, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if l.Admin, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Signed") != "" {
			proven(r, false)
		}
	})
	f := newFront(l, slog.New(slog.DiscardHandler), answer, answer)
	defer f.close()
	const beyond = 40
	var all []net.Conn
	defer func() {
		for _, c := range all {
			_ = c.Close()
		}
	}()
	dial := func(ln net.Listener, header string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", ln.Addr().String())
		if errors.Is(err, syscall.EMFILE) {
			t.Skip("this system lets a process open too few files for so many connections")
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
		if header != "" {
			ask(t, c, header)
		}
		return c
	}
	delivers := dial(l.Public, "Signed: yes")
	admin := dial(l.Admin, "Any: thing")
	first := dial(l.Public, "Any: thing")
	for range publicMost - 2 + beyond {
		dial(l.Public, "")
	}
	ask(t, dial(l.Public, ""), "Any: thing") // the last that came is served: all before it were accepted
	if open, closed := f.connections.count(); open != publicMost || closed != beyond+1 {
		t.Errorf("%d open and %d closed, want %d and %d", open, closed, publicMost, beyond+1)
	}
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the oldest connection is open: %v", err)
	}
	ask(t, delivers, "Any: thing")
	ask(t, admin, "Any: thing")
}

// ask sends a request over a connection and reads its answer.
func ask(t *testing.T, c net.Conn, header string) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n"+header+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// A connection that is closed to make room ends its request, and no more are
// accepted than can be ended.
func TestNoMoreConnectionsAreAcceptedThanEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		most, ln := 3, make(pipes)
		l := &connections{Listener: ln, most: most}
		waiting, leave := new(atomic.Int32), make(chan struct{})
		srv := newServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			waiting.Add(1)
			<-r.Context().Done()
			<-leave // it takes its time
		}), slog.New(slog.DiscardHandler))
		go srv.Serve(l)
		var all []net.Conn
		dialled := make(chan struct{})
		go func() {
			defer close(dialled)
			for range most + ending + 2 {
				c := ln.dial()
				all = append(all, c)
				_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n") // it may wait for long
				synctest.Wait()
			}
		}()
		time.Sleep(time.Minute)
		if waiting.Load() != int32(most+ending) {
			t.Errorf("%d requests are served, want %d", waiting.Load(), most+ending)
		}
		close(leave)
		<-dialled
		synctest.Wait()
		if open, closed := l.count(); open != most || closed != ending+2 {
			t.Errorf("%d open, %d closed", open, closed)
		}
		_ = srv.Close()
		for _, c := range all {
			_ = c.Close()
		}
	})
}

// A short line of a head takes many times its length in memory, so that lines are
// counted while they come; a body may have as many as it wants.
func TestTheHeadOfARequestHasABoundedNumberOfLines(t *testing.T) {
	c, in := dialled(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})
	for _, q := range []struct{ head, body, status int }{{linesMost - 4, 60_000, 200}, {20, 60_000, 200}, {linesMost - 4, 0, 200}, {linesMost, 0, 0}} {
		text := "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + fmt.Sprint(q.body) + "\r\n"
		for i := range q.head {
			text += fmt.Sprintf("%d:\r\n", i)
		}
		if _, err := io.WriteString(c, text+"\r\n"+strings.Repeat("\n", q.body)); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if q.status == 0 {
			if err == nil {
				t.Errorf("%d lines are answered %d", q.head, res.StatusCode)
			}
			return
		}
		if err != nil {
			t.Fatalf("%d lines: %v", q.head, err)
		}
		if res.StatusCode != q.status {
			t.Errorf("%d lines and a body of %d: %d, want %d", q.head, q.body, res.StatusCode, q.status)
		}
		res.Body.Close()
	}
}

// told is a listener that tells when it has accepted a connection, and when it closes.
type told struct {
	net.Listener
	accepted, closed chan struct{}
}

func (l told) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted <- struct{}{}
	}
	return c, err
}

func (l told) Close() error {
	close(l.closed)
	return l.Listener.Close()
}

// TestAStopAnswersWhoHadConnectedBefore sends the request once the listener is closed.
// One that sends none holds the stop up for a moment only.
func TestAStopAnswersWhoHadConnectedBefore(t *testing.T) {
	t.Parallel()
	for name, sends := range map[string]bool{"a request": true, "nothing": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			under, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l := told{under, make(chan struct{}, 1), make(chan struct{})}
			h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
			f := newFront(Listeners{Public: l}, slog.New(slog.DiscardHandler), h, h)
			c, err := net.Dial("tcp", under.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			<-l.accepted
			most := time.Hour
			if !sends {
				most = 10 * time.Millisecond
			}
			ended := make(chan error, 1)
			go func() { ended <- f.finish(t.Context(), most, slog.New(slog.DiscardHandler)) }()
			<-l.closed
			if sends {
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
					t.Error(err)
				}
				answer, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil || answer.StatusCode != http.StatusTeapot || !answer.Close {
					t.Errorf("answer %+v, %v", answer, err)
				}
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
