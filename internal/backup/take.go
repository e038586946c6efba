package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"stockroom/internal/admit"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/folder"
	"stockroom/internal/state"
	"stockroom/queue"
	"stockroom/store"
)

// holdFor is how long the catalogue stands still at most: a delivery waits three
// seconds for it.
const holdFor = time.Second

// Source is what is copied.
type Source struct {
	Stores
	Folder  *folder.Folder // the data dir
	Space   func() (datadir.Space, error)
	Version string
}

// RoomError says that there is no room.
type RoomError struct {
	Path         string
	Free, Needed int64
}

func (e *RoomError) Error() string {
	return fmt.Sprintf("no room for a backup: it takes up to %d MiB on the disk of %s beside what has to stay free, "+
		"and %d MiB are free; make room there", e.Needed>>20+1, e.Path, e.Free>>20)
}

// Copies are the stores as they were at one moment, in a folder of the data dir.
type Copies struct {
	Manifest
	work  *datadir.Work
	state *state.Store // where it is noted that they were written
}

// Take copies all stores at one moment, opens the copies and looks through them. End
// them.
func Take(ctx context.Context, src Source, secrets bool) (_ *Copies, err error) {
	need := src.Store.Size() + size(src.Folder, datadir.QueueFile) + 2*size(src.Folder, datadir.StateFile)
	if s, err := src.Space(); err == nil && s.Total > 0 && s.Free-need < datadir.SpaceNeeded {
		return nil, &RoomError{src.Folder.Path(), s.Free, need}
	}
	work, err := datadir.MakeWork(src.Folder)
	if err != nil {
		return nil, err
	}
	c := &Copies{Manifest{Format: Format, Version: src.Version, Secrets: secrets}, work, src.State}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.End())
		}
	}()
	if err := c.copyStores(ctx, src); err != nil {
		return nil, fmt.Errorf("copy the stores: %w", err)
	}
	if err := c.copySettings(src.Folder); err != nil {
		return nil, err
	}
	at := c.CreatedAt
	c.Manifest, err = examine(ctx, work.Folder, c.Manifest)
	if err != nil {
		return nil, fmt.Errorf("look through the copies: %w", err)
	}
	c.CreatedAt = at
	return c, nil
}

func size(dir *folder.Folder, name string) int64 {
	if info, err := dir.Info(name); err == nil {
		return info.Size()
	}
	return 0
}

// End removes the copies.
func (c *Copies) End() error { return c.work.End() }

// copyStores makes the moment, and copies what was held.
func (c *Copies) copyStores(ctx context.Context, src Source) (err error) {
	jobs, err := c.work.Create(datadir.QueueFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, jobs.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var kept state.Snapshot
	held, copied := make(chan struct{}), make(chan error, 1)
	begun := false
	snap, err := src.Store.Snapshot(ctx, func() error {
		begun = true
		go func() {
			copied <- src.Queue.CopyTo(ctx, jobs, func() {
				kept = src.State.Snapshot(c.Secrets, admit.SecretValues()...)
				c.CreatedAt = time.Now().UTC().Truncate(time.Millisecond)
				close(held)
			})
		}()
		limit := time.NewTimer(holdFor)
		defer limit.Stop()
		select {
		case <-held:
			return nil
		case err := <-copied:
			copied <- err
			return err
		case <-limit.C:
			return errors.New("queue.db does not come to rest; try again later")
		}
	})
	if err != nil {
		cancel()
	}
	if begun {
		err = errors.Join(err, <-copied)
	}
	if snap != nil {
		if err == nil {
			err = snap.CopyTo(ctx, c.work.File(datadir.ProductsFile))
		}
		err = errors.Join(err, snap.Close())
	}
	if err != nil {
		return err
	}
	return kept.WriteTo(c.work.Folder, datadir.StateFile)
}

// copySettings copies the settings that lie in the data dir, if there are any.
func (c *Copies) copySettings(dir *folder.Folder) error {
	from, err := dir.Open(config.FileName, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("copy the settings: %w", err)
	}
	defer from.Close()
	to, err := c.work.Create(config.FileName)
	if err == nil {
		_, err = io.Copy(to, from)
		err = errors.Join(err, to.Close())
	}
	if err != nil {
		return fmt.Errorf("copy the settings: %w", err)
	}
	return nil
}

// examine opens the stores that lie in a folder and tells what they hold. Files are
// listed as they are then.
func examine(ctx context.Context, dir *folder.Folder, m Manifest) (Manifest, error) {
	catalogue, err := store.Examine(ctx, dir, datadir.ProductsFile)
	if err != nil {
		return m, verdict(datadir.ProductsFile, err)
	}
	jobs, err := queue.Examine(dir, datadir.QueueFile)
	if err != nil {
		return m, verdict(datadir.QueueFile, err)
	}
	kept, err := openState(dir)
	if err != nil {
		return m, verdict(datadir.StateFile, err)
	}
	if err := kept.Close(); err != nil {
		return m, err
	}
	m.Schema, m.Products, m.Waiting, m.Dead = catalogue.Schema, catalogue.Products, jobs.Waiting, jobs.Dead
	m.Shops = append([]string{}, catalogue.Shops...)
	m.Files = nil
	for _, name := range contents {
		if info, err := dir.Info(name); err == nil {
			m.Files = append(m.Files, File{Name: name, Size: info.Size()})
		}
	}
	return m, m.check()
}

// openState opens a copy of state.db that has to be whole.
func openState(dir *folder.Folder) (*state.Store, error) {
	if _, err := dir.Info(datadir.StateFile); err != nil {
		return nil, err
	}
	now := time.Now()
	kept, err := state.Open(dir.File(datadir.StateFile), now, state.Options{Folder: dir, Existing: true})
	if err != nil {
		return nil, err
	}
	if d, damaged := kept.Damage(); damaged && d.At.Equal(now.UTC().Truncate(time.Millisecond)) {
		return nil, errors.Join(fmt.Errorf("%w: %s: %s", ErrDamaged, datadir.StateFile, d.Reason), kept.Close())
	}
	return kept, nil
}
