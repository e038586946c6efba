package queue

import "sync"

// op is one operation on its way through the writer.
type op struct {
	name  string
	bytes int // about how much it writes
	run   func(t *txn) error
	err   error      // what run returned
	done  chan error // gets the result once
}

func newOp(name string, bytes int, run func(t *txn) error) *op {
	return &op{name: name, bytes: bytes, run: run, done: make(chan error, 1)}
}

// Bounds of one commit, so that a flood does not make one caller wait for all.
const (
	maxCommitOps   = 2048
	maxCommitBytes = 8 << 20
)

// inbox holds the operations that wait for the writer. Each belongs to a caller
// that waits for it, so its length is bounded by the callers.
type inbox struct {
	mu     sync.Mutex
	ops    []*op
	closed bool
	wake   chan struct{} // holds a token while there may be something to take
}

// put hands an operation in; false when the inbox is closed.
func (in *inbox) put(o *op) bool {
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return false
	}
	in.ops = append(in.ops, o)
	in.mu.Unlock()
	poke(in.wake)
	return true
}

// take waits for operations and returns those for one commit, in order; nil when
// the inbox is closed and empty.
func (in *inbox) take() []*op {
	for {
		in.mu.Lock()
		if n := len(in.ops); n > 0 {
			take, bytes := 0, 0
			for take < n && take < maxCommitOps && (take == 0 || bytes+in.ops[take].bytes <= maxCommitBytes) {
				bytes += in.ops[take].bytes
				take++
			}
			batch := in.ops[:take:take]
			in.ops = in.ops[take:]
			in.mu.Unlock()
			return batch
		}
		in.ops = nil
		if in.closed {
			in.mu.Unlock()
			return nil
		}
		in.mu.Unlock()
		<-in.wake
	}
}

func (in *inbox) close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	poke(in.wake)
}
