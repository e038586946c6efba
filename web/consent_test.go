package web

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stockroom/internal/shopify"
)

// consented is a shop's owner who is asked, and whose answer is not the right one when
// wrong is set.
type consented struct {
	forgotten string
	begun     AddShop
	asked     []string // scopes
	wrong     *shopify.CallbackError
}

func (c *consented) Begin(in AddShop, scopes []string) (Consent, error) {
	c.begun, c.asked = in, scopes
	return Consent{
		Shop: in.Shop, State: ConsentWaiting, Words: "Waiting.", Address: "https://" + in.Shop + "/admin/oauth/authorize?state=x",
		RedirectURI: shopify.RedirectURL, ListensNot: "Another program listens.", ExpiresAt: time.Unix(1_790_000_000, 0).UTC(),
	}, nil
}

func (c *consented) Of(shop string) Consent {
	return Consent{Shop: shop, State: ConsentConnected, Words: "Connected.", Found: &Found{Name: "Wool", Scopes: []string{}, Missing: []MissingScope{}}}
}

func (c *consented) Forget(shop string) { c.forgotten = shop }

func (c *consented) Answer(context.Context, string, string) (*Found, error) {
	if c.wrong != nil {
		return nil, c.wrong
	}
	return &Found{Name: "Wool", Products: 3, Scopes: []string{"read_products"}, Missing: []MissingScope{}}, nil
}

func TestTheOwnerOfAShopIsAskedOverTheAPI(t *testing.T) {
	owner := &consented{}
	r := newRig(t, func(o *Options) { o.Consents = owner })
	path := "/api/v1/shops/" + testShop + "/consent"
	if text := r.admin(400, "POST", path, `{"api_key":"shpss_1"}`); !strings.Contains(text, `"credentials"`) || owner.begun.Shop != "" {
		t.Errorf("a secret as the client id: %s", text)
	}
	r.admin(400, "POST", path, `{"access_token":"shpat_1"}`)
	out := decode[Consent](t, r.admin(201, "POST", path, `{"api_key":"id","secret":"s","previous_secret":"p","merchant_id":"m","scopes":["read_products"]}`))
	in := owner.begun
	if out.State != ConsentWaiting || out.RedirectURI != "http://localhost:3456/callback" || in.APIKey != "id" || in.Secret.Reveal() != "s" ||
		in.PreviousSecret.Reveal() != "p" || in.MerchantID != "m" || !in.Check || len(owner.asked) != 1 {
		t.Errorf("%+v, begun with %+v", out, in)
	}
	connected := decode[Connected](t, r.admin(200, "POST", path+"/callback", `{"address":"http://localhost:3456/callback?x"}`))
	if connected.Shop != testShop || connected.Found == nil || connected.Found.Products != 3 {
		t.Errorf("%+v", connected)
	}
	if r.admin(200, "DELETE", path, ""); owner.forgotten != testShop {
		t.Errorf("given up for %q", owner.forgotten)
	}
	owner.wrong = &shopify.CallbackError{Reason: shopify.CallbackOld, Words: "Too old."}
	problem := decode[struct{ Detail, Code, Reason string }](t, r.admin(409, "POST", path+"/callback", `{"address":"x"}`))
	if problem.Detail != "Too old." || problem.Code != "callback" || problem.Reason != "old" {
		t.Errorf("%+v", problem)
	}
}

func TestThePageForTheAnswerOfAShopsOwnerShowsTextAsText(t *testing.T) {
	w := httptest.NewRecorder()
	CallbackPage(w, 409, "Not connected", "<script>x</script>")
	h := w.Header()
	if w.Code != 409 || strings.Contains(w.Body.String(), "<script") || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") ||
		h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%d %v %s", w.Code, h, w.Body)
	}
}
