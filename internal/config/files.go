package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// maxSecretFile bounds what is read of a secret file, in bytes.
const maxSecretFile = 64 << 10

// files are read where settings name them.
type files struct {
	open        func(name string) (fs.File, error)
	credentials string // systemd's $CREDENTIALS_DIRECTORY, "" when there is none
}

// read returns what a file holds. kind is what a person calls it, allowed says why
// one of such a mode is not read, and doubt follows when it has more than most bytes.
func (f files) read(kind, path string, allowed func(fs.FileMode) error, most int64, doubt string) (string, error) {
	file, err := f.open(path)
	if err != nil {
		return "", fmt.Errorf("can't open the %s file: %w", kind, err)
	}
	defer file.Close()
	info, err := file.Stat() // of what was opened, so it can't be swapped in between
	if err != nil {
		return "", fmt.Errorf("can't look at the %s file: %w", kind, err)
	}
	if err := allowed(info.Mode()); err != nil {
		return "", err
	}
	raw, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return "", fmt.Errorf("can't read the %s file: %w", kind, err)
	}
	if int64(len(raw)) > most {
		return "", fmt.Errorf("the %s file %s holds more than %s, %s", kind, path, FormatSize(most), doubt)
	}
	return string(raw), nil
}

// secret returns the content of the file called name without the line breaks at
// its end, and the path it was read from.
//
// A name without a slash is looked for in systemd's credentials directory
// first. Any other relative name is relative to base ("" for the working
// directory). A regular file that everyone can read or write is refused.
func (f files) secret(name, base string) (secret Secret, path string, err error) {
	paths := []string{under(base, name)}
	if f.credentials != "" && filepath.Base(name) == name {
		paths = []string{filepath.Join(f.credentials, name), paths[0]}
	}
	var text string
	for _, path = range paths {
		private := func(mode fs.FileMode) error { return checkPrivate(path, mode) }
		text, err = f.read("secret", path, private, maxSecretFile, "it is not a secret")
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	text = strings.TrimRight(text, "\r\n")
	if err == nil && text == "" {
		err = fmt.Errorf("the secret file %s is empty", path)
	}
	return NewSecret(text), path, err
}

func checkPrivate(path string, mode fs.FileMode) error {
	if mode.IsDir() {
		return fmt.Errorf("%s is a folder, name the file that holds the secret", path)
	}
	if mode.IsRegular() && mode.Perm()&0o006 != 0 {
		return fmt.Errorf("every user of this machine can open the secret file %s (mode %04o); run: chmod o-rwx %s",
			path, mode.Perm(), ShellQuote(path))
	}
	return nil
}

// under is a path in the folder base, unless it says itself where it is.
func under(base, path string) string {
	if base == "" || path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}

func openFile(name string) (fs.File, error) { return os.Open(name) }

// ReadSecretFile returns the secret that a file holds, as files that settings name
// are read.
func ReadSecretFile(name string) (Secret, error) {
	secret, _, err := files{open: openFile}.secret(name, "")
	return secret, err
}

// ShellQuote writes text so that a shell takes it for one word.
func ShellQuote(path string) string {
	if regexp.MustCompile(`^[A-Za-z0-9/._-]*$`).MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
