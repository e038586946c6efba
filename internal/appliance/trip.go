package appliance

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"stockroom/internal/status"
	"stockroom/internal/syncer"
	"stockroom/store"
	"stockroom/web"
)

// A test delivery carries a nonce. Seen on a listener of ours, it shows that the
// address leads here: an answer alone may come from anybody.

// nonceParam carries the nonce in the query as well, for a proxy that drops
// headers.
const nonceParam = "stockroom-test"

const (
	tripMost    = 10 * time.Second // Shopify itself waits 5 s
	answerMost  = 64 << 10
	shownAnswer = 200 // of what an answer of ours says, in a sentence
)

// arrival is where and when a test delivery arrived.
type arrival struct {
	at    time.Time
	path  string
	admin bool // on the listener of the status page
}

// trips are the test deliveries under way, by nonce.
type trips struct {
	mu sync.Mutex
	on map[string]arrival
}

// watch notes what arrives and is awaited.
func (t *trips) watch(next http.Handler, admin bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") == testAgent || r.URL.RawQuery != "" {
			id, _ := strings.CutPrefix(r.Header.Get("X-Shopify-Webhook-Id"), store.SampleID)
			nonce := cmp.Or(id, r.URL.Query().Get(nonceParam))
			t.mu.Lock()
			if was, awaited := t.on[nonce]; awaited && was.at.IsZero() {
				t.on[nonce] = arrival{time.Now(), r.URL.Path, admin}
			}
			t.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

const testAgent = "Stockroom-Test"

// trip is what became of one test delivery.
type trip struct {
	base, url string
	dial      string // host:port to connect to in place of that of the address, "" for that
	ours      bool   // HTTPS is our own: no server is in front
	sent      time.Time
	arrival   // at is zero when it did not arrive
	status    int
	location  string // of a redirect
	answer    []byte
	err       error
}

// travel sends a delivery to a path below base as Shopify would, and follows no
// redirect. A dial that is not "" is where it connects to.
func (a *Appliance) travel(ctx context.Context, base, dial, path, shop, topic string, secret, body []byte) trip {
	nonce := rand.Text()
	t := trip{base: base, url: base + path, dial: dial, ours: a.opt.Settings.HTTPS != "", sent: time.Now()}
	a.trips.mu.Lock()
	if a.trips.on == nil {
		a.trips.on = map[string]arrival{}
	}
	a.trips.on[nonce] = arrival{}
	a.trips.mu.Unlock()
	t.err = a.deliver(ctx, &t, nonce, shop, topic, secret, body)
	a.trips.mu.Lock()
	t.arrival = a.trips.on[nonce]
	delete(a.trips.on, nonce)
	a.trips.mu.Unlock()
	return t
}

func (a *Appliance) deliver(ctx context.Context, t *trip, nonce, shop, topic string, secret, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, tripMost)
	defer cancel()
	to := t.url + "?" + nonceParam + "=" + nonce
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": testAgent,
		"X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": shop, "X-Shopify-Api-Version": a.opt.Settings.APIVersion,
		"X-Shopify-Hmac-Sha256":  base64.StdEncoding.EncodeToString(mac.Sum(nil)),
		"X-Shopify-Webhook-Id":   store.SampleID + nonce,
		"X-Shopify-Triggered-At": t.sent.UTC().Format(time.RFC3339Nano),
	} {
		r.Header.Set(name, value)
	}
	way := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	if t.dial != "" {
		way.Proxy, way.DialContext = nil, func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, t.dial)
		}
	}
	client := http.Client{
		Transport:     way,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	t.status, t.location = res.StatusCode, res.Header.Get("Location")
	t.answer, err = io.ReadAll(io.LimitReader(res.Body, answerMost))
	return err
}

// outside is what tells where this machine can't.
func (t *trip) outside() string {
	return "Open " + t.base + "/ in a browser outside of this network, such as a phone without Wi-Fi: " +
		"it has to say that it is Stockroom's public address."
}

// judge says what a trip shows: the level, what is so and what to do. Fail is
// for faults that are shown; where this machine can't reach the address nothing
// is, for many a router does not let a machine reach its own public address.
func (t *trip) judge(listener string) (level, text, next string) {
	const asIs = "Have what is in front of Stockroom pass method, path, headers and body on as they are."
	here, setting := "Have it lead to the listener for webhooks, "+listener+" (--listen).", "--public-url"
	if t.ours {
		here, setting = "Have the A and AAAA records of the name lead to this machine, and port 443 with them.", "--https"
	}
	code := fmt.Sprint(t.status)
	switch {
	case t.at.IsZero() && t.err != nil:
		return t.unreached(setting)
	case t.admin:
		return levelFail, t.base + " leads to the listener of the status page, which strangers must not reach.", here
	case t.err != nil:
		return levelFail, "The test delivery arrived here, and no whole answer came back from " + t.url + ": " + causeOf(t.err) + ".",
			"Shopify takes that for a failure. Look at the timeouts of what is in front of Stockroom."
	case t.at.IsZero() && t.status >= 300 && t.status < 400:
		return levelFail, t.url + " redirects" + to(t.location) + " (" + code + "), and Shopify follows no redirects.",
			"Start Stockroom with the address that it leads to as " + setting + ", or have it pass requests on."
	case t.at.IsZero():
		return levelFail, "Another server answers at " + t.url + " (" + code + "): the test delivery did not arrive here.",
			here + " If it is your router that answers its own network so, test it from outside. " + t.outside()
	case t.status == http.StatusUnauthorized:
		return levelFail, "Reached " + t.url + ", but the signature was not right any more: " +
			"something on the way changes the body or drops headers." + t.said(), asIs
	case t.status == http.StatusNotFound:
		return levelFail, "Reached Stockroom, but at the path " + t.path + " in place of that of " + t.url + ".", asIs
	case t.status != http.StatusOK && t.said() != "":
		return levelFail, "Reached " + t.url + ", and it was refused (" + code + ")." + t.said(), ""
	case t.status != http.StatusOK:
		return levelFail, "Reached " + t.url + ", but something on the way answered " + code + " in place of Stockroom.", asIs
	}
	after := max(t.at.Sub(t.sent).Seconds(), 0.1)
	return levelOK, fmt.Sprintf("Reached %s: arrived after %.1f s, signature right", t.url, after), ""
}

// unreached judges a trip that ended before anything answered.
func (t *trip) unreached(setting string) (level, text, next string) {
	cause := causeOf(t.err)
	var dns *net.DNSError
	switch {
	case errors.As(t.err, &dns) && dns.IsNotFound:
		return levelFail, "The name of " + t.base + " is not known: " + cause + ".",
			"Make a DNS record for it that leads to this server, or correct " + setting + "."
	case t.ours && noSecure(cause):
		return levelFail, "No secure connection to " + t.base + ": " + cause + ".", "If the status page says that there is " +
			"no certificate, what it says there is the cause; else another server answers under this name."
	case noSecure(cause):
		return levelFail, "No secure connection to " + t.base + ": " + cause + ".",
			"Have the server in front of Stockroom hold a certificate that is valid for this name. " + t.outside()
	}
	return levelWarn, "Whether Shopify reaches " + t.base + " could not be tested from here: " + cause + ".",
		"That may be a fault, or a router that does not let this machine reach its own public address. " + t.outside()
}

// noSecure reports whether a cause is that no TLS could be spoken.
func noSecure(cause string) bool {
	signs := []string{"tls: ", "x509: ", "HTTPS client"}
	return slices.ContainsFunc(signs, func(sign string) bool { return strings.Contains(cause, sign) })
}

// causeOf is the cause without the method and the address, which are known.
func causeOf(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %.0f s", tripMost.Seconds())
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op
	} else if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	return strings.TrimRight(err.Error(), ".")
}

func to(location string) string {
	if location == "" {
		return ""
	}
	return fmt.Sprintf(" to %.200q", location)
}

// said is what an answer of ours says, as a sentence; "" for another's.
func (t *trip) said() string {
	var problem struct{ Title, Detail string }
	if json.Unmarshal(t.answer, &problem) != nil || problem.Title == "" {
		return ""
	}
	return fmt.Sprintf(" Stockroom said: %.*s", shownAnswer, status.Sentences(problem.Title, problem.Detail))
}

// kept is what became of a delivery that Stockroom took.
func (t *trip) kept() string {
	var answer struct{ Success, Queued, Ignored bool }
	_ = json.Unmarshal(t.answer, &answer) // what can't be read is none of ours
	switch {
	case answer.Ignored:
		return "ignored, for Stockroom uses no such topic"
	case answer.Success:
		return "stored"
	case answer.Queued:
		return "kept in the retry queue"
	}
	return "kept as a dead letter, for its body makes no sense"
}

// probeTopic is one that nobody uses, so that nothing of it is stored.
const probeTopic = "stockroom/test"

// examineTrip sends a delivery of which nothing is kept over the public URL.
func (a *Appliance) examineTrip(ctx context.Context) []web.Finding {
	base, listener := a.opt.Settings.PublicURL, a.public.Load()
	switch {
	case a.opt.Settings.Pull():
		return []web.Finding{{Check: "public-url", Level: levelOK, Text: "pull mode: no public address is needed"}}
	case listener == nil:
		return nil
	}
	for _, shop := range a.state.Shops() {
		if secrets := a.state.Secrets(shop.Domain); len(secrets) > 0 {
			t := a.travel(ctx, base, "", syncer.HookPath(probeTopic), shop.Domain, probeTopic, secrets[0], []byte("{}"))
			f := web.Finding{Check: "public-url"}
			f.Level, f.Text, f.Fix = t.judge(*listener)
			return []web.Finding{f}
		}
	}
	return nil
}
