package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"

	"stockroom/internal/folder"
)

// The ballast is a file that only takes up room. A start that finds the disk full
// removes it, which gives the stores the little space they need to open and to say
// what is wrong. A disk that fills while we run does not: deliveries would use up what
// is given back within seconds (750 of them, measured on a tmpfs), and are answered 503
// and sent again either way; but the next start would have no reserve.

// probeBytes is what the disk has to take at Open to count as not full: about
// what SQLite needs to open a database.
const probeBytes = 256 << 10

// dropBallast removes the ballast.
func (d *Dir) dropBallast() {
	d.released = true
	_ = removeOurs(d.folder, ballastFile)
}

// BallastReleased reports whether the ballast was given up because the disk was
// full, and could not be made again yet.
func (d *Dir) BallastReleased() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.released
}

// Mend puts right what only serves us: the ballast, when there is enough space for
// it and some to spare, and admin.json once it was announced. Call it from time to
// time; it does nothing when both are as they were made. An error tells of what a
// person has to move away.
func (d *Dir) Mend() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.folder.Check() != nil {
		return nil
	}
	var err error
	if d.opts.Ballast >= 0 {
		err = d.makeBallast()
	}
	return errors.Join(err, d.writeAdmin())
}

// Available returns how many bytes can still be written to the dir's disk, the
// ballast not counted.
func (d *Dir) Available() (int64, error) {
	s, err := d.Space(SpaceWarn{})
	return s.Free, err
}

// openBallast looks at the disk: full, the ballast goes; else it is made.
func (d *Dir) openBallast() {
	if d.opts.Ballast < 0 {
		return
	}
	err := d.fill(probeBytes)
	if err == nil {
		err = d.folder.Remove(probeFile)
	}
	switch {
	case isFull(err):
		d.dropBallast()
		d.warn("the disk of the data dir is full; the space kept back for that was released")
	case err == nil:
		err = d.makeBallast()
	}
	if err != nil && !isFull(err) {
		d.warn("no space can be kept back for a full disk: %v", err)
	}
}

// makeBallast makes the ballast when it is missing, short or full of holes, as
// after a copy of the dir, or when a snapshot has a name of it too, so that its
// removal would give nothing back.
func (d *Dir) makeBallast() error {
	info, err := d.folder.Info(ballastFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("make ballast: %w; move it away", err)
	case min(info.Size(), stored(info)) >= d.opts.Ballast && folder.Links(info) <= 1:
		d.released = false
		return nil
	}
	free, _, err := room(d.Path())
	if err != nil {
		return fmt.Errorf("make ballast: %w", err)
	}
	if free < 4*d.opts.Ballast { // so that some is left
		d.released = true
		return nil
	}
	if err = d.fill(d.opts.Ballast); err == nil {
		err = d.folder.Rename(probeFile, ballastFile)
	}
	d.released = err != nil
	if err != nil {
		return fmt.Errorf("make ballast: %w", err)
	}
	return nil
}

// fill makes the file probe, of n bytes that no file system can make smaller, or
// none.
func (d *Dir) fill(n int64) error {
	if err := removeOurs(d.folder, probeFile); err != nil {
		return err
	}
	f, err := d.folder.Create(probeFile)
	if err != nil {
		return err
	}
	noise := rand.NewChaCha8([32]byte{1})
	buf := make([]byte, 64<<10)
	for written := int64(0); written < n && err == nil; written += int64(len(buf)) {
		_, _ = noise.Read(buf) // never fails
		_, err = f.Write(buf[:min(int64(len(buf)), n-written)])
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		_ = d.folder.Remove(probeFile)
		return err
	}
	return nil
}
