package admit

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/config"
	"stockroom/internal/state"
)

func TestAPasswordHashIsReadBackAndFitsOnePassword(t *testing.T) {
	h := hashPassword("linen and wool", loginCost())
	text := h.text()
	if !strings.HasPrefix(text, "$argon2id$v=19$m=65536,t=3,p=4$") || strings.Contains(text, "linen") {
		t.Errorf("hash %s", text)
	}
	again, err := parsePasswordHash(text)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{"linen and wool": true, "Linen and wool": false} {
		if again.verify(password) != want {
			t.Errorf("%q: %v", password, !want)
		}
	}
	if other := hashPassword("linen and wool", loginCost()); other.text() == text || other.mark() == h.mark() {
		t.Error("two hashes of one password are the same: there is no salt")
	}
	if again.mark() != h.mark() || strings.Contains(text, h.mark()) {
		t.Error("the mark changes by itself, or stands in the hash")
	}
}

func TestAHashThatIsNotOursIsRefused(t *testing.T) {
	good := "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	if _, err := parsePasswordHash(good); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "plain": "linen and wool", "another kind": strings.Replace(good, "argon2id", "argon2i", 1), "another version": strings.Replace(good, "v=19", "v=16", 1),
		"no passes": strings.Replace(good, "t=1", "t=0", 1), "too many": strings.Replace(good, "t=1", "t=100000", 1), "too much memory": strings.Replace(good, "m=64", "m=99999999", 1),
		"no lanes": strings.Replace(good, "p=1", "p=0", 1), "lanes beyond a byte": strings.Replace(good, "p=1", "p=300", 1), "something behind": good + "!", "a line end": good + "\n",
		"no sum": "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$", "no salt": "$argon2id$v=19$m=64,t=1,p=1$$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "one part more": good + "$x",
		"minus": strings.Replace(good, "t=1", "t=-1", 1), "no base64": strings.Replace(good, "$AAAA", "$A!AA", 1),
	} {
		if h, err := parsePasswordHash(text); !errors.Is(err, errHash) || h != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParsePasswordHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$$")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parsePasswordHash(text)
		if err == nil && (h.text() != text || h.memory > 1<<20 || h.passes > 16) {
			t.Fatalf("%q is read as %q", text, h.text())
		}
	})
}

// accountOn opens the account of a data dir's state.db with the settings of flags.
func accountOn(t *testing.T, path string, flags, environ map[string]string) (*account, *state.Store, *bytes.Buffer) {
	t.Helper()
	var env []string
	for k, v := range environ {
		env = append(env, k+"="+v)
	}
	s, err := config.Load(config.Sources{Flags: flags, Environ: env})
	if err != nil {
		t.Fatal(err)
	}
	keep, err := state.Open(path, time.Now(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keep.Close() })
	log := new(bytes.Buffer)
	a := OpenAccount(keep, s, slog.New(slog.NewTextHandler(log, nil))).(*account)
	a.cost = argonCost{passes: 1, memory: 64, lanes: 1}
	return a, keep, log
}

func TestAPasswordThatWasSetOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	a, keep, log := accountOn(t, path, nil, nil)
	if a.Mark() != "" || a.Verify("") || a.Fixed() != "" {
		t.Fatal("there is a password from the start")
	}
	if err := a.SetPassword("linen and wool"); err != nil {
		t.Fatal(err)
	}
	mark := a.Mark()
	if mark == "" || !a.Verify("linen and wool") || a.Verify("linen and wood") {
		t.Error("the password is not in force")
	}
	if err := keep.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil || bytes.Contains(content, []byte("linen")) {
		t.Errorf("the password is in the file (%v)", err)
	}
	b, keep, _ := accountOn(t, path, nil, nil)
	if b.Mark() != mark || !b.Verify("linen and wool") {
		t.Error("a restart changed it")
	}
	if err := b.SetPassword("cotton and jute"); err != nil || b.Mark() == mark || b.Verify("linen and wool") {
		t.Errorf("the change is not in force (%v)", err)
	}
	if err := b.ClearPassword(); err != nil || b.Mark() != "" || b.Verify("cotton and jute") {
		t.Errorf("not cleared (%v)", err)
	}
	if err := keep.Close(); err != nil {
		t.Fatal(err)
	}
	if c, _, _ := accountOn(t, path, nil, nil); c.Mark() != "" {
		t.Error("a cleared password came back")
	}
	if strings.Contains(log.String(), "linen") {
		t.Error("the password is in the log")
	}
}

func TestThePasswordOfTheSettingsWinsAndItsMarkOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	fixed := map[string]string{"STOCKROOM_ADMIN_PASSWORD": "cotton and jute"}
	own, keep, _ := accountOn(t, path, nil, nil)
	if err := own.SetPassword("linen and wool"); err != nil {
		t.Fatal(err)
	}
	ownMark := own.Mark()
	_ = keep.Close()

	a, keep, _ := accountOn(t, path, nil, fixed)
	mark := a.Mark()
	if mark == ownMark || !a.Verify("cotton and jute") || a.Verify("linen and wool") || !strings.Contains(a.Fixed(), "STOCKROOM_ADMIN_PASSWORD") {
		t.Error("the settings' password is not in force")
	}
	for name, err := range map[string]error{"set": a.SetPassword("another one here"), "clear": a.ClearPassword()} {
		if refusal := new(answer.Refusal); !errors.As(err, &refusal) || refusal.Status != http.StatusConflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = keep.Close()

	b, keep, _ := accountOn(t, path, nil, fixed)
	if b.Mark() != mark {
		t.Error("a restart with the same password in the settings logs everybody out")
	}
	_ = keep.Close()
	c, keep, _ := accountOn(t, path, nil, map[string]string{"STOCKROOM_ADMIN_PASSWORD": "cotton and silk"})
	if c.Mark() == mark || c.Verify("cotton and jute") {
		t.Error("another password in the settings ends no session")
	}
	_ = keep.Close()
	d, _, _ := accountOn(t, path, nil, nil)
	if d.Mark() != ownMark || !d.Verify("linen and wool") {
		t.Error("without the setting the own password is not back")
	}
}

func TestAPasswordThatCannotBeReadLetsNobodyIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	_, keep, _ := accountOn(t, path, nil, nil)
	if err := keep.Put(accountValues, ownPassword, []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	_ = keep.Close()
	a, _, log := accountOn(t, path, nil, nil)
	if a.Mark() == "" || a.Verify("") || a.Verify("damaged") || !strings.Contains(log.String(), "stockroom password set") {
		t.Errorf("mark %q, log %s", a.Mark(), log)
	}
	if err := a.SetPassword("linen and wool"); err != nil || !a.Verify("linen and wool") {
		t.Errorf("a new one can't be set (%v)", err)
	}
}

func TestAPasswordThatCannotBeStoredIsNotInForce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	a, keep, _ := accountOn(t, path, nil, nil)
	if err := a.SetPassword("linen and wool"); err != nil {
		t.Fatal(err)
	}
	mark := a.Mark()
	_ = keep.Close() // every write fails now
	if err := a.SetPassword("cotton and jute"); err == nil || a.Mark() != mark || !a.Verify("linen and wool") {
		t.Errorf("a change that is not on disk is in force (%v)", err)
	}
	if err := a.ClearPassword(); err == nil || a.Mark() != mark {
		t.Errorf("cleared without the disk (%v)", err)
	}
}

func TestThePasswordIsNotClearedWhileOtherMachinesReachThePage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	a, _, _ := accountOn(t, path, map[string]string{"admin-listen": "0.0.0.0:8081"}, nil)
	if err := a.SetPassword("linen and wool"); err != nil {
		t.Fatal(err)
	}
	if refusal := new(answer.Refusal); !errors.As(a.ClearPassword(), &refusal) || refusal.Status != http.StatusConflict || a.Mark() == "" {
		t.Error("a page that the whole network reaches lost its password")
	}
}
