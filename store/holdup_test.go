package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// While another program holds the file, each change that runs out of time waits
// for just that.
func TestATimeoutBehindALockedFileSaysLocked(t *testing.T) {
	b := open(t)
	db := b.other()
	if _, err := db.Exec(`BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	if err := b.s.Probe(t.Context()); CauseOf(err) != CauseLocked {
		t.Fatalf("error %v, want locked", err)
	}
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	c := upsertOf(product(1, "v1", 10_000, "1"))
	for range 10 {
		_, err := b.s.Apply(late, b.delivery(c), c)
		if CauseOf(err) != CauseLocked || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v, want locked", err)
		}
	}
}

// A timeout's cause is that of the step the writer is stuck in.
func TestATimeoutSaysWhatTheWriterIsStuckIn(t *testing.T) {
	for point, want := range map[string]Cause{
		"before commit":  CauseSlow,
		"before journal": CauseTimeout, // it works, whatever it is that takes so long
	} {
		t.Run(point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t)
				stuck, armed := make(chan struct{}), true
				b.fail(func(at string) error {
					if at == point && armed {
						armed = false
						<-stuck
					}
					return nil
				})
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				causes := make(chan Cause, 5)
				for id := range int64(5) {
					go func() {
						c := upsertOf(product(id+1, "v1", 10_000, "1"))
						_, err := b.s.Apply(ctx, Delivery{Shop: testShop, Topic: string(c.Topic), Dedupe: id + 1}, c)
						causes <- CauseOf(err)
					}()
				}
				for range 5 {
					if got := <-causes; got != want {
						t.Errorf("cause %q, want %q", got, want)
					}
				}
				close(stuck)
				if err := b.s.Probe(t.Context()); err != nil {
					t.Fatal(err)
				}
				late, cancel := context.WithTimeout(t.Context(), 0)
				defer cancel()
				if err := b.s.Probe(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := b.s.Probe(late); err != nil && CauseOf(err) != CauseTimeout {
					t.Errorf("error %v of a writer that nothing holds up", err)
				}
				if err := b.s.Close(); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}
