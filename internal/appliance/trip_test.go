package appliance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/web"
)

// served is an appliance whose listener answers, and what stands before it.
func served(t *testing.T) (p *plant, listener string) {
	t.Helper()
	p = newPlant(t, fakeshopify.Options{Products: 1}, nil)
	srv := httptest.NewServer(p.trips.watch(p.web.Public(p.intake), false))
	t.Cleanup(srv.Close)
	address := srv.Listener.Addr().String()
	p.public.Store(&address)
	return p, "http://" + address
}

// before is a server in front of another that changes requests.
func before(t *testing.T, to string, change func(r *http.Request)) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		if change != nil {
			change(r.Out)
		}
	}})
	t.Cleanup(srv.Close)
	return srv.URL
}

// answering is a server that is not ours.
func answering(t *testing.T, code int, header ...string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"success":true}`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestATestDeliveryTakesTheWayOfShopifysOwn(t *testing.T) {
	p, listener := served(t)
	dead := httptest.NewServer(nil)
	dead.Close()
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(silent.Close)
	admin := httptest.NewServer(p.trips.watch(p.web.Admin(), true))
	t.Cleanup(admin.Close)
	swallow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.trips.watch(p.web.Public(p.intake), false).ServeHTTP(httptest.NewRecorder(), r)
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(swallow.Close)

	for _, tt := range []struct {
		name, base, level string
		text, next        []string
	}{
		{"no public address", "", levelOK, []string{"Reached " + listener + "/webhooks/shopify/products: arrived after 0.", "signature right, stored.", "Not tested: whether Shopify reaches this server"}, []string{"--public-url"}},
		{"the listener itself", listener, levelOK, []string{"Reached " + listener + "/webhooks/shopify/products: arrived after 0.", "signature right, stored."}, nil},
		{"a proxy that passes all on", before(t, listener, nil), levelOK, []string{"signature right, stored."}, nil},
		{"a proxy that writes the body again", before(t, listener, func(r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			body = bytes.ReplaceAll(body, []byte(`,"`), []byte(`, "`))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}), levelFail, []string{"Reached ", "the signature was not right any more: something on the way changes the body or drops headers."}, []string{"pass method, path, headers and body on as they are"}},
		{"a proxy that drops headers", before(t, listener, func(r *http.Request) {
			for name := range r.Header {
				if strings.HasPrefix(name, "X-") {
					r.Header.Del(name)
				}
			}
		}), levelFail, []string{"drops headers. Stockroom said: A header is missing. Missing: X-Shopify-Hmac-Sha256"}, []string{"headers"}},
		{"a proxy that drops the query", before(t, listener, func(r *http.Request) { r.URL.RawQuery = "" }), levelOK, []string{"stored."}, nil},
		{"a proxy that changes the path", before(t, listener, func(r *http.Request) { r.URL.Path = "/other" }), levelFail, []string{"at the path /other in place of"}, []string{"path"}},
		{"a proxy that changes the method", before(t, listener, func(r *http.Request) { r.Method = "PUT" }), levelFail, []string{"refused (405)", "Only POST is accepted"}, nil},
		{"a proxy that keeps the answer", swallow.URL, levelFail, []string{"something on the way answered 502 in place of Stockroom"}, []string{"as they are"}},
		{"the listener of the status page", admin.URL, levelFail, []string{"leads to the listener of the status page, which strangers must not reach"}, []string{strings.TrimPrefix(listener, "http://") + " (--listen)"}},
		{"a redirect", answering(t, 301, "Location", "https://www.shop.example/x"), levelFail, []string{`redirects to "https://www.shop.example/x" (301), and Shopify follows no redirects.`}, []string{"--public-url"}},
		{"another server without the path", answering(t, 404), levelFail, []string{"Another server answers at ", "(404): the test delivery did not arrive here."}, []string{"--listen", "router"}},
		{"another server that says yes", answering(t, 200), levelFail, []string{"(200): the test delivery did not arrive here."}, []string{"--listen"}},
		{"a certificate that nobody signed", secure.URL, levelFail, []string{"No secure connection to " + secure.URL, "certificate"}, []string{"hold a certificate that is valid for this name", "outside"}},
		{"nobody listens", dead.URL, levelWarn, []string{"could not be tested from here: ", ". Sent straight to the listener ", "the test delivery was stored."}, []string{"router", "browser outside of this network"}},
		{"a connection that ends", silent.URL, levelWarn, []string{"could not be tested from here: EOF."}, []string{"router"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p.opt.Settings.PublicURL = tt.base
			got, err := p.sendSample(t.Context(), web.Sample{})
			if err != nil || got.Level != tt.level || (got.Next == "") != (tt.next == nil) {
				t.Fatalf("%v, %+v", err, got)
			}
			for _, want := range tt.text {
				if !strings.Contains(got.Text, want) {
					t.Errorf("%q is not in %q", want, got.Text)
				}
			}
			for _, want := range tt.next {
				if !strings.Contains(got.Next, want) {
					t.Errorf("%q is not in %q", want, got.Next)
				}
			}
			if len(p.trips.on) != 0 {
				t.Errorf("%d are still awaited", len(p.trips.on))
			}
		})
	}
}

func TestATripThatEndsOnTheWayIsJudgedByItsCause(t *testing.T) {
	dial := func(err error) error {
		return &url.Error{Op: "Post", URL: "https://x.example/?stockroom-test=n", Err: &net.OpError{Op: "dial", Net: "tcp", Err: err}}
	}
	for _, tt := range []struct {
		name        string
		err         error
		level, text string
	}{
		{"no such name", dial(&net.DNSError{Err: "no such host", Name: "x.example", IsNotFound: true}), levelFail, "The name of https://x.example is not known: "},
		{"a resolver that does not answer", dial(&net.DNSError{Err: "server misbehaving", Name: "x.example"}), levelWarn, "could not be tested from here: "},
		{"no answer", &url.Error{Op: "Post", URL: "https://x.example", Err: context.DeadlineExceeded}, levelWarn, "could not be tested from here: no answer within 10 s."},
		{"plain http behind https", &url.Error{Op: "Post", URL: "https://x.example", Err: errors.New("http: server gave HTTP response to HTTPS client")}, levelFail, "No secure connection to https://x.example: "},
	} {
		trip := trip{base: "https://x.example", url: "https://x.example/webhooks/shopify/products", err: tt.err}
		level, text, next := trip.judge("127.0.0.1:8080")
		if level != tt.level || !strings.Contains(text, tt.text) || next == "" || strings.Contains(text, nonceParam) {
			t.Errorf("%s: %s, %q, %q", tt.name, level, text, next)
		}
	}
	for of, want := range map[*trip]string{
		{err: dial(&net.DNSError{Err: "no such host", IsNotFound: true})}:                               "or correct --https.",
		{err: errors.New("remote error: tls: internal error")}:                                          "If the status page says that there is no certificate",
		{status: http.StatusNotFound, arrival: arrival{}}:                                               "Have the A and AAAA records of the name lead to this machine",
		{status: http.StatusMovedPermanently, location: "https://y.example", base: "https://x.example"}: "leads to as --https",
	} {
		of.ours = true
		if _, text, next := of.judge("127.0.0.1:443"); !strings.Contains(next, want) || strings.Contains(next, "in front") {
			t.Errorf("our own HTTPS: %q, %q", text, next)
		}
	}
	late := trip{base: "https://x.example", url: "https://x.example/a", err: context.DeadlineExceeded, arrival: arrival{at: time.Now()}}
	if level, text, _ := late.judge(""); level != levelFail || !strings.Contains(text, "arrived here, and no whole answer came back") {
		t.Errorf("an answer that is lost: %s, %s", level, text)
	}
}

// TestASampleShowsNothingOfShopifysSecret: it is signed with our own.
func TestASampleShowsNothingOfShopifysSecret(t *testing.T) {
	p, listener := served(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, listener+"/webhooks/shopify/products", strings.NewReader(`{"id":7}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Shopify-Topic", "products/update")
	r.Header.Set("X-Shopify-Shop-Domain", testShop)
	r.Header.Set("X-Shopify-Hmac-Sha256", fakeshopify.Sign("another", []byte(`{"id":7}`)))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || p.intake.Refusals(testShop).Count != 1 {
		t.Fatalf("%v, %+v", err, p.intake.Refusals(testShop))
	}
	if got, err := p.sendSample(t.Context(), web.Sample{}); err != nil || got.Level != levelOK {
		t.Fatalf("%v, %+v", err, got)
	}
	if p.intake.Refusals(testShop).Count != 1 {
		t.Error("a sample of our own ends the doubt about Shopify's secret")
	}
}

func TestTheDoctorLooksAtSubscriptionsAndTheWayOfDeliveries(t *testing.T) {
	p, listener := served(t)
	find := func(check string) (list []web.Finding) {
		for _, f := range p.doctor(t.Context(), false) {
			if f.Check == check {
				list = append(list, f)
			}
		}
		return list
	}
	one := func(check, level string, words ...string) {
		t.Helper()
		got := find(check)
		if len(got) != 1 || got[0].Level != level || (got[0].Fix == "") != (level == levelOK) {
			t.Fatalf("%s: %+v", check, got)
		}
		for _, want := range words {
			if !strings.Contains(got[0].Text+" | "+got[0].Fix, want) {
				t.Errorf("%q is not in %+v", want, got[0])
			}
		}
	}
	// Without a public address that is pull mode.
	one("public-url", levelOK, "pull mode: no public address is needed")
	one("subscriptions", levelOK, "pull mode: Stockroom looks for changes every 30 seconds; nothing has to reach this machine")
	one("looks", levelOK, "changes are looked for every 30 seconds")

	p.opt.Settings.PublicURL = before(t, listener, nil)
	one("public-url", levelOK, "Reached "+p.opt.Settings.PublicURL, "signature right")
	p.opt.Settings.PublicURL = answering(t, 404)
	one("public-url", levelFail, "Another server answers")
	if n, err := p.store.LastByTopic(t.Context(), testShop); err != nil || len(n) > 0 {
		t.Errorf("the doctor's delivery is kept: %v %v", n, err)
	}
	counts, err := p.store.CountShop(t.Context(), testShop)
	if err != nil || counts.Products != 0 {
		t.Errorf("the doctor stored %d products: %v", counts.Products, err)
	}
}

// A sample that lacks a field would be taken for a reduced one, and the product
// that is not there be asked for.
func TestTheSampleProductIsWhole(t *testing.T) {
	body, err := sampleBody("products/update", "a.myshopify.com", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := catalog.Decode(catalog.ProductsUpdate, body); err != nil || c.Product.Coverage != catalog.Complete {
		t.Fatalf("%+v, %v", c.Product, err)
	}
}
