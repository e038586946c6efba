package appliance

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/state"
	"stockroom/queue"
	"stockroom/store"
)

// dataDirWith makes a data dir whose state.db has a shop, and returns that open.
func dataDirWith(t *testing.T, dir, shop string) *state.Store {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := state.Open(filepath.Join(dir, "state.db"), time.Now(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cat, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "products.db")})
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := queue.Open(queue.Options{Path: filepath.Join(dir, "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(cat.Close(), jobs.Close(), s.AddShop(shop, "", time.Now())); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnEmptyDataDirNamesThoseThatHoldShops(t *testing.T) {
	work, home := t.TempDir(), t.TempDir()
	t.Chdir(work)
	t.Setenv("HOME", home)
	if err := dataDirWith(t, filepath.Join(work, "stockroom-data"), "linen.myshopify.com").Close(); err != nil {
		t.Fatal(err)
	}
	running := dataDirWith(t, filepath.Join(home, "stockroom"), "wool.myshopify.com")
	var log bytes.Buffer
	open := func(dir string) *Appliance {
		t.Helper()
		s, err := config.Load(config.Sources{Flags: map[string]string{"data": dir, "api-base": "http://127.0.0.1:1"}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := Open(t.Context(), Options{Settings: s, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
		return a
	}
	a := open("typo")
	for _, want := range []string{
		"The data dir " + filepath.Join(work, "typo") + " was made just now and holds no shop.",
		filepath.Join(work, "stockroom-data") + " holds linen.myshopify.com.",
		filepath.Join(home, "stockroom") + " is in use by a running server.",
	} {
		account := a.status.Read(t.Context(), time.Now())
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
		if len(account.Notices) != 1 || !strings.Contains(account.Notices[0].Text, want) {
			t.Errorf("the notices lack %q: %+v", want, account.Notices)
		}
		if want := "stockroom shop add NAME.myshopify.com --api-key CLIENT_ID --data " + filepath.Join(work, "typo"); account.Head.Command != want {
			t.Errorf("the command is %q, want %q", account.Head.Command, want)
		}
	}
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}

	// One that holds a shop says nothing, and looks nowhere.
	log.Reset()
	if b := open("stockroom-data"); log.Len() > 0 || len(b.notices()) > 0 {
		t.Errorf("a data dir with a shop says %q, %+v", log.String(), b.notices())
	}
}
