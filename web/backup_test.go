package web

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
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

// slowReader takes an answer only when it is told to.
type slowReader struct {
	*httptest.ResponseRecorder
	began chan struct{}
	take  chan struct{}
}

func (r *slowReader) Write(b []byte) (int, error) {
	select {
	case r.began <- struct{}{}:
	default:
	}
	<-r.take
	return r.ResponseRecorder.Write(b)
}

// However many ask, the copies of one backup lie in the data dir; its place is free again
// when the answer has ended, or broke off.
func TestOneBackupIsSentAtATime(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Backup = backups(t, o) })
	for name, end := range map[string]func(*slowReader, context.CancelFunc){
		"read": func(slow *slowReader, _ context.CancelFunc) { close(slow.take) },
		"gone": func(slow *slowReader, cancel context.CancelFunc) { cancel(); close(slow.take) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			slow := &slowReader{httptest.NewRecorder(), make(chan struct{}, 1), make(chan struct{})}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer func() { _ = recover() }() // how an answer that began is broken off
				r.Admin().ServeHTTP(slow, request("GET", "/api/v1/backup", "").WithContext(ctx))
			}()
			<-slow.began
			w := serve(r.Admin(), request("GET", "/api/v1/backup", ""))
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "10" ||
				!strings.Contains(w.Body.String(), "One backup is sent at a time") {
				t.Errorf("beside another: %d, %v, %s", w.Code, w.Header(), w.Body)
			}
			end(slow, cancel)
			<-ended
			if w := serve(r.Admin(), request("GET", "/api/v1/backup", "")); w.Code != http.StatusOK {
				t.Errorf("after the other: %d, %s", w.Code, w.Body)
			}
		})
	}
}
