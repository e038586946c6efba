package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/julienschmidt/httprouter"
)

func TestErrorsOfPagesSpeakToAPerson(t *testing.T) {
	r := newRig(t, nil)
	for _, tt := range []struct {
		path         string
		status       int
		says, target string
	}{
		{"/jobs/999", 404, "There is no job with this id any more: it was done, retried or discarded.</p>", `<a href="/jobs">Back to waiting and failed</a>`},
		{"/jobs/x", 400, "A job&#39;s id is a number.</p>", `<a href="/jobs">`},
		{"/products/" + testShop + "/5", 404, "Nothing is known under this shop and id.</p>", `<a href="/products">Back to products</a>`},
		{"/products?cursor=zz", 400, "begin at the first one.", `<a href="/products">`},
		{"/updates?cursor=zz", 400, "begin at the newest.", `<a href="/updates">Back to product updates</a>`},
		{"/logout", 405, "belongs to a button", `<a href="/">Back to overview</a>`},
		{"/jobs?state=dead&after=zz", 400, "Open the list from its beginning.", `<a href="/jobs">`},
		{"/nope", 404, "There is nothing at this path.", `<a href="/">Back to overview</a>`},
	} {
		w := serve(r.Admin(), request("GET", tt.path, "", "Accept", "text/html"))
		body := w.Body.String()
		if w.Code != tt.status || !strings.Contains(body, tt.says) || !strings.Contains(body, tt.target) || strings.Contains(body, "/api/v1") {
			t.Errorf("%s: %d %s", tt.path, w.Code, body)
		}
		if calm := strings.Contains(body, `class="state idle"`); calm != (tt.status == 404) {
			t.Errorf("%s: the mood is wrong", tt.path)
		}
	}
	if w := serve(r.Admin(), request("GET", "/logout", "", "Accept", "*/*")); w.Code != 405 || w.Header().Get("Allow") == "" || !strings.Contains(w.Body.String(), `"status":405`) {
		t.Errorf("a program: %d %s", w.Code, w.Body)
	}
}

func TestWithoutAShopEveryListSaysHowToConnectOne(t *testing.T) {
	r := newRig(t, nil)
	r.shops.list = nil
	for _, path := range []string{"/products", "/updates", "/syncs"} {
		if page := r.admin(200, "GET", path, ""); !strings.Contains(page, `No shop is connected yet. <a href="/shops">Connect one</a>`) || strings.Contains(page, "products-export") {
			t.Errorf("%s: %s", path, page)
		}
	}
}

func TestAPanicIsAPageForABrowser(t *testing.T) {
	r := newRig(t, nil)
	h := r.recovered(r.router([]route{{http.MethodGet, "/jobs/:id", func(http.ResponseWriter, *http.Request, httprouter.Params) error { panic("secret cause") }}}))
	for accept, want := range map[string]string{"text/html": "The log of Stockroom has a line with the cause.</p>", "*/*": `"status":500`} {
		w := serve(h, request("GET", "/jobs/1", "", "Accept", accept))
		if w.Code != 500 || !strings.Contains(w.Body.String(), want) || strings.Contains(w.Body.String(), "secret cause") {
			t.Errorf("%s: %d %s", accept, w.Code, w.Body)
		}
	}
}
