package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Sources are where Load looks.
type Sources struct {
	// Flags are the flags that were given, by name without dashes. A flag that
	// was not given must be absent; "" means an explicit nothing.
	Flags map[string]string
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
	l.loadValues()
	l.checkEnvironment()
	l.loadPassword()
	l.loadShop()
	if len(l.errs) > 0 {
		return Settings{}, errors.Join(l.errs...)
	}
	return l.out, nil
}

// loader is one call of Load under way.
type loader struct {
	all      []Setting
	flags    map[string]string
	env      map[string]string
	file     map[string]string // the settings file's values by key
	fileErrs map[string]error  // keys whose value has no usable form
	fileName string            // "" for no settings file
	secrets  secretFiles
	out      Settings
	errs     []error
}

func newLoader(src Sources) *loader {
	open := src.Open
	if open == nil {
		open = func(name string) (fs.File, error) { return os.Open(name) }
	}
	env := map[string]string{}
	for _, line := range src.Environ {
		name, value, _ := strings.Cut(line, "=")
		if _, seen := env[name]; !seen && value != "" {
			env[name] = value
		}
	}
	return &loader{
		all:     All(),
		flags:   src.Flags,
		env:     env,
		secrets: secretFiles{open: open, credentials: env["CREDENTIALS_DIRECTORY"]},
		out:     Settings{origins: map[string]Origin{}},
	}
}

func (l *loader) fail(format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf(format, args...))
}

// loadFile reads the settings file when one is named.
func (l *loader) loadFile() {
	name, given := l.flags["config"]
	if !given {
		name = l.env[envName("config")]
	}
	if name == "" {
		return
	}
	l.fileName = name
	f, err := l.secrets.open(name)
	if err != nil {
		l.fail("can't open the settings file: %w", err)
		return
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxSettingsFile+1))
	if err != nil {
		l.fail("can't read the settings file: %w", err)
		return
	}
	if len(raw) > maxSettingsFile {
		l.fail("the settings file %s holds more than %s, is it the right one?", name, FormatSize(maxSettingsFile))
		return
	}
	l.file, l.fileErrs, err = parseFile(string(raw), l.all)
	if err != nil {
		l.fail("%s: %w", name, err)
	}
}

// loadValues gives every setting its value, in the order of the table.
func (l *loader) loadValues() {
	for name := range l.flags {
		if s, known := lookup(l.all, name); !known || s.EnvOnly {
			l.fail("--%s: there is no such flag", name)
		}
	}
	for _, s := range l.all {
		text, origin := l.find(s)
		l.out.origins[s.Name] = origin
		if text == "" && origin.Source == FromDefault {
			continue // no default and nobody gave a value
		}
		if origin.Source == FromFile {
			if err := l.fileErrs[s.Name]; err != nil {
				l.fail("%s: %s: %w", origin.Where, s.Name, err)
				continue
			}
			if s.path {
				text = relativeTo(filepath.Dir(l.fileName), text)
			}
		}
		if err := s.set(&l.out, text); err != nil {
			l.fail("%s: %w", l.label(s.Name, origin), err)
		}
	}
	if len(l.errs) == 0 {
		if err := l.out.check(); err != nil {
			l.fail("%s: %w", l.label("public-url", l.out.origins["public-url"]), err)
		}
	}
}

// find returns a setting's text and where it came from.
func (l *loader) find(s Setting) (string, Origin) {
	if text, given := l.flags[s.Name]; given {
		return text, Origin{FromFlag, "--" + s.Name}
	}
	if text := l.env[s.Env]; text != "" {
		return text, Origin{FromEnv, s.Env}
	}
	if text, given := l.file[s.Name]; given {
		return text, Origin{FromFile, l.fileName}
	}
	return s.Default, Origin{}
}

// label begins a message about a setting with what the reader has to change.
func (l *loader) label(name string, o Origin) string {
	switch o.Source {
	case FromFile:
		return o.Where + ": " + name
	case FromDefault:
		return name
	}
	return o.Where
}

// loadPassword reads the admin password's file. A file that can't be used is
// no error here but in Settings.CheckServe: a command that talks to a running
// server may not see the server's secrets.
func (l *loader) loadPassword() {
	name := l.out.AdminPasswordFile
	if name == "" {
		return
	}
	origin := l.out.origins["admin-password-file"]
	label := l.label("admin-password-file", origin)
	if l.out.AdminPassword.IsSet() {
		l.fail("%s: %s is set as well, use one of them", label, envName("admin-password"))
		return
	}
	base := ""
	if origin.Source == FromFile {
		base = filepath.Dir(l.fileName)
	}
	password, path, err := l.secrets.read(name, base)
	if err == nil {
		err = checkPassword(password)
	}
	if err != nil {
		l.out.passwordErr = fmt.Errorf("%s: %w", label, err)
		return
	}
	l.out.AdminPassword = password
	l.out.origins["admin-password"] = Origin{FromFile, path}
}
