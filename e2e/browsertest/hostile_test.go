package browsertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// hostilePage tries from another origin whatever a page can try, and says in its
// title when it is done. What it got is in window.got.
const hostilePage = `<!doctype html><title>trying</title><body><script>
const at = new URLSearchParams(location.search).get("at");
const reads = JSON.parse(%s), writes = JSON.parse(%s);
window.got = [];
const got = (how, what) => window.got.push(how + " " + what);
const settled = (begin) => new Promise(done => { begin(done); setTimeout(done, 2000); });
const element = (tag, set, path, loads) => settled(done => {
	const e = document.createElement(tag);
	e.onload = () => { if (loads) got(tag, path); else look(e, path); done(); };
	e.onerror = done;
	set(e);
	document.body.append(e);
});
const look = (frame, path) => {
	try { got("frame", path + " " + frame.contentDocument.body.innerText.slice(0, 80) + frame.contentDocument.title); } catch { }
};
const all = async () => {
	for (const path of reads) {
		const url = at + path;
		await Promise.all([
			fetch(url, {credentials: "include"}).then(r => got("fetch", path), () => {}),
			fetch(url, {credentials: "include", mode: "no-cors"}).then(r => r.text()).then(text => { if (text) got("no-cors", path + text); }, () => {}),
			element("img", e => e.src = url, path, true),
			element("script", e => e.src = url, path, true),
			element("link", e => { e.rel = "stylesheet"; e.href = url; }, path, true),
			settled(done => {
				const e = new EventSource(url, {withCredentials: true});
				e.onopen = () => { got("events", path); e.close(); done(); };
				e.onerror = () => { e.close(); done(); };
			}),
			settled(done => {
				const e = new WebSocket(url.replace("http", "ws"));
				e.onopen = () => { got("socket", path); done(); };
				e.onerror = done;
			}),
		]);
	}
	await Promise.all(["/", "/account", "/api/v1/products"].map(path => element("iframe", e => e.src = at + path, path, false)));
	for (const [method, path, body] of writes) {
		const options = {method, body, credentials: "include"};
		await fetch(at + path, {...options, headers: {"Content-Type": "application/json"}}).then(r => got(method, path), () => {});
		await fetch(at + path, {...options, method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"}}).catch(() => {});
		await settled(done => {
			const frame = document.createElement("iframe"), form = document.createElement("form");
			frame.name = "f" + document.querySelectorAll("iframe").length;
			form.method = "post"; form.action = at + path; form.target = frame.name;
			for (const [name, value] of new URLSearchParams("mode=include&include=1&kind=full&password=evil+password+7&again=evil+password+7")) {
				const e = document.createElement("input");
				e.name = name; e.value = value; form.append(e);
			}
			let loads = 0;
			frame.onload = () => { if (loads++) { look(frame, path); done(); } };
			document.body.append(frame, form);
			setTimeout(() => form.submit(), 0);
			setTimeout(done, 300);
		});
	}
};
all().then(() => document.title = "done", e => document.title = "failed: " + e);
</script>`

// quoted is v as JSON inside a JavaScript string.
func quoted(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // of constants
	}
	return quote(string(text))
}

// kept is what a hostile page would change.
func (a *app) kept() string {
	a.t.Helper()
	var all strings.Builder
	for _, path := range []string{"/api/v1/shops", "/api/v1/shops/" + a.shop.Domain() + "/selection", "/api/v1/syncs", "/api/v1/jobs", "/api/v1/password", "/api/v1/tokens"} {
		var v any
		a.api(http.MethodGet, path, "", &v)
		fmt.Fprintf(&all, "%s %v\n", path, v)
	}
	var sessions struct{ Sessions []struct{ ID string } }
	a.api(http.MethodGet, "/api/v1/sessions", "", &sessions)
	fmt.Fprintf(&all, "%v", sessions)
	return all.String()
}

// A page of another website, in the browser that is logged in, reads nothing and
// changes nothing: neither from another name, nor from another port of the same
// one, to which the browser gives our cookie; and no demo either.
func TestAHostilePageGetsNothing(t *testing.T) {
	t.Parallel()
	for _, demo := range []bool{false, true} {
		t.Run(fmt.Sprintf("demo %v", demo), func(t *testing.T) {
			t.Parallel()
			a := newApp(t, appOptions{Products: 3, Demo: demo})
			a.synced()
			shop := "/shops/" + a.shop.Domain()
			reads := []string{"/", "/products", "/account", "/settings", "/metrics", "/readyz", "/events", "/api/v1/status", "/api/v1/products", "/api/v1/products-export?format=csv",
				"/api/v1/changes?after=0", "/api/v1/sessions", "/assets/stockroom.js", "/login", "/login?link=x"}
			writes := [][3]string{
				{"PUT", "/api/v1" + shop, `{"secret":"evil"}`}, {"PUT", "/api/v1" + shop + "/selection", `{"mode":"include","include":[1]}`}, {"DELETE", "/api/v1" + shop, ""},
				{"POST", "/api/v1" + shop + "/sync", `{}`}, {"POST", "/api/v1" + shop + "/circuit", `{"hold":true}`}, {"POST", "/api/v1/jobs-discard", ""}, {"POST", "/api/v1/tokens", `{"name":"evil"}`},
				{"DELETE", "/api/v1/sessions", ""}, {"PUT", "/api/v1/password", `{"password":"evil password 7"}`}, {"POST", shop + "/selection", ""}, {"POST", "/syncs", ""}, {"POST", "/logout", ""},
				{"POST", "/account/password", ""}, {"POST", "/account/sessions-end", ""}, {"POST", "/login", ""}, {"POST", "/setup", ""}, {"POST", "/api/v1/doctor", ""},
			}
			evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				fmt.Fprintf(w, hostilePage, quoted(reads), quoted(writes))
			}))
			t.Cleanup(evil.Close)
			victim := a.visit(t)
			victim.rough = true
			before := a.kept()
			port := evil.URL[strings.LastIndex(evil.URL, ":"):]
			for _, origin := range []string{evil.URL, "http://hostile.example" + port, "http://localhost" + port} {
				victim.base = origin
				victim.open("/?at=" + url.QueryEscape(a.URL))
				victim.until(`document.title !== "trying"`)
				got, err := chromedp.Run(victim.ctx, chromedp.Evaluate[[]string](`[document.title, ...window.got]`))
				if err != nil || len(got) != 1 || got[0] != "done" {
					t.Errorf("a page of %s got %q %v", origin, got, err)
				}
				if after := a.kept(); after != before {
					t.Errorf("a page of %s changed something:\n%s\n%s", origin, before, after)
				}
			}
			victim.base = "http://rebound.example" + a.URL[strings.LastIndex(a.URL, ":"):]
			for _, path := range []string{"/", "/api/v1/products", "/login"} {
				victim.open(path)
				victim.until(`/Unknown host name/.test(document.body.innerText)`)
			}
			victim.base = a.URL
			victim.open("/products")
			victim.at("/products")
		})
	}
}

// The link works wherever it is clicked: typed, on a page of another website such as
// a web terminal, and from the file that stockroom open writes.
func TestALinkThatIsClickedElsewhereOpensThePage(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{})
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>terminal</title><p><a href="%s%s">link</a>`, a.URL, a.link())
	}))
	t.Cleanup(elsewhere.Close)
	file := filepath.Join(t.TempDir(), "open.html")
	text := fmt.Sprintf(`<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=%s%s"><title>Stockroom</title>`, a.URL, a.link())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{elsewhere.URL, strings.Replace(elsewhere.URL, "127.0.0.1", "hostile.example", 1), "file://" + file} {
		for _, script := range []bool{true, false} {
			if strings.HasPrefix(from, "file:") && !script {
				continue // the link in it works once
			}
			p := newTab(t, from)
			p.rough = true // no icon there
			p.script(script)
			p.open("")
			if !strings.HasPrefix(from, "file:") {
				p.click("body", "link")
			}
			p.until(`location.pathname === "/" && location.origin === ` + quote(a.URL) + ` && document.body.innerText.includes("Log out")`)
		}
	}
}
