package appliance

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/status"
	"stockroom/web"
)

const consentKey, consentSecret = "app-of-another-organization", "hush-consent-secret"

// silence is a listener that nobody calls.
type silence struct {
	once sync.Once
	over chan struct{}
}

func (s *silence) Accept() (net.Conn, error) { <-s.over; return nil, net.ErrClosed }
func (s *silence) Close() error              { s.once.Do(func() { close(s.over) }); return nil }
func (s *silence) Addr() net.Addr            { return &net.TCPAddr{} }

// consenting is an appliance without a shop, and the shop whose owner is asked.
type consenting struct {
	connecting
	shop *fakeshopify.Shop
	port *port
}

// port stands for port 3456 of this machine.
type port struct {
	asked []string
	open  []*silence
	fail  error
	of    string // the address that fails, "" for each
}

func (p *port) listen(address string) (net.Listener, error) {
	p.asked = append(p.asked, address)
	if p.fail != nil && strings.Contains(address, p.of) {
		return nil, p.fail
	}
	l := &silence{over: make(chan struct{})}
	p.open = append(p.open, l)
	return l, nil
}

// free reports whether nobody listens.
func (p *port) free() bool {
	synctest.Wait()
	for _, l := range p.open {
		select {
		case <-l.over:
		default:
			return false
		}
	}
	return true
}

func newConsenting(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper) *consenting {
	t.Helper()
	shop := fakeshopify.New(fakeshopify.Options{
		Shop: testShop, ClientID: consentKey, Secret: consentSecret, Products: 7, API: fakeshopify.APIOptions{Grant: fakeshopify.GrantConsent},
	})
	way := fakeshopify.Transport(shop.Handler())
	if wrap != nil {
		way = wrap(way)
	}
	c := &consenting{newConnecting(t, way), shop, &port{}}
	c.opt.Callback = c.port.listen
	return c
}

// call makes a call of the API; out is read from whatever the answer is.
func (c *consenting) call(method, path, body string, out any) int {
	c.t.Helper()
	r := httptest.NewRequest(method, "http://localhost/api/v1/shops/"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+c.Token())
	w := httptest.NewRecorder()
	c.Admin().ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
		c.t.Fatalf("%v in %s", err, w.Body)
	}
	for _, secret := range []string{consentSecret, "shpat_"} {
		if strings.Contains(w.Body.String(), secret) {
			c.t.Errorf("%s %s shows a secret: %s", method, path, w.Body)
		}
	}
	return w.Code
}

// begin asks the owner.
func (c *consenting) begin(body string) web.Consent {
	c.t.Helper()
	var out web.Consent
	if code := c.call("POST", testShop+"/consent", body, &out); code != 201 || out.State != web.ConsentWaiting {
		c.t.Fatalf("%d %+v", code, out)
	}
	return out
}

const consentBody = `{"api_key":"` + consentKey + `","secret":"` + consentSecret + `","merchant_id":"m"}`

// agreed is the address that the owner is sent to after saying yes.
func (c *consenting) agreed(asked web.Consent) string {
	c.t.Helper()
	address, err := c.shop.Consent(asked.Address)
	if err != nil {
		c.t.Fatal(err)
	}
	return address
}

// paste gives an address, and returns what a refusal says.
func (c *consenting) paste(shop, address string) (code int, detail, reason string) {
	c.t.Helper()
	body, err := json.Marshal(map[string]string{"address": address})
	if err != nil {
		c.t.Fatal(err)
	}
	var out struct{ Detail, Reason string }
	return c.call("POST", shop+"/consent/callback", string(body), &out), out.Detail, out.Reason
}

func (c *consenting) of(shop string) (out web.Consent) {
	c.t.Helper()
	c.call("GET", shop+"/consent", "", &out)
	return out
}

// browse goes where Shopify sends the browser.
func (c *consenting) browse(method, address string) (code int, page string) {
	w := httptest.NewRecorder()
	c.consents.ServeHTTP(w, httptest.NewRequest(method, address, nil))
	return w.Code, w.Body.String()
}

// connected checks that the shop is connected by consent.
func (c *consenting) connected() {
	c.t.Helper()
	cred, _ := c.state.Credentials(testShop)
	if cred.APIKey != consentKey || cred.APISecret.Reveal() != consentSecret || !strings.HasPrefix(cred.AccessToken.Reveal(), "shpat_") || cred.Consented.IsZero() {
		c.t.Errorf("credentials %+v", cred)
	}
	list, err := shops{c.Appliance}.List(c.t.Context())
	if err != nil || len(list) != 1 || list[0].Access != status.ByConsent || list[0].MerchantID != "m" || !list[0].HasSecret {
		c.t.Errorf("%+v, %v", list, err)
	}
	if out := c.of(testShop); out.State != web.ConsentConnected || out.Found == nil || out.Found.Products != 7 || out.Address != "" ||
		!strings.HasPrefix(out.Words, "Connected ") || !strings.Contains(out.Words, "("+testShop+"): 7 products; rights: ") {
		c.t.Errorf("%+v", out)
	}
}

func TestAShopIsConnectedByItsOwnersConsent(t *testing.T) {
	for _, pasted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newConsenting(t, nil)
			if out := c.of(testShop); out.State != web.ConsentNone || !strings.Contains(out.Words, "a restart of Stockroom forgets a question") ||
				!strings.Contains(out.Words, "shop connect "+testShop) {
				t.Errorf("%+v", out)
			}
			asked := c.begin(consentBody)
			if !asked.Listens || asked.ListensNot != "" || strings.Join(c.port.asked, " ") != "127.0.0.1:3456 [::1]:3456" ||
				time.Until(asked.ExpiresAt) != 10*time.Minute || asked.Words != "Waiting until 00:10 UTC for the owner of "+testShop+
				" to open the address and to install the app." {
				t.Errorf("%+v, listens on %v", asked, c.port.asked)
			}
			c.nothingKept(testShop)
			address := c.agreed(asked)
			if pasted {
				if code, detail, _ := c.paste(testShop, address); code != 200 {
					t.Fatalf("%d %s", code, detail)
				}
			} else if code, page := c.browse("GET", address); code != 200 || !strings.Contains(page, "<h1>Connected</h1>") || !strings.Contains(page, "7 products") {
				t.Fatalf("%d %s", code, page)
			}
			c.connected()
			if !c.port.free() {
				t.Error("it is listened for nothing")
			}

			// The token lives on with a new secret, and not with another app or none.
			token := func() string { cred, _ := c.state.Credentials(testShop); return cred.AccessToken.Reveal() }
			had := token()
			if status, _, _ := c.put(t.Context(), testShop, `{"secret":"new","check":false}`); status != 200 || token() != had {
				t.Errorf("%d: a new secret took the token away", status)
			}
			if status, _, _ := c.put(t.Context(), testShop, `{"api_key":"another","secret":"s","check":false}`); status != 200 || token() != "" {
				t.Errorf("%d: another app has the token", status)
			}
		})
	}
}

func TestAnAnswerThatIsNotTheOwnersOwnConnectsNothing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		secret string // "" for the right one
		do     func(c *consenting, asked web.Consent) string
		reason string
		words  string
		state  string
	}{
		{"a wrong state", "", func(c *consenting, asked web.Consent) string {
			return c.agreed(web.Consent{Address: strings.Replace(asked.Address, "state=", "state=X", 1)})
		}, "other-question", "This is not the answer to what was asked last", web.ConsentWaiting},
		{"a secret of another app", "wrong", func(c *consenting, asked web.Consent) string { return c.agreed(asked) },
			"signature", "Shopify signed this answer with another client secret", web.ConsentRefused},
		{"another shop", "", func(c *consenting, asked web.Consent) string {
			return strings.Replace(c.agreed(asked), "shop="+testShop, "shop=wool.myshopify.com", 1)
		}, "other-shop", "This is the answer of wool.myshopify.com, and " + testShop + " is to be connected", web.ConsentWaiting},
		{"an old one", "", func(c *consenting, asked web.Consent) string {
			address := c.agreed(asked)
			time.Sleep(91 * time.Second)
			return address
		}, "old", "Shopify's answer is older than 90 seconds and no longer good; begin again with", web.ConsentRefused},
		{"the first of two windows", "", func(c *consenting, asked web.Consent) string {
			c.begin(consentBody)
			return c.agreed(asked)
		}, "other-question", "Use the newest address, or begin again with stockroom shop connect " + testShop, web.ConsentWaiting},
		{"after a restart", "", func(c *consenting, asked web.Consent) string {
			address := c.agreed(asked)
			c.consents.Forget(testShop)
			return address
		}, "other-question", "a restart of Stockroom forgets it", web.ConsentNone},
		{"after ten minutes", "", func(c *consenting, asked web.Consent) string {
			time.Sleep(10 * time.Minute)
			if !c.port.free() {
				c.t.Error("it is still listened")
			}
			return c.agreed(asked)
		}, "other-question", "Use the newest address", web.ConsentRefused},
		{"the owner's no", "", func(c *consenting, asked web.Consent) string {
			_, state, _ := strings.Cut(asked.Address, "state=")
			return asked.RedirectURI + "?error=access_denied&state=" + state
		}, "denied", "The app was not approved in the shop.", web.ConsentRefused},
		{"a code that is too old for Shopify", "", func(c *consenting, asked web.Consent) string {
			address := c.agreed(asked)
			time.Sleep(61 * time.Second)
			return address
		}, "", "Nothing was stored: Shopify does not take the code of its consent page", web.ConsentRefused},
		{"something else", "", func(*consenting, web.Consent) string { return "https://admin.shopify.com/store/x" },
			"not-the-address", "This is not the address that Shopify's page leads to", web.ConsentWaiting},
		{"far too much", "", func(c *consenting, asked web.Consent) string {
			return c.agreed(asked) + "&x=" + strings.Repeat("x", 8<<10)
		},
			"not-the-address", "This is not the address that Shopify's page leads to", web.ConsentWaiting},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newConsenting(t, nil)
				body := consentBody
				if tt.secret != "" {
					body = strings.Replace(body, consentSecret, tt.secret, 1)
				}
				address := tt.do(c, c.begin(body))
				code, detail, reason := c.paste(testShop, address)
				if code != 409 || reason != tt.reason || !strings.Contains(detail, tt.words) {
					t.Errorf("%d %s: %s", code, reason, detail)
				}
				c.nothingKept(testShop)
				if out := c.of(testShop); out.State != tt.state {
					t.Errorf("%+v", out)
				}
				// The browser is told the same, or finds nobody.
				if !strings.Contains(address, "/callback?") {
					return
				}
				if code, page := c.browse("GET", address); code != 409 || !strings.Contains(page, "<h1>Not connected</h1>") {
					t.Errorf("%d %s", code, page)
				}
				c.nothingKept(testShop)
			})
		})
	}
}

func TestAnAnswerCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConsenting(t, nil)
		address := c.agreed(c.begin(consentBody))
		if code, detail, _ := c.paste(testShop, address); code != 200 {
			t.Fatalf("%d %s", code, detail)
		}
		before, _ := c.state.Credentials(testShop)
		grants := c.shop.APIStats().TokenGrants
		if code, detail, reason := c.paste(testShop, address); code != 409 || reason != "other-question" || !strings.Contains(detail, "it was used already") {
			t.Errorf("%d %s", code, detail)
		}
		if code, page := c.browse("GET", address); code != 409 || !strings.Contains(page, "used already") {
			t.Errorf("%d %s", code, page)
		}
		if after, _ := c.state.Credentials(testShop); !after.AccessToken.Equal(before.AccessToken) || !after.Consented.Equal(before.Consented) || c.shop.APIStats().TokenGrants != grants {
			t.Error("a replay changed something")
		}
		c.connected()
	})
}

// What fails between the exchange and the end leaves nothing, and the same is got by
// asking again.
func TestAConsentThatBreaksOffIsAskedForAgainAndGivesTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		tokens := map[string]bool{}
		c := newConsenting(t, func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if token := r.Header.Get("X-Shopify-Access-Token"); token != "" {
					if tokens[token] = true; down {
						return nil, syscall.ECONNRESET
					}
				}
				return next.RoundTrip(r)
			})
		})
		down = true
		code, detail, _ := c.paste(testShop, c.agreed(c.begin(consentBody)))
		if code != 502 || !strings.HasPrefix(detail, "Nothing was stored: ") || !strings.HasSuffix(detail, ", or begin again.") {
			t.Errorf("%d %s", code, detail)
		}
		c.nothingKept(testShop)
		if out := c.of(testShop); out.State != web.ConsentRefused || out.Words != detail {
			t.Errorf("%+v", out)
		}
		down = false
		if code, detail, _ := c.paste(testShop, c.agreed(c.begin(consentBody))); code != 200 || len(tokens) != 1 {
			t.Errorf("%d %s, %d tokens", code, detail, len(tokens))
		}
		c.connected()

		// What is stored need not be given again, and a removed shop has no question.
		if status, detail, _ := c.paste(testShop, c.agreed(c.begin(`{}`))); status != 200 {
			t.Errorf("%d %s", status, detail)
		}
		c.connected()
		address := c.agreed(c.begin(`{}`))
		var removed web.Removed
		if code := c.call("DELETE", testShop, "", &removed); code != 200 {
			t.Fatal(code)
		}
		if code, _, reason := c.paste(testShop, address); code != 409 || reason != "other-question" {
			t.Errorf("%d %s", code, reason)
		}
		if cred := c.state.KeptCredentials(testShop); cred.AccessToken.IsSet() || !cred.Consented.IsZero() || !cred.APISecret.IsSet() {
			t.Errorf("%+v", cred)
		}
	})
}

func TestAQuestionWithoutCredentialsAndOneTooManyAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConsenting(t, nil)
		var problem struct{ Detail, Code, Field string }
		for body, field := range map[string]string{`{}`: "api_key", `{"api_key":"k"}`: "secret"} {
			if code := c.call("POST", testShop+"/consent", body, &problem); code != 400 || problem.Field != field {
				t.Errorf("%s: %d %+v", body, code, problem)
			}
		}
		var out web.Consent
		for _, name := range strings.Fields("a b c d e f g h") {
			if code := c.call("POST", name+".myshopify.com/consent", consentBody, &out); code != 201 {
				t.Fatalf("%s: %d", name, code)
			}
		}
		if code := c.call("POST", "i.myshopify.com/consent", consentBody, &problem); code != 503 || problem.Code != "not-now" ||
			problem.Detail != "The owners of other shops are asked already. Finish with those, or try again in ten minutes." {
			t.Errorf("%d %+v", code, problem)
		}
		if code := c.call("POST", "a.myshopify.com/consent", consentBody, &out); code != 201 {
			t.Errorf("the same shop again: %d", code)
		}
		time.Sleep(10 * time.Minute)
		if code := c.call("POST", "i.myshopify.com/consent", consentBody, &out); code != 201 {
			t.Errorf("ten minutes later: %d", code)
		}
	})
}

func TestAPortThatIsBusyIsSaidAndPastingWorks(t *testing.T) {
	for _, tt := range []struct {
		fail  error
		words string
	}{
		{syscall.EADDRINUSE, "Another program listens on port 3456 of this machine, so Shopify's answer does not come by itself; when the page " +
			"at the end of the consent can't be reached, or is another program's, copy its whole address out of the browser's address bar, and give that."},
		{syscall.EACCES, "Stockroom can't listen on port 3456 of this machine, so Shopify's answer does not come by itself; when the page " +
			"at the end of the consent can't be reached, or is another program's, copy its whole address out of the browser's address bar, and give that."},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newConsenting(t, nil)
			c.port.fail = tt.fail
			asked := c.begin(consentBody)
			if asked.Listens || asked.ListensNot != tt.words {
				t.Errorf("%+v", asked)
			}
			if code, detail, _ := c.paste(testShop, c.agreed(asked)); code != 200 {
				t.Errorf("%d %s", code, detail)
			}
			c.connected()
		})
	}
}

func TestBothAddressesOfLocalhostHaveToBeOurs(t *testing.T) {
	for _, tt := range []struct {
		fail    error
		listens bool
	}{{syscall.EADDRINUSE, false}, {syscall.EADDRNOTAVAIL, true}} {
		synctest.Test(t, func(t *testing.T) {
			c := newConsenting(t, nil)
			c.port.fail, c.port.of = tt.fail, "[::1]"
			if asked := c.begin(consentBody); asked.Listens != tt.listens || (asked.ListensNot == "") != tt.listens || c.port.free() == tt.listens {
				t.Errorf("%v of the second address: %+v", tt.fail, asked)
			}
		})
	}
}

func TestTheListenerForAnswersTakesNothingElseAndEnds(t *testing.T) {
	s, err := config.Load(config.Sources{Flags: map[string]string{"data": t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	var open []net.Listener
	a, err := Open(t.Context(), Options{Settings: s, Manual: true, Callback: func(string) (net.Listener, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		open = append(open, l)
		return l, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.consents.Begin(web.AddShop{Shop: testShop, APIKey: "k", Secret: config.NewSecret("s")}, nil); err != nil || len(open) != 2 {
		t.Fatalf("%v, %d listeners", err, len(open))
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, l := range open {
		for _, tt := range []struct {
			method, path, host string
			want               int
		}{
			{"GET", "/callback?code=x&hmac=00&state=x&shop=" + testShop, "localhost:3456", 409},
			{"POST", "/callback", "localhost:3456", 405},
			{"HEAD", "/callback", "localhost:3456", 405},
			{"GET", "/callback/", "localhost:3456", 404},
			{"GET", "/", "localhost:3456", 404},
			{"GET", "/api/v1/status", "localhost:3456", 404},
			{"GET", "/callback", "127.0.0.1:3456", 404},
			{"GET", "/callback", "evil.example", 404},
		} {
			req, err := http.NewRequest(tt.method, "http://"+l.Addr().String()+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = tt.host
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			h := res.Header
			if res.StatusCode != tt.want || h.Get("Content-Security-Policy") == "" || h.Get("X-Frame-Options") != "DENY" || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s of %s: %d %v", tt.method, tt.path, tt.host, res.StatusCode, h)
			}
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	for _, l := range open {
		if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
			t.Error("it listens after the end")
			_ = conn.Close()
		}
	}
}
