package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Sources are where Load looks.
type Sources struct {
	// Flags are the flags that were given, by name without dashes. A flag that
	// was not given must be absent; "" means an explicit nothing.
	Flags Flags
	// Environ is the environment as os.Environ returns it. An empty variable
	// counts as not set.
	Environ []string
	// Open opens the settings file and secret files. Nil means os.Open.
	Open func(name string) (fs.File, error)
}

// Load finds every setting's value and checks it. The error names everything
// that is wrong, one sentence a line, each beginning with the flag, variable or
// file that holds the value; it never repeats a secret. Callers exit with
// ExitConfig.
func Load(src Sources) (Settings, error) {
	l := newLoader(src)
	l.loadFile()
	l.loadSettings()
	l.checkEnvironment()
	l.loadFiled(adminPassword, "admin-password-file")
	l.loadFiled(signingSecret, "signing-secret-file")
	l.loadFiled(notifyURLs, "notify-file")
	l.loadShop()
	if len(l.errs) > 0 {
		return Settings{}, errors.Join(l.errs...)
	}
	return l.out, nil
}

// loader is one call of Load under way.
type loader struct {
	flags    Flags
	env      map[string]string
	file     map[string]any // the settings file's values by key
	fileName string         // "" for no settings file
	files    files
	out      Settings
	errs     []error
}

func newLoader(src Sources) *loader {
	open := src.Open
	if open == nil {
		open = openFile
	}
	env := map[string]string{}
	for _, line := range src.Environ {
		name, value, _ := strings.Cut(line, "=")
		if strings.HasPrefix(name, shopPrefix) {
			value = strings.TrimSpace(value) // blanks at the ends come from quoting mistakes and belong to no value
		}
		if _, seen := env[name]; !seen && value != "" {
			env[name] = value
		}
	}
	return &loader{
		flags: src.Flags,
		env:   env,
		files: files{open: open, credentials: env["CREDENTIALS_DIRECTORY"]},
		out:   Settings{origins: map[string]string{}, fileErrs: map[string]error{}},
	}
}

func (l *loader) fail(format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf(format, args...))
}

// loadFile reads the settings file that is named, or else the one in the data dir,
// if there is one.
func (l *loader) loadFile() {
	at, data := l.found("config"), l.found("data").text
	own := at.origin == byDefault && data != ""
	if own {
		dir, err := filepath.Abs(data)
		if err != nil {
			return // it is said where the data dir is read
		}
		at.text = filepath.Join(dir, FileName)
	}
	if at.text == "" {
		return
	}
	anyMode := func(fs.FileMode) error { return nil }
	text, err := l.files.read("settings", at.text, anyMode, maxSettingsFile, "is it the right one?")
	switch {
	case own && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
		return
	case own && errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w; run this as the user that runs Stockroom (sudo -u USER), or name another data dir with --data", err)
	}
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	l.fileName, l.out.ConfigFile = at.text, at.text
	if l.file, err = parseFile(text); err != nil {
		l.fail("%s: %w", at.text, err)
	}
	if _, moves := l.file["data"]; moves && own {
		l.fail("%s: data: this file is read because it is in the data dir, so it can't name another one; "+
			"take the line out, and name the data dir with --data or %s", at.text, envName("data"))
	}
}

// found is what is given for a setting, and where.
type found struct {
	text   string
	label  string // begins a message about it: what the reader has to change
	origin string // see Settings.Origin
	base   string // where relative paths start, "" for the working directory
	err    error  // why it has no text
}

// byDefault is the origin of what nobody gave.
const byDefault = "default"

// find looks for what is given for a setting.
func (l *loader) find(s Setting) found {
	if text, given := l.flags[s.Name]; given {
		return found{text: text, label: "--" + s.Name, origin: "flag --" + s.Name}
	}
	if file := l.env[s.Env+fileSuffix]; s.kind == "secret" && file != "" {
		return l.findSecret(s, file)
	}
	if text := l.env[s.Env]; text != "" {
		return found{text: text, label: s.Env, origin: "environment " + s.Env}
	}
	if value, given := l.file[s.Name]; given {
		text, err := s.fileText(value)
		return found{text, l.fileName + ": " + s.Name, "file " + l.fileName, filepath.Dir(l.fileName), err}
	}
	return found{text: s.Default, label: s.Name, origin: byDefault}
}

// findSecret reads the file that a variable names.
func (l *loader) findSecret(s Setting, file string) found {
	if l.env[s.Env] != "" {
		return found{label: s.Env + fileSuffix, err: fmt.Errorf("%s is set as well, use one of them", s.Env)}
	}
	secret, path, err := l.files.secret(file, "")
	if err != nil {
		return found{label: s.Env + fileSuffix, err: err}
	}
	return found{text: secret.Reveal(), label: s.Env, origin: "file " + path}
}

// found is find by name.
func (l *loader) found(name string) found {
	s, _ := named(name)
	return l.find(s)
}

// load gives settings their values.
func (l *loader) load(rows []Setting) {
	for _, s := range rows {
		at := l.find(s)
		l.out.origins[s.Name] = at.origin
		if at.err == nil && (at.text != "" || at.origin != byDefault) {
			at.err = s.read(&l.out, at)
		}
		if at.err != nil {
			l.fail("%s: %w", at.label, at.err)
		}
	}
}

// read sets the setting's field.
func (s Setting) read(all *Settings, at found) error {
	if s.kind == "folder" {
		at.text = under(at.base, at.text)
	}
	value, err := readers()[s.kind](s, at.text)
	if err == nil {
		s.in(all).Set(reflect.ValueOf(value))
	}
	return err
}

// loadSettings gives all but the shop its value.
func (l *loader) loadSettings() {
	for name := range l.flags {
		if s, known := named(name); !known || s.EnvOnly {
			l.fail("--%s: there is no such flag", name)
		}
	}
	l.load(rows(reflect.TypeFor[Settings]()))
	l.loadHTTPS()
	if len(l.errs) == 0 {
		if err := l.out.check(); err != nil {
			l.fail("%s: %w", l.found("public-url").label, err)
		}
	}
}

// loadHTTPS gives --public-url the value that --https means, and reports what does not
// go with it.
func (l *loader) loadHTTPS() {
	s := &l.out
	switch of, u := l.found("https"), l.found("public-url"); {
	case s.HTTPS == "" && s.HTTPSAdmin != "":
		l.fail("%s: the status page gets a public name only beside one for webhooks: set --https too",
			l.found("https-admin").label)
	case s.HTTPS == "":
	case l.found("listen").origin != byDefault:
		l.fail("%s: --https serves the same on port 443, so this has no meaning beside it; take one of them out",
			l.found("listen").label)
	case s.HTTPS == s.HTTPSAdmin:
		l.fail("%s: it is the name of --https, where the webhooks are; give the status page a name of its own",
			l.found("https-admin").label)
	case s.PublicURL == "":
		s.PublicURL, s.origins["public-url"] = "https://"+s.HTTPS, of.origin
	default:
		if at, err := url.Parse(s.PublicURL); err != nil || at.Scheme != "https" || at.Hostname() != s.HTTPS {
			l.fail("%s: Shopify would deliver to %s, and --https serves https://%s; take this out",
				u.label, s.PublicURL, s.HTTPS)
		}
	}
}

// The secrets whose file is a setting with a flag.
const (
	adminPassword = envPrefix + "ADMIN_PASSWORD"
	signingSecret = envPrefix + "SIGNING_SECRET"
	notifyURLs    = envPrefix + "NOTIFY"
)

// loadFiled reads the secret called name from the file that a setting names. A file
// that can't be used is no error here but in Settings.CheckServe: a command that
// talks to a running server may not see the server's secrets.
func (l *loader) loadFiled(name, setting string) {
	at := l.found(setting)
	switch {
	case at.text == "":
		return
	case l.env[name] != "":
		l.fail("%s: %s is set as well, use one of them", at.label, name)
		return
	}
	value, path, err := l.files.secret(at.text, at.base)
	if err == nil {
		row, _ := named(name)
		err = row.read(&l.out, found{text: value.Reveal()})
	}
	if err != nil {
		l.out.fileErrs[name] = fmt.Errorf("%s: %w", at.label, err)
		return
	}
	l.out.origins[name] = "file " + path
}

// Flags are the settings that were given on a command line, as they were typed,
// by name, for Sources.Flags. As an option of kong they make it take the fields
// of a Settings for flags, and collect what is typed instead of reading it: Load
// reads it, and says at once all that is wrong with it.
type Flags map[string]string

// Apply implements kong.Option.
func (f Flags) Apply(k *kong.Kong) error {
	for kind := range readers() {
		if err := kong.NamedMapper(kind, kong.MapperFunc(f.take)).Apply(k); err != nil {
			return err
		}
	}
	return nil
}

func (f Flags) take(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	var err error
	if target.Kind() == reflect.Bool { // which takes --flag and --no-flag, too
		err = kong.NewRegistry().RegisterDefaults().ForType(target.Type()).Decode(ctx, target)
		text = strconv.FormatBool(target.Bool())
	} else {
		err = ctx.Scan.PopValueInto("string", &text)
	}
	if err == nil && ctx.Value.Tag.Type == "secret file" {
		err = checkSecretPath(text) // here, so that what is not for others to read is a wrong command line
	}
	f[ctx.Value.Name] = text
	return err
}

const (
	shopPrefix = "SHOPIFY_" // of the variables that declare a shop
	fileSuffix = "_FILE"    // of the variable that names a secret's file
)

// loadShop reads the SHOPIFY_ variables.
func (l *loader) loadShop() {
	failed := len(l.errs)
	l.load(shopRows())
	var given []string
	for _, s := range shopRows() {
		if at := l.out.origins[s.Name]; at != byDefault {
			_, name, _ := strings.Cut(at, " ")
			given = append(given, name)
		}
	}
	if len(l.errs) > failed || len(given) == 0 {
		return
	}
	l.out.Shop.Domain = strings.ToLower(l.out.Shop.Domain)
	if l.out.Shop.Declared() {
		l.checkShop(l.out.Shop)
		return
	}
	ignored := fmt.Sprintf("SHOPIFY_SHOP is not set, so %s is ignored", strings.Join(given, ", "))
	l.out.Warnings = append(l.out.Warnings, ignored)
	l.out.Shop = EnvShop{}
}

// checkShop reports what is missing or malformed.
func (l *loader) checkShop(shop EnvShop) {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]*\.myshopify\.com$`).MatchString(shop.Domain) {
		hint := "its name.myshopify.com domain, which Shopify's admin shows under Settings, Domains"
		short := regexp.MustCompile(`^(?:https?://)?([a-z0-9][a-z0-9-]*)(?:\.myshopify\.com)?/?$`)
		if name := short.FindStringSubmatch(shop.Domain); name != nil {
			hint = name[1] + ".myshopify.com"
		}
		l.fail("SHOPIFY_SHOP: %q is not a shop's domain, write %s", shop.Domain, hint)
	}
	if !shop.APISecret.IsSet() {
		l.fail("SHOPIFY_API_SECRET: not set, and without it no webhook can be verified: set it or SHOPIFY_API_SECRET_FILE")
	}
	if shop.APIKey == "" && !shop.AccessToken.IsSet() {
		l.fail("SHOPIFY_API_KEY: not set; set it, or SHOPIFY_ACCESS_TOKEN when the app has a static token")
	}
	if len(shop.MerchantID) > 200 {
		l.fail("SHOPIFY_MERCHANT_ID: longer than 200 bytes")
	}
	known := variables(shopRows())
	for _, name := range l.strangers(shopPrefix, known) {
		// Other programs have SHOPIFY_ variables too: only near misses count.
		near := slices.IndexFunc(known, func(k string) bool { return distance(name, k) <= 2 })
		if near >= 0 {
			l.fail("%s: there is no such variable, did you mean %s?", name, known[near])
		}
	}
}
