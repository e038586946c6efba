package shopify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

// DownloadKind says what became of a download. The set is closed.
type DownloadKind uint8

const (
	// DownloadExpired: the address is not good any more. Ask for a new one.
	DownloadExpired DownloadKind = iota + 1
	// DownloadBroken: the connection failed, too little came for too long, the
	// answer ended early, or the server has a fault. Go on from where it ended.
	DownloadBroken
	// DownloadRefused: an address that we do not fetch from, a redirect, or
	// an answer that says no.
	DownloadRefused
	// DownloadTooLarge: more bytes than there can be.
	DownloadTooLarge
	// DownloadChanged: it is not the file that it was. Start over.
	DownloadChanged
)

// DownloadError is a download that did not succeed. It never holds the address:
// whoever has that can read the file.
type DownloadError struct {
	Kind   DownloadKind
	Status int // HTTP status, 0 when there was no answer
	Err    error
}

func (e *DownloadError) Error() string {
	s := "shopify download: " + map[DownloadKind]string{
		DownloadExpired: "the address has expired", DownloadBroken: "the download broke off", DownloadRefused: "the download was refused",
		DownloadTooLarge: "the file is longer than it can be", DownloadChanged: "the file is another one than before",
	}[e.Kind]
	if e.Status != 0 && e.Status/100 != 2 {
		s += fmt.Sprintf(" (status %d)", e.Status)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *DownloadError) Unwrap() error { return e.Err }

// Download is a result that is being fetched.
type Download struct {
	// Body begins at the offset asked for. Its errors are *DownloadError. It
	// ends with io.EOF only when all of Total was read.
	Body  io.ReadCloser
	Total int64 // bytes of the whole file, -1 when the server does not say
}

// Download fetches the result of an export from its signed address, from byte
// offset on. The address has to be https and public, or of the host where the
// API is (Options.BaseURL); the access token is never sent there, redirects are
// not followed. The file ends with an error after most bytes, negative when nobody
// knows, or Options.MaxDownload. Each LeastRead bytes may be waited for as long as
// Options.Stall.
func (c *Client) Download(ctx context.Context, name, address string, offset, most int64) (*Download, error) {
	if most < 0 || most > c.o.MaxDownload {
		most = c.o.MaxDownload
	}
	if offset < 0 {
		return nil, &DownloadError{Kind: DownloadRefused, Err: errors.New("the offset is below zero")}
	}
	u, ours, err := c.downloadURL(name, address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	b := &downloadBody{ctx: ctx, cancel: cancel, stall: c.o.Stall}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, &DownloadError{Kind: DownloadRefused, Err: errors.New("the address can't be used")}
	}
	// Compressed bytes would have offsets of their own.
	req.Header.Set("Accept-Encoding", "identity")
	if offset > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
	}
	var via http.RoundTripper = c.files
	if ours {
		via = c.http.Transport
	}
	watch := b.watch()
	res, err := via.RoundTrip(req)
	watch.Stop()
	if err != nil {
		err = b.broken(err)
		cancel(nil)
		return nil, err
	}
	b.body, b.status = res.Body, res.StatusCode
	d, err := b.begin(res, offset, most)
	if err != nil {
		b.Close()
		return nil, err
	}
	return d, nil
}

// downloadURL checks an address; ours reports whether it is of the host where
// the API is.
func (c *Client) downloadURL(name, address string) (u *url.URL, ours bool, err error) {
	refuse := func(why string) (*url.URL, bool, error) {
		return nil, false, &DownloadError{Kind: DownloadRefused, Err: errors.New(why)}
	}
	u, err = url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return refuse("the address can't be used")
	}
	if base, err := url.Parse(c.o.BaseURL(name)); err == nil && base.Host == u.Host && base.Scheme == u.Scheme {
		return u, true, nil
	}
	if u.Scheme != "https" {
		return refuse("the address is not https")
	}
	return u, false, nil
}

// begin looks at an answer's head.
func (b *downloadBody) begin(res *http.Response, offset, most int64) (*Download, error) {
	fail := func(kind DownloadKind, why string) (*Download, error) {
		e := &DownloadError{Kind: kind, Status: res.StatusCode}
		if why != "" {
			e.Err = errors.New(why)
		}
		return nil, e
	}
	if e := res.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return fail(DownloadRefused, "it is compressed, which was not asked for")
	}
	total := int64(-1)
	switch s := res.StatusCode; {
	case s == http.StatusOK:
		total = res.ContentLength
		b.at, b.skip = 0, offset // it knows no ranges: read up to the offset for nothing
		if total >= 0 && total < offset {
			return fail(DownloadChanged, "it is shorter than what was read")
		}
	case s == http.StatusPartialContent:
		from, to, of, ok := parseContentRange(res.Header.Get("Content-Range"))
		if !ok || from != offset || of >= 0 && to != of-1 || res.ContentLength >= 0 && res.ContentLength != to-from+1 {
			return fail(DownloadBroken, "it is another part than was asked for")
		}
		total, b.at = of, offset
	case s == http.StatusRequestedRangeNotSatisfiable:
		_, _, of, ok := parseContentRange(res.Header.Get("Content-Range"))
		if !ok || of < 0 || of > offset {
			return fail(DownloadBroken, "it says that there is no such part")
		}
		if of < offset {
			return fail(DownloadChanged, "it is shorter than what was read")
		}
		b.body.Close()
		b.body, b.at, total = http.NoBody, offset, of
	case s == http.StatusBadRequest, s == http.StatusForbidden, s == http.StatusNotFound, s == http.StatusGone, s == http.StatusUnauthorized:
		return fail(DownloadExpired, "")
	case s/100 == 3:
		return fail(DownloadRefused, "it redirects to "+clip(hostOf(res.Header.Get("Location"))))
	case s >= 500, s == http.StatusRequestTimeout, s == http.StatusTooManyRequests:
		return fail(DownloadBroken, "")
	default:
		return fail(DownloadRefused, "")
	}
	if total > most {
		return fail(DownloadTooLarge, fmt.Sprintf("it has %d bytes where %d were announced or are allowed", total, most))
	}
	b.total, b.most = total, most
	return &Download{Body: b, Total: total}, nil
}

var contentRange = regexp.MustCompile(`^bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)$`)

// parseContentRange reads "bytes 5-9/10", "bytes 5-9/*" and "bytes */10". of is
// -1 for a size that is not told.
func parseContentRange(s string) (from, to, of int64, ok bool) {
	found := contentRange.FindStringSubmatch(s)
	if found == nil {
		return 0, 0, 0, false
	}
	var n [3]int64 // -1 for what is not there
	for i, digits := range found[1:] {
		n[i] = -1
		if digits != "" && digits != "*" {
			var err error
			if n[i], err = strconv.ParseInt(digits, 10, 64); err != nil {
				return 0, 0, 0, false
			}
		}
	}
	from, to, of = n[0], n[1], n[2]
	if from < 0 {
		return 0, 0, of, of >= 0
	}
	return from, to, of, to >= from && (of < 0 || to < of)
}

// downloadBody is an answer's body that knows where it is and how long it may
// be silent.
type downloadBody struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	stall  time.Duration
	waited time.Duration // for the came bytes
	came   int64         // since the last LeastRead

	body   io.ReadCloser
	status int
	at     int64 // in the file
	skip   int64 // bytes to read for nothing
	total  int64
	most   int64
	err    error
}

// LeastRead is how many bytes of a file have to come within Options.Stall.
const LeastRead = 64 << 10

var errStalled = errors.New("too little came for too long")

// watch ends everything when it is not stopped in time.
func (b *downloadBody) watch() *time.Timer {
	return time.AfterFunc(b.stall-b.waited, func() { b.cancel(errStalled) })
}

func (b *downloadBody) Read(p []byte) (int, error) {
	for b.err == nil {
		if len(p) == 0 {
			return 0, nil
		}
		watch, began := b.watch(), time.Now()
		n, err := b.body.Read(p)
		watch.Stop()
		b.came, b.waited = b.came+int64(n), b.waited+time.Since(began)
		if b.came >= LeastRead {
			b.came, b.waited = 0, 0
		}
		b.at += int64(n)
		switch {
		case b.at > b.most:
			b.err = &DownloadError{Kind: DownloadTooLarge, Status: b.status, Err: fmt.Errorf("it goes on after %d bytes, as many as were announced or are allowed", b.most)}
			return 0, b.err
		case err == io.EOF && b.total >= 0 && b.at != b.total:
			b.err = b.broken(io.ErrUnexpectedEOF)
		case err == io.EOF && b.skip > 0 && int64(n) < b.skip:
			b.err = &DownloadError{Kind: DownloadChanged, Status: b.status, Err: errors.New("it is shorter than what was read")}
		case err == io.EOF:
			b.err = io.EOF
		case err != nil:
			b.err = b.broken(err)
		}
		if b.skip > 0 {
			gone := int(min(b.skip, int64(n)))
			b.skip -= int64(gone)
			n = copy(p, p[gone:n])
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, b.err
}

// broken is the error of a connection that failed, with the caller's own
// reason when it gave up.
func (b *downloadBody) broken(err error) error {
	var e *DownloadError
	switch cause := context.Cause(b.ctx); {
	case errors.As(err, &e):
		return e
	case errors.Is(err, errPrivate):
		return &DownloadError{Kind: DownloadRefused, Err: errPrivate}
	case errors.Is(cause, errStalled):
		err = errStalled
	case cause != nil:
		err = cause
	default:
		// The error of a request quotes the address, which is a key.
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
	}
	return &DownloadError{Kind: DownloadBroken, Status: b.status, Err: err}
}

func (b *downloadBody) Close() error {
	b.cancel(nil)
	return b.body.Close()
}
