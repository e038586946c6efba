package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/config"
	"stockroom/web"
)

type shopCommand struct {
	Add     shopAddCommand     `cmd:"" help:"Connect a shop, or change its credentials."`
	Connect shopConnectCommand `cmd:"" help:"Connect a shop by an app of another organisation: its owner is asked in the browser."`
	List    shopListCommand    `cmd:"" help:"List the connected shops."`
	Remove  shopRemoveCommand  `cmd:"" help:"Disconnect a shop. Its stored products become INACTIVE; --purge deletes them and all else of it."`
	Calls   shopCallsCommand   `cmd:"" help:"Hold the calls to a shop's API back, let them go, or have the next try made now."`
}

type shopListCommand struct{}

func (shopListCommand) Run(e *env) error {
	return e.with(false, func(c *client) error {
		var out web.ShopList
		if err := c.call(e.ctx, http.MethodGet, "/api/v1/shops", nil, &out); err != nil {
			return err
		}
		if e.json {
			return e.print(out) // not as it came: there & and < are written as escapes
		}
		if len(out.Shops) == 0 {
			fmt.Fprintln(e.Stdout, "No shop is connected. Set one up with: "+e.command("init"))
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

type shopCallsCommand struct {
	Shop  string `arg:"" type:"shop" help:"The shop's domain."`
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
	path := "/api/v1/shops/" + url.PathEscape(c.Shop) + "/circuit"
	return ask(e, false, http.MethodPost, path, map[string]web.Hold{"hold": hold}, func(struct{}) error {
		words := map[web.Hold]string{
			web.HoldOpen: "are held back until you let them go", web.HoldClosed: "are all made, however many fail",
			web.HoldAuto: "stop by themselves when too many fail", web.HoldTry: "are tried again now",
		}
		fmt.Fprintf(e.Stdout, "Calls to %s %s.\n", c.Shop, words[hold])
		return nil
	})
}

func orDash(s string) string { return cmp.Or(s, "-") }

type shopAddCommand struct {
	Shop               string `arg:"" type:"shop" help:"The shop's name at Shopify, NAME.myshopify.com, or the address of its admin."`
	MerchantID         string `help:"Your own name for the merchant, stored with each product."`
	APIKey             string `name:"api-key" help:"The app's client id."`
	SecretFile         string `help:"File with the app's client secret; - reads it from standard input. On a terminal it is asked for."`
	PreviousSecretFile string `help:"File with the client secret before the last rotation."`
	AccessTokenFile    string `help:"File with a static access token; without it the client-credentials grant is used."`
	NoCheck            bool   `help:"Store it without asking Shopify, for example while there is no network."`
}

// put connects a shop with what is given, and leaves what is not as it is.
func (e *env) put(cl *client, shop string, body map[string]any) (out web.Connected, err error) {
	const within = 30 * time.Second // a server asks the shop for less
	ctx, cancel := context.WithTimeout(e.ctx, within)
	defer cancel()
	return out, cl.call(ctx, http.MethodPut, "/api/v1/shops/"+url.PathEscape(shop), body, &out)
}

func (c shopAddCommand) Run(e *env) error {
	body := map[string]any{"merchant_id": c.MerchantID, "api_key": strings.TrimSpace(c.APIKey), "check": !c.NoCheck}
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
		out, err := e.put(cl, c.Shop, body)
		if err == nil {
			return e.tellConnected(cl, out)
		}
		if p, ok := errors.AsType[*answer.Refusal](err); ok && (p.Code == answer.CodeUnreachable || p.Code == answer.CodeNotNow) {
			err = withCode(exitCode(err), fmt.Errorf("%s (--no-check)", strings.TrimSuffix(err.Error(), ".")))
		}
		return e.notConnected("shop add", err)
	})
}

// secret reads a secret from a file, from standard input, or, when a terminal
// is there to ask, from a person. Secrets never come from arguments: other
// users of the machine can see those.
func (e *env) secret(file, ask string) (string, error) {
	switch {
	case file == "-":
		line, err := e.line()
		if err != nil {
			return "", fmt.Errorf("read the secret from standard input: %w", err)
		}
		if line = strings.TrimSpace(line); line == "" {
			return "", errors.New("read the secret from standard input: nothing came; it takes one secret, on one line")
		}
		return line, nil
	case file != "":
		text, err := config.ReadSecretFile(file)
		return strings.TrimSpace(text.Reveal()), err
	case ask == "":
		return "", nil
	}
	if !e.asks() {
		return "", nil
	}
	text, err := e.hidden(ask + " (not shown, empty to leave it as it is)")
	return strings.TrimSpace(text), err
}

type shopRemoveCommand struct {
	Shop  string `arg:"" type:"shop" help:"The shop's domain."`
	Purge bool   `help:"Delete everything that is kept of the shop, too, also of one that was removed before."`
	Yes   bool   `help:"Do not ask. A purge needs it where nobody can be asked."`
}

func (c shopRemoveCommand) Run(e *env) error {
	path, params := "/api/v1/shops/"+url.PathEscape(c.Shop), map[string]string{"purge": fmt.Sprint(c.Purge)}
	return e.with(false, func(cl *client) error {
		var out web.Removed
		// Without a purge nothing is lost, so only a person is asked.
		if !c.Yes && (c.Purge || e.asks()) {
			dry := map[string]string{"purge": params["purge"], "dry_run": "true"}
			if err := cl.call(e.ctx, http.MethodDelete, address(path, dry), nil, &out); err != nil {
				return err
			}
			words := fmt.Sprintf("%s is removed: its %d ACTIVE products become INACTIVE in products.db and are not kept "+
				"current any more; webhook subscriptions at Shopify that lead here are deleted. "+
				"It can be connected again.", c.Shop, out.ProductsDeactivated)
			if c.Purge {
				words = fmt.Sprintf("%s is removed and all that is kept of it is deleted for good: "+
					"%d products with their history, and its credentials.", c.Shop, out.Products)
			}
			if err := e.confirm(words); err != nil {
				return err
			}
		}
		if err := cl.call(e.ctx, http.MethodDelete, address(path, params), nil, &out); err != nil {
			return err
		}
		if e.json {
			return e.print(out)
		}
		if c.Purge {
			fmt.Fprintf(e.Stdout, "Removed %s and deleted all that was kept of it: "+
				"%d products with their history, and its credentials.\n", c.Shop, out.ProductsDeleted)
		} else {
			fmt.Fprintf(e.Stdout, "Removed %s. Of its %d stored products %d were ACTIVE and are INACTIVE now.\n"+
				"Connect it again with %s; the first read brings them back.\n"+
				"Its secret is kept for 30 days, as Shopify still sends what the law asks for; --purge deletes it and all else at once.\n",
				c.Shop, out.Products, out.ProductsDeactivated, e.command(config.ConnectWords(c.Shop)))
		}
		e.tellLeft(out)
		return nil
	})
}

// tellLeft says what a removal left behind, and what to do about it.
func (e *env) tellLeft(out web.Removed) {
	if out.SubscriptionsDeleted > 0 {
		fmt.Fprintf(e.Stdout, "Deleted %d webhook subscriptions at Shopify.\n", out.SubscriptionsDeleted)
	}
	switch {
	case len(out.SubscriptionsLeft) > 0:
		fmt.Fprintf(e.Stdout, "Webhook subscriptions that could not be deleted at Shopify (%s):\n    %s\n"+
			"To end them, uninstall the app in the shop's admin.\n",
			out.LeftBecause, strings.Join(out.SubscriptionsLeft, "\n    "))
	case out.LeftBecause != "":
		fmt.Fprintf(e.Stdout, "Shopify could not be asked for webhook subscriptions that lead here (%s).\n"+
			"To end any, uninstall the app in the shop's admin.\n", out.LeftBecause)
	}
	if len(out.Files) > 0 {
		fmt.Fprintln(e.Stdout,
			"These files are not in use and may still hold its secret or its products. Delete them with:")
		for _, path := range out.Files {
			fmt.Fprintf(e.Stdout, "    rm '%s'\n", path)
		}
	}
}
