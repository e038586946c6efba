package queue

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// fataler is what *testing.T and *rapid.T share.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// desk is a queue without its writer: each operation is one commit at a time
// the test names, in the test's own goroutine.
type desk struct {
	t   fataler
	q   *Queue
	opt Options
	now time.Time
}

func newDesk(t fataler, opt Options, now time.Time) *desk {
	d := &desk{t: t, opt: opt, now: now}
	d.open()
	return d
}

func (d *desk) open() {
	d.t.Helper()
	q, err := open(d.opt, d.now)
	if err != nil {
		d.t.Fatalf("open: %v", err)
	}
	// What a killed process loses is not what a sync is for.
	q.file.DB.NoSync = true
	d.q = q
}

// try runs one operation in a commit of its own.
func (d *desk) try(name string, run func(t *txn)) error {
	o := newOp(name, 0, func(t *txn) error { run(t); return nil })
	d.q.commit([]*op{o}, d.now)
	return <-o.done
}

func (d *desk) do(name string, run func(t *txn)) {
	d.t.Helper()
	if err := d.try(name, run); err != nil {
		d.t.Fatalf("%s: %v", name, err)
	}
}

func (d *desk) enqueue(j NewJob) (id uint64, coalesced bool) {
	d.t.Helper()
	n, err := d.q.prepare(j)
	if err != nil {
		d.t.Fatalf("enqueue: %v", err)
	}
	d.do("enqueue", func(t *txn) { t.enqueue(n) })
	return n.id, n.coalesced
}

func (d *desk) lease(kind string, n int) (jobs []Job) {
	d.t.Helper()
	d.do("lease", func(t *txn) { jobs = t.lease(kind, n) })
	return jobs
}

// leaseOne is for tests in which exactly one job is due.
func (d *desk) leaseOne(kind string) Job {
	d.t.Helper()
	jobs := d.lease(kind, 10)
	if len(jobs) != 1 {
		d.t.Fatalf("%d jobs are due, want 1", len(jobs))
	}
	return jobs[0]
}

func (d *desk) finish(id uint64, err error) {
	d.t.Helper()
	d.do("finish", func(t *txn) { t.finish(id, judge(context.Background(), err)) })
}

func (d *desk) get(id uint64) Job {
	d.t.Helper()
	j, err := d.q.Get(context.Background(), id)
	if err != nil {
		d.t.Fatalf("get %d: %v", id, err)
	}
	return j
}

func (d *desk) gone(id uint64) bool {
	_, err := d.q.Get(context.Background(), id)
	return errors.Is(err, ErrNotFound)
}

func (d *desk) all() []Job {
	d.t.Helper()
	jobs, next, err := d.q.List(context.Background(), Filter{Limit: 1000})
	if err != nil || next != 0 {
		d.t.Fatalf("list: %v, next %d", err, next)
	}
	return jobs
}

// crash ends the process as kill -9 does: the file keeps what was committed.
func (d *desk) crash() {
	d.t.Helper()
	if err := d.q.file.Close(); err != nil {
		d.t.Fatalf("close file: %v", err)
	}
	d.open()
}

// restart closes in order and opens again.
func (d *desk) restart() {
	d.t.Helper()
	d.do("return", func(t *txn) { t.returnAll() })
	d.crash()
}

func (d *desk) close() {
	_ = d.q.file.Close()
}

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// deskFor is a desk in a directory of its own.
func deskFor(t *testing.T, opt Options) *desk {
	t.Helper()
	opt.Path = filepath.Join(t.TempDir(), "queue.db")
	d := newDesk(t, opt, start)
	t.Cleanup(d.close)
	return d
}

// started opens a whole queue and closes it at the end of the test.
func started(t *testing.T, opt Options) *Queue {
	t.Helper()
	if opt.Path == "" {
		opt.Path = filepath.Join(t.TempDir(), "queue.db")
	}
	q, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// requireSound fails unless the closed file passes the page check.
func requireSound(t fataler, path string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer db.Close()
	err = db.View(func(tx *bolt.Tx) error {
		var list []error
		for err := range tx.Check() {
			list = append(list, err)
		}
		return errors.Join(list...)
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
}

func torture() bool { return os.Getenv("STOCKROOM_TORTURE") != "" }

// jobTime is longer than any job of the tests takes.
const jobTime = time.Hour

func anyJob(Job) bool { return true }
