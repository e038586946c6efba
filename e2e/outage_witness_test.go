package e2e_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What the program promises for the time of trouble, and what a busy machine may
// add to it before a test takes it for a failure. The summaries tell what it took.
const (
	toldWithin    = 5 * time.Second
	stoppedWithin = 10 * time.Second
	busyMachine   = 7 * time.Second
)

// answer is what one sending of a delivery came to.
type answer struct {
	e          *event
	sent, came time.Time
	status     int // 0: no answer
	queued     bool
}

// witness sends the deliveries of a ledger and remembers each answer with its
// times, so that it can tell what was promised before a deed and what after it.
type witness struct {
	l       *ledger
	mu      sync.Mutex
	answers []answer
}

// load sends until the returned function is called, which waits for the last
// answer. Connections that fail are tried again, as Shopify does.
func (w *witness) load(tb testing.TB, s *server, connections int, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(tb.Context())
	var g sync.WaitGroup
	for range connections {
		g.Go(func() {
			for ctx.Err() == nil {
				a := answer{e: w.l.next(), sent: time.Now()}
				limited, done := context.WithTimeout(tb.Context(), toldWithin+busyMachine)
				r, err := s.try(limited, a.e.delivery())
				done()
				pause := every
				if err != nil {
					r, pause = reply{}, 50*time.Millisecond
				}
				w.l.answered(a.e, r)
				a.came, a.status, a.queued = time.Now(), r.Status, strings.Contains(r.Body, `"queued":true`)
				w.mu.Lock()
				w.answers = append(w.answers, a)
				w.mu.Unlock()
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	return sync.OnceFunc(func() { cancel(); g.Wait() })
}

// each looks at the answers so far.
func (w *witness) each(fn func(a answer)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.answers {
		fn(a)
	}
}

// acked counts deliveries that were sent after an instant and answered 2xx.
func (w *witness) acked(after time.Time) (n int) {
	w.each(func(a answer) {
		if a.status/100 == 2 && a.sent.After(after) {
			n++
		}
	})
	return n
}

// requirePrompt checks that no answer was held up, and that only those of allowed
// were given after an instant.
func (w *witness) requirePrompt(tb testing.TB, after time.Time, allowed ...int) {
	tb.Helper()
	other, late := map[int]int{}, 0
	w.each(func(a answer) {
		if a.status != 0 && a.came.Sub(a.sent) > stoppedWithin {
			late++
		}
		for _, status := range allowed {
			if a.status == status {
				return
			}
		}
		if a.sent.After(after) {
			other[a.status]++
		}
	})
	if len(other) > 0 {
		tb.Errorf("answers other than %v after the deed, by status (0 is none): %v", allowed, other)
	}
	if late > 0 {
		tb.Errorf("%d answers took longer than %v", late, stoppedWithin)
	}
}

// promised is the ledger with only those acknowledgements that must hold: events
// all of whose answers may be lost are as if they had not been answered.
func (w *witness) promised(mayBeLost func(a answer) bool) *ledger {
	firm := map[*event]bool{}
	w.each(func(a answer) {
		if a.status/100 == 2 && !mayBeLost(a) {
			firm[a.e] = true
		}
	})
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	l := &ledger{products: w.l.products, base: w.l.base, refused: map[int]int{}}
	for _, e := range w.l.open {
		same := *e
		same.acked = firm[e]
		l.open = append(l.open, &same)
	}
	return l
}

// ask asks the admin listener; an error means that it gave no answer.
func (s *server) ask(tb testing.TB, path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(tb.Context(), toldWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Admin+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	res, err := s.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// complaints is what /readyz and the account of health say that is not as it
// should be, "" when there is no answer.
func (s *server) complaints(tb testing.TB) string {
	_, body, err := s.ask(tb, "/api/v1/status")
	var doc struct {
		Ready struct {
			Checks []struct {
				Name, Reason string
				OK           bool
			}
		}
		Lines   []struct{ Code, Mood, Sentence string }
		Notices []struct{ Text string }
	}
	if err != nil || json.Unmarshal([]byte(body), &doc) != nil {
		return ""
	}
	var all []string
	for _, c := range doc.Ready.Checks {
		if !c.OK {
			all = append(all, c.Name+": "+c.Reason)
		}
	}
	for _, line := range doc.Lines {
		if line.Mood == "bad" || line.Mood == "wait" {
			all = append(all, line.Code+": "+line.Sentence)
		}
	}
	for _, n := range doc.Notices { // what a person should know, also when nothing was lost
		all = append(all, n.Text)
	}
	return strings.Join(all, "; ")
}

// awaitWithin polls until ok holds and returns how long that took; false when the
// bound and what a busy machine adds to it have passed.
func awaitWithin(bound time.Duration, since time.Time, ok func() bool) (time.Duration, bool) {
	for !ok() {
		if time.Since(since) > bound+busyMachine {
			return time.Since(since), false
		}
		<-time.After(20 * time.Millisecond)
	}
	return time.Since(since), true
}

// stopsInTime ends the server by a signal, with one of the codes, and returns how
// long that took.
func (s *server) stopsInTime(tb testing.TB, sig syscall.Signal, codes ...int) time.Duration {
	tb.Helper()
	s.signal(sig)
	began := time.Now()
	select {
	case <-s.ended:
	case <-time.After(stoppedWithin + busyMachine):
		tb.Fatalf("%v does not end it within %v", sig, stoppedWithin+busyMachine)
	}
	if !slices.Contains(codes, s.code) {
		tb.Errorf("exit code %d after %v", s.code, sig)
	}
	return time.Since(began)
}

// requireProbes checks that what watches the process gets its answer.
func (s *server) requireProbes(tb testing.TB) {
	tb.Helper()
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if status, _, err := s.ask(tb, path); err != nil || status != http.StatusOK {
			tb.Errorf("%s: %d, %v", path, status, err)
		}
	}
}
