package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
)

type tokenCommand struct {
	Add    tokenAddCommand    `cmd:"" help:"Make a token that only reads and print it, this once."`
	List   tokenListCommand   `cmd:"" help:"List the tokens: name, when made, when last used."`
	Remove tokenRemoveCommand `cmd:"" help:"Remove a token. It opens nothing from then on."`
}

type tokenAddCommand struct {
	Name string `arg:"" help:"What it is for, such as prometheus: small letters, digits, dots, hyphens, underscores."`
}

// Run prints the token alone to standard output, so that it can go into a file.
func (c tokenAddCommand) Run(e *env) error {
	in := map[string]string{"name": c.Name}
	return ask(e, true, http.MethodPost, "/api/v1/tokens", in, func(out struct{ Name, Token string }) error {
		fmt.Fprintf(e.Stderr, "The token %s can read everything on the admin address and change nothing. It is shown this once:\n",
			out.Name)
		_, err := fmt.Fprintln(e.Stdout, out.Token)
		return err
	})
}

type tokenListCommand struct{}

func (tokenListCommand) Run(e *env) error {
	return ask(e, false, http.MethodGet, "/api/v1/tokens", nil, func(out struct{ Tokens []admit.TokenView }) error {
		if len(out.Tokens) == 0 {
			fmt.Fprintln(e.Stdout, "There is no token. Make one with: "+e.command("token add NAME"))
			return nil
		}
		w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tCREATED\tLAST USED")
		for _, one := range out.Tokens {
			used := "never"
			if one.Used != nil {
				used = one.Used.Format(time.DateOnly)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", one.Name, one.Made.Format(time.DateOnly), used)
		}
		return w.Flush()
	})
}

type tokenRemoveCommand struct {
	Name string `arg:"" help:"Name of the token."`
}

func (c tokenRemoveCommand) Run(e *env) error {
	err := ask(e, false, http.MethodDelete, "/api/v1/tokens/"+url.PathEscape(c.Name), nil, func(struct{}) error {
		_, err := fmt.Fprintf(e.Stdout, "The token %s is removed. Nothing can be read with it any more.\n", c.Name)
		return err
	})
	if p := (*answer.Refusal)(nil); errors.As(err, &p) && p.Status == http.StatusNotFound {
		return fmt.Errorf("there is no token %q; those there are: %s", c.Name, e.command("token list"))
	}
	return err
}
