package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"

	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/web"
)

type webhooksCommand struct {
	List     webhooksListCommand     `cmd:"" help:"Show which webhook subscriptions a shop needs and which are there."`
	Register webhooksRegisterCommand `cmd:"" help:"Make the webhook subscriptions that are missing and mend those that are wrong."`
	Test     webhooksTestCommand     `cmd:"" help:"Send the running server a signed test delivery, over its public URL."`
}

type webhooksTestCommand struct {
	Shop  string `arg:"" optional:"" type:"shop" help:"The shop's domain; not needed when one shop is connected."`
	Topic string `default:"products/update" help:"The delivery's topic."`
	Body  string `placeholder:"FILE" help:"File with the body; - is standard input. Without it a sample of the topic is sent."`
}

// Help says what the samples write.
func (webhooksTestCommand) Help() string {
	return "The delivery takes the way of Shopify's own: over --public-url, without following redirects. It carries a " +
		"number by which the server knows it again. Where this machine can't reach the address, that is a warning. " +
		"In pull mode it goes to the server's listener.\n\n" +
		"The sample of products/create and products/update stores an INACTIVE draft called \"Stockroom test product\" with the id 1; " +
		"--topic products/delete removes it again. Samples of the other topics store nothing but their row in the journal, and may ask for a " +
		"look at the shop, which finds nothing under the id 1. There is no sample of shop/redact."
}

// Run asks the running server to send itself a delivery: only the server knows
// the shop's secret.
func (c webhooksTestCommand) Run(e *env, s config.Settings) error {
	in := map[string]any{"topic": c.Topic}
	if c.Shop != "" {
		in["shop"] = c.Shop
	}
	if c.Body != "" {
		text, err := e.readAll(c.Body)
		if err != nil {
			return err
		}
		if utf8.Valid(text) {
			in["body"] = string(text)
		} else {
			in["body_base64"] = text
		}
	}
	if _, err := datadir.ReadAdmin(s.DataDir); errors.Is(err, datadir.ErrNoServer) {
		return fmt.Errorf("no server runs on the data dir %s; start it with %s", s.DataDir, s.Command("serve"))
	}
	return e.with(false, func(cl *client) error {
		var out web.SampleSent
		if err := cl.call(e.ctx, http.MethodPost, "/api/v1/webhooks-test", in, &out); err != nil {
			return err
		}
		if e.json {
			if err := e.print(out); err != nil {
				return err
			}
		} else {
			fmt.Fprintf(e.Stdout, "%s for %s: %s\n", out.Topic, out.Shop, printable(strings.TrimSpace(out.Text+" "+out.Next)))
		}
		if out.Level == "fail" {
			return withCode(config.ExitFailed, errors.New("the test delivery shows a fault"))
		}
		return nil
	})
}

func (e *env) readAll(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(e.Stdin, 64<<20))
	}
	return os.ReadFile(name)
}
