package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	groupRequests = 64   // most requests in one transaction
	groupRows     = 4096 // most rows in one transaction; a single larger request goes alone
)

// request is one unit of the group commit. run is called by the writer inside
// a savepoint, at most once per attempt of the group.
type request struct {
	ctx  context.Context // when it has ended before its turn, the request is dropped
	run  func(t *tx) error
	rows int
	// alone requests have a transaction of their own, without a savepoint: when
	// one fails, the transaction is rolled back.
	alone bool
	err   error
	done  chan struct{}
}

// tx is what a request may use during its turn.
type tx struct {
	*conn
	s   *Store
	now int64 // Unix milliseconds, one instant for the whole group
	// The next ids are kept here rather than asked from SQLite; a savepoint
	// that rolls back takes them back, which keeps the feed free of gaps.
	seq      int64
	delivery int64
	repeats  []repeat // written or counted; remembered from the commit on
	shops    []string // whose products were written; their activity is reported from the commit on

	rows       *rowBuffer // rows held back for the end of a bulk transaction, nil outside of one
	noneWanted bool       // known: the shop of a bulk transaction has no wanted fetch
}

// write hands run to the writer and waits for the commit. When ctx ends first
// the error is an UnavailableError with the cause that holds the writer up, and
// the commit may still happen.
func (s *Store) write(ctx context.Context, lane chan *request, rows int, run func(t *tx) error) error {
	return s.send(lane, &request{ctx: ctx, run: run, rows: rows, done: make(chan struct{})})
}

// writeAlone is write on the bulk lane in a transaction of its own.
func (s *Store) writeAlone(ctx context.Context, run func(t *tx) error) error {
	return s.send(s.bulk, &request{ctx: ctx, run: run, alone: true, done: make(chan struct{})})
}

func (s *Store) send(lane chan *request, r *request) error {
	ctx := r.ctx
	select {
	case lane <- r:
	case <-ctx.Done():
		return s.late(ctx)
	case <-s.stopped:
		return &UnavailableError{Cause: CauseClosed, Err: errClosed}
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return s.late(ctx)
	case <-s.stopped:
		select {
		case <-r.done:
			return r.err
		default:
			return &UnavailableError{Cause: CauseClosed, Err: errClosed}
		}
	}
}

var errClosed = errors.New("the store is closed")

// writer is the one goroutine that writes. It ends when the store is closed.
func (s *Store) writer() {
	defer close(s.stopped)
	group := make([]*request, 0, groupRequests)
	var bulkTurn time.Time // from then on bulk rows go before deliveries
	for {
		// The checkpoint's small last step must not starve.
		select {
		case <-s.finishCheckpoint:
			s.resetWAL()
		default:
		}
		r, bulk := s.next(bulkTurn)
		if r == nil {
			if s.life.Err() != nil {
				return // what waits learns it by stopped
			}
			continue
		}
		group = append(group[:0], r)
		if !r.alone {
			group = s.collect(group)
		}
		began := time.Now()
		s.commitGroup(group)
		s.progress.to(stepIdle)
		if bulk {
			ended := time.Now()
			bulkTurn = ended.Add(ended.Sub(began))
		}
	}
}

// next waits for a request: deliveries first, and bulk rows when there are none.
// After a bulk transaction deliveries have the writer for as long as that took;
// then bulk rows have a turn, so that steady deliveries do not stop a sync. It
// returns nil when the store is being closed or had something else to do.
func (s *Store) next(bulkTurn time.Time) (r *request, bulk bool) {
	if len(s.bulk) > 0 && time.Now().After(bulkTurn) {
		select {
		case r := <-s.bulk:
			return r, true
		default:
		}
	}
	select {
	case r := <-s.urgent:
		return r, false
	default:
	}
	select {
	case r := <-s.urgent:
		return r, false
	case r := <-s.bulk:
		return r, true
	case <-s.finishCheckpoint:
		s.resetWAL()
		return nil, false
	case <-s.life.Done():
		return nil, false
	}
}

// collect adds the deliveries that are waiting now, up to the bounds of one
// transaction.
func (s *Store) collect(group []*request) []*request {
	rows := group[0].rows
	for len(group) < groupRequests && rows < groupRows {
		select {
		case r := <-s.urgent:
			group = append(group, r)
			rows += r.rows
			continue
		default:
		}
		break
	}
	return group
}

func (r *request) finish(err error) {
	r.err = err
	close(r.done)
}

// commitGroup runs the group in one transaction and answers each request. A
// request's own failure rolls back its savepoint alone; a failure of the file
// fails the whole group, with nothing of it kept.
func (s *Store) commitGroup(group []*request) {
	committed, err := s.tryGroup(group)
	if err != nil {
		s.noteFailure(err)
		for _, r := range group {
			r.finish(err)
		}
		s.progress.to(stepOpen)
		s.recoverFrom(err)
		return
	}
	if committed {
		s.noteCommit(len(group))
	}
	for _, r := range group {
		r.finish(r.err)
	}
}

func (s *Store) tryGroup(group []*request) (committed bool, err error) {
	s.progress.to(stepOpen)
	if err := s.ensureConn(); err != nil {
		return false, err
	}
	if err := s.check(0); err != nil {
		return false, err
	}
	before := s.files.ids[logSuffix].Size()
	s.progress.to(stepBegin)
	t := &tx{conn: s.conn, s: s, now: time.Now().UnixMilli(), seq: s.seq, delivery: s.delivery}
	if _, err := t.exec(`BEGIN IMMEDIATE`); err != nil {
		return false, classify(fmt.Errorf("begin: %w", err))
	}
	s.progress.to(stepChange)
	for _, r := range group {
		if r.ctx.Err() != nil {
			r.err = s.late(r.ctx)
			continue
		}
		do := func() error { return r.run(t) }
		if r.alone {
			if r.err = t.failure(guarded(do)); errors.Is(r.err, ErrUnavailable) {
				err = r.err
			}
			if r.err != nil {
				s.rollback()
				return false, err
			}
			continue
		}
		if r.err, err = t.try(true, do); err != nil {
			s.rollback()
			return false, err
		}
	}
	s.progress.to(stepSync)
	if err := s.fault("before commit"); err != nil {
		s.rollback()
		return false, classify(err)
	}
	syncStarted := time.Now()
	if _, err := t.exec(`COMMIT`); err != nil {
		s.rollback()
		return false, classify(fmt.Errorf("commit: %w", err))
	}
	s.metrics.commitSeconds(time.Since(syncStarted))
	if s.settings.touched {
		s.publish()
		s.settings.touched = false
	}
	s.seq, s.delivery = t.seq, t.delivery
	for _, r := range t.repeats {
		s.repeats.rows.Add(r.key, r)
	}
	for _, shop := range t.shops {
		s.activity.changed(shop, t.now)
	}
	// Nobody hears of a commit into a file that is gone.
	if err := s.check(before); err != nil {
		return false, err
	}
	s.lastSeq.Store(t.seq)
	if err := s.fault("after commit"); err != nil {
		return false, classify(err)
	}
	return true, nil
}

// try does something in a savepoint. What it wrote stays when it succeeded and
// keep is set; else all is as before, in the file and in memory. broken is a
// failure of the file, with which the whole transaction has to be given up.
func (t *tx) try(keep bool, do func() error) (err, broken error) {
	before := *t
	if _, err := t.exec(`SAVEPOINT try`); err != nil {
		return nil, classify(fmt.Errorf("savepoint: %w", err))
	}
	if err = t.failure(guarded(do)); errors.Is(err, ErrUnavailable) {
		return nil, err
	}
	if err != nil || !keep {
		*t = before
		if _, err := t.exec(`ROLLBACK TO try`); err != nil {
			return nil, classify(fmt.Errorf("rollback to savepoint: %w", err))
		}
		if err := t.s.reloadSettings(); err != nil {
			return nil, err
		}
	}
	if _, err := t.exec(`RELEASE try`); err != nil {
		return nil, classify(fmt.Errorf("release savepoint: %w", err))
	}
	return err, nil
}

// failure classifies the error of a change. A statement of ours that SQLite does not
// understand may have met a schema whose text is damaged, which never passes.
func (t *tx) failure(err error) error {
	err = classify(err)
	se, ok := errors.AsType[*sqlite.Error](err)
	if !ok || errors.Is(err, ErrUnavailable) || se.Code()&0xff != sqlite3.SQLITE_ERROR {
		return err
	}
	wants, e1 := writtenSchema()
	has, e2 := t.conn.schema()
	if e1 != nil || e2 != nil {
		return errors.Join(err, e1, e2)
	}
	for name, text := range wants {
		if has[name] != text {
			err = fmt.Errorf("the %s in the file is not as it was written: %w", name, err)
			return &UnavailableError{Cause: CauseDamaged, Err: err}
		}
	}
	return err
}

// guarded turns a panic into an error, so that one poison row neither stops the
// process nor the rest of its group.
func guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: panic while applying a change: %v", p)
		}
	}()
	return do()
}

func (s *Store) rollback() {
	// SQLite has already rolled back after some errors; then this fails and
	// there is nothing left to do.
	_, _ = s.conn.exec(`ROLLBACK`)
	if err := s.reloadSettings(); err != nil {
		s.log.Error("the settings can't be read back; the file is opened again", "error", err.Error())
		s.dropConn()
		return
	}
	s.settings.touched = false
}

// reloadSettings reads the settings again after a rollback that may have taken
// back a change to them. What others of the transaction changed stays to be
// published.
func (s *Store) reloadSettings() error {
	if !s.settings.touched {
		return nil
	}
	st, err := loadSettings(s.conn)
	if err != nil {
		return err
	}
	st.touched = true
	s.settings = st
	return nil
}
