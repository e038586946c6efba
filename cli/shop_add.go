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

	"golang.org/x/term"

	"stockroom/config"
	"stockroom/status"
)

type shopAddCommand struct {
	Shop               string `arg:"" type:"shop" help:"The shop's name at Shopify, NAME.myshopify.com, or the address of its admin."`
	MerchantID         string `help:"Your own name for the merchant, stored with each product."`
	APIKey             string `name:"api-key" help:"The app's client id."`
	SecretFile         string `help:"File with the app's client secret; - reads it from standard input. On a terminal it is asked for."`
	PreviousSecretFile string `help:"File with the client secret before the last rotation."`
	AccessTokenFile    string `help:"File with a static access token; without it the client-credentials grant is used."`
}

func (c shopAddCommand) Run(e *env) error {
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
		if err := cl.call(e.ctx, http.MethodPut, "/api/v1/shops/"+url.PathEscape(c.Shop), nil, body, &view); err != nil {
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
