package e2e_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// problemDoc is an answer in problem+json.
type problemDoc struct {
	Type, Title, Detail, Reason string
	Status                      int
}

func wantProblem(t *testing.T, r reply, status int, reason string) problemDoc {
	t.Helper()
	var p problemDoc
	if err := json.Unmarshal([]byte(r.Body), &p); err != nil || r.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("answer %s as %q is not problem+json", r, r.Header.Get("Content-Type"))
		return p
	}
	if r.Status != status || p.Status != status || p.Reason != reason || p.Title == "" || p.Detail == "" {
		t.Errorf("answer %s, want %d with reason %s", r, status, reason)
	}
	return p
}

// dump is everything in products.db but what housekeeping may change by itself,
// and the queue's jobs.
func dump(t *testing.T, s *server) string {
	t.Helper()
	db := openCatalogue(t, s.Dir)
	var b strings.Builder
	for _, table := range []string{"shops", "selections", "products", "variants", "deliveries", "changes", "tombstones", "wanted"} {
		fmt.Fprintf(&b, "%s\n", table)
		rows, err := db.QueryContext(t.Context(), `SELECT * FROM `+table+` ORDER BY 1, 2, 3`)
		if err != nil {
			t.Fatal(err)
		}
		writeRows(t, &b, rows)
	}
	for _, j := range s.jobs("") {
		if j.Kind != "webhook" { // it is being tried meanwhile
			fmt.Fprintln(&b, j.ID, j.Kind, j.Key)
			continue
		}
		fmt.Fprintf(&b, "%+v\n", j)
	}
	return b.String()
}

func writeRows(t *testing.T, w io.Writer, rows *sql.Rows) {
	t.Helper()
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(names))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			fmt.Fprintf(w, "%v|", *v.(*any))
		}
		fmt.Fprintln(w)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// Every refusing row of the answer table, the order of the checks, and I8: no
// byte of state changes.
func TestRefusedRequestsSayWhyAndChangeNothing(t *testing.T) {
	t.Parallel()
	const noSecretShop = "no-secret-yet.myshopify.com"
	s := startServer(t, serveOptions{Args: []string{"--max-body", "64KiB"}})
	addShop(t, s, otherShop, otherSecret)
	addShop(t, s, noSecretShop, "")
	wantAnswer(t, s.post(delivery{Body: productBody(1, 5, 3)}), answerApplied)
	wantAnswer(t, s.post(delivery{Topic: "products/delete", Body: productBody(1, 6, 1)}), answerKept)
	// What the server finds out by itself about the shop comes first.
	db := openCatalogue(t, s.Dir)
	await(t, "the shop without credentials is paused", func() bool {
		return count(t, db, `SELECT count(*) FROM shops WHERE state = 'paused' AND shop = ?`, noSecretShop) == 1
	})
	await(t, "the job that reads the product of the letter", func() bool {
		return slices.ContainsFunc(s.jobs(""), func(j queuedJob) bool { return j.Kind == "fetch_product" })
	})
	before := dump(t, s)
	refusedBefore := s.metrics()

	body := productBody(1, 9, 2)
	big := bytes.Repeat([]byte{' '}, 65<<10)
	without := func(names ...string) map[string][]string {
		h := map[string][]string{}
		for _, n := range names {
			h[n] = nil
		}
		return h
	}
	const mac, shop, topic = "X-Shopify-Hmac-Sha256", "X-Shopify-Shop-Domain", "X-Shopify-Topic"
	wrong := map[string][]string{mac: {sign("shpss_wrong", body)}}
	tests := []struct {
		name   string
		d      delivery
		status int
		reason string
		says   []string
	}{
		{"GET", delivery{Method: "GET"}, 405, "method", []string{"POST"}},
		{"PUT", delivery{Method: "PUT", Body: body}, 405, "method", nil},
		{"DELETE", delivery{Method: "DELETE"}, 405, "method", nil},
		{"a method nobody knows", delivery{Method: "BREW"}, 405, "method", nil},
		{"the method is judged before the length", delivery{Method: "PATCH", Body: big}, 405, "method", nil},
		{"a body over the limit", delivery{Body: big}, 413, "too_large", []string{"65536"}},
		{"the length is judged before the headers", delivery{Body: big, Header: without(mac, shop, topic)}, 413, "too_large", nil},
		{"a compressed body", delivery{Body: body, Header: map[string][]string{"Content-Encoding": {"gzip"}}}, 415, "encoded", []string{"gzip", "proxy"}},
		{"no signature", delivery{Body: body, Header: without(mac)}, 401, "no_hmac", []string{mac}},
		{"an empty signature", delivery{Body: body, Header: map[string][]string{mac: {""}}}, 401, "no_hmac", []string{mac}},
		{"no shop", delivery{Body: body, Header: without(shop)}, 401, "missing_header", []string{shop}},
		{"no topic", delivery{Body: body, Header: without(topic)}, 401, "missing_header", []string{topic}},
		{"every missing header is named at once", delivery{Body: body, Header: without(mac, shop, topic)}, 401, "no_hmac", []string{mac, shop, topic}},
		{"a signature that is none", delivery{Body: body, Header: map[string][]string{mac: {"not base64!"}}}, 401, "malformed_hmac", []string{"base64"}},
		{"a signature that is too short", delivery{Body: body, Header: map[string][]string{mac: {"c2hvcnQ="}}}, 401, "malformed_hmac", nil},
		{"a wrong secret", delivery{Body: body, Header: wrong}, 401, "wrong_signature", []string{"another secret", "status page"}},
		{"a stranger can't tell which shops exist", delivery{Shop: "nobody-knows.myshopify.com", Body: body, Header: wrong}, 401, "wrong_signature", nil},
		{"a wrong signature is judged before the topic", delivery{Topic: "orders/create", Body: body, Header: wrong}, 401, "wrong_signature", nil},
		{"another shop's secret", delivery{Secret: otherSecret, Body: body}, 401, "wrong_signature", nil},
		{"this shop's secret for another", delivery{Shop: otherShop, Body: body}, 401, "wrong_signature", nil},
		{"a rewritten body", delivery{Body: append(body[:len(body):len(body)], '\n'), Header: map[string][]string{mac: {sign(e2eSecret, body)}}}, 401, "wrong_signature", nil},
		{"a truncated body", delivery{Body: body[:300], Header: map[string][]string{mac: {sign(e2eSecret, body)}}}, 401, "wrong_signature", nil},
		{"an unknown shop", delivery{Shop: "stranger.myshopify.com", Body: body}, 404, "unknown_shop", nil},
		{"the shop is judged before the topic", delivery{Shop: "stranger.myshopify.com", Topic: "orders/create", Body: body}, 404, "unknown_shop", nil},
		{"the shop is judged before the body", delivery{Shop: "stranger.myshopify.com", Body: []byte("nonsense")}, 404, "unknown_shop", nil},
		{"a shop that is no shop's name", delivery{Shop: "evil.example/..", Body: body}, 404, "unknown_shop", nil},
		{"a known shop without a secret", delivery{Shop: noSecretShop, Body: body, Header: wrong}, 503, "no_secret", []string{"stockroom shop add"}},
	}
	want := map[string]float64{}
	for _, test := range tests {
		want[test.reason]++
		t.Run(test.name, func(t *testing.T) {
			r := s.post(test.d)
			p := wantProblem(t, r, test.status, test.reason)
			for _, part := range test.says {
				if !strings.Contains(p.Detail, part) {
					t.Errorf("detail %q does not say %q", p.Detail, part)
				}
			}
			for _, expected := range []string{sign(e2eSecret, test.d.Body), e2eSecret, e2eOld, otherSecret} {
				if strings.Contains(r.Body, expected) {
					t.Errorf("the answer tells %q: %s", expected, r.Body)
				}
			}
			if test.status == 405 && r.Header.Get("Allow") != "POST" {
				t.Errorf("Allow: %q", r.Header.Get("Allow"))
			}
			if test.status == 503 && r.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
	if after := dump(t, s); after != before {
		t.Errorf("state changed:\n%s", firstDifference(before, after))
	}
	m := s.metrics()
	for reason, n := range want {
		got := 0.0
		labels := []string{reason}
		if reason == "wrong_signature" { // counted by its likely cause, which is looked for once a second
			labels = []string{"wrong_secret", "old_secret", "other_shops_secret", "body_changed", "truncated_body"}
		}
		for _, label := range labels {
			name := fmt.Sprintf(`stockroom_webhooks_rejected_total{reason=%q}`, label)
			got += m[name] - refusedBefore[name]
		}
		if got != n {
			t.Errorf("refusals counted as %v grew by %v, want %v", labels, got, n)
		}
	}
	// The page's list has the newest ones, without body, signature or secret.
	list := s.admin("GET", "/api/v1/rejected", "").Body
	for _, part := range []string{"no_secret", "unknown_shop", "127.0.0.1"} {
		if !strings.Contains(list, part) {
			t.Errorf("the list of refused requests lacks %q: %s", part, list)
		}
	}
	if strings.Contains(list, "Product 1 v9") || strings.Contains(list, sign("shpss_wrong", body)) {
		t.Error("the list of refused requests holds a body or a signature")
	}
	s.stop()
}

func firstDifference(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(la), len(lb)) {
		if la[i] != lb[i] {
			return "before: " + la[i] + "\nafter:  " + lb[i]
		}
	}
	return fmt.Sprintf("%d lines before, %d after", len(la), len(lb))
}

// raw sends bytes over a connection of its own and returns the answer.
func raw(t *testing.T, s *server, text string) (status string, body string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.Public, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Logf("write: %v", err) // the server may answer before it has read all
	}
	answer, err := io.ReadAll(c)
	if len(answer) == 0 {
		t.Fatalf("no answer: %v", err)
	}
	head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	status, _, _ = strings.Cut(head, "\r\n")
	return status, body
}

func chunked(body []byte, size int) string {
	var b strings.Builder
	for part := range slices.Chunk(body, size) {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(part), part)
	}
	return b.String() + "0\r\n\r\n"
}

func TestHeadersOfBothFamiliesAndAnyCaseAreTaken(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	for i, family := range []string{"X-Shopify-", "Shopify-", "x-shopify-", "SHOPIFY-", "x-ShOpIfY-"} {
		body := productBody(int64(100+i), 1, 1)
		length := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
		if i == 3 {
			length = "Transfer-Encoding: chunked\r\n\r\n" + chunked(body, 100)
		}
		status, answer := raw(t, s, "POST /webhooks/shopify/products HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"+
			family+"Topic: products/update\r\n"+family+"HMAC-SHA256: "+sign(e2eSecret, body)+"\r\n"+
			family+"shop-domain: "+e2eShop+"\r\n"+family+"WEBHOOK-ID: id-"+fmt.Sprint(i)+"\r\n"+length)
		if status != "HTTP/1.1 200 OK" || answer != answerApplied {
			t.Errorf("%s: %s %s", family, status, answer)
		}
	}
	if n := count(t, openCatalogue(t, s.Dir), `SELECT count(*) FROM deliveries WHERE outcome = 'applied' AND webhook_id LIKE 'id-_'`); n != 5 {
		t.Errorf("%d deliveries have their webhook id, want 5", n)
	}
	s.stop()
}

// A chunked body declares no length, so the limit is found while reading: then
// it is too large, not wrongly signed.
func TestChunkedBodyOverTheLimitIsTooLargeNotWronglySigned(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{Args: []string{"--max-body", "64KiB"}})
	body := bytes.Repeat([]byte("a"), 80<<10)
	for _, signature := range []string{sign(e2eSecret, body), sign("wrong", body)} {
		status, answer := raw(t, s, "POST /webhooks/shopify/products HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Shopify-Topic: products/update\r\n"+
			"X-Shopify-Shop-Domain: "+e2eShop+"\r\nX-Shopify-Hmac-Sha256: "+signature+"\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked(body, 8<<10))
		if status != "HTTP/1.1 413 Request Entity Too Large" || !strings.Contains(answer, "too_large") {
			t.Errorf("%s %s", status, answer)
		}
	}
	// Exactly at the limit it is read, and fails for its signature only.
	fits := bytes.Repeat([]byte("a"), 64<<10)
	if r := s.post(delivery{Body: fits, Secret: "wrong"}); r.Status != http.StatusUnauthorized {
		t.Errorf("a body of exactly the limit: %s", r)
	}
	s.stop()
}

func TestTooManyWrongSignaturesAreSlowedDownAndRightOnesNever(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	forged := delivery{Body: productBody(1, 1, 1), Secret: "shpss_guess"}
	var statuses []int
	for range 60 {
		r := s.post(forged)
		statuses = append(statuses, r.Status)
		if r.Status == http.StatusTooManyRequests {
			wantProblem(t, r, http.StatusTooManyRequests, "too_many_wrong_signatures")
			if r.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		}
	}
	if statuses[0] != http.StatusUnauthorized || statuses[59] != http.StatusTooManyRequests {
		t.Errorf("statuses: %v", statuses)
	}
	for i := range 30 {
		wantAnswer(t, s.post(delivery{Body: productBody(int64(i+1), 1, 1)}), answerApplied)
		s.post(forged)
	}
	s.stop()
}

func TestNothingIsEverRedirected(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	paths := []string{
		"/webhooks/shopify", "/webhooks/shopify/", "/webhooks/shopify//products", "/webhooks/shopify/products/", "/webhooks/../webhooks/shopify/products",
		"//webhooks/shopify/products", "/WEBHOOKS/SHOPIFY/PRODUCTS", "/", "/metrics", "/healthz/", "/api/v1/products", "/nowhere",
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS"} {
			status, _ := raw(t, s, method+" "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			code := strings.Fields(status)[1]
			if code[0] == '3' {
				t.Errorf("%s %s: %s", method, path, status)
			}
			if path == "/metrics" || path == "/api/v1/products" {
				if code != "404" {
					t.Errorf("%s %s on the public listener: %s", method, path, status)
				}
			}
		}
	}
	for _, path := range []string{"/webhooks/shopify/", "/webhooks/shopify//products", "/webhooks/shopify/products/"} {
		if r := s.post(delivery{Path: path, Body: productBody(1, 1, 1)}); r.Status != http.StatusOK {
			t.Errorf("POST %s: %s", path, r)
		}
	}
	s.stop()
}

// Slow headers, slow bodies and idle connections hold no signed delivery up.
func TestSignedTrafficIsAnsweredDuringAFlood(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	address := strings.TrimPrefix(s.Public, "http://")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	head := "POST /webhooks/shopify/products HTTP/1.1\r\nHost: x\r\nX-Shopify-Topic: products/update\r\nX-Shopify-Shop-Domain: " + e2eShop +
		"\r\nX-Shopify-Hmac-Sha256: " + sign("x", nil) + "\r\n"
	starts := []string{
		"", // connects and says nothing
		"POST /webhooks/shopify/products HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		head + "Content-Length: 8000000\r\n\r\n{",
		head + "Transfer-Encoding: chunked\r\n\r\n10\r\n{",
	}
	half := head + "Content-Length: 8000000\r\n\r\n" + strings.Repeat("x", 6<<20)
	for i := range 400 {
		c, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns = append(conns, c)
		start := starts[i%len(starts)]
		if i%33 == 0 {
			start = half // 13 of them are more than the memory for bodies in flight
		}
		if err := c.SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, start); err != nil && start != half {
			t.Fatal(err)
		}
	}
	var slowest time.Duration
	for i := range 60 {
		began := time.Now()
		r, err := s.try(ctx, delivery{Body: productBody(int64(i+1), 1, 2)})
		if err != nil {
			t.Fatal(err)
		}
		wantAnswer(t, r, answerApplied)
		slowest = max(slowest, time.Since(began))
	}
	// How long a stalled body may hold another delivery up is shown in fake time,
	// in package webhook.
	t.Logf("400 slow connections: slowest signed delivery of 60 took %s", slowest.Round(time.Millisecond))
	for _, c := range conns {
		_ = c.Close()
	}
	s.stop()
}
