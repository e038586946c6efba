package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/queue"
	"stockroom/store"
)

func TestTransientFailureIsTriedAgainInsideTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil)
		b.catalogue.set(func(n int) (store.Result, error) {
			if n < 5 {
				return locked(n)
			}
			return store.Result{Outcome: store.Applied}, nil
		}, nil)
		began := time.Now()
		want(t, b.send(signed(update(1))), 200, success)
		// Pauses of 25, 50, 100 and 200 ms, each between half and all of it.
		if took := since(began); took < 187*time.Millisecond || took > 375*time.Millisecond {
			t.Errorf("four pauses took %s", took)
		}
		if _, closed := b.CatalogueClosed(); closed {
			t.Error("the gate closed although the delivery got through")
		}
	})
}

// It would make a row ACTIVE again that nobody keeps current.
func TestADeliveryThatWaitedForARemovedShopIsDroppedUnlessTheLawAsksForIt(t *testing.T) {
	b := newBench(nil)
	b.SetDirectory(NewDirectory([]Shop{{Domain: testShop, Keys: []Key{{Secret: []byte(testSecret), Old: true}}, Removed: true}}, nil))
	law := []byte(`{"shop_id":1,"shop_domain":"` + testShop + `","customer":{"id":1},"orders_to_redact":[]}`)
	for topic, applied := range map[string]int{"products/update": 0, "customers/redact": 1} {
		body := update(7)
		if applied == 1 {
			body = law
		}
		payload, err := Envelope{Shop: testShop, Topic: topic, ReceivedAt: time.Now(), Body: body}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		before := b.catalogue.count()
		if err := b.work(t.Context(), queue.Job{Payload: payload}); err != nil || b.catalogue.count()-before != applied {
			t.Errorf("%s: applied %d times, %v", topic, b.catalogue.count()-before, err)
		}
	}
}

// A write that fails while deliveries go through, such as a sync's, is looked after
// although nobody writes any more.
func TestAFailedWriteOfSomebodyElseIsProbedUntilOneCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil)
		var probes atomic.Int64
		b.catalogue.set(nil, func() error { probes.Add(1); return nil })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		time.Sleep(time.Second)
		fails := func(cause store.Cause) {
			b.catalogue.mu.Lock()
			defer b.catalogue.mu.Unlock()
			b.catalogue.cause = cause
		}
		for _, step := range []struct {
			cause store.Cause
			want  int64
		}{{"", 0}, {store.CauseIO, 2}, {"", 0}} {
			fails(step.cause)
			before := probes.Load()
			time.Sleep(2 * probeIdle)
			if n := probes.Load() - before; n != step.want {
				t.Errorf("%d probes while the newest write failed for %q, want %d", n, step.cause, step.want)
			}
			if _, closed := b.CatalogueClosed(); closed {
				t.Error("deliveries are kept away")
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A budget used up closes the gate: what comes next goes straight to the queue
// until a probe commits, and then the waiting jobs are applied.
func TestOutageSendsDeliveriesToTheQueueUntilAProbeCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil)
		var probes atomic.Int64
		b.catalogue.set(locked, func() error { probes.Add(1); return errDisk })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		synctest.Wait()

		began := time.Now()
		want(t, b.send(signed(update(1))), 200, queued)
		if took := since(began); took > 3*time.Second || took < 2500*time.Millisecond {
			t.Errorf("the first delivery was answered after %s, want the 3 s budget", took)
		}
		calls := b.catalogue.count()
		for id := int64(2); id <= 20; id++ {
			began = time.Now()
			want(t, b.send(signed(update(id))), 200, queued)
			if since(began) > 0 {
				t.Errorf("delivery %d waited %s behind a closed gate", id, since(began))
			}
		}
		if b.catalogue.count() != calls {
			t.Errorf("%d tries went to a catalogue that is known to fail", b.catalogue.count()-calls)
		}
		jobs := b.queue.list()
		if len(jobs) != 20 || jobs[0].State != queue.Waiting || jobs[0].Labels["shop"] != testShop || jobs[0].Labels["waits_for"] == "" {
			t.Fatalf("queue: %+v", jobs)
		}
		time.Sleep(5 * time.Second)
		if n := probes.Load(); n < 8 || n > 12 {
			t.Errorf("%d probes in 5 s, want one in 500 ms", n)
		}
		b.catalogue.set(nil, nil)
		time.Sleep(time.Second)
		if _, closed := b.CatalogueClosed(); closed {
			t.Error("the gate is still closed a second after a probe can commit")
		}
		b.queue.mu.Lock()
		woken := b.queue.woken
		b.queue.mu.Unlock()
		if n := len(b.queue.list()); n != 0 || woken != 1 || b.catalogue.count() != calls+20 {
			t.Errorf("%d jobs wait, woken %d times, %d of 20 applied", n, woken, b.catalogue.count()-calls)
		}
		want(t, b.send(signed(update(21))), 200, success)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestLastingFailureIsNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil)
		b.catalogue.set(full, nil)
		began := time.Now()
		want(t, b.send(signed(update(1))), 200, queued)
		if since(began) > 0 || b.catalogue.count() != 1 {
			t.Errorf("%d tries in %s", b.catalogue.count(), since(began))
		}
		if _, closed := b.CatalogueClosed(); !closed {
			t.Error("the gate is open after a failure that lasts")
		}
	})
}

// An error of this one change says nothing of the others.
func TestChangeThatCannotBeAppliedIsQueuedAndClosesNothing(t *testing.T) {
	b := newBench(nil)
	b.catalogue.set(func(int) (store.Result, error) { return store.Result{}, errors.New("constraint failed") }, nil)
	want(t, b.send(signed(update(1))), 200, queued)
	if _, closed := b.CatalogueClosed(); closed {
		t.Error("the gate closed")
	}
	b.catalogue.set(nil, nil)
	want(t, b.send(signed(update(2))), 200, success)
}

func TestNothingIsKeptWhenNeitherStoreTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil)
		b.catalogue.set(full, nil)
		b.queue.fail = func() error { return queue.ErrUnavailable }
		for _, body := range [][]byte{update(1), []byte("not json")} {
			w := b.send(signed(body))
			want(t, w, 503, "")
			if w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "not confirmed to be on disk; send it again") ||
				!strings.Contains(w.Body.String(), "stores_failed") || strings.Contains(w.Body.String(), "kept") {
				t.Errorf("answer %v %s", w.Header(), w.Body)
			}
		}
		if len(b.queue.list()) != 0 || len(b.catalogue.records) != 0 {
			t.Error("something was kept")
		}
		// Each store has its own cause.
		b.queue.fail = func() error { return fmt.Errorf("%w: %w", queue.ErrUnavailable, syscall.ENOSPC) }
		b.catalogue.set(locked, nil)
		b.gate.open(t.Context())
		w := b.send(signed(update(1)))
		want(t, w, 503, "")
		for _, part := range []string{"another program holds products.db locked", "the disk is full"} {
			if !strings.Contains(w.Body.String(), part) {
				t.Errorf("the answer does not say %q: %s", part, w.Body)
			}
		}
		// When there is room again the same delivery is taken.
		b.queue.fail = nil
		want(t, b.send(signed(update(1))), 200, queued)
	})
}

// Shopify hangs up after 5 s; a slow queue must have been given up before.
func TestAnswerComesBeforeShopifyGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil)
		b.catalogue.set(locked, nil)
		b.Intake.opt.Queue = slowQueue{&b.queue}
		began := time.Now()
		want(t, b.send(signed(update(1))), 503, "")
		if took := since(began); took > 4500*time.Millisecond {
			t.Errorf("answered after %s", took)
		}
	})
}

// slowQueue never gets a commit done.
type slowQueue struct{ *jobs }

func (slowQueue) Enqueue(ctx context.Context, _ queue.NewJob) (uint64, bool, error) {
	<-ctx.Done()
	return 0, false, ctx.Err()
}

// What is durable does not depend on the client staying.
func TestClientThatLeavesChangesNothing(t *testing.T) {
	b := newBench(nil)
	ctx, cancel := context.WithCancel(t.Context())
	b.catalogue.set(func(int) (store.Result, error) {
		cancel()
		return store.Result{Outcome: store.Applied}, nil
	}, nil)
	want(t, b.send(signed(update(1)).WithContext(ctx)), 200, success)
	if len(b.catalogue.applied) != 1 {
		t.Error("the change was not applied")
	}
}

func TestQueuedJobOfAClosedCatalogueSpendsNoAttempt(t *testing.T) {
	e := Envelope{Shop: testShop, Topic: "products/update", ReceivedAt: time.Now(), Body: update(1)}
	payload, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		apply   func(int) (store.Result, error)
		payload []byte
		want    string
	}{
		"applied":                 {nil, payload, ""},
		"unavailable":             {full, payload, "snooze"},
		"behind the closed gate":  {nil, payload, "snooze"},
		"a payload that is none":  {nil, []byte("x"), "permanent"},
		"a body that is poison":   {nil, append(payload[:len(payload)-len(e.Body):len(payload)-len(e.Body)], '{'), "permanent"},
		"another shop's product":  {func(int) (store.Result, error) { return store.Result{}, store.ErrOtherShop }, payload, "permanent"},
		"an error of this change": {func(int) (store.Result, error) { return store.Result{}, errDisk }, payload, "retry"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(nil)
			if strings.Contains(name, "gate") {
				b.gate.close(&store.UnavailableError{Cause: store.CauseIO, Err: errDisk})
			}
			b.catalogue.set(test.apply, nil)
			err := b.work(t.Context(), queue.Job{Payload: test.payload})
			got := "retry"
			switch {
			case err == nil:
				got = ""
			case strings.Contains(fmt.Sprintf("%T", err), "snooze"):
				got = "snooze"
			case strings.Contains(fmt.Sprintf("%T", err), "permanent"):
				got = "permanent"
			}
			if got != test.want {
				t.Errorf("%v is %q, want %q", err, got, test.want)
			}
		})
	}
}

func TestErasureOfAShopThatIsGoneDeletesAndIsJournalled(t *testing.T) {
	body := []byte(`{"shop_id":1,"shop_domain":"` + testShop + `"}`)
	for name, test := range map[string]struct {
		shop    Shop
		deletes bool
	}{
		"connected":   {Shop{}, false},
		"uninstalled": {Shop{Uninstalled: true}, true},
		"removed":     {Shop{Removed: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			deleted := ""
			b := newBench(func(o *Options) {
				o.Redact = func(_ context.Context, shop string) error { deleted = shop; return nil }
			})
			test.shop.Domain, test.shop.Keys = testShop, []Key{{Secret: []byte(testSecret)}}
			b.SetDirectory(NewDirectory([]Shop{test.shop}, nil))
			r := signed(body)
			r.Header.Set("X-Shopify-Topic", "shop/redact")
			want(t, b.send(r), http.StatusOK, success)
			if (deleted == testShop) != test.deletes {
				t.Errorf("deleted %q", deleted)
			}
			if test.deletes && len(b.catalogue.records) != 1 {
				t.Errorf("journal: %v", b.catalogue.records)
			}
		})
	}
}
