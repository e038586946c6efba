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

	"stockroom/internal/backup"
	"stockroom/internal/boltfile"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/queue"
	"stockroom/store"
)

type versionCommand struct{}

func (versionCommand) Run(e *env) error {
	if e.json {
		return e.print(map[string]any{"version": e.Version, "go": runtime.Version(),
			"platform": runtime.GOOS + "/" + runtime.GOARCH, "formats": formats()})
	}
	_, err := fmt.Fprintln(e.Stdout, versionLine(e.Version))
	return err
}

// format is that of a file: this version reads all from the first to the one that it
// writes, and refuses later ones.
type format struct {
	ReadsFrom int `json:"reads_from"`
	Writes    int `json:"writes"`
}

func formats() map[string]format {
	return map[string]format{
		datadir.ProductsFile: {1, store.Format()}, datadir.QueueFile: {1, queue.Format},
		datadir.StateFile: {1, boltfile.RecordVersion}, "backup": {1, backup.Format},
	}
}

func versionLine(version string) string {
	return fmt.Sprintf("stockroom %s (%s, %s/%s)", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

type configCommand struct {
	Print configPrintCommand `cmd:"" help:"Show every setting, its value and where it comes from, as in force in the running server. Secrets are hidden."`
}

type configPrintCommand struct{}

func (configPrintCommand) Run(e *env, s config.Settings) error {
	lines := make([]settingLine, 0, 40)
	for _, own := range s.Describe() {
		lines = append(lines, settingLine{Setting: own})
	}
	if found, err := datadir.ReadAdmin(s.DataDir); err == nil {
		if err := e.asInServer(newClient(found, s.DataDir), found, lines); err != nil {
			return err
		}
	}
	if e.json {
		return e.print(lines)
	}
	w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s", l.Name, orDash(l.Value), l.Origin)
		if l.Own != nil {
			fmt.Fprintf(w, "; of this command: %s, %s", orDash(l.Own.Value), l.Own.Origin)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// settingLine is a setting in force: in the server that runs, else here.
type settingLine struct {
	config.Setting
	Own *config.Setting `json:"own,omitempty"` // this command's own, where it differs
}

// asInServer puts the settings of the running server in the place of our own.
func (e *env) asInServer(cl *client, found datadir.Admin, lines []settingLine) error {
	var out struct {
		Settings []config.Setting `json:"settings"`
	}
	if err := cl.call(e.ctx, http.MethodGet, "/api/v1/settings", nil, &out); err != nil {
		return err
	}
	fmt.Fprintf(e.Stderr, "In force in the running server (process %d, %s):\n", found.PID, found.URL)
	for i, l := range lines {
		for _, theirs := range out.Settings {
			if theirs.Name != l.Name {
				continue
			}
			lines[i].Setting = theirs
			if theirs.Value != l.Value && l.Name != "data" { // the data dir is how the server was found
				lines[i].Own = &l.Setting
			}
		}
	}
	return nil
}

type healthcheckCommand struct {
	Timeout time.Duration `default:"3s" help:"How long to wait for the answer."`
}

// Run asks the running server's /readyz.
func (c healthcheckCommand) Run(e *env, s config.Settings) error {
	found, err := datadir.ReadAdmin(s.DataDir)
	if errors.Is(err, datadir.ErrNoServer) {
		return fmt.Errorf("no server runs on the data dir %s; start it with %s, or name its data dir with --data", s.DataDir, s.Command("serve"))
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
