package state_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/state"
)

const (
	shopA = "a.myshopify.com"
	shopB = "b.myshopify.com"
)

// noon is an instant with more precision than is kept.
func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC) }

// kept is noon as it comes back.
func kept() time.Time { return noon().Truncate(time.Millisecond) }

func open(t *testing.T, path string, o state.Options) *state.Store {
	t.Helper()
	s, err := state.Open(path, noon(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func ok(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// secretsOf makes the list of secrets comparable.
func secretsOf(list [][]byte) string {
	var all []string
	for _, s := range list {
		all = append(all, string(s))
	}
	return strings.Join(all, " ")
}

// reopened runs check on the store as it is and after closing and opening it.
func reopened(t *testing.T, s *state.Store, path string, o state.Options, check func(t *testing.T, s *state.Store)) {
	t.Helper()
	t.Run("at once", func(t *testing.T) { check(t, s) })
	ok(t, s.Close())
	t.Run("after reopening", func(t *testing.T) { check(t, open(t, path, o)) })
}

func TestEverythingStoredIsThereAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path, state.Options{})
	later := noon().Add(time.Hour)
	ok(t,
		s.AddShop("A.myshopify.com", "m-1", noon()),
		s.AddShop(shopB, "", noon()),
		s.AddShop(shopB, "m-2", later),
		s.SetCredentials(shopA, state.Credentials{APIKey: "key", APISecret: config.NewSecret("two"), PreviousSecret: config.NewSecret("one"),
			ReplacedAt: later, Further: map[string]config.Secret{state.NotificationSecret: config.NewSecret("store")}}),
		s.SetCredentials(shopB, state.Credentials{APIKey: "key", AccessToken: config.NewSecret("given"), Consented: later}),
		s.SetToken(shopA, state.Token{Value: config.NewSecret("token"), Scopes: []string{"read_products"}, ObtainedAt: noon(), ExpiresAt: later}),
		s.SetSelection(shopB, catalog.Selection{Mode: catalog.SelectInclude, Include: []int64{7, 9007199254740993}, Exclude: []int64{7}}),
		s.SetPause(shopB, state.Pause{Reason: state.PauseScope, Detail: "read_inventory", Since: noon(), NextProbe: later}),
		s.SetUninstalled(shopB, noon()),
		s.RaiseWatermark(41, noon()),
		s.RunStarted(shopA, "reconcile", noon()), s.RunFinished(shopA, "reconcile", later, ""), s.RunStarted(shopA, "reconcile", later),
		s.RunStarted("", "prune", noon()), s.RunFinished("", "prune", later, "disk full"),
		s.Put("admin", "password", []byte("$argon2id$")), s.Put("admin", "session/1", nil), s.Put("admin", "gone", []byte("x")), s.Delete("admin", "gone", "never"),
	)
	reopened(t, s, path, state.Options{}, func(t *testing.T, s *state.Store) {
		want := []state.Shop{
			{Domain: shopA, MerchantID: "m-1", AddedAt: kept()},
			{Domain: shopB, MerchantID: "m-2", AddedAt: kept(), UninstalledAt: kept(),
				Pause: state.Pause{Reason: state.PauseScope, Detail: "read_inventory", Since: kept(), NextProbe: kept().Add(time.Hour)}},
		}
		if diff := cmp.Diff(want, s.Shops()); diff != "" {
			t.Error(diff)
		}
		c, known := s.Credentials(shopA)
		if !known || c.APIKey != "key" || c.APISecret.Reveal() != "two" || c.PreviousSecret.Reveal() != "one" || !c.ReplacedAt.Equal(kept().Add(time.Hour)) || c.Further[state.NotificationSecret].Reveal() != "store" {
			t.Errorf("credentials: %+v, %v", c, known)
		}
		if c, _ := s.Credentials(shopB); c.AccessToken.Reveal() != "given" || !c.Consented.Equal(kept().Add(time.Hour)) {
			t.Errorf("credentials by consent: %+v", c)
		}
		if got := secretsOf(s.Secrets(shopA)); got != "two one store" {
			t.Errorf("secrets: %s", got)
		}
		if len(s.Secrets(shopB)) != 0 {
			t.Error("a shop without credentials has secrets")
		}
		// A token belongs to the credentials it was asked for with.
		if tok, valid := s.Token(shopA, noon()); !valid || tok.Value.Reveal() != "token" || len(tok.Scopes) != 1 {
			t.Errorf("token: %+v, %v", tok, valid)
		}
		if _, valid := s.Token(shopA, later); valid {
			t.Error("an expired token was returned")
		}
		sel, known := s.Selection(shopB)
		if diff := cmp.Diff(catalog.Selection{Mode: catalog.SelectInclude, Include: []int64{7, 9007199254740993}, Exclude: []int64{7}}, sel); diff != "" || !known {
			t.Errorf("selection known %v: %s", known, diff)
		}
		if sel, known := s.Selection(shopA); !known || sel.Mode != catalog.SelectAll {
			t.Errorf("a new shop's selection: %v, %v", sel, known)
		}
		if got := s.Watermark(); got != (state.Watermark{Seq: 41, At: kept()}) {
			t.Errorf("watermark: %+v", got)
		}
		for _, want := range []state.Run{
			{Name: "prune", Started: kept(), Finished: kept().Add(time.Hour), Error: "disk full"},
			{Shop: shopA, Name: "reconcile", Started: kept().Add(time.Hour), LastSuccess: kept().Add(time.Hour)},
		} {
			got, _ := s.Run(want.Shop, want.Name)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		if v, found := s.Get("admin", "password"); !found || string(v) != "$argon2id$" {
			t.Errorf("value: %q, %v", v, found)
		}
		if diff := cmp.Diff([]string{"password", "session/1"}, s.Names("admin")); diff != "" {
			t.Error(diff)
		}
		if _, damaged := s.Damage(); damaged {
			t.Error("damage was reported")
		}
	})
}

func TestTheFileIsClosedToOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	open(t, path, state.Options{})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestUnknownShopsAreRefusedEverywhere(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"), state.Options{})
	for name, err := range map[string]error{
		"remove": s.RemoveShop(shopA, noon()), "forget": s.ForgetShop(shopA), "pause": s.SetPause(shopA, state.Pause{Reason: state.PauseToken}),
		"uninstalled": s.SetUninstalled(shopA, noon()), "selection": s.SetSelection(shopA, catalog.Selection{}),
		"credentials": s.SetCredentials(shopA, state.Credentials{}), "token": s.SetToken(shopA, state.Token{}),
	} {
		if !errors.Is(err, state.ErrUnknownShop) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, known := s.Shop(shopA); known {
		t.Error("the shop is known")
	}
	if _, known := s.Credentials(shopA); known {
		t.Error("its credentials are known")
	}
	for _, bad := range []string{"", "a", "a.example.com", "https://a.myshopify.com", "a/b.myshopify.com"} {
		if err := s.AddShop(bad, "", noon()); err == nil {
			t.Errorf("%q was added", bad)
		}
	}
}

func TestTheWatermarkOnlyRises(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"), state.Options{})
	ok(t, s.RaiseWatermark(10, noon()), s.RaiseWatermark(9, noon().Add(time.Hour)), s.RaiseWatermark(10, noon().Add(time.Hour)))
	if got := s.Watermark(); got.Seq != 10 || !got.At.Equal(kept()) {
		t.Errorf("got %+v", got)
	}
}

func TestAPauseForTheSameReasonKeepsItsBeginning(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"), state.Options{})
	later := kept().Add(time.Hour)
	ok(t, s.AddShop(shopA, "", noon()),
		s.SetPause(shopA, state.Pause{Reason: state.PauseToken, Since: noon(), NextProbe: noon()}),
		s.SetPause(shopA, state.Pause{Reason: state.PauseToken, Since: later, NextProbe: later}))
	if shop, _ := s.Shop(shopA); shop.Pause != (state.Pause{Reason: state.PauseToken, Since: kept(), NextProbe: later}) {
		t.Errorf("got %+v", shop.Pause)
	}
	ok(t, s.SetPause(shopA, state.Pause{Reason: state.PauseFrozen, Since: later}))
	if shop, _ := s.Shop(shopA); !shop.Pause.Since.Equal(later) {
		t.Errorf("got %+v", shop.Pause)
	}
	ok(t, s.SetPause(shopA, state.Pause{}))
	if shop, _ := s.Shop(shopA); shop.Pause.Paused() || shop.Pause != (state.Pause{}) {
		t.Errorf("got %+v", shop.Pause)
	}
}

func TestARemovedShopStillVerifiesItsComplianceWebhooks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path, state.Options{})
	ok(t,
		s.AddShop(shopA, "m-1", noon()),
		s.SetCredentials(shopA, state.Credentials{APISecret: config.NewSecret("one"), AccessToken: config.NewSecret("shpat")}),
		s.SetToken(shopA, state.Token{Value: config.NewSecret("token"), ExpiresAt: noon().Add(time.Hour)}),
		s.RunStarted(shopA, "reconcile", noon()),
		s.SetUninstalled(shopA, noon()),
		s.RemoveShop(shopA, noon()),
	)
	if err := s.RemoveShop(shopA, noon()); !errors.Is(err, state.ErrUnknownShop) {
		t.Errorf("removed twice: %v", err)
	}
	reopened(t, s, path, state.Options{}, func(t *testing.T, s *state.Store) {
		if _, connected := s.Shop(shopA); connected || len(s.Shops()) != 0 {
			t.Error("it is still connected")
		}
		if at, removed := s.RemovedAt(shopA); !removed || !at.Equal(kept()) {
			t.Errorf("removed %v, %v", at, removed)
		}
		if got := secretsOf(s.Secrets(shopA)); got != "one" {
			t.Errorf("active secrets: %q", got)
		}
		if _, known := s.Credentials(shopA); known {
			t.Error("its credentials can be used")
		}
		_, valid := s.Token(shopA, noon())
		if _, ran := s.Run(shopA, "reconcile"); valid || ran {
			t.Error("its token or runs are still there")
		}
	})
	s = open(t, path, state.Options{})
	ok(t, s.Prune(noon().Add(state.KeepRemovedSecrets-time.Minute)))
	if len(s.Secrets(shopA)) != 1 {
		t.Error("its secret went early")
	}
	ok(t, s.Prune(noon().Add(state.KeepRemovedSecrets+time.Minute)))
	if len(s.Secrets(shopA)) != 0 {
		t.Error("its secret is kept for ever")
	}
	ok(t, s.AddShop(shopA, "m-1", noon()), s.SetCredentials(shopA, state.Credentials{APISecret: config.NewSecret("two")}), s.RemoveShop(shopA, noon()), s.ForgetShop(shopA))
	if _, removed := s.RemovedAt(shopA); len(s.Secrets(shopA)) != 0 || !removed {
		t.Error("a forgotten shop's secret is kept, or that it was here is not known")
	}
}

func TestAShopThatIsAddedAgainBeginsWithoutItsEarlierConditions(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"), state.Options{})
	later := kept().Add(time.Hour)
	ok(t, s.AddShop(shopA, "m-1", noon()), s.SetPause(shopA, state.Pause{Reason: state.PauseUninstalled, Since: noon()}), s.SetUninstalled(shopA, noon()),
		s.SetSelection(shopA, catalog.Selection{Mode: catalog.SelectInclude}), s.RemoveShop(shopA, noon()))
	if err := s.SetUninstalled(shopA, noon()); !errors.Is(err, state.ErrUnknownShop) {
		t.Errorf("noted of a removed shop: %v", err)
	}
	ok(t, s.AddShop(shopA, "m-2", later))
	shop, _ := s.Shop(shopA)
	if diff := cmp.Diff(state.Shop{Domain: shopA, MerchantID: "m-2", AddedAt: later}, shop); diff != "" {
		t.Error(diff)
	}
	if sel, known := s.Selection(shopA); !known || sel.Mode != catalog.SelectAll {
		t.Errorf("selection: %+v, %v", sel, known)
	}
}

func TestTheSecretsOfAShopAreListedCurrentOneFirst(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"), state.Options{})
	further := map[string]config.Secret{"y": config.NewSecret("y"), "x": config.NewSecret("x")}
	ok(t, s.AddShop(shopA, "", noon()), s.SetCredentials(shopA, state.Credentials{APISecret: config.NewSecret("app"), Further: further}))
	if got := secretsOf(s.Secrets(shopA)); got != "app x y" {
		t.Errorf("got %s", got)
	}
	ok(t, s.SetCredentials(shopA, state.Credentials{APISecret: config.NewSecret("new"), PreviousSecret: config.NewSecret("app"), Further: further}))
	if got := secretsOf(s.Secrets(shopA)); got != "new app x y" {
		t.Errorf("got %s", got)
	}
}

func TestWhatTheEnvironmentDeclaresWinsAndIsNotStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path, state.Options{})
	ok(t, s.AddShop(shopA, "stored", noon()), s.SetCredentials(shopA, state.Credentials{APIKey: "stored-key", APISecret: config.NewSecret("stored-secret")}), s.Close())

	env := config.EnvShop{Domain: shopA, MerchantID: "declared", APIKey: "declared-key", APISecret: config.NewSecret("declared-secret"), AccessToken: config.NewSecret("declared-token")}
	s = open(t, path, state.Options{Shop: env})
	shop, _ := s.Shop(shopA)
	c, _ := s.Credentials(shopA)
	if !shop.Declared || shop.MerchantID != "declared" || c.APIKey != "declared-key" || c.AccessToken.Reveal() != "declared-token" || secretsOf(s.Secrets(shopA)) != "declared-secret" || len(s.Shops()) != 1 {
		t.Errorf("got %+v, %+v", shop, c)
	}
	for name, err := range map[string]error{
		"add": s.AddShop(shopA, "", noon()), "remove": s.RemoveShop(shopA, noon()),
		"credentials": s.SetCredentials(shopA, state.Credentials{}),
	} {
		if !errors.Is(err, state.ErrDeclared) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ok(t, s.SetPause(shopA, state.Pause{Reason: state.PauseToken}), s.SetSelection(shopA, catalog.Selection{Mode: catalog.SelectInclude}), s.Close())
	raw, err := os.ReadFile(path)
	ok(t, err)
	for _, secret := range []string{"declared-secret", "declared-token", "declared-key"} {
		if strings.Contains(string(raw), secret) {
			t.Errorf("%s was stored", secret)
		}
	}
	// Without the declaration the stored shop is as it was.
	s = open(t, path, state.Options{})
	shop, _ = s.Shop(shopA)
	if shop.Declared || shop.MerchantID != "stored" || secretsOf(s.Secrets(shopA)) != "stored-secret" {
		t.Errorf("got %+v", shop)
	}
}

func TestADeclaredShopSyncsAllAtFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	o := state.Options{Shop: config.EnvShop{Domain: shopA, APISecret: config.NewSecret("s")}}
	s := open(t, path, o)
	reopened(t, s, path, o, func(t *testing.T, s *state.Store) {
		if sel, known := s.Selection(shopA); !known || sel.Mode != catalog.SelectAll {
			t.Errorf("got %v, %v", sel, known)
		}
	})
}

func TestUnusableValuesAreRefused(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"), state.Options{})
	for _, err := range []error{s.Put("", "n", nil), s.Put("a/b", "n", nil), s.Put("a", "", nil), s.Put("a", "n", make([]byte, 1<<20))} {
		if err == nil {
			t.Error("stored")
		}
	}
	if err := s.AddShop(shopA, "", noon()); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSelection(shopA, catalog.Selection{Mode: "odd"}); err == nil {
		t.Error("an unusable selection was stored")
	}
}

func TestSecretsAreNotPrintedWithWhatHoldsThem(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"), state.Options{Shop: config.EnvShop{Domain: shopB, APISecret: config.NewSecret("hunter2"), APIKey: "k"}})
	ok(t, s.AddShop(shopA, "", noon()), s.SetCredentials(shopA, state.Credentials{APISecret: config.NewSecret("hunter2"), Further: map[string]config.Secret{"x": config.NewSecret("hunter2")}}),
		s.SetToken(shopA, state.Token{Value: config.NewSecret("hunter2"), ExpiresAt: noon().Add(time.Hour)}))
	c, _ := s.Credentials(shopA)
	tok, _ := s.Token(shopA, noon())
	for _, v := range []any{c, &c, tok} {
		if text := fmt.Sprintf("%v %+v %#v", v, v, v); strings.Contains(text, "hunter2") {
			t.Errorf("prints %s", text)
		}
	}
}

func TestATokenOfOtherCredentialsIsNotUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	env := config.EnvShop{Domain: shopA, APIKey: "k", APISecret: config.NewSecret("one")}
	s := open(t, path, state.Options{Shop: env})
	tok := state.Token{Value: config.NewSecret("t"), ExpiresAt: noon().Add(time.Hour)}
	ok(t, s.SetToken(shopA, tok), s.AddShop(shopB, "", noon()), s.SetCredentials(shopB, state.Credentials{APIKey: "k"}), s.SetToken(shopB, tok), s.Close())
	env.APISecret = config.NewSecret("two")
	s = open(t, path, state.Options{Shop: env})
	if _, valid := s.Token(shopA, noon()); valid {
		t.Error("a token of an older declared secret was returned")
	}
	ok(t, s.SetCredentials(shopB, state.Credentials{APIKey: "other"}))
	if _, valid := s.Token(shopB, noon()); valid {
		t.Error("a token of older stored credentials was returned")
	}
	ok(t, s.SetToken(shopB, tok), s.DropToken(shopB))
	if _, valid := s.Token(shopB, noon()); valid {
		t.Error("a dropped token was returned")
	}
}

// TestANoteIsWaitedForByNobodyAndBringsNothingBack: another change takes its time with
// the disk meanwhile.
func TestANoteIsWaitedForByNobodyAndBringsNothingBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path, state.Options{})
		ok(t, s.Put("session", "kept", []byte("old")), s.Put("session", "gone", []byte("old")), s.Delete("session", "gone"))
		began, release := make(chan struct{}), make(chan struct{})
		go func() {
			_ = s.Update(func(*bbolt.Tx) error { close(began); <-release; return nil })
		}()
		<-began
		s.Note("session", "kept", []byte("new"))
		s.Note("session", "gone", []byte("new"))
		close(release)
		synctest.Wait()
		if v, _ := s.Get("session", "kept"); string(v) != "new" {
			t.Errorf("kept is %q", v)
		}
		if v, there := s.Get("session", "gone"); there {
			t.Errorf("a value that was deleted is back: %q", v)
		}
	})
}
