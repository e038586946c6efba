package e2e_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// filesWith lists the files of the data dir that have one of some texts in them.
func filesWith(t *testing.T, dir string, texts ...string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, text := range texts {
			if bytes.Contains(content, []byte(text)) {
				list = append(list, filepath.Base(path)+" has "+text)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAfterAPurgeNoFileOfTheDataDirHoldsTheSecret(t *testing.T) {
	t.Parallel()
	const clientID, newer = "client-id-9f0c2d", "shpss_rotated_5e7a11c0"
	s := twoShops(t)
	secret := func(text string) {
		r := runCLI(t, nil, text+"\n", "shop", "add", otherShop, "--api-key", clientID, "--secret-file", "-", "--no-check", "--data", s.Dir)
		if r.Code != 0 {
			t.Fatal(r.Stderr)
		}
	}
	secret(newer)
	for i := range 5 {
		wantAnswer(t, s.post(delivery{Shop: otherShop, Secret: otherSecret, Body: productBody(int64(i+1), 1, 1)}), answerApplied)
	}
	s.post(delivery{Shop: otherShop, Secret: newer, Body: []byte(`{"id":"no id"}`)}) // a dead letter
	if len(filesWith(t, s.Dir, otherSecret, newer, clientID)) != 3 {
		t.Fatalf("state.db does not hold what is to go: %v", filesWith(t, s.Dir, otherSecret, newer, clientID))
	}
	s.cli("shop", "remove", otherShop, "--purge", "--yes")
	if list := filesWith(t, s.Dir, otherSecret, newer, clientID); len(list) != 0 {
		t.Errorf("while the server runs: %v", list)
	}
	for _, j := range s.jobs("") {
		if j.Shop == otherShop {
			t.Errorf("a job of the shop is kept: %+v", j)
		}
	}
	addShop(t, s, otherShop, "")
	if r := s.post(delivery{Shop: otherShop, Secret: otherSecret, Body: productBody(1, 2, 1)}); r.Status != 503 && r.Status != 401 {
		t.Errorf("added again without a secret it takes the old one: %s", r)
	}
	s.stop()
	if list := filesWith(t, s.Dir, otherSecret, newer, clientID); len(list) != 0 {
		t.Errorf("after the stop: %v", list)
	}
}
