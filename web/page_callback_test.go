package web

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestTheCallbacksPageSaysOneThingInTheLookOfTheOthers(t *testing.T) {
	w := httptest.NewRecorder()
	CallbackPage(w, 409, "Not connected", `The app of <b>wool</b> & sons was not approved.`)
	page := w.Body.String()
	for _, want := range []string{"<h1>Not connected</h1>", "The app of &lt;b&gt;wool&lt;/b&gt; &amp; sons was not approved.", "prefers-color-scheme:dark", `lang="en"`} {
		if !strings.Contains(page, want) {
			t.Errorf("it lacks %s:\n%s", want, page)
		}
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page)
	if style == nil {
		t.Fatal("no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	csp := w.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"';") {
		t.Errorf("its style is not the one that is allowed: %s", csp)
	}
	if w.Code != 409 || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
	if strings.Contains(page, "src=") || strings.Contains(page, "href=") || strings.Contains(page, "script") {
		t.Errorf("it asks for more:\n%s", page)
	}
}
