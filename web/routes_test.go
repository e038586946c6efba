package web

import (
	"net/http"
	"strings"
	"testing"
)

func TestTheWebhookHandlerGetsEveryMethodBelowItsPath(t *testing.T) {
	r := newRig(t, nil)
	for name, h := range map[string]http.Handler{"public": r.Public(hooks()), "both": r.Both(hooks())} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"} {
			for _, path := range []string{"/webhooks/shopify/products", "/webhooks/shopify/", "/webhooks/shopify//a/b/../c"} {
				w := serve(h, request(method, path, "body", "Host", "shop.example"))
				if w.Code != 200 || !strings.HasPrefix(w.Body.String(), "hook "+method) {
					t.Errorf("%s: %s %s: %d %s", name, method, path, w.Code, w.Body)
				}
			}
		}
	}
}

func TestThePublicListenerAnswersNothingButWebhooksAndHealth(t *testing.T) {
	r := newRig(t, nil)
	h := r.Public(hooks())
	for path, want := range map[string]int{
		"/": 200, "/healthz": 200, "/readyz": 200,
		"/metrics": 404, "/api/v1/status": 404, "/api/v1/products": 404, "/webhooks": 404, "/webhooks/shopify": 404,
		"/assets/x": 404, "/healthz/": 404, "//": 404,
	} {
		w := serve(h, request("GET", path, ""))
		if w.Code != want {
			t.Errorf("GET %s: %d, want %d", path, w.Code, want)
		}
		if want == 404 && w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("GET %s: type %s", path, w.Header().Get("Content-Type"))
		}
	}
	if body := serve(h, request("GET", "/", "")).Body.String(); !strings.Contains(body, "elsewhere") {
		t.Errorf("the root does not say that the page is elsewhere: %s", body)
	}
	if w := serve(h, request("POST", "/", "")); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Errorf("POST /: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestNothingIsRedirected(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/api/v1/status/", "/API/v1/status", "/metrics/", "//metrics", "/api/../metrics", "/api/v1/jobs/"} {
		w := serve(withToken(r.Both(hooks())), request("GET", path, ""))
		if w.Code != 404 {
			t.Errorf("GET %s: %d, want 404", path, w.Code)
		}
	}
}

func TestOneListenerServesBothSides(t *testing.T) {
	r := newRig(t, nil)
	h := withToken(r.Both(hooks()))
	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/readyz", "/healthz"} {
		if w := serve(h, request("GET", path, "")); w.Code != 200 {
			t.Errorf("GET %s: %d", path, w.Code)
		}
	}
}

func TestAPanicOfOneRequestIsAnsweredAndLogged(t *testing.T) {
	r := newRig(t, nil)
	h := r.Public(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	if w := serve(h, request("POST", "/webhooks/shopify/products", "{}")); w.Code != 500 {
		t.Errorf("status %d", w.Code)
	}
}
