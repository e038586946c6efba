package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"stockroom/datadir"
)

type webhooksCommand struct {
	Test webhooksTestCommand `cmd:"" help:"Send a signed sample delivery to the running server, through its public address."`
}

type webhooksTestCommand struct {
	Shop  string `arg:"" optional:"" help:"The shop's domain; not needed when one shop is connected."`
	Topic string `default:"products/update" help:"The delivery's topic."`
	Body  string `help:"File with the body; - is standard input. Without it a sample of the topic is sent."`
}

// Run asks the running server to send itself a delivery: only the server knows
// the shop's secret.
func (c webhooksTestCommand) Run(e *env) error {
	in := map[string]any{"topic": c.Topic}
	if c.Shop != "" {
		in["shop"] = c.Shop
	}
	if c.Body != "" {
		text, err := e.readAll(c.Body)
		if err != nil {
			return err
		}
		in["body"] = string(text)
	}
	s, err := e.settings()
	if err != nil {
		return err
	}
	if _, err := datadir.ReadAdmin(s.DataDir); errors.Is(err, datadir.ErrNoServer) {
		return fmt.Errorf("no server runs on the data dir %s; start `stockroom serve` first", s.DataDir)
	}
	return e.with(false, func(cl *client) error {
		var out struct {
			URL    string          `json:"url"`
			Shop   string          `json:"shop"`
			Topic  string          `json:"topic"`
			Status int             `json:"status"`
			Answer json.RawMessage `json:"answer"`
		}
		if err := cl.call(e.ctx, http.MethodPost, "/api/v1/webhooks-test", url.Values{}, in, &out); err != nil {
			return err
		}
		if e.json {
			return e.print(out)
		}
		fmt.Fprintf(e.Stdout, "%s for %s to %s: %d %s\n", out.Topic, out.Shop, out.URL, out.Status, out.Answer)
		return nil
	})
}

func (e *env) readAll(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(e.Stdin, 64<<20))
	}
	return os.ReadFile(name)
}
