package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	tellWaiting = 2 * time.Second // after which the log says what a start waits for
	tellRarely  = time.Minute     // the longest time between two such lines
)

// Opening is how far the opening of a data dir has come. Its zero value is ready
// for use.
type Opening struct {
	// Waiting is called with each line that the log gets about a wait, and with
	// the time until the next one; nil for nobody.
	Waiting func(text string, next time.Duration)

	mu    sync.Mutex
	file  string // what is being opened, "" before and after
	began time.Time
}

// at is called when the opening comes to a file.
func (o *Opening) at(file string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.began.IsZero() {
		o.began = time.Now()
	}
	o.file = file
}

// Words says what is being opened and, when that takes its time, what for.
func (o *Opening) Words() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == "" {
		return "opening the data dir"
	}
	text := "opening " + o.file
	if so := time.Since(o.began); so >= tellWaiting {
		text += ": waiting for the disk, " + so.Round(time.Second).String() + " so far"
	}
	return text
}

// run opens by calling open, and says from time to time what takes so long.
// When ctx ends it leaves open alone, with an error: the process is to end, and a disk
// that does not answer must not keep it. Nothing was acknowledged yet.
func (o *Opening) run(ctx context.Context, log *slog.Logger, open func() error) error {
	done := make(chan error, 1)
	go func() { done <- open() }()
	pause := tellWaiting
	tell := time.NewTimer(pause)
	defer tell.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tell.C:
			text := o.Words()
			log.Warn("starting: " + text)
			pause = min(2*pause, tellRarely)
			if o.Waiting != nil {
				o.Waiting(text, pause)
			}
			tell.Reset(pause)
		case <-ctx.Done():
			return fmt.Errorf("%s, %w: %w", o.Words(), errLeft, context.Cause(ctx))
		}
	}
}

// errLeft says that an opening goes on although nobody waits for it any more.
var errLeft = errors.New("which was given up")
