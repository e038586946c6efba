package fakeshopify

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
)

// consentRig is an app of another organization on a shop whose clock is at.
type consentRig struct {
	*Shop
	at time.Time
}

func newConsentRig(o APIOptions) *consentRig {
	r := &consentRig{at: epoch}
	r.Shop = New(Options{Secret: "hush", ClientID: "key", Now: func() time.Time { return r.at }, API: o})
	return r
}

const callback = Redirect

func asking(clientID, redirect string) string {
	return "https://my-shop.myshopify.com/admin/oauth/authorize?" +
		url.Values{"client_id": {clientID}, "redirect_uri": {redirect}, "state": {"a state"}}.Encode()
}

// consented returns what the callback of a consent carries.
func (r *consentRig) consented(t *testing.T) url.Values {
	t.Helper()
	at, err := r.Consent(asking("key", callback))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(at)
	if err != nil || !strings.HasPrefix(at, callback+"?") {
		t.Fatalf("%v, %s", err, at)
	}
	return u.Query()
}

// grantFor sends a form to the token endpoint: fields are name=value.
func (r *consentRig) grantFor(t *testing.T, fields ...string) (map[string]any, string) {
	t.Helper()
	in := map[string]string{"client_id": "key", "client_secret": "hush"}
	for _, f := range fields {
		k, v, _ := strings.Cut(f, "=")
		in[k] = v
	}
	b, _ := json.Marshal(in)
	status, h, text := post(t, r.Shop, "/admin/oauth/access_token", "", string(b))
	if status == 400 && strings.HasPrefix(h.Get("Content-Type"), "text/html") {
		return nil, titleOf(text)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil || status != 200 {
		t.Fatalf("%d %v %s", status, err, text)
	}
	return m, ""
}

func (r *consentRig) shopStatus(t *testing.T, token any) int {
	t.Helper()
	status, _, _ := post(t, r.Shop, "/admin/api/2026-10/graphql.json", token.(string), `{"query":"{shop{name}}"}`)
	return status
}

func TestConsentSendsTheBrowserBackSigned(t *testing.T) {
	r := newConsentRig(APIOptions{Grant: GrantConsent})
	q := r.consented(t)
	for k, want := range map[string]string{
		"shop": "my-shop.myshopify.com", "state": "a state", "timestamp": itoa(int(epoch.Unix())),
		"host": "YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvbXktc2hvcA", "hmac": "",
	} {
		if got := q.Get(k); got == "" || want != "" && got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	signed := q.Get("hmac")
	q.Del("hmac")
	if signed != signQuery("hush", q) || len(signed) != 64 || len(q) != 5 {
		t.Errorf("%s does not sign %v", signed, q)
	}
}

func TestACodeIsGoodOnceAndForAMinute(t *testing.T) {
	r := newConsentRig(APIOptions{Grant: GrantConsent})
	const refused = "400 - Oauth error invalid_request: The authorization code was not found or was already used"
	code := "code=" + r.consented(t).Get("code")
	m, refusal := r.grantFor(t, code, "expiring=0")
	if refusal != "" || len(m) != 2 || m["scope"] != "read_products,read_inventory,read_locations" {
		t.Fatalf("%v %s", m, refusal)
	}
	if got := r.shopStatus(t, m["access_token"]); got != 200 {
		t.Errorf("the token gets %d", got)
	}
	if _, refusal := r.grantFor(t, code); refusal != refused {
		t.Errorf("the code a second time: %q", refusal)
	}
	late := "code=" + r.consented(t).Get("code")
	r.at = r.at.Add(time.Minute)
	if _, refusal := r.grantFor(t, late); refusal != refused {
		t.Errorf("the code after a minute: %q", refusal)
	}
	r.at = r.at.Add(1000 * time.Hour)
	again, _ := r.grantFor(t, "code="+r.consented(t).Get("code"))
	if again["access_token"] != m["access_token"] || r.shopStatus(t, again["access_token"]) != 200 {
		t.Errorf("another token by the second consent: %v, %v", m, again)
	}
	hour, _ := r.grantFor(t, "code="+r.consented(t).Get("code"), "expiring=1")
	if hour["expires_in"] != 3600.0 || hour["access_token"] == m["access_token"] {
		t.Errorf("%v", hour)
	}
	r.at = r.at.Add(time.Hour)
	if got := r.shopStatus(t, hour["access_token"]); got != 401 {
		t.Errorf("the token of an hour gets %d", got)
	}
}

func TestATokenOfConsentEndsWithItsRevocationOrTheApp(t *testing.T) {
	r := newConsentRig(APIOptions{Grant: GrantConsent, Tokens: []string{"shpat_first"}})
	token := func() any {
		m, refusal := r.grantFor(t, "code="+r.consented(t).Get("code"))
		if refusal != "" {
			t.Fatal(refusal)
		}
		return m["access_token"]
	}
	first := token()
	if first != "shpat_first" {
		t.Errorf("the consent gives %v", first)
	}
	r.SetTokens()
	if got := r.shopStatus(t, first); got != 401 {
		t.Errorf("the revoked token gets %d", got)
	}
	second := token()
	if second == first || r.shopStatus(t, second) != 200 {
		t.Errorf("%v after %v", second, first)
	}
	r.SetScopes("read_inventory")
	m, _ := r.grantFor(t, "code="+r.consented(t).Get("code"))
	const listing = `{"query":"{products(first:1){nodes{id}}}"}`
	_, _, text := post(t, r.Shop, "/admin/api/2026-10/graphql.json", second.(string), listing)
	if m["scope"] != "read_inventory" || !strings.Contains(text, "ACCESS_DENIED") {
		t.Errorf("%v, %s", m, text)
	}
	r.Subscribe(TopicUpdate, "https://r.example")
	code := "code=" + r.consented(t).Get("code")
	r.Uninstall()
	if _, refusal := r.grantFor(t, code); r.shopStatus(t, second) != 401 || refusal == "" || len(r.Subscriptions()) != 0 {
		t.Errorf("token, code (%q) or subscriptions outlive the app", refusal)
	}
	if third := token(); third == second || r.shopStatus(t, third) != 200 {
		t.Errorf("consent does not install the app again: %v", third)
	}
}

func TestTheEndpointsOfOAuthRefuseWithPages(t *testing.T) {
	for _, tt := range []struct {
		name         string
		o            APIOptions
		fields, says string
	}{
		{"another organization's app", APIOptions{Grant: GrantConsent}, "",
			"shop_not_permitted: Client credentials cannot be performed on this shop."},
		{"a wrong client id", APIOptions{}, "client_id=x", "application_cannot_be_found"},
		{"a wrong secret", APIOptions{}, "client_secret=x", "invalid_client"},
		{"an app made in the admin", APIOptions{Grant: GrantToken}, "", "application_cannot_be_found"},
		{"another grant", APIOptions{}, "grant_type=password",
			"unsupported_grant_type: The grant type is not supported by this endpoint"},
	} {
		r := newConsentRig(tt.o)
		if m, got := r.grantFor(t, "grant_type=client_credentials", tt.fields); got != "400 - Oauth error "+tt.says {
			t.Errorf("%s: %v, %q", tt.name, m, got)
		}
	}
	const strange = "invalid_request: The redirect_uri is not whitelisted"
	r := newConsentRig(APIOptions{})
	r.Uninstall()
	if _, got := r.grantFor(t, "grant_type=client_credentials"); got != "400 - Oauth error app_not_installed" {
		t.Errorf("an app that is not installed: %q", got)
	}
	for _, tt := range []struct {
		name, clientID, redirect string
		o                        APIOptions
		says                     string
	}{
		{"a wrong client id", "x", callback, APIOptions{}, "application_cannot_be_found"},
		{"an app made in the admin", "key", callback, APIOptions{Grant: GrantToken}, "application_cannot_be_found"},
		{"a slash more", "key", callback + "/", APIOptions{}, strange},
		{"another address of the machine", "key", "http://127.0.0.1:3456/callback", APIOptions{}, strange},
		{"another released version", "key", callback, APIOptions{Redirects: []string{}}, strange},
		{"the address of a new app", "key", callback, APIOptions{AppURL: "https://example.com"},
			"invalid_request: The redirect_uri and application url must have matching hosts"},
	} {
		at, err := newConsentRig(tt.o).Consent(asking(tt.clientID, tt.redirect))
		if err == nil || err.Error() != "consent: 400 - Oauth error "+tt.says {
			t.Errorf("%s: %s, %v", tt.name, at, err)
		}
	}
	for _, o := range []APIOptions{{}, {AppURL: "http://localhost:3456"}, {Redirects: []string{"https://x.example/b"}}} {
		redirect := append(o.Redirects, callback)[0]
		at, err := newConsentRig(o).Consent(asking("key", redirect))
		if err != nil || !strings.HasPrefix(at, redirect+"?") {
			t.Errorf("%+v: %s, %v", o, at, err)
		}
	}
}
