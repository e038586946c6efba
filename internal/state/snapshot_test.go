package state_test

import (
	"encoding/base64"
	"errors"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"stockroom/internal/catalog"
	"stockroom/internal/folder"
	"stockroom/internal/state"
)

func TestASnapshotHasASecretOnlyWhenAllIsAskedForAndNeverOneThatWasDropped(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"), state.Options{})
	connect(t, s, shopA, "a")
	ok(t,
		s.Put("session", "one", []byte("session-a")), s.Put("sync", "alive", []byte("now")),
		s.SetSelection(shopA, catalog.Selection{Mode: catalog.SelectAll, Exclude: []int64{7}}),
		s.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("limiter-of-others")); return err }))
	for _, all := range []bool{true, false} {
		dir, err := folder.Open(t.TempDir())
		ok(t, err)
		defer dir.Close()
		ok(t, s.Snapshot(all, "session").WriteTo(dir, "state.db"))
		for text, want := range map[string]bool{
			"third-secret-a": all, "shpat-a": all, "token-a": all, "note-a": all, base64.StdEncoding.EncodeToString([]byte("session-a")): all,
			"first-secret-a": false, "second-secret-a": false, "limiter-of-others": false, shopA: true,
		} {
			if got := holds(t, dir.Path(), text); got != want {
				t.Errorf("all %t: %s is in it: %t", all, text, got)
			}
		}
		copied := open(t, dir.File("state.db"), state.Options{})
		if d, damaged := copied.Damage(); damaged {
			t.Errorf("all %t: %+v", all, d)
		}
		sel, known := copied.Selection(shopA)
		alive, _ := copied.Get("sync", "alive")
		if !known || len(sel.Exclude) != 1 || string(alive) != "now" || (len(copied.Secrets(shopA)) > 0) != all {
			t.Errorf("all %t: selection %+v, %t, alive %q, %d secrets", all, sel, known, alive, len(copied.Secrets(shopA)))
		}
		if err := s.Snapshot(all).WriteTo(dir, "missing/state.db"); err == nil || errors.Is(err, folder.ErrNotRegular) {
			t.Errorf("a folder that is not there: %v", err)
		}
	}
}
