package queue

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"stockroom/boltfile"
)

// openFile opens the file and makes what it lacks. It notes a quarantine, in the
// file too, so that a start that ends early does not hide it from the next.
func (q *Queue) openFile(now time.Time) error {
	open := q.file.Reopen
	if q.file.DB == nil {
		open = func() (boltfile.Opened, error) {
			return boltfile.Open(q.opt.Path, boltfile.Options{Folder: q.opt.Folder, Logger: q.opt.Logger, CompactAbove: q.opt.CompactAbove})
		}
	}
	f, err := open()
	event := quarantine{Path: f.Quarantined, Reason: f.Reason, At: now.UTC()}
	if f.Suspect != "" {
		event.Reason = f.Suspect
	}
	if err == nil && f.Fresh && event.Reason == "" && q.opt.Existing && q.health == gone && q.restarted {
		event.Reason = "the file was missing"
	}
	if event.Reason != "" {
		q.noteQuarantine(event)
	}
	if err != nil {
		return err
	}
	q.lockFile()
	q.file = f // which stays gone until it has all it needs
	q.fileLock.Release(allReaders)
	event = q.quarantineNoted()
	var known quarantine
	err = f.Update(func(tx *bbolt.Tx) error {
		var err error
		known, err = q.prepareFile(tx, event, f.Suspect != "")
		return err
	})
	if err != nil && !errors.Is(err, errNothing) {
		return err
	}
	q.mu.Lock()
	q.quarantine = known
	q.mu.Unlock()
	q.setHealth(sound)
	return nil
}

// idsOfACommit is more than one commit gives out.
const idsOfACommit = 1_000_000

// prepareFile makes missing buckets and keeps the file's own note of a
// quarantine and the one in memory the same. It returns errNothing when there
// was nothing to do.
func (q *Queue) prepareFile(tx *bbolt.Tx, event quarantine, suspect bool) (known quarantine, err error) {
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
	if event.Reason == "" {
		if v := meta.Get(keyQuarantine); v != nil {
			_ = json.Unmarshal(v, &event) // a note that can't be read is no note
		}
		if !made && !suspect {
			return event, errNothing
		}
		return event, nil
	}
	v, err := json.Marshal(event)
	if err != nil {
		return event, err
	}
	if bytes.Equal(v, meta.Get(keyQuarantine)) && !made && !suspect {
		return event, errNothing
	}
	return event, meta.Put(keyQuarantine, v)
}

// quarantine is what is known of the newest damage.
type quarantine struct {
	Path   string    `json:"path"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

func (q *Queue) noteQuarantine(event quarantine) {
	q.mu.Lock()
	q.quarantine = event
	q.mu.Unlock()
	if q.opt.OnQuarantine != nil {
		q.opt.OnQuarantine(event.Path, event.Reason)
	}
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
