package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync"
	"time"

	"modernc.org/sqlite"

	"stockroom/folder"
)

// database is one database file of the folder, with the log and the index that
// SQLite keeps beside it. SQLite opens all three by path and deletes the log by
// path; here they are known by what was opened. Nothing but the log may be opened
// beside SQLite: closing a file would give up SQLite's locks on it.
type database struct {
	dir   *folder.Folder
	name  string
	empty bool // SQLite is about to fill the file

	mu  sync.Mutex
	ids map[string]fs.FileInfo // by suffix: what was opened, as it was at the newest look of the writer
}

func newDatabase(dir *folder.Folder, name string) *database {
	return &database{dir: dir, name: name, ids: map[string]fs.FileInfo{}}
}

// The suffixes of a database's names.
const (
	logSuffix   = "-wal"
	indexSuffix = "-shm"
)

var suffixes = [...]string{"", logSuffix, indexSuffix}

// look returns nil while the folder and each name lead to what was opened. cut: a
// file is shorter than at the newest look that noted the lengths, which only the
// writer's do. A store whose names lead elsewhere goes on when they lead to its own
// files again.
func (d *database) look(note bool) (cut bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.dir.Check(); err != nil {
		return false, lostFile(err)
	}
	for _, suffix := range suffixes {
		id, known := d.ids[suffix]
		if !known {
			continue
		}
		now, err := d.dir.Info(d.name + suffix)
		if err != nil || !os.SameFile(id, now) {
			return false, lostFile(errors.Join(d.dir.Same(d.name+suffix, id), err))
		}
		cut = cut || now.Size() < id.Size()
		if note {
			d.ids[suffix] = now
		}
	}
	return cut, nil
}

// learn notes what the names lead to that are not known yet, and refuses what is
// no regular file.
func (d *database) learn() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, suffix := range suffixes {
		if _, known := d.ids[suffix]; known {
			continue
		}
		switch now, err := d.dir.Info(d.name + suffix); {
		case err == nil:
			d.ids[suffix] = now
		case !errors.Is(err, fs.ErrNotExist):
			return lostFile(err)
		}
	}
	return nil
}

// forget has these names lead to nothing known, or all of them.
func (d *database) forget(list ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(list) == 0 {
		clear(d.ids)
	}
	for _, suffix := range list {
		delete(d.ids, suffix)
	}
}

// noted is how long a file was at the newest look of its writer; known: there was
// such a look.
func (d *database) noted(suffix string) (size int64, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id, ok := d.ids[suffix]; ok {
		return id.Size(), true
	}
	return 0, false
}

// size is how long a file is now, 0 when that can't be told.
func (d *database) size(suffix string) int64 {
	info, err := d.dir.Info(d.name + suffix)
	if err != nil {
		return 0
	}
	return info.Size()
}

// connector makes connections to the file: all of them, there is no other way to
// one. The folder and the names are looked at before SQLite opens them by path and
// again afterwards.
func (d *database) connector(query url.Values) (driver.Connector, error) {
	c, err := sqlite.NewConnector(dsn(d.dir.File(d.name), query))
	if err != nil {
		return nil, fmt.Errorf("data source name: %w", err)
	}
	return connector{c, d}, nil
}

type connector struct {
	driver.Connector
	db *database
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	if _, err := c.db.look(false); err != nil {
		return nil, err
	}
	// SQLite would take the log of an empty file for a stale one and delete it.
	if !c.db.empty && c.db.size("") == 0 {
		return nil, errEmpty
	}
	dc, err := c.Connector.Connect(ctx)
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

var errEmpty = &UnavailableError{Cause: CauseDamaged, Err: errors.New("the file is empty")}

// close closes a connection that may write. When it is the last one, SQLite copies
// the log into the database, both by what it opened, and then deletes the log and
// the index by path: not when a name leads elsewhere.
func (d *database) close(dc driver.Conn) (err error) {
	if _, lost := d.look(false); lost != nil {
		_, err = dc.(sqlite.FileControl).FileControlPersistWAL("main", 1)
	}
	return errors.Join(err, dc.Close())
}

// lostFile says that a name leads elsewhere, or why that can't be told.
func lostFile(err error) error {
	if lost, ok := errors.AsType[*folder.LostError](err); ok {
		return &UnavailableError{Cause: CauseLost, Err: lost}
	}
	if errors.Is(err, folder.ErrNotRegular) {
		return &UnavailableError{Cause: CauseLost, Err: fmt.Errorf("%w: move it away; Stockroom opens only a file that lies in its folder itself", err)}
	}
	return fileError("look at the files of the catalogue", err)
}

// openTail notes the log and the index that SQLite has opened. The log is opened
// here as well; SQLite has no locks on it.
func (s *Store) openTail(c *conn) (err error) {
	if err := s.files.learn(); err != nil {
		return err
	}
	if s.page, err = c.count(`PRAGMA page_size`); err != nil {
		return classify(fmt.Errorf("look at the pages: %w", err))
	}
	s.closeTail()
	if s.tail, err = s.files.dir.Open(s.files.name+logSuffix, os.O_RDONLY); err != nil {
		return lostFile(err)
	}
	return nil
}

func (s *Store) closeTail() {
	if s.tail != nil {
		_ = s.tail.Close() // it was only read
		s.tail = nil
	}
}

// Sizes in a log of SQLite.
const (
	logHeader   = 32
	frameHeader = 24 // before each page; it begins with the page's number
)

// check is the writer's look, before each commit and again after it with the
// length that the log had before. Should somebody have cut the log in between,
// SQLite has written behind a hole, where the last frame was.
func (s *Store) check(before int64) error {
	cut, err := s.files.look(true)
	if err != nil {
		return err
	}
	if s.cut = s.cut || cut; s.cut {
		if err := s.judgeCut(); err != nil {
			return err
		}
		s.cut = false
		return nil
	}
	var number [4]byte
	if before < logHeader+frameHeader+s.page {
		return nil
	}
	if _, err := s.tail.ReadAt(number[:], before-frameHeader-s.page); err != nil {
		return fileError("read the write-ahead log", err)
	}
	if number == [4]byte{} {
		return errLogCut
	}
	return nil
}

var errLogCut = &UnavailableError{Cause: CauseDamaged, Err: errors.New("its write-ahead log was cut short by another program")}

// judgeCut tells whether what is shorter than before was cut by somebody: a log is
// shorter after another program has copied it, a database after a VACUUM.
func (s *Store) judgeCut() error {
	var row [3]driver.Value
	if _, err := s.conn.one(`PRAGMA wal_checkpoint(NOOP)`, row[:]); err != nil {
		return classify(fmt.Errorf("look at the write-ahead log: %w", err))
	}
	if frames := asInt(row[1]); frames > 0 && s.walSize() < logHeader+frames*(frameHeader+s.page) {
		return errLogCut
	}
	pages, err := s.conn.count(`PRAGMA page_count`)
	if err != nil {
		return classify(fmt.Errorf("count the pages: %w", err))
	}
	if s.files.size("") >= pages*s.page {
		return nil
	}
	// The missing pages may all be in the log still.
	ctx, cancel := s.untilStop()
	defer cancel()
	return s.integrity(ctx)
}

// keepLog copies a log that has lost its name into the database, both by what was
// opened, so that its commits outlast the process.
func (s *Store) keepLog(err error) {
	lost, ok := errors.AsType[*folder.LostError](err)
	if !ok || s.conn == nil || lost.Path != s.files.dir.File(s.files.name+logSuffix) {
		return
	}
	var row [3]driver.Value
	if _, err := s.conn.one(`PRAGMA wal_checkpoint(PASSIVE)`, row[:]); err != nil {
		s.log.Warn("the write-ahead log that was removed can't be copied into products.db", "error", err.Error())
	}
}

// watchFiles looks at the files when nothing is written, and has the writer find
// out about what it sees.
func (s *Store) watchFiles() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		cut, err := s.files.look(false)
		if !cut && (err != nil) == (s.Health().Cause == CauseLost) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*lookEvery)
		if err := s.Probe(ctx); err != nil {
			s.log.Debug("the files of the catalogue changed", "error", err.Error())
		}
		cancel()
	}
}

const lookEvery = time.Second
