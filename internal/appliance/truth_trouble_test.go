package appliance

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"stockroom/internal/fakeshopify"
)

// trouble is something that is done to the shop, the way between or to us.
type trouble struct {
	name       string
	begin, end func(w *truth) // nil for an event
	// may are the lines that it may cause, and for how long beyond its end.
	may map[string]time.Duration
	// must says whether one of some lines has to be said by now; nil: never.
	must func(w *truth, now time.Time) (due bool, codes []string)
}

// The times that are stated for what goes on by itself.
const (
	soon    = 5 * time.Second
	moments = 2 * time.Minute
	looked  = 13 * time.Minute // a check of subscriptions, a look for changes
	opened  = 20 * time.Minute // an open circuit is tried each 15 minutes
	probed  = 20 * time.Minute // a paused shop is asked each 15 minutes
	retried = 75 * time.Minute // the longest wait of a run that failed is an hour, and of a frozen shop
)

// asking are the lines of a shop that can't be asked, whatever the reason.
func asking(more map[string]time.Duration) map[string]time.Duration {
	all := map[string]time.Duration{
		"reading": opened, "unlooked": opened, "reads-fail": retried, "first-read": retried, "never-compared": retried, "owed": retried, "unproven": retried,
		"overdue": retried, "subscriptions-unknown": opened + looked, "unsubscribed": looked, "updates-wait": soon,
	}
	maps.Copy(all, more)
	return all
}

// unheard are the lines of changes that no delivery told of. They last until it
// comes; the end of a history lets all come that wait. Shopify drops a subscription
// that fails for two hours.
func unheard(more map[string]time.Duration) map[string]time.Duration {
	all := map[string]time.Duration{"late": 24 * time.Hour, "deaf": 4 * time.Hour, "reading": retried, // by the next comparison
		"unsubscribed": looked, "owed": looked}
	maps.Copy(all, more)
	return all
}

// pausing are the lines of a shop that does not let us in.
func pausing(slow time.Duration) map[string]time.Duration {
	return asking(map[string]time.Duration{"paused": slow, "moved": slow, "unreachable": moments, "first-read-failed": retried, "subscriptions-unknown": slow + looked})
}

var troubles = []trouble{
	{name: "start", may: map[string]time.Duration{"first-read": moments, "never-compared": moments, "owed": moments, "subscriptions-unknown": moments, "unsubscribed": moments, "reading": moments}},
	{name: "crash", may: map[string]time.Duration{"subscriptions-unknown": moments, "updates-wait": soon, "reading": moments, "owed": moments, "store-catalogue": soon,
		"unlooked": moments}}, // points that were leased count as spent for a window
	{name: "edit", may: map[string]time.Duration{"reading": moments, "updates-wait": soon}},
	{name: "throttle", may: map[string]time.Duration{"reading": moments, "reads-fail": moments, "first-read": moments, "owed": moments, "never-compared": moments, "subscriptions-unknown": moments}},
	{name: "dry run", may: map[string]time.Duration{"unproven": retried}},
	{name: "ahead", may: map[string]time.Duration{ // a little ahead is found by the next comparison
		"reading": looked, "dead": looked, "disputed": retried + probed, "unproven": retried + probed,
	}},
	{name: "other mode", may: map[string]time.Duration{
		"subscriptions-unknown": moments, "unsubscribed": looked, "updates-wait": soon, "reading": moments, "owed": moments, "unlooked": moments,
	}},
	{name: "forge", may: map[string]time.Duration{}},

	{"deaf", func(w *truth) { w.deaf.Store(true) }, func(w *truth) { w.deaf.Store(false) }, unheard(nil), mustUnheard},
	{"wrong secret", func(w *truth) { w.rotate() }, func(w *truth) { _ = w.learn() },
		unheard(pausing(probed)), mustUnheard}, // a token is not given for it either,
	{"renamed", func(w *truth) { w.renamed.Store(true) }, func(w *truth) { w.renamed.Store(false) }, unheard(nil), mustUnheard},

	{"index lag", func(w *truth) { w.shop.SetIndex(indexLag, 0.3) }, func(w *truth) { w.shop.SetIndex(0, 0) }, nil, nil},
	{"broken filter", func(w *truth) { w.shop.BreakFilter(filterFaults[len(w.edits)%len(filterFaults)]) },
		func(w *truth) { w.shop.BreakFilter(fakeshopify.FilterWorks) }, map[string]time.Duration{"unlooked": moments}, mustLook},

	{"offline", func(w *truth) { w.offline.Store(true) }, func(w *truth) { w.offline.Store(false) },
		asking(map[string]time.Duration{"unreachable": opened, "first-read-failed": retried}), mustAsk("offline", looked, "unreachable")},
	{"outage", fails(fakeshopify.Fault{Status: 503, Times: -1}), healed,
		asking(map[string]time.Duration{"unreachable": opened, "first-read-failed": retried}), mustAsk("outage", looked, "unreachable")},
	{"moved", fails(fakeshopify.Fault{Kind: fakeshopify.FaultRedirect, Status: 301, Location: "https://" + otherName + "/admin/api/2026-10/graphql.json", Times: -1}), healed,
		pausing(retried), mustAsk("moved", looked, "moved")},
	{"not found", fails(fakeshopify.Fault{Status: 404, Times: -1, Endpoint: "graphql"}), healed,
		asking(map[string]time.Duration{"unreachable": opened, "first-read-failed": retried, "dead": 48 * time.Hour}), nil},
	{"bulk fails", func(w *truth) {
		w.shop.FailBulk(slices.Repeat([]fakeshopify.BulkFault{{Status: "FAILED", At: 0.5}}, 3)...)
	}, func(*truth) {}, // it lasts until the shop has been asked often enough
		asking(map[string]time.Duration{"first-read-failed": 4 * time.Hour, "never-compared": 4 * time.Hour, "first-read": 4 * time.Hour, "overdue": 4 * time.Hour}), nil},
	{"scope", func(w *truth) { w.shop.SetScopes(allScopes[1:]...) }, func(w *truth) { w.shop.SetScopes(allScopes...) },
		pausing(probed), mustAsk("scope", looked, "paused")},
	{"token", fails(fakeshopify.Fault{Status: 401, Times: -1, Endpoint: "graphql"}), healed, pausing(probed), mustAsk("token", looked, "paused")},
	{"frozen", fails(fakeshopify.Fault{Status: 402, Times: -1}), healed, pausing(retried), mustAsk("frozen", looked, "paused")},

	{"disk full", func(w *truth) { w.full.Store(true) }, func(w *truth) { w.full.Store(false) },
		asking(map[string]time.Duration{"store-catalogue": soon, "store-both": soon, "space-out": moments, "unread": soon, "first-read-failed": retried, "loss": retried}), mustFull},
	{"queue full", func(w *truth) { w.jammed.Store(true) }, func(w *truth) { w.jammed.Store(false) },
		map[string]time.Duration{"store-queue": time.Minute, "store-both": soon, "space-out": moments, "reading": moments, "updates-wait": moments}, nil},
}

// asked are the troubles that keep calls from the shop or its answers from us.
var asked = []string{"offline", "outage", "moved", "not found", "scope", "token", "frozen", "disk full"}

// pausers are those of them that pause the shop.
var pausers = []string{"moved", "scope", "token", "frozen"}

var allScopes = []string{"read_products", "read_inventory", "read_locations"}

func fails(f fakeshopify.Fault) func(w *truth) { return func(w *truth) { w.shop.Fail(f) } }

// healed ends every fault of the API: those of a history follow one another.
func healed(w *truth) {
	w.shop.Heal()
	for _, name := range []string{"outage", "moved", "not found", "token", "frozen"} {
		if w.lasts(name) {
			w.ended(name)
		}
	}
}

func (w *truth) ended(name string) {
	delete(w.began, name)
	w.happened(name)
}

// start begins a trouble that does not last yet.
func (w *truth) suffer(name string) {
	t := troubleOf(name)
	if w.lasts(name) {
		return
	}
	w.began[name] = time.Now()
	t.begin(w)
}

// relieve ends one.
func (w *truth) relieve(name string) {
	if !w.lasts(name) {
		return
	}
	troubleOf(name).end(w)
	w.ended(name)
	if !w.withheld() {
		w.missed = time.Time{}
	}
}

func troubleOf(name string) trouble {
	for _, t := range troubles {
		if t.name == name {
			return t
		}
	}
	panic("no trouble " + name)
}

// putOff notes that what troubles and edits have caused can't be over yet: while
// the shop can't be asked, or waits to be, nothing of it can be made good.
func (w *truth) putOff(now time.Time, paused bool) {
	blocked := slices.ContainsFunc(asked, w.lasts) || w.lasts("queue full")
	for name, at := range w.over {
		pauses := slices.Contains(pausers, name)
		if (blocked || paused && !pauses) && (name == "edit" || name == "ahead" || slices.Contains(asked, name)) && within(at, retried, now) {
			w.over[name] = now
		}
	}
}

// quietSince is since when the shop could be asked and we could store, zero when
// that is not so now.
func (w *truth) quietSince() time.Time {
	at := w.over["start"]
	for _, name := range asked {
		if w.lasts(name) {
			return time.Time{}
		}
		if w.over[name].After(at) {
			at = w.over[name]
		}
	}
	return at
}

// mustUnheard is due 50 minutes after a change that no delivery told of, where
// most changes are such.
func mustUnheard(w *truth, now time.Time) (bool, []string) {
	quiet := w.quietSince()
	if w.missed.IsZero() || quiet.IsZero() || w.missed.Sub(quiet) < retried {
		return false, nil
	}
	for _, name := range []string{"index lag", "broken filter"} { // looks don't see it, and comparisons are far between
		if w.lasts(name) || w.over[name].After(w.missed) {
			return false, nil
		}
	}
	missed, heard := 0, 0
	for _, list := range w.versions {
		last := list[len(list)-1]
		if last.product != nil && !last.from.Before(w.missed) && now.Sub(last.from) > 50*time.Minute {
			missed++
		}
		for _, v := range list {
			if !v.from.IsZero() && v.from.After(w.over["start"]) && v.from.Before(w.missed) {
				heard += 3
			}
		}
	}
	return missed > 0 && missed*9 > heard, []string{"late", "deaf", "secret-wrong", "paused"}
}

// mustAsk is due some time after a trouble that alone keeps calls away.
func mustAsk(name string, after time.Duration, codes ...string) func(*truth, time.Time) (bool, []string) {
	return func(w *truth, now time.Time) (bool, []string) {
		for _, other := range append([]string{"wrong secret"}, asked...) {
			if other != name && (w.lasts(other) || within(w.over[other], retried, w.began[name])) {
				return false, nil
			}
		}
		return now.Sub(w.began[name]) > after, codes
	}
}

// mustLook is due where looks alone tell of changes and the shop can be asked.
func mustLook(w *truth, now time.Time) (bool, []string) {
	quiet := w.quietSince()
	since := quiet.Add(retried)
	for _, at := range []time.Time{w.began["broken filter"], w.over["other mode"]} {
		if at.After(since) {
			since = at
		}
	}
	return w.pull && !quiet.IsZero() && now.Sub(since) > moments, []string{"unlooked", "first-read", "never-compared", "first-read-failed"}
}

// mustFull is due a moment after an edit that is delivered.
func mustFull(w *truth, now time.Time) (bool, []string) {
	_, valid, _ := w.heardOf()
	quiet := w.withheld() || len(w.edits) == 0 || valid.IsZero()
	return !quiet && valid.After(w.began["disk full"].Add(time.Second)) && now.Sub(valid) > soon, []string{"store-catalogue", "store-both"}
}

// rotate changes the shop's secret and tells nobody.
func (w *truth) rotate() {
	secret := fmt.Sprintf("secret-%d", len(w.secrets))
	w.shop.RotateSecret(secret)
	w.mu.Lock()
	w.secrets = append(w.secrets, secret)
	w.mu.Unlock()
	time.Sleep(time.Millisecond) // until then the old one may still sign
}

// ahead sends a body that the shop's secret signs and that is dated ahead: so far
// that it must not be applied, or a little, so that it may be until a read shows
// otherwise.
func (w *truth) ahead(n int) {
	ids := w.shop.IDs()
	if len(ids) == 0 {
		return
	}
	id, dated := ids[n%len(ids)], time.Now().Add(4*time.Minute).UTC().Format(time.RFC3339)
	switch n % 3 {
	case 0:
		dated = "2099-01-01T00:00:00Z"
	case 1:
		dated = "9999-12-31T23:59:59Z"
	default:
		w.trusted[id] = time.Now()
	}
	header, _ := w.shop.Signed(fakeshopify.TopicUpdate, id)
	w.post(header, w.shop.Secret(), fmt.Sprintf(`{"id":%d,"title":"POISON","updated_at":%q}`, id, dated))
	w.happened("ahead")
}

// post sends a body to the intake.
func (w *truth) post(header http.Header, secret, body string) {
	r := httptest.NewRequest(http.MethodPost, worldURL+"/webhooks/shopify/products", strings.NewReader(body))
	r.Header = header
	if secret != "" {
		header.Set("X-Shopify-Hmac-Sha256", fakeshopify.Sign(secret, []byte(body)))
	} else {
		header.Del("X-Shopify-Hmac-Sha256")
	}
	rec := httptest.NewRecorder()
	w.intake.ServeHTTP(rec, r)
	w.listen(r, rec.Code)
}

// forge sends what a stranger can: a body without a signature or with a wrong one,
// under the shop's name.
func (w *truth) forge(n int) {
	ids := w.shop.IDs()
	id := int64(1)
	if len(ids) > 0 {
		id = ids[n%len(ids)]
	}
	header, _ := w.shop.Signed(fakeshopify.TopicUpdate, id)
	secret := "not the secret"
	if n%3 == 0 {
		secret = ""
	}
	w.post(header, secret, fmt.Sprintf(`{"id":%d,"title":"FORGED","updated_at":"2030-01-01T00:00:00Z"}`, id))
	w.happened("forge")
}
