package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/settings.md again")

func TestTheSettingsPageIsUpToDate(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "settings.md")
	want := settingsPage()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/settings.md is out of date, run: go test ./internal/config -run TestTheSettingsPageIsUpToDate -update")
	}
}

// settingsPage makes docs/settings.md from the tables of this package.
func settingsPage() string {
	var b strings.Builder
	b.WriteString(pageIntro)
	b.WriteString("| flag and key | default | value | meaning |\n|---|---|---|---|\n")
	for _, s := range All() {
		if s.EnvOnly {
			continue
		}
		def := "none"
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `--%s` | %s | %s | %s |\n", s.Name, def, s.Unit, s.Help)
	}
	b.WriteString(pageSecrets)
	b.WriteString("| variable | meaning |\n|---|---|\n")
	for _, s := range rows(reflect.TypeFor[Settings]()) {
		if s.EnvOnly {
			fmt.Fprintf(&b, "| `%s` | %s |\n", s.Env, s.Help)
		}
	}
	b.WriteString(pageShop)
	b.WriteString("| variable | or a file | meaning |\n|---|---|---|\n")
	for _, s := range shopRows() {
		file := ""
		if s.kind == "secret" {
			file = "`" + s.Env + fileSuffix + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Env, file, s.Help)
	}
	b.WriteString(pageOther)
	for _, name := range otherVariables() {
		fmt.Fprintf(&b, "- `%s`: %s\n", name, otherMeanings[name])
	}
	return b.String()
}

// otherMeanings says what the variables are for that are no settings.
var otherMeanings = map[string]string{
	"STOCKROOM_TORTURE":         "not empty: `go test` and `make torture` run the long campaigns.",
	"STOCKROOM_TORTURE_MINUTES": "ends the longest of these campaigns, each after this many minutes.",
	"STOCKROOM_TORTURE_RATE":    "how many deliveries a second the soak sends, 500 by itself.",
	"STOCKROOM_SEED":            "replays the random draws of a campaign of the root's tests; each prints its seed.",
	"STOCKROOM_TOKEN":           "the token that docs/examples/feed/main.go sends; Stockroom itself reads none.",
}

const pageIntro = `# Settings

*What can be set?*

This page is made from the program's own table; change that and run
` + "`go test ./internal/config -run TestTheSettingsPageIsUpToDate -update`" + `.

A value is looked for in four places, the first one wins:

1. the flag, ` + "`--listen 127.0.0.1:9000`" + `
2. the environment, ` + "`STOCKROOM_LISTEN=127.0.0.1:9000`" + `: ` + "`STOCKROOM_`" + ` and the flag's name in upper case with ` + "`_` for `-`" + `. An empty variable counts as not set.
3. the settings file, TOML, ` + "`listen = \"127.0.0.1:9000\"`" + `: the keys are the flags' names without the dashes
4. the default

The settings file is the one that ` + "`--config`" + ` names. Without it every command reads
` + "`stockroom.toml`" + ` in the data dir, if it is there; ` + "`stockroom init`" + ` writes it (mode 0600).
That file can't move the data dir it is in: ` + "`data`" + ` in it is an error. ` + "`--config=`" + ` reads none.

` + "`stockroom config print`" + ` shows every value in force and where it came from.

Unknown flags, keys and ` + "`STOCKROOM_`" + ` variables are errors, so a misspelt one
is never ignored; only variables that Kubernetes and Docker set by themselves
beside a service called stockroom (` + "`STOCKROOM_SERVICE_HOST`" + ` and the like) are passed over.
Any wrong setting ends the command with exit code 3 and a line that says
what to write instead.

- **Durations** are written ` + "`90s`, `15m`, `1h30m` or `7d`" + `.
- **Sizes** are written ` + "`512KiB` or `8MiB`" + ` (units of 1024), ` + "`8MB`" + ` (of 1000) or as a number of bytes.
- **Lists** are written with commas, in the settings file also as a list of strings.
- **Relative paths** start at the working directory; in the settings file they start at its folder.

`

const pageSecrets = `
## Secrets

Secrets are never flags and never in the settings file. They come from the
environment or, better, from a file. A file that every user of the machine can
read or write is refused (` + "`chmod o-rwx FILE`" + ` helps); line breaks at its end are
dropped. A file name without a slash is looked for in systemd's credentials
directory first (` + "`LoadCredential=`" + `). No secret is ever printed.

`

const pageShop = `
## One shop by environment

These variables declare one shop without any ` + "`shop add`" + `. It is not stored, and
it wins over a stored shop with the same domain. Webhooks are accepted when
they are signed with any of the secrets.

`

const pageOther = `
## Other variables

`
