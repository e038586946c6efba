package fakeshopify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Transport returns a RoundTripper that calls h in the same process, without
// sockets, so that it works inside a synctest bubble. The answer streams: a
// slow handler is a slow body, a handler that panics with ErrAbortHandler is a
// connection that broke, one that panics with another error fails with that. The request's context ends the handler's.
func Transport(h http.Handler) http.RoundTripper { return inProcess{h} }

type inProcess struct{ h http.Handler }

// errReset is what a broken connection looks like to the client.
var errReset = errors.New("connection reset by peer")

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	in := req.Clone(ctx)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "192.0.2.1:1234"
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.URL.Scheme == "https" {
		in.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: in.URL.Hostname()}
	}
	in.URL.Scheme, in.URL.Host = "", ""
	r, w := io.Pipe()
	out := &pipeWriter{header: make(http.Header), pipe: w, trailer: make(http.Header), ready: make(chan struct{})}
	go func() {
		defer cancel()
		defer func() {
			err := error(nil)
			switch p := recover(); p {
			case nil:
				out.WriteHeader(http.StatusOK)
			case http.ErrAbortHandler:
				err = errReset
			default:
				var named bool
				if err, named = p.(error); !named {
					err = fmt.Errorf("handler panic: %v", p)
				}
			}
			out.fail(err)
			out.putTrailer()
			w.CloseWithError(err)
		}()
		t.h.ServeHTTP(out, in)
	}()
	select {
	case <-out.ready:
	case <-ctx.Done():
		// A handler that is quick to notice still has the last word.
		if err := req.Context().Err(); err != nil {
			r.CloseWithError(err)
			return nil, err
		}
		<-out.ready
	}
	if out.err != nil {
		r.Close()
		cancel()
		return nil, out.err
	}
	length, err := strconv.ParseInt(out.sent.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	stop := context.AfterFunc(req.Context(), func() { r.CloseWithError(req.Context().Err()) })
	res := &http.Response{Status: fmt.Sprintf("%d %s", out.status, http.StatusText(out.status)), StatusCode: out.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: out.sent, Trailer: out.trailer, ContentLength: length, Request: req,
		Body: &pipeBody{r, func() { stop(); cancel() }}}
	return res, nil
}

type pipeBody struct {
	*io.PipeReader
	done func()
}

func (b *pipeBody) Close() error {
	b.done()
	return b.PipeReader.Close()
}

type pipeWriter struct {
	header  http.Header
	trailer http.Header // to be read behind the body
	pipe    *io.PipeWriter
	once    sync.Once
	ready   chan struct{}
	// status, sent and err are set before ready is closed.
	status int
	sent   http.Header
	err    error
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, make(http.Header)
		for k, v := range w.header {
			for _, x := range v {
				w.sent.Add(k, x) // as the wire would: names in their canonical form
			}
		}
		close(w.ready)
	})
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(b)
}

// Flush does nothing: every write is seen at once.
func (w *pipeWriter) Flush() {}

// putTrailer tells what the handler announced behind its body.
func (w *pipeWriter) putTrailer() {
	for name, values := range w.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			w.trailer[name] = values
		}
	}
}

// fail ends an answer that never began.
func (w *pipeWriter) fail(err error) {
	w.once.Do(func() {
		w.err = err
		close(w.ready)
	})
}
