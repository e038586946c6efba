package queue

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// Each durable step fails once in three ways: before the commit for want of
// space (not stored, file as good as before), before it with an I/O error (not
// stored, file in doubt), and after it (stored all the same). Whatever the caller
// was told, the job must be in one of the two states in full, memory must say
// what the file says, and doing the step again must end where one success ends.
func TestFailedCommitsKeepNothingByHalvesAndRecover(t *testing.T) {
	noSpace := &fs.PathError{Op: "write", Path: "queue.db", Err: syscall.ENOSPC}
	ways := []struct {
		name, when string
		err        error
	}{
		{"not stored, disk full", "before", noSpace},
		{"not stored, sync failed", "before", syscall.EIO},
		{"stored, sync failed", "after", syscall.EIO},
	}
	waiting := func(d *desk) uint64 {
		id, _ := d.enqueue(NewJob{Kind: "fetch", Key: "p", Payload: []byte("x")})
		return id
	}
	inHand := func(d *desk) uint64 { id := waiting(d); d.leaseOne("fetch"); return id }
	dead := func(d *desk) uint64 { id := inHand(d); d.finish(id, Permanent(errors.New("no"))); return id }
	asleep := func(d *desk) uint64 {
		id := inHand(d)
		d.finish(id, Snooze(d.now.Add(time.Hour), "breaker is open"))
		return id
	}
	steps := []struct {
		name  string
		setup func(d *desk) uint64
		do    func(t *txn, id uint64)
	}{
		{"enqueue", func(*desk) uint64 { return 0 }, func(t *txn, _ uint64) {
			n, _ := t.q.prepare(NewJob{Kind: "fetch", Key: "p", Payload: []byte("x")})
			t.enqueue(n)
		}},
		{"coalesce", waiting, func(t *txn, _ uint64) {
			n, _ := t.q.prepare(NewJob{Kind: "fetch", Key: "p", Payload: []byte("newer")})
			t.enqueue(n)
		}},
		{"bury", func(*desk) uint64 { return 0 }, func(t *txn, _ uint64) {
			n, _ := t.q.prepare(NewJob{Kind: "fetch", Payload: []byte("x")})
			t.buryNew(n, ClassPoison, "no JSON")
		}},
		{"lease", waiting, func(t *txn, _ uint64) { t.lease("fetch", 1) }},
		{"finish done", inHand, func(t *txn, id uint64) { t.finish(id, outcome{verdict: done}) }},
		{"finish failed", inHand, func(t *txn, id uint64) { t.finish(id, outcome{verdict: failed, text: "busy"}) }},
		{"finish snoozed", inHand, func(t *txn, id uint64) {
			t.finish(id, outcome{verdict: snoozed, text: "later", until: instant(t.ns).Add(time.Hour)})
		}},
		{"finish dead", inHand, func(t *txn, id uint64) { t.finish(id, outcome{verdict: final, class: ClassAuth}) }},
		{"finish returned", inHand, func(t *txn, id uint64) { t.finish(id, outcome{verdict: returned}) }},
		{"retry", dead, func(t *txn, id uint64) { t.retry(id) }},
		{"discard", dead, func(t *txn, id uint64) { t.discard(id) }},
		{"resolve", dead, func(t *txn, _ uint64) { t.resolve("fetch", "p", "synced") }},
		{"wake", asleep, func(t *txn, id uint64) { t.wake(id) }},
		{"return", inHand, func(t *txn, _ uint64) { t.returnAll() }},
	}
	for _, s := range steps {
		for _, way := range ways {
			t.Run(s.name+", "+way.name, func(t *testing.T) {
				fail := false
				d := deskFor(t, Options{Fault: func(step string) error {
					if fail && step == way.when+" "+s.name {
						fail = false
						return way.err
					}
					return nil
				}})
				id := s.setup(d)
				before := picture(d)
				fail = true
				err := d.try(s.name, func(t *txn) { s.do(t, id) })
				if !errors.Is(err, ErrUnavailable) || !errors.Is(err, way.err) {
					t.Fatalf("got %v", err)
				}
				if fail {
					t.Fatal("the step was not reached")
				}
				d.now = d.now.Add(failPause)
				d.do("nothing", func(*txn) {}) // heals
				after := picture(d)
				requireSame(t, d)
				if way.when == "before" {
					// A lease that was in hand is still in hand; nothing else moved.
					if diff := gocmp.Diff(before, after); diff != "" {
						t.Errorf("something was kept (-before +after):\n%s", diff)
					}
				}
				d.do(s.name, func(t *txn) { s.do(t, id) })
				requireSame(t, d)
				jobs := d.all()
				if len(jobs) > 2 || len(jobs) == 2 && s.name != "bury" {
					t.Errorf("after the second try there are %d jobs", len(jobs))
				}
				for _, j := range jobs {
					if j.Attempts > 1 || j.Reclaims > 0 {
						t.Errorf("the failure was charged to the job: %+v", j)
					}
				}
				d.crash()
				requireSame(t, d)
				if path, reason, _ := d.q.Quarantined(); path != "" || reason != "" {
					t.Errorf("set aside as %s: %s", path, reason)
				}
			})
		}
	}
}

// picture is all that can be seen of a desk.
func picture(d *desk) []Job {
	jobs := d.all()
	for i := range jobs {
		jobs[i] = d.get(jobs[i].ID)
	}
	return jobs
}

// groupsOf are the groups of a queue in order.
func groupsOf(q *Queue) []Group {
	list := q.Groups()
	slices.SortFunc(list, func(a, b Group) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Shop, b.Shop), strings.Compare(a.Topic, b.Topic))
	})
	return list
}

// requireSame fails unless memory says what the file says.
func requireSame(t *testing.T, d *desk) {
	t.Helper()
	s, err := d.q.survey(d.now)
	if err != nil {
		t.Fatal(err)
	}
	if s.indexWrong || len(s.bad) > 0 {
		t.Errorf("the file does not fit itself: %+v", s)
	}
	for name, want := range s.mem.kinds {
		got := d.q.mem.kind(name)
		if got.Tally != want.Tally || got.due != want.due || got.next > want.next {
			t.Errorf("%s: memory says %+v, the file %+v", name, *got, *want)
		}
	}
	if diff := gocmp.Diff(groupsOf(&Queue{mem: s.mem}), groupsOf(d.q)); diff != "" {
		t.Errorf("groups in the file and in memory (-file +memory):\n%s", diff)
	}
	for _, id := range s.leased {
		if _, ok := d.q.held[id]; !ok {
			t.Errorf("job %d is leased in the file and in nobody's hand", id)
		}
	}
	if len(d.q.busy) > len(d.q.held) {
		t.Errorf("keys in hand %v, jobs in hand %d", d.q.busy, len(d.q.held))
	}
}

// A lease whose commit failed but was stored must not stay leased for ever in a
// process that lives on.
func TestLeaseThatWasStoredThoughItFailedIsHandedOutAgain(t *testing.T) {
	fail := false
	d := deskFor(t, Options{Fault: func(step string) error {
		if fail && step == "after lease" {
			fail = false
			return syscall.EIO
		}
		return nil
	}})
	id, _ := d.enqueue(NewJob{Kind: "fetch", Key: "p"})
	fail = true
	if err := d.try("lease", func(t *txn) { t.lease("fetch", 1) }); err == nil {
		t.Fatal("no error")
	}
	d.now = d.now.Add(time.Second)
	if j := d.leaseOne("fetch"); j.ID != id || j.Attempts != 1 || j.Reclaims != 0 {
		t.Errorf("got %+v", j)
	}
}

// After a failed sync nothing may be acknowledged on the same file.
func TestAfterAFailedSyncTheFileIsCopiedBeforeTheNextCommit(t *testing.T) {
	fail := false
	d := deskFor(t, Options{Fault: func(step string) error {
		if fail {
			fail = false
			return syscall.EIO
		}
		return nil
	}})
	d.enqueue(NewJob{Kind: "fetch"})
	old := d.q.file.DB
	fail = true
	_ = d.try("enqueue", func(t *txn) { n, _ := t.q.prepare(NewJob{Kind: "fetch"}); t.enqueue(n) })
	d.do("enqueue", func(t *txn) {
		if t.q.file.DB == old {
			t.q.log.Error("same handle")
			panic("the next commit went to the old file")
		}
	})
}

// noSpaceFor fails commits of one operation, or of all for "", while on is set.
func noSpaceFor(name string, on *atomic.Bool) func(step string) error {
	return func(step string) error {
		if on.Load() && strings.HasPrefix(step, "before "+name) {
			return &fs.PathError{Op: "write", Path: "queue.db", Err: syscall.ENOSPC}
		}
		return nil
	}
}

func TestWhileCommitsFailCallersAreToldAndWorkGoesOnAfterwards(t *testing.T) {
	var broken atomic.Bool
	bubble(t, Options{Fault: noSpaceFor("", &broken)}, func(t *testing.T, q *Queue) {
		broken.Store(true)
		var ran atomic.Int64
		defer work(t, q, "apply", 2, func(context.Context, Job) error { ran.Add(1); return nil })()
		for range 20 {
			if _, _, err := q.Enqueue(t.Context(), NewJob{Kind: "apply"}); !errors.Is(err, ErrUnavailable) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("got %v", err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if n := q.Stats().Waiting; n != 0 {
			t.Errorf("%d jobs were kept", n)
		}
		broken.Store(false)
		time.Sleep(failPause)
		mustEnqueue(t, q, NewJob{Kind: "apply"})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if ran.Load() != 1 {
			t.Errorf("%d ran", ran.Load())
		}
	})
}

func TestOutcomeThatCanNotBeWrittenIsWrittenLaterAndTheHandlerRunsOnce(t *testing.T) {
	var broken atomic.Bool
	bubble(t, Options{Fault: noSpaceFor("finish", &broken)}, func(t *testing.T, q *Queue) {
		var ran atomic.Int64
		defer work(t, q, "apply", 1, func(context.Context, Job) error { ran.Add(1); broken.Store(true); return nil })()
		id := mustEnqueue(t, q, NewJob{Kind: "apply"})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if j := mustGet(t, q, id); j.State != Leased {
			t.Errorf("got %+v", j)
		}
		broken.Store(false)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if _, err := q.Get(t.Context(), id); !errors.Is(err, ErrNotFound) || ran.Load() != 1 {
			t.Errorf("%v, ran %d times", err, ran.Load())
		}
	})
}

func TestOpenOnAFullDiskComesUpAndPutsJobsBackWhenThereIsSpace(t *testing.T) {
	full := false
	d := deskFor(t, Options{})
	id, _ := d.enqueue(NewJob{Kind: "apply"})
	d.leaseOne("apply")
	d.opt.Fault = func(step string) error {
		if full {
			return &fs.PathError{Op: "write", Path: "queue.db", Err: syscall.ENOSPC}
		}
		return nil
	}
	full = true
	d.crash()
	if j := d.get(id); j.State != Leased {
		t.Errorf("got %+v", j)
	}
	if err := d.try("nothing", func(*txn) {}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	full = false
	d.now = d.now.Add(time.Second)
	if j := d.leaseOne("apply"); j.ID != id || j.Attempts != 1 || j.Reclaims != 1 {
		t.Errorf("got %+v", j)
	}
}
