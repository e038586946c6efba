package appliance

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"stockroom/internal/telemetry"
)

// How long requests in flight may take at a stop, where Shopify waits no longer, and
// at one because the data dir was lost: what they store is refused.
const (
	stopRequests = 5 * time.Second
	stopLost     = time.Second
)

// Serve serves and works until ctx ends, then finishes what is in flight and
// closes the listeners. It announces itself in the data dir's admin.json.
func (a *Appliance) Serve(ctx context.Context, l Listeners) error {
	public, admin := a.trips.watch(a.web.Public(a.intake), false), a.trips.watch(a.web.Admin(), true)
	if l.Admin == nil {
		public = a.trips.watch(a.web.Both(a.intake), false)
	}
	address := dialable(l.Public.Addr())
	a.public.Store(&address)
	defer a.public.Store(nil)
	public, admin = a.unlessLost(public), a.unlessLost(admin)
	f := l.front
	if f == nil {
		f = newFront(l, a.log, public, admin)
	} else {
		f.public.set(public)
		f.admin.set(admin)
	}
	if f.secured != nil {
		a.unplain.Store(&l.Unplain)
		defer a.secure(ctx, f.secured, l)()
	}
	f.connections.mu.Lock()
	f.connections.known = a.intake.Known
	f.connections.mu.Unlock()
	count := func(of func(open, closed int) int) func() float64 {
		return func() float64 { return float64(of(f.connections.count())) }
	}
	a.set.NewGauge(`stockroom_connections_open`, count(func(open, _ int) int { return open }))
	a.set.NewGauge(`stockroom_connections_closed_total`, count(func(_, closed int) int { return closed }))
	for _, srv := range f.servers {
		srv.RegisterOnShutdown(a.web.EndStreams)
	}
	if err := a.dir.Announce(l.AdminURL(), a.token); err != nil {
		a.log.Warn("commands can't find this server", "error", err.Error())
	}
	if l.Ready != nil { // a command that is given now finds the server
		l.Ready()
	}

	// Workers outlive the listeners, so that requests in flight still find them.
	working, stopWorkers := a.Work(ctx)

	grace := stopRequests
	select {
	case <-ctx.Done():
		a.log.Info("stopping: finishing requests in flight")
	case <-f.failed.Done():
		a.log.Error("stopping: a listener ended by itself", "error", context.Cause(f.failed).Error())
	case <-working.Done():
		if a.lost.Err() != nil { // which the log has told
			grace = stopLost
			break
		}
		// Better to end, and be started again, than to serve without a worker.
		a.log.Error("stopping: a worker ended by itself", "error", context.Cause(working).Error())
	}
	a.opt.Stopping("requests in flight")
	errs := []error{f.finish(context.WithoutCancel(ctx), grace, a.log)}
	a.opt.Stopping("jobs and syncs under way")
	errs = append(errs, stopWorkers())
	if a.lost.Err() != nil {
		return context.Cause(a.lost) // and of nothing that followed from it
	}
	return errors.Join(errs...)
}

// front answers on the listeners from before the data dir is open until the end.
type front struct {
	public, admin door
	connections   *connections // of the public listener
	secured       *secured     // nil for no TLS
	servers       []*http.Server
	listeners     []*connections  // of each
	failed        context.Context // done when a listener ended by itself
	wait          func() error
}

// door is a handler that can be replaced while requests come.
type door struct{ h atomic.Pointer[http.Handler] }

func (d *door) set(h http.Handler) { d.h.Store(&h) }

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*d.h.Load()).ServeHTTP(w, r) }

// newFront serves public and, where there is a listener for it, admin.
func newFront(l Listeners, log *slog.Logger, public, admin http.Handler) *front {
	f := &front{connections: &connections{Listener: l.Public, most: publicMost}}
	f.public.set(public)
	f.admin.set(admin)
	g, failed := errgroup.WithContext(context.Background())
	f.failed, f.wait = failed, g.Wait
	start := func(ln *connections, h http.Handler, serve func(*http.Server, net.Listener) error) {
		srv := newServer(h, log)
		f.servers, f.listeners = append(f.servers, srv), append(f.listeners, ln)
		g.Go(func() error {
			if err := serve(srv, ln); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	if l.Secure == nil {
		start(f.connections, &f.public, (*http.Server).Serve)
	} else {
		f.secured = newSecured(*l.Secure)
		f.connections.most, f.connections.sealed = secureMost, true
		start(f.connections, f.secured.split(&f.public, &f.admin), f.secured.serve)
	}
	if l.Plain != nil {
		start(&connections{Listener: l.Plain, most: plainMost}, &f.secured.plain, (*http.Server).Serve)
	}
	if l.Admin != nil {
		start(&connections{Listener: l.Admin}, &f.admin, (*http.Server).Serve)
	}
	return f
}

// finish accepts no more, and ends the servers when what is in flight is answered, or
// after most. A fifth of that is for who has connected and sent no request yet: behind
// sockets that systemd holds, nobody is turned away by a restart.
func (f *front) finish(ctx context.Context, most time.Duration, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	early, cancel := context.WithTimeout(ctx, most/5)
	defer cancel()
	var errs []error
	for i, srv := range f.servers {
		srv.SetKeepAlivesEnabled(false)
		f.listeners[i].rest(early)
		if err := srv.Shutdown(ctx); err != nil {
			log.Warn("requests were cut off", "error", err.Error())
			errs = append(errs, srv.Close())
		}
	}
	return errors.Join(append(errs, f.wait())...)
}

// close ends the servers at once.
func (f *front) close() error {
	var errs []error
	for _, srv := range f.servers {
		errs = append(errs, srv.Close())
	}
	return errors.Join(append(errs, f.wait())...)
}

// newServer bounds what a client may hold: Shopify's whole request takes at
// most five seconds.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: begins(h), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ConnContext: func(_ context.Context, c net.Conn) context.Context { return connOf(c).ended },
		ConnState:   turn,
		ErrorLog:    telemetry.ErrorLog(log, "what the web server has to say"),
	}
}
