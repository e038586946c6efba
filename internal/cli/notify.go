package cli

import (
	"errors"
	"fmt"
	"net/http"

	"stockroom/internal/config"
	"stockroom/internal/notify"
)

type notifyCommand struct {
	Test notifyTestCommand `cmd:"" help:"Send a test message to every target of --notify-file."`
}

type notifyTestCommand struct{}

func (notifyTestCommand) Run(e *env, s config.Settings) error {
	return e.with(false, func(cl *client) error {
		if err := checkServe(s, true); cl.alone && err != nil { // a server has its own settings
			return withCode(config.ExitConfig, err)
		}
		if !cl.alone && s.Notify.IsSet() {
			fmt.Fprintln(e.Stderr, "A server runs and is asked; the messages go to the addresses that it was started with. "+
				"What this command was given counts for a server that is started with it.")
		}
		var out struct {
			Sent []notify.Sent `json:"sent"`
		}
		if err := cl.call(e.ctx, http.MethodPost, "/api/v1/notify/test", nil, &out); err != nil {
			return err
		}
		failed := false
		for _, t := range out.Sent {
			failed = failed || !t.OK
			if !e.json {
				word := map[bool]string{true: "ok", false: "failed"}[t.OK]
				fmt.Fprintf(e.Stdout, "%s: %s: %s\n", t.Target, word, printable(t.Text))
			}
		}
		if e.json {
			if err := e.print(out); err != nil {
				return err
			}
		}
		if failed {
			return withCode(config.ExitFailed, errors.New("not every target took the message"))
		}
		return nil
	})
}

// checkServe reports what keeps these settings from serving.
func checkServe(s config.Settings, passwordStored bool) error {
	_, err := notify.Parse(s.Notify)
	return errors.Join(s.CheckServe(passwordStored), err)
}
