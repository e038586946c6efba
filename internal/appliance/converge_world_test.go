package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/breaker"
	"stockroom/internal/admit"
	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/folder"
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

const (
	convergeShop       = "my-shop.myshopify.com"
	notificationSecret = "the shop's own secret"
)

// world is a shop and the parts of an appliance that follow it, without what has
// no say in what is stored: pages, data dir, listeners. It lives on the clock of
// a bubble and can lose its process at any commit.
type world struct {
	*Appliance
	shop *fakeshopify.Shop
	base string // holds a directory for each life
	life int
	// served: as under stockroom serve, with schedules, subscriptions that we
	// register, upkeep, data dir and page. table is the table of health then, nil
	// for the whole one.
	served bool
	table  []status.Row
	// pull: in pull mode, from the next life on. kept: subscriptions that are there
	// stay then, so that deliveries still come.
	pull, kept bool
	// source is where the subscriptions come from: one of the constants below.
	source string
	// messages, when set, takes what is told when something is wrong.
	messages http.RoundTripper
	// prepared, when set, is called when the shop is there and before we are.
	prepared func()

	deaf    atomic.Bool                      // deliveries do not reach us
	renamed atomic.Bool                      // deliveries come under another name of the shop
	offline atomic.Bool                      // calls do not reach the shop
	full    atomic.Bool                      // the catalogue's disk is full
	jammed  atomic.Bool                      // the queue can't be written
	heard   func(in *http.Request, code int) // is told of each answer to a delivery; nil: nobody
	trap    atomic.Pointer[trap]
	lives   atomic.Int64 // raised when a process is dead: whatever it answers is lost
	stop    func() error
	silent  func() // ends the shop's own deliveries

	mu      sync.Mutex
	secrets []string // that the shop had, the oldest first
	known   int      // of them, to us
}

// trap stops the writer at a point of a commit and keeps it there.
type trap struct {
	point string
	nth   int32
	hit   chan struct{}
	free  chan struct{}
}

// blank makes the files of a new data dir once; each world begins with copies.
func blank(dir string) error {
	w := &world{base: dir}
	w.Appliance = &Appliance{}
	if err := w.openFiles(filepath.Join(dir, "0")); err != nil {
		return err
	}
	return errors.Join(w.queue.Close(), w.store.Close(), w.state.Close())
}

func (w *world) openFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var err error
	if w.state, err = state.Open(filepath.Join(dir, "state.db"), time.Now(), state.Options{}); err != nil {
		return err
	}
	if w.store, err = store.Open(context.Background(), store.Options{Path: filepath.Join(dir, "products.db"), Watermark: w.state.Watermark().Seq, Fault: w.fault, LookEvery: time.Minute}); err != nil {
		return err
	}
	w.queue, err = queue.Open(queue.Options{Path: filepath.Join(dir, "queue.db"), OnCommit: w.watch.Commit, Fault: w.queueFault})
	return err
}

// topics are those that are subscribed to.
var topics = []string{
	fakeshopify.TopicCreate, fakeshopify.TopicUpdate, fakeshopify.TopicDelete,
	fakeshopify.TopicInventoryLevel, fakeshopify.TopicInventoryItem, fakeshopify.TopicBulkFinish,
}

// The sources of subscriptions. Where they are made elsewhere, the API lists none of
// them and takes no others.
const (
	byUs            = ""
	byFile          = "the app's configuration file"
	byNotifications = "the shop's notifications"
	byEvents        = "the app's Events"
	byNobody        = "nobody"
)

// subscribe makes the subscriptions that are not made by the appliance. Settings,
// Notifications knows no topic of stock.
func (w *world) subscribe() {
	if w.source != byUs {
		w.shop.RefuseSubscriptions("This app subscribes elsewhere")
	}
	for _, topic := range topics {
		at := worldURL + syncer.HookPath(topic)
		switch {
		case w.source == byUs && !w.served:
			w.shop.Subscribe(topic, at)
		case w.source == byFile:
			w.shop.SubscribeApp(topic, at)
		case w.source == byNotifications && strings.HasPrefix(topic, "products/"):
			w.shop.SubscribeNotification(topic, at)
		}
	}
	if w.source == byEvents {
		for _, topic := range []string{fakeshopify.TopicProductEvent, fakeshopify.TopicItemEvent} {
			w.shop.SubscribeEvents(fakeshopify.EventSubscription{Handle: "stockroom-" + topic, Topic: topic,
				Actions: []string{"create", "update", "delete"}, URI: worldURL + "/webhooks/shopify/events"})
		}
	}
}

// worldURL is where the shop reaches us.
const worldURL = "https://stockroom.example"

// enter begins the world, with copies of the blank files.
func (w *world) enter(from string, o fakeshopify.Options) error {
	inbound := http.HandlerFunc(w.deliver)
	o.Shop = convergeShop
	o.Topics = topics
	o.NotificationSecret = notificationSecret
	if w.source != byUs || w.pull && !w.kept {
		o.Target = ""
	}
	o.Client = &http.Client{Transport: fakeshopify.Transport(inbound)}
	w.shop = fakeshopify.New(o)
	w.secrets = []string{w.shop.Secret()}
	if w.source != byUs {
		w.subscribe()
	}
	if err := copyDir(filepath.Join(from, "0"), w.dirOf(0)); err != nil {
		return err
	}
	if w.prepared != nil {
		w.prepared()
	}
	if err := w.begin(); err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.shop.Run(ctx, 0) // always nil
	}()
	w.silent = func() {
		end()
		<-done
	}
	return nil
}

func (w *world) dirOf(life int) string { return filepath.Join(w.base, fmt.Sprint(life)) }

// begin opens the parts in the present life's directory and starts the workers.
func (w *world) begin() error {
	old := w.Appliance
	w.Appliance = &Appliance{log: slog.New(slog.DiscardHandler), set: metrics.NewSet()}
	if old != nil {
		w.retired.secrets = nil
	}
	w.telemetry = telemetry.New(metrics.NewSet())
	dir := w.dirOf(w.life)
	w.mu.Lock()
	w.known = 0 // what the files do not know any more is told again
	w.mu.Unlock()
	if err := w.openFiles(dir); err != nil {
		return err
	}
	if _, known := w.state.Shop(convergeShop); !known {
		if err := errors.Join(w.state.AddShop(convergeShop, "", time.Now()), w.learn(),
			w.state.Seed(limiter.Buckets), w.state.Seed(breaker.Buckets)); err != nil {
			return err
		}
	}
	noUptime := func() (string, time.Duration, bool) { return "", 0, false }
	var err error
	if w.limiter, err = limiter.Open(w.state, limiter.Options{Uptime: noUptime, OnLimited: w.telemetry.RateLimited}); err != nil {
		return err
	}
	if w.breaker, err = breaker.Open(w.state, breaker.Options{Uptime: noUptime}); err != nil {
		return err
	}
	w.client, err = shopify.New(shopify.Options{
		BaseURL: func(shop string) string { return "https://" + shop }, Version: "2026-10", Credentials: credentials{w.state},
		Limiter: w.limiter, Breaker: w.breaker, Transport: line{fakeshopify.Transport(w.shop.Handler()), w},
	})
	if err != nil {
		return err
	}
	s := config.Settings{SigningSecret: config.NewSecret(notificationSecret)}
	if w.served {
		s.ReconcileEvery, s.FullSyncEvery = time.Hour, 24*time.Hour
		if !w.pull {
			s.PublicURL = worldURL
		}
		if w.dir, err = datadir.Open(dir, datadir.Options{Ballast: -1}); err != nil {
			return err
		}
	}
	spills, err := folder.Open(dir)
	if err != nil {
		return err
	}
	if w.messages != nil {
		s.Notify, s.NotifyAfter = config.NewSecret("https://receiver.test/hook"), 10*time.Minute
	}
	w.opt = Options{Settings: s, Table: w.table, Messages: w.messages}
	if err := w.openNotify(); err != nil {
		return err
	}
	w.syncer = syncer.New(syncer.Options{
		API: w.client, Store: w.store, State: w.state, Queue: w.queue, Telemetry: w.telemetry, Manual: !w.served && !w.pull, Folder: spills, Changed: w.shopChanged,
		PublicURL: s.PublicURL, ReconcileEvery: s.ReconcileEvery, FullSyncEvery: s.FullSyncEvery, Pull: w.pull, Unsubscribe: w.pull && !w.kept,
	})
	w.intake = webhook.New(webhook.Options{Catalogue: w.store, Queue: w.queue, Telemetry: w.telemetry, Metrics: w.set, ShopTime: w.client.Now, Wanted: w.syncer.Wanted, Heard: w.store.Heard})
	if err := errors.Join(w.loadShops(context.Background()), w.syncer.Load(context.Background())); err != nil && !(w.served && errors.Is(err, store.ErrUnavailable)) {
		return err
	}
	work, cancel := context.WithCancel(context.Background())
	workers := []func() error{
		func() error { return w.intake.Run(work) },
		func() error { return w.syncer.Run(work) },
	}
	if w.served {
		if w.messages != nil {
			workers = append(workers, func() error { w.watchStatus(work); return nil }, func() error { w.notify.Run(work); return nil })
		}
		w.openStatus()
		w.account = admit.OpenAccount(w.state, s, w.log)
		w.token = "admin"
		w.web = web.New(w.webOptions())
		workers = append(workers, func() error { w.upkeep(work); return nil }, func() error { w.watchSpace(work); return nil })
	}
	ended := make(chan error, len(workers))
	for _, do := range workers {
		go func() { ended <- do() }()
	}
	w.stop = func() error {
		cancel()
		var errs []error
		for range workers {
			errs = append(errs, <-ended)
		}
		w.client.Close()
		errs = append(errs, w.queue.Close(), w.limiter.Close(), w.store.Close(), w.state.Close())
		if w.dir != nil {
			errs = append(errs, w.dir.Close())
		}
		return errors.Join(errs...)
	}
	return nil
}

// line carries calls to the shop, unless there is no network. As served they take
// their time.
type line struct {
	http.RoundTripper
	w *world
}

func (l line) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.w.served {
		time.Sleep(80 * time.Millisecond)
	}
	if l.w.offline.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ENETUNREACH}
	}
	return l.RoundTripper.RoundTrip(r)
}

// deliver is where the shop's webhooks arrive. What a process that has died
// meanwhile would have answered never leaves.
func (w *world) deliver(out http.ResponseWriter, in *http.Request) {
	life, intake := w.lives.Load(), w.intake
	if w.deaf.Load() {
		panic(http.ErrAbortHandler)
	}
	if w.renamed.Load() {
		in.Header.Set("X-Shopify-Shop-Domain", otherName)
	}
	rec := httptest.NewRecorder()
	intake.ServeHTTP(rec, in)
	if w.lives.Load() != life {
		panic(http.ErrAbortHandler)
	}
	if w.heard != nil {
		w.heard(in, rec.Code)
	}
	out.WriteHeader(rec.Code)
	_, _ = out.Write(rec.Body.Bytes()) // to a pipe of the same process
}

// otherName is the shop's name where it was renamed.
const otherName = "our-shop.myshopify.com"

// queueFault is called at the points of a commit of the queue.
func (w *world) queueFault(string) error {
	if w.jammed.Load() {
		return syscall.ENOSPC
	}
	return nil
}

// fault is called at the points of a commit.
func (w *world) fault(point string) error {
	if t := w.trap.Load(); t != nil && t.point == point && atomic.AddInt32(&t.nth, -1) == 0 {
		w.full.Store(true) // until the next life: nothing more of this one is stored
		close(t.hit)
		<-t.free
	}
	if w.full.Load() {
		return &store.UnavailableError{Cause: store.CauseFull, Err: errors.New("no space left on device")}
	}
	return nil
}

// crash ends the process at a point of its nth commit from now, or at rest when
// none comes, and begins another with the files as they were then.
func (w *world) crash(point string, nth int, patience time.Duration) error {
	t := &trap{point: point, nth: int32(nth), hit: make(chan struct{}), free: make(chan struct{})}
	w.trap.Store(t)
	select {
	case <-t.hit:
	case <-time.After(patience):
		w.trap.Store(nil)
	}
	synctest.Wait() // nobody writes while the files are copied
	w.lives.Add(1)
	from := w.dirOf(w.life)
	w.life++
	if err := copyDir(from, w.dirOf(w.life)); err != nil {
		return err
	}
	w.trap.Store(nil)
	w.full.Store(true)
	close(t.free)
	if err := w.stop(); err != nil {
		return err
	}
	w.full.Store(false)
	if err := os.RemoveAll(from); err != nil {
		return err
	}
	return w.begin()
}

// turn ends the process and begins one in the other mode.
func (w *world) turn() error {
	synctest.Wait()
	w.lives.Add(1) // what is answered from now on is lost
	w.full.Store(true)
	err := w.stop()
	w.full.Store(false)
	if w.pull = !w.pull; !w.pull && len(w.shop.Subscriptions()) == 0 { // by hand, as all there
		w.subscribe()
	}
	return errors.Join(err, w.begin())
}

// clear lets searches of the shop find everything, and waits until they do.
func (w *world) clear() {
	w.shop.SetIndex(0, 0)
	w.shop.BreakFilter(fakeshopify.FilterWorks)
	time.Sleep(indexLag + time.Second)
}

// indexLag is how long searches of a shop may lag behind its edits.
const indexLag = time.Minute

// looked waits for a look that begins from now on, and for the end of what it found.
func (w *world) looked() error {
	asked, limit := time.Now(), time.Now().Add(time.Hour)
	for {
		l := w.syncer.Status(convergeShop, time.Now()).Looking
		if l.Last.After(asked) && l.Waiting == 0 {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("no look was made in an hour: %+v", l)
		}
		time.Sleep(time.Second)
	}
}

// close ends everything.
func (w *world) close() error {
	w.silent()
	return w.stop()
}

// learn gives us the shop's client secrets that we do not know yet, the oldest
// first: each was current once, and may still sign deliveries.
func (w *world) learn() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ; w.known < len(w.secrets); w.known++ {
		secret := config.NewSecret(w.secrets[w.known])
		have, _ := w.state.Credentials(convergeShop)
		var err error
		switch {
		case have.APIKey == "":
			err = w.state.SetCredentials(convergeShop, state.Credentials{APIKey: "app", APISecret: secret})
		case !have.APISecret.Equal(secret):
			have.APISecret, have.PreviousSecret = secret, have.APISecret
			err = w.state.SetCredentials(convergeShop, have)
		}
		if err != nil {
			return err
		}
		if w.intake != nil {
			w.refreshDirectory()
			w.syncer.CredentialsChanged(context.Background(), convergeShop)
		}
	}
	return nil
}

// choose changes the selection as the page does.
func (w *world) choose(sel catalog.Selection) error {
	_, err := shops{w.Appliance}.Select(context.Background(), convergeShop, sel)
	if errors.Is(err, store.ErrUnavailable) {
		return nil // it is told again
	}
	return err
}

// start asks for a run and does not wait for it.
func (w *world) start(kind store.RunKind, dry bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, _ = w.syncer.Start(ctx, convergeShop, kind, dry) // a paused shop is asked later
}

// reconcile makes one comparison and waits for its end. One that began before is
// none of what happened until now.
func (w *world) reconcile() (run store.SyncRun, err error) {
	for asked := store.MillisOf(time.Now()); run.StartedAt < asked && err == nil; {
		run, err = w.reconcileOnce()
	}
	return run, err
}

func (w *world) reconcileOnce() (store.SyncRun, error) {
	limit := time.Now().Add(6 * time.Hour)
	newest := func() (store.SyncRun, error) {
		list, err := w.store.Runs(context.Background(), store.RunFilter{Shop: convergeShop, Kind: store.RunReconcile})
		for _, run := range list {
			if !run.DryRun {
				return run, err
			}
		}
		return store.SyncRun{}, err
	}
	var before store.SyncRun
	for {
		switch run, _, busy := w.underWay(); {
		case time.Now().After(limit):
			p, _ := w.state.Shop(convergeShop)
			return run, fmt.Errorf("no comparison could begin: %+v, pause %+v", run, p.Pause)
		case busy:
			time.Sleep(5 * time.Second)
			continue
		}
		var err error
		if before, err = newest(); err != nil {
			return before, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		id, _ := w.syncer.Start(ctx, convergeShop, store.RunReconcile, false)
		cancel()
		if id != 0 {
			break
		}
		time.Sleep(5 * time.Second)
	}
	for {
		run, err := newest()
		if err != nil {
			return run, err
		}
		if run.ID > before.ID && run.State != store.RunRunning {
			return run, nil
		}
		if time.Now().After(limit) {
			return run, errors.New("the comparison does not end")
		}
		time.Sleep(time.Second)
	}
}

func (w *world) underWay() (store.SyncRun, time.Time, bool) {
	st := w.syncer.Status(convergeShop, time.Now())
	if st.Running == nil {
		return store.SyncRun{}, time.Time{}, false
	}
	return *st.Running, st.Since, true
}

// calm waits until nothing more is to be fetched.
func (w *world) calm() error {
	limit := time.Now().Add(6 * time.Hour)
	for {
		time.Sleep(time.Second) // a wish becomes a job
		list, err := w.store.WantedList(context.Background())
		if err != nil {
			return err
		}
		waiting := 0
		for _, want := range list {
			if want.Kind == store.WantProduct || want.Kind == store.WantInventoryItem {
				waiting++
			}
		}
		for _, k := range w.queue.Stats().Kinds {
			waiting += k.Waiting + k.Leased
		}
		if waiting == 0 {
			return nil
		}
		if time.Now().After(limit) {
			jobs, _, err := w.queue.List(context.Background(), queue.Filter{})
			return fmt.Errorf("%d jobs and wishes are left: %+v, %+v, %v", waiting, jobs, list, err)
		}
		time.Sleep(10 * time.Second)
	}
}

func copyDir(from, to string) error {
	list, err := os.ReadDir(from)
	if err == nil {
		err = os.MkdirAll(to, 0o700)
	}
	if err != nil {
		return err
	}
	for _, f := range list {
		if err := copyFile(filepath.Join(from, f.Name()), filepath.Join(to, f.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
