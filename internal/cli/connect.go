package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/config"
	"stockroom/internal/shopify"
	"stockroom/internal/status"
	"stockroom/web"
)

type shopConnectCommand struct {
	Shop       string `arg:"" type:"shop" help:"The shop's name at Shopify, NAME.myshopify.com, or the address of its admin."`
	MerchantID string `help:"Your own name for the merchant, stored with each product."`
	APIKey     string `name:"api-key" help:"The app's client id."`
	SecretFile string `help:"File with the app's client secret; - reads it from standard input. On a terminal it is asked for."`
	asking     `embed:""`
}

// asking are the flags about how a shop's owner is asked to let an app in.
type asking struct {
	Print    bool   `help:"Print the address at which the owner is asked and open nothing."`
	Callback string `enum:",-" default:"" placeholder:"-" help:"-: read the address at which the browser ends from standard input, also where that is no terminal."`
}

// Help says when it is needed.
func (shopConnectCommand) Help() string {
	return "For an app that another organisation than the shop's has made, with custom distribution: the shop's owner is asked in a browser to " +
		"let the app in. The released version of the app has to name the redirect URL " + shopify.RedirectURL + ", exactly so, and the app " +
		"has to be installed by its link. What the shop's own organisation made needs shop add only."
}

func (c shopConnectCommand) Run(e *env) error {
	secret, err := e.secret(c.SecretFile, "Client secret")
	if err != nil {
		return withCode(config.ExitConfig, err)
	}
	return e.with(true, func(cl *client) error {
		body := map[string]any{"merchant_id": c.MerchantID, "api_key": strings.TrimSpace(c.APIKey), "secret": secret}
		out, err := e.consented(cl, c.Shop, body, c.asking)
		if err != nil {
			return e.notConnected("shop connect", err)
		}
		return e.tellConnected(cl, out)
	})
}

// consented asks the shop's owner, in a browser, to let the app in, and waits for the answer.
// It comes by the address on which the server listens, or as a line that is pasted here.
func (e *env) consented(cl *client, shop string, body map[string]any, how asking) (out web.Connected, err error) {
	path := "/api/v1/shops/" + url.PathEscape(shop)
	var asked web.Consent
	if err := cl.call(e.ctx, http.MethodPost, path+"/consent", body, &asked); err != nil {
		return out, err
	}
	pastes := how.Callback == "-" || e.asks()
	if !pastes && !asked.Listens {
		return out, fmt.Errorf("%s Paste the address at which the browser ends on standard input: --callback -", asked.ListensNot)
	}
	e.tellAsked(cl, asked, how, pastes)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for asked.State == web.ConsentWaiting {
		var line *reading
		var pasted chan struct{} // nil: nothing comes that way
		if pastes {
			line = e.nextLine()
			pasted = line.done
		}
		var refused *answer.Refusal
		select {
		case <-pasted:
			text, err := e.wait(line)
			if text = strings.TrimSpace(text); text == "" {
				pastes = err == nil
				continue
			}
			err = cl.call(e.ctx, http.MethodPost, path+"/consent/callback", map[string]string{"address": text}, &out)
			if !errors.As(err, &refused) || !e.asks() {
				return out, err
			}
		case <-tick.C:
		case <-e.ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), watchLimit)
			defer cancel()
			return out, errors.Join(errStopped, cl.call(ctx, http.MethodDelete, path+"/consent", nil, nil))
		}
		if err := cl.call(e.ctx, http.MethodGet, path+"/consent", nil, &asked); err != nil {
			return out, err
		}
		switch {
		case refused == nil:
		case asked.State != web.ConsentWaiting:
			return out, refused
		default:
			fmt.Fprintf(e.Stderr, "%s\nPaste the address again: ", refused)
		}
	}
	if asked.State != web.ConsentConnected {
		return out, &answer.Refusal{Detail: asked.Words}
	}
	fmt.Fprintln(e.Stderr) // below what was asked for
	known, err := e.connections(cl)
	if i := slices.IndexFunc(known, func(c status.Connection) bool { return c.Shop == shop }); i >= 0 {
		out = web.Connected{Connection: known[i], Found: asked.Found}
	}
	return out, err
}

// tellAsked says where the owner is asked, and how the answer comes back.
func (e *env) tellAsked(cl *client, asked web.Consent, how asking, pastes bool) {
	const who = "where the owner of the shop, or staff who may install apps, is logged in"
	if !how.Print && !e.json && e.opens(cl.dir, asked.Address) {
		fmt.Fprintf(e.Stderr, "Your browser opens Shopify's page that asks whether to let the app in. If it does not, open this address in one %s:\n", who)
	} else {
		fmt.Fprintf(e.Stderr, "Open this address in a browser %s, and agree:\n", who)
	}
	fmt.Fprintf(e.Stderr, "\n    %s\n\n", asked.Address)
	until := "until " + asked.ExpiresAt.Local().Format("15:04")
	switch {
	case asked.Listens:
		fmt.Fprintf(e.Stderr, "The answer comes back by itself when that browser is on this machine; it is waited for %s.\n", until)
	default:
		fmt.Fprintf(e.Stderr, "%s The answer is waited for %s.\n", asked.ListensNot, until)
	}
	if pastes {
		fmt.Fprint(e.Stderr, "If the page can't be opened after you agreed, paste its address here: ")
	}
}

// notConnected says why a shop was not connected, and which flag mends it.
func (e *env) notConnected(what string, err error) error {
	refused, _ := errors.AsType[*answer.Refusal](err)
	switch {
	case e.ctx.Err() != nil:
		return fmt.Errorf("%s: stopped; %s shows whether it was connected", what, e.command("shop list"))
	case refused != nil && refused.Code == answer.CodeCredentials:
		return fmt.Errorf("%s: %w Here they are given with --api-key CLIENT_ID, --secret-file FILE and --access-token-file FILE, "+
			"- for standard input; a terminal asks for the client secret", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// tellConnected says what was connected and what to do next.
func (e *env) tellConnected(cl *client, out web.Connected) error {
	if e.json {
		return e.print(out)
	}
	next := "The copy is kept in " + cl.dir + "."
	if cl.alone {
		next += " Keep it current with: " + e.command("serve")
	}
	if out.Found == nil {
		next += "\nAsk Shopify with: " + e.command("doctor")
	}
	_, err := io.WriteString(e.Stdout, strings.Join(append(out.Words(), next), "\n")+"\n")
	return err
}
