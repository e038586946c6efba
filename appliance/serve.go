package appliance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// Listeners are the open sockets. Admin is nil when one listener serves both.
type Listeners struct {
	Public, Admin net.Listener
}

// Listen opens the sockets the settings name.
func (a *Appliance) Listen() (Listeners, error) {
	s := a.opt.Settings
	var l Listeners
	var err error
	if l.Public, err = net.Listen("tcp", s.Listen); err != nil {
		return l, fmt.Errorf("--listen: %w", err)
	}
	if s.SharedListener() {
		return l, nil
	}
	if l.Admin, err = net.Listen("tcp", s.AdminListen); err != nil {
		return l, errors.Join(fmt.Errorf("--admin-listen: %w", err), l.Public.Close())
	}
	return l, nil
}

// AdminURL is an address of the status page that this machine can open.
func (l Listeners) AdminURL() string {
	if l.Admin == nil {
		return "http://" + dialable(l.Public.Addr())
	}
	return "http://" + dialable(l.Admin.Addr())
}

const (
	stopRequests = 6 * time.Second // for requests in flight at a stop
)

// Serve serves and works until ctx ends, then finishes what is in flight. It
// announces itself in the data dir's admin.json.
func (a *Appliance) Serve(ctx context.Context, l Listeners) error {
	servers := []*http.Server{}
	g, gctx := errgroup.WithContext(ctx)
	start := func(ln net.Listener, h http.Handler) {
		srv := newServer(h)
		srv.RegisterOnShutdown(a.web.EndStreams)
		servers = append(servers, srv)
		g.Go(func() error {
			if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	if l.Admin == nil {
		start(l.Public, a.web.Both(a.intake))
	} else {
		start(l.Public, a.web.Public(a.intake))
		start(l.Admin, a.web.Admin())
	}
	public := dialable(l.Public.Addr())
	a.public.Store(&public)
	defer a.public.Store(nil)
	if err := a.dir.Announce(l.AdminURL(), a.token); err != nil {
		a.log.Warn("commands can't find this server", "error", err.Error())
	}

	// Workers outlive the listeners, so that requests in flight still find them.
	working, stopWorkers := a.Work(ctx)

	select {
	case <-gctx.Done():
		a.log.Info("stopping: finishing requests in flight")
	case <-working.Done():
		// Better to end, and be started anew, than to serve without a worker.
		a.log.Error("stopping: a worker ended by itself", "error", context.Cause(working).Error())
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopRequests)
	defer cancel()
	var errs []error
	for _, srv := range servers {
		if err := srv.Shutdown(stop); err != nil {
			a.log.Warn("requests were cut off", "error", err.Error())
			errs = append(errs, srv.Close())
		}
	}
	errs = append(errs, g.Wait())
	errs = append(errs, stopWorkers())
	return errors.Join(errs...)
}

// newServer bounds what a client may hold: Shopify's whole request takes at
// most five seconds.
func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
}
