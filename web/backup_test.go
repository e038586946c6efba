package web

import (
	"bytes"
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stockroom/internal/backup"
	"stockroom/internal/datadir"
	"stockroom/internal/state"
)

// backups makes backups of the stores of o.
func backups(t *testing.T, o *Options) func(context.Context, bool) (*backup.Copies, error) {
	t.Helper()
	kept, err := state.Open(filepath.Join(t.TempDir(), "state.db"), time.Now(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	src := backup.Source{Stores: backup.Stores{Store: o.Store, Queue: o.Queue, State: kept}, Folder: o.Folder, Version: o.Version,
		Space: func() (datadir.Space, error) { return datadir.Space{Free: 1 << 40, Total: 1 << 40}, nil }}
	return func(ctx context.Context, secrets bool) (*backup.Copies, error) { return backup.Take(ctx, src, secrets) }
}

func TestABackupIsStreamedAndOneWithSecretsToTheOwnerOnly(t *testing.T) {
	full := false
	r := newRig(t, func(o *Options) {
		take := backups(t, o)
		o.Backup = func(ctx context.Context, secrets bool) (*backup.Copies, error) {
			if full {
				return nil, &backup.RoomError{Path: "/data", Free: 1 << 20, Needed: 5 << 20}
			}
			return take(ctx, secrets)
		}
	})
	r.product(1, "Shirt", "")
	w := serve(r.Admin(), request("GET", "/api/v1/backup?secrets=true", ""))
	m, err := backup.Read(t.Context(), bytes.NewReader(w.Body.Bytes()), nil)
	if err != nil || !m.Secrets || m.Products != 1 || len(m.Shops) != 1 || !strings.Contains(w.Header().Get("Content-Disposition"), m.FileName()) {
		t.Errorf("%+v, %v, %v", m, err, w.Header())
	}
	full = true
	if got := r.admin(http.StatusInsufficientStorage, "GET", "/api/v1/backup", ""); !strings.Contains(got, "it takes up to 6 MiB on the disk of /data beside what has to stay free, and 1 MiB are free") {
		t.Error(got)
	}
	a := newAccountRig(t, testPassword, func(o *Options) { o.Backup = backups(t, o) })
	session := a.login(testPassword)
	for target, want := range map[string]int{"/api/v1/backup": 200, "/api/v1/backup?secrets=true": 403} {
		if w := a.browse("GET", target, session); w.Code != want {
			t.Errorf("a session: %s: %d, want %d", target, w.Code, want)
		}
	}
}
