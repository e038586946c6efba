package appliance

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"stockroom/internal/boltfile"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/state"
	"stockroom/internal/status"
)

// Elsewhere says which of the usual data dirs hold shops, of those that are not
// dir: a sentence for each. None: there is no such data dir.
func Elsewhere(dir string) (list []string) {
	usual := []string{"stockroom-data", "/var/lib/stockroom"}
	if home, err := os.UserHomeDir(); err == nil {
		usual = append(usual, filepath.Join(home, "stockroom"))
	}
	seen := map[string]bool{dir: true}
	for _, path := range usual {
		path, err := filepath.Abs(path)
		if err != nil || seen[path] {
			continue
		}
		seen[path] = true
		shops, err := state.Peek(filepath.Join(path, datadir.StateFile), 200*time.Millisecond)
		switch {
		case errors.Is(err, boltfile.ErrLocked):
			list = append(list, path+" is in use by a running server.")
		case err == nil && len(shops) > 0:
			list = append(list, path+" holds "+status.Enumerate(shops)+".")
		}
	}
	return list
}

// lookElsewhere looks once, at the start, whether a data dir without a shop was
// meant to be another one.
func (a *Appliance) lookElsewhere() {
	if len(a.state.Shops()) > 0 || a.opt.Demo || a.opt.Manual {
		return
	}
	a.elsewhere = Elsewhere(a.dir.Path())
	a.log.Warn(strings.TrimSpace(a.emptyWords()+" "+strings.Join(a.elsewhere, " ")), "connect", a.command(config.ConnectWords("NAME.myshopify.com")))
}

// emptyWords say that the data dir holds no shop.
func (a *Appliance) emptyWords() string {
	made := ""
	if a.dir.Made() {
		made = "was made just now and "
	}
	return "The data dir " + a.dir.Path() + " " + made + "holds no shop."
}

// emptyNotice tells whoever opened an empty data dir of those that are not empty.
func (a *Appliance) emptyNotice() []status.Notice {
	if len(a.elsewhere) == 0 || len(a.state.Shops()) > 0 {
		return nil
	}
	return []status.Notice{{
		Level: status.LevelWarn, Text: a.emptyWords() + " " + strings.Join(a.elsewhere, " "),
		Next: "If one of these was meant, stop this server and start it with --data and that path.",
	}}
}
