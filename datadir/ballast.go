package datadir

import (
	"fmt"
	"math/rand/v2"
	"os"
)

// The ballast is a file that only takes up room. On a full disk it is removed,
// which gives the stores the little space they need to open, to commit what is
// under way and to say what is wrong.

// probeBytes is what the disk has to take at Open to count as not full: about
// what SQLite needs to open a database.
const probeBytes = 256 << 10

// ReleaseBallast removes the ballast, after a write failed for want of space.
// It reports whether there was one, so whether a second try makes sense.
func (d *Dir) ReleaseBallast() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dropBallast()
}

func (d *Dir) dropBallast() bool {
	err := os.Remove(d.File(ballastFile))
	d.released = true
	return err == nil
}

// BallastReleased reports whether the ballast was given up because the disk was
// full, and could not be made again yet.
func (d *Dir) BallastReleased() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.released
}

// RestoreBallast makes the ballast again when there is enough space for it and
// some to spare. Call it from time to time; it does nothing when the ballast is
// there.
func (d *Dir) RestoreBallast() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.opts.Ballast < 0 {
		return nil
	}
	return d.makeBallast()
}

// Available returns how many bytes can still be written to the dir's disk, the
// ballast not counted.
func (d *Dir) Available() (int64, error) {
	n, _, err := room(d.path)
	if err != nil {
		return 0, fmt.Errorf("look for free space: %w", err)
	}
	return n, nil
}

// openBallast looks at the disk: full, the ballast goes; else it is made.
func (d *Dir) openBallast() {
	if d.opts.Ballast < 0 {
		return
	}
	err := d.fill(probeFile, probeBytes)
	_ = removeFile(d.File(probeFile))
	switch {
	case isFull(err):
		d.dropBallast()
		d.Warnings = append(d.Warnings, "the disk of the data dir is full; the space kept back for that was released")
	case err == nil:
		err = d.makeBallast()
	}
	if err != nil && !isFull(err) {
		d.Warnings = append(d.Warnings, fmt.Sprintf("no space can be kept back for a full disk: %v", err))
	}
}

// makeBallast makes the ballast when it is missing, short or full of holes, as
// after a copy of the dir.
func (d *Dir) makeBallast() error {
	path := d.File(ballastFile)
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && min(info.Size(), stored(info)) >= d.opts.Ballast {
		d.released = false
		return nil
	}
	free, _, err := room(d.path)
	if err != nil {
		return fmt.Errorf("make ballast: %w", err)
	}
	if free < d.opts.needed() {
		d.released = true
		return nil
	}
	if err := d.fill(ballastFile, d.opts.Ballast); err != nil {
		_ = removeFile(path)
		d.released = true
		return fmt.Errorf("make ballast: %w", err)
	}
	d.released = false
	return nil
}

// fill writes a file of n bytes that no file system can make smaller.
func (d *Dir) fill(name string, n int64) error {
	f, err := os.OpenFile(d.File(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
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
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
