package state_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/state"
)

// holds reports whether a file of the folder has some text in it.
func holds(t *testing.T, dir, text string) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	ok(t, err)
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		ok(t, err)
		if bytes.Contains(content, []byte(text)) {
			return true
		}
	}
	return false
}

// connect stores a shop with everything that is secret about it.
func connect(t *testing.T, s *state.Store, shop, name string) {
	t.Helper()
	// Room, so that bbolt does not write over the pages of the past at once.
	ok(t, s.Put("room", "room", make([]byte, 60<<10)), s.Delete("room", "room"), s.AddShop(shop, "", noon()))
	for _, secret := range []string{"first", "second", "third"} { // pages of the past
		ok(t, s.SetCredentials(shop, state.Credentials{
			APIKey: "id-" + name, APISecret: config.NewSecret(secret + "-secret-" + name), AccessToken: config.NewSecret("shpat-" + name),
			Further: map[string]config.Secret{state.NotificationSecret: config.NewSecret("note-" + name)},
		}))
	}
	ok(t, s.SetToken(shop, state.Token{Value: config.NewSecret("token-" + name), ObtainedAt: noon(), ExpiresAt: noon().Add(time.Hour)}))
}

var secretParts = []string{"id-", "first-secret-", "second-secret-", "third-secret-", "shpat-", "note-", "token-"}

func TestAForgottenShopLeavesNoSecretInTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	s := open(t, path, state.Options{})
	connect(t, s, shopA, "gone")
	connect(t, s, shopB, "stays")
	ok(t, s.Put("subscriptions", shopA, []byte("x")), s.Put("sync", shopA+"/owed", []byte("x")), s.Put("sync", "alive", []byte("x")))
	ok(t, s.RemoveShop(shopA, noon()))
	if !holds(t, dir, "third-secret-gone") {
		t.Fatal("the file does not hold the secret, so nothing is shown here")
	}
	ok(t, s.ForgetShop(shopA))
	reopened(t, s, path, state.Options{}, func(t *testing.T, s *state.Store) {
		for _, part := range secretParts {
			if holds(t, dir, part+"gone") {
				t.Errorf("the folder holds %sgone", part)
			}
		}
		if names := append(s.Names("subscriptions"), s.Names("sync")...); fmt.Sprint(names) != "[alive]" {
			t.Errorf("kept values %v", names)
		}
		if got := secretsOf(s.Secrets(shopB)); got != "third-secret-stays note-stays" {
			t.Errorf("the other shop's secrets: %s", got)
		}
		if _, damaged := s.Damage(); damaged {
			t.Error("damage is told of")
		}
	})
	s = open(t, path, state.Options{})
	ok(t, s.AddShop(shopA, "", noon()))
	if c, known := s.Credentials(shopA); known || c.APIKey != "" || len(s.Secrets(shopA)) != 0 {
		t.Error("connected again, the shop has its old credentials")
	}
}

func TestAnErasureThatACrashCutShortIsMadeAtTheNextOpen(t *testing.T) {
	var dir, path string
	for tries := 0; dir == "" || !holds(t, dir, "third-secret-gone"); tries++ { // bbolt may use the old page again at once
		if tries == 20 {
			t.Fatal("no file holds an old page, so nothing is shown here")
		}
		dir = t.TempDir()
		path = filepath.Join(dir, "state.db")
		s := open(t, path, state.Options{})
		connect(t, s, shopA, "gone")
		// What ForgetShop has committed when it is cut short before the file is new.
		ok(t, s.SetCredentials(shopA, state.Credentials{}), s.Put("erase", "file", nil), s.Close())
	}
	s := open(t, path, state.Options{})
	if holds(t, dir, "third-secret-gone") || len(s.Names("erase")) != 0 {
		t.Error("nothing was erased")
	}
}

func TestSecretsThatAreDroppedByTimeAreErased(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "state.db"), state.Options{})
	connect(t, s, shopA, "gone")
	ok(t, s.RemoveShop(shopA, noon()), s.Prune(noon().Add(state.KeepRemovedSecrets)))
	if holds(t, dir, "secret-gone") {
		t.Error("the file holds the secret")
	}
}

// forgetterVar makes the test binary connect and forget shops in the state.db it
// names until killed.
const forgetterVar = "STOCKROOM_TEST_STATE_FORGETTER"

func forget(path string) error {
	s, err := state.Open(path, time.Now(), state.Options{})
	if err != nil {
		return err
	}
	next := len(s.Removed())
	if next > 0 { // the process before may have ended between the last one's two steps
		if err := s.ForgetShop(fmt.Sprintf("s%d.myshopify.com", next-1)); err != nil {
			return err
		}
	}
	for i := next; ; i++ {
		shop := fmt.Sprintf("s%d.myshopify.com", i)
		if err := s.AddShop(shop, "", time.Now()); err != nil {
			return err
		}
		if err := s.SetCredentials(shop, state.Credentials{APISecret: config.NewSecret(fmt.Sprintf("secret-%d-", i))}); err != nil {
			return err
		}
		if err := s.RemoveShop(shop, time.Now()); err != nil {
			return err
		}
		if err := s.ForgetShop(shop); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

func TestAKillDuringAnErasureLeavesAWholeFileWithoutForgottenSecrets(t *testing.T) {
	kills := 8
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		kills = 500
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	last := -1
	for kill := range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), forgetterVar+"="+path)
		out, err := cmd.StdoutPipe()
		ok(t, err, cmd.Start())
		lines := bufio.NewScanner(out)
		for n := rand.IntN(6); n >= 0 && lines.Scan(); n-- {
			last, err = strconv.Atoi(lines.Text())
			ok(t, err)
		}
		ok(t, cmd.Process.Kill())
		for lines.Scan() {
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				last = n
			}
		}
		_ = cmd.Wait()
		s := open(t, path, state.Options{})
		if d, damaged := s.Damage(); damaged {
			t.Fatalf("kill %d: %+v", kill, d)
		}
		if n := len(s.Removed()); n < last+1 || n > last+2 {
			t.Fatalf("kill %d: %d shops were forgotten and %d are known", kill, last+1, n)
		}
		for i := range last + 1 {
			if holds(t, dir, fmt.Sprintf("secret-%d-", i)) {
				t.Fatalf("kill %d: the secret of shop %d is in the folder", kill, i)
			}
		}
		ok(t, s.Close())
	}
}
