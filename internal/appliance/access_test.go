package appliance

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/state"
	"stockroom/internal/status"
	"stockroom/web"
)

const (
	ownToken = "shpat_0123456789abcdef0123456789abcdef"
)

// accessRig is a whole appliance and a shop that lets it in, on the bubble's clock.
type accessRig struct {
	plant
	t *testing.T
}

// newAccessRig connects a shop, whose catalogue is read.
func newAccessRig(t *testing.T, c state.Credentials, pull bool) *accessRig {
	t.Helper()
	r := &accessRig{plant{}, t}
	inbound := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.intake.ServeHTTP(w, q) })
	o := fakeshopify.Options{Shop: testShop, Products: 2, Secret: appSecret, RotationWindow: time.Second, Topics: []string{},
		Client: &http.Client{Transport: fakeshopify.Transport(inbound)}}
	if c.AccessToken.IsSet() {
		o.API.Tokens = []string{ownToken}
	}
	r.shop = fakeshopify.New(o)
	settings, err := config.Load(config.Sources{Flags: map[string]string{"data": t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	if !pull {
		settings.PublicURL = "https://stockroom.example"
	}
	if r.Appliance, err = Open(t.Context(), Options{Settings: settings, Transport: fakeshopify.Transport(r.shop.Handler())}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.state.AddShop(testShop, "", time.Now()), r.state.SetCredentials(testShop, c), r.loadShops(t.Context())); err != nil {
		t.Fatal(err)
	}
	_, stop := r.Work(t.Context())
	ctx, end := context.WithCancel(t.Context())
	lived := make(chan error, 1)
	go func() { lived <- r.shop.Run(ctx, 0) }()
	t.Cleanup(func() {
		end()
		if err := errors.Join(<-lived, stop(), r.Close()); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(20 * time.Minute)
	if got := r.says(); !strings.HasPrefix(got, "in-step: ") {
		t.Fatalf("before anything went wrong: %s", got)
	}
	return r
}

// says is the headline, and what to do.
func (r *accessRig) says() string {
	a := r.status.Read(r.t.Context(), time.Now())
	return a.Head.Code + ": " + a.Head.Sentence(a.Now) + " | " + a.Head.Next.Text(a.Now) + " | " + a.Head.Command
}

// comes waits until the headline is of a code, for as long at most.
func (r *accessRig) comes(code string, most time.Duration) (says string, after time.Duration) {
	r.t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Second) {
		synctest.Wait()
		says, after = r.says(), time.Since(began)
		if strings.HasPrefix(says, code+": ") {
			return says, after
		}
		if after > most {
			r.t.Fatalf("no %s within %v, but %s", code, most, says)
		}
	}
}

// TestAccessThatIsLostWhileRunningIsNamedWithTheStepAndComesBack takes the access to a
// shop away at Shopify, by each kind, and gives it back there. Nothing is restarted.
func TestAccessThatIsLostWhileRunningIsNamedWithTheStepAndComesBack(t *testing.T) {
	secret, token := config.NewSecret(appSecret), config.NewSecret(ownToken)
	kinds := map[status.Access]state.Credentials{
		status.ByCredentials: {APIKey: "app", APISecret: secret},
		status.ByConsent:     {APIKey: "app", APISecret: secret, AccessToken: token, Consented: time.Unix(1, 0)},
		status.ByToken:       {APISecret: secret, AccessToken: token},
	}
	all := []string{"read_products", "read_inventory", "read_locations"}
	revoke := func(s *fakeshopify.Shop) { s.SetTokens() }
	regive := func(s *fakeshopify.Shop) { s.SetTokens(ownToken) }
	rotate := func(s *fakeshopify.Shop) { s.RotateSecret("shpss_another"); s.ExpireTokens() }
	rotateBack := func(s *fakeshopify.Shop) { s.RotateSecret(appSecret) }
	without := func(scope string) func(s *fakeshopify.Shop) {
		return func(s *fakeshopify.Shop) {
			s.SetScopes(slices.DeleteFunc(slices.Clone(all), func(have string) bool { return have == scope })...)
		}
	}
	scopes := func(s *fakeshopify.Shop) { s.SetScopes(all...) }
	const soon, hourly = 16 * time.Minute, 61 * time.Minute
	for _, tt := range []struct {
		name       string
		kind       status.Access
		pull       bool
		take, give func(s *fakeshopify.Shop)
		within     time.Duration // until it is noticed
		code       string
		says       []string
		heals      time.Duration // within which, without a person here
	}{
		{"a revoked token", status.ByToken, false, revoke, regive, hourly, "paused",
			[]string{"Shopify does not accept the access token", "Give a new token with this command", "shop add " + testShop + " --access-token-file -"}, soon},
		{"a revoked token in pull mode", status.ByToken, true, revoke, regive, time.Minute, "paused", []string{"--access-token-file -"}, soon},
		{"a revoked consent", status.ByConsent, false, revoke, regive, hourly, "paused",
			[]string{"the access that the shop's owner gave", "Ask the shop's owner to let the app in again", "| stockroom shop connect " + testShop}, soon},
		{"a revoked consent in pull mode", status.ByConsent, true, revoke, regive, time.Minute, "paused", []string{"| stockroom shop connect " + testShop}, soon},
		{"an app that is gone", status.ByCredentials, false, (*fakeshopify.Shop).Uninstall, (*fakeshopify.Shop).Reinstall, time.Minute, "uninstalled",
			[]string{"The app was removed from the shop", "Asked again at ", "Install the app again", "| stockroom shop remove " + testShop}, hourly},
		{"an app that is gone in pull mode", status.ByCredentials, true, (*fakeshopify.Shop).Uninstall, (*fakeshopify.Shop).Reinstall, time.Minute, "paused",
			[]string{"the app is not installed on the shop", "Install the app again"}, hourly},
		{"an app with consent that is gone", status.ByConsent, false, (*fakeshopify.Shop).Uninstall, (*fakeshopify.Shop).Reinstall, time.Minute, "uninstalled",
			[]string{"Install the app again, or remove the shop here with stockroom shop remove", "| stockroom shop connect " + testShop}, hourly},
		{"an app with a token that is gone", status.ByToken, false, (*fakeshopify.Shop).Uninstall, (*fakeshopify.Shop).Reinstall, time.Minute, "uninstalled",
			[]string{"Install the app again", "--access-token-file -"}, hourly},
		{"a rotated secret in pull mode", status.ByCredentials, true, rotate, rotateBack, time.Minute, "paused",
			[]string{"Shopify does not accept the app's client secret", "Give working ones", "shop add " + testShop + " --api-key CLIENT_ID"}, soon},
		{"no right to products", status.ByCredentials, false, without("read_products"), scopes, time.Minute, "paused",
			[]string{"read_products (no product can be read)", "release that version", "Goes on by itself when the app has it."}, soon},
		{"no right to products in pull mode", status.ByConsent, true, without("read_products"), scopes, time.Minute, "paused", []string{"read_products", "Goes on by itself"}, soon},
		{"no right to places", status.ByToken, false, without("read_locations"), scopes, time.Minute, "paused",
			[]string{"read_locations (stock can't be told by location)", "in the shop's admin"}, soon},
	} {
		if raceEnabled && (tt.pull || tt.heals > soon || tt.kind != status.ByToken) { // ten times slower
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newAccessRig(t, kinds[tt.kind], tt.pull)
				tt.take(r.shop)
				said, after := r.comes(tt.code, tt.within)
				t.Logf("noticed after %v: %s", after, said)
				for _, want := range tt.says {
					if !strings.Contains(said, want) {
						t.Errorf("%q is not in %s", want, said)
					}
				}
				if f := r.doctor(t.Context(), false); !slices.ContainsFunc(f, func(f web.Finding) bool { return f.Check == tt.code && f.Level == levelFail }) {
					t.Errorf("the doctor says %+v", f)
				}
				if page := r.get(t, "/api/v1/status"); !strings.Contains(page, `"code":"`+tt.code+`"`) {
					t.Errorf("the API says %s", page)
				}
				r.delivered()
				r.shop.UpdateProduct(r.shop.IDs()[1], func(p *fakeshopify.Product) { p.Title = "nobody may tell of it" })
				time.Sleep(time.Minute)
				tt.give(r.shop)
				_, after = r.comes("in-step", tt.heals+5*time.Minute)
				t.Logf("in step again after %v", after)
				time.Sleep(70 * time.Minute) // nothing of it is left
				if got := r.says(); !strings.HasPrefix(got, "in-step: ") {
					t.Errorf("later: %s", got)
				}
			})
		})
	}
}

// TestARotatedSecretOfAQuietShopIsNamedUntilItIsGiven lives through the two hours in
// which Shopify sends one refused delivery again, ever less often, before it deletes the
// subscription.
func TestARotatedSecretOfAQuietShopIsNamedUntilItIsGiven(t *testing.T) {
	if raceEnabled {
		t.Skip("hours of one process at rest; the race detector makes minutes of them")
	}
	synctest.Test(t, func(t *testing.T) {
		r := newAccessRig(t, state.Credentials{APISecret: config.NewSecret(appSecret), AccessToken: config.NewSecret(ownToken)}, false)
		r.shop.RotateSecret("shpss_another")
		time.Sleep(2 * time.Second)
		r.shop.UpdateProduct(r.shop.IDs()[0], func(p *fakeshopify.Product) { p.Title = "signed with the other" })
		said, after := r.comes("secret-wrong", time.Hour)
		t.Logf("noticed after %v: %s", after, said)
		for range 11 {
			time.Sleep(10 * time.Minute)
			if got := r.says(); !strings.HasPrefix(got, "secret-wrong: ") {
				t.Fatalf("%v later: %s", time.Now().UTC().Format(time.TimeOnly), got)
			}
		}
		r.shop.RotateSecret(appSecret)
		time.Sleep(2 * time.Second)
		r.shop.UpdateProduct(r.shop.IDs()[0], func(p *fakeshopify.Product) { p.Title = "signed with ours" })
		r.comes("in-step", time.Hour)
	})
}

// delivered sends a change as Shopify does, which is stored whatever the API says.
func (r *accessRig) delivered() {
	r.t.Helper()
	id := r.shop.IDs()[0]
	p, _ := r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "changed meanwhile" })
	header, body := r.shop.Signed("products/update", id)
	q := httptest.NewRequest(http.MethodPost, "https://stockroom.example/webhooks/shopify/products", strings.NewReader(string(body)))
	header.Set("X-Shopify-Hmac-Sha256", fakeshopify.Sign(appSecret, body))
	q.Header = header
	w := httptest.NewRecorder()
	r.intake.ServeHTTP(w, q)
	have, err := r.store.Product(r.t.Context(), testShop, id)
	if w.Code != http.StatusOK || err != nil || have.Title.Value() != p.Title {
		r.t.Errorf("a delivery meanwhile: %d %s, %v", w.Code, w.Body, err)
	}
}
