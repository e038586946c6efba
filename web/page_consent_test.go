package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"stockroom/internal/shopify"
)

// asked is the wiring's part of the consents, in memory.
type asked struct {
	mu    sync.Mutex
	begun []AddShop
	now   Consent
	fail  error
}

func (a *asked) Begin(in AddShop, _ []string) (Consent, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = append(a.begun, in)
	a.now = Consent{
		Shop: in.Shop, State: ConsentWaiting, Listens: true, ExpiresAt: time.Now().Add(10 * time.Minute),
		Address: "https://" + in.Shop + "/admin/oauth/authorize?client_id=" + in.APIKey + "&state=f00",
	}
	return a.now, a.fail
}

func (a *asked) Of(shop string) Consent {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.now.Shop != shop {
		return Consent{Shop: shop, State: ConsentNone, Words: "Nobody is asked."}
	}
	return a.now
}

func (a *asked) Forget(string) {}

func (a *asked) Answer(_ context.Context, _, address string) (*Found, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if address != callback {
		return nil, &shopify.CallbackError{Reason: shopify.CallbackAddress, Words: "This is not the address."}
	}
	return &Found{Name: "Wool & Sons", Products: 3, Scopes: []string{"read_products"}}, nil
}

func has(e element, attr string) bool { _, ok := e.attr[attr]; return ok }

const consentPath = "/shops/wool.myshopify.com/consent"

func TestTheShopsOwnerIsAskedOnAPage(t *testing.T) {
	a := &asked{}
	r := newRig(t, func(o *Options) { o.Consents = a })
	form := url.Values{"kind": {"consent"}, "shop": {"wool"}, "api_key": {idTyped}, "secret": {secretTyped}, "access_token": {"x"}, "merchant_id": {" m-9 "}}
	status, page, to := r.send(form)
	if status != http.StatusSeeOther || to != consentPath || len(r.shops.added) != 0 {
		t.Fatalf("%d to %s: %s", status, to, page)
	}
	if in := a.begun[0]; in.Shop != "wool.myshopify.com" || in.APIKey != idTyped || in.Secret.Reveal() != secretTyped || in.MerchantID != "m-9" || in.AccessToken.IsSet() {
		t.Errorf("begun with %+v", in)
	}
	elements, text := checkPage(t, r.admin(200, "GET", to, ""))
	for _, want := range []string{"Waiting for the shop's owner to agree, until", "If the browser then shows a page that can't be opened, paste its address here", "this page says what was connected"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	leads, live := false, false
	for _, e := range elements {
		leads = leads || e.attr["href"] == a.now.Address && e.attr["target"] == "_blank"
		live = live || e.attr["id"] == "consent" && has(e, "data-live")
		if e.attr["http-equiv"] == "refresh" {
			t.Error("the page reloads under the one who pastes")
		}
	}
	if !leads || !live {
		t.Errorf("a link to Shopify: %t, live: %t", leads, live)
	}
	a.now.Listens, a.now.ListensNot = false, "Port 3456 is taken."
	if _, text := checkPage(t, r.admin(200, "GET", to, "")); !strings.Contains(text, "Port 3456 is taken.") {
		t.Errorf("it does not say that nobody listens:\n%s", text)
	}

	status, page = r.post(consentPath, url.Values{"address": {"https://wool.example/?code=c0de0123"}})
	if _, text := checkPage(t, page); status != http.StatusConflict || !strings.Contains(text, "This is not the address.") || strings.Contains(page, "c0de0123") {
		t.Errorf("%d:\n%s", status, text)
	}
	if got := r.click(consentPath, url.Values{"address": {callback}}); got != "/shops?said=connected" {
		t.Errorf("it goes to %s", got)
	}
	if _, text := checkPage(t, r.admin(200, "GET", "/shops?said=connected", "")); !strings.Contains(text, "Connected Wool & Sons (wool.myshopify.com): 3 products") {
		t.Errorf("it does not say what was connected:\n%s", text)
	}
	for state, want := range map[string]string{ConsentConnected: "To the shops", ConsentRefused: "Begin again", ConsentNone: "Begin again"} {
		a.now = Consent{Shop: "wool.myshopify.com", State: state, Words: "So it ended."}
		if _, text := checkPage(t, r.admin(200, "GET", consentPath, "")); !strings.Contains(text, "So it ended.") || !strings.Contains(text, want) {
			t.Errorf("%s shows:\n%s", state, text)
		}
	}
	elements, _ = checkPage(t, r.admin(200, "GET", "/shops?connect=consent&name=wool.myshopify.com", ""))
	for _, e := range elements {
		if e.attr["id"] == "k-consent" && !has(e, "checked") || e.attr["id"] == "c-shop" && e.attr["value"] != "wool.myshopify.com" {
			t.Errorf("begun again the form has %v", e.attr)
		}
	}
}

func TestWhatCannotBeAskedIsSaidOnTheForm(t *testing.T) {
	a := &asked{fail: MissingCredential("secret")}
	r := newRig(t, func(o *Options) { o.Consents = a })
	form := url.Values{"kind": {"consent"}, "shop": {"wool"}, "api_key": {idTyped}}
	status, page, _ := r.send(form)
	if _, text := checkPage(t, page); status != http.StatusBadRequest || !strings.Contains(text, "The app's client secret is missing") {
		t.Errorf("%d:\n%s", status, text)
	}
	form.Set("secret", tokenTyped)
	if status, page, _ := r.send(form); status != http.StatusBadRequest || len(a.begun) != 1 || strings.Contains(page, tokenTyped) {
		t.Errorf("a token for the secret: %d, begun %d", status, len(a.begun))
	}
	none := newRig(t, nil)
	if status, page, _ := none.send(url.Values{"kind": {"consent"}, "shop": {"wool"}, "api_key": {idTyped}, "secret": {secretTyped}}); status != http.StatusConflict || !strings.Contains(page, "makes no calls to Shopify") {
		t.Errorf("without calls: %d\n%s", status, page)
	}
}
