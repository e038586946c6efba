package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"stockroom/internal/datadir"
	"stockroom/internal/state"
)

// Restored is what a Restore has put in place.
type Restored struct {
	Manifest
	// Kept is the folder of the data dir with what was there before, "" when nothing was.
	Kept        string   `json:"kept,omitempty"`
	NeedSecrets []string `json:"need_secrets"` // shops whose credentials are not in the backup
}

// Restore reads a backup and puts it in the place of what the data dir holds, whose
// stores nobody has open. An error is ErrDamaged, ErrNewer, a *RoomError, or what kept it
// from being read or put in place; then the dir is as it was, unless it says that it was
// begun: the next start ends that.
func Restore(ctx context.Context, dir *datadir.Dir, in io.Reader, tell Progress, now time.Time) (
	got Restored, err error) {
	work, err := datadir.MakeWork(dir.Folder())
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, work.End()) }()
	m, err := read(ctx, in, tell, func(m Manifest) error {
		s, err := dir.Space(datadir.SpaceWarn{})
		if err == nil && s.Total > 0 && s.Free-m.Bytes() < datadir.SpaceNeeded {
			return &RoomError{dir.Path(), s.Free, m.Bytes()}
		}
		return nil
	}, func(f File) (io.WriteCloser, error) {
		file, err := work.Create(f.Name)
		return synced{file}, err
	})
	if err != nil {
		return got, err
	}
	if _, err := examine(ctx, work.Folder, m); err != nil {
		return got, err
	}
	got.Manifest = m
	if got.NeedSecrets, err = prepare(work, m); err != nil {
		return got, fmt.Errorf("prepare state.db: %w", err)
	}
	got.Kept, err = dir.Replace(work, now)
	return got, err
}

// synced is a file that is on disk when it is closed.
type synced struct{ *os.File }

func (s synced) Close() error { return errors.Join(s.Sync(), s.File.Close()) }

// prepare notes in the new state.db that it was restored, so that all is compared, and
// returns the shops that have no credentials.
func prepare(work *datadir.Work, m Manifest) (bare []string, err error) {
	kept, err := openState(work.Folder)
	if err != nil {
		return nil, err
	}
	bare = []string{}
	if !m.Secrets {
		for _, shop := range kept.Shops() {
			bare = append(bare, shop.Domain)
		}
	}
	at, err := m.CreatedAt.MarshalText()
	if err == nil {
		err = kept.Put(marks, restoredFrom, at)
	}
	return bare, errors.Join(err, kept.Close())
}

// What is noted in state.db.
const (
	marks        = state.NotedIn
	restoredFrom = "restored"
)

// RestoredFrom returns when the backup was made from which the stores come; false when
// all that follows from that was done, see Settled.
func RestoredFrom(s *state.Store) (at time.Time, ok bool) {
	text, ok := s.Get(marks, restoredFrom)
	return at, ok && at.UnmarshalText(text) == nil
}

// Settled notes that what follows from a restore is noted elsewhere.
func Settled(s *state.Store) error { return s.Delete(marks, restoredFrom) }
