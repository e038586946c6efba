package backup

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Progress is told how many bytes of all have been read; nil: nobody is.
type Progress func(done, all int64)

// longest bounds manifest.json and end.json, in bytes: a thousand shops take 40 KiB.
const longest = 4 << 20

// Read reads a whole stream and returns what it is of. An error is ErrDamaged unless all
// of it is there as it was written; ErrNewer; or what kept it from being read.
func Read(ctx context.Context, r io.Reader, tell Progress) (Manifest, error) {
	return read(ctx, r, tell, func(Manifest) error { return nil },
		func(File) (io.WriteCloser, error) { return nowhere{io.Discard}, nil })
}

type nowhere struct{ io.Writer }

func (nowhere) Close() error { return nil }

// reader reads a stream and keeps whose fault an error is.
type reader struct {
	in   io.Reader
	tar  *tar.Reader
	list []File // as it was found
	done int64
	all  int64
	tell Progress
	own  error // not of the content: reading failed, or what was read could not be kept
}

// Read is that of the stream as it comes.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		_ = r.ours(err)
	}
	return n, err
}

// ours notes an error that is not of the content.
func (r *reader) ours(err error) error {
	r.own = cmp.Or(r.own, err)
	return err
}

// read calls begin with the manifest, and into with each file for what takes it.
func read(ctx context.Context, in io.Reader, tell Progress, begin func(Manifest) error,
	into func(File) (io.WriteCloser, error)) (m Manifest, err error) {
	r := &reader{in: until{ctx, in}, tell: tell}
	defer func() {
		switch {
		case r.own != nil:
			err = r.own
		case err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer):
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}()
	packed, err := gzip.NewReader(r)
	if err != nil {
		return m, fmt.Errorf("%w, or no backup of Stockroom: %w", ErrDamaged, err)
	}
	r.tar = tar.NewReader(packed)
	if err := r.document(manifestName, &m); err != nil {
		return m, err
	}
	if err := m.check(); err != nil {
		return m, err
	}
	r.all = m.Bytes()
	if err := begin(m); err != nil {
		return m, r.ours(err)
	}
	for _, f := range m.Files {
		if err := r.file(f, into); err != nil {
			return m, err
		}
	}
	found := slices.Clone(r.list)
	var said end
	if err := r.document(endName, &said); err != nil {
		return m, err
	}
	if !slices.Equal(said.Files, found) {
		return m, fmt.Errorf("%w: a file in it is not as it was written", ErrDamaged)
	}
	if _, err := r.tar.Next(); !errors.Is(err, io.EOF) {
		return m, fmt.Errorf("%w: something follows its end", ErrDamaged)
	}
	_, err = io.Copy(io.Discard, packed) // and with it the checksum of all
	return m, err
}

// next begins a file, which has to be the one of this name.
func (r *reader) next(name string) (size int64, err error) {
	h, err := r.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return 0, fmt.Errorf("%w: %s is missing", ErrDamaged, name)
	case err != nil:
		return 0, err
	case h.Name != name || h.Typeflag != tar.TypeReg:
		return 0, fmt.Errorf("%w: %.40q is where %s should be", ErrDamaged, h.Name, name)
	}
	return h.Size, nil
}

func (r *reader) document(name string, v any) error {
	size, err := r.next(name)
	if err != nil {
		return err
	}
	if size > longest {
		return fmt.Errorf("%w: %s is too long", ErrDamaged, name)
	}
	text, err := io.ReadAll(r.tar)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	r.list = append(r.list, File{name, size, hex.EncodeToString(sum[:])})
	return json.Unmarshal(text, v)
}

// file reads one file to where into says.
func (r *reader) file(f File, into func(File) (io.WriteCloser, error)) error {
	size, err := r.next(f.Name)
	if err == nil && size != f.Size {
		err = fmt.Errorf("%w: %s is not as long as it was", ErrDamaged, f.Name)
	}
	if err != nil {
		return err
	}
	to, err := into(f)
	if err != nil {
		return r.ours(err)
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(kept{r, to}, sum), r.tar)
	if closed := to.Close(); closed != nil {
		err = r.ours(closed)
	}
	r.list = append(r.list, File{f.Name, size, hex.EncodeToString(sum.Sum(nil))})
	return err
}

// kept writes what was read.
type kept struct {
	r  *reader
	to io.Writer
}

func (k kept) Write(p []byte) (int, error) {
	n, err := k.to.Write(p)
	if err != nil {
		_ = k.r.ours(err)
	}
	k.r.done += int64(n)
	if k.r.tell != nil {
		k.r.tell(k.r.done, k.r.all)
	}
	return n, err
}
