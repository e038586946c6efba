package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"stockroom/catalog"
	"stockroom/config"
	"stockroom/status"
	"stockroom/web"
)

type shopCommand struct {
	Add    shopAddCommand    `cmd:"" help:"Connect a shop, or change its credentials."`
	List   shopListCommand   `cmd:"" help:"List the connected shops."`
	Remove shopRemoveCommand `cmd:"" help:"Disconnect a shop. Its stored products stay unless --purge is given."`
	Calls  shopCallsCommand  `cmd:"" help:"Hold the calls to a shop's API back, let them go, or have the next try made now."`
}

type shopAddCommand struct {
	Shop               string `arg:"" help:"The shop's domain, for example my-shop.myshopify.com."`
	MerchantID         string `help:"Your own name for the merchant, stored with each product."`
	APIKey             string `name:"api-key" help:"The app's client id."`
	SecretFile         string `help:"File with the app's client secret; - reads it from standard input. On a terminal it is asked for."`
	PreviousSecretFile string `help:"File with the client secret before the last rotation."`
	AccessTokenFile    string `help:"File with a static access token; without it the client-credentials grant is used."`
}

func (c shopAddCommand) Run(e *env) error {
	shop, err := catalog.ParseShop(c.Shop)
	if err != nil {
		return withCode(config.ExitUsage, err)
	}
	body := map[string]string{"merchant_id": c.MerchantID, "api_key": c.APIKey}
	for _, secret := range []struct{ key, file, words string }{
		{"secret", c.SecretFile, "Client secret"},
		{"previous_secret", c.PreviousSecretFile, ""},
		{"access_token", c.AccessTokenFile, ""},
	} {
		text, err := e.secret(secret.file, secret.words)
		if err != nil {
			return withCode(config.ExitConfig, err)
		}
		if text != "" {
			body[secret.key] = text
		}
	}
	return e.with(true, func(cl *client) error {
		var view status.Connection
		if err := cl.call(e.ctx, http.MethodPut, "/api/v1/shops/"+url.PathEscape(shop), nil, body, &view); err != nil {
			return err
		}
		if e.json {
			return e.print(view)
		}
		fmt.Fprintf(e.Stdout, "Connected %s; %s are kept current.\n", view.Shop, view.Selection)
		if !view.HasSecret {
			fmt.Fprintln(e.Stdout, "It has no client secret yet, so its deliveries are answered with 503 until one is added.")
		}
		return nil
	})
}

// secret reads a secret from a file, from standard input, or, when a terminal
// is there to ask, from a person. Secrets never come from arguments: other
// users of the machine can see those.
func (e *env) secret(file, ask string) (string, error) {
	switch {
	case file == "-":
		line, err := bufio.NewReader(io.LimitReader(e.Stdin, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the secret from standard input: %w", err)
		}
		return strings.TrimSpace(line), nil
	case file != "":
		info, err := os.Stat(file)
		if err != nil {
			return "", fmt.Errorf("read the secret: %w", err)
		}
		if info.Mode().Perm()&0o004 != 0 {
			return "", fmt.Errorf("%s can be read by every user of this machine; run chmod 600 on it", file)
		}
		text, err := os.ReadFile(file)
		return strings.TrimSpace(string(text)), err
	case ask == "":
		return "", nil
	}
	in, ok := e.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", nil
	}
	fmt.Fprintf(e.Stderr, "%s (not shown, empty to leave it as it is): ", ask)
	text, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(e.Stderr)
	return strings.TrimSpace(string(text)), err
}

type shopListCommand struct{}

func (shopListCommand) Run(e *env) error {
	return e.with(false, func(c *client) error {
		var out struct {
			Shops []status.Connection `json:"shops"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/api/v1/shops", nil, nil, &out); err != nil {
			return err
		}
		if e.json {
			return e.print(out)
		}
		if len(out.Shops) == 0 {
			fmt.Fprintln(e.Stdout, "No shop is connected. Connect one with: stockroom shop add my-shop.myshopify.com")
			return nil
		}
		w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "SHOP\tMERCHANT\tSTATE\tSELECTION\tSECRET\tADDED")
		for _, s := range out.Shops {
			secret := "yes"
			switch {
			case !s.HasSecret:
				secret = "missing"
			case s.PreviousSecret:
				secret = "yes, and the previous one"
			}
			added := ago(s.AddedAt, time.Now())
			if s.FromEnvironment {
				added = "environment"
			}
			state := s.State
			if s.Reason != "" {
				state += " (" + s.Reason + ")"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Shop, orDash(s.MerchantID), state, s.Selection, secret, added)
		}
		return w.Flush()
	})
}

type shopRemoveCommand struct {
	Shop  string `arg:"" help:"The shop's domain."`
	Purge bool   `help:"Delete everything that is kept of the shop, too."`
}

func (c shopRemoveCommand) Run(e *env) error {
	return e.with(false, func(cl *client) error {
		var out struct {
			Shop    string `json:"shop"`
			Deleted int    `json:"products_deleted"`
		}
		q := url.Values{"purge": {fmt.Sprint(c.Purge)}}
		if err := cl.call(e.ctx, http.MethodDelete, "/api/v1/shops/"+url.PathEscape(c.Shop), q, nil, &out); err != nil {
			return err
		}
		if e.json {
			return e.print(out)
		}
		fmt.Fprintf(e.Stdout, "Disconnected %s.", out.Shop)
		if c.Purge {
			fmt.Fprintf(e.Stdout, " Deleted %d products.\n", out.Deleted)
		} else {
			fmt.Fprintln(e.Stdout, " Its stored products stay; remove them with --purge.")
		}
		return nil
	})
}

type shopCallsCommand struct {
	Shop  string `arg:"" help:"The shop's domain."`
	Hold  bool   `xor:"hand" required:"" help:"Make no calls until told otherwise. Deliveries are stored all the same."`
	Allow bool   `xor:"hand" required:"" help:"Make every call, however many fail."`
	Auto  bool   `xor:"hand" required:"" help:"Stop calls by themselves when too many fail; this is how it starts."`
	Try   bool   `xor:"hand" required:"" help:"End the present wait: the next call is the next try."`
}

func (c shopCallsCommand) Run(e *env) error {
	hold := web.HoldTry
	switch {
	case c.Hold:
		hold = web.HoldOpen
	case c.Allow:
		hold = web.HoldClosed
	case c.Auto:
		hold = web.HoldAuto
	}
	return e.with(false, func(cl *client) error {
		var calls status.Calls
		err := cl.call(e.ctx, http.MethodPost, "/api/v1/shops/"+url.PathEscape(c.Shop)+"/circuit", nil, map[string]web.Hold{"hold": hold}, &calls)
		if err != nil {
			return err
		}
		if e.json {
			return e.print(calls)
		}
		words := map[web.Hold]string{
			web.HoldOpen: "are held back until you let them go", web.HoldClosed: "are all made, however many fail",
			web.HoldAuto: "stop by themselves when too many fail", web.HoldTry: "are tried again now",
		}
		fmt.Fprintf(e.Stdout, "Calls to %s %s.\n", c.Shop, words[hold])
		return nil
	})
}

type selectCommand struct {
	Shop    string   `arg:"" help:"The shop's domain."`
	All     bool     `xor:"mode" help:"Every product."`
	Include *[]int64 `xor:"mode" sep:"," placeholder:"IDS" help:"Only these product ids; an empty list means none."`
	Exclude []int64  `sep:"," placeholder:"IDS" help:"Not these product ids; alone, all but these."`
	Rule    []string `xor:"mode" sep:"none" placeholder:"RULE" help:"Products that match tag=x, vendor=x or type=x; several rules: at least one."`
}

func (c selectCommand) Run(e *env) error {
	sel := catalog.Selection{Mode: catalog.SelectAll, Exclude: c.Exclude}
	switch {
	case c.Include != nil:
		sel.Mode, sel.Include = catalog.SelectInclude, *c.Include
	case len(c.Rule) > 0:
		sel.Mode = catalog.SelectRules
		for _, text := range c.Rule {
			rule, err := catalog.ParseRule(text)
			if err != nil {
				return withCode(config.ExitUsage, err)
			}
			sel.Rules = append(sel.Rules, rule)
		}
	case !c.All && len(c.Exclude) == 0:
		return e.showSelection(c.Shop)
	}
	if err := sel.Validate(); err != nil {
		return withCode(config.ExitUsage, err)
	}
	return e.with(false, func(cl *client) error {
		var out struct {
			Selection   catalog.Selection `json:"selection"`
			Activated   int               `json:"activated"`
			Deactivated int               `json:"deactivated"`
			ToFetch     int               `json:"to_fetch"`
		}
		if err := cl.call(e.ctx, http.MethodPut, "/api/v1/shops/"+url.PathEscape(c.Shop)+"/selection", nil, sel, &out); err != nil {
			return err
		}
		if e.json {
			return e.print(out)
		}
		fmt.Fprintf(e.Stdout, "%s: %s are kept current. %d products became active, %d inactive, %d are to be fetched.\n",
			c.Shop, out.Selection, out.Activated, out.Deactivated, out.ToFetch)
		return nil
	})
}

func (e *env) showSelection(shop string) error {
	return e.with(false, func(cl *client) error {
		var sel catalog.Selection
		if err := cl.call(e.ctx, http.MethodGet, "/api/v1/shops/"+url.PathEscape(shop)+"/selection", nil, nil, &sel); err != nil {
			return err
		}
		if e.json {
			return e.print(sel)
		}
		fmt.Fprintf(e.Stdout, "%s: %s are kept current. Change it with --all, --include, --exclude or --rule.\n", shop, sel)
		return nil
	})
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
