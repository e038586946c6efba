package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/status"
	"stockroom/web"
)

type doctorCommand struct {
	Acknowledge bool `help:"First take off the notices of losses that you have dealt with."`
	Deep        bool `help:"Read everything that is stored, too, and measure the disk; minutes for a large catalogue."`
}

// Run prints a line for each thing that was looked at and exits with the code
// of the gravest failure: a setting, the data dir, damage, Shopify, anything
// else.
func (c doctorCommand) Run(e *env) error {
	var list []web.Finding
	add := func(check, level, text, fix string) {
		list = append(list, web.Finding{Check: check, Level: level, Text: text, Fix: fix})
	}
	code := config.ExitOK
	s, err := e.settings()
	if err == nil {
		err = checkServe(s, mayKeepPassword(s))
	}
	if err != nil {
		add("config", "fail", err.Error(), "stockroom config print shows where each setting comes from")
		code = config.ExitConfig
	} else {
		add("config", "ok", "the settings make sense", "")
		for _, w := range s.Warnings {
			add("config", "warn", w, "")
		}
		code = e.examineDir(s, c, &list)
	}
	for _, f := range list {
		if f.Level != "fail" || code == config.ExitConfig || code == config.ExitData {
			continue
		}
		switch {
		case f.Cause == "integrity":
			code = config.ExitIntegrity
		case f.Cause == "unreachable" && code != config.ExitIntegrity:
			code = config.ExitUnreachable
		case code == config.ExitOK:
			code = config.ExitFailed
		}
	}
	if err := e.report(list); err != nil {
		return err
	}
	if code != config.ExitOK {
		return withCode(code, errors.New("something is wrong, see above"))
	}
	return nil
}

// examineDir looks at the data dir and, through whoever holds it, at all that is
// in it and at the shops.
func (e *env) examineDir(s config.Settings, ask doctorCommand, list *[]web.Finding) int {
	dir := web.Finding{Check: "lock", Level: "ok", Text: "a server runs on " + s.DataDir}
	if _, err := datadir.ReadAdmin(s.DataDir); errors.Is(err, datadir.ErrNoServer) {
		dir.Text = "no server runs on " + s.DataDir + "; it can be opened"
	}
	var found struct {
		Findings []web.Finding `json:"findings"`
	}
	err := e.with(false, func(c *client) error {
		if ask.Acknowledge {
			if err := e.acknowledge(c); err != nil {
				return err
			}
		}
		path := "/api/v1/doctor"
		if ask.Deep {
			path += "?deep=true"
		}
		look := func() error { return c.call(e.ctx, http.MethodPost, path, nil, &found) }
		if p := e.newProgress("", false); ask.Deep && p.columns != nil {
			defer p.end()
			return p.during("reading everything that is stored, slowly, so that a running server is not held up", look)
		}
		return look()
	})
	if err != nil {
		dir.Level, dir.Text = "fail", err.Error()
		code := exitCode(err)
		switch code {
		case config.ExitData:
			if _, locked := errors.AsType[*datadir.LockedError](err); locked {
				dir.Fix = "stop the process that holds the data dir, or name another with --data"
			}
		default:
			dir.Fix = "look at the log of the running server"
		}
		*list = append(*list, dir)
		return code
	}
	*list = append(append(*list, dir), found.Findings...)
	if !s.AdminOnLoopback() && !s.AdminPassword.IsSet() {
		var password struct{ Set bool }
		err := e.with(false, func(c *client) error {
			return c.call(e.ctx, http.MethodGet, "/api/v1/password", nil, &password)
		})
		if err == nil && !password.Set {
			*list = append(*list, web.Finding{Check: "password", Level: "fail", Text: s.CheckServe(false).Error(), Fix: s.Command("password set")})
		}
	}
	return config.ExitOK
}

// acknowledge takes every notice off that a person can take off, and says which.
func (e *env) acknowledge(c *client) error {
	var now struct {
		Notices []status.Notice `json:"notices"`
	}
	if err := c.call(e.ctx, http.MethodGet, "/api/v1/status", nil, &now); err != nil {
		return err
	}
	for _, n := range now.Notices {
		if n.ID == "" {
			continue
		}
		if err := c.call(e.ctx, http.MethodPost, "/api/v1/notices/"+url.PathEscape(n.ID)+"/acknowledge", nil, nil); err != nil {
			return err
		}
		fmt.Fprintln(e.Stderr, "Taken off:", n.Text)
	}
	return nil
}

func (e *env) report(list []web.Finding) error {
	if e.json {
		return e.print(map[string]any{"findings": list})
	}
	for _, f := range list {
		what := f.Check
		if f.Shop != "" {
			what += " of " + f.Shop
		}
		line := fmt.Sprintf("%-4s  %s: %s\n", f.Level, what, f.Text)
		if f.Fix != "" {
			line += "      " + f.Fix + "\n"
		}
		if _, err := io.WriteString(e.Stdout, line); err != nil {
			return err
		}
	}
	return nil
}
