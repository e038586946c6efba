package backup

import (
	"errors"
	"fmt"
	"time"

	"stockroom/internal/boltfile"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/folder"
	"stockroom/store"
)

// Format is that of the stream, as doc.go has it.
const Format = 1

// Names of what is no store.
const (
	manifestName = "manifest.json"
	endName      = "end.json"
)

// contents are what a stream holds between its manifest and its end, in this order;
// the settings need not be there.
var contents = []string{datadir.ProductsFile, datadir.QueueFile, datadir.StateFile, config.FileName}

var (
	// ErrDamaged says that a stream is not what was written.
	ErrDamaged = errors.New("the backup is damaged or not whole")
	// ErrNewer says that a newer Stockroom wrote a stream.
	ErrNewer = errors.New("the backup was made by a newer version of Stockroom; use that version or a newer one")
)

// Manifest says what a backup is of.
type Manifest struct {
	Format    int       `json:"format"`
	Version   string    `json:"version"` // of the Stockroom that made it
	CreatedAt time.Time `json:"created_at"`
	Secrets   bool      `json:"secrets"` // it holds credentials, tokens and the password
	Shops     []string  `json:"shops"`
	Schema    int64     `json:"schema"` // of products.db
	Products  int64     `json:"products"`
	Waiting   int       `json:"waiting_jobs"`
	Dead      int       `json:"dead_jobs"`
	Files     []File    `json:"files"`
}

// File is one file in a backup.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"` // in end.json only
}

type end struct {
	Files []File `json:"files"`
}

// Bytes is how much is in the files.
func (m Manifest) Bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// FileName is what a file with the backup is called: by its instant, so that later ones
// come later in a list.
func (m Manifest) FileName() string {
	return namePrefix + m.CreatedAt.UTC().Format(nameTime) + nameSuffix
}

const (
	namePrefix = "stockroom-"
	nameTime   = "20060102T150405Z"
	nameSuffix = ".tar.gz"
)

// check refuses what no Stockroom has written.
func (m Manifest) check() error {
	if m.Format > Format {
		return ErrNewer
	}
	at := 0
	for _, f := range m.Files {
		for at < len(contents) && contents[at] != f.Name {
			at++
		}
		if at == len(contents) || f.Size < 0 {
			return fmt.Errorf("%w: its list names %q", ErrDamaged, f.Name)
		}
		at++
	}
	if m.Format != Format || len(m.Files) < len(contents)-1 {
		return fmt.Errorf("%w: its list is not complete", ErrDamaged)
	}
	return nil
}

// verdict turns what a store says of its copy into what is told of the backup.
func verdict(name string, err error) error {
	_, newer := errors.AsType[*folder.NewerError](err)
	switch {
	case err == nil:
		return nil
	case newer:
		return ErrNewer
	case store.CauseOf(err) == store.CauseDamaged, errors.Is(err, boltfile.ErrDamaged):
		return fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
	}
	return err
}
