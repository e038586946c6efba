package webhook

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/queue"
	"stockroom/store"
)

func unavailable(c store.Cause) error { return &store.UnavailableError{Cause: c, Err: errDisk} }

// What closed the gate may have gone while something else keeps it closed. Rows,
// log and whoever asks name what the newest probe found.
func TestTheGateNamesWhatTheNewestProbeFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil)
		fail := func(c store.Cause) {
			err := unavailable(c)
			b.catalogue.set(func(int) (store.Result, error) { return store.Result{}, err }, func() error { return err })
		}
		fail(store.CauseSlow)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		synctest.Wait()

		want(t, b.send(signed(update(1))), 200, queued)
		if got := b.CatalogueCause(); got != store.CauseSlow {
			t.Errorf("closed for %q", got)
		}
		fail(store.CauseLocked)
		time.Sleep(10 * time.Second)
		for id := int64(2); id <= 50; id++ {
			want(t, b.send(signed(update(id))), 200, queued)
		}
		if got := b.CatalogueCause(); got != store.CauseLocked {
			t.Errorf("closed for %q after the cause changed", got)
		}
		for _, j := range b.queue.list()[1:] {
			if j.Labels["waits_for"] != store.CauseLocked.Words() {
				t.Fatalf("a row waits for %q", j.Labels["waits_for"])
			}
		}
		time.Sleep(10 * time.Minute)
		b.catalogue.set(nil, nil)
		time.Sleep(time.Second)
		if got := b.CatalogueCause(); got != "" {
			t.Errorf("closed for %q after a probe committed", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		text := b.log.String()
		if n := strings.Count(text, "still can't be written"); n < 10 || n > 12 {
			t.Errorf("%d lines in ten minutes, want one at the change and one a minute", n)
		}
		if n := strings.Count(text, "level=ERROR") + strings.Count(text, "level=WARN"); n > 13 {
			t.Errorf("%d lines above info in an outage of one cause:\n%s", n, text)
		}
		if !strings.Contains(text, "queued=50 refused=0") {
			t.Errorf("no line counts what was queued:\n%s", text)
		}
	})
}

// A handler whose context ends waits for nothing any more: that is no news of
// the catalogue.
func TestAJobThatIsCutOffClosesNothing(t *testing.T) {
	b := newBench(nil)
	e := Envelope{Shop: testShop, Topic: string(catalog.ProductsUpdate), ReceivedAt: time.Now(), Body: update(1)}
	payload, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.catalogue.set(func(int) (store.Result, error) {
		cancel()
		return store.Result{}, unavailable(store.CauseTimeout)
	}, nil)
	err = b.work(ctx, queue.Job{Payload: payload})
	if since, closed := b.CatalogueClosed(); closed || err == nil {
		t.Errorf("closed since %v, error %v", since, err)
	}
}

// A body that takes its time is the sender's doing. The catalogue is not blamed,
// and the deliveries behind are applied at once.
func TestABodyThatArrivesLateIsQueuedAndClosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil)
		r := signed(update(1))
		r.Body = &slowBody{r.Body, 3500 * time.Millisecond}
		want(t, b.send(r), 200, queued)
		if _, closed := b.CatalogueClosed(); closed {
			t.Errorf("the gate closed for %q", b.CatalogueCause())
		}
		if jobs := b.queue.list(); len(jobs) != 1 || jobs[0].Labels["waits_for"] != "" {
			t.Errorf("queue: %+v", jobs)
		}
		want(t, b.send(signed(update(2))), 200, success)
	})
}

// When both stores fail the log says it once, and then how many.
func TestAnOutageOfBothStoresHasOneLineOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil)
		b.catalogue.set(full, nil)
		b.queue.fail = func() error { return queue.ErrUnavailable }
		for id := range int64(20) {
			want(t, b.send(signed(update(id+1))), 503, "")
		}
		if n := strings.Count(b.log.String(), "neither the catalogue nor the queue"); n != 1 {
			t.Errorf("%d lines, want one", n)
		}
	})
}

// slowBody waits before its first byte.
type slowBody struct {
	io.ReadCloser
	wait time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	time.Sleep(b.wait)
	b.wait = 0
	return b.ReadCloser.Read(p)
}
