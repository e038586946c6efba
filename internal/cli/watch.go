package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"stockroom/internal/datadir"
	"stockroom/internal/uptime"
)

// watched sends requests to the running server and asks it meanwhile whether it
// is alive: what is asked for may take long, a server that was stopped takes for
// ever.
type watched struct {
	server datadir.Admin
	base   http.RoundTripper
}

const (
	watchEvery = time.Second
	watchLimit = 5 * time.Second
)

// RoundTrip gives up when the server does not answer /healthz, also while the
// answer's body is read.
func (t watched) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	go func() {
		for uptime.Sleep(ctx, watchEvery) {
			if err := t.alive(ctx); err != nil {
				cancel(silent(t.server))
			}
		}
	}()
	res, err := t.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		err = whyEnded(ctx, fmt.Errorf("%w (%w)", silent(t.server), err))
		cancel(nil)
		return nil, err
	}
	res.Body = watchedBody{res.Body, ctx, cancel}
	return res, nil
}

func (t watched) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, watchLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.server.URL+"/healthz", nil)
	if err != nil {
		return err
	}
	res, err := t.base.RoundTrip(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// silent is the error for a server that does not answer.
func silent(a datadir.Admin) error {
	return fmt.Errorf("the server (process %d, %s) does not answer; it may be stopped or overloaded. Look at its log, or start it anew", a.PID, a.URL)
}

// whyEnded is the cause that ended ctx, else err.
func whyEnded(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

type watchedBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (b watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = whyEnded(b.ctx, err)
	}
	return n, err
}

func (b watchedBody) Close() error {
	b.cancel(nil)
	return b.ReadCloser.Close()
}
