package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"text/tabwriter"
	"time"

	"stockroom/config"
	"stockroom/datadir"
)

type versionCommand struct{}

func (versionCommand) Run(e *env) error {
	if e.json {
		return e.print(map[string]string{"version": e.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
	}
	_, err := fmt.Fprintln(e.Stdout, versionLine(e.Version))
	return err
}

func versionLine(version string) string {
	return fmt.Sprintf("stockroom %s (%s, %s/%s)", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

type configCommand struct {
	Print configPrintCommand `cmd:"" help:"Show every setting, its value and where it comes from. Secrets are hidden."`
}

type configPrintCommand struct{}

func (configPrintCommand) Run(e *env) error {
	s, err := e.settings()
	if err != nil {
		return err
	}
	entries := s.Describe()
	if e.json {
		return e.print(entries)
	}
	w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
	for _, entry := range entries {
		fmt.Fprintf(w, "%s\t%s\t%s\n", entry.Name, orDash(entry.Value), entry.Origin)
	}
	return w.Flush()
}

type healthcheckCommand struct {
	Timeout time.Duration `default:"3s" help:"How long to wait for the answer."`
}

// Run asks the running server's /readyz.
func (c healthcheckCommand) Run(e *env) error {
	s, err := e.settings()
	if err != nil {
		return err
	}
	found, err := datadir.ReadAdmin(s.DataDir)
	if errors.Is(err, datadir.ErrNoServer) {
		return fmt.Errorf("no server runs on the data dir %s", s.DataDir)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(e.ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, found.URL+"/readyz", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+found.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return silent(found)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if e.json {
		var doc json.RawMessage
		if json.Unmarshal(body, &doc) == nil {
			if err := e.print(doc); err != nil {
				return err
			}
		}
	}
	if res.StatusCode != http.StatusOK {
		return withCode(config.ExitFailed, fmt.Errorf("the server can't store deliveries now (%s); see %s/readyz", res.Status, found.URL))
	}
	if !e.json {
		fmt.Fprintln(e.Stdout, "ok")
	}
	return nil
}
