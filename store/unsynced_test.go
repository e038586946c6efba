package store

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"
)

// After a failed sync the log may hold frames that the disk lacks. What is
// written behind them would go with them, so nothing may be.
func TestAfterAFailedSyncNothingIsCommittedBehindTheOldLog(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	reader, err := b.other().Begin() // keeps the log from being copied back when our connections close
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := reader.QueryRow(`SELECT count(*) FROM products`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	b.want(upsertOf(product(2, "v1", 10_000, "1")), Applied)
	b.fail(func(at string) error {
		if at == "before commit" {
			return &UnavailableError{Cause: CauseIO, Err: syscall.EIO}
		}
		return nil
	})
	c := upsertOf(product(3, "v1", 10_000, "1"))
	if _, err := b.s.Apply(context.Background(), b.delivery(c), c); CauseOf(err) != CauseIO {
		t.Fatalf("error %v, want io_error", err)
	}
	b.fail(nil)
	if _, err := b.s.Apply(context.Background(), b.delivery(c), c); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("error %v while the log can't be started again, want unavailable", err)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		_, err := b.s.Apply(context.Background(), b.delivery(c), c)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not taken after the reader ended: %v", err)
		}
	}
	for id := int64(1); id <= 3; id++ {
		b.title(id, "Shirt v1")
	}
}
