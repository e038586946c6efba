package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/config"
	"stockroom/web"
)

type shopAddCommand struct {
	Shop               string `arg:"" type:"shop" help:"The shop's name at Shopify, NAME.myshopify.com, or the address of its admin."`
	MerchantID         string `help:"Your own name for the merchant, stored with each product."`
	APIKey             string `name:"api-key" help:"The app's client id."`
	SecretFile         string `help:"File with the app's client secret; - reads it from standard input. On a terminal it is asked for."`
	PreviousSecretFile string `help:"File with the client secret before the last rotation."`
	AccessTokenFile    string `help:"File with a static access token; without it the client-credentials grant is used."`
	NoCheck            bool   `help:"Store it without asking Shopify, for example while there is no network."`
}

// addWithin is how long a running server may take; it asks the shop for less.
const addWithin = 30 * time.Second

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
		ctx, cancel := context.WithTimeout(e.ctx, addWithin)
		defer cancel()
		var out web.Connected
		err := cl.call(ctx, http.MethodPut, "/api/v1/shops/"+url.PathEscape(c.Shop), body, &out)
		var p *answer.Refusal
		switch {
		case e.ctx.Err() != nil:
			return fmt.Errorf("shop add: stopped; %s shows whether it was connected", e.command("shop list"))
		case errors.As(err, &p) && p.Code == answer.CodeCredentials:
			return fmt.Errorf("shop add: %w Here they are given with --api-key CLIENT_ID, --secret-file FILE and --access-token-file FILE, "+
				"- for standard input; a terminal asks for the client secret", err)
		case errors.As(err, &p) && (p.Code == answer.CodeUnreachable || p.Code == answer.CodeNotNow):
			return withCode(exitCode(err), fmt.Errorf("shop add: %s (--no-check)", strings.TrimSuffix(err.Error(), ".")))
		case err != nil:
			return fmt.Errorf("shop add: %w", err)
		case e.json:
			return e.print(out)
		}
		next := "The copy is kept in " + cl.dir + "."
		if cl.alone {
			next += " Keep it current with: " + e.command("serve")
		}
		if out.Found == nil {
			next += "\nAsk Shopify with: " + e.command("doctor")
		}
		fmt.Fprintln(e.Stdout, strings.Join(append(out.Words(), next), "\n"))
		return nil
	})
}

// secret reads a secret from a file, from standard input, or, when a terminal
// is there to ask, from a person. Secrets never come from arguments: other
// users of the machine can see those.
func (e *env) secret(file, ask string) (string, error) {
	switch {
	case file == "-":
		line, err := e.line(4096)
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
