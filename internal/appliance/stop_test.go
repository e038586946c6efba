package appliance

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/state"
	"stockroom/queue"
	"stockroom/store"

	"go.etcd.io/bbolt"
)

// deaf is a way to Shopify that hears nothing, not even that nobody waits any more.
type deaf struct {
	called  atomic.Bool
	release chan struct{}
}

func (d *deaf) RoundTrip(*http.Request) (*http.Response, error) {
	d.called.Store(true)
	<-d.release
	return nil, errors.New("released")
}

// TestAJobThatHearsNothingIsSaidAndHoldsUpNoStop: first it stands in the account, and
// then all is closed in spite of it.
func TestAJobThatHearsNothingIsSaidAndHoldsUpNoStop(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := config.Load(config.Sources{Flags: map[string]string{"data": dir}})
		if err != nil {
			t.Fatal(err)
		}
		s.Shop = config.EnvShop{Domain: testShop, APIKey: "app", APISecret: config.NewSecret("s")}
		way := &deaf{release: make(chan struct{})}
		var waits []string
		a, err := Open(t.Context(), Options{Settings: s, Manual: true, Transport: way, Stopping: func(what string) { waits = append(waits, what) }})
		if err != nil {
			t.Fatal(err)
		}
		_, stop := a.Work(t.Context())
		wish := store.Wanted{Shop: testShop, Kind: store.WantProduct, ID: 1}
		if err := a.store.Want(t.Context(), wish); err != nil {
			t.Fatal(err)
		}
		a.syncer.Wanted(wish)
		time.Sleep(time.Minute)
		if codes := a.says("", time.Now()); !way.called.Load() || slices.Contains(codes, "stuck") {
			t.Fatalf("called %v, %v", way.called.Load(), codes)
		}
		time.Sleep(5 * time.Hour)
		if codes := a.says("", time.Now()); !slices.Contains(codes, "stuck") {
			t.Errorf("nothing says it: %v", codes)
		}
		began := time.Now()
		if err := errors.Join(stop(), a.Close()); err != nil || time.Since(began) > 3*time.Second {
			t.Errorf("closed after %v: %v", time.Since(began), err)
		}
		if want := []string{"queue.db", "state.db", "products.db", "state.db", "the data dir"}; !slices.Equal(waits, want) {
			t.Errorf("the stop waited for %v", waits)
		}
		close(way.release)
		synctest.Wait()
	})
	q, err := queue.Open(queue.Options{Path: dir + "/queue.db"})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	jobs, _, err := q.List(t.Context(), queue.Filter{})
	if err != nil || len(jobs) != 1 || jobs[0].State != queue.Waiting || jobs[0].Class != queue.ClassTimeout {
		t.Errorf("kept: %+v, %v", jobs, err)
	}
}

// TestAnErasureHoldsNoDelivery: state.db is being written by another while Shopify
// waits for the answer.
func TestAnErasureHoldsNoDelivery(t *testing.T) {
	s, err := config.Load(config.Sources{Flags: map[string]string{"data": t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), Options{Settings: s, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	_, queued := a.queue.Bury(t.Context(), queue.NewJob{Kind: "other", Labels: map[string]string{"shop": testShop}}, queue.ClassPoison, errors.New("no sense"))
	if err := errors.Join(
		a.state.AddShop(testShop, "", time.Now()), a.state.SetCredentials(testShop, state.Credentials{APISecret: config.NewSecret("s")}),
		a.state.RemoveShop(testShop, time.Now()), queued,
	); err != nil {
		t.Fatal(err)
	}
	began, release := make(chan struct{}), make(chan struct{})
	go func() {
		_ = a.state.Update(func(*bbolt.Tx) error { close(began); <-release; return nil })
	}()
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.redact(ctx, testShop) }()
	for a.queue.Stats().Dead > 0 { // state.db is next
		runtime.Gosched()
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(release)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
