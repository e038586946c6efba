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

// secretFiles reads secrets from files.
type secretFiles struct {
	open        func(name string) (fs.File, error)
	credentials string // systemd's $CREDENTIALS_DIRECTORY, "" when there is none
}

// read returns the content of the file called name without the line breaks at
// its end, and the path it was read from.
//
// A name without a slash is looked for in systemd's credentials directory
// first. Any other relative name is relative to base ("" for the working
// directory). A regular file that everyone can read or write is refused; the
// check looks at the file that was opened, so it can't be swapped in between.
func (s secretFiles) read(name, base string) (Secret, string, error) {
	path := name
	if !filepath.IsAbs(name) && base != "" {
		path = filepath.Join(base, name)
	}
	var f fs.File
	err := fs.ErrNotExist
	if s.credentials != "" && filepath.Base(name) == name {
		credential := filepath.Join(s.credentials, name)
		if f, err = s.open(credential); err == nil {
			path = credential
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		f, err = s.open(path)
	}
	if err != nil {
		return Secret{}, path, fmt.Errorf("can't open the secret file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Secret{}, path, fmt.Errorf("can't look at the secret file: %w", err)
	}
	mode := info.Mode()
	if mode.IsDir() {
		return Secret{}, path, fmt.Errorf("%s is a folder, name the file that holds the secret", path)
	}
	if mode.IsRegular() && mode.Perm()&0o006 != 0 {
		return Secret{}, path, fmt.Errorf(
			"every user of this machine can open the secret file %s (mode %04o); run: chmod o-rwx %s",
			path, mode.Perm(), ShellQuote(path))
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return Secret{}, path, fmt.Errorf("can't read the secret file: %w", err)
	}
	if len(raw) > maxSecretFile {
		return Secret{}, path, fmt.Errorf("the secret file %s holds more than %s, it is not a secret",
			path, FormatSize(maxSecretFile))
	}
	value := strings.TrimRight(string(raw), "\r\n")
	if value == "" {
		return Secret{}, path, fmt.Errorf("the secret file %s is empty", path)
	}
	return NewSecret(value), path, nil
}

func openFile(name string) (fs.File, error) { return os.Open(name) }

// ReadSecretFile returns the secret that a file holds, as files that settings name
// are read.
func ReadSecretFile(name string) (Secret, error) {
	secret, _, err := secretFiles{open: openFile}.read(name, "")
	return secret, err
}

// ShellQuote writes text so that a shell takes it for one word.
func ShellQuote(path string) string {
	if regexp.MustCompile(`^[A-Za-z0-9/._-]*$`).MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
