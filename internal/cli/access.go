package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
	"stockroom/internal/config"
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

type passwordCommand struct {
	Set   passwordSetCommand   `cmd:"" help:"Set the password of the status page, or another one. Everybody has to log in again."`
	Link  passwordLinkCommand  `cmd:"" help:"Make a link that opens the page for setting the password. It works once, for 30 minutes."`
	Clear passwordClearCommand `cmd:"" help:"Remove the password: the status page opens with the links of stockroom open only."`
}

type passwordSetCommand struct {
	File string `help:"File with the password; - reads it from standard input. On a terminal it is asked for."`
}

func (c passwordSetCommand) Run(e *env) error {
	text, err := e.newPassword(c.File)
	if err != nil {
		return withCode(config.ExitConfig, err)
	}
	return ask(e, true, http.MethodPut, "/api/v1/password", map[string]string{"password": text}, func(struct{}) error {
		_, err := fmt.Fprintln(e.Stdout, "The password is set. Whoever was logged in has to log in again.")
		return err
	})
}

// newPassword reads a password as it is, without the line end behind it: from a
// file, from standard input, or twice from a person.
func (e *env) newPassword(file string) (string, error) {
	switch {
	case file == "" && e.asks():
		var typed [2]string
		for i, words := range []string{"New password", "The same again"} {
			var err error
			if typed[i], err = e.hidden(words + " (not shown)"); err != nil {
				return "", fmt.Errorf("read the password: %w", err)
			}
		}
		if typed[0] != typed[1] {
			return "", errors.New("the two passwords are not the same")
		}
		return typed[0], nil
	case file == "" || file == "-":
		line, err := e.line()
		if err != nil {
			return "", fmt.Errorf("read the password from standard input: %w", err)
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return "", errors.New("no password was given; write it to standard input or name a file with --file")
		}
		return line, nil
	}
	text, err := config.ReadSecretFile(file)
	return text.Reveal(), err
}

type passwordLinkCommand struct{}

func (passwordLinkCommand) Run(e *env, s config.Settings) error {
	link, until, err := e.newLink(s, "/api/v1/password-link", "or set the password with "+s.Command("password set"))
	if err != nil {
		return err
	}
	return e.tellLink("setup_link", link, until, "", "")
}

type passwordClearCommand struct{}

func (passwordClearCommand) Run(e *env) error {
	return ask(e, false, http.MethodDelete, "/api/v1/password", nil, func(struct{}) error {
		_, err := fmt.Fprintln(e.Stdout, "There is no password any more. A link to the status page: "+e.command("open"))
		return err
	})
}

// mayKeepPassword reports whether the data dir may keep a password already; only
// opening it can tell for sure.
func mayKeepPassword(s config.Settings) bool {
	_, err := os.Stat(filepath.Join(s.DataDir, "state.db"))
	return err == nil
}
