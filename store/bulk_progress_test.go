package store

import (
	"errors"
	"strconv"
	"testing"

	"stockroom/internal/catalog"
)

func TestEachPartOfALongBatchSavesHowFarItCame(t *testing.T) {
	b := open(t)
	b.s.bulkTime = bulkTime
	run := b.fullRun()
	run.Mark, run.Objects = "all", 4000
	commits := 0
	b.fail(func(at string) error {
		if at == "before commit" {
			if commits++; commits == 3 {
				return &UnavailableError{Cause: CauseLocked, Err: errors.New("a fault")}
			}
		}
		return nil
	})
	var list []*catalog.Product
	for id := int64(1); id <= 4000; id++ {
		list = append(list, product(id, "v1", 10_000, "1", "2", "3"))
	}
	r := bulkRead(run)
	r.Progress = func(n int) (SyncRun, error) { return SyncRun{Mark: strconv.Itoa(n), Objects: int64(n)}, nil }
	if _, err := b.s.PutBulk(t.Context(), r, run, list...); CauseOf(err) != CauseLocked {
		t.Fatalf("error %v, want the fault", err)
	}
	b.fail(nil)
	before := b.run(run.ID)
	if n := len(b.seenIDs(run.ID)); n == 0 || before.Mark != strconv.Itoa(n) || before.Added != int64(n) {
		t.Errorf("after two parts: mark %q, %d added, %d seen", before.Mark, before.Added, n)
	}
	b.putBulk(r, run, list[:3]...)
	if got := b.run(run.ID); got.Mark != "all" {
		t.Errorf("mark %q after the last part", got.Mark)
	}
	run.Mark, run.Objects = "early", 10
	b.putBulk(bulkRead(run), run, list[:3]...)
	if got := b.run(run.ID); got.Mark != "all" {
		t.Errorf("the mark went back to %q", got.Mark)
	}
}
