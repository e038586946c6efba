package shopify

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/config"
	"stockroom/limiter"
)

const (
	consentState  = "1f2e3d4c5b6a79881f2e3d4c5b6a7988"
	consentSecret = "hush-consent-secret"
)

var consentNow = time.Unix(1_790_000_000, 0)

// callback is what Shopify's consent page sends the browser to, with changes: a value
// of "-" leaves one out.
func callback(secret string, changes ...string) string {
	q := url.Values{
		"code": {"0907a61c0c8d55e99db179b68161bc00"}, "host": {"YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvbXktc2hvcA"}, "shop": {testShop},
		"state": {consentState}, "timestamp": {fmt.Sprint(consentNow.Unix())},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		if q.Set(changes[i], changes[i+1]); changes[i+1] == "-" {
			q.Del(changes[i])
		}
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(q.Encode()))
	return RedirectURL + "?" + q.Encode() + "&hmac=" + hex.EncodeToString(mac.Sum(nil))
}

func at(d time.Duration) string { return fmt.Sprint(consentNow.Add(d).Unix()) }

func TestTheAnswerOfTheConsentPageIsReadHoweverItIsPasted(t *testing.T) {
	for name, address := range map[string]string{
		"as it is":                      callback(consentSecret),
		"without http://":               strings.TrimPrefix(callback(consentSecret), "http://"),
		"what follows the mark":         strings.TrimPrefix(callback(consentSecret), RedirectURL+"?"),
		"in quotation marks":            "  \"" + callback(consentSecret) + "\"\n",
		"with a fragment":               callback(consentSecret) + "#x",
		"with a signature of old":       callback(consentSecret) + "&signature=x",
		"just young enough":             callback(consentSecret, "timestamp", at(-90*time.Second)),
		"just not too far ahead":        callback(consentSecret, "timestamp", at(90*time.Second)),
		"with the shop in capitals":     callback(consentSecret, "shop", strings.ToUpper(testShop)),
		"with a member that is new":     callback(consentSecret, "new", "a b&c=d%"),
		"of a host that is filled up":   callback(consentSecret, "host", "YWRtaW4=="),
		"behind another redirect's URL": strings.Replace(callback(consentSecret), RedirectURL, "https://tool.example/back", 1),
	} {
		code, err := ReadCallback(address, config.NewSecret(consentSecret), testShop, consentState, consentNow)
		if err != nil || code != "0907a61c0c8d55e99db179b68161bc00" {
			t.Errorf("%s: %q, %v", name, code, err)
		}
	}
}

func TestEachWrongAnswerOfTheConsentPageHasItsSentence(t *testing.T) {
	const again = "begin again with stockroom shop connect " + testShop + ", or on the page Shops"
	const notIt = "This is not the address that Shopify's page leads to at its end, which begins with http://localhost:3456/callback?code= " +
		"in most browsers. Approve the app in the shop first; then copy the whole address out of the address bar of the page that " +
		"opens, also when it says that it can't be reached."
	const otherState = "This is not the answer to what was asked last: it was used already, comes from an older window, or the question was " +
		"asked again since (a restart of Stockroom forgets it, too). Use the newest address, or " + again + "."
	const otherSecret = "Shopify signed this answer with another client secret than the one that was given, or it was changed on its way. " +
		"Copy the client id and the client secret from the settings of the same app in Shopify's Dev Dashboard, and " + again + "."
	const old = "Shopify's answer is older than 90 seconds and no longer good; " + again +
		". If it was new, the clock of this machine is wrong: set it first."
	right := callback(consentSecret)
	for _, tt := range []struct {
		name, address string
		reason        CallbackReason
		answered      bool
		words         string
	}{
		{"nothing", "", CallbackAddress, false, notIt},
		{"the shop's name", testShop, CallbackAddress, false, notIt},
		{"the address that asks", "https://" + testShop + "/admin/oauth/authorize?client_id=x&state=" + consentState, CallbackAddress, false, notIt},
		{"no query at all", "code=%zz&hmac=1", CallbackAddress, false, notIt},
		{"far too much", right + strings.Repeat("a", 8<<10), CallbackAddress, false, notIt},
		{"another shop's", callback(consentSecret, "shop", "wool.myshopify.com"), CallbackShop, false,
			"This is the answer of wool.myshopify.com, and " + testShop + " is to be connected. Log in to " + testShop +
				" as its owner, and open the address there."},
		{"of what is no shop", callback(consentSecret, "shop", "evil.example/"+testShop), CallbackShop, false,
			"This is the answer of another shop, and " + testShop + " is to be connected. Log in to " + testShop +
				" as its owner, and open the address there."},
		{"an older window's", callback(consentSecret, "state", strings.Repeat("0", 32)), CallbackState, false, otherState},
		{"without a state", callback(consentSecret, "state", "-"), CallbackState, false, otherState},
		{"with an empty state", callback(consentSecret, "state", ""), CallbackState, false, otherState},
		{"another app's", callback("another secret"), CallbackSignature, true, otherSecret},
		{"a changed one", strings.Replace(right, "0907a6", "0907a7", 1), CallbackSignature, true, otherSecret},
		{"one with more in it", right + "&x=1", CallbackSignature, true, otherSecret},
		{"a second code", right + "&code=other", CallbackSignature, true, otherSecret},
		{"a signature that is none", strings.Split(right, "&hmac=")[0] + "&hmac=zz", CallbackSignature, true, otherSecret},
		{"91 seconds old", callback(consentSecret, "timestamp", at(-91*time.Second)), CallbackOld, true, old},
		{"without a time", callback(consentSecret, "timestamp", "-"), CallbackOld, true, old},
		{"of the first day", callback(consentSecret, "timestamp", "-9223372036854775808"), CallbackOld, true, old},
		{"91 seconds ahead", callback(consentSecret, "timestamp", at(91*time.Second)), CallbackAhead, true,
			"Shopify's answer is dated in the future, so the clock of this machine is wrong. Set it, then " + again + "."},
		{"no code", callback(consentSecret, "code", "-"), CallbackCode, true,
			"Shopify's answer holds no code to get access with; " + again + "."},
		{"the owner's no", RedirectURL + "?error=access_denied&state=" + consentState, CallbackDenied, true,
			"The app was not approved in the shop. If that was a slip, " + again + ", and choose Install on Shopify's page."},
		{"a no of nobody knows whom", RedirectURL + "?error=access_denied", CallbackState, false, otherState},
		{"an error that is not known", RedirectURL + "?error=odd_thing&error_description=Try+later.&state=" + consentState, CallbackRefused, true,
			"Shopify gives the app no access: odd_thing: Try later; check the client id and the client secret in the app's settings in Shopify's " +
				"Dev Dashboard, and that a version of the app is released and installed on the shop."},
		{"a page without the redirect", "400 - Oauth error invalid_request: The redirect_uri is not whitelisted", CallbackRefused, false,
			"The app's released version does not name the redirect URL http://localhost:3456/callback; add exactly that in Shopify's Dev " +
				"Dashboard, release that version, and open the address again."},
		{"a page about hosts", "Oauth error invalid_request: The redirect_uri and application url must have matching hosts", CallbackRefused, false,
			"The app's App URL and its redirect URL are on different hosts; set the App URL to http://localhost:3456 in Shopify's Dev " +
				"Dashboard, release that version, and open the address again."},
		{"a page about the app", "Oauth error application_cannot_be_found", CallbackRefused, false,
			"Shopify knows no app with this client id; copy the client id again from the app's settings in Shopify's Dev Dashboard."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, err := ReadCallback(tt.address, config.NewSecret(consentSecret), testShop, consentState, consentNow)
			var e *CallbackError
			if !errors.As(err, &e) || code != "" || e.Reason != tt.reason || e.Answered != tt.answered || e.Words != tt.words {
				t.Fatalf("%q, %#v", code, err)
			}
			for _, secret := range []string{consentSecret, consentState, "0907a61c"} {
				if strings.Contains(e.Error(), secret) {
					t.Errorf("it shows %s", secret)
				}
			}
		})
	}
	if _, err := ReadCallback(callback(""), config.Secret{}, testShop, consentState, consentNow); err == nil {
		t.Error("a signature without a secret is taken")
	}
	if _, err := ReadCallback(callback(consentSecret, "state", ""), config.NewSecret(consentSecret), testShop, "", consentNow); err == nil {
		t.Error("no state is taken for no state")
	}
}

func FuzzNoAnswerIsTakenWithoutTheRightSignature(f *testing.F) {
	right := callback(consentSecret)
	for _, seed := range []string{right, callback("x"), RedirectURL + "?error=access_denied&state=" + consentState, "oauth error x: y", "?", ";", "hmac=%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		code, err := ReadCallback(address, config.NewSecret(consentSecret), testShop, consentState, consentNow)
		var e *CallbackError
		switch {
		case err != nil && (!errors.As(err, &e) || e.Words == "" || code != ""):
			t.Errorf("%q, %v", code, err)
		case err == nil && code != "0907a61c0c8d55e99db179b68161bc00":
			t.Errorf("took %q", address)
		}
	})
}

// answering is a client whose every call is answered so.
func answering(t *testing.T, status int, body string, sent *url.Values) *rig {
	return newRig(t, rigOptions{wrap: func(http.RoundTripper) http.RoundTripper {
		return transportFunc(func(req *http.Request) (*http.Response, error) {
			b, err := io.ReadAll(req.Body)
			if err != nil {
				return nil, err
			}
			if *sent, err = url.ParseQuery(string(b)); err != nil {
				return nil, err
			}
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(body))), Request: req}, nil
		})
	}})
}

func TestACodeIsExchangedForATokenThatDoesNotEnd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		words  string // "" for a token
	}{
		{"a token", 200, `{"access_token":"shpat_x","scope":"read_products,read_inventory"}`, ""},
		{"a code that was used", 400, "<title>400 - Oauth error invalid_request</title>", "Shopify does not take the code of its consent page, " +
			"which is good once and for a short time; begin again with stockroom shop connect " + testShop},
		{"the same in JSON", 400, `{"error":"invalid_request","error_description":"The authorization code was not found or was already used"}`,
			"Shopify does not take the code of its consent page, which is good once and for a short time: The authorization code was not found or " +
				"was already used; begin again with stockroom shop connect " + testShop},
		{"a wrong secret", 400, "<title>400 - Oauth error invalid_client</title>",
			"Shopify does not accept the app's client secret; copy the client secret again from the app's settings in Shopify's Dev Dashboard"},
		{"a refusal that is not known", 400, "<title>400 - Oauth error odd_thing</title>",
			"Shopify gives the app no access: odd_thing; check the client id and the client secret in the app's settings in Shopify's Dev Dashboard, " +
				"and that a version of the app is released and installed on the shop"},
		{"a token that ends", 200, `{"access_token":"shpat_x","scope":"","expires_in":3600,"refresh_token":"shprt_y"}`,
			"Shopify gives this app only tokens that end, as it does for public apps; choose custom distribution for the app in Shopify's Dev " +
				"Dashboard, then begin again with stockroom shop connect " + testShop},
		{"nothing", 200, `{}`, "the answer can't be read: the token endpoint answered without a token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent url.Values
				r := answering(t, tt.status, tt.body, &sent)
				token, err := r.Exchange(t.Context(), testShop, App{ClientID: "other", Secret: config.NewSecret(consentSecret)}, "the-code")
				want := url.Values{"client_id": {"other"}, "client_secret": {consentSecret}, "code": {"the-code"}, "expiring": {"0"}}
				if sent.Encode() != want.Encode() {
					t.Errorf("sent %v", sent)
				}
				var e *Error
				switch {
				case tt.words == "" && (err != nil || token.Value.Reveal() != "shpat_x" || len(token.Scopes) != 2 || !token.ExpiresAt.IsZero()):
					t.Errorf("%+v, %v", token, err)
				case tt.words != "" && (!errors.As(err, &e) || e.Words() != tt.words || token.Value.IsSet()):
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestAConsentThatShopifyRefusesLaterIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "revoked"})
		r.shop.SetTokens()
		r.creds.app.Consented = true
		_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
		var e *Error
		want := "Shopify no longer accepts the access that the shop's owner gave, as after the app was uninstalled or its client secret replaced; " +
			"connect the shop again with stockroom shop connect " + testShop
		if !errors.As(err, &e) || e.Words() != want {
			t.Errorf("%v", err)
		}
		if s := r.shop.APIStats(); s.TokenGrants != 0 || s.BadToken != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTheOwnerIsAskedAtTheShopItself(t *testing.T) {
	r := newRig(t, rigOptions{})
	want := "https://" + testShop + "/admin/oauth/authorize?client_id=app&redirect_uri=http%3A%2F%2Flocalhost%3A3456%2Fcallback&state=s"
	if got := r.ConsentURL(testShop, "app", RedirectURL, "s", nil); got != want {
		t.Errorf("%s", got)
	}
	want = strings.Replace(want, "&state", "&scope=read_products%2Cread_inventory&state", 1)
	if got := r.ConsentURL(testShop, "app", RedirectURL, "s", []string{"read_products", "read_inventory"}); got != want {
		t.Errorf("%s", got)
	}
}
