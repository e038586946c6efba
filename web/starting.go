package web

import (
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

// startingAgain is after how many seconds a request is worth sending again.
const startingAgain = 2

// Starting answers while the data dir is still being opened: /healthz as ever,
// since the process lives, and everything else with 503 and what is waited for.
// A browser gets a page that loads itself again.
func Starting(waits func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if r.URL.Path == "/healthz" {
			h.Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = w.Write([]byte("ok\n"))
			return
		}
		refusal := &Refusal{
			Status: http.StatusServiceUnavailable, Title: "Stockroom is starting", RetryAfter: startingAgain,
			Detail: "Stockroom is starting: " + waits() + ". Nothing was kept of this request; send it again in a few seconds.",
		}
		if r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "text/html") {
			writeProblem(w, refusal)
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Retry-After", strconv.Itoa(startingAgain))
		h.Set("Refresh", strconv.Itoa(startingAgain))
		w.WriteHeader(refusal.Status)
		_ = startingPage().Execute(w, waits())
	})
}

// startingPage needs nothing but itself: no style, no script.
func startingPage() *template.Template {
	return template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>Starting: Stockroom</title>
<h1>Stockroom is starting</h1>
<p>It is {{.}}.</p>
<p>Product updates that arrive now are answered with 503, and Shopify sends them again. This page loads itself again.</p>
</html>
`))
}
