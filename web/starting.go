package web

import (
	"html/template"
	"net/http"
	"stockroom/internal/answer"
	"strconv"
	"strings"
)

// startingAgain is after how many seconds a request is worth sending again.
const startingAgain = 2

// Starting answers while the data dir is still being opened: /healthz as ever,
// since the process lives, and everything else with 503 and what is waited for.
// A browser gets a page that loads itself again.
func Starting(waits func() string) http.Handler {
	return unready("Stockroom is starting", func() string { return "Stockroom is starting: " + waits() + "." })
}

// Stopping answers as Starting does, while the process ends because of why: a
// whole sentence.
func Stopping(why string) http.Handler {
	return unready("Stockroom is stopping", func() string { return why })
}

func unready(title string, why func() string) http.Handler {
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
		refusal := &answer.Refusal{
			Status: http.StatusServiceUnavailable, Title: title, RetryAfter: startingAgain,
			Detail: why() + " Nothing was kept of this request; send it again in a few seconds.",
		}
		if r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "text/html") {
			refusal.Write(w)
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Retry-After", strconv.Itoa(startingAgain))
		h.Set("Refresh", strconv.Itoa(startingAgain))
		w.WriteHeader(refusal.Status)
		_ = unreadyPage().Execute(w, []string{title, why()})
	})
}

// unreadyPage needs nothing but itself: no style, no script.
func unreadyPage() *template.Template {
	return template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{{index . 0}}</title>
<h1>{{index . 0}}</h1>
<p>{{index . 1}}</p>
<p>Product updates that arrive now are answered with 503, and Shopify sends them again. This page loads itself again.</p>
</html>
`))
}
