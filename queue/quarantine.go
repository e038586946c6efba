package queue

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"go.etcd.io/bbolt"
)

// noteOpened notes what was wrong with the file that is in use now; missing: it was
// lost.
func (q *Queue) noteOpened(now time.Time, missing bool) {
	event := quarantine{Path: q.file.Quarantined, Reason: q.file.Reason, At: now.UTC()}
	if q.file.Suspect != "" {
		event.Reason = q.file.Suspect
	}
	if event.Reason == "" && missing {
		event.Reason = "the file was missing"
	}
	if event.Reason == "" {
		return
	}
	q.mu.Lock()
	q.quarantine = event
	q.mu.Unlock()
}

// prepareFile makes what the file lacks, and notes a quarantine in it, so that a start
// that ends early does not hide it from the next.
func (q *Queue) prepareFile() error {
	event := q.quarantineNoted()
	var known quarantine
	err := q.file.Update(func(tx *bbolt.Tx) (err error) {
		known, err = q.fillFile(tx, event, q.file.Suspect != "")
		return err
	})
	if err != nil && !errors.Is(err, errNothing) {
		return err
	}
	q.mu.Lock()
	q.quarantine = known
	q.mu.Unlock()
	q.lockFile()
	q.ready = true
	q.fileLock.Release(allReaders)
	return nil
}

// idsOfACommit is more than one commit gives out.
const idsOfACommit = 1_000_000

// fillFile makes missing buckets and keeps the file's own note of a
// quarantine and the one in memory the same. It returns errNothing when there
// was nothing to do.
func (q *Queue) fillFile(tx *bbolt.Tx, event quarantine, suspect bool) (known quarantine, err error) {
	// After a quarantine the ids that were given out are not known: go on above
	// any of them. Milliseconds since 1970 grow faster than ids do.
	lastID := q.lastID()
	if event.Reason != "" && !suspect {
		lastID = max(lastID, uint64(max(0, event.At.UnixMilli())))
	}
	made, err := makeBuckets(tx, lastID)
	if err != nil {
		return event, err
	}
	if suspect {
		// The lost commit gave out ids, too.
		jobs := tx.Bucket(bucketJobs)
		if err = jobs.SetSequence(jobs.Sequence() + idsOfACommit); err != nil {
			return event, err
		}
	}
	meta := tx.Bucket(bucketMeta)
	stored := meta.Get(keyQuarantine)
	if event.Reason == "" {
		_ = json.Unmarshal(stored, &event) // a note that can't be read is no note
	} else if v, err := json.Marshal(event); err != nil || !bytes.Equal(v, stored) {
		return event, errors.Join(err, meta.Put(keyQuarantine, v))
	}
	if !made && !suspect {
		return event, errNothing
	}
	return event, nil
}

// quarantine is what is known of the newest damage.
type quarantine struct {
	Path   string    `json:"path"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

func (q *Queue) quarantineNoted() quarantine {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.quarantine
}

// Quarantined returns where the damaged file was moved to, what was wrong with
// it and when that was found, at an Open or while running; "" when the file was
// sound. An empty path with a reason means that the file was kept but may lack
// its newest commit, or that it was missing. The newest event is remembered, across
// restarts too.
func (q *Queue) Quarantined() (path, reason string, at time.Time) {
	e := q.quarantineNoted()
	return e.Path, e.Reason, e.At
}
