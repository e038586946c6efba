package appliance

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/config"
	"stockroom/internal/logbook"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/internal/status"
	"stockroom/web"
)

const (
	consentLife  = 10 * time.Minute // for a question to wait
	consentsMost = 8                // questions that are kept
	callbackPort = ":3456"          // of shopify.RedirectURL
	callbackHost = "localhost" + callbackPort
	callbackMost = 16 // connections
)

// consents ask the owners of shops, and listen for the answer where Shopify's consent
// page sends the browser to, on this machine only and while a question waits. All of it
// is in memory: what is left of a consent is the connection.
type consents struct {
	a *Appliance

	mu    sync.Mutex
	asked map[string]*question // the newest of each shop
	stop  func()               // ends listening; nil: nobody listens
	deaf  string               // why nobody does, a sentence
	timer *time.Timer          // of the newest question
	over  bool
	ended sync.WaitGroup // servers that stop
}

// question is one question to the owner of a shop.
type question struct {
	in    web.AddShop // with what is given again; nothing after the end
	state string      // that the answer has to carry; "" once it came, or came too late
	view  web.Consent
}

// Begin makes the address to open.
func (c *consents) Begin(in web.AddShop, scopes []string) (web.Consent, error) {
	if have, _ := c.a.state.Shop(in.Shop); have.Declared {
		return web.Consent{}, shops{c.a}.declared(state.ErrDeclared)
	}
	kept := c.a.state.KeptCredentials(in.Shop)
	if in.APIKey = cmp.Or(in.APIKey, kept.APIKey); in.APIKey == kept.APIKey && !in.Secret.IsSet() {
		in.Secret = kept.APISecret
	}
	switch {
	case in.APIKey == "":
		return web.Consent{}, web.MissingCredential("api_key")
	case !in.Secret.IsSet():
		return web.Consent{}, web.MissingCredential("secret")
	}
	now := time.Now()
	q := &question{in: in, state: rand.Text(), view: web.Consent{
		Shop: in.Shop, State: web.ConsentWaiting, RedirectURI: shopify.RedirectURL, ExpiresAt: now.Add(consentLife).UTC(),
	}}
	q.view.Words = "Waiting until " + q.view.ExpiresAt.Format("15:04") + " UTC for the owner of " + in.Shop +
		" to open the address and to install the app."
	q.view.Address = c.a.client.ConsentURL(in.Shop, in.APIKey, shopify.RedirectURL, q.state, scopes)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.room(in.Shop, now) {
		return web.Consent{}, &answer.Refusal{
			Status: http.StatusServiceUnavailable, Title: "Not now", Code: answer.CodeNotNow,
			Detail: "The owners of other shops are asked already. Finish with those, or try again in ten minutes.",
		}
	}
	c.asked[in.Shop] = q
	c.listen()
	c.timer.Reset(consentLife)
	return c.told(q), nil
}

// room makes room for a question about a shop; mu is held.
func (c *consents) room(shop string, now time.Time) bool {
	c.sweep(now)
	delete(c.asked, shop)
	for domain, q := range c.asked {
		if len(c.asked) >= consentsMost && q.view.State != web.ConsentWaiting {
			delete(c.asked, domain)
		}
	}
	return len(c.asked) < consentsMost && !c.over
}

// sweep ends the questions that waited too long, and stops listening after the last
// one; mu is held.
func (c *consents) sweep(now time.Time) {
	waits := false
	for shop, q := range c.asked {
		if q.state != "" && !now.Before(q.view.ExpiresAt) {
			q.state = ""
			q.end(web.ConsentRefused, "The app was not installed within ten minutes; begin again with "+c.again(shop)+".")
		}
		waits = waits || q.view.State == web.ConsentWaiting
	}
	if !waits && c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

func (c *consents) again(shop string) string { return c.a.command("shop connect " + shop) }

// end notes how a question came out, and drops its secrets.
func (q *question) end(state, words string) {
	q.in = web.AddShop{Shop: q.in.Shop}
	q.view.State, q.view.Words, q.view.Address = state, words, ""
}

// told is a question as it may be shown; mu is held.
func (c *consents) told(q *question) web.Consent {
	view := q.view
	if view.State == web.ConsentWaiting {
		view.Listens, view.ListensNot = c.stop != nil, c.deaf
	}
	return view
}

// Of tells how the newest question about a shop stands.
func (c *consents) Of(shop string) web.Consent {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep(time.Now())
	if q := c.asked[shop]; q != nil {
		return c.told(q)
	}
	return web.Consent{Shop: shop, State: web.ConsentNone, Words: "The owner of " + shop + " is not asked now; " +
		"a restart of Stockroom forgets a question. Ask with " + c.again(shop) + "."}
}

// Forget gives the question about a shop up.
func (c *consents) Forget(shop string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asked, shop)
	c.sweep(time.Now())
}

// Answer connects a shop with the address that the browser was sent to.
func (c *consents) Answer(ctx context.Context, shop, address string) (*web.Found, error) {
	q, code, err := c.take(shop, address)
	if err != nil {
		return nil, err
	}
	return c.connect(ctx, q, code)
}

// take finds the question that an address answers, among those about shop or, of "",
// among all. An answer uses it up.
func (c *consents) take(shop, address string) (q *question, code string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.sweep(now)
	for domain, q := range c.asked {
		if shop != "" && domain != shop {
			continue
		}
		code, wrong := shopify.ReadCallback(address, q.in.Secret, domain, q.state, now)
		var why *shopify.CallbackError
		if errors.As(wrong, &why) && !why.Answered {
			if err == nil || why.Reason == shopify.CallbackState {
				err = wrong
			}
			continue
		}
		if q.state = ""; why != nil {
			q.end(web.ConsentRefused, why.Words)
			c.sweep(now)
		}
		return q, code, wrong
	}
	if err == nil {
		_, err = shopify.ReadCallback(address, config.Secret{}, shop, "", now)
	}
	return nil, "", err
}

// connect gets the token for a code and connects the shop; nobody who goes away ends it,
// since the code is good once.
func (c *consents) connect(ctx context.Context, q *question, code string) (found *web.Found, err error) {
	ctx = context.WithoutCancel(ctx)
	in := q.in
	token, err := c.a.client.Exchange(ctx, in.Shop, shopify.App{ClientID: in.APIKey, Secret: in.Secret}, code)
	c.mu.Lock()
	newest := c.asked[in.Shop] == q
	c.mu.Unlock()
	switch {
	case err != nil:
	case !newest:
		err = answer.Refuse(http.StatusConflict, "Asked again", in.Shop+" was asked again, or removed, while Shopify's "+
			"answer was checked. Nothing was stored; use the newest address.")
	default:
		in.AccessToken = token.Value
		found, err = shops{c.a}.add(ctx, in, time.Now())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.a.log.With(logbook.AuditKey, true).
			Info("shop connected or changed", "shop", in.Shop, "asked", true, "by", "its owner's consent")
		connected := web.Connected{Connection: status.Connection{Shop: in.Shop, HasSecret: true}, Found: found}
		q.view.Found = found
		q.end(web.ConsentConnected, strings.Join(connected.Words(), " "))
	} else {
		words, told := web.NotConnected(err)
		if !told {
			c.a.log.Error("a shop whose owner let the app in can't be connected", "shop", in.Shop, "error", err.Error())
		}
		q.end(web.ConsentRefused, words)
	}
	c.sweep(time.Now())
	return found, err
}

// ServeHTTP answers the browser that the consent page sent here.
func (c *consents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Host != callbackHost || r.URL.Path != "/callback":
		web.CallbackPage(w, http.StatusNotFound, "Not found", "Only Shopify's answers are taken here.")
		return
	case r.Method != http.MethodGet:
		web.CallbackPage(w, http.StatusMethodNotAllowed, "Not taken", "Only Shopify's answers are taken here.")
		return
	}
	q, code, err := c.take("", r.URL.RawQuery)
	if err == nil {
		_, err = c.connect(r.Context(), q, code)
	}
	if err != nil {
		words, _ := web.NotConnected(err)
		web.CallbackPage(w, http.StatusConflict, "Not connected", words)
		return
	}
	c.mu.Lock()
	words := q.view.Words
	c.mu.Unlock()
	web.CallbackPage(w, http.StatusOK, "Connected", words)
}

// listen begins to listen, or notes why not; mu is held. A browser takes localhost for
// either address, so that both have to be ours; a machine may have no IPv6.
func (c *consents) listen() {
	if c.stop != nil {
		return
	}
	var open []net.Listener
	var why error
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		l, err := c.a.opt.Callback(host + callbackPort)
		if err == nil {
			open = append(open, l)
		}
		why = errors.Join(why, err)
	}
	busy := errors.Is(why, syscall.EADDRINUSE)
	if len(open) > 0 && !busy {
		c.deaf, c.stop = "", c.serve(open)
		return
	}
	for _, l := range open {
		_ = l.Close() // nothing came of it
	}
	c.deaf = "Stockroom can't listen"
	if busy {
		c.deaf = "Another program listens"
	}
	c.deaf += " on port 3456 of this machine, so Shopify's answer does not come by itself; when the page at the end of " +
		"the consent can't be reached, or is another program's, copy its whole address out of the browser's address bar, " +
		"and give that."
}

// serve answers on the listeners until the function that it returns is called, which
// does not wait.
func (c *consents) serve(open []net.Listener) (stop func()) {
	srv := newServer(c, c.a.log)
	srv.ReadTimeout, srv.IdleTimeout = srv.ReadHeaderTimeout, srv.ReadHeaderTimeout
	srv.SetKeepAlivesEnabled(false)
	for _, l := range open {
		c.ended.Go(func() {
			if err := srv.Serve(&connections{Listener: l, most: callbackMost}); !errors.Is(err, http.ErrServerClosed) {
				c.a.log.Warn("Shopify's answers are not listened for any more", "error", err.Error())
			}
		})
	}
	return func() {
		c.ended.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), stopRequests)
			defer cancel()
			if srv.Shutdown(ctx) != nil {
				_ = srv.Close() // an answer that takes that long is given up
			}
		})
	}
}

func newConsents(a *Appliance) *consents {
	c := &consents{a: a, asked: map[string]*question{}}
	c.timer = time.AfterFunc(consentLife, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sweep(time.Now())
	})
	c.timer.Stop() // until the first question
	return c
}

// close gives all questions up, and waits until nothing is answered any more.
func (c *consents) close() {
	c.mu.Lock()
	c.over = true
	clear(c.asked)
	c.sweep(time.Now())
	c.timer.Stop()
	c.mu.Unlock()
	c.ended.Wait()
}

var _ web.Consents = (*consents)(nil)
