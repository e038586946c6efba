package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// Admin says how to talk to the running server. It prints without its token.
type Admin struct {
	URL   string `json:"url"`   // base address of the admin listener
	Token string `json:"token"` // bearer token
	PID   int    `json:"pid"`
}

// String returns the address and the PID.
func (a Admin) String() string { return fmt.Sprintf("%s (process %d)", a.URL, a.PID) }

// Format keeps the token out of every verb.
func (a Admin) Format(f fmt.State, _ rune) { fmt.Fprint(f, a.String()) }

// LogValue keeps the token out of the log.
func (a Admin) LogValue() slog.Value { return slog.StringValue(a.String()) }

// Announce writes admin.json, for commands that talk to this process. It is
// removed by Close.
func (d *Dir) Announce(url, token string) error {
	text, err := json.Marshal(Admin{URL: url, Token: token, PID: os.Getpid()})
	if err != nil {
		return fmt.Errorf("write %s: %w", adminFile, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("write %s: %w", adminFile, fs.ErrClosed)
	}
	if err := replaceFile(d.File(adminFile), append(text, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", adminFile, err)
	}
	return nil
}

// replaceFile puts content at path as a whole, mode 0600.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}

// ReadAdmin returns how to talk to the server that runs on the data dir at
// path. The error is ErrNoServer when none does: no dir, no admin.json, one
// that a dead server left, or a server that has not announced itself yet. Any
// other error means that it can't be told.
func ReadAdmin(path string) (Admin, error) {
	held, pid, err := holder(path)
	if err != nil {
		return Admin{}, fmt.Errorf("look for a running server: %w", err)
	}
	if !held {
		return Admin{}, ErrNoServer
	}
	text, err := os.ReadFile(filepath.Join(path, adminFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Admin{}, ErrNoServer
	}
	if err != nil {
		return Admin{}, fmt.Errorf("look for a running server: %w", err)
	}
	var a Admin
	if err := json.Unmarshal(text, &a); err != nil {
		return Admin{}, fmt.Errorf("look for a running server: read %s: %w", adminFile, err)
	}
	if a.PID != pid || a.URL == "" {
		return Admin{}, ErrNoServer // of an earlier server; this one is starting
	}
	return a, nil
}

// holder reports whether a process holds the lock of the dir, and its PID.
func holder(path string) (bool, int, error) {
	f, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	defer f.Close() // gives the lock back as well
	err = tryLock(f, false)
	if errors.Is(err, errHeld) {
		return true, readPID(f), nil
	}
	return false, 0, err
}
