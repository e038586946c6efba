package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// smallWAL has a WAL above 256 KB cut, and looks often.
func smallWAL(o *Options) { o.wal = walLimits{kept: 256 << 10, idle: 50 * time.Millisecond} }

// await is for what must happen; nobody asks how soon.
func (b *bench) await(what string, ok func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Minute)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-ctx.Done():
			b.t.Fatalf("not within five minutes: %s", what)
		}
	}
}

// burst writes until the WAL is longer than a quiet one may be.
func (b *bench) burst() {
	b.t.Helper()
	for i := int64(0); b.s.walSize() <= b.s.opt.wal.kept; i++ {
		b.n++
		b.want(upsertOf(product(i%500+1, fmt.Sprint("v", b.n), 10_000+b.n*1000, "1", "2", "3")), Applied)
	}
}

func TestALongWALIsCutWhenItIsQuiet(t *testing.T) {
	b := open(t, smallWAL)
	for range 2 { // and again after the next burst
		b.burst()
		last := b.s.LastSeq()
		b.await("the WAL is cut", func() bool { return b.s.walSize() <= b.s.opt.wal.kept })
		if b.s.LastSeq() != last {
			t.Error("something was written meanwhile")
		}
	}
	title := b.product(1).Title.Value()
	b.reopen(smallWAL)
	if got := b.product(1).Title.Value(); got != title {
		t.Errorf("title %q after the cut, want %q", got, title)
	}
}

// A checkpoint may have taken in the very last commit while that was too young
// for a cut. The quiet that follows brings no commit to notice it by.
// pin reads in a transaction that stays open until the returned function is
// called, which reads again.
func (b *bench) pin() (end func()) {
	b.t.Helper()
	db := b.other()
	rows := func(q interface {
		QueryRow(string, ...any) *sql.Row
	}) (n int) {
		if err := q.QueryRow(`SELECT count(*) FROM products`).Scan(&n); err != nil {
			b.t.Fatal(err)
		}
		return n
	}
	tx, err := db.BeginTx(b.t.Context(), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	before := rows(tx)
	return func() {
		b.t.Helper()
		if after := rows(tx); after != before {
			b.t.Errorf("the reader saw %d products and then %d", before, after)
		}
		if err := tx.Rollback(); err != nil {
			b.t.Error(err)
		}
	}
}

// cutting counts the attempts to cut the WAL.
func cutting(n *atomic.Int64) func(*Options) {
	return func(o *Options) {
		o.Fault = func(point string) error {
			if point == "before log cut" {
				n.Add(1)
			}
			return nil
		}
	}
}

// An attempt that a reader stops has to be made again, although the quiet that
// follows brings no commit to notice it by.
func TestALongWALIsCutWhenItsReaderIsGone(t *testing.T) {
	var attempts atomic.Int64
	b := open(t, smallWAL, cutting(&attempts))
	unpin := b.pin()
	b.burst()
	groups := b.s.groups.Load()
	b.await("an attempt to cut", func() bool { return attempts.Load() > 0 })
	unpin()
	b.await("the WAL is cut", func() bool { return b.s.walSize() <= b.s.opt.wal.kept })
	if b.s.groups.Load() != groups {
		t.Error("something was committed meanwhile")
	}
}

func TestAReaderKeepsItsWALAndHoldsUpNoDelivery(t *testing.T) {
	var attempts atomic.Int64
	b := open(t, smallWAL, cutting(&attempts))
	// Were it to wait for the reader, then longer than this test does.
	if err := b.s.write(t.Context(), b.s.urgent, 1, func(t *tx) error {
		_, err := t.count(`PRAGMA busy_timeout = 60000`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	b.want(upsertOf(product(9_000, "v1", 10_000, "1")), Applied)
	unpin := b.pin()
	b.burst()
	long := b.s.walSize()
	for n := range int64(3) {
		seen := attempts.Load()
		b.await("an attempt to cut", func() bool { return attempts.Load() > seen })
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		c := upsertOf(product(9_001, fmt.Sprint("v", n), 20_000+n*1000, "1"))
		_, err := b.s.Apply(ctx, b.delivery(c), c)
		cancel()
		if err != nil {
			t.Fatalf("a delivery while a reader is there: %v", err)
		}
		if size := b.s.walSize(); size < long {
			t.Fatalf("the WAL was cut from %d to %d bytes under a reader", long, size)
		}
	}
	unpin()
	b.await("the WAL is cut", func() bool { return b.s.walSize() <= b.s.opt.wal.kept })
	b.title(9_001, "Shirt v2")
}

// A pruning that finds nothing comes each minute.
func TestACommitThatChangesNothingIsNoReasonToCopyTheLog(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	groups := b.s.groups.Load()
	if _, err := b.s.Prune(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := b.s.groups.Load(); n != groups {
		t.Errorf("%d commits count, want none", n-groups)
	}
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied)
	if n := b.s.groups.Load(); n != groups+1 {
		t.Errorf("%d commits count, want 1", n-groups)
	}
}

// A short log needs no cut; that its reader is gone shows all the same.
func TestAShortLogThatWasHeldIsKnownToBeFree(t *testing.T) {
	b := open(t, smallWAL)
	unpin := b.pin()
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	groups := b.s.groups.Load()
	b.await("the log is held", func() bool { return b.s.Health().Log.Held })
	unpin()
	b.await("the log is free", func() bool { return !b.s.Health().Log.Held })
	if b.s.groups.Load() != groups {
		t.Error("something was committed meanwhile")
	}
}

// Who holds the WAL is found out, not guessed: a reader of another program, with a
// word on Litestream, whose reader belongs to it, and nobody for a copy of our own.
func TestWhatKeepsTheWALLongIsKnown(t *testing.T) {
	var attempts atomic.Int64
	b := open(t, smallWAL, cutting(&attempts))
	held := func(want Log) {
		t.Helper()
		b.await(fmt.Sprintf("%+v", want), func() bool {
			l := b.s.Health().Log
			return l.Held == want.Held && l.Litestream == want.Litestream && l.Cause == want.Cause && (!l.Held || !l.Since.IsZero() && l.Bytes > 0)
		})
	}
	unpin := b.pin()
	b.s.ownReads.Add(1)
	b.burst()
	seen := attempts.Load()
	b.await("an attempt to cut", func() bool { return attempts.Load() > seen+1 })
	held(Log{})
	b.s.ownReads.Add(-1)
	held(Log{Held: true})
	unpin()
	held(Log{})
	b.await("the log is cut", func() bool { return b.s.walSize() <= b.s.opt.wal.kept }) // else the next burst is none
	if _, err := b.other().Exec(`PRAGMA busy_timeout = 60000; CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)`); err != nil {
		t.Fatal(err)
	}
	unpin = b.pin()
	b.burst()
	held(Log{Held: true, Litestream: true})
	unpin()
	held(Log{})
	b.must(os.Rename(b.path, b.path+".away")) // so that no copy is made
	b.await("a write fails", func() bool { return b.tryPut(1) != nil })
	b.s.noteLog(false, b.s.checkpoint(0, `PRAGMA wal_checkpoint(PASSIVE)`))
	held(Log{Cause: CauseLost})
}
