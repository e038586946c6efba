package logbook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reader is what is written to: while it is held no write returns.
type reader struct {
	gate sync.Mutex
	mu   sync.Mutex
	text bytes.Buffer
	err  error
}

func (r *reader) Write(p []byte) (int, error) {
	r.gate.Lock()
	defer r.gate.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return 0, r.err
	}
	return r.text.Write(p)
}

func (r *reader) lines(t *testing.T) (list []map[string]any) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range strings.Lines(r.text.String()) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(l), &m); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		list = append(list, m)
	}
	return list
}

func jsonTo(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }

func TestLinesComeWholeAndInOrderFromManyWriters(t *testing.T) {
	t.Parallel()
	out := new(reader)
	b := New(out)
	log := slog.New(b.Handler(jsonTo))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				log.With("g", g).Info("line", "i", i)
			}
		})
	}
	wg.Wait()
	if !b.Flush(time.Minute) {
		t.Fatal("not flushed")
	}
	last := map[any]float64{}
	lines := out.lines(t)
	for _, l := range lines {
		if i := l["i"].(float64); i != last[l["g"]] {
			t.Fatalf("writer %v: line %v after %v", l["g"], i, last[l["g"]]-1)
		}
		last[l["g"]]++
	}
	if len(lines) != 800 || b.LeftOut() != 0 {
		t.Errorf("%d lines, %d left out", len(lines), b.LeftOut())
	}
}

// TestAReaderThatTakesNothingHoldsNobodyUp fills the book while nothing is taken.
func TestAReaderThatTakesNothingHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"many lines": 10, "large lines": 10_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := new(reader)
			out.gate.Lock()
			b := New(out)
			log := slog.New(b.Handler(jsonTo))
			pad := strings.Repeat("x", size)
			rng := rand.New(rand.NewPCG(1, 2))
			var errs, audit, info int
			for i := range 3 * linesKept {
				switch rng.IntN(40) {
				case 0:
					log.Error("error", "i", i)
					errs++
				case 1:
					log.With(AuditKey, true).Info("logged in", "i", i)
					audit++
				case 2:
					log.Warn("warning", "i", i, "pad", pad)
				default:
					log.Info("delivery", "i", i, "pad", pad)
					info++
				}
				b.mu.Lock()
				if b.lines > linesKept || b.bytes > bytesKept {
					t.Errorf("%d lines, %d bytes wait", b.lines, b.bytes)
				}
				b.mu.Unlock()
			}
			if b.Flush(time.Millisecond) {
				t.Fatal("flushed into a reader that takes nothing")
			}
			out.gate.Unlock()
			if !b.Flush(time.Minute) {
				t.Fatal("not flushed")
			}
			kept := map[string]int{}
			told, last := 0.0, -1.0
			for _, l := range out.lines(t) {
				kept[l["msg"].(string)]++
				if n, ok := l["lines"].(float64); ok {
					told += n
					if l["since"] == nil {
						t.Error("no word of since when")
					}
					continue
				}
				if l["i"].(float64) <= last {
					t.Errorf("line %v comes after %v", l["i"], last)
				}
				last = l["i"].(float64)
			}
			if kept["error"] != errs || kept["logged in"] != audit {
				t.Errorf("%d of %d errors and %d of %d lines of the audit were kept", kept["error"], errs, kept["logged in"], audit)
			}
			if left := b.LeftOut(); left == 0 || uint64(told) != left || kept["delivery"] == info {
				t.Errorf("%d left out, %v told", left, told)
			}
		})
	}
}

func TestErrorsAloneAreBoundedToo(t *testing.T) {
	t.Parallel()
	out := new(reader)
	out.gate.Lock()
	b := New(out)
	log := slog.New(b.Handler(jsonTo))
	for i := range 2 * linesKept {
		log.Error("error", "i", i)
	}
	log.Info("too late") // errors stand in its way
	out.gate.Unlock()
	b.Flush(time.Minute)
	lines := out.lines(t)
	if last := lines[len(lines)-1]; last["i"] != float64(2*linesKept-1) {
		t.Errorf("the newest error is missing, the last line is %v", last)
	}
	if b.LeftOut() < linesKept/2 || lines[len(lines)-2]["msg"] == "too late" {
		t.Errorf("%d left out", b.LeftOut())
	}
}

func TestABrokenPipeEndsNothing(t *testing.T) {
	t.Parallel()
	out := &reader{err: errors.New("broken pipe")}
	b := New(out)
	slog.New(b.Handler(jsonTo)).Info("line")
	fmt.Fprintln(b, "talk")
	if !b.Flush(time.Minute) || b.LeftOut() != 2 {
		t.Errorf("%d left out, want 2", b.LeftOut())
	}
}

func TestAFlushWaitsNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		b := &Book{out: out, wake: make(chan struct{}, 1), idle: make(chan struct{})}
		ended := make(chan struct{})
		go func() { b.write(); close(ended) }()
		fmt.Fprintln(b, "nobody reads this")
		began := time.Now()
		if b.Flush(time.Second) || time.Since(began) != time.Second { // fake time
			t.Errorf("after %v", time.Since(began))
		}
		_ = in.Close()
		close(b.wake)
		<-ended
	})
}
