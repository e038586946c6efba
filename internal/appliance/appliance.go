package appliance

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/breaker"
	"stockroom/internal/admit"
	"stockroom/internal/backup"
	"stockroom/internal/certs"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/notify"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/internal/status"
	"stockroom/internal/syncer"
	"stockroom/internal/telemetry"
	"stockroom/limiter"
	"stockroom/queue"
	"stockroom/store"
	"stockroom/web"
	"stockroom/webhook"
)

// Options are what the appliance needs besides the settings.
type Options struct {
	Settings config.Settings
	Version  string
	Logger   *slog.Logger
	// LogLeftOut counts the log lines that nobody took; nil: none.
	LogLeftOut func() uint64
	// Demo: the shop is simulated; the page says so.
	Demo bool
	// Manual: no sync is made automatically, only those that are asked for.
	Manual bool
	// Opening tells others how far Open has come; nil for nobody.
	Opening *Opening
	// Stopping is told what a stop waits for, from its beginning on; nil for nobody.
	Stopping func(what string)
	// Transport carries the calls to Shopify, for tests; nil the client's own.
	Transport http.RoundTripper
	// Messages carries messages by HTTP, for tests; nil the usual one.
	Messages http.RoundTripper
	// Callback listens where Shopify's consent page sends the browser to, for tests;
	// nil: on this machine.
	Callback func(address string) (net.Listener, error)
	// StoreFault is handed to the catalogue, for tests.
	StoreFault func(point string) error
	// QueueFault is handed to the queue, for tests.
	QueueFault func(step string) error
	// Table replaces the table of health, for tests that break one; nil: the whole.
	Table []status.Row
}

// Appliance is an opened data dir with everything that works on it.
type Appliance struct {
	opt       Options
	log       *slog.Logger
	raw       *slog.Logger // log, with what follows from the loss of the data dir
	started   time.Time
	dir       *datadir.Dir
	lost      context.Context // done when the data dir is not the opened one any more
	lose      context.CancelCauseFunc
	loseOnce  sync.Once
	state     *state.Store
	store     *store.Store
	queue     *queue.Queue
	set       *metrics.Set
	telemetry *telemetry.Recorder
	intake    *webhook.Intake
	limiter   *limiter.Limiter
	breaker   *breaker.Breaker
	client    *shopify.Client
	syncer    *syncer.Syncer
	account   admit.Account
	web       *web.Server
	watch     status.QueueWatch
	taken     atomic.Value // of []string, see Taken
	status    *status.Reader
	notify    *notify.Notifier
	space     space
	// unmirrored: the catalogue could not be told of a shop or selection yet.
	unmirrored atomic.Bool
	// productsLost is what became of products.db before the start, as a person is told it; "" for nothing.
	productsLost string
	// loss tells it from other losses: the newest change that products.db should have
	// held, or when this process began.
	loss int64
	// stateOlder: this start found an earlier copy in the place of state.db, and a newer
	// products.db.
	stateOlder  bool
	unclosed    bool        // the last run did not close products.db, and its log is gone
	agesUnknown bool        // this start could not compare the stores' generations
	proved      atomic.Bool // a run has proven a copy since the generation was raised
	retired     retired
	token       string
	elsewhere   []string                    // other data dirs that hold shops, of one that held none at the start
	public      atomic.Pointer[string]      // host:port of the public listener while it serves
	certs       atomic.Pointer[certs.Certs] // while it serves HTTPS
	unplain     atomic.Pointer[string]      // then: why port 80 is not served, "" where it is
	trips       trips
	consents    *consents
	backing     sync.Mutex // held while a backup copies the stores
	schedule    backup.Schedule
}

// Open opens the data dir and its stores without serving anything. Errors that
// concern the dir or its lock are a *datadir.DirError or *datadir.LockedError.
// When ctx ends before everything is open, Open returns, however slow the disk is; the
// process has to end then.
func Open(ctx context.Context, o Options) (*Appliance, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Appliance{opt: o, log: o.Logger, started: time.Now(), set: metrics.NewSet()}
	a.lost, a.lose = context.WithCancelCause(context.Background())
	if a.opt.Callback == nil {
		a.opt.Callback = func(address string) (net.Listener, error) { return net.Listen("tcp", address) }
	}
	a.consents = newConsents(a)
	a.telemetry = telemetry.New(metrics.NewSet()) // of its own, since /metrics/shopify serves it alone
	if a.opt.Opening == nil {
		a.opt.Opening = new(Opening)
	}
	if a.opt.Stopping == nil {
		a.opt.Stopping = func(string) {}
	}
	err := a.opt.Opening.run(ctx, a.log, func() error {
		if err := a.open(ctx); err != nil {
			return errors.Join(err, a.Close())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Appliance) open(ctx context.Context) error {
	s, opening := a.opt.Settings, a.opt.Opening
	var err error
	opening.at("the data dir")
	if a.dir, err = datadir.Open(s.DataDir, datadir.Options{}); err != nil {
		return err
	}
	a.raw, a.log = a.log, slog.New(afterLoss{a.log.Handler(), a.dir})
	for _, w := range a.dir.Warnings {
		a.log.Warn(w)
	}
	// The files are made in the order in which they are opened here, so that one
	// that is missing beside a later one was lost.
	opening.at(datadir.StateFile)
	queued := !a.dir.Missing(datadir.QueueFile)
	stateLost := queued || !a.dir.Missing(datadir.ProductsFile)
	a.state, err = state.Open(a.dir.File("state.db"), time.Now(),
		state.Options{Folder: a.dir.Folder(), Logger: a.log, Shop: s.Shop, Existing: stateLost})
	if err != nil {
		return err
	}
	lines := telemetry.Lines(a.log) // a delivery that is sent again can make them fail and recover
	opening.at(datadir.ProductsFile)
	mark := a.state.Watermark().Seq
	connected := slices.ContainsFunc(a.state.Shops(), func(s state.Shop) bool { return !s.Declared })
	if a.dir.Missing(datadir.ProductsFile) && (queued || connected || mark > 0) {
		a.productsLost = "products.db was missing at this start: it was removed or lost, with all products in it. " +
			"A new one was made."
		mark++ // it may have held one more, and each loss is another one
		if err := a.state.RaiseWatermark(mark, time.Now()); err != nil {
			a.log.Warn("that products.db was missing can't be noted now", "error", err.Error())
		}
	}
	a.loss = mark
	a.unclosed = backup.Unclosed(a.state) && !a.dir.Missing(datadir.ProductsFile) && !a.hasLog()
	if a.state.Watermark().Lost && a.productsLost == "" {
		a.productsLost, a.loss = "A file of products.db was removed or replaced by another program before the last stop: "+
			"changes that were stored may be missing.", a.started.UnixMilli()
	}
	a.store, err = store.Open(ctx, store.Options{
		Path: a.dir.File("products.db"), Folder: a.dir.Folder(), Watermark: mark,
		KeepDeliveries: s.KeepDeliveries, KeepChanges: s.KeepChanges,
		Logger: lines, Metrics: a.set, Fault: a.opt.StoreFault, Lost: a.noteCatalogueLost,
	})
	if err != nil {
		return err
	}
	opening.at(datadir.QueueFile)
	known, _ := a.store.Shops(ctx) // that an earlier start told it, with all files open
	a.queue, err = queue.Open(queue.Options{
		Path: a.dir.File("queue.db"), Folder: a.dir.Folder(), Existing: max(a.store.LastSeq(), mark) > 0 || len(known) > 0,
		RetryDelay: s.RetryDelay, MaxAttempts: s.RetryAttempts,
		Logger: lines, OnCommit: a.queueCommit, Fault: a.opt.QueueFault,
	})
	if err != nil {
		return err
	}
	if err := cmp.Or(ctx.Err(), a.lookForRollBack(ctx)); err != nil {
		return err
	}
	a.lookAtSpace()
	a.registerSpace()
	if left := a.opt.LogLeftOut; left != nil {
		a.set.NewGauge("stockroom_log_lines_left_out_total", func() float64 { return float64(left()) })
	}
	if err := a.openOutbound(); err != nil {
		return err
	}
	a.intake = webhook.New(webhook.Options{
		Catalogue: a.store, Queue: a.queue, Telemetry: a.telemetry, Metrics: a.set, Logger: a.log,
		MaxBody: s.MaxBody, TrustedProxies: s.TrustedProxies,
		ShopTime: a.client.Now, Wanted: a.syncer.Wanted, Heard: a.store.Heard, Redact: a.redact, Proven: proven, Proved: proved,
	})
	if err := a.loadShops(ctx); err != nil {
		return err
	}
	a.settleUnclosed()
	a.settleRestore()
	if err := a.wantSyncs(ctx); err != nil && !errors.Is(err, store.ErrUnavailable) {
		return err // else it is repeated with the shops
	}
	if err := a.syncer.Load(ctx); err != nil && !errors.Is(err, store.ErrUnavailable) {
		return err
	}
	a.raise(ctx)
	a.noteOpen()
	if a.token, err = newToken(); err != nil {
		return err
	}
	a.lookElsewhere()
	a.openSchedule()
	if err := a.openNotify(); err != nil {
		return err
	}
	a.openStatus()
	a.account = admit.OpenAccount(a.state, s, a.log)
	a.web = web.New(a.webOptions())
	return nil
}

// Close closes what Open opened. Run has ended before. When the data dir was lost
// it only gives that up: the process ends, what is on disk is whole at every
// moment, and SQLite would remove the log of whatever is at the path now.
func (a *Appliance) Close() error {
	var errs []error
	a.consents.close()
	if a.dir != nil {
		known := a.lost.Err() != nil
		if a.noteLost(a.dir.Folder().Check()); a.lost.Err() != nil {
			if !known {
				errs = append(errs, context.Cause(a.lost))
			}
			return errors.Join(append(errs, a.dir.Close())...)
		}
	}
	if a.token != "" && !a.opt.Manual { // all was opened
		a.opt.Stopping("the stores")
		limited, cancel := context.WithTimeout(context.Background(), raiseFor)
		a.raise(limited)
		cancel()
	}
	end := func(what string, open bool, closes func() error) {
		if open {
			a.opt.Stopping(what)
			errs = append(errs, closes())
		}
	}
	end("queue.db", a.queue != nil, a.queue.Close)
	end("state.db", a.state != nil, a.closeOutbound)
	if a.store != nil && a.state != nil {
		errs = append(errs, a.state.RaiseWatermark(a.store.LastSeq(), time.Now()))
	}
	end("products.db", a.store != nil, a.closeCatalogue)
	end("state.db", a.state != nil, a.state.Close)
	end("the data dir", a.dir != nil, a.dir.Close)
	return errors.Join(errs...)
}

func (a *Appliance) queueCommit(c queue.Commit) {
	a.watch.Commit(c)
	a.space.queueCommit(c)
	a.noteLost(c.Err)
}

func newToken() (string, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make the admin token: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// command writes a command line that concerns this data dir.
func (a *Appliance) command(words string) string { return a.opt.Settings.Command(words) }

// Token is the admin token of this run.
func (a *Appliance) Token() string { return a.token }

// Admin is the handler of the status page and the API.
func (a *Appliance) Admin() http.Handler { return a.web.Admin() }
