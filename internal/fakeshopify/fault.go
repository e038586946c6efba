package fakeshopify

import (
	"cmp"
	"net/http"
	"strconv"
	"time"
)

// FaultKind is what goes wrong with a call.
type FaultKind int

const (
	// FaultStatus answers with Fault.Status and the body Shopify gives with
	// it: a JSON object whose errors is a string.
	FaultStatus FaultKind = iota
	// FaultThrottled answers THROTTLED although there are points.
	FaultThrottled
	// FaultInternal answers 200 with INTERNAL_SERVER_ERROR.
	FaultInternal
	// FaultInactive answers 200 with SHOP_INACTIVE.
	FaultInactive
	// FaultDenied answers as if Fault.Scope were not granted.
	FaultDenied
	// FaultHTML answers with an HTML page, under Fault.Status (zero: 200) and
	// with Fault.Title.
	FaultHTML
	// FaultWrongTypes answers 200 with JSON of an unexpected shape.
	FaultWrongTypes
	// FaultOversize answers 200 with Fault.Bytes of JSON (zero: 64 MiB).
	FaultOversize
	// FaultReset drops the connection before any answer.
	FaultReset
	// FaultTruncate drops the connection after Fault.Bytes of a good answer.
	FaultTruncate
	// FaultSlow sends a good answer byte by byte, each after Fault.Delay
	// (zero: 1 s).
	FaultSlow
	// FaultSilence never answers; it ends with the request's context.
	FaultSilence
	// FaultRedirect answers Fault.Status (zero: 302) with Fault.Location.
	FaultRedirect
	faultKinds
)

// Fault is an answer on demand. The zero value with a Status is the commonest.
type Fault struct {
	Kind   FaultKind
	Status int
	// RetryAfter is the Retry-After header, such as "4.0". Empty: none, except
	// that 429 has 2.0.
	RetryAfter string
	Scope      string
	Bytes      int
	Delay      time.Duration
	Title      string // of a page; empty: "Something went wrong"
	Location   string // of a redirect; empty: an address of another host
	// Times is how many calls meet it. Zero: one. Negative: all, until Heal.
	Times int
	// Endpoint limits it to "graphql", "token" or "bulk". Empty: the first
	// two.
	Endpoint string
}

// Fail queues faults for the next calls, in order.
func (s *Shop) Fail(next ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range next {
		if f.Times == 0 {
			f.Times = 1
		}
		s.api.faults = append(s.api.faults, f)
	}
}

// Heal drops the faults that are still queued.
func (s *Shop) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.api.faults = nil
}

// fault takes the next fault for the endpoint: one that was asked for, or one
// by the seed.
func (s *Shop) fault(endpoint string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.api
	for i := range a.faults {
		f := &a.faults[i]
		if f.Endpoint != endpoint && (f.Endpoint != "" || endpoint == "bulk") {
			continue
		}
		got := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				a.faults = append(a.faults[:i:i], a.faults[i+1:]...)
			}
		}
		a.stats.Faults++
		return &got
	}
	if endpoint == "bulk" || !chance(a.rand, s.opt.Chaos.APIFault) {
		return nil
	}
	a.stats.Faults++
	f := pick(a.rand, []Fault{
		{Status: 500}, {Status: 502}, {Status: 503}, {Status: 504}, {Status: 429, RetryAfter: "1.5"}, {Status: 430},
		{Kind: FaultInternal}, {Kind: FaultThrottled}, {Kind: FaultHTML}, {Kind: FaultHTML, Status: 502}, {Kind: FaultReset},
		{Kind: FaultTruncate, Bytes: 40}, {Kind: FaultWrongTypes},
	})
	return &f
}

// statusText is what Shopify writes under errors for a status.
var statusText = map[int]string{
	401: "[API] Invalid API key or access token (unrecognized login or wrong password)",
	402: "Unavailable Shop",
	403: "[API] This action requires merchant approval for read_products scope.",
	404: "Not Found",
	423: "Shop is locked",
	429: "Exceeded 4 calls per second for api client. Reduce request rates to resume uninterrupted service.",
	430: "Shopify Security Rejection",
	500: "Internal Server Error",
	503: "Service Unavailable",
}

func statusBody(status int) []byte {
	text := statusText[status]
	if text == "" {
		text = http.StatusText(status)
	}
	w := &jsonText{}
	w.tree(members{{"errors", text}})
	return w.b
}

// serveFault answers in the fault's way. It reports false when the call is to
// be answered as usual, with what wrap does to it.
func serveFault(w http.ResponseWriter, r *http.Request, f *Fault, request string, throttle func() members) (done bool) {
	switch f.Kind {
	case FaultStatus:
		retry := f.RetryAfter
		if retry == "" && f.Status == http.StatusTooManyRequests {
			retry = "2.0"
		}
		if retry != "" {
			w.Header()["retry-after"] = []string{retry}
		}
		answerJSON(w, f.Status, statusBody(f.Status))
	case FaultThrottled:
		answerTree(w, members{{"errors", []any{throttledError().tree()}}, {"extensions", members{{"cost", throttle()}}}})
	case FaultInternal:
		answerTree(w, members{{"errors", []any{internalError(request).tree()}}})
	case FaultInactive:
		answerTree(w, members{{"errors", []any{(&gqlError{message: "Shop is inactive", code: "SHOP_INACTIVE"}).tree()}}})
	case FaultHTML:
		page(w, cmp.Or(f.Status, http.StatusOK), cmp.Or(f.Title, "Something went wrong"), "")
	case FaultWrongTypes:
		answerJSON(w, http.StatusOK, []byte(`{"data":[1,2,3],"extensions":"none","errors":{"unexpected":true}}`))
	case FaultOversize:
		n := f.Bytes
		if n == 0 {
			n = 64 << 20
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if _, err := w.Write([]byte(`{"data":{"shop":{"name":"`)); err != nil {
			return true
		}
		block := make([]byte, 64<<10)
		for i := range block {
			block[i] = 'x'
		}
		for n > 0 {
			if _, err := w.Write(block[:min(n, len(block))]); err != nil {
				return true
			}
			n -= len(block)
		}
		_, _ = w.Write([]byte(`"}}}`))
	case FaultReset:
		panic(http.ErrAbortHandler)
	case FaultSilence:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case FaultRedirect:
		location, status := f.Location, f.Status
		if location == "" {
			location = "https://elsewhere.example/admin/api/graphql.json"
		}
		if status == 0 {
			status = http.StatusFound
		}
		w.Header().Set("Location", location)
		w.WriteHeader(status)
	default:
		return false
	}
	return true
}

// damagedWriter cuts or slows the answer that passes through it.
type damagedWriter struct {
	http.ResponseWriter
	r     *http.Request
	fault *Fault
	left  int
}

func (d *damagedWriter) Write(b []byte) (int, error) {
	if d.fault.Kind == FaultTruncate {
		n := min(d.left, len(b))
		_, _ = d.ResponseWriter.Write(b[:n])
		if d.left -= n; d.left > 0 {
			return n, nil
		}
		flush(d.ResponseWriter)
		panic(http.ErrAbortHandler)
	}
	delay := d.fault.Delay
	if delay <= 0 {
		delay = time.Second
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	for i := range b {
		select {
		case <-t.C:
		case <-d.r.Context().Done():
			panic(http.ErrAbortHandler)
		}
		if _, err := d.ResponseWriter.Write(b[i : i+1]); err != nil {
			return i, err
		}
		flush(d.ResponseWriter)
		t.Reset(delay)
	}
	return len(b), nil
}

func flush(w http.ResponseWriter) {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

func answerJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func answerTree(w http.ResponseWriter, m members) {
	t := &jsonText{}
	t.tree(m)
	answerJSON(w, http.StatusOK, t.b)
}
