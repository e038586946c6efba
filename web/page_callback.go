package web

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// callbackStyle is the look of the other pages, in itself: the address that shows
// this page serves nothing else.
const callbackStyle = `:root{color-scheme:light dark;--paper:#f4f1ea;--ink:#20262b;--soft:#565d63}` +
	`@media (prefers-color-scheme:dark){:root{--paper:#14181a;--ink:#e9e5db;--soft:#a9aeac}}` +
	`body{background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;` +
	`margin:0 auto;max-width:34rem;padding:3rem 1.2rem;overflow-wrap:anywhere}` +
	`h1{font:500 1.7rem/1.25 Charter,Georgia,serif;margin:.5rem 0}` +
	`p{margin:0}.soft{color:var(--soft)}h1~.soft{margin-top:1.2rem}`

// CallbackPage answers the browser that Shopify's consent page sent here.
func CallbackPage(w http.ResponseWriter, status int, title, words string) {
	sum := sha256.Sum256([]byte(callbackStyle))
	h := w.Header()
	setSecurityHeaders(h)
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = callbackPage().Execute(w, []string{title, words}) // a browser that left needs none
}

func callbackPage() *template.Template {
	return template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{index . 0}} - Stockroom</title><style>` + callbackStyle + `</style></head>
<body><main><p class="soft">Stockroom</p>
<h1>{{index . 0}}</h1>
<p>{{index . 1}}</p>
<p class="soft">This window can be closed.</p></main></body></html>
`))
}
