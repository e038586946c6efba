package queue

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Operations that come while the disk is busy share the next commit, and with it
// its sync.
func TestWhatWaitsTogetherIsOneCommit(t *testing.T) {
	var commits, operations atomic.Int64
	var first atomic.Bool
	var release chan struct{} // of the bubble
	bubble(t, Options{
		OnCommit: func(c Commit) { commits.Add(1); operations.Add(int64(c.Operations)) },
		Fault: func(step string) error {
			if step == "before enqueue" && first.CompareAndSwap(false, true) {
				<-release
			}
			return nil
		},
	}, func(t *testing.T, q *Queue) {
		release = make(chan struct{})
		for range 100 {
			go func() {
				if _, _, err := q.Enqueue(t.Context(), NewJob{Kind: "apply"}); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		if commits.Load() > 2 || operations.Load() != 100 || q.Stats().Waiting != 100 {
			t.Errorf("%d operations in %d commits, %d jobs", operations.Load(), commits.Load(), q.Stats().Waiting)
		}
	})
}

func TestACommitIsBoundedSoThatNobodyWaitsForAll(t *testing.T) {
	for _, c := range []struct {
		name  string
		ops   int
		bytes int
		want  []int // operations of each commit
	}{
		{"many small ones", 2050, 10, []int{2048, 2}},
		{"as many bytes as go into one", 4, 4 << 20, []int{2, 2}},
		{"a byte more", 3, 4<<20 + 1, []int{1, 1, 1}},
		{"one that is too large goes alone", 2, 8<<20 + 1, []int{1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := inbox{wake: make(chan struct{}, 1)}
			for range c.ops {
				if !in.put(newOp("test", c.bytes, nil)) {
					t.Fatal("refused")
				}
			}
			in.close()
			if in.put(newOp("test", c.bytes, nil)) {
				t.Error("taken after the end")
			}
			var got []int
			for n := len(in.take()); n > 0 && len(got) < 5; n = len(in.take()) {
				got = append(got, n)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("commits of %v operations, want %v", got, c.want)
			}
		})
	}
}
