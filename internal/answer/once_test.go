package answer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// keyed is an action with a key.
func keyed(key, body string) *http.Request {
	r := httptest.NewRequest("POST", "/x", strings.NewReader(body))
	r.Header.Set(keyHeader, key)
	return r
}

// refusalIn is an edge that knows refusals only.
func refusalIn(err error) (r *Refusal, unexpected bool) {
	unexpected = !errors.As(err, &r)
	return r, unexpected
}

func TestAFailureThatMayPassIsNotKept(t *testing.T) {
	for name, failure := range map[string]error{
		"unexpected": errors.New("the disk is full"),
		"503":        Refuse(http.StatusServiceUnavailable, "Not now", "Try again."),
		"429":        Refuse(http.StatusTooManyRequests, "Too many", "Try again."),
	} {
		once, calls := NewOnce(refusalIn), 0
		for i, want := range []string{"", "2\n", "2\n"} {
			w := httptest.NewRecorder()
			err := once.Serve(w, keyed("k", ""), func(w http.ResponseWriter, _ *http.Request) error {
				if calls++; calls == 1 {
					return failure
				}
				return JSON(w, 200, calls)
			})
			if (err != nil) != (i == 0) || w.Body.String() != want {
				t.Errorf("%s, call %d: %q, %v", name, i, w.Body, err)
			}
		}
	}
}

func TestARefusalThatLastsIsKept(t *testing.T) {
	once, calls := NewOnce(refusalIn), 0
	for range 2 {
		w := httptest.NewRecorder()
		err := once.Serve(w, keyed("k", ""), func(http.ResponseWriter, *http.Request) error {
			calls++
			return Refuse(http.StatusNotFound, "Not found", "There is none.")
		})
		if err != nil || w.Code != 404 || !strings.Contains(w.Body.String(), "There is none.") {
			t.Errorf("%d %s, %v", w.Code, w.Body, err)
		}
	}
	if calls != 1 {
		t.Errorf("%d effects", calls)
	}
}

func TestTwoAtOnceWithOneKeyAreOne(t *testing.T) {
	once := NewOnce(refusalIn)
	var calls atomic.Int32
	begun, goOn := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	bodies := make(chan string, 8)
	send := func() {
		all.Go(func() {
			w := httptest.NewRecorder()
			err := once.Serve(w, keyed("k", ""), func(w http.ResponseWriter, _ *http.Request) error {
				calls.Add(1)
				close(begun)
				<-goOn
				return JSON(w, 200, "done")
			})
			if err != nil {
				t.Error(err)
			}
			bodies <- w.Body.String()
		})
	}
	send()
	<-begun
	for range 7 {
		send()
	}
	close(goOn)
	all.Wait()
	for range 8 {
		if got := <-bodies; got != "\"done\"\n" {
			t.Errorf("answer %q", got)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("%d effects", calls.Load())
	}
}

func TestAnActionGoesOnWhenItsClientIsGone(t *testing.T) {
	once := NewOnce(refusalIn)
	begun, gone, ended := make(chan struct{}, 2), make(chan struct{}), make(chan error, 2)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = once.Serve(w, r, func(w http.ResponseWriter, r *http.Request) error {
			begun <- struct{}{}
			<-gone
			ended <- r.Context().Err()
			return JSON(w, 200, "done")
		})
	}))
	defer srv.Close()
	for _, key := range []string{"", "k"} {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "POST", srv.URL+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(keyHeader, key)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		}()
		<-begun
		cancel()
		<-done
	}
	close(gone)
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("the action was cut off: %v", err)
		}
	}
}

// The first of too many keys is forgotten, and each of them after a day.
func TestAnswersAreKeptForADayAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		once, calls := NewOnce(refusalIn), 0
		send := func(key string) (again bool) {
			w := httptest.NewRecorder()
			err := once.Serve(w, keyed(key, ""), func(w http.ResponseWriter, _ *http.Request) error {
				calls++
				return JSON(w, 200, calls)
			})
			if err != nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond)
			return w.Header().Get(replayHeader) == "true"
		}
		for i := range answersKept + 1 {
			send(fmt.Sprint(i))
		}
		if len(once.kept) != answersKept || !send(fmt.Sprint(answersKept)) || !send("1") || send("0") {
			t.Errorf("%d are kept, and not the newest ones", len(once.kept))
		}
		time.Sleep(answersAge)
		if send(fmt.Sprint(answersKept)) {
			t.Error("an answer of yesterday was given again")
		}
	})
}
