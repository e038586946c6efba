package shopify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
)

// RedirectURL is where Shopify's consent page sends the browser. The app has to name
// it in its settings, byte for byte.
const RedirectURL = "http://localhost:3456/callback"

// ConsentURL is where the owner of a shop is asked to let an app in. No scopes: those
// of the app's released version.
func (c *Client) ConsentURL(shop, clientID, redirect, state string, scopes []string) string {
	q := url.Values{"client_id": {clientID}, "redirect_uri": {redirect}, "state": {state}}
	if len(scopes) > 0 {
		q.Set("scope", strings.Join(scopes, ","))
	}
	return c.o.BaseURL(shop) + "/admin/oauth/authorize?" + q.Encode()
}

// CallbackReason says what is wrong with what the consent page sent the browser to.
type CallbackReason string

// The reasons; the set is closed.
const (
	CallbackAddress   CallbackReason = "not-the-address" // something else was given
	CallbackShop      CallbackReason = "other-shop"
	CallbackState     CallbackReason = "other-question" // its state is of none that waits
	CallbackRefused   CallbackReason = "refused"        // Shopify says no, as on its error pages
	CallbackDenied    CallbackReason = "denied"         // the owner said no
	CallbackSignature CallbackReason = "signature"
	CallbackOld       CallbackReason = "old"
	CallbackAhead     CallbackReason = "ahead" // dated in the future
	CallbackCode      CallbackReason = "no-code"
)

// CallbackError is an answer of the consent page that can't be used. It holds no
// secret and nothing of what was given but words of Shopify.
type CallbackError struct {
	Reason CallbackReason
	Words  string // sentences: what is wrong, and what to do
	// Answered: it is an answer to the question that was asked, so that no other one
	// can come.
	Answered bool
}

func (e *CallbackError) Error() string { return "shopify callback: " + e.Words }

const (
	longestCallback = 8 << 10 // bytes of its address
	callbackLife    = 90 * time.Second
)

// ReadCallback checks what Shopify's consent page sent the browser to, and returns the
// code that is in it. address is a whole URL, or what follows its "?". The error is a
// *CallbackError.
func ReadCallback(address string, secret config.Secret, shop, state string, now time.Time) (code string, err error) {
	answered := false
	no := func(reason CallbackReason, words string) (string, error) {
		return "", &CallbackError{reason, words, answered}
	}
	again := "begin again with stockroom shop connect " + shop + ", or on the page Shops"
	in, ok := readCallbackAddress(address)
	if !ok {
		if code, message := oauthError("<title>" + address[:min(len(address), longestCallback)] + "</title>"); code != "" {
			return no(CallbackRefused, pageWords(shop, code, message)) // copied from the page
		}
		return no(CallbackAddress, "This is not the address that Shopify's page leads to at its end, which begins with "+
			RedirectURL+"?code= in most browsers. Approve the app in the shop first; then copy the whole address out of the "+
			"address bar of the page that opens, also when it says that it can't be reached.")
	}
	if name, err := catalog.ParseShop(in.Get("shop")); in.Has("shop") && (err != nil || name != shop) {
		of := "another shop"
		if err == nil {
			of = name
		}
		return no(CallbackShop, "This is the answer of "+of+", and "+shop+" is to be connected. Log in to "+shop+
			" as its owner, and open the address there.")
	}
	if state == "" || !hmac.Equal([]byte(in.Get("state")), []byte(state)) {
		return no(CallbackState, "This is not the answer to what was asked last: it was used already, comes from an "+
			"older window, or the question was asked again since (a restart of Stockroom forgets it, too). "+
			"Use the newest address, or "+again+".")
	}
	answered = true
	if in.Get("error") == "access_denied" {
		return no(CallbackDenied, "The app was not approved in the shop. If that was a slip, "+again+
			", and choose Install on Shopify's page.")
	}
	if in.Has("error") {
		return no(CallbackRefused, pageWords(shop, in.Get("error"), in.Get("error_description")))
	}
	if !signedCallback(in, secret) {
		return no(CallbackSignature, "Shopify signed this answer with another client secret than the one that was given, "+
			"or it was changed on its way. Copy the client id and the client secret from the settings of the same app "+
			"in Shopify's Dev Dashboard, and "+again+".")
	}
	seconds, err := strconv.ParseInt(in.Get("timestamp"), 10, 64)
	switch age := now.Sub(time.Unix(seconds, 0)); {
	case err != nil || age > callbackLife:
		return no(CallbackOld, "Shopify's answer is older than 90 seconds and no longer good; "+again+
			". If it was new, the clock of this machine is wrong: set it first.")
	case age < -callbackLife:
		return no(CallbackAhead, "Shopify's answer is dated in the future, so the clock of this machine is wrong. "+
			"Set it, then "+again+".")
	case in.Get("code") == "":
		return no(CallbackCode, "Shopify's answer holds no code to get access with; "+again+".")
	}
	return in.Get("code"), nil
}

// readCallbackAddress reads what an address carries; false when it is no address that
// Shopify's consent page leads to.
func readCallbackAddress(address string) (url.Values, bool) {
	if len(address) > longestCallback {
		return nil, false
	}
	address, _, _ = strings.Cut(strings.Trim(strings.TrimSpace(address), `"'<>`), "#")
	if _, query, found := strings.Cut(address, "?"); found {
		address = query
	}
	in, err := url.ParseQuery(address)
	return in, err == nil && (in.Has("hmac") || in.Has("error"))
}

// pageWords says what a refusal on a page of Shopify means.
func pageWords(shop, code, message string) string {
	e := &Error{Kind: KindToken, Shop: shop, Op: EndpointToken, Status: http.StatusBadRequest}
	e.refused(code, message)
	words := e.Words()
	return strings.ToUpper(words[:1]) + words[1:] + "."
}

func signedCallback(in url.Values, secret config.Secret) bool {
	sum, err := hex.DecodeString(in.Get("hmac"))
	if err != nil || !secret.IsSet() {
		return false
	}
	signed := url.Values{}
	for name, values := range in {
		if name != "hmac" && name != "signature" {
			signed[name] = values
		}
	}
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(signed.Encode())) // by name
	return hmac.Equal(mac.Sum(nil), sum)
}

// Exchange gives the code of a consent for a token that does not expire. A code is
// good once; another consent to the same app gives the same token.
func (c *Client) Exchange(ctx context.Context, shop string, app App, code string) (Token, error) {
	trial := c.trial(app)
	trial.TryNow(shop)
	asked := time.Now()
	in, err := trial.grant(ctx, shop, app, url.Values{"code": {code}, "expiring": {"0"}})
	if err != nil {
		return Token{}, err
	}
	if in.ExpiresIn > 0 {
		e := &Error{Kind: KindToken, Shop: shop, Op: EndpointToken, Status: 200}
		e.refused(tokenEnds, "")
		return Token{}, e
	}
	return Token{Value: config.NewSecret(in.AccessToken), Scopes: splitScopes(in.Scope), ObtainedAt: asked}, nil
}
