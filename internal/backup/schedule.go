package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"stockroom/internal/datadir"
	"stockroom/internal/folder"
)

const (
	firstAfter = time.Minute      // of a start, at which other things come first
	retryAfter = 15 * time.Minute // of a backup that was not made
	roomLeft   = 1 << 30          // bytes that have to stay free, and
	roomShare  = 10               // percent of the disk
)

// Standing is how backups by schedule stand.
type Standing struct {
	Every  time.Duration `json:"-"`
	Folder string        `json:"folder"`
	Last   time.Time     `json:"last_at,omitzero"` // when the newest good one was begun, zero for none
	File   string        `json:"file,omitempty"`   // its name
	Bytes  int64         `json:"bytes,omitempty"`  // its size
	Next   time.Time     `json:"next_at"`
	Why    string        `json:"why,omitempty"` // why the last try made none, "" when it did
	Failed uint64        `json:"failed"`        // tries that made none, since the start
}

// Late reports whether there should be a newer one.
func (s Standing) Late(now time.Time) bool {
	return s.Every > 0 && (s.Why != "" || !s.Last.IsZero() && now.Sub(s.Last) > s.Every+max(retryAfter, s.Every/10))
}

// Schedule makes backups into a folder and keeps the newest.
type Schedule struct {
	Every time.Duration
	Keep  int
	// Dir has to be there, unless it is Own, which is made: a disk that is not mounted
	// must not be mistaken for an empty one.
	Dir, Own string
	// Take copies the stores; Need is about how many bytes the copies take in Data, the
	// data dir, and a backup of them at most.
	Take func(ctx context.Context, secrets bool) (*Copies, error)
	Need func() int64
	Data string
	Log  *slog.Logger

	mu  sync.Mutex
	now Standing
}

// Standing tells how it stands.
func (s *Schedule) Standing() Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now
	now.Every, now.Folder = s.Every, s.Dir
	return now
}

// Run makes backups until ctx ends. One that was made before, also by an earlier
// process, counts by the instant in its name.
func (s *Schedule) Run(ctx context.Context) {
	s.Look()
	next := time.Now().Add(firstAfter)
	due := s.Standing().Last.Add(s.Every)
	if due.After(next) && due.Before(next.Add(s.Every)) { // else the clock was put back
		next = due
	}
	for {
		s.set(func(now *Standing) { now.Next = next })
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		began := time.Now()
		err := s.make(ctx)
		if ctx.Err() != nil {
			return
		}
		next = began.Add(s.Every)
		if err != nil {
			next = time.Now().Add(min(s.Every, retryAfter))
			s.Log.Warn("no backup was made",
				"folder", s.Dir, "error", err.Error(), "next_try", next.UTC().Format(time.RFC3339))
		}
		s.set(func(now *Standing) {
			if now.Why = ""; err != nil {
				now.Why = err.Error()
				now.Failed++
			}
		})
	}
}

func (s *Schedule) set(change func(*Standing)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.now)
}

// Look finds the newest backup that is there.
func (s *Schedule) Look() {
	dir, err := folder.Open(s.Dir)
	if err != nil {
		return // said when the next one is made
	}
	defer dir.Close()
	if list := backupsIn(dir); len(list) > 0 {
		name := list[len(list)-1]
		at, _ := instantOf(name)
		s.set(func(now *Standing) { now.Last, now.File, now.Bytes = at, name, size(dir, name) })
	}
}

// Files are the backups that are there.
func (s *Schedule) Files() (paths []string) {
	dir, err := folder.Open(s.Dir)
	if err != nil {
		return nil
	}
	defer dir.Close()
	for _, name := range backupsIn(dir) {
		paths = append(paths, dir.File(name))
	}
	return paths
}

// make makes a backup, and then removes the oldest beyond those that are kept.
func (s *Schedule) make(ctx context.Context) error {
	dir, err := s.open()
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := s.room(dir); err != nil {
		return err
	}
	copies, err := s.Take(ctx, false)
	if err != nil {
		return err
	}
	defer func() {
		if err := copies.End(); err != nil {
			s.Log.Warn("the copies of a backup stay until the next start", "error", err.Error())
		}
	}()
	name := copies.FileName()
	if _, err := WriteFile(ctx, dir, name, func(w io.Writer) error { return copies.WriteTo(ctx, w) }, nil); err != nil {
		return err
	}
	bytes := size(dir, name)
	s.Log.Info("a backup was made", "file", dir.File(name), "bytes", bytes)
	s.set(func(now *Standing) { now.Last, now.File, now.Bytes = copies.CreatedAt, name, bytes })
	list := backupsIn(dir)
	for _, old := range list[:max(0, len(list)-s.Keep)] {
		err = errors.Join(err, dir.Remove(old))
	}
	if err != nil {
		s.Log.Warn("an old backup can't be removed", "error", err.Error())
	}
	return nil
}

// open opens the folder, and removes what an earlier process did not finish there.
func (s *Schedule) open() (*folder.Folder, error) {
	if s.Dir == s.Own {
		if err := os.Mkdir(s.Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make the folder for backups: %w", err)
		}
	}
	dir, err := folder.Open(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no folder %s; make it, mount its disk, or choose another with --backup-dir",
			s.Dir)
	}
	if err != nil {
		return nil, err
	}
	names, err := dir.Names()
	for _, name := range names {
		if inner, part := strings.CutSuffix(name, partSuffix); part && err == nil {
			if _, ours := instantOf(strings.TrimPrefix(inner, ".")); ours {
				err = dir.Remove(name)
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// room refuses a backup that would leave too little room on the disk of the copies, or
// on its own; both may be one.
func (s *Schedule) room(dir *folder.Folder) error {
	need := s.Need()
	for _, path := range []string{s.Data, dir.Path()} {
		free, total, err := datadir.Room(path)
		if err != nil || total <= 0 {
			continue // a disk that tells nothing is found to be full while it is written
		}
		if left := free - 2*need; left < max(roomLeft, total/100*roomShare) {
			return fmt.Errorf("skipped, as it would leave less than %d %% or 1 GiB free on the disk of %s: %d MiB are free; "+
				"make room there, or choose another disk with --backup-dir", roomShare, path, free>>20)
		}
	}
	return nil
}

// backupsIn are the names of the backups in a folder, the oldest first.
func backupsIn(dir *folder.Folder) (list []string) {
	names, _ := dir.Names()
	for _, name := range names {
		if _, ours := instantOf(name); ours {
			if _, err := dir.Info(name); err == nil {
				list = append(list, name)
			}
		}
	}
	slices.Sort(list)
	return list
}

// instantOf reads the instant in the name of a backup of ours.
func instantOf(name string) (at time.Time, ours bool) {
	text, ours := strings.CutPrefix(name, namePrefix)
	text, ends := strings.CutSuffix(text, nameSuffix)
	at, err := time.Parse(nameTime, text)
	return at, ours && ends && err == nil
}
