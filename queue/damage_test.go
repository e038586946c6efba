package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
	"stockroom/internal/folder"
)

// fill stores jobs of every state and shape.
func fill(t *testing.T, q *Queue, rnd *rand.Rand) map[uint64][]byte {
	t.Helper()
	stored := map[uint64][]byte{}
	for i := range 60 {
		p := make([]byte, rnd.IntN(9000))
		for i := range p {
			p[i] = byte(rnd.Uint32())
		}
		j := NewJob{Kind: []string{"apply", "fetch"}[i%2], Payload: p, Labels: map[string]string{"shop": "a.myshopify.com"}}
		if i%5 == 0 {
			id, err := q.Bury(t.Context(), j, ClassPoison, errors.New("no JSON"))
			if err != nil {
				t.Fatal(err)
			}
			stored[id] = p
			continue
		}
		if i%2 == 1 {
			j.Key = fmt.Sprintf("p%d", i)
		}
		stored[mustEnqueue(t, q, j)] = p
	}
	return stored
}

func queueTrials() int {
	if torture() {
		return 500
	}
	return 60
}

// hurt changes the bytes of a file in one of several ways.
func hurt(b []byte, trial int, rnd *rand.Rand) (string, []byte) {
	page := func() int { return rnd.IntN(len(b)/4096) * 4096 }
	switch trial % 7 {
	case 0:
		b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
		return "one bit", b
	case 1:
		for range 64 {
			b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
		}
		return "64 bits", b
	case 2:
		b[page()+rnd.IntN(120)] ^= 1 << rnd.IntN(8)
		return "a bit near the start of a page", b
	case 3:
		return "truncated", b[:rnd.IntN(len(b))]
	case 4:
		p, q := page(), page()
		copy(b[p:p+4096], bytes.Clone(b[q:q+4096]))
		return "a page over another", b
	case 5:
		p := rnd.IntN(2) * 4096
		clear(b[p : p+4096])
		return "a meta page of zeros", b
	default:
		clear(b[page():])
		return "a tail of zeros", b
	}
}

// What a damaged file still yields must be what was stored, and the queue must
// work, whatever happened to the file before it was opened.
func TestDamagedFileIsUsedSoundOrSetAsideAndTheQueueWorks(t *testing.T) {
	sample := filepath.Join(t.TempDir(), "queue.db")
	q := started(t, Options{Path: sample})
	q.file.DB.NoSync = true
	stored := fill(t, q, rand.New(rand.NewPCG(1, 1)))
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	kept, aside, records := 0, 0, 0
	for trial := range queueTrials() {
		rnd := rand.New(rand.NewPCG(7, uint64(trial)))
		what, bad := hurt(bytes.Clone(whole), trial, rnd)
		t.Run(fmt.Sprintf("%03d %s", trial, what), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue.db")
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			q := started(t, Options{Path: path})
			moved, reason, at := q.Quarantined()
			if (reason == "") != at.IsZero() {
				t.Errorf("Quarantined says %q, %q, %v", moved, reason, at)
			}
			requireStored(t, q, stored)
			if moved != "" {
				aside++
				if got, err := os.ReadFile(moved); err != nil || !bytes.Equal(got, bad) {
					t.Errorf("the file set aside is not the damaged one: %v", err)
				}
			} else {
				kept++
				records += q.Stats().Damaged
			}
			id := requireWorks(t, q)
			for old := range stored {
				if id == old {
					t.Errorf("id %d was given out again", id)
				}
			}
			if err := q.Close(); err != nil {
				t.Error(err)
			}
			requireSound(t, path)
		})
	}
	t.Logf("%d used, with %d records set aside; %d files set aside", kept, records, aside)
}

func TestDamageWhileRunningIsNoticedReplacedAndTheQueueWorks(t *testing.T) {
	sample := filepath.Join(t.TempDir(), "queue.db")
	q := started(t, Options{Path: sample})
	q.file.DB.NoSync = true
	stored := fill(t, q, rand.New(rand.NewPCG(2, 2)))
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	aside := 0
	for trial := range queueTrials() {
		rnd := rand.New(rand.NewPCG(8, uint64(trial)))
		what, bad := hurt(bytes.Clone(whole), trial, rnd)
		t.Run(fmt.Sprintf("%03d %s", trial, what), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue.db")
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			q := started(t, Options{Path: path})
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				if _, err = f.WriteAt(bad, 0); err == nil {
					err = f.Truncate(int64(len(bad)))
				}
				_ = f.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			// Everyone may be told once; nobody may be told lies.
			_, _, _ = q.List(t.Context(), Filter{})
			requireStored(t, q, stored)
			_, _, _ = q.Enqueue(t.Context(), NewJob{Kind: "apply"})
			_, _ = q.RetryAll(t.Context(), Filter{}, anyJob)
			_, _ = q.DiscardAll(t.Context(), Filter{State: Waiting}, anyJob)
			id := requireWorks(t, q)
			if moved, _, _ := q.Quarantined(); moved != "" {
				aside++
				if id <= 60 {
					t.Errorf("id %d was given out again", id)
				}
			}
			if err := q.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if aside == 0 {
		t.Error("no trial met its damage")
	}
	t.Logf("%d files set aside", aside)
}

// requireStored fails when a payload is given out that is not what was stored.
func requireStored(t *testing.T, q *Queue, stored map[uint64][]byte) {
	t.Helper()
	for id, want := range stored {
		if j, err := q.Get(context.Background(), id); err == nil && j.Payload != nil && !bytes.Equal(j.Payload, want) {
			t.Errorf("job %d came back changed", id)
		}
	}
}

// requireWorks stores a job and has it worked. A job that went into a file whose
// damage was only met afterwards is set aside with that; the next one works.
func requireWorks(t *testing.T, q *Queue) uint64 {
	t.Helper()
	ran := make(chan string, 100)
	defer work(t, q, "probe", 1, func(_ context.Context, j Job) error { ran <- string(j.Payload); return nil })()
	for range 600 {
		id, _, err := q.Enqueue(t.Context(), NewJob{Kind: "probe", Payload: []byte("works")})
		if err != nil && !errors.Is(err, ErrUnavailable) {
			t.Fatalf("the queue takes no job: %v", err)
		}
		select {
		case got := <-ran:
			if got != "works" {
				t.Errorf("worked with %q", got)
			}
			return id
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatal("the queue does not work")
	return 0
}

func TestRecordThatCanNotBeUnderstoodIsSetAsideAndStopsNothing(t *testing.T) {
	for _, when := range []string{"found at open", "found while running"} {
		t.Run(when, func(t *testing.T) {
			d := deskFor(t, Options{})
			var ids []uint64
			for range 3 {
				id, _ := d.enqueue(NewJob{Kind: "apply", Payload: []byte("body")})
				ids = append(ids, id)
			}
			buried := d.deadLetter(NewJob{Kind: "apply"})
			spoil := func(t *txn) {
				t.dirty = true
				for _, b := range []*bbolt.Bucket{t.jobs, t.dead} {
					id := ids[1]
					if b == t.dead {
						id = buried
					}
					v := bytes.Clone(b.Get(idKey(id)))
					v[9] ^= 1
					must(b.Put(idKey(id), v))
				}
				must(t.jobs.Put([]byte("no id"), []byte("?")))
			}
			d.do("spoil", spoil)
			if when == "found at open" {
				d.crash()
			}
			jobs := d.lease("apply", 10)
			got := []uint64{}
			for _, j := range jobs {
				got = append(got, j.ID)
			}
			if !slices.Equal(got, []uint64{ids[0], ids[2]}) {
				t.Errorf("leased %v", got)
			}
			d.do("nothing", func(*txn) {})
			requireSame(t, d)
			s := d.q.Stats()
			if s.Damaged != 3 || s.Waiting != 0 || s.Leased != 2 || s.Dead != 0 {
				t.Errorf("stats %+v", s)
			}
			_ = d.q.file.View(func(tx *bbolt.Tx) error {
				if n := entries(tx.Bucket(bucketDamaged)); n != 3 {
					t.Errorf("%d records kept", n)
				}
				if p := tx.Bucket(bucketPayloads).Get(idKey(ids[1])); string(p) != "body" {
					t.Errorf("payload %q", p)
				}
				return nil
			})
			d.crash()
			if s := d.q.Stats(); s.Damaged != 3 {
				t.Errorf("after a restart %+v", s)
			}
		})
	}
}

func TestPayloadThatChangedOnDiskIsADeadLetterAndNotHandedOut(t *testing.T) {
	d := deskFor(t, Options{})
	id, _ := d.enqueue(NewJob{Kind: "apply", Payload: []byte("body")})
	d.do("spoil", func(t *txn) { t.dirty = true; must(t.payloads.Put(idKey(id), []byte("bodx"))) })
	if jobs := d.lease("apply", 1); len(jobs) != 0 {
		t.Fatalf("handed out %q", jobs[0].Payload)
	}
	if j := d.get(id); j.State != Dead || j.Class != ClassDamaged || j.Payload != nil {
		t.Errorf("got %+v", j)
	}
}

func TestIndexesThatDoNotFitAreRebuilt(t *testing.T) {
	for name, spoil := range map[string]func(t *txn){
		"due entry lost":       func(t *txn) { must(t.due.Delete(dueKey("fetch", stamp(start), 1))) },
		"due entry too many":   func(t *txn) { must(t.due.Put(dueKey("fetch", 5, 99), []byte{})) },
		"due entry unreadable": func(t *txn) { must(t.due.Put([]byte("fetch\x00?"), []byte{})) },
		"key lost":             func(t *txn) { must(t.keys.Delete(coalesceKey("fetch", "p1"))) },
		"key to another job":   func(t *txn) { must(t.keys.Put(coalesceKey("fetch", "p1"), idKey(2))) },
		"dead key lost":        func(t *txn) { must(t.deadKeys.Delete(deadKey("fetch", "p9", 3))) },
		"a bucket is missing":  func(t *txn) { must(t.jobs.Tx().DeleteBucket(bucketDue)) },
		"sequence went back":   func(t *txn) { must(t.jobs.SetSequence(0)) },
	} {
		t.Run(name, func(t *testing.T) {
			d := deskFor(t, Options{})
			d.enqueue(NewJob{Kind: "fetch", Key: "p1"})
			d.enqueue(NewJob{Kind: "fetch", Key: "p2"})
			d.deadLetter(NewJob{Kind: "fetch", Key: "p9"})
			d.do("spoil", func(t *txn) { t.dirty = true; spoil(t) })
			d.crash()
			requireSame(t, d)
			if id, _ := d.enqueue(NewJob{Kind: "apply"}); id != 4 {
				t.Errorf("id %d", id)
			}
			if jobs := d.lease("fetch", 5); len(jobs) != 2 {
				t.Errorf("%d jobs are due", len(jobs))
			}
			n := 0
			d.do("resolve", func(t *txn) { n = t.resolve("fetch", "p9", "") })
			if n != 1 {
				t.Errorf("resolved %d", n)
			}
		})
	}
}

func TestStrayDueEntryMetWhileRunningDoesNotSpinOrStop(t *testing.T) {
	d := deskFor(t, Options{})
	id, _ := d.enqueue(NewJob{Kind: "fetch"})
	d.do("spoil", func(t *txn) {
		t.dirty = true
		must(t.due.Put(dueKey("fetch", 5, 99), []byte{}))
		must(t.due.Put([]byte("fetch\x00?"), []byte{}))
	})
	if j := d.leaseOne("fetch"); j.ID != id {
		t.Errorf("got %+v", j)
	}
	if len(d.lease("fetch", 1)) != 0 || d.q.kind("fetch").next != never {
		t.Error("something is still due")
	}
	requireSame(t, d)
}

func TestFileOfANewerVersionIsRefusedAndLeftAlone(t *testing.T) {
	d := deskFor(t, Options{})
	d.do("spoil", func(t *txn) {
		t.dirty = true
		meta := t.jobs.Tx().Bucket(bucketMeta)
		must(meta.Put(keyNote, []byte(`{"version":"9.8.7"}`)))
		must(meta.Put(keyFormat, []byte("3")))
	})
	if err := d.q.file.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(d.opt)
	if _, ok := errors.AsType[*folder.NewerError](err); !ok || !strings.Contains(err.Error(), "queue.db was written by Stockroom 9.8.7") {
		t.Errorf("got %v", err)
	}
	entries, _ := os.ReadDir(filepath.Dir(d.opt.Path))
	if len(entries) != 1 {
		t.Errorf("directory holds %v", entries)
	}
}

func TestFileRemovedWhileRunningIsPutBackWithAllItsJobs(t *testing.T) {
	d := deskFor(t, Options{})
	id, _ := d.enqueue(NewJob{Kind: "apply", Payload: []byte("body")})
	if err := os.Remove(d.opt.Path); err != nil {
		t.Fatal(err)
	}
	if err := d.try("nothing", func(t *txn) { t.dirty = true }); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	d.enqueue(NewJob{Kind: "apply"})
	d.crash()
	if j := d.get(id); string(j.Payload) != "body" || len(d.all()) != 2 {
		t.Errorf("got %+v", d.all())
	}
}

func TestACheckInUseFindsARecordThatIsNotWhatWasWritten(t *testing.T) {
	d := deskFor(t, Options{})
	for i := range 3 {
		d.enqueue(NewJob{Kind: "fetch", Payload: []byte{byte(i)}})
	}
	if n, err := d.q.Check(t.Context()); n != 3 || err != nil {
		t.Fatalf("%d jobs, %v", n, err)
	}
	d.do("spoil", func(t *txn) { t.dirty = true; must(t.jobs.Put(idKey(2), []byte("junk"))) })
	if _, err := d.q.Check(t.Context()); !errors.Is(err, boltfile.ErrDamaged) {
		t.Errorf("got %v", err)
	}
}
