package cli

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/datadir"
)

// wire answers requests without a network.
type wire func(r *http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

// hang is a server that was stopped: it takes the request and never answers.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func answered(body io.Reader) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(body)}, nil
}

// stalled is a body that ends only with its request.
type stalled struct{ ctx context.Context }

func (s stalled) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func TestAStoppedServerIsGivenUp(t *testing.T) {
	const says = "the server (process 7, http://127.0.0.1:8081) does not answer; it may be stopped or overloaded. Look at its log, or start it again"
	call := func(ctx context.Context, w wire) (time.Duration, error) {
		began := time.Now()
		c := &client{
			base: "http://127.0.0.1:8081",
			http: &http.Client{Transport: watched{datadir.Admin{URL: "http://127.0.0.1:8081", PID: 7}, w}},
		}
		var out any
		err := c.call(ctx, http.MethodGet, "/api/v1/syncs/1", nil, &out)
		return time.Since(began), err
	}
	synctest.Test(t, func(t *testing.T) {
		if took, err := call(t.Context(), hang); err == nil || err.Error() != says || took != watchEvery+watchLimit || exitCode(err) != 1 {
			t.Errorf("a call: %v after %v", err, took)
		}
		took, err := call(t.Context(), func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/healthz" {
				return hang(r)
			}
			return answered(stalled{r.Context()})
		})
		if err == nil || !strings.HasSuffix(err.Error(), says) || took != watchEvery+watchLimit {
			t.Errorf("while an answer is read: %v after %v", err, took)
		}
		took, err = call(t.Context(), func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/healthz" {
				return answered(strings.NewReader("ok"))
			}
			time.Sleep(10 * time.Minute)
			return answered(strings.NewReader("{}"))
		})
		if err != nil || took != 10*time.Minute {
			t.Errorf("a long call of a server that is alive: %v after %v", err, took)
		}
		_, err = call(t.Context(), func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
		if err == nil || err.Error() != says+" (unexpected EOF)" {
			t.Errorf("a connection that breaks: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if took, err = call(ctx, hang); !errors.Is(err, context.DeadlineExceeded) || took != 2*time.Second {
			t.Errorf("a person who gives up first: %v after %v", err, took)
		}
	})
}
