package queue

import (
	"log/slog"
	"time"

	"stockroom/internal/folder"
)

// Options says how to open a queue.
type Options struct {
	// Path of the file, made when there is none. Required.
	Path string
	// Folder: see boltfile.Options.
	Folder *folder.Folder
	// Existing says that jobs may have been stored before, so that a missing file
	// means a lost one, which Quarantined tells. False: it means a first start.
	Existing bool
	// RetryDelay is the wait after the first failure; it doubles with each
	// further one. Default 60 s (zero or less).
	RetryDelay time.Duration
	// MaxAttempts is the number of tries before a job is dead. Default 5 (zero or
	// less).
	MaxAttempts int
	// Logger gets deaths, reclaims, damage. Never a payload. Nil: none.
	Logger *slog.Logger
	// OnCommit, when set, is called after each commit by the goroutine that writes; it
	// must return at once and must not call the queue.
	OnCommit func(Commit)

	// Fault is called before and after each commit with the names of the
	// operations in it ("before lease"); an error stands for a failure there. For
	// tests, which may also end the process in it; nil does nothing.
	Fault func(step string) error
}

// Commit describes one commit, for metrics.
type Commit struct {
	Operations int           // that shared it
	Took       time.Duration // from the start of the transaction to the end of its last sync
	Err        error         // nil when it succeeded
}

func (o Options) withDefaults() Options {
	if o.RetryDelay <= 0 {
		o.RetryDelay = 60 * time.Second
	}
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = 5
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
