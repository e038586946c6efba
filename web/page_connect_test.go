package web

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/shopify"
	"stockroom/internal/status"
)

const (
	secretTyped = "shpss_0123456789abcdef0123456789abcdef"
	tokenTyped  = "shpat_0123456789abcdef0123456789abcdef"
)

// send posts the form as a browser of somebody who may.
func (r *rig) send(form url.Values) (status int, page, to string) {
	r.t.Helper()
	w := serve(r.Admin(), request("POST", "/shops", form.Encode(), "Authorization", "Bearer "+testToken,
		"Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html", "Sec-Fetch-Site", "same-origin"))
	return w.Code, w.Body.String(), w.Header().Get("Location")
}

func TestTheFormSaysWhatIsWrongBesideTheField(t *testing.T) {
	r := newRig(t, nil)
	for _, tt := range []struct {
		name, shop, key, secret, token string
		fail                           error
		status                         int
		field, says                    string
	}{
		{"nothing", "", "", "", "", nil, 400, "c-shop", "The shop's name is missing"},
		{"an own domain", "www.wool.example", "k", secretTyped, "", nil, 400, "c-shop", "is not the name that Shopify gave the shop"},
		{"the admin's front page", "https://admin.shopify.com/", "k", secretTyped, "", nil, 400, "c-shop", "the NAME behind /store/ is missing"},
		{"a secret for the shop", secretTyped, "k", "", "", nil, 400, "c-shop", "A secret or token of Shopify was given"},
		{"a secret for the client id", "wool", secretTyped, secretTyped, "", nil, 400, "c-key", "What was given as the client id is a client secret"},
		{"a token for the secret", "wool", "k", tokenTyped, "", nil, 400, "c-secret", "Give it as the access token."},
		{"the client id for the secret", "wool", "samesame", "samesame", "", nil, 400, "c-secret", "is the client id"},
		{"a secret for the token", "wool", "", "", secretTyped, nil, 400, "c-token", "What was given as the access token is a client secret"},
		{"two words", "wool", "a key", secretTyped, "", nil, 400, "c-key", "has a space in it, as an app's name has"},
		{"no client id", "wool", "", secretTyped, "", MissingCredential("api_key"), 400, "c-key", "The app's client id is missing"},
		{"no client secret", "wool", "k", "", "", MissingCredential("secret"), 400, "c-secret", "The app's client secret is missing"},
		{"a wrong secret", "wool", "k", secretTyped, "", &shopify.Error{Kind: shopify.KindToken, Op: shopify.EndpointToken, Status: 400, Code: "invalid_client", Message: "invalid_client"},
			409, "", "Nothing was stored: Shopify does not accept the app's client secret; copy the client secret again"},
		{"nobody there", "wool", "k", secretTyped, "", &shopify.Error{Kind: shopify.KindNetwork, Shop: "wool.myshopify.com", Unsent: true}, 502, "",
			"Nothing was stored: no connection to wool.myshopify.com. Check the network and status.shopify.com, or connect it without asking."},
		{"no points", "wool", "k", secretTyped, "", &shopify.Error{Kind: shopify.KindBudget}, 503, "", "Try again in a minute, or connect it without asking."},
		{"renamed", "wool", "k", secretTyped, "", &shopify.Error{Kind: shopify.KindMoved, Moved: "flax.myshopify.com"}, 409, "", "Shopify calls this shop flax.myshopify.com"},
		{"declared", "wool", "k", secretTyped, "", &answer.Refusal{Status: 409, Code: answer.CodeDeclared, Detail: "The environment declares it."}, 409, "", "The environment declares it."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.t, r.shops.fail = t, tt.fail
			kind := "credentials"
			if tt.field == "c-token" {
				kind = "token"
			}
			status, page, _ := r.send(url.Values{"shop": {tt.shop}, "api_key": {tt.key}, "secret": {tt.secret}, "access_token": {tt.token}, "merchant_id": {"m-9"}, "kind": {kind}})
			if len(r.shops.added) > 0 || status != tt.status {
				t.Errorf("status %d, added %d", status, len(r.shops.added))
			}
			elements, text := checkPage(t, page)
			if !strings.Contains(text, tt.says) {
				t.Errorf("it does not say %q:\n%s", tt.says, text)
			}
			if strings.Contains(page, secretTyped) || strings.Contains(page, tokenTyped) {
				t.Error("a secret comes back")
			}
			marked := ""
			for _, e := range elements {
				if e.attr["aria-describedby"] == "c-wrong" && e.attr["aria-invalid"] == "true" {
					marked += e.attr["id"]
				}
				if e.attr["name"] == "shop" && tt.field != "c-shop" && e.attr["value"] != tt.shop {
					t.Errorf("the shop has to be typed again: %q", e.attr["value"])
				}
				if e.attr["type"] == "password" && e.attr["value"] != "" {
					t.Errorf("%s holds something", e.attr["id"])
				}
				if e.attr["http-equiv"] == "refresh" {
					t.Error("the page reloads under the one who types")
				}
			}
			if marked != tt.field {
				t.Errorf("marked: %q, want %q", marked, tt.field)
			}
		})
	}
}

func TestTheFormConnectsAndSaysWhatWasFound(t *testing.T) {
	r := newRig(t, nil)
	status, _, to := r.send(url.Values{"shop": {" https://admin.shopify.com/store/Wool/products "}, "api_key": {" k "}, "secret": {secretTyped + "\n"}, "merchant_id": {"m-9"}})
	if status != http.StatusSeeOther || to != "/shops?said=connected" || len(r.shops.added) != 1 {
		t.Fatalf("%d to %s, %+v", status, to, r.shops.added)
	}
	if a := r.shops.added[0]; a.Shop != "wool.myshopify.com" || a.APIKey != "k" || a.Secret.Reveal() != secretTyped || a.MerchantID != "m-9" || !a.Check {
		t.Errorf("added: %+v", a)
	}
	_, text := checkPage(t, r.admin(200, "GET", to, ""))
	if want := "Connected Wool & Sons (wool.myshopify.com): 1,234 products; rights: read_products. Nothing is read yet: the app lacks the access scopes read_inventory (stock and weights can't be read); add it"; !strings.Contains(text, want) {
		t.Errorf("it does not say %q:\n%s", want, text)
	}
	_, _, to = r.send(url.Values{"shop": {"flax"}, "unasked": {"1"}})
	if _, text := checkPage(t, r.admin(200, "GET", to, "")); !strings.Contains(text, "Stored flax.myshopify.com without asking Shopify") || r.shops.added[1].Check {
		t.Errorf("without asking it says:\n%s", text)
	}
}

func TestTheFormIsThereWhereItIsNeededAndDoesNotReload(t *testing.T) {
	r := newRig(t, nil)
	form := func(path string) (there, reloads bool) {
		elements, _ := checkPage(t, r.admin(200, "GET", path, ""))
		for _, e := range elements {
			there = there || e.name == "form" && e.attr["action"] == "/shops"
			reloads = reloads || e.attr["http-equiv"] == "refresh"
		}
		return there, reloads
	}
	for path, want := range map[string]bool{"/": false, "/shops": false, "/shops?connect": true} {
		if there, reloads := form(path); there != want || reloads == want {
			t.Errorf("%s with a shop: form %t, reload %t", path, there, reloads)
		}
	}
	r.shops.list = nil
	for _, path := range []string{"/", "/shops"} {
		if there, reloads := form(path); !there || reloads {
			t.Errorf("%s without a shop: form %t, reload %t", path, there, reloads)
		}
		if _, text := checkPage(t, r.admin(200, "GET", path, "")); !strings.Contains(text, "This server keeps everything in "+r.opt.DataDir) {
			t.Errorf("%s does not say where the data is", path)
		}
	}
	// Who comes from elsewhere, or without leave, connects nothing.
	body := url.Values{"shop": {"wool"}, "api_key": {"k"}, "secret": {secretTyped}}.Encode()
	for name, header := range map[string][]string{
		"another site": {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, "another host": {"Host", "evil.example"},
		"a wrong token": {"Authorization", "Bearer wrong"}, "no token": {},
	} {
		w := serve(r.Server.Admin(), request("POST", "/shops", body, append(header, "Content-Type", "application/x-www-form-urlencoded")...))
		if w.Code < 400 || len(r.shops.added) > 0 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

func TestTheFormOffersThreeKindsAndWhatEachTakesAtShopify(t *testing.T) {
	r := newRig(t, nil)
	elements, text := checkPage(t, r.admin(200, "GET", "/shops?connect", ""))
	for _, want := range []string{
		"My own app: made in Shopify's Dev Dashboard, in the organization of the shop", "An app of another organization, such as a developer's",
		"An older app with a fixed access token, made in the shop's admin before 2026",
		"Release a version of it with the access scopes read_products, read_inventory and read_locations.",
		"Its App URL is http://localhost:3456, and its redirect URL is http://localhost:3456/callback, letter by letter.",
		"Under Distribution choose custom distribution and enter the shop's name.",
		"stockroom shop connect NAME.myshopify.com --api-key CLIENT_ID", "stockroom shop add NAME.myshopify.com --access-token-file FILE",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	of := map[string]string{}
	for _, e := range elements {
		if e.attr["type"] == "radio" {
			_, chosen := e.attr["checked"]
			if of["kinds"] += " " + e.attr["value"]; chosen {
				of["chosen"] += e.attr["value"]
			}
		}
		if kinds, ok := strings.CutPrefix(e.attr["class"], "field of "); ok {
			of["fields"] += kinds + ";"
		}
	}
	want := map[string]string{"kinds": " credentials consent token", "chosen": "credentials", "fields": "credentials consent;token;"}
	if !maps.Equal(of, want) {
		t.Errorf("it has %v, want %v", of, want)
	}
	// What was typed for one kind is not taken for another.
	for kind, want := range map[string]string{"credentials": "k|", "token": "|" + tokenTyped} {
		r.shops.added = nil
		r.send(url.Values{"kind": {kind}, "shop": {"wool-" + kind}, "api_key": {"k"}, "secret": {secretTyped}, "access_token": {tokenTyped}})
		if len(r.shops.added) != 1 || r.shops.added[0].APIKey+"|"+r.shops.added[0].AccessToken.Reveal() != want {
			t.Errorf("as %s it connects %+v", kind, r.shops.added)
		}
	}
}

func TestAShopSaysWhichKindOfAccessItHas(t *testing.T) {
	r := newRig(t, nil)
	for access, want := range map[status.Access]string{
		status.ByCredentials: "An app of the shop's own organization; tokens come with its client id and secret and are renewed automatically. Secret known.",
		status.ByConsent:     "An app of another organization, let in by the shop's owner 2 days ago. Secret known.",
		status.ByToken:       "An older app with a fixed access token; refused by Shopify now. Secret known.",
	} {
		c := &r.shops.list[0]
		c.Access, c.ConsentedAt, c.State, c.Reason = access, time.Time{}, "active", ""
		switch access {
		case status.ByConsent:
			c.ConsentedAt = time.Now().Add(-49 * time.Hour)
		case status.ByToken:
			c.State, c.Reason = "paused", "token: HTTP 401"
		}
		if _, text := checkPage(t, r.admin(200, "GET", "/shops", "")); !strings.Contains(text, want) {
			t.Errorf("%s: it does not say %q:\n%s", access, want, text)
		}
	}
}
