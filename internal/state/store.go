package state

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"stockroom/internal/boltfile"
	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/folder"
)

// Options says how to open state.db.
type Options struct {
	// Folder: see boltfile.Options.
	Folder *folder.Folder
	// Logger gets a line for each damage and repair. Nil: none.
	Logger *slog.Logger
	// Shop is the shop that the environment declares; the zero value: none.
	Shop config.EnvShop
	// Existing says that other stores of the data dir hold data already, so that
	// a missing state.db means a lost one. False: it means a first start.
	Existing bool
}

// Store is an open state.db. It is safe for concurrent use.
type Store struct {
	file   *file
	env    config.EnvShop
	logger *slog.Logger

	writing sync.Mutex   // one change at a time, from reading what it depends on to its commit
	mu      sync.RWMutex // guards the tables' rows, seed and damage; taken after file.mu
	seeds   []func(*bbolt.Tx) error

	shops       *table[shopRecord]
	credentials *table[credentialRecord]
	conditions  *table[conditionRecord]
	selections  *table[catalog.Selection]
	tokens      *table[tokenRecord]
	marks       *table[Watermark]
	runs        *table[Run]
	values      *table[[]byte]
	damages     *table[Damage]
	tables      map[string]stored // all of them, by name
	sum         *sum              // of all rows
}

// Damage says what happened to state.db. It is kept until AcknowledgeDamage or
// ForgetHealed.
type Damage struct {
	At time.Time `json:"at"`
	// File is where the damaged file was put, "" when there is none.
	File   string `json:"file"`
	Reason string `json:"reason"`
	// Lost: the records are gone; shops, credentials and selections have to come
	// from the catalogue or from a person. False when they were kept.
	Lost bool `json:"lost"`
	// Records names the single records that are gone, as "table key".
	Records []string `json:"records,omitempty"`
	// Older: the file is an earlier copy of itself, so what was changed since is gone.
	Older bool `json:"older,omitempty"`
}

// Took reports whether anything is gone.
func (d Damage) Took() bool { return d.Lost || d.Older || len(d.Records) > 0 }

// NoteOlder notes as damage that an earlier copy was put in the file's place.
func (s *Store) NoteOlder(reason string, now time.Time) error {
	return s.write(func(b *batch) error {
		put(b, s.damages, lastDamage, Damage{At: millis(now), Reason: reason, Lost: s.damages.rows[lastDamage].Lost, Older: true})
		return nil
	})
}

// Keys of tables that hold one record.
const (
	lastDamage = "last"
	changeMark = "changes"
)

// Open opens the state.db at path, making it when there is none, and reads all
// of it. A damaged file is set aside and is no error: Damage tells. The error
// is boltfile.ErrLocked when another process has the file, a *folder.NewerError when
// a newer version wrote it, or says why it can't be reached.
func Open(path string, now time.Time, o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	opened, err := boltfile.Open(path, boltfile.Options{Folder: o.Folder, Logger: o.Logger})
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	s := &Store{env: o.Shop, logger: o.Logger, tables: map[string]stored{}}
	addTable(s, &s.shops, shopsTable)
	addTable(s, &s.credentials, "credentials")
	addTable(s, &s.conditions, "conditions")
	addTable(s, &s.selections, "selections")
	addTable(s, &s.tokens, "tokens")
	addTable(s, &s.marks, "watermark")
	addTable(s, &s.runs, "runs")
	addTable(s, &s.values, valuesTable)
	addTable(s, &s.damages, "damage")
	s.file = &file{opened: opened, renew: s.renew, setAside: s.setAside}
	if err := s.start(now, opened, o); err != nil {
		return nil, errors.Join(fmt.Errorf("open state: %w", err), s.file.close())
	}
	if err := s.erase(); err != nil {
		s.logger.Warn("what was dropped can't be erased from the file now; it is tried again", "error", err.Error())
	}
	return s, nil
}

// start reads the file and stores what the first use of it asks for. Nobody
// else knows the store yet.
func (s *Store) start(now time.Time, opened boltfile.Opened, o Options) error {
	found, err := s.load()
	damage := Damage{At: millis(now), File: opened.Quarantined, Reason: opened.Reason, Lost: opened.Quarantined != ""}
	if errors.Is(err, boltfile.ErrDamaged) {
		// A page that could be read a moment ago can't be any more. The next
		// transaction sets the file aside.
		found, err = s.load()
		aside := s.damages.rows[lastDamage]
		damage.File, damage.Reason, damage.Lost = aside.File, aside.Reason, true
	}
	if err != nil {
		return err
	}
	switch {
	case len(found.damaged) > 0:
		damage.Reason, damage.Records, damage.Lost = found.reason, found.damaged, found.lost
		if damage.File, err = s.file.keepCopy(now); err != nil {
			return err
		}
		s.logger.Error("damaged records dropped", "records", len(found.damaged), "copy", damage.File)
	case found.empty && damage.Reason == "":
		// A crash may have come between setting a file aside and the note of it.
		if old := opened.NewestAside(); old != "" {
			damage.File, damage.Reason, damage.Lost = old, "the file was damaged at an earlier start", true
		} else if o.Existing {
			damage.Reason, damage.Lost = "the file was missing", true
		}
	}
	if damage.Reason != "" {
		damage.Lost = damage.Lost || s.damages.rows[lastDamage].Lost
		s.damages.rows[lastDamage] = damage
	}
	var b batch
	if len(s.damages.rows) == 0 {
		s.declare(&b)
	}
	s.prune(&b, now)
	for _, step := range b.steps {
		step.apply()
	}
	if damage.Reason == "" && !found.empty && !found.old && len(b.steps) == 0 {
		return nil
	}
	return s.file.update(func(tx *bbolt.Tx) error {
		if err := tx.DeleteBucket([]byte(rootBucket)); err != nil && !errors.Is(err, bolterrors.ErrBucketNotFound) {
			return err
		}
		return s.renew(tx)
	}, nil)
}

// found is what load found besides sound records.
type found struct {
	empty   bool     // nothing was ever stored
	old     bool     // by an older version, which has to refuse what is written now
	damaged []string // as "table key"
	reason  string
	lost    bool // see Damage.Lost
}

// load reads every record into memory.
func (s *Store) load() (found, error) {
	var f found
	err := s.file.view(func(tx *bbolt.Tx) (err error) {
		defer func() { err = newer(tx, err) }()
		f, s.sum = found{}, newSum()
		for _, t := range s.tables {
			t.clear()
		}
		root, sums := tx.Bucket([]byte(rootBucket)), tx.Bucket([]byte(sumBucket))
		if root == nil {
			f.empty = sums == nil
			if !f.empty {
				f = found{damaged: []string{"all"}, reason: "the records are missing", lost: true}
			}
			return nil
		}
		want, err := readSum(sums)
		if err != nil {
			return err
		}
		f.old = want != nil && want.old
		for _, name := range slices.Sorted(maps.Keys(s.tables)) {
			if root.Bucket([]byte(name)) == nil {
				if want != nil && slices.Contains(want.Tables, name) {
					f.damaged = append(f.damaged, name)
				}
				continue
			}
			keys, err := s.tables[name].load(root, s.sum)
			if err != nil {
				return err
			}
			for _, key := range keys {
				f.damaged = append(f.damaged, name+" "+printable(key))
			}
		}
		switch {
		case len(f.damaged) > 0:
			f.reason = "some records can't be read"
		case want == nil:
			f.damaged, f.reason = []string{"sum"}, "the sum of the records can't be read"
		case !want.equals(s.sum):
			// Which ones is not known, so nothing may be synced by them.
			f.damaged, f.reason = []string{"selections"}, "records are missing or older than they should be"
			s.selections.clear()
		}
		return nil
	})
	return f, err
}

// write plans a set of changes, stores them together and then makes them in
// memory. plan may read the tables' rows.
func (s *Store) write(plan func(b *batch) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	var b batch
	s.mu.RLock()
	err := plan(&b)
	s.mu.RUnlock()
	if err = cmp.Or(err, b.err); err != nil || len(b.steps) == 0 {
		return err
	}
	return s.file.update(func(tx *bbolt.Tx) error {
		// The sum is not s.sum before the commit: a change that fails must not
		// show in it.
		s.mu.RLock()
		after := s.sum.after(b.steps)
		s.mu.RUnlock()
		return b.write(tx, after)
	}, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, step := range b.steps {
			step.apply()
			s.sum.replace(step.table, step.key, step.raw)
		}
	})
}

// renew fills a file with what is in memory.
func (s *Store) renew(tx *bbolt.Tx) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sum, err = saveAll(tx, s.tables); err != nil {
		return err
	}
	for _, seed := range s.seeds {
		if err := seed(tx); err != nil {
			return err
		}
	}
	return nil
}

// setAside notes that the file was exchanged while in use.
func (s *Store) setAside(moved, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damages.rows[lastDamage] = Damage{At: millis(time.Now()), File: moved, Reason: reason, Lost: s.damages.rows[lastDamage].Lost}
}

// Damage returns what last happened to the file, until it is acknowledged.
func (s *Store) Damage() (Damage, bool) {
	d, ok := row(s, s.damages, lastDamage)
	d.Records = slices.Clone(d.Records)
	return d, ok
}

// AcknowledgeDamage forgets the damage after a person has seen it. Call RestoreShop
// before for what the catalogue knows.
func (s *Store) AcknowledgeDamage() error {
	return s.write(func(b *batch) error {
		drop(b, s.damages, lastDamage)
		return nil
	})
}

// ForgetHealed forgets a damage when all that it took is there again: the secret and
// selection of each shop, and the values that it names. It reports whether it did.
func (s *Store) ForgetHealed() (healed bool, err error) {
	d, _ := s.Damage()
	shops := s.Shops()
	if !d.Took() || d.Older || len(shops) == 0 {
		return false, nil
	}
	for _, shop := range shops {
		if _, known := s.Selection(shop.Domain); !known || len(s.Secrets(shop.Domain)) == 0 {
			return false, nil
		}
	}
	for _, record := range d.Records {
		namespace, name, _ := strings.Cut(strings.TrimPrefix(record, s.values.name+" "), "/")
		if _, there := s.Get(namespace, name); !there && strings.HasPrefix(record, s.values.name+" ") {
			return false, nil
		}
	}
	return true, s.AcknowledgeDamage()
}

// Seed runs create in a transaction now, and again in the first transaction of
// every file that takes the place of a damaged one. It is for the buckets that
// others keep in state.db.
func (s *Store) Seed(create func(tx *bbolt.Tx) error) error {
	if err := s.file.update(create, nil); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds = append(s.seeds, create)
	return nil
}

// Update runs fn in a write transaction on state.db, for those who keep buckets
// of their own in it. When it returns nil the changes are on disk. Damage met on
// the way is an error here and mended before the next transaction. fn must not
// start another transaction and must not keep slices of tx.
func (s *Store) Update(fn func(tx *bbolt.Tx) error) error { return s.file.update(fn, nil) }

// Look finds out whether the file can be used, and mends what can be mended: it
// puts one back that was removed. An error for which boltfile.Lost holds lasts
// until the process ends: another file has taken the place of this one.
func (s *Store) Look() error {
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	return s.file.look()
}

// View runs fn in a read transaction, with the rules of Update.
func (s *Store) View(fn func(tx *bbolt.Tx) error) error { return s.file.view(fn) }

// Close closes the file. Close limiter and breaker first.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.file.close(); err != nil {
		return fmt.Errorf("close state: %w", err)
	}
	return nil
}

// millis is the precision and zone of stored times.
func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// printable keeps a damaged key from spoiling a message.
func printable(key string) string { return strings.Trim(strconv.QuoteToASCII(key), `"`) }
