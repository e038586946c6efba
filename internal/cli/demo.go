package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"stockroom/internal/appliance"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
)

type demoCommand struct {
	Seed     uint64  `default:"1" help:"Seed of the simulated shop; the same seed makes the same shop."`
	Rate     editing `default:"2" help:"Edits a second in the simulated shop."`
	Chaos    string  `default:"mild" enum:"off,mild,wild" help:"How much goes wrong on the way: off, mild or wild."`
	Products stock   `default:"60" help:"Products the simulated shop starts with."`
}

const demoShop = "demo-shop.myshopify.com"

// Run serves the appliance and the simulated shop in one process. Of the
// settings only those named below count: a demo must not touch the data or the
// credentials of a real shop.
func (c demoCommand) Run(e *env) (err error) {
	chaos, err := fakeshopify.ChaosLevel(c.Chaos)
	if err != nil {
		return withCode(config.ExitUsage, err)
	}
	flags := config.Flags{"config": ""} // nor the file in the data dir
	for _, name := range []string{"data", "log-format", "listen", "admin-listen", "webhooks", "poll-every"} {
		if v, ok := e.flags[name]; ok {
			flags[name] = v
		}
	}
	if _, ok := flags["data"]; !ok {
		if flags["data"], err = os.MkdirTemp("", "stockroom-demo-"); err != nil {
			return withCode(config.ExitData, fmt.Errorf("make a temporary data dir: %w", err))
		}
		defer func() {
			if exitCode(err) != config.ExitData { // else what is at its path may be another's
				err = errors.Join(err, os.RemoveAll(flags["data"]))
			}
		}()
	}
	s, err := config.Load(config.Sources{Flags: flags})
	if err != nil {
		return withCode(config.ExitConfig, err)
	}
	if !s.AdminOnLoopback() {
		return withCode(config.ExitConfig, fmt.Errorf("--admin-listen %s: the page of a demo is open, so it listens on loopback only, such as 127.0.0.1:8081", s.AdminListen))
	}
	var l appliance.Listeners
	if l.Public, err = demoListener(flags, "listen", &s.Listen); err != nil {
		return err
	}
	defer l.Public.Close()
	if l.Admin, err = demoListener(flags, "admin-listen", &s.AdminListen); err != nil {
		return err
	}
	defer l.Admin.Close()

	s.Program = e.Program
	shop := fakeshopify.New(fakeshopify.Options{
		Shop: demoShop, Seed: c.Seed, Products: int(c.Products), Topics: []string{}, AllowHTTP: true, Chaos: chaos, MinVariants: 1, MaxVariants: 6,
	})
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return withCode(config.ExitFailed, fmt.Errorf("serve the simulated shop: %w", err))
	}
	s.APIBase = "http://" + api.Addr().String()
	s.PublicURL = "http://" + s.Listen
	// Sooner than with a real shop, so that there is something to see.
	s.ReconcileEvery, s.FullSyncEvery = 2*time.Minute, 15*time.Minute
	s.LimitWindow = 2 * time.Second
	s.Shop = config.EnvShop{Domain: demoShop, APIKey: "demo", APISecret: config.NewSecret(shop.Secret()), MerchantID: "demo"}
	level := slog.LevelWarn
	if _, ok := e.flags["log-format"]; ok {
		level = slog.LevelInfo
	}
	opening := new(appliance.Opening)
	log := e.logger(s, level)
	l.AnswerStarting(opening, log)
	a, err := appliance.Open(e.ctx, appliance.Options{
		Settings: s, Version: e.Version, Logger: log, LogLeftOut: e.logLeftOut(), Demo: true, Opening: opening, Stopping: e.stop.waitsFor,
	})
	if err != nil {
		if e.ctx.Err() != nil && errors.Is(err, context.Cause(e.ctx)) {
			return nil
		}
		return err
	}
	product := "PRODUCT"
	if ids := shop.IDs(); len(ids) > 0 {
		product = strconv.FormatInt(ids[0], 10)
	}
	l.Ready = func() { greet(e.Stdout, e.Program, l.AdminURL(), s.DataDir, product) }

	g, ctx := errgroup.WithContext(e.ctx)
	g.Go(func() error { return a.Serve(ctx, l) })
	g.Go(func() error { return shop.Run(ctx, float64(c.Rate)) })
	g.Go(func() error { return serveAPI(ctx, api, shop) })
	err = errors.Join(g.Wait(), a.Close())
	if e.ctx.Err() != nil && err == nil {
		fmt.Fprintln(e.Stdout, "\nDemo ended.")
	}
	return err
}

// demoListener listens on the address of a flag, or on a port that the system
// chooses when that one is taken and nobody typed it. address becomes the real one.
func demoListener(typed config.Flags, flag string, address *string) (net.Listener, error) {
	l, err := appliance.ListenOn(flag, *address)
	if _, given := typed[flag]; err != nil && !given {
		l, err = appliance.ListenOn(flag, "127.0.0.1:0")
	}
	if err == nil {
		*address = l.Addr().String()
	}
	return l, err
}

// greet prints lines that can be pasted into a shell in any folder.
func greet(w io.Writer, program, url, data, product string) {
	if strings.ContainsRune(program, filepath.Separator) {
		if own, err := os.Executable(); err == nil {
			program = own
		}
	}
	if abs, err := filepath.Abs(data); err == nil {
		data = abs
	}
	fmt.Fprintf(w, `
  Stockroom demo: a simulated shop edits its products, and this copy follows.

  Status page   %[1]s

  Try next, in another terminal:
    curl %[5]s
    sqlite3 %[6]s 'SELECT title, status FROM products ORDER BY synced_at DESC LIMIT 5'
    %[2]s explain %[3]s %[7]s --data %[4]s
    %[2]s demo --chaos wild --rate 20

  Stop with Ctrl-C.

`, url, config.ShellQuote(program), demoShop, config.ShellQuote(data), config.ShellQuote(url+"/api/v1/products?limit=3"), config.ShellQuote(filepath.Join(data, "products.db")), product)
}

// serveAPI serves the simulated shop's Admin API until ctx ends.
func serveAPI(ctx context.Context, ln net.Listener, shop *fakeshopify.Shop) error {
	srv := &http.Server{Handler: shop.Handler(), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
