package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"stockroom/internal/folder"
	"stockroom/internal/state"
)

// WriteTo writes the copies as one stream.
func (c *Copies) WriteTo(ctx context.Context, w io.Writer) error {
	packed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	out := writer{tar: tar.NewWriter(packed), made: c.Manifest}
	err = out.document(manifestName, c.Manifest)
	for _, f := range c.Files {
		if err == nil {
			err = out.copyOf(ctx, c.work.Folder, f)
		}
	}
	if err == nil {
		err = out.document(endName, end{out.list})
	}
	if err == nil {
		err = errors.Join(out.tar.Close(), packed.Close())
	}
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	if text, err := c.CreatedAt.MarshalText(); err == nil {
		_ = c.state.Put(marks, writtenName, text) // a backup is as good when nobody remembers it
	}
	return nil
}

const writtenName = "backup written" // in state.db, under marks

// Written is when the newest backup was begun that was written to its end, to a file or to
// who asked for it. Zero: none is known.
func Written(s *state.Store) (at time.Time) {
	if text, ok := s.Get(marks, writtenName); !ok || at.UnmarshalText(text) != nil {
		return time.Time{}
	}
	return at.Truncate(time.Second)
}

// writer writes files and keeps what end.json says of them.
type writer struct {
	tar  *tar.Writer
	made Manifest
	list []File
}

func (w *writer) document(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	if err := w.begin(name, int64(len(text))); err != nil {
		return err
	}
	w.list = append(w.list, File{name, int64(len(text)), hex.EncodeToString(sum[:])})
	_, err = w.tar.Write(text)
	return err
}

func (w *writer) copyOf(ctx context.Context, dir *folder.Folder, f File) error {
	from, err := dir.Open(f.Name, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := w.begin(f.Name, f.Size); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w.tar, sum), until{ctx, from}); err != nil {
		return err
	}
	w.list = append(w.list, File{f.Name, f.Size, hex.EncodeToString(sum.Sum(nil))})
	return nil
}

func (w *writer) begin(name string, size int64) error {
	return w.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: w.made.CreatedAt, Format: tar.FormatPAX,
	})
}

// until is a reader that ends with a context.
type until struct {
	ctx context.Context
	r   io.Reader
}

func (u until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// WriteFile has fill write a backup into a new file of a folder, mode 0600, and reads it
// again. It gets its name, in the place of a file that has it, only when it is good.
func WriteFile(ctx context.Context, dir *folder.Folder, name string, fill func(io.Writer) error, tell Progress) (
	m Manifest, err error) {
	part := partOf(name)
	if err := dir.Remove(part); err != nil { // of a process that died
		return m, fmt.Errorf("write the backup: %w", err)
	}
	f, err := dir.Create(part)
	if err != nil {
		return m, fmt.Errorf("write the backup: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, dir.Remove(part))
		}
	}()
	if err := fill(f); err != nil {
		return m, err
	}
	if err := f.Sync(); err != nil {
		return m, fmt.Errorf("sync the backup: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return m, err
	}
	if m, err = Read(ctx, f, tell); err != nil {
		return m, fmt.Errorf("read the backup that was just written: %w", err)
	}
	if err := errors.Join(dir.Check(), dir.Rename(part, name)); err != nil {
		return m, fmt.Errorf("give the backup its name: %w", err)
	}
	return m, dir.Sync()
}

// partOf is the name of an unfinished file.
func partOf(name string) string { return "." + name + partSuffix }

const partSuffix = ".stockroom-part"
