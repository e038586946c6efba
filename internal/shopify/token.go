package shopify

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"stockroom/breaker"
	"stockroom/internal/config"
)

// ErrNoShop is returned by Credentials for a shop that is not connected.
var ErrNoShop = errors.New("the shop is not connected")

// Credentials are kept by somebody else: the client asks for them at each call,
// so that a change counts at once.
type Credentials interface {
	// App returns what the shop's app is known by, or ErrNoShop.
	App(shop string) (App, error)
	// Token returns the cached token of the client-credentials grant; false when
	// there is none, it has expired, or it belongs to other credentials.
	Token(shop string, now time.Time) (Token, bool)
	// SetToken caches a token durably, so that a restart does not ask again.
	SetToken(shop string, t Token) error
	// DropToken forgets the cached token: Shopify refused it.
	DropToken(shop string) error
}

// App is an app's credentials for one shop.
type App struct {
	ClientID    string
	Secret      config.Secret
	AccessToken config.Secret // does not end; unset: tokens are asked for with the other two
	Consented   bool          // AccessToken is of the shop owner's consent
}

// Token is an access token that Shopify gave. One without ExpiresAt does not end.
type Token struct {
	Value      config.Secret
	Scopes     []string
	ObtainedAt time.Time
	ExpiresAt  time.Time
}

// tokenBox lets one call at a time ask for a shop's token; the others wait for
// what it gets.
type tokenBox struct {
	turn chan struct{} // holds one while somebody asks
	// kept is the last token, for when it could not be cached durably. Owned by
	// who holds turn.
	kept    Token
	keptFor App
}

func newTokenBox() *tokenBox { return &tokenBox{turn: make(chan struct{}, 1)} }

// lock waits until nobody else asks; false: ctx ended before.
func (b *tokenBox) lock(ctx context.Context) bool {
	select {
	case b.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (b *tokenBox) unlock() { <-b.turn }

// renewBefore is how long before its end a token is renewed: a tenth of its
// life, five minutes at most.
func renewBefore(t Token) time.Duration {
	return min(t.ExpiresAt.Sub(t.ObtainedAt)/10, 5*time.Minute)
}

// longestToken is how long a token of Shopify's is good at most; they last a day.
const longestToken = 25 * time.Hour

// bearer is what a call is made with.
type bearer struct {
	token     config.Secret
	granted   bool // asked for with client id and secret, so that it can be renewed
	consented bool
}

// bearer returns what a call is made with. refused is a token that Shopify has just
// refused, unset for none.
func (c *Client) bearer(ctx context.Context, name string, refused config.Secret) (bearer, error) {
	app, err := c.o.Credentials.App(name)
	if err != nil {
		return bearer{}, &Error{Kind: KindLocal, Shop: name, Op: EndpointToken, Err: err}
	}
	if app.AccessToken.IsSet() {
		return bearer{token: app.AccessToken, consented: app.Consented}, nil
	}
	if app.ClientID == "" || !app.Secret.IsSet() {
		return bearer{}, &Error{Kind: KindToken, Shop: name, Op: EndpointToken}
	}
	token, err := c.granted(ctx, name, app, refused)
	return bearer{token: token, granted: true}, err
}

// granted returns the token of the client-credentials grant, a new one where needed.
func (c *Client) granted(ctx context.Context, name string, app App, refused config.Secret) (config.Secret, error) {
	box := c.shop(name).token
	if !box.lock(ctx) {
		return config.Secret{}, cancelled(name, EndpointToken, ctx)
	}
	defer box.unlock()

	now := time.Now()
	have, ok := c.o.Credentials.Token(name, now)
	if !ok && box.keptFor.ClientID == app.ClientID && box.keptFor.Secret.Equal(app.Secret) && now.Before(box.kept.ExpiresAt) {
		have, ok = box.kept, true
	}
	if end := have.ObtainedAt.Add(longestToken); have.ExpiresAt.After(end) {
		have.ExpiresAt = end
	}
	if ok && refused.IsSet() && have.Value.Equal(refused) {
		ok = false
	}
	if ok && now.Before(have.ExpiresAt.Add(-renewBefore(have))) {
		return have.Value, nil
	}
	fresh, err := c.renewed(ctx, name, app)
	if err != nil {
		if ok && KindOf(err) != KindCancelled {
			return have.Value, nil // good for a little longer
		}
		return config.Secret{}, err
	}
	box.kept, box.keptFor = fresh, app
	if err := c.o.Credentials.SetToken(name, fresh); err != nil {
		c.log.Warn("what Shopify lets the app in with can't be kept over a restart", "shop", name, "error", err.Error())
	}
	return fresh.Value, nil
}

// dropToken forgets a token that Shopify refused.
func (c *Client) dropToken(ctx context.Context, name string, refused config.Secret) {
	box := c.shop(name).token
	if !box.lock(ctx) {
		return
	}
	defer box.unlock()
	if box.kept.Value.Equal(refused) {
		box.kept = Token{}
	}
	if have, ok := c.o.Credentials.Token(name, time.Now()); ok && have.Value.Equal(refused) {
		if err := c.o.Credentials.DropToken(name); err != nil {
			c.log.Warn("a refused token can't be forgotten", "shop", name, "error", err.Error())
		}
	}
}

// tokenAnswer is what the token endpoint says.
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	Scope       string `json:"scope"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// renewed asks for a token with client id and secret
// (shopify.dev/docs/apps/build/authentication-authorization, client credentials).
func (c *Client) renewed(ctx context.Context, name string, app App) (Token, error) {
	asked := time.Now()
	in, err := c.grant(ctx, name, app, url.Values{"grant_type": {"client_credentials"}})
	if err != nil {
		return Token{}, err
	}
	if in.ExpiresIn <= 0 {
		in.ExpiresIn = 3600
	}
	life := time.Duration(min(in.ExpiresIn, int64(longestToken/time.Second))) * time.Second
	return Token{Value: config.NewSecret(in.AccessToken), Scopes: splitScopes(in.Scope), ObtainedAt: asked, ExpiresAt: asked.Add(life)}, nil
}

// grant asks the token endpoint once, with form besides the app's id and secret.
func (c *Client) grant(ctx context.Context, name string, app App, form url.Values) (tokenAnswer, error) {
	permit, err := c.o.Breaker.Allow(time.Now(), breaker.Key{Shop: name, Class: EndpointToken})
	if err != nil {
		return tokenAnswer{}, c.openError(name, EndpointToken, err)
	}
	form.Set("client_id", app.ClientID)
	form.Set("client_secret", app.Secret.Reveal())
	in, err := c.askToken(ctx, name, form)
	c.contacted(name, time.Now(), err)
	permit.Done(time.Now(), Judge(err).Breaker, retryAfterOf(err))
	return in, err
}

func (c *Client) askToken(ctx context.Context, name string, form url.Values) (in tokenAnswer, err error) {
	try, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(try, http.MethodPost, c.o.BaseURL(name)+"/admin/oauth/access_token", strings.NewReader(form.Encode()))
	if err != nil {
		return in, &Error{Kind: KindLocal, Shop: name, Op: EndpointToken, Err: err}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	res, body, err := c.exchange(ctx, req, name, EndpointToken, 1<<20)
	if err != nil {
		return in, err
	}
	e := &Error{Shop: name, Op: EndpointToken, Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id"), RetryAfter: parseRetryAfter(res.Header, time.Now())}
	readable := json.Unmarshal(body, &in) == nil
	if res.StatusCode == http.StatusOK {
		if !readable || in.AccessToken == "" {
			e.Kind, e.Message = KindUnreadable, "the token endpoint answered without a token"
			return in, e
		}
		return in, nil
	}
	if res.StatusCode/100 == 3 {
		redirected(e, res.Header.Get("Location"))
		return in, e
	}
	code, message := in.Error, in.Description
	if !readable {
		code, message = oauthError(string(body))
	}
	e.Kind = kindOfStatus(res.StatusCode)
	if res.StatusCode == http.StatusBadRequest || res.StatusCode == http.StatusForbidden {
		// The words of RFC 6749 5.2 and Shopify's own.
		e.Kind = KindToken
		switch {
		case code == "invalid_request" && form.Has("code"):
			code = codeRefused
		case code == "app_not_installed", code == "invalid_request": // without a code it says the same
			e.Kind = KindUninstalled
		}
	}
	e.refused(code, message)
	setRetryAt(e, time.Now())
	return in, e
}

// oauthTitle is the title of the page that refuses a grant, such as
// "400 - Oauth error invalid_client" with a text behind a colon now and then.
var oauthTitle = regexp.MustCompile(`(?is)<title>[^<]*oauth error ([a-z_]+)(?::\s*([^<]*))?</title>`)

func oauthError(page string) (code, message string) {
	found := oauthTitle.FindStringSubmatch(page)
	if found == nil {
		return "", ""
	}
	return found[1], html.UnescapeString(found[2])
}

func splitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func (c *Client) openError(shop, op string, err error) *Error {
	e := &Error{Kind: KindOpen, Shop: shop, Op: op, Err: err}
	var open *breaker.OpenError
	if errors.As(err, &open) {
		e.RetryAt = open.RetryAt
	}
	if !e.RetryAt.IsZero() { // a person who holds the calls back needs no other reason
		e.Behind = c.behind(shop)
	}
	return e
}

func cancelled(shop, op string, ctx context.Context) *Error {
	return &Error{Kind: KindCancelled, Shop: shop, Op: op, Err: context.Cause(ctx)}
}
