package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/folder"
	"stockroom/internal/status"
	"stockroom/web"
)

type initCommand struct {
	Shop            string        `type:"shop" placeholder:"NAME" help:"The shop's name at Shopify, NAME.myshopify.com, or the address of its admin."`
	Kind            status.Access `enum:",credentials,consent,token" default:"" placeholder:"KIND" help:"How the app gets in: credentials, when the organisation that owns the shop made it; consent, when another one did, such as an agency; token, when it is an older app of the shop's admin."`
	APIKey          string        `name:"api-key" placeholder:"ID" help:"The app's client id."`
	SecretFile      string        `placeholder:"FILE" help:"File with the app's client secret; - reads it from standard input."`
	AccessTokenFile string        `placeholder:"FILE" help:"File with the access token of an older app; - reads it from standard input."`
	Pull            bool          `help:"Stockroom looks for changes itself. The other way is --public-url."`
	Yes             bool          `help:"Ask nothing: what no flag answers is as it is proposed."`
	asking          `embed:""`
}

// Help says what is asked and what is kept.
func (initCommand) Help() string {
	return "Asks step by step for what it takes to keep a copy of a shop: the shop, the app and its credentials, which are tried at once, and how " +
		"changes arrive. Then it reads the shop until the copy is in step. It can be run again: what is there is shown and stays unless it is " +
		"changed. Settings that are given as flags, and those that were chosen, are written to stockroom.toml in the data dir. Where nobody can " +
		"be asked, as with --json, each answer is a flag."
}

// setUp is one run of init: what was answered so far.
type setUp struct {
	initCommand
	e         *env
	settings  config.Settings
	asks      bool
	given     map[string]string // credentials by the name of the API's member
	connected web.Connected     // once the shop was
	wrote     bool              // other settings than there were
}

// Run goes from an empty directory to a copy that is in step.
func (c initCommand) Run(e *env, s config.Settings) error {
	u := &setUp{initCommand: c, e: e, settings: s, asks: e.asks() && !e.json && !c.Yes, given: map[string]string{}}
	err := u.run()
	again := " Go on with: " + e.command("init")
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errStopped) && u.connected.Shop == "":
		return errors.New("init: stopped. Nothing was stored." + again)
	case errors.Is(err, errStopped):
		return errors.New("init: stopped. " + u.connected.Shop + " is connected." + again)
	case u.connected.Shop == "":
		return e.notConnected("init", err)
	}
	return fmt.Errorf("init: %w", err)
}

func (u *setUp) run() error {
	if u.settings.ConfigFile != "" && u.settings.Origin("config") != "default" {
		return withCode(config.ExitUsage, fmt.Errorf("it writes %s, which no command reads beside another settings file; "+
			"leave out --config and STOCKROOM_CONFIG, or connect a shop with %s", u.file(), u.e.command(config.ConnectWords("NAME.myshopify.com"))))
	}
	if u.Pull && u.e.flags["public-url"] != "" {
		return withCode(config.ExitUsage, errors.New("--pull and --public-url are two ways; give one of them"))
	}
	known, err := u.known()
	if err == nil {
		err = u.credentialFiles()
	}
	if err == nil {
		err = u.whichShop(known)
	}
	if err == nil {
		err = u.connect(known)
	}
	if err == nil {
		err = u.changes()
	}
	if err != nil {
		return err
	}
	u.say("\nStockroom reads the shop now; it can be stopped and goes on later.\n")
	more := map[string]any{"shop": u.connected, "settings_file": u.file(), "pull": u.settings.Pull()}
	if err := u.e.sync(u.Shop, inStep(false), more); err != nil || u.e.json {
		return err
	}
	return u.next()
}

func (u *setUp) say(format string, args ...any) { fmt.Fprintf(u.e.Stderr, format, args...) }

// file is the settings file.
func (u *setUp) file() string { return filepath.Join(u.settings.DataDir, config.FileName) }

// known are the shops that are connected. It makes no data dir.
func (u *setUp) known() (list []status.Connection, err error) {
	if _, err := os.Stat(u.settings.DataDir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	err = u.e.with(false, func(cl *client) (err error) {
		list, err = u.e.connections(cl)
		return err
	})
	return list, err
}

// credentialFiles reads what flags give.
func (u *setUp) credentialFiles() error {
	u.given["api_key"] = strings.TrimSpace(u.APIKey)
	for _, one := range [][2]string{{"secret", u.SecretFile}, {"access_token", u.AccessTokenFile}} {
		text, err := u.e.secret(one[1], "")
		if err != nil {
			return withCode(config.ExitConfig, err)
		}
		u.given[one[0]] = text
	}
	maps.DeleteFunc(u.given, func(_, value string) bool { return value == "" })
	if u.Kind == "" && u.AccessTokenFile != "" {
		u.Kind = status.ByToken
	}
	return nil
}

// whichShop finds the shop, and all that is missing where nobody is asked.
func (u *setUp) whichShop(known []status.Connection) error {
	preset := u.Shop
	if preset == "" && len(known) == 1 {
		preset = known[0].Shop
	}
	if !u.asks {
		u.Shop = preset
		return u.missing(known)
	}
	u.say("Stockroom keeps a copy of a shop's products in %s.\nCtrl-C stops at any question; running this again goes on.\n\n", u.settings.DataDir)
	for _, s := range known {
		u.say("Connected: %s (%s).\n", s.Shop, s.State)
	}
	for u.Shop == "" {
		typed, err := u.question("The shop, as NAME.myshopify.com or as the address of its admin", preset)
		if err != nil {
			return err
		}
		if u.Shop, err = catalog.ReadShop(typed); err != nil {
			u.say("%s\n", err)
		}
	}
	return nil
}

// missing names the flags without which nothing can be done where nobody is asked.
func (u *setUp) missing(known []status.Connection) error {
	var flags []string
	needs := func(flag string, there bool) {
		if !there {
			flags = append(flags, flag)
		}
	}
	needs("--shop NAME.myshopify.com", u.Shop != "")
	if len(u.given) > 0 || u.connection(known) == nil {
		for _, c := range u.credentials() {
			needs(c.flag, c.optional || u.given[c.name] != "" || u.connection(known) != nil)
		}
	}
	needs("--pull or --public-url URL", u.Pull || u.Yes || u.settings.PublicURL != "" || u.settings.ConfigFile != "")
	if len(flags) == 0 {
		return nil
	}
	return withCode(config.ExitUsage, fmt.Errorf("nobody is asked here, and these answers are missing: %s", strings.Join(flags, ", ")))
}

// connection is how the shop is connected, nil when it is not.
func (u *setUp) connection(known []status.Connection) *status.Connection {
	i := slices.IndexFunc(known, func(c status.Connection) bool { return c.Shop == u.Shop })
	if i < 0 {
		return nil
	}
	return &known[i]
}

// question asks for a line.
func (u *setUp) question(words, preset string) (string, error) {
	if preset != "" {
		words += " [" + preset + "]"
	}
	u.say("%s: ", words)
	line, err := u.e.wait(u.e.nextLine())
	if errors.Is(err, io.EOF) {
		err = errStopped // nobody answers any more
	}
	return cmp.Or(strings.TrimSpace(line), preset), err
}

// choice asks for one of some; preset and the answer count from 0.
func (u *setUp) choice(words string, preset int, of ...string) (int, error) {
	u.say("\n%s\n", words)
	for i, one := range of {
		u.say("  %d  %s\n", i+1, one)
	}
	for {
		typed, err := u.question("Number", strconv.Itoa(preset+1))
		if err != nil {
			return 0, err
		}
		if n, err := strconv.Atoi(typed); err == nil && n >= 1 && n <= len(of) {
			return n - 1, nil
		}
		u.say("Type a number from 1 to %d.\n", len(of))
	}
}

// yes asks something to which the usual answer is yes.
func (u *setUp) yes(words string) (bool, error) {
	typed, err := u.question(words+" [Y/n]", "")
	return !strings.HasPrefix(strings.ToLower(typed), "n"), err
}

// changes finds how changes of the shop arrive, and writes what was chosen.
func (u *setUp) changes() error {
	values := map[string]string{}
	for name, typed := range u.e.flags {
		values[name] = typed
	}
	url := u.settings.PublicURL
	if origin := u.settings.Origin("public-url"); strings.HasPrefix(origin, "environment") {
		u.say("Changes: Shopify sends them to %s (%s).\n", url, origin)
	} else if u.Pull {
		values["public-url"] = ""
	} else if _, typed := u.e.flags["public-url"]; !typed && u.asks {
		var err error
		if values["public-url"], err = u.howChanges(url); err != nil {
			return err
		}
	}
	return u.write(values)
}

// howChanges asks for the public address, "" for pull mode.
func (u *setUp) howChanges(now string) (url string, err error) {
	preset := 0
	if now != "" {
		preset = 1
	}
	n, err := u.choice("How do changes in the shop get here?", preset,
		"Stockroom looks for them, every "+config.FormatDuration(u.settings.PollEvery)+". There is nothing else to do (pull mode).",
		"Shopify sends them to a public https address that leads to this machine, by a proxy or tunnel of yours. They are here within a second.")
	for n == 1 && err == nil {
		if url, err = u.question("The public address, https://...", now); err != nil {
			break
		}
		flags := maps.Clone(u.e.flags)
		flags["public-url"] = url
		_, wrong := config.Load(config.Sources{Flags: flags, Environ: u.e.Environ})
		if wrong == nil && url != "" {
			break
		}
		words := "The address is missing."
		if wrong != nil {
			words = "That can't be: " + strings.TrimPrefix(wrong.Error(), "--public-url: ")
		}
		u.say("%s\n", words)
	}
	return url, err
}

// write puts settings into the file, as a whole or not at all.
func (u *setUp) write(values map[string]string) error {
	for _, s := range config.All() {
		if value := values[s.Name]; s.Unit == "path" && value != "" {
			abs, err := filepath.Abs(value) // in the file it would start at the data dir
			if err != nil {
				return err
			}
			values[s.Name] = abs
		}
	}
	delete(values, "data")
	delete(values, "config")
	const head = "# Settings that every stockroom command reads. stockroom init made this file.\n" +
		"# What can be set here: stockroom help settings\n"
	before, err := os.ReadFile(u.file())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	after, err := config.Edited(cmp.Or(string(before), head), values)
	if err != nil {
		return withCode(config.ExitConfig, fmt.Errorf("%s: %w", u.file(), err))
	}
	if u.wrote = after != string(before); !u.wrote {
		return nil
	}
	dir, err := folder.Open(u.settings.DataDir)
	if err != nil {
		return err
	}
	if err := errors.Join(dir.Replace(config.FileName, []byte(after)), dir.Close()); err != nil {
		return err
	}
	u.say("Written: %s\n", u.file())
	u.settings, err = u.e.settings()
	return err
}

// next says what to do once the copy is in step.
func (u *setUp) next() error {
	command := u.e.command
	words := "Keep it in step, as long as this runs:\n    " + command("serve") + "\nSee how it stands, meanwhile in another terminal:\n    " + command("open")
	_, err := datadir.ReadAdmin(u.settings.DataDir)
	switch {
	case err == nil && u.wrote:
		words = "The settings have changed: stop the running server and start it again with:\n    " + command("serve")
	case err == nil:
		words = "The running server keeps it in step. See how it stands:\n    " + command("open")
	}
	if !u.settings.Pull() {
		here := u.settings.Listen + " here"
		if u.settings.HTTPS != "" {
			here = "port 443 of this machine"
		}
		words += "\nShopify sends changes to " + u.settings.PublicURL + ", which has to lead to " + here + "."
	}
	_, err = fmt.Fprintf(u.e.Stdout, "The copy is in step with %s. It is in %s.\n%s\n", u.Shop, u.settings.DataDir, words)
	return err
}
