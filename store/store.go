package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/internal/catalog"
	"stockroom/internal/folder"
)

// Options are the store's settings.
type Options struct {
	// Path of products.db. Its directory must exist.
	Path string
	// Folder is that directory when the caller has it open; nil: the store opens it.
	Folder *folder.Folder
	// Watermark is the newest change seq noted outside the file, 0 for none. A
	// store found behind it has lost commits; see Health.Behind.
	Watermark int64
	// KeepDeliveries is how long journal rows are kept; 0 means 168 h.
	KeepDeliveries time.Duration
	// KeepChanges is how long change-feed rows are kept; 0 means 720 h.
	KeepChanges time.Duration
	// LookEvery is how often an idle store looks at its files; 0 means 1 s. Tests that
	// live through days and lose no file have it long.
	LookEvery time.Duration
	// Logger gets one line per event a person should know; nil discards.
	Logger *slog.Logger
	// Metrics receives the store's metrics; nil makes a set of its own.
	Metrics *metrics.Set
	// Lost is called by the writer, before anybody else hears of it, that a file of the
	// catalogue was taken away (CauseLost), and that commits go on; nil: nobody is.
	Lost func(lost bool)
	// Fault is called at the named points of a write and may return an error
	// or stop the process there. For tests; nil does nothing.
	Fault func(point string) error
	wal   walLimits // tests make them small; zero fields mean the constants
}

// Store is the open catalogue.
type Store struct {
	opt     Options
	path    string
	files   *database
	log     *slog.Logger
	metrics *storeMetrics
	fault   func(point string) error
	// bulkTime is how long a bulk transaction may go on; tests that want a whole
	// batch in one change it.
	bulkTime time.Duration

	urgent           chan *request
	bulk             chan *request
	finishCheckpoint chan struct{}
	stopped          chan struct{}
	life             context.Context // ends at Close
	end              context.CancelFunc
	background       sync.WaitGroup
	wakeCheckpoint   chan struct{}
	salvaged         chan struct{} // a token after each salvage that ended

	// Owned by the writer goroutine (and by Open before it starts).
	conn       *conn
	openFailed time.Time
	openErr    error
	unsynced   bool // a sync failed: the WAL may hold frames that are not on disk
	cut        bool // a file got shorter; why is not known yet
	seq        int64
	delivery   int64
	settings   settings
	replacing  *replacement // nil for none

	watch    *watch
	repeats  repeats
	activity activity
	hearing  hearing
	progress progress

	lastSeq  atomic.Int64
	groups   atomic.Int64
	commitAt atomic.Int64

	readers  atomic.Pointer[sql.DB]
	ownReads atomic.Int64                               // long ones, of connections of their own
	open     atomic.Pointer[map[string]openDifferences] // by shop, as committed

	mu     sync.Mutex // guards health
	health Health

	closing sync.Once
	closed  error
}

// Health is what a person should know of the file.
type Health struct {
	Cause       Cause     // why the last write failed, "" when it did not
	Err         string    // the error behind it; with CauseLost a sentence
	Since       time.Time // when writes began to fail
	Quarantined string    // where a damaged file was moved to, "" for none
	Reason      string    // why it was moved
	At          time.Time // when
	Salvaged    int       // products taken over from the damaged file
	Behind      int64     // changes the file lacks against the watermark
	Log         Log
}

// Open opens the catalogue, creates it when there is none and migrates it to
// the present schema. A damaged file is moved aside and replaced. When the file
// can't be opened for a reason that may pass (disk full, locked, rights) the
// store comes up all the same: writes fail with ErrUnavailable and each tries
// again to open it. Open fails for a file of a newer schema.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.KeepDeliveries <= 0 {
		o.KeepDeliveries = 168 * time.Hour
	}
	if o.KeepChanges <= 0 {
		o.KeepChanges = 720 * time.Hour
	}
	if o.LookEvery <= 0 {
		o.LookEvery = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = metrics.NewSet()
	}
	if o.Lost == nil {
		o.Lost = func(bool) {}
	}
	if o.Fault == nil {
		o.Fault = faultless
	}
	o.wal = o.wal.withDefaults()
	dir, err := o.Folder, error(nil)
	if dir == nil {
		if dir, err = folder.Open(filepath.Dir(o.Path)); err != nil {
			return nil, fmt.Errorf("open catalogue: %w", err)
		}
	}
	files := newDatabase(dir, filepath.Base(o.Path))
	s := &Store{
		opt: o, path: dir.File(files.name), files: files, log: o.Logger, fault: o.Fault, bulkTime: bulkTime,
		urgent:           make(chan *request, 1024),
		bulk:             make(chan *request, 64),
		finishCheckpoint: make(chan struct{}),
		stopped:          make(chan struct{}),
		wakeCheckpoint:   make(chan struct{}, 1),
		salvaged:         make(chan struct{}, 1),
		watch:            newWatch(),
		repeats:          newRepeats(),
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.metrics = newStoreMetrics(o.Metrics, s)
	s.seq = o.Watermark

	if err := s.ensureConn(); err != nil {
		if !errors.Is(err, ErrUnavailable) || CauseOf(err) == CauseLost {
			return nil, errors.Join(fmt.Errorf("open catalogue: %w", err), s.closeFiles())
		}
		s.noteFailure(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(err, s.closeFiles())
	}
	journal := s.delivery
	go s.writer()
	s.background.Go(func() { s.watch.run(s.life.Done()) })
	s.background.Go(func() { s.fillActivity(journal) })
	s.background.Go(s.checkpointer)
	s.background.Go(s.housekeeping)
	s.background.Go(s.examine)
	return s, nil
}

func faultless(string) error { return nil }

// Close refuses new writes, answers those waiting and closes the file. It returns a
// *folder.LostError when the file is not at its name any more. A second call returns
// the first one's result.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.end()
		<-s.stopped
		s.background.Wait()
		gone := s.files.gone()
		s.closed = errors.Join(s.closeFiles(), gone)
	})
	return s.closed
}

func (s *Store) closeFiles() error {
	var errs []error
	if db := s.readers.Swap(nil); db != nil {
		errs = append(errs, db.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.close())
		s.conn = nil
	}
	if s.opt.Folder == nil {
		errs = append(errs, s.files.dir.Close())
	}
	return errors.Join(errs...)
}

// LastSeq is the newest committed change seq.
func (s *Store) LastSeq() int64 { return s.lastSeq.Load() }

// Health returns what a person should know of the file.
func (s *Store) Health() Health {
	size := s.walSize()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.Log.Bytes = size
	return s.health
}

// Probe commits a small row. It is how a caller finds out that the catalogue
// can be written again.
func (s *Store) Probe(ctx context.Context) error {
	return s.write(ctx, s.urgent, 1, func(t *tx) error {
		_, err := t.exec(`INSERT INTO meta (key, value) VALUES ('probe', ?1) ON CONFLICT DO UPDATE SET value = ?1`,
			time.UnixMilli(t.now).UTC().Format(time.RFC3339))
		return err
	})
}

// noteFailure records why a group failed as a whole.
func (s *Store) noteFailure(err error) {
	cause := CauseOf(err)
	s.metrics.failure(cause)
	s.mu.Lock()
	fresh := s.health.Cause != cause
	if s.health.Cause == "" {
		s.health.Since = time.Now()
	}
	s.health.Cause, s.health.Err = cause, err.Error()
	if u, ok := errors.AsType[*UnavailableError](err); ok && cause == CauseLost {
		s.health.Err = u.Err.Error()
	}
	s.mu.Unlock()
	if fresh && cause == CauseLost {
		s.opt.Lost(true)
	}
	if fresh && cause != CauseClosed { // by ourselves
		s.log.Error("catalogue can't be written", "cause", string(cause), "error", err.Error())
	}
}

// recoverFrom does what a failure asks for: after an I/O error nothing on the
// handle can be trusted, and a damaged file is replaced.
func (s *Store) recoverFrom(err error) {
	switch CauseOf(err) {
	case CauseIO:
		s.unsynced = true
		s.dropConn()
	case CauseReadOnly:
		s.dropConn()
	case CauseLost:
		s.keepLog(err)
	case CauseDamaged:
		if s.conn != nil {
			s.openErr, s.openFailed = s.replaceDamaged(err), time.Now()
		}
	}
}

// noteCommit is called by the writer after each commit.
func (s *Store) noteCommit(requests int) {
	s.metrics.group(requests)
	s.commitAt.Store(time.Now().UnixMilli())
	s.watch.committed()
	s.mu.Lock()
	was, since := s.health.Cause, s.health.Since
	s.health.Cause, s.health.Err, s.health.Since = "", "", time.Time{}
	s.mu.Unlock()
	if was == CauseLost {
		s.opt.Lost(false)
	}
	if was != "" {
		s.log.Info("catalogue can be written again", "cause", string(was), "after", time.Since(since).Round(time.Millisecond))
	}
	// What changed nothing, as most prunings do, is no reason to copy the log.
	n, err := s.conn.count(`SELECT total_changes()`)
	if err == nil && n == s.conn.changes {
		return
	}
	s.conn.changes = n
	if s.groups.Add(1)%checkpointLook == 0 {
		select {
		case s.wakeCheckpoint <- struct{}{}:
		default:
		}
	}
}

// settings are the shops, selections and open differences, mirrored in memory
// because every change is judged by them. The writer owns them.
type settings struct {
	merchants  map[string]string
	selections map[string]catalog.Selection
	open       map[productKey]difference
	touched    bool // a request of the open transaction changed them
}

func (s *Store) merchantOf(shop string) string             { return s.settings.merchants[shop] }
func (s *Store) selectionOf(shop string) catalog.Selection { return s.settings.selections[shop] }

// storeMetrics are the store's metrics. HELP and TYPE are written where they
// are served.
type storeMetrics struct {
	requests    *metrics.PrometheusHistogram
	commit      *metrics.PrometheusHistogram
	quarantines *metrics.Counter
	failures    map[Cause]*metrics.Counter
}

func newStoreMetrics(set *metrics.Set, s *Store) *storeMetrics {
	m := &storeMetrics{
		requests:    set.NewPrometheusHistogramExt(`stockroom_group_commit_size`, []float64{1, 2, 4, 8, 16, 32, 64}),
		commit:      set.NewPrometheusHistogramExt(`stockroom_commit_sync_seconds`, []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 1, 5}),
		quarantines: set.NewCounter(`stockroom_store_quarantines_total{store="products"}`),
		failures:    make(map[Cause]*metrics.Counter),
	}
	for _, c := range []Cause{CauseLocked, CauseFull, CauseReadOnly, CauseIO, CauseDamaged, CauseLost, CauseClosed, CauseTimeout} {
		m.failures[c] = set.NewCounter(fmt.Sprintf(`stockroom_catalogue_write_failures_total{cause=%q}`, c))
	}
	set.NewGauge(`stockroom_wal_bytes`, func() float64 { return float64(s.walSize()) })
	set.NewGauge(`stockroom_change_seq`, func() float64 { return float64(s.LastSeq()) })
	return m
}

func (m *storeMetrics) group(requests int)            { m.requests.Update(float64(requests)) }
func (m *storeMetrics) commitSeconds(d time.Duration) { m.commit.Update(d.Seconds()) }
func (m *storeMetrics) failure(c Cause) {
	if counter, ok := m.failures[c]; ok {
		counter.Inc()
	}
}
