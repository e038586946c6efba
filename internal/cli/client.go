package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/appliance"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/uptime"
)

// client speaks the admin API.
type client struct {
	base  string
	token string
	http  *http.Client
	close func() error
	dir   string // the data dir
	alone bool   // no server runs: what is asked for is done in this process
}

// admin connects to the running server, or opens the data dir when there is
// none. create says that a missing data dir may be made; work, that without a
// server this process does the server's work until the client is closed.
func (e *env) admin(create, work bool) (*client, error) {
	s, err := e.settings()
	if err != nil {
		return nil, err
	}
	found, err := datadir.ReadAdmin(s.DataDir)
	switch {
	case err == nil:
		return newClient(found, s.DataDir), nil
	case !errors.Is(err, datadir.ErrNoServer):
		return nil, withCode(config.ExitData, err)
	}
	if _, err := os.Stat(s.DataDir); errors.Is(err, fs.ErrNotExist) && !create {
		return nil, withCode(config.ExitData, fmt.Errorf("there is no data dir %s; name another with --data, or begin with %s%s",
			s.DataDir, s.Command("init"), elsewhere(s.DataDir)))
	}
	a, err := appliance.Open(e.ctx, appliance.Options{Settings: s, Version: e.Version, Logger: e.loggerTo(e.besideProgress(), s, slog.LevelWarn), Manual: true})
	if err != nil {
		return nil, err
	}
	c := &client{
		base: "http://localhost", token: a.Token(), dir: s.DataDir, http: &http.Client{Transport: inProcess(a.Admin())}, close: a.Close, alone: true,
	}
	if work {
		_, stop := a.Work(e.ctx)
		c.close = func() error { return errors.Join(stop(), a.Close()) }
	}
	return c, nil
}

// newClient speaks to the running server of a data dir.
func newClient(found datadir.Admin, dir string) *client {
	return &client{
		base: found.URL, token: found.Token, dir: dir, close: func() error { return nil },
		http: &http.Client{CheckRedirect: noRedirect, Transport: watched{found, http.DefaultTransport}},
	}
}

// elsewhere names the data dirs that may have been meant.
func elsewhere(dir string) string {
	list := appliance.Elsewhere(dir)
	if len(list) == 0 {
		return ""
	}
	return ". " + strings.TrimSuffix(strings.Join(list, " "), ".")
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

var errBrokeOff = errors.New("the answer broke off")

// inProcess hands requests to the admin side without a socket, as if they came from
// this machine. The answer streams, so an export of any size needs little memory.
func inProcess(admin http.Handler) http.RoundTripper {
	return fakeshopify.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil { // it can't go on; what it has sent must not pass for all
				panic(errBrokeOff)
			}
		}()
		r.RemoteAddr = "127.0.0.1:0"
		admin.ServeHTTP(w, r)
	}))
}

// exitOf is the exit code of a refusal: by its code, else by its status. Its words
// decide nothing.
func exitOf(r *answer.Refusal) int {
	switch r.Code {
	case answer.CodeDeclared, answer.CodeNoPublicAddress, answer.CodeCredentials:
		return config.ExitConfig
	case answer.CodeUnreachable:
		return config.ExitUnreachable
	}
	if r.Status == http.StatusBadRequest {
		return config.ExitUsage
	}
	return config.ExitFailed
}

// address is a path with those parameters that have a value.
func address(path string, params map[string]string) string {
	q := url.Values{}
	for name, v := range params {
		if v != "" {
			q.Set(name, v)
		}
	}
	return path + "?" + q.Encode()
}

// do sends a request and returns the answer, or an *answer.Refusal.
func (c *client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // the address in it tells a person nothing
		}
		return nil, err
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	refusal := answer.Read(res)
	return nil, withCode(exitOf(refusal), refusal)
}

// call sends a request and reads the JSON answer into out, nil to drop it.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	res, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// with runs fn with a client and closes it.
func (e *env) with(create bool, fn func(c *client) error) error { return e.through(create, false, fn) }

func (e *env) through(create, work bool, fn func(c *client) error) error {
	c, err := e.admin(create, work)
	if err != nil {
		return err
	}
	return errors.Join(fn(c), c.close())
}

// ask makes one request and shows its answer: as it came with --json, else as tell
// says it.
func ask[T any](e *env, create bool, method, path string, in any, tell func(out T) error) error {
	return e.with(create, func(cl *client) error {
		var doc json.RawMessage
		if err := cl.call(e.ctx, method, path, in, &doc); err != nil {
			return err
		}
		if e.json {
			return e.print(doc)
		}
		var out T
		if err := json.Unmarshal(doc, &out); err != nil {
			return fmt.Errorf("read the server's answer: %w", err)
		}
		return tell(out)
	})
}

// working is with, for what goes on after the answer: without a server this
// process does the work until fn returns.
func (e *env) working(fn func(c *client) error) error { return e.through(false, true, fn) }

// print writes a document to standard output as indented JSON.
func (e *env) print(v any) error {
	enc := json.NewEncoder(e.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// ago says how long ago an instant was.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	if t.After(now) {
		return "in " + short(t.Sub(now))
	}
	return short(now.Sub(t)) + " ago"
}

func short(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

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
	return fmt.Errorf("the server (process %d, %s) does not answer; it may be stopped or overloaded. Look at its log, or start it again", a.PID, a.URL)
}

// whyEnded is the cause that ended ctx, else err.
func whyEnded(ctx context.Context, err error) error { return cmp.Or(context.Cause(ctx), err) }

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
