package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"stockroom/internal/appliance"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
)

// What lets the app into the simulated shop is always the same, so that what was
// connected to it once still is at its next start.
const (
	simulatedApp    = "simulated"
	simulatedSecret = "shpss_simulated"
	simulatedToken  = "shpat_simulated"
)

var simulatedGrants = map[string]fakeshopify.Grant{
	"credentials": fakeshopify.GrantCredentials, "consent": fakeshopify.GrantConsent, "token": fakeshopify.GrantToken,
}

type simulateCommand struct {
	Address   string        `default:"127.0.0.1:8090" help:"Where the simulated shop's Admin API listens; loopback only."`
	Shop      string        `type:"shop" default:"my-shop.myshopify.com" help:"The simulated shop's domain."`
	Seed      uint64        `default:"1" help:"Seed; the same seed makes the same shop."`
	Rate      editing       `default:"1" help:"Edits a second, 0 for none."`
	Chaos     string        `default:"off" enum:"off,mild,wild" help:"How much goes wrong: off, mild or wild."`
	Products  stock         `default:"100" help:"Products the shop starts with."`
	IndexLag  time.Duration `default:"0s" help:"How long at most its search needs to find an edit, for example 60s."`
	IndexLost share         `default:"0" help:"Share of the edits, 0 to 1, that its search never finds, for example 0.01."`
	Grant     string        `default:"credentials" enum:"credentials,consent,token" help:"How its app gets in: credentials, consent or token."`
	Scopes    []string      `default:"read_products,read_inventory,read_locations" help:"Access scopes of its app."`
	Target    string        `help:"Base URL that webhooks are sent to, for example http://127.0.0.1:8080. Empty: none."`
	Events    bool          `help:"Send Shopify's Events to --target in place of webhooks."`
}

func (c simulateCommand) Run(e *env, s config.Settings) error {
	chaos, err := fakeshopify.ChaosLevel(c.Chaos)
	if err != nil {
		return withCode(config.ExitUsage, err)
	}
	host, _, err := net.SplitHostPort(c.Address)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return withCode(config.ExitUsage, fmt.Errorf("--address: %q is not a loopback address; the simulated shop "+
			"is not made to face a network, write for example 127.0.0.1:8090", c.Address))
	}
	if c.IndexLag < 0 {
		return withCode(config.ExitUsage, fmt.Errorf("--index-lag needs a time of 0s or more, not %v", c.IndexLag))
	}
	var topics []string // those of every app
	if c.Events {
		if topics = []string{}; c.Target == "" {
			return withCode(config.ExitUsage, errors.New("--events needs --target, for example --target http://127.0.0.1:8080"))
		}
	}
	api := fakeshopify.APIOptions{IndexLag: c.IndexLag, IndexLost: float64(c.IndexLost), Scopes: c.Scopes,
		Grant: simulatedGrants[c.Grant]}
	if api.Grant != fakeshopify.GrantCredentials {
		api.Tokens = []string{simulatedToken}
	}
	shop := fakeshopify.New(fakeshopify.Options{
		Shop: c.Shop, ClientID: simulatedApp, Secret: simulatedSecret, Seed: c.Seed, Products: int(c.Products), Chaos: chaos,
		Target: c.Target, Topics: topics, Events: c.Events, AllowHTTP: true, Logger: e.logger(s, slog.LevelInfo), API: api,
	})
	ln, err := appliance.ListenOn("address", c.Address)
	if err != nil {
		return err
	}
	c.introduce(e.Stdout, s, "http://"+ln.Addr().String())
	g, ctx := errgroup.WithContext(e.ctx)
	g.Go(func() error { return shop.Run(ctx, float64(c.Rate)) })
	g.Go(func() error { return serveAPI(ctx, ln, shop) })
	return g.Wait()
}

// introductions say, by --grant, what lets an app into the simulated shop and
// how a copy of it is made. Words in braces are filled in.
var introductions = map[string]string{
	"credentials": `  Token          POST {base}/admin/oauth/access_token (client_credentials)
  Client id      {id}
  Client secret  {secret} (signs the webhooks, too)

  A copy of it, in another terminal:
    export SHOPIFY_SHOP={shop} SHOPIFY_API_KEY={id}
    export SHOPIFY_API_SECRET={secret}
    {address}
    {serve}
`,
	"consent": `  Consent        {base}/admin/oauth/authorize
  Redirect URL   {redirect}
  Token          POST {base}/admin/oauth/access_token (the code of the consent)
  Client id      {id}
  Client secret  {secret} (signs the webhooks, too)

  A copy of it, in another terminal:
    {address}
    {serve}

  Connect the shop, in a third one; the client secret is asked for:
    {connect}
`,
	"token": `  Access token   {token} (there is no other way in)
  Client secret  {secret} (signs the webhooks)

  A copy of it, in another terminal:
    export SHOPIFY_SHOP={shop} SHOPIFY_ACCESS_TOKEN={token}
    export SHOPIFY_API_SECRET={secret}
    {address}
    {serve}
`,
}

// introduce prints lines that can be pasted into a shell.
func (c simulateCommand) introduce(w io.Writer, s config.Settings, base string) {
	text := "Simulated shop {shop}\n\n  Admin API      {base}/admin/api/" + s.APIVersion + "/graphql.json\n" +
		introductions[c.Grant] + "\n  Stop with Ctrl-C.\n"
	_, _ = strings.NewReplacer("{shop}", c.Shop, "{base}", base, "{id}", simulatedApp, "{secret}", simulatedSecret,
		"{token}", simulatedToken, "{redirect}", fakeshopify.Redirect, "{serve}", s.Command("serve"),
		"{connect}", s.Command("shop connect "+c.Shop+" --api-key "+simulatedApp),
		"{address}", "export STOCKROOM_API_BASE="+base+" STOCKROOM_PUBLIC_URL=http://"+s.Listen).WriteString(w, text)
}
