// Package logbook writes log lines without ever waiting for whoever reads them.
//
// A stopped terminal, a hung log driver or a pipe that nobody empties holds a write
// inside the kernel without end. So who logs only hands a line over; one goroutine
// writes. At most 4,096 lines or 1 MiB wait. When more come, the oldest of the least
// class is left out: first what is below a warning, then warnings, at last errors,
// lines of the audit (of a logger with AuditKey) and what is no log line. As soon as
// lines are taken again, one says how many were left out, and since when.
//
// Lines that wait are lost with the process: Flush before the end. A reader that is
// gone (a broken pipe) is no error; its lines count as left out.
package logbook

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	linesKept = 4096
	bytesKept = 1 << 20
	atOnce    = 64 << 10 // bytes of one write
)

// AuditKey is the attribute of a logger, true, whose lines say what a person did.
const AuditKey = "audit"

type class int

const (
	informative class = iota // below a warning
	warning
	precious
	classes
)

type line struct {
	n    uint64 // its place in the order in which lines came
	text []byte
}

// Book takes lines for one writer.
type Book struct {
	out  io.Writer
	wake chan struct{} // one token

	mu      sync.Mutex
	waiting [classes][]line
	lines   int
	bytes   int
	next    uint64
	busy    bool
	idle    chan struct{} // closed while nothing waits and nothing is being written
	left    uint64        // lines left out in all
	untold  uint64        // of them those that no line told of
	since   time.Time     // the first untold one
	tell    func(lines uint64, since time.Time) []byte
}

// New returns a book that writes to out, in a goroutine of its own without end.
func New(out io.Writer) *Book {
	b := &Book{out: out, wake: make(chan struct{}, 1), idle: make(chan struct{})}
	close(b.idle)
	go b.write()
	return b
}

// Fd is the writer's file descriptor, so that a terminal is known as one.
func (b *Book) Fd() uintptr {
	if f, ok := b.out.(interface{ Fd() uintptr }); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}

// Write hands over what is no log line. It never fails and never waits.
func (b *Book) Write(p []byte) (int, error) {
	b.add(precious, bytes.Clone(p))
	return len(p), nil
}

// LeftOut counts the lines that were left out since the start.
func (b *Book) LeftOut() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left
}

// Flush waits until all that was handed over is written, at most for a while, and
// reports whether it is.
func (b *Book) Flush(most time.Duration) bool {
	b.mu.Lock()
	idle := b.idle
	b.mu.Unlock()
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-idle:
		return true
	case <-t.C:
		return false
	}
}

func (b *Book) add(c class, text []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.lines > 0 && (b.lines >= linesKept || b.bytes+len(text) > bytesKept) {
		if !b.leaveOut(c) {
			b.missed()
			return
		}
	}
	if !b.busy {
		b.busy, b.idle = true, make(chan struct{})
	}
	b.waiting[c] = append(b.waiting[c], line{b.next, text})
	b.next++
	b.lines++
	b.bytes += len(text)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// leaveOut drops the oldest line of the least class up to c; false: there is none.
func (b *Book) leaveOut(c class) bool {
	for k := informative; k <= c; k++ {
		if len(b.waiting[k]) > 0 {
			b.take(k)
			b.missed()
			return true
		}
	}
	return false
}

func (b *Book) missed() {
	if b.untold == 0 {
		b.since = time.Now()
	}
	b.left++
	b.untold++
}

// take removes the oldest line of a class. mu is held.
func (b *Book) take(c class) []byte {
	text := b.waiting[c][0].text
	b.waiting[c] = b.waiting[c][1:]
	b.lines--
	b.bytes -= len(text)
	return text
}

// batch takes what is written next, in the order in which it came; nil for nothing.
// mu is held.
func (b *Book) batch(buf []byte) []byte {
	for len(buf) < atOnce {
		oldest := classes
		for c := range b.waiting {
			if len(b.waiting[c]) > 0 && (oldest == classes || b.waiting[c][0].n < b.waiting[oldest][0].n) {
				oldest = class(c)
			}
		}
		if oldest == classes {
			break
		}
		buf = append(buf, b.take(oldest)...)
	}
	return buf
}

func (b *Book) write() {
	var buf []byte
	for range b.wake {
		for {
			b.mu.Lock()
			buf = buf[:0]
			if b.untold > 0 && b.tell != nil {
				buf = append(buf, b.tell(b.untold, b.since)...)
				b.untold = 0
			}
			before := b.lines
			buf = b.batch(buf)
			taken := before - b.lines
			if len(buf) == 0 {
				if b.busy {
					b.busy = false
					close(b.idle)
				}
				b.mu.Unlock()
				break
			}
			b.mu.Unlock()
			if _, err := b.out.Write(buf); err != nil {
				b.mu.Lock()
				b.left += uint64(taken)
				b.mu.Unlock()
			}
		}
	}
}

// Handler returns a handler whose lines go into the book, in the form that format
// gives them.
func (b *Book) Handler(format func(io.Writer) slog.Handler) slog.Handler {
	t := new(taker)
	h := handler{format(t), b, t, false}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell = func(lines uint64, since time.Time) []byte {
		r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines were left out, since they were not taken in time", 0)
		r.AddAttrs(slog.Uint64("lines", lines), slog.Time("since", since))
		return h.text(context.Background(), r)
	}
	return h
}

// taker keeps the one line that a handler writes.
type taker struct {
	mu   sync.Mutex
	text []byte
}

func (t *taker) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	return len(p), nil
}

type handler struct {
	slog.Handler
	book  *Book
	line  *taker
	audit bool
}

func (h handler) text(ctx context.Context, r slog.Record) []byte {
	h.line.mu.Lock()
	defer h.line.mu.Unlock()
	h.line.text = h.line.text[:0]
	if h.Handler.Handle(ctx, r) != nil {
		return nil // our formats fail only where their writer does
	}
	return bytes.Clone(h.line.text)
}

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	c := informative
	switch {
	case h.audit, r.Level >= slog.LevelError:
		c = precious
	case r.Level >= slog.LevelWarn:
		c = warning
	}
	h.book.add(c, h.text(ctx, r))
	return nil
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	audit := slices.ContainsFunc(attrs, func(a slog.Attr) bool { return a.Key == AuditKey })
	return handler{h.Handler.WithAttrs(attrs), h.book, h.line, h.audit || audit}
}

func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.book, h.line, h.audit}
}
