package breaker

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestATransitionIsToldUnderNoLockWhenItIsOnDisk(t *testing.T) {
	var b *Breaker
	db := openDB(t)
	var got []Transition
	b = openAt(t, epoch, db, Options{OnTransition: func(tr Transition) {
		got = append(got, tr)
		b.ShopAt(epoch, key.Shop) // would deadlock under a lock
		if stored := len(openAt(t, epoch, db, Options{}).ShopAt(epoch, key.Shop)) == 1; stored == (tr.To == StateClosed) {
			t.Errorf("told of %v before it was on disk", tr.To)
		}
		if tr.To == StateHalfOpen {
			if _, err := b.Allow(at(30*time.Second), key); err == nil {
				t.Error("a second probe beside the one that is being let through")
			}
		}
	}})
	trip(t, b, 0)
	call(t, b, 30*time.Second, Success)
	if len(got) != 3 || got[0].To != StateOpen || got[1].To != StateHalfOpen || got[2].To != StateClosed {
		t.Errorf("%+v", got)
	}
}

func TestWhatAPersonDecidesWhileAProbeIsWrittenStands(t *testing.T) {
	var b *Breaker
	b = openAt(t, epoch, openDB(t), Options{OnTransition: func(tr Transition) {
		if tr.To == StateHalfOpen {
			b.Force(at(30*time.Second), key, HeldOpen)
		}
	}})
	trip(t, b, 0)
	if e := refusal(t, b, 30*time.Second); e.Reason != ReasonHand {
		t.Errorf("%+v", e)
	}
}

func TestProbesNeedTheDisk(t *testing.T) {
	db := openDB(t)
	b := openAt(t, epoch, db, Options{})
	trip(t, b, 0)
	db.Close()
	e := refusal(t, b, 30*time.Second)
	if e.Reason != ReasonDisk || e.Err == nil {
		t.Errorf("%+v", e)
	}
	refusal(t, b, 60*time.Second-1)
	if b.Force(epoch, key, HeldOpen) == nil || b.Forget(key.Shop) == nil {
		t.Error("what a person decided is not on disk, and nobody is told")
	}
}

func TestOnTheRealClockOfABubble(t *testing.T) {
	db := openDB(t)
	synctest.Test(t, func(t *testing.T) {
		b, err := Open(db, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			p, err := b.Allow(time.Now(), key)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second) // the call
			p.Done(time.Now(), Failure, 0)
		}
		tripped := time.Now()
		_, err = b.Allow(time.Now(), key)
		var oe *OpenError
		if !errors.As(err, &oe) || oe.RetryAt.Sub(tripped) != 30*time.Second {
			t.Fatal(err)
		}
		time.Sleep(time.Until(oe.RetryAt))
		p, err := b.Allow(time.Now(), key)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		p.Done(time.Now(), Success, 0)
		if _, err := b.Allow(time.Now(), key); err != nil {
			t.Error(err)
		}
	})
}
