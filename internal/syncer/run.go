package syncer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"stockroom/internal/shopify"
	"stockroom/limiter"
	"stockroom/store"
)

// The phases of a run, as its row shows them.
const (
	phaseWaiting   = "waiting"   // for its turn at Shopify
	phaseExporting = "exporting" // Shopify writes the bulk result
	phaseReading   = "reading"   // the bulk result is read and stored
	phaseListing   = "listing"   // ids and times are read
	phaseRepairing = "repairing" // products are fetched by their ids
	phaseRemoving  = "removing"  // what the shop does not have any more goes
)

// underWay is a run that is made now.
type underWay struct {
	Run     store.SyncRun
	Phases  map[string]time.Time // when each phase began
	waiting string               // why it waits, "" when it does not
	cause   string               // the same as a code, as causeOf gives it
	until   time.Time            // when it goes on
	found   int                  // products that it has found to differ
	differ  int                  // of them those that it has not mended
	since   time.Time            // when it found them
}

// progress holds the runs that are under way, by shop. What looks bring is held
// apart from the other runs: it goes on beside them.
type progress struct {
	mu     sync.Mutex
	runs   map[string]*underWay
	nudges map[string]chan struct{} // by shop
}

// of returns a shop's run and when its present phase began; false: none is
// under way.
func (p *progress) of(shop string) (store.SyncRun, time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	have, ok := p.runs[shop]
	if !ok {
		return store.SyncRun{}, time.Time{}, false
	}
	run := have.Run
	run.Cause = have.cause
	return run, have.Phases[run.Phase], true
}

// waits returns why a shop's run waits and until when; "" when it does not.
func (p *progress) waits(shop string) (why string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have := p.runs[shop]; have != nil {
		return have.waiting, have.until
	}
	return "", time.Time{}
}

func (p *progress) set(run store.SyncRun, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	have := p.runs[run.Shop]
	if have == nil || have.Run.ID != run.ID {
		if p.runs == nil {
			p.runs = map[string]*underWay{}
		}
		have = &underWay{Phases: map[string]time.Time{}}
		p.runs[run.Shop] = have
	}
	have.Run = run
	if _, ok := have.Phases[run.Phase]; !ok {
		have.Phases[run.Phase] = now
	}
}

// wait notes why a run waits and until when; "" that it goes on.
func (p *progress) wait(shop, why, cause string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have := p.runs[shop]; have != nil {
		have.waiting, have.cause, have.until = why, cause, until
	}
}

// found notes how many products a run knows to differ.
func (p *progress) found(shop string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have := p.runs[shop]; have != nil {
		have.found, have.differ, have.since = n, n, time.Now()
	}
}

// mended notes that one more of them is as in the shop.
func (p *progress) mended(shop string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have := p.runs[shop]; have != nil && have.differ > 0 {
		have.differ--
	}
}

// differ is how many products a shop's run knows to differ and has not mended,
// since when, and about when it will have: zero when that can't be told yet.
func (p *progress) differ(shop string, now time.Time) (n int, since, ends time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	have := p.runs[shop]
	if have == nil || have.differ == 0 {
		return 0, time.Time{}, time.Time{}
	}
	if done := have.found - have.differ; done > 0 {
		ends = now.Add(now.Sub(have.since) / time.Duration(done) * time.Duration(have.differ))
	}
	return have.differ, have.since, ends
}

func (p *progress) end(shop string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.runs, shop)
}

// nudge is a channel that is closed when a shop's run has to look again.
func (p *progress) nudge(shop string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nudges == nil {
		p.nudges = map[string]chan struct{}{}
	}
	c := p.nudges[shop]
	if c == nil {
		c = make(chan struct{})
		p.nudges[shop] = c
	}
	return c
}

// lookAgain ends what a shop's run waits for: there is news of its bulk operation,
// or a person wants it to go on.
func (p *progress) lookAgain(shop string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.nudges[shop]; c != nil {
		close(c)
		delete(p.nudges, shop)
	}
}

// run is one sync while it is made.
type run struct {
	s         *Syncer
	shop      string
	class     limiter.Class
	operation string // its name in metrics
	progress  *progress
	started   time.Time
	began     time.Time // in this process, by the clock that only goes forward
	beganWall int64     // the same by the other one, Unix milliseconds
	meter     *shopify.Meter
	mayRemove bool // the app's rights were looked at
	resumed   bool // an earlier process began it

	mu        sync.Mutex // guards what follows; fetches run side by side
	row       store.SyncRun
	asides    []string // what went wrong beside the work itself
	queued    int      // products that could not be fetched and are left to the queue
	differed  int      // products of which the copy was not as a read showed
	refused   int      // products that are dated later here than a read showed
	vanished  int      // products of a bulk result that were gone when they were read by themselves
	hard      int      // of them in a row, answers that could not be read
	exporting bool     // an operation may run at Shopify
}

// errRemoved ends a run whose shop was removed.
var errRemoved = errors.New("the shop was removed")

// makeRun makes one run of a shop. One that an earlier process left is taken up.
func (s *Syncer) makeRun(ctx context.Context, shop string, p *planned) (store.SyncRun, error) {
	row := store.SyncRun{Shop: shop, Kind: store.RunReconcile, Trigger: p.trigger, DryRun: p.dryRun, Phase: phaseListing}
	class, operation, make := limiter.Reconcile, p.name, (*run).reconcile
	switch p.name {
	case scheduleFull:
		row.Kind, row.Phase = store.RunFull, phaseWaiting
		class, operation, make = limiter.Bulk, "bulk_sync", (*run).full
		if p.resume != nil {
			row = *p.resume
		}
	case scheduleIncremental:
		row.Kind, make = store.RunIncremental, (*run).incremental
	}
	r, ctx := s.newRun(ctx, row, class, operation)
	if err := r.begin(ctx); err != nil {
		return store.SyncRun{}, err
	}
	s.begins(r.shop, r.row.ID)
	r.resumed = p.resume != nil
	return r.end(ctx, make(r, ctx))
}

// newRun is a run that has no row yet, or one that an earlier process left.
func (s *Syncer) newRun(ctx context.Context, row store.SyncRun, class limiter.Class, operation string) (*run, context.Context) {
	r := &run{s: s, shop: row.Shop, class: class, operation: operation, progress: &s.progress, meter: &shopify.Meter{}, row: row, began: time.Now()}
	if row.ID == 0 {
		r.row.State, r.row.StartedAt = store.RunRunning, store.MillisOf(r.began)
	}
	r.started, r.beganWall = r.row.StartedAt.Time(), r.began.UnixMilli()
	return r, shopify.WithMeter(ctx, r.meter)
}

// begin writes the run's row, or takes up the one that it has.
func (r *run) begin(ctx context.Context) error {
	if r.row.ID == 0 {
		made, err := asked(ctx, r, func(ctx context.Context) (store.SyncRun, error) { return r.s.o.Store.StartRun(ctx, r.row) })
		if err != nil {
			return err
		}
		r.row = made
	}
	r.progress.set(r.row, time.Now())
	return nil
}

// clockPutBack reports whether the clock was put back since the run began. What
// was stored since may then look older than the run, and order is by time.
func (r *run) clockPutBack(now time.Time) bool {
	return now.Sub(r.began)-time.Duration(now.UnixMilli()-r.beganWall)*time.Millisecond > time.Second
}

const clockWords = "the clock of this machine was put back during it, so it proves nothing"

// phase moves the run on, and saves it.
func (r *run) phase(ctx context.Context, phase string) error {
	r.show(func(row *store.SyncRun) { row.Phase = phase })
	return r.save(ctx)
}

// save writes the run's row.
func (r *run) save(ctx context.Context) error {
	// Not by ask: how a run ended is written for a paused shop too.
	for {
		row := r.now()
		if row.State == store.RunRunning { // that it ended is told when it is stored
			r.progress.set(row, time.Now())
		}
		err := r.s.o.Store.SaveRun(ctx, row)
		if err == nil || ctx.Err() != nil || !errors.Is(err, store.ErrUnavailable) {
			return err
		}
		if err := r.waitFor(ctx, err, time.Now().Add(catalogueWait)); err != nil {
			return err
		}
	}
}

// now is the run's row with what it cost so far.
func (r *run) now() store.SyncRun {
	r.mu.Lock()
	defer r.mu.Unlock()
	row := r.row
	row.Calls += r.meter.Calls()
	row.Points += r.meter.Points()
	return row
}

// show puts what the run has done so far on the page.
func (r *run) show(change func(row *store.SyncRun)) {
	r.mu.Lock()
	change(&r.row)
	r.mu.Unlock()
	r.progress.set(r.now(), time.Now())
}

// aside notes what went wrong without stopping the run.
func (r *run) aside(what string, err error) {
	r.s.log.Debug("a part of a sync failed; the sync goes on without it", "shop", r.shop, "part", what, "error", err.Error())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asides = append(r.asides, what+": "+wordsOf(err))
}

// lastSave bounds the writing of a run's end.
const lastSave = 15 * time.Second

// end writes how the run ended and returns its row. A run that the end of the
// process cuts short stays as it is: the next process finds it.
func (r *run) end(ctx context.Context, err error) (store.SyncRun, error) {
	defer r.progress.end(r.shop)
	if r.progress == &r.s.progress {
		r.s.ends(r.shop)
	}
	cause := context.Cause(ctx)
	if err != nil && ctx.Err() != nil {
		err = cause
		if !errors.Is(cause, errCancelled) && !errors.Is(cause, errDeadline) && !errors.Is(cause, context.DeadlineExceeded) {
			return r.now(), err
		}
		if errors.Is(cause, errDeadline) {
			err = fmt.Errorf("%w; it was still in the phase %s", errDeadline, r.now().Phase)
		}
	}
	if n, _, _ := r.progress.differ(r.shop, time.Now()); err != nil && n > 0 {
		// What is known to differ is not in step, whatever was proven before.
		if e := r.s.wantComparison(r.shop, brokenOff(n), time.Now()); e != nil {
			r.s.log.Warn("that products differ can't be noted", "shop", r.shop, "error", e.Error())
		}
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
	defer cancel()
	r.mu.Lock()
	r.row.Phase, r.row.FinishedAt = "", store.MillisOf(time.Now())
	switch {
	case err == nil:
		r.row.State = store.RunDone
		if r.row.Error == "" && len(r.asides) > 0 {
			r.row.Error = strings.Join(r.asides, "; ")
		}
	case errors.Is(err, errCancelled):
		r.row.State, r.row.Error = store.RunCancelled, ""
	default:
		r.row.State, r.row.Error, r.row.Cause = store.RunFailed, wordsOf(err), causeOf(err)
	}
	if err != nil {
		r.row.Proven, r.row.ProvenAt = false, 0
	}
	operation, exporting := r.row.Operation, r.exporting
	r.mu.Unlock()
	if exporting {
		// Nobody waits for it any more. Whether it still runs is not known; one that
		// has ended refuses.
		if e := r.s.o.API.CancelBulk(late, r.shop, r.class, operation); e != nil && shopify.KindOf(e) != shopify.KindRefused {
			r.s.log.Debug("a bulk operation can't be cancelled", "shop", r.shop, "error", e.Error())
		}
	}
	if err == nil {
		r.s.o.Telemetry.Duration(r.shop, r.operation, time.Since(r.started))
	} else if !errors.Is(err, errCancelled) {
		r.s.count(r.shop, r.operation, err)
	}
	if e := r.save(late); e != nil {
		r.s.log.Warn("how a sync ended can't be stored; it is made again", "shop", r.shop, "error", e.Error())
		return r.now(), errors.Join(err, e)
	}
	if r.row.Kind == store.RunFull {
		r.clear(late)
	}
	if row, e := r.s.o.Store.Run(late, r.now().ID); e == nil {
		return row, err
	}
	return r.now(), err
}

// brokenOff is why a comparison follows one that found differences and did not
// mend them all; 0: how many is not known.
func brokenOff(differ int) string {
	switch differ {
	case 0:
		return "some products differ from the shop's, and Stockroom was stopped while it read them"
	case 1:
		return "1 product was found to differ from the shop's and was not read"
	}
	return fmt.Sprintf("%d products were found to differ from the shop's and not all of them were read", differ)
}

// wordsOf says in a part of a sentence which step failed.
func wordsOf(err error) string {
	var e *shopify.Error
	switch {
	case errors.As(err, &e):
		return e.Words()
	case errors.Is(err, store.ErrUnavailable):
		return "the catalogue can't be written now"
	}
	return err.Error()
}

// Causes of a run that no call to the API stands for.
const (
	causeCatalogue = "catalogue" // products.db
	causeDownload  = "download"  // the file that an export has written
	causeExport    = "export"    // Shopify did not write it
	causeDeadline  = "deadline"  // it took longer than a run may
	causeRoom      = "room"      // the disk is needed for deliveries
)

// causeOf is the step that failed as a code: the kind of the call that is behind
// it, the reason of the shop's pause, or one of those above; "" for none of them.
func causeOf(err error) string {
	var e *shopify.Error
	var d *shopify.DownloadError
	var x *exportError
	var full *noRoomError
	var paused *shopPaused
	switch {
	case errors.As(err, &paused):
		return paused.cause
	case errors.As(err, &e):
		return e.Root().Kind.String()
	case errors.As(err, &d):
		return causeDownload
	case errors.As(err, &x):
		return causeExport
	case errors.As(err, &full):
		return causeRoom
	case errors.Is(err, store.ErrUnavailable):
		return causeCatalogue
	case errors.Is(err, errDeadline):
		return causeDeadline
	}
	return ""
}
