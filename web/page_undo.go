package web

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"stockroom/queue"
)

// What was discarded can be brought back for a while, as long as it fits here.
// It is in memory only and says so: a stop of Stockroom ends it.
const (
	undoFor  = 10 * time.Minute
	undoMost = 16      // clicks
	undoJobs = 500     // jobs of all clicks
	undoSize = 8 << 20 // bytes of their payloads
)

// undoList holds what the last clicks discarded. The zero value is empty.
type undoList struct {
	mu   sync.Mutex
	list []undoEntry // oldest first
	// saving is held while a selection is compared and saved.
	saving sync.Mutex
}

type undoEntry struct {
	key  string
	at   time.Time
	jobs []queue.Job // with their payloads
}

func (e undoEntry) size() (bytes int) {
	for _, j := range e.jobs {
		bytes += len(j.Payload)
	}
	return bytes
}

// add keeps discarded jobs and returns the key to bring them back with, "" when
// they do not fit.
func (u *undoList) add(now time.Time, jobs []queue.Job) string {
	e := undoEntry{key: rand.Text(), at: now, jobs: jobs}
	if len(jobs) == 0 || len(jobs) > undoJobs || e.size() > undoSize {
		return ""
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, e)
	u.trim(now)
	return e.key
}

// trim drops what is too old, and the oldest of what is too much.
func (u *undoList) trim(now time.Time) {
	jobs, bytes := 0, 0
	keep := len(u.list)
	for i := len(u.list) - 1; i >= 0; i-- {
		e := u.list[i]
		jobs, bytes = jobs+len(e.jobs), bytes+e.size()
		if now.Sub(e.at) > undoFor || len(u.list)-i > undoMost || jobs > undoJobs || bytes > undoSize {
			break
		}
		keep = i
	}
	clear(u.list[:keep]) // else their payloads stay in memory
	u.list = u.list[keep:]
}

// left is how many jobs a key brings back, 0 when it is unknown or too old.
func (u *undoList) left(now time.Time, key string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.trim(now)
	for _, e := range u.list {
		if e.key == key {
			return len(e.jobs)
		}
	}
	return 0
}

// keyOf is the key under which a job is kept, "" when it is not: the answer to a
// second click on the same button is that to the first.
func (u *undoList) keyOf(now time.Time, id uint64) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.trim(now)
	for _, e := range u.list {
		if len(e.jobs) == 1 && e.jobs[0].ID == id {
			return e.key
		}
	}
	return ""
}

// take removes an entry: of two clicks one gets it.
func (u *undoList) take(now time.Time, key string) (undoEntry, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.trim(now)
	for i, e := range u.list {
		if e.key == key {
			u.list = append(u.list[:i:i], u.list[i+1:]...)
			return e, true
		}
	}
	return undoEntry{}, false
}

// putBack returns what could not be brought back.
func (u *undoList) putBack(e undoEntry, jobs []queue.Job) {
	if len(jobs) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	e.jobs = jobs
	u.list = append([]undoEntry{e}, u.list...)
}

// bringBack puts what a click discarded into the queue again: a dead letter as a
// dead letter with its last error, a waiting job with the due time it had. They
// get new ids. It returns how many.
func (s *Server) bringBack(ctx context.Context, key string) (int, error) {
	e, ok := s.undo.take(time.Now(), key)
	if !ok {
		return 0, nil
	}
	for i, j := range e.jobs {
		again := queue.NewJob{Kind: j.Kind, Key: j.Key, Labels: j.Labels, Payload: j.Payload, NotBefore: j.DueAt}
		var err error
		if j.State == queue.Dead {
			_, err = s.o.Queue.Bury(ctx, again, j.Class, errors.New(j.LastError))
		} else {
			_, _, err = s.o.Queue.Enqueue(ctx, again)
		}
		if err != nil {
			s.undo.putBack(e, e.jobs[i:])
			return i, err
		}
	}
	return len(e.jobs), nil
}
