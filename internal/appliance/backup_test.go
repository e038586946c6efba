package appliance

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/breaker"
	"stockroom/internal/backup"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/state"
	"stockroom/store"
)

const backupShop = "linen.myshopify.com"

// withShop opens a data dir with a shop whose deliveries are waited for.
func withShop(t *testing.T, path string) *Appliance {
	t.Helper()
	settings, err := config.Load(config.Sources{Flags: map[string]string{"data": path, "public-url": "https://stockroom.example"}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), Options{Settings: settings, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func TestAfterARestoreAllIsComparedAndCallsBeginAsIfEveryPointWereSpent(t *testing.T) {
	for _, with := range []bool{true, false} {
		a := withShop(t, t.TempDir())
		err := errors.Join(
			a.state.AddShop(backupShop, "", time.Now()),
			a.state.SetCredentials(backupShop, state.Credentials{APIKey: "id", APISecret: config.NewSecret("secret"), AccessToken: config.NewSecret("shpat_x")}),
			a.store.PutShop(t.Context(), store.Shop{Shop: backupShop}),
			a.breaker.Force(time.Now(), breaker.Key{Shop: backupShop, Class: "read"}, breaker.HeldOpen))
		if err != nil {
			t.Fatal(err)
		}
		copies, err := a.takeBackup(t.Context(), with)
		if err != nil {
			t.Fatal(err)
		}
		var stream bytes.Buffer
		if err := errors.Join(copies.WriteTo(t.Context(), &stream), copies.End(), a.Close()); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "new")
		dir, err := datadir.Open(path, datadir.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = backup.Restore(t.Context(), dir, &stream, nil, time.Now())
		if err := errors.Join(err, dir.Close()); err != nil {
			t.Fatal(err)
		}
		for range 2 { // it is known to the next start too
			b := withShop(t, path)
			if owed := b.syncer.Status(backupShop, time.Now()).Owed; !strings.HasPrefix(owed, "Stockroom was restored from a backup of "+copies.CreatedAt.Format("2006-01-02")) {
				t.Errorf("owed is %q", owed)
			}
			if n := b.notices(); len(n) > 0 {
				t.Errorf("the page says %+v", n)
			}
			if circuits := b.breaker.ShopAt(time.Now(), backupShop); len(circuits) > 0 {
				t.Errorf("circuits %+v", circuits)
			}
			if snap, known := b.limiter.Snapshot(backupShop); known && snap.Used < snap.Budget {
				t.Errorf("points %+v", snap)
			}
			var codes []string
			for _, l := range b.status.Read(t.Context(), time.Now()).Lines {
				codes = append(codes, l.Code)
			}
			all := strings.Join(codes, " ")
			if missing := strings.HasPrefix(all, "secret-missing"); missing == with || !strings.Contains(all, "owed") {
				t.Errorf("secrets %t: the page says %s", with, all)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Who has a shop removed with all that is kept of it is told where else it is.
func TestBackupsAndWhatARestorePutAwayAreNamedWhenAShopIsPurged(t *testing.T) {
	dir := t.TempDir()
	a := withShop(t, dir)
	want := []string{"products.db.damaged-1", "replaced-20261130T100000.000Z/products.db", "backups/stockroom-20261130T100000Z.tar.gz"}
	for _, name := range append(want, "backups/notes.txt") {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	got := a.setAside()
	for i, path := range got {
		name, err := filepath.Rel(a.dir.Path(), path)
		if got[i] = filepath.ToSlash(name); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("named are %q", got)
	}
}
