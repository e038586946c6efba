package webhook

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/store"
)

// Every pair of faults: the check that comes first in the order decides.
func TestFirstCheckInTheOrderDecides(t *testing.T) {
	faults := []struct {
		name   string
		status int
		do     func(r *http.Request)
	}{
		{"method", 405, func(r *http.Request) { r.Method = "GET" }},
		{"length", 413, func(r *http.Request) { r.ContentLength = 9 << 20 }},
		{"encoding", 415, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }},
		{"header", 401, func(r *http.Request) { r.Header.Del("X-Shopify-Topic") }},
		{"signature", 401, func(r *http.Request) { r.Header.Set("X-Shopify-Hmac-Sha256", mac("wrong", nil)) }},
		{"shop", 404, func(r *http.Request) { r.Header.Set("X-Shopify-Shop-Domain", "stranger.myshopify.com") }},
		{"topic", 200, func(r *http.Request) { r.Header.Set("X-Shopify-Topic", "orders/create") }},
	}
	reasons := []Reason{ReasonMethod, ReasonTooLarge, ReasonEncoded, ReasonMissingHeader, wrongSignature, ReasonUnknownShop, ""}
	for i, first := range faults {
		for j := i; j < len(faults); j++ {
			b := newBench(nil)
			r := signed(update(1))
			faults[j].do(r)
			first.do(r)
			if first.name == "header" && faults[j].name == "topic" {
				continue // they undo each other
			}
			w := b.send(r)
			if w.Code != first.status || !strings.Contains(w.Body.String(), string(reasons[i])) {
				t.Errorf("%s and %s: %d %s", first.name, faults[j].name, w.Code, w.Body)
			}
			if b.catalogue.count() != 0 || len(b.queue.list()) != 0 {
				t.Errorf("%s and %s: something was kept", first.name, faults[j].name)
			}
		}
	}
}

// A compressed body is refused by its header: none of it is read.
func TestAnEncodedBodyIsRefusedUnread(t *testing.T) {
	for _, test := range []struct {
		encodings []string
		named     string // "" for none that is refused
	}{
		{[]string{"gzip"}, "gzip"},
		{[]string{"BR"}, "BR"},
		{[]string{"identity, deflate"}, "deflate"},
		{[]string{"identity", "x-gzip"}, "x-gzip"},
		{[]string{"zstd" + strings.Repeat("z", 5000)}, "zstd"},
		{[]string{"identity"}, ""},
		{[]string{"Identity,identity", ""}, ""},
	} {
		b := newBench(nil)
		r := signed(update(1))
		r.Header["Content-Encoding"] = test.encodings
		read := &reads{Reader: r.Body}
		r.Body = read
		w := b.send(r)
		if test.named == "" {
			want(t, w, 200, success)
			continue
		}
		if w.Code != 415 || !strings.Contains(w.Body.String(), "Content-Encoding is "+test.named) || w.Body.Len() > 500 ||
			w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Connection") != "close" {
			t.Errorf("%q: %d %v %s", test.encodings, w.Code, w.Header(), w.Body)
		}
		if read.n > 0 || b.catalogue.count() != 0 || b.counts.rejected[ReasonEncoded].Get() != 1 {
			t.Errorf("%q: %d reads of the body", test.encodings, read.n)
		}
	}
}

// reads counts how often a body is read.
type reads struct {
	io.Reader
	n int
}

func (r *reads) Read(p []byte) (int, error) {
	r.n++
	return r.Reader.Read(p)
}

func (r *reads) Close() error { return nil }

func TestDiagnosisNamesTheLikelyCause(t *testing.T) {
	body := []byte(`{"admin_graphql_api_id":"gid:\/\/shopify\/Product\/1","id":1,"title":"A \u0026 B \u003cb\u003e","vendor":"Acme"}`)
	plain := []byte(`{"admin_graphql_api_id":"gid://shopify/Product/1","id":1,"title":"A & B <b>","vendor":"Acme"}`)
	indented := []byte("{\n  \"admin_graphql_api_id\": \"gid:\\/\\/shopify\\/Product\\/1\",\n  \"id\": 1,\n  \"title\": \"A \\u0026 B \\u003cb\\u003e\",\n  \"vendor\": \"Acme\"\n}\n")
	long := slices.Concat(body[:len(body)-1], []byte(`,"x":"`), bytes.Repeat([]byte("x"), lookedAt), []byte(`"}`))
	for name, test := range map[string]struct {
		sent, arrived []byte
		secret        string
		want          Reason
	}{
		"a secret of nobody":             {body, body, "stranger", ReasonWrongSecret},
		"a secret that was replaced":     {body, body, replaced, ReasonOldSecret},
		"a newline at the end":           {body, append(bytes.Clone(body), '\n'), testSecret, ReasonBodyChanged},
		"a carriage return at the end":   {body, append(bytes.Clone(body), "\r\n"...), testSecret, ReasonBodyChanged},
		"a byte order mark":              {body, append([]byte("\xef\xbb\xbf"), body...), testSecret, ReasonBodyChanged},
		"indented on the way":            {body, indented, testSecret, ReasonBodyChanged},
		"unescaped on the way":           {body, plain, testSecret, ReasonBodyChanged},
		"rewritten and reordered":        {body, []byte(`{"title": "A & B", "id": 1}`), testSecret, ReasonBodyChanged},
		"cut off":                        {body, body[:40], testSecret, ReasonTruncated},
		"cut off in a string":            {body, body[:len(body)-3], testSecret, ReasonTruncated},
		"another shop's secret":          {body, body, otherKey, ReasonOtherShop},
		"long and cut off":               {long, long[:len(long)-9], testSecret, ReasonTruncated},
		"long and unescaped":             {long, bytes.ReplaceAll(long, []byte(`\/`), []byte("/")), testSecret, ReasonBodyChanged},
		"long, of a replaced secret":     {long, long, replaced, ReasonWrongSecret}, // no digest of a long body
		"a body that is not JSON":        {[]byte("hello"), []byte("hello"), "stranger", ReasonWrongSecret},
		"an empty body":                  {body, nil, testSecret, ReasonWrongSecret},
		"the previous secret, rewritten": {body, append(bytes.Clone(body), '\n'), oldSecret, ReasonBodyChanged},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(nil)
			r := signed(test.arrived)
			r.Header.Set("X-Shopify-Hmac-Sha256", mac(test.secret, test.sent))
			w := b.send(r)
			if w.Code != 401 || !strings.Contains(w.Body.String(), string(wrongSignature)) || b.Rejected()[0].Reason != test.want ||
				!strings.Contains(b.log.String(), "reason="+string(test.want)) || b.counts.rejected[test.want].Get() != 1 {
				t.Errorf("%d %s, told %+v, want %s", w.Code, w.Body, b.Rejected()[0], test.want)
			}
			for _, secret := range []string{testSecret, oldSecret, replaced, otherKey, mac(testSecret, test.arrived)} {
				if strings.Contains(w.Body.String()+b.log.String()+fmt.Sprint(b.Rejected()), secret) {
					t.Errorf("the refusal tells %q", secret)
				}
			}
		})
	}
}

func TestBothHeaderFamiliesAreRead(t *testing.T) {
	for _, family := range []string{"X-Shopify-", "Shopify-"} {
		b := newBench(nil)
		body := update(1)
		r := httptest.NewRequest("POST", "/webhooks/shopify/x", bytes.NewReader(body))
		for name, v := range map[string]string{
			"Topic": "PRODUCTS/Update", "Shop-Domain": strings.ToUpper(testShop), "Hmac-Sha256": mac(testSecret, body),
			"Webhook-Id": "w", "Event-Id": "e", "Triggered-At": "2026-11-01T10:00:00.123456789Z",
		} {
			r.Header.Set(family+name, v)
		}
		want(t, b.send(r), 200, success)
		d := b.catalogue.applied[0]
		if d.WebhookID != "w" || d.EventID != "e" || d.Topic != "products/update" || d.Shop != testShop || d.TriggeredAt.Nanosecond() != 123456789 {
			t.Errorf("%s: %+v", family, d)
		}
	}
}

// An Event is known by its topic, whatever the path and the family of the headers.
func TestAnEventIsTakenAndItsBodysTopicCounts(t *testing.T) {
	body := []byte(`{"topic":"Product","action":"update","query_variables":{"productId":"gid:\/\/shopify\/Product\/7"}}`)
	for _, tt := range []struct {
		name, family, path, topic, key string
		status                         int
		says                           string
		applied                        bool
	}{
		{"as documented", "Shopify-", "events", "Product", testSecret, 200, success, true},
		{"at another path", "Shopify-", "products", "product", testSecret, 200, success, true},
		{"in the longer names", "X-Shopify-", "events", "Product", testSecret, 200, success, true},
		{"forged", "Shopify-", "events", "Product", "wrong", 401, string(wrongSignature), false},
		{"under another Event's topic", "Shopify-", "events", "InventoryItem", testSecret, 200, `{"success":false,"queued":false}`, false},
		{"under a classic topic", "Shopify-", "events", "products/delete", testSecret, 200, `{"success":false,"queued":false}`, false},
		{"of a topic that is not used", "Shopify-", "events", "Order", testSecret, 200, `{"success":true,"ignored":true}`, false},
	} {
		b := newBench(nil)
		r := httptest.NewRequest("POST", "/webhooks/shopify/"+tt.path, bytes.NewReader(body))
		for name, v := range map[string]string{"Topic": tt.topic, "Shop-Domain": testShop, "Hmac-Sha256": mac(tt.key, body),
			"Webhook-Id": "w", "Action": "update", "Handle": "h", "Api-Version": "2026-10", "Triggered-At": "2026-11-01T10:00:00Z"} {
			r.Header.Set(tt.family+name, v)
		}
		if w := b.send(r); w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
		if got := len(b.catalogue.applied) == 1; got != tt.applied || got && b.catalogue.applied[0].Topic != "Product" {
			t.Errorf("%s: %+v", tt.name, b.catalogue.applied)
		}
	}
}

// With both families in one request the shorter names decide as a whole, as in
// Shopify's library: of the other one nothing counts.
func TestOneHeaderFamilyDecidesAsAWhole(t *testing.T) {
	body := update(1)
	right, wrong := mac(testSecret, body), mac("wrong", body)
	all := func(family, signature, shop, topic, id string) map[string]string {
		return map[string]string{
			family + "Hmac-Sha256": signature, family + "Shop-Domain": shop, family + "Topic": topic,
			family + "Webhook-Id": id, family + "Event-Id": id, family + "Triggered-At": "2026-11-01T10:00:00Z",
		}
	}
	for name, test := range map[string]struct {
		classic, events map[string]string
		status          int
		says            string
	}{
		"only the shorter names' signature is right": {
			all("X-Shopify-", wrong, testShop, "products/update", "x"), all("Shopify-", right, testShop, "products/update", "s"), 200, success},
		"only the longer names' signature is right": {
			all("X-Shopify-", right, testShop, "products/update", "x"), all("Shopify-", wrong, testShop, "products/update", "s"),
			401, string(wrongSignature)},
		"the longer names are of another delivery": {
			all("X-Shopify-", mac(otherKey, body), otherShop, "products/delete", "x"),
			all("Shopify-", right, testShop, "products/update", "s"), 200, success},
		"a shop is not taken from the longer names": {
			all("X-Shopify-", right, testShop, "products/update", "x"), map[string]string{"Shopify-Hmac-Sha256": right,
				"Shopify-Topic": "products/update"}, 401, "Missing: Shopify-Shop-Domain."},
		"nor a topic": {
			all("X-Shopify-", right, testShop, "products/update", "x"), map[string]string{"Shopify-Hmac-Sha256": right,
				"Shopify-Shop-Domain": testShop}, 401, "Missing: Shopify-Topic."},
		"the shorter names without a signature say nothing": {
			all("X-Shopify-", right, testShop, "products/update", "s"), map[string]string{"Shopify-Topic": "products/delete",
				"Shopify-Shop-Domain": otherShop, "Shopify-Webhook-Id": "x"}, 200, success},
		"the shorter names alone, unsigned": {
			nil, map[string]string{"Shopify-Topic": "products/update", "Shopify-Shop-Domain": testShop},
			401, "Missing: Shopify-Hmac-Sha256."},
	} {
		b := newBench(nil)
		r := httptest.NewRequest("POST", "/webhooks/shopify/x", bytes.NewReader(body))
		for _, headers := range []map[string]string{test.classic, test.events} {
			for name, v := range headers {
				r.Header.Set(name, v)
			}
		}
		w := b.send(r)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		for _, d := range b.catalogue.applied {
			if d.WebhookID != "s" || d.EventID != "s" || d.Shop != testShop || d.Topic != "products/update" {
				t.Errorf("%s: %+v", name, d)
			}
		}
	}
	// An id that only the other family has is none.
	b := newBench(nil)
	r := signed(body)
	for name, v := range map[string]string{"Hmac-Sha256": right, "Shop-Domain": testShop, "Topic": "products/update"} {
		r.Header.Set("Shopify-"+name, v)
	}
	r.Header.Set("X-Shopify-Webhook-Id", "x")
	r.Header.Set("X-Shopify-Triggered-At", "2026-11-01T10:00:00Z")
	want(t, b.send(r), 200, success)
	if d := b.catalogue.applied[0]; d.WebhookID != "" || !d.TriggeredAt.IsZero() {
		t.Errorf("a mixture: %+v", d)
	}
}

// Shopify's privacy topics may come without a shop header: the body names it.
func TestAPrivacyTopicNeedsNoShopHeader(t *testing.T) {
	redact := func(shop string) string {
		return `{"shop_id":954889,"shop_domain":"` + shop + `","customer":{"id":1},"orders_to_redact":[1]}`
	}
	for name, test := range map[string]struct {
		topic, body, secret string
		status              int
		says                string
	}{
		"a customer's erasure":   {"customers/redact", redact(testShop), testSecret, 200, success},
		"in capitals":            {"CUSTOMERS_REDACT", redact(strings.ToUpper(testShop)), testSecret, 200, success},
		"by the previous secret": {"customers/redact", redact(testShop), oldSecret, 200, success},
		"a request for data": {"customers/data_request",
			`{"shop_domain":"` + testShop + `","customer":{"id":1},"data_request":{"id":2}}`, testSecret, 200, success},
		"a shop's erasure":             {"shop/redact", `{"shop_id":1,"shop_domain":"` + testShop + `"}`, testSecret, 200, success},
		"signed by nobody":             {"customers/redact", redact(testShop), "wrong", 401, string(wrongSignature)},
		"signed by another shop":       {"customers/redact", redact(testShop), otherKey, 401, string(wrongSignature)},
		"of a shop nobody knows":       {"customers/redact", redact("stranger.myshopify.com"), testSecret, 404, string(ReasonUnknownShop)},
		"a stranger's of nobody":       {"customers/redact", redact("stranger.myshopify.com"), "wrong", 401, string(wrongSignature)},
		"a body without a shop":        {"customers/redact", `{"customer":{"id":1}}`, testSecret, 401, "Missing: X-Shopify-Shop-Domain."},
		"a body with a null shop":      {"customers/redact", `{"shop_domain":null}`, testSecret, 401, "Missing: X-Shopify-Shop-Domain."},
		"a body that is no JSON":       {"customers/redact", `shop_domain`, testSecret, 401, "Missing: X-Shopify-Shop-Domain."},
		"a body without a shop, wrong": {"customers/redact", `{"customer":{"id":1}}`, "wrong", 401, string(wrongSignature)},
		"a shop further in":            {"customers/redact", `{"customer":{"shop_domain":"` + testShop + `"}}`, testSecret, 401, "Missing:"},
		"a shop behind 64 KiB": {"customers/redact",
			`{"x":"` + strings.Repeat("x", 64<<10) + `","shop_domain":"` + testShop + `"}`, testSecret, 401, "Missing:"},
		"a shop before 64 KiB": {"customers/redact",
			`{"shop_domain":"` + testShop + `","customer":{},"x":"` + strings.Repeat("x", 64<<10) + `"}`, testSecret, 200, success},
		"another topic": {"app/uninstalled", `{"myshopify_domain":"` + testShop + `","shop_domain":"` + testShop + `"}`,
			testSecret, 401, "Missing: X-Shopify-Shop-Domain."},
	} {
		b := newBench(nil)
		r := signed([]byte(test.body))
		r.Header.Del("X-Shopify-Shop-Domain")
		r.Header.Set("X-Shopify-Topic", test.topic)
		r.Header.Set("X-Shopify-Hmac-Sha256", mac(test.secret, []byte(test.body)))
		w := b.send(r)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		for _, d := range b.catalogue.applied {
			if d.Shop != testShop {
				t.Errorf("%s: taken for %q", name, d.Shop)
			}
		}
		if w.Code == 401 && (b.Rejected()[0].Shop != "" || b.Refusals(testShop).Count != 0) {
			t.Errorf("%s: a name that nobody signed is used: %+v", name, b.Rejected()[0])
		}
	}
	// With a header that names another shop it is no privacy request of that one.
	b := newBench(nil)
	body := []byte(redact(otherShop))
	r := signed(body)
	r.Header.Set("X-Shopify-Topic", "customers/redact")
	want(t, b.send(r), 200, kept)
}

func TestUnreadableTriggerTimeCountsAsMissing(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-01T10:00:00.123456789Z": "2026-11-01T10:00:00.123456789Z",
		"2026-11-01T05:00:00-05:00":      "2026-11-01T10:00:00Z",
		"":                               "0001-01-01T00:00:00Z",
		"yesterday":                      "0001-01-01T00:00:00Z",
		"1926-11-01T10:00:00Z":           "0001-01-01T00:00:00Z",
		"9999-11-01T10:00:00Z":           "0001-01-01T00:00:00Z",
		"1793527200":                     "0001-01-01T00:00:00Z",
	} {
		if got := triggeredAt(text).UTC().Format(time.RFC3339Nano); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestLongIdsAreCutAndTheBodyStillTellsDeliveriesApart(t *testing.T) {
	if s := strings.Repeat("x", 256); bounded(s) != s || bounded(s+"y") != s {
		t.Error("256 bytes are not kept, or more are")
	}
	b := newBench(nil)
	for i := range 2 {
		r := signed(update(int64(i + 1)))
		r.Header.Set("X-Shopify-Webhook-Id", strings.Repeat("w", 10_000)+fmt.Sprint(i))
		want(t, b.send(r), 200, success)
	}
	if a, c := b.catalogue.applied[0], b.catalogue.applied[1]; len(a.WebhookID) != 256 || a.Dedupe == c.Dedupe {
		t.Errorf("webhook id of %d bytes, dedupe keys %d and %d", len(a.WebhookID), a.Dedupe, c.Dedupe)
	}
}

func TestWrongSignaturesAreLimitedByNetworkAndForgiven(t *testing.T) {
	l := newSenders()
	now := time.Unix(1_790_000_000, 0)
	spend := func(a string, n int, at time.Time) (allowed int) {
		for range n {
			if l.mayFail(senderOf(netip.MustParseAddr(a)), at) {
				allowed++
			}
		}
		return allowed
	}
	if n := spend("192.0.2.1", 50, now); n != failureBurst {
		t.Errorf("%d wrong signatures of one address, want %d", n, failureBurst)
	}
	if n := spend("192.0.2.2", 5, now); n != 5 {
		t.Errorf("its neighbour got %d of 5", n)
	}
	if n := spend("2001:db8::1", 50, now) + spend("2001:db8::ffff", 50, now); n != failureBurst {
		t.Errorf("%d of one /64, want %d", n, failureBurst)
	}
	if n := spend("2001:db8:0:1::1", 5, now); n != 5 {
		t.Errorf("the next /64 got %d of 5", n)
	}
	if n := spend("192.0.2.1", 50, now.Add(10*failureEvery)); n != 10 {
		t.Errorf("%d after ten times %s, want 10", n, failureEvery)
	}
	// Memory is bounded: the addresses seen longest ago are forgotten.
	for i := range 2 * sendersKept {
		spend(fmt.Sprintf("10.%d.%d.1", i/256, i%256), 1, now)
	}
	if n := l.failures.Len(); n != sendersKept {
		t.Errorf("%d addresses are remembered, want %d", n, sendersKept)
	}
}

func TestASenderIsKnownForAnHourAfterADeliveryThatWasApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proven := map[bool]int{}
		b := newBench(func(o *Options) {
			o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			o.Proven = func(_ *http.Request, applied bool) { proven[applied]++ }
		})
		send := func(remote, forwarded, key string, status int) {
			t.Helper()
			r := signed(update(1))
			r.RemoteAddr = remote
			r.Header.Set("X-Forwarded-For", forwarded)
			r.Header.Set("X-Shopify-Hmac-Sha256", mac(key, update(1)))
			want(t, b.send(r), status, "")
		}
		known := func(want bool, remotes ...string) {
			t.Helper()
			for _, remote := range remotes {
				if b.Known(remote) != want {
					t.Errorf("%s is known: %t", remote, !want)
				}
			}
		}
		send("192.0.2.7:1", "", testSecret, 200)
		send("[2001:db8::7]:1", "", testSecret, 200)
		send("10.0.0.1:1", "198.51.100.1", testSecret, 200)
		send("203.0.113.9:1", "", "another", 401)
		r := signed(update(1))
		r.RemoteAddr = "192.0.2.9:1"
		r.Header.Set("X-Shopify-Shop-Domain", "renamed.myshopify.com")
		want(t, b.send(r), 404, "")
		b.catalogue.set(func(int) (store.Result, error) { return store.Result{Outcome: store.Duplicate}, nil }, nil)
		send("192.0.2.10:1", "", testSecret, 200) // it may be a copy that was seen
		if proven[false] != 5 || proven[true] != 3 {
			t.Errorf("%v requests were called right and applied, want 5 and 3", proven)
		}
		for i := range 2 * sendersKept {
			b.senders.mayFail(senderOf(netip.AddrFrom4([4]byte{100, 64, byte(i >> 8), byte(i)})), time.Now())
		}
		time.Sleep(provenFor - 1)
		here := []string{"192.0.2.7:2", "[2001:db8::ffff]:2", "198.51.100.1:2"}
		known(true, here...)
		known(false, "192.0.2.8:1", "[2001:db8:0:1::7]:1", "10.0.0.1:1", "203.0.113.9:1", "192.0.2.9:1", "192.0.2.10:1", "@")
		send("192.0.2.7:1", "", "another", 401) // takes nothing away
		time.Sleep(time.Nanosecond)
		known(false, here...)
	})
}

func TestSignatureOfTheOldSecretIsCounted(t *testing.T) {
	b := newBench(nil)
	body := update(1)
	r := signed(body)
	r.Header.Set("X-Shopify-Hmac-Sha256", mac(oldSecret, body))
	want(t, b.send(r), 200, success)
	if n := b.counts.oldSecret.Get(); n != 1 {
		t.Errorf("%d deliveries with the previous secret, want 1", n)
	}
	want(t, b.send(signed(body)), 200, success)
	if n := b.counts.oldSecret.Get(); n != 1 {
		t.Errorf("%d after one with the current secret, want 1", n)
	}
}

func TestSecretOfAnotherShopSignsForThatShopOnly(t *testing.T) {
	b := newBench(nil)
	for _, test := range []struct{ shop, secret string }{{testShop, otherKey}, {otherShop, testSecret}, {otherShop, oldSecret}} {
		body := update(1)
		r := signed(body)
		r.Header.Set("X-Shopify-Shop-Domain", test.shop)
		r.Header.Set("X-Shopify-Hmac-Sha256", mac(test.secret, body))
		w := b.send(r)
		if w.Code != 401 || !strings.Contains(w.Body.String(), string(wrongSignature)) || b.catalogue.count() != 0 {
			t.Errorf("%s signed with %s: %d %s", test.shop, test.secret, w.Code, w.Body)
		}
	}
}

// Two shops whose apps share one secret.
func TestSharedSecretSignsForBothShops(t *testing.T) {
	b := newBench(nil)
	b.SetDirectory(NewDirectory([]Shop{
		{Domain: testShop, Keys: []Key{{Secret: []byte(testSecret)}}},
		{Domain: otherShop, Keys: []Key{{Secret: []byte(otherKey)}, {Secret: []byte(testSecret), Old: true}}},
	}, nil))
	for _, shop := range []string{testShop, otherShop} {
		r := signed(update(1))
		r.Header.Set("X-Shopify-Shop-Domain", shop)
		want(t, b.send(r), 200, success)
	}
}

func TestPoisonSentAgainIsOneDeadLetterUntilItIsDiscarded(t *testing.T) {
	b := newBench(nil)
	for range 3 {
		want(t, b.send(signed([]byte("poison"))), 200, kept)
	}
	jobs := b.queue.list()
	if len(jobs) != 1 || len(b.catalogue.records) != 3 {
		t.Fatalf("%d dead letters and %d journal rows, want 1 and 3", len(jobs), len(b.catalogue.records))
	}
	b.queue.drop(jobs[0].ID)
	want(t, b.send(signed([]byte("poison"))), 200, kept)
	if len(b.queue.list()) != 1 {
		t.Error("a discarded dead letter is not kept again when it comes again")
	}
	other := signed([]byte("poison"))
	other.Header.Set("X-Shopify-Topic", "products/delete")
	want(t, b.send(other), 200, kept)
	if len(b.queue.list()) != 2 {
		t.Error("the same body under another topic is not kept")
	}
}

func TestRefusedRequestsAreRememberedWithinBounds(t *testing.T) {
	b := newBench(nil)
	for i := range 3 * rejectedKept {
		r := signed(update(1))
		r.Header.Set("X-Shopify-Shop-Domain", fmt.Sprintf("stranger-%d.myshopify.com", i))
		r.Header.Set("X-Shopify-Topic", strings.Repeat("t", 5000))
		b.send(r)
	}
	list := b.Rejected()
	if len(list) != rejectedKept || list[0].Shop != fmt.Sprintf("stranger-%d.myshopify.com", 3*rejectedKept-1) || len(list[0].Topic) > 100 {
		t.Errorf("%d entries, the first %+v", len(list), list[0])
	}
}

// Each answer is counted once, by a closed set of names (I13).
func TestEachRequestIsCountedOnce(t *testing.T) {
	b := newBench(nil)
	b.send(signed(update(1)))
	b.send(signed([]byte("poison")))
	b.send(httptest.NewRequest("GET", "/", nil))
	b.send(httptest.NewRequest("POST", "/", nil))
	unknown := signed(update(1))
	unknown.Header.Set("X-Shopify-Topic", "x/y")
	b.send(unknown)
	total := uint64(0)
	for _, o := range store.Outcomes() {
		total += b.counts.accepted[o].Get()
	}
	for _, r := range Reasons() {
		total += b.counts.rejected[r].Get()
	}
	if got := b.counts.received.Get(); got != 5 || total != 5 {
		t.Errorf("received %d, counted %d, want 5", got, total)
	}
}

func TestHMACHeaderIsStrictBase64Of32Bytes(t *testing.T) {
	good := mac("x", nil)
	raw, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]bool{
		good: true, "": false, good[:43]: false, good + "A": false, good + good: false, strings.ToUpper(good): true,
		fmt.Sprintf("%x", raw): false, base64.RawURLEncoding.EncodeToString(raw): false, "====": false,
	} {
		if _, ok := decodeHMAC(header); ok != want {
			t.Errorf("%q: %v, want %v", header, ok, want)
		}
	}
}
