package queue

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBackoffDoublesFromTheBaseAndIsLengthenedByATenthAtMost(t *testing.T) {
	for i, want := range []time.Duration{60, 120, 240, 480, 960} {
		if got := Backoff(60*time.Second, i+1, 0); got != want*time.Second {
			t.Errorf("after %d failures: %v, want %v", i+1, got, want*time.Second)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "base"))
		n := rapid.IntRange(1, 200).Draw(t, "failures")
		jitter := rapid.Float64Range(0, 0.999999).Draw(t, "jitter")
		least, got := Backoff(base, n, 0), Backoff(base, n, jitter)
		if got < least || got > least+least/10 || least > maxBackoff {
			t.Fatalf("%v, without jitter %v", got, least)
		}
		if n > 1 && least < Backoff(base, n-1, 0) {
			t.Fatalf("shorter than after one failure less")
		}
	})
}
