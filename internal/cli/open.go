package cli

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/folder"
	"stockroom/store"
)

// browserFails is how long a browser may take to say that it does not start.
const browserFails = 3 * time.Second

type openCommand struct {
	Print bool `help:"Print the link and open nothing."`
}

// Run opens the status page by a link of its own.
func (c openCommand) Run(e *env, s config.Settings) error {
	link, until, err := e.newLink(s, "/api/v1/login-link", "then run this again")
	if err != nil {
		return err
	}
	if !c.Print && !e.json && e.opens(s.DataDir, link) {
		fmt.Fprintln(e.Stdout, "The status page opens in your browser. If it does not: "+s.Command("open --print"))
		return nil
	}
	if err := e.tellLink("page_link", link, until, "", ""); err != nil || e.variable("SSH_CONNECTION") == "" || e.json {
		return err
	}
	at, err := url.Parse(link)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Stderr, "To open it on your own computer, run this there first: ssh -L %s:%s THIS-MACHINE\n",
		at.Port(), at.Host)
	return nil
}

// newLink asks the running server for a one-time link: it lives in the memory of
// that process. without ends what is said to a person who has no server.
func (e *env) newLink(s config.Settings, path, without string) (link string, until time.Time, err error) {
	if _, err := datadir.ReadAdmin(s.DataDir); errors.Is(err, datadir.ErrNoServer) {
		return "", until, fmt.Errorf("no server runs on the data dir %s that could open the link; start it with %s, %s",
			s.DataDir, s.Command("serve"), without)
	}
	err = e.with(false, func(cl *client) error {
		var out struct {
			Path      string    `json:"path"`
			ExpiresAt time.Time `json:"expires_at"`
		}
		err := cl.call(e.ctx, http.MethodPost, path, nil, &out)
		link, until = cl.base+out.Path, out.ExpiresAt
		return err
	})
	return link, until, err
}

// tellLink writes a one-time link to standard output, never to the log: whoever
// reads a log later must not find a key in it.
func (e *env) tellLink(key, link string, until time.Time, before, after string) error {
	if e.json {
		return e.print(map[string]any{key: link, "expires_at": store.InMillis(until)})
	}
	at := until.Local().Format("15:04")
	_, err := fmt.Fprintf(e.Stdout, "%s%s (works once, until %s%s)\n", before, link, at, after)
	return err
}

// opens opens a link in the browser of the person who sits here, if there is one.
func (e *env) opens(dir, link string) bool {
	name, args := browser(runtime.GOOS, e.variable, exec.LookPath)
	return isTerminal(e.Stdout) && name != "" && openFile(dir, link, name, args) == nil
}

// browser returns the command that opens a file in the browser of the person who
// sits here, "" when there is none.
func browser(system string, variable func(string) string, look func(string) (string, error)) (name string, args []string) {
	if variable("SSH_CONNECTION") != "" {
		return "", nil // it would open on the server's screen
	}
	switch system {
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler"}
	case "darwin":
		name = "open"
	default:
		if variable("DISPLAY") == "" && variable("WAYLAND_DISPLAY") == "" {
			return "", nil
		}
		name = "xdg-open"
	}
	if _, err := look(name); err != nil {
		return "", nil
	}
	return name, args
}

// onward leads to the link.
func onward() *template.Template {
	return template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={{.}}"><title>Stockroom</title>
<p><a href="{{.}}">Go on</a></p>
</html>
`))
}

// openFile opens a file that leads on to the link: the link itself must not stand
// in the list of processes, where every user of the machine can read it. The file
// is beside admin.json, which opens more than it, and the next one replaces it.
func openFile(dir, link, name string, args []string) error {
	var text strings.Builder
	if err := onward().Execute(&text, link); err != nil {
		return err
	}
	data, err := folder.Open(dir)
	if err != nil {
		return err
	}
	defer data.Close()
	if err := data.Replace(datadir.OpenPage, []byte(text.String())); err != nil {
		return err
	}
	cmd := exec.Command(name, append(args, data.File(datadir.OpenPage))...)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(browserFails): // some come back only when the browser is closed
		return nil
	}
}
