package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"sync"

	"modernc.org/sqlite"

	"stockroom/internal/folder"
)

// database is one database file of the folder, with the log and the index that
// SQLite keeps beside it. SQLite opens all three by path and deletes the log by
// path; here they are known by what was opened. The log alone may be opened beside
// SQLite: closing one of the others would give up SQLite's locks on it.
type database struct {
	dir   *folder.Folder
	name  string
	empty bool // SQLite is about to fill the file

	mu sync.Mutex
	// ids are what was opened, by suffix, as they were at the newest look that notes.
	// Who notes reads them freely.
	ids map[string]fs.FileInfo
}

func newDatabase(dir *folder.Folder, name string) *database {
	return &database{dir: dir, name: name, ids: map[string]fs.FileInfo{}}
}

// The suffixes of a database's names.
const (
	logSuffix   = "-wal"
	indexSuffix = "-shm"
)

var suffixes = []string{"", logSuffix, indexSuffix}

// look returns nil while the folder and each known name lead to what was opened.
// cut: a file is shorter than it was noted. With note, which is for the writer
// alone, it notes how the files are, learns the names that are not known yet and
// refuses what is no regular file. A store whose names lead elsewhere goes on when
// they lead to its own files again.
func (d *database) look(note bool) (cut bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.dir.Check(); err != nil {
		return false, lostFile(err)
	}
	for _, suffix := range suffixes {
		id, known := d.ids[suffix]
		if !known && !note {
			continue
		}
		now, err := d.dir.Info(d.name + suffix)
		switch {
		case err == nil && (!known || os.SameFile(id, now)):
			cut = cut || known && now.Size() < id.Size()
			if note {
				d.ids[suffix] = now
			}
		case known:
			return false, lostFile(errors.Join(d.dir.Same(d.name+suffix, id), err))
		case !errors.Is(err, fs.ErrNotExist):
			return false, lostFile(err)
		}
	}
	return cut, nil
}

// gone is what the end of the store has to tell when the name of the database leads
// elsewhere: what was stored is not there.
func (d *database) gone() error {
	d.mu.Lock()
	id, known := d.ids[""]
	d.mu.Unlock()
	if !known {
		return nil
	}
	lost, ok := errors.AsType[*folder.LostError](d.dir.Same(d.name, id))
	if !ok {
		return nil
	}
	return fmt.Errorf("close catalogue: %w, and what it held is not stored any more; start Stockroom again, and it reads the products from the shop", lost)
}

// lostFile says that a name leads elsewhere, or why that can't be told.
func lostFile(err error) error {
	if lost, ok := errors.AsType[*folder.LostError](err); ok {
		err = lost
	} else if errors.Is(err, folder.ErrNotRegular) {
		err = fmt.Errorf("%w: move it away; Stockroom opens only a file that lies in its folder itself", err)
	} else if errors.Is(err, fs.ErrClosed) { // the process ends
		return &UnavailableError{Cause: CauseClosed, Err: err}
	} else {
		return fileError("look at the files of the catalogue", err)
	}
	return &UnavailableError{Cause: CauseLost, Err: err}
}

// forget has names lead to nothing known.
func (d *database) forget(list []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, suffix := range list {
		delete(d.ids, suffix)
	}
}

// size is how long a file is now, 0 when that can't be told.
func (d *database) size(suffix string) int64 {
	info, err := d.dir.Info(d.name + suffix)
	if err != nil {
		return 0
	}
	return info.Size()
}

// connector makes connections to a file: all of them, there is no other way to one.
// The folder and the names are looked at before SQLite opens them by path and again
// afterwards.
type connector struct {
	db    *database
	query url.Values
}

// Driver is part of the interface; nothing asks for it.
func (c connector) Driver() driver.Driver { return &sqlite.Driver{} }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	if _, err := c.db.look(false); err != nil {
		return nil, err
	}
	// SQLite would take the log of an empty file for a stale one and delete it.
	if !c.db.empty && c.db.size("") == 0 {
		return nil, &UnavailableError{Cause: CauseDamaged, Err: errors.New("the file is empty")}
	}
	base, err := sqlite.NewConnector(dsn(c.db.dir.File(c.db.name), c.query))
	if err != nil {
		return nil, fmt.Errorf("data source name: %w", err)
	}
	dc, err := base.Connect(ctx)
	if err != nil {
		return nil, err
	}
	// The first read has SQLite open the log.
	if _, err = dc.(driver.ExecerContext).ExecContext(ctx, `SELECT 1 FROM sqlite_schema`, nil); err == nil {
		_, err = c.db.look(false)
	}
	if err != nil {
		return nil, errors.Join(err, c.db.close(dc))
	}
	return dc, nil
}

// close closes a connection that may write. When it is the last one, SQLite copies
// the log into the database, both by what it opened, and then deletes the log and
// the index by path: not when a name leads elsewhere.
func (d *database) close(dc driver.Conn) (err error) {
	if _, lost := d.look(false); lost != nil {
		_, err = dc.(sqlite.FileControl).FileControlPersistWAL("main", 1)
	}
	return errors.Join(err, dc.Close())
}

// Sizes in a log of SQLite, of a database with pages of the usual size as it is
// made here. A frame begins with the number of its page, from 1.
const (
	pageBytes  = 4096
	logHeader  = 32
	frameBytes = 24 + pageBytes
)

func logCutError() error {
	return &UnavailableError{Cause: CauseDamaged, Err: errors.New("its write-ahead log was cut short by another program")}
}

// check is the writer's look, before each commit and again after it with the
// length that the log had before. Should somebody have cut the log in between,
// SQLite has written behind a hole, where the last frame was.
func (s *Store) check(before int64) error {
	cut, err := s.files.look(true)
	if err != nil {
		return err
	}
	if s.cut = s.cut || cut; s.cut {
		err := s.judgeCut()
		s.cut = err != nil
		return err
	}
	if before <= logHeader || (before-logHeader)%frameBytes != 0 {
		return nil
	}
	frames := (before - logHeader) / frameBytes
	if err := s.written(frames-1, frames); CauseOf(err) != CauseDamaged {
		return err
	}
	// Behind what is in use of it, a log may have zeros after a power cut.
	return s.wholeLog()
}

// wholeLog returns nil when all that is in use of the log is there.
func (s *Store) wholeLog() error {
	var row [3]driver.Value
	if _, err := s.conn.one(`PRAGMA wal_checkpoint(NOOP)`, row[:]); err != nil {
		return classify(err)
	}
	if frames := asInt(row[1]); frames > 0 {
		return s.written(0, frames)
	}
	return nil
}

// written returns nil when the log has its header and these of its frames. Where a
// log was cut before SQLite wrote behind the cut, the file system gives zeros.
func (s *Store) written(from, to int64) error {
	log, err := s.files.dir.Open(s.files.name+logSuffix, os.O_RDONLY)
	if err != nil {
		return lostFile(err)
	}
	defer log.Close()
	var number [4]byte
	at := int64(0)
	for n := from; ; n++ {
		_, err := log.ReadAt(number[:], at)
		switch {
		case errors.Is(err, io.EOF), err == nil && number == [4]byte{}:
			return logCutError()
		case err != nil:
			return fileError("read the write-ahead log", err)
		case n >= to:
			return nil
		}
		at = logHeader + n*frameBytes
	}
}

// judgeCut tells whether what is shorter than before was cut by somebody: a log is
// shorter after another program has copied it, a database after a VACUUM.
func (s *Store) judgeCut() error {
	if err := s.wholeLog(); err != nil {
		return err
	}
	pages, err := s.conn.count(`PRAGMA page_count`)
	if err == nil && s.files.size("") < pages*pageBytes { // all that is missing may be in the log still
		err = s.integrity(s.life)
	}
	return classify(err)
}

// keepLog copies a log that has lost its name into the database, both by what was
// opened, so that its commits outlast the process.
func (s *Store) keepLog(err error) {
	if lost, ok := errors.AsType[*folder.LostError](err); ok && s.conn != nil && lost.Path == s.path+logSuffix {
		// It waits a moment for readers, our own too. A failure leaves it to the next write, and to Close.
		_, _ = s.conn.count(`PRAGMA wal_checkpoint(FULL)`)
	}
}

// lookIdle looks at the files when nothing is written, and has the writer find out
// about what it sees.
func (s *Store) lookIdle() {
	cut, err := s.files.look(false)
	s.mu.Lock()
	lost := s.health.Cause == CauseLost
	s.mu.Unlock()
	if !cut && (err != nil) == lost {
		return
	}
	ctx, cancel := context.WithTimeout(s.life, 2*s.opt.LookEvery)
	defer cancel()
	if err := s.Probe(ctx); err != nil {
		s.log.Debug("the files of the catalogue changed", "error", err.Error())
	}
}
