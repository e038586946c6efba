package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"stockroom/internal/appliance"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
)

// simulatedSecret is the client secret of the app in the simulated shop: always
// the same, so that what was connected to it once still is at its next start.
const simulatedSecret = "shpss_simulated"

type simulateCommand struct {
	Address  string  `default:"127.0.0.1:8090" help:"Where the simulated shop's Admin API listens; loopback only."`
	Shop     string  `type:"shop" default:"my-shop.myshopify.com" help:"The simulated shop's domain."`
	Seed     uint64  `default:"1" help:"Seed; the same seed makes the same shop."`
	Rate     editing `default:"1" help:"Edits a second, 0 for none."`
	Chaos    string  `default:"off" enum:"off,mild,wild" help:"How much goes wrong: off, mild or wild."`
	Products stock   `default:"100" help:"Products the shop starts with."`
	Target   string  `help:"Base URL that webhooks are sent to, for example http://127.0.0.1:8080. Empty: none."`
}

func (c simulateCommand) Run(e *env, s config.Settings) error {
	chaos, err := fakeshopify.ChaosLevel(c.Chaos)
	if err != nil {
		return withCode(config.ExitUsage, err)
	}
	host, _, err := net.SplitHostPort(c.Address)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return withCode(config.ExitUsage, fmt.Errorf("--address: %q is not a loopback address; the simulated shop is not made to face a network, write for example 127.0.0.1:8090", c.Address))
	}
	shop := fakeshopify.New(fakeshopify.Options{
		Shop: c.Shop, Secret: simulatedSecret, Seed: c.Seed, Products: int(c.Products), Chaos: chaos, Target: c.Target, AllowHTTP: true,
		Logger: e.logger(s, slog.LevelInfo),
	})
	ln, err := appliance.ListenOn("address", c.Address)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, `Simulated shop %[1]s

  Admin API      http://%[2]s/admin/api/%[4]s/graphql.json
  Token          POST http://%[2]s/admin/oauth/access_token (client_credentials, any client id)
  Client secret  %[3]s (signs the webhooks, too)

  A copy of it, in another terminal:
    export SHOPIFY_SHOP=%[1]s SHOPIFY_API_KEY=simulated
    export SHOPIFY_API_SECRET=%[3]s
    export STOCKROOM_API_BASE=http://%[2]s STOCKROOM_PUBLIC_URL=http://%[5]s
    %[6]s

  Stop with Ctrl-C.
`, c.Shop, ln.Addr(), shop.Secret(), s.APIVersion, s.Listen, s.Command("serve"))
	g, ctx := errgroup.WithContext(e.ctx)
	g.Go(func() error { return shop.Run(ctx, float64(c.Rate)) })
	g.Go(func() error { return serveAPI(ctx, ln, shop) })
	return g.Wait()
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
