package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/folder"

	"modernc.org/sqlite"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// reopenPause is how long the writer waits after a failed attempt to open the
// file before it tries again.
const reopenPause = 200 * time.Millisecond

// dsn builds a data source name. PRAGMAs belong here: by Exec they would reach
// one connection of a pool only.
func dsn(path string, query url.Values) string {
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
}

// patience is how long the writer waits for another program's lock.
const patience = 250 * time.Millisecond

func writerQuery(busy time.Duration) url.Values {
	return url.Values{
		"mode": {"rw"},
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
			"cache_size(-16000)", "wal_autocheckpoint(0)", "temp_store(MEMORY)",
		},
	}
}

func readerQuery() url.Values {
	return url.Values{
		"mode":    {"ro"},
		"_pragma": {"busy_timeout(250)", "query_only(ON)", "cache_size(-4000)", "temp_store(MEMORY)"},
	}
}

// ensureConn opens the file when it is not open. Only the writer calls it.
func (s *Store) ensureConn() error {
	if s.conn != nil {
		return nil
	}
	if s.openErr != nil && time.Since(s.openFailed) < reopenPause {
		return s.openErr
	}
	err := s.openConn()
	if CauseOf(err) == CauseDamaged {
		err = s.replaceDamaged(err)
	}
	s.openErr, s.openFailed = err, time.Now()
	return err
}

// openConn opens or creates the file and loads what the writer keeps in
// memory.
func (s *Store) openConn() error {
	if err := s.fault("before open"); err != nil {
		return classify(err)
	}
	cut, err := s.files.look(true)
	if err != nil {
		return err
	}
	s.cut = s.cut || cut
	defer func() {
		if s.conn == nil {
			s.files.forget(suffixes[1:])
		}
	}()
	if s.files.ids[""] == nil {
		if err := s.createFile(); err != nil {
			return err
		}
	}
	c, err := s.files.connect(context.Background(), writerQuery(patience))
	if err != nil {
		return classify(fmt.Errorf("open products.db: %w", err))
	}
	if err := s.prepareConn(c); err != nil {
		return errors.Join(err, c.close())
	}
	if err := s.startWALAnew(c); err != nil {
		return errors.Join(err, c.close())
	}
	_, err = s.files.look(true)
	if err == nil && s.files.ids[logSuffix] == nil { // SQLite has just opened it
		err = lostFile(&folder.LostError{Path: s.path + logSuffix})
	}
	if err != nil {
		return errors.Join(err, c.close())
	}
	s.conn = c
	if s.readers.Load() == nil {
		db := sql.OpenDB(connector{s.files, readerQuery()})
		db.SetMaxOpenConns(4)
		db.SetConnMaxIdleTime(time.Minute)
		s.readers.Store(db)
	}
	return s.replace()
}

func (s *Store) prepareConn(c *conn) error {
	if err := migrate(c, s.fault); err != nil {
		return err
	}
	seq, err := c.count(`SELECT coalesce(max(seq), 0) FROM changes`)
	if err != nil {
		return classify(fmt.Errorf("read change feed: %w", err))
	}
	delivery, err := c.count(`SELECT coalesce(max(id), 0) FROM deliveries`)
	if err != nil {
		return classify(fmt.Errorf("read journal: %w", err))
	}
	if behind := max(s.opt.Watermark, s.lastSeq.Load()) - seq; behind > 0 {
		s.mu.Lock()
		s.health.Behind = behind
		s.mu.Unlock()
		s.log.Error("catalogue is behind its watermark: committed changes are missing and have to be fetched again", "missing", behind)
	}
	lost := s.lastSeq.Load() > seq // while we ran
	s.seq = max(s.seq, seq)
	s.delivery = max(s.delivery, delivery)
	s.lastSeq.Store(s.seq)
	st, err := loadSettings(c)
	if err != nil {
		return err
	}
	s.settings = st
	s.publish()
	if !lost {
		return nil
	}
	// The watermark is noted only now and then, so the file itself has to know.
	return s.alone(c, "ask for the lost changes", func(t *tx) error {
		for shop := range st.merchants {
			if err := t.want(Wanted{Shop: shop, Kind: WantSync, Reason: "products.db lost changes while it was in use"}); err != nil {
				return err
			}
		}
		return nil
	})
}

// startWALAnew makes sure, after a failed sync, that no commit is written behind
// frames that may not be on disk: the kernel holds them for written and never
// writes them again, and a power cut would take with them all that follows. They
// are copied into the database, which is synced, and the WAL starts again. While
// a reader of another program is in the WAL that can't be done.
func (s *Store) startWALAnew(c *conn) error {
	if !s.unsynced {
		return nil
	}
	var row [3]driver.Value
	if _, err := c.one(`PRAGMA wal_checkpoint(TRUNCATE)`, row[:]); err != nil {
		return classify(fmt.Errorf("start the write-ahead log again: %w", err))
	}
	if asInt(row[0]) != 0 {
		return &UnavailableError{Cause: CauseIO, Err: errors.New("a sync failed, and another program's reader keeps the write-ahead log from being started again")}
	}
	s.unsynced = false
	return nil
}

func loadSettings(c *conn) (settings, error) {
	st := settings{merchants: map[string]string{}, selections: map[string]catalog.Selection{}}
	err := c.each(`SELECT shop, merchant_id FROM shops`, 2, func(row []driver.Value) error {
		st.merchants[asText(row[0])] = asText(row[1])
		return nil
	})
	if err != nil {
		return st, classify(fmt.Errorf("read shops: %w", err))
	}
	err = c.each(`SELECT shop, selection FROM selections`, 2, func(row []driver.Value) error {
		sel, err := catalog.ParseSelection([]byte(asText(row[1])))
		if err != nil {
			return fmt.Errorf("selection of %s: %w", asText(row[0]), err)
		}
		st.selections[asText(row[0])] = sel
		return nil
	})
	if err != nil {
		return st, classify(fmt.Errorf("read selections: %w", err))
	}
	st.open, err = loadDifferences(c)
	return st, err
}

// createFile makes a fresh products.db. It is built under another name with a
// rollback journal, synced and renamed, so that a power cut leaves either no
// file or a whole one.
func (s *Store) createFile() error {
	dir, fresh := s.files.dir, newDatabase(s.files.dir, s.files.name+".new")
	fresh.empty = true
	if err := dir.RemoveDatabase(fresh.name); err != nil {
		return fileError("remove an unfinished products.db.new", err)
	}
	// A journal without its database would be applied to the new file.
	if err := s.moveOrphans(); err != nil {
		return err
	}
	f, err := dir.Create(fresh.name)
	if err != nil {
		return fileError("create products.db", err)
	}
	defer f.Close()
	if _, err := fresh.look(true); err != nil {
		return err
	}
	c, err := fresh.connect(context.Background(), url.Values{
		"mode": {"rw"}, "_pragma": {"journal_mode(DELETE)", "synchronous(FULL)", "foreign_keys(ON)"},
	})
	if err != nil {
		return classify(fmt.Errorf("create products.db: %w", err))
	}
	err = migrate(c, s.fault)
	if e := c.close(); err == nil {
		err = classify(e)
	}
	if err == nil {
		err = fileError("sync products.db", f.Sync())
	}
	if err == nil {
		_, err = fresh.look(false)
	}
	if err == nil {
		err = fileError("rename products.db", dir.Rename(fresh.name, s.files.name))
	}
	if err == nil {
		err = fileError("sync the data dir", dir.Sync())
	}
	if err != nil {
		return errors.Join(err, dir.RemoveDatabase(fresh.name))
	}
	_, err = s.files.look(true)
	return err
}

// migrations are the names of the steps, in their order.
func migrations() []string {
	names, _ := fs.Glob(migrationFiles, "migrations/*.sql") // the pattern is good
	return names
}

// Format is the number of the newest migration, which is what this version writes. It
// reads those from 1 on.
func Format() int { return len(migrations()) }

// newer is the refusal of a file that a newer version wrote.
func (c *conn) newer() error {
	var noted [1]driver.Value
	_, _ = c.one(selectNote, noted[:]) // one that can't be read names no version
	return &folder.NewerError{File: "products.db", Noted: []byte(asText(noted[0]))}
}

// migrate brings the schema up to date, one transaction a step. user_version
// holds the number of the last step.
func migrate(c *conn, fault func(point string) error) error {
	names := migrations()
	have, err := c.count(`PRAGMA user_version`)
	if err != nil {
		return classify(fmt.Errorf("read schema version: %w", err))
	}
	if have > int64(len(names)) {
		return c.newer()
	}
	if int(have) == len(names) {
		return nil
	}
	// A step may make a table again; dropping the old one must not reach the rows
	// that refer to it. Inside a transaction the switch would do nothing.
	if err := c.script("PRAGMA foreign_keys = OFF"); err != nil {
		return classify(fmt.Errorf("before migrations: %w", err))
	}
	for i := int(have); i < len(names); i++ {
		text, err := migrationFiles.ReadFile(names[i])
		if err != nil {
			return fmt.Errorf("read migration: %w", err)
		}
		step := strings.TrimPrefix(names[i], "migrations/")
		if err = fault("before " + step); err == nil {
			err = c.script("BEGIN IMMEDIATE;\n" + string(text) + "\nPRAGMA user_version = " + strconv.Itoa(i+1))
		}
		if err == nil {
			err = fault("within " + step)
		}
		if err == nil {
			err = c.script("COMMIT")
		}
		if err != nil {
			_ = c.script("ROLLBACK")
			return classify(fmt.Errorf("migration %s: %w", step, err))
		}
	}
	if err := c.script("PRAGMA foreign_keys = ON"); err != nil {
		return classify(fmt.Errorf("after migrations: %w", err))
	}
	return nil
}

// writtenSchema is the schema that the migrations write.
var writtenSchema = sync.OnceValues(func() (map[string]string, error) {
	base, err := sqlite.NewConnector("file::memory:")
	if err != nil {
		return nil, err
	}
	dc, err := base.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	c := &conn{dc: dc, stmts: map[string]*stmt{}}
	defer func() {
		for _, s := range c.stmts {
			_ = s.ds.Close()
		}
		_ = dc.Close() // nothing was written that is kept
	}()
	if err := migrate(c, faultless); err != nil {
		return nil, err
	}
	return c.schema()
})

// schema returns the text of each table, index, view and trigger by type and name.
func (c *conn) schema() (map[string]string, error) {
	texts := map[string]string{}
	const all = `SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema`
	err := c.each(all, 2, func(row []driver.Value) error {
		texts[asText(row[0])] = asText(row[1])
		return nil
	})
	return texts, err
}

// script runs several statements once.
func (c *conn) script(sql string) error {
	_, err := c.dc.(driver.ExecerContext).ExecContext(context.Background(), sql, nil)
	return err
}

// fileError classifies an error of the operating system.
func fileError(op string, err error) error {
	if err == nil {
		return nil
	}
	return &UnavailableError{Cause: CauseOfFile(err), Err: fmt.Errorf("%s: %w", op, err)}
}
