package queue

import (
	"encoding/binary"
	"testing"

	"go.etcd.io/bbolt"
)

// Files of before hold a bucket of kinds that somebody paused. Nobody could.
func TestAFileWithTheBucketOfPausedKindsOpensAndItsJobsRun(t *testing.T) {
	d := deskFor(t, Options{})
	id, _ := d.enqueue(NewJob{Kind: "apply"})
	err := d.q.file.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("paused"))
		if err != nil {
			return err
		}
		return b.Put([]byte("apply"), binary.BigEndian.AppendUint64(nil, uint64(stamp(d.now))))
	})
	if err != nil {
		t.Fatal(err)
	}
	d.crash()
	if j := d.leaseOne("apply"); j.ID != id {
		t.Errorf("job %d is handed out, want %d", j.ID, id)
	}
	if _, reason, _ := d.q.Quarantined(); reason != "" {
		t.Errorf("set aside: %s", reason)
	}
}
