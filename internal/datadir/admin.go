package datadir

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"stockroom/internal/folder"
)

// adminBytes is more than an admin.json of ours holds.
const adminBytes = 64 << 10

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
	d.admin = append(text, '\n')
	return d.writeAdmin()
}

// writeAdmin writes admin.json unless it is there as it was announced.
func (d *Dir) writeAdmin() error {
	if d.admin == nil {
		return nil
	}
	if f, err := d.folder.Open(adminFile, os.O_RDONLY); err == nil {
		text, err := io.ReadAll(io.LimitReader(f, int64(len(d.admin))+1))
		_ = f.Close()
		if err == nil && bytes.Equal(text, d.admin) {
			return nil
		}
	}
	err := d.folder.Replace(adminFile, d.admin)
	if errors.Is(err, folder.ErrNotRegular) {
		err = fmt.Errorf("write admin.json: %w; move it away", err)
	}
	return err
}

// ReadAdmin returns how to talk to the server that runs on the data dir at
// path. The error is ErrNoServer when none does: no dir, no admin.json, one
// that a dead server left, or a server that has not announced itself yet. Any
// other error means that it can't be told.
func ReadAdmin(path string) (Admin, error) {
	a, err := readAdmin(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return Admin{}, ErrNoServer
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("look for a running server: %w; "+
			"run this as the user that runs Stockroom (sudo -u USER), or name another data dir with --data", err)
	case err != nil && !errors.Is(err, ErrNoServer):
		err = fmt.Errorf("look for a running server: %w", err)
	}
	return a, err
}

func readAdmin(path string) (Admin, error) {
	dir, err := folder.Open(path)
	if err != nil {
		return Admin{}, err
	}
	defer dir.Close()
	lock, err := dir.Open(lockFile, os.O_RDONLY)
	if err != nil {
		return Admin{}, err
	}
	defer lock.Close() // gives the lock back as well
	if err := tryLock(lock, false); !errors.Is(err, errHeld) {
		return Admin{}, cmp.Or(err, ErrNoServer)
	}
	f, err := dir.Open(adminFile, os.O_RDONLY)
	if err != nil {
		return Admin{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, adminBytes))
	if err != nil {
		return Admin{}, err
	}
	var a Admin
	if err := json.Unmarshal(text, &a); err != nil {
		return Admin{}, fmt.Errorf("read %s: %w", adminFile, err)
	}
	if a.PID != readPID(lock) || a.URL == "" {
		return Admin{}, ErrNoServer // of an earlier server; this one is starting
	}
	return a, nil
}
