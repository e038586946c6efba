package browsertest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"stockroom/internal/fakeshopify"
)

// busyApp is an appliance with something on every page: two shops, one of which
// refuses its token, products, one of them full of markup, updates of every
// kind, waiting and failed jobs, refused requests.
func busyApp(t *testing.T) *app {
	t.Helper()
	a := newApp(t, appOptions{Products: 24})
	if status := a.api(http.MethodPut, "/api/v1/shops/second-shop-with-a-rather-long-name.myshopify.com", `{"check":false,"api_key":"key","secret":"not-its-secret"}`, nil); status != http.StatusOK {
		t.Fatalf("add a shop: status %d", status)
	}
	for _, id := range a.shop.IDs() {
		a.shop.UpdateProduct(id, func(p *fakeshopify.Product) {
			if id%5 == 0 {
				p.Title = `<img src=x onerror="document.title='broken'"> "Linen" & <b>sons</b> ` + strings.Repeat("unbreakable", 12)
			}
		})
	}
	a.deliver()
	for range 10 {
		a.shop.RandomEdit()
	}
	a.deliver()
	a.trouble()
	if dead := a.dead(); dead != 3 {
		t.Fatalf("%d failed jobs, want 3", dead)
	}
	return a
}

// trouble makes three dead letters of different causes, refused requests, and a
// Shopify that answers no call any more while something has to be read from it.
func (a *app) trouble() {
	a.t.Helper()
	a.poison(1)
	a.shop.Fail(fakeshopify.Fault{Status: http.StatusServiceUnavailable, Times: -1}) // else reads would resolve them
	body := string(a.shop.Body(fakeshopify.TopicUpdate, a.shop.IDs()[1]))
	a.post(fakeshopify.TopicUpdate, a.shop.Domain(), a.shop.Secret(), body[:len(body)/2])
	a.post(fakeshopify.TopicDelete, a.shop.Domain(), a.shop.Secret(), string(a.shop.Body(fakeshopify.TopicUpdate, a.shop.IDs()[2])))
	a.post(fakeshopify.TopicUpdate, a.shop.Domain(), "a wrong secret", `{"id":1}`)
	a.post(fakeshopify.TopicUpdate, "stranger.myshopify.com", a.shop.Secret(), `{"id":1}`)
	for _, id := range a.shop.IDs()[:6] {
		a.post(fakeshopify.TopicInventoryLevel, a.shop.Domain(), a.shop.Secret(), string(a.shop.Body(fakeshopify.TopicInventoryLevel, id)))
	}
}

var (
	link    = regexp.MustCompile(`(?:href|action)="(/[^"#]*)"`)
	longRun = regexp.MustCompile(`[0-9]+|[0-9a-f]{16,}|` + `[a-z-]+\.myshopify\.com`)
)

// pages follows every link to a page from the overview, one of each kind, and
// adds what no link leads to. It also finds the links that lead nowhere.
func (a *app) pages() []string {
	a.t.Helper()
	list := []string{"/", "/login", "/no-such-page", "/?said=retried&n=1"}
	kinds := map[string]bool{"/?": true, "/?said": true}
	for i := 0; i < len(list); i++ {
		req, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, a.URL+list[i], nil)
		if err != nil {
			a.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+a.token)
		req.Header.Set("Accept", "text/html")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			a.t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			a.t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK && list[i] != "/no-such-page" {
			a.t.Errorf("%s: %d, and a page links to it", list[i], res.StatusCode)
			list = slices.Delete(list, i, i+1)
			i--
			continue
		}
		for _, m := range link.FindAllStringSubmatch(string(body), -1) {
			target := strings.NewReplacer("&amp;", "&", "&#34;", `"`, "&#43;", "+").Replace(m[1])
			u, err := url.Parse(target)
			if err != nil || strings.HasPrefix(m[0], "action") && !strings.Contains(target, "?") {
				continue // where a form posts to
			}
			for _, other := range []string{"/api/", "/metrics", "/readyz", "/healthz", "/assets/", "/events"} {
				if strings.HasPrefix(u.Path+"/", other) || strings.HasPrefix(u.Path, other) {
					u = nil
					break
				}
			}
			if u == nil {
				continue
			}
			kind := longRun.ReplaceAllString(u.Path, ":x")
			var names []string
			for name := range u.Query() {
				if name != "still" { // the same page, standing still without script
					names = append(names, name)
				}
			}
			slices.Sort(names)
			kind += "?" + strings.Join(names, "&")
			if !kinds[kind] {
				kinds[kind] = true
				list = append(list, target)
			}
		}
	}
	if len(list) > 60 {
		a.t.Fatalf("%d kinds of pages: %v", len(list), list)
	}
	return list
}

// axe is the source of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile(filepath.Join("testdata", "axe", "axe.min.js"))
	return string(text), err
})

// violation is one thing axe found.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// violations runs axe on the page as it is, details opened.
func (p *tab) violations() []violation {
	p.t.Helper()
	source, err := axe()
	if err != nil {
		p.t.Fatal(err)
	}
	value[bool](p, `(() => { for (const d of document.querySelectorAll("details")) d.open = true; return true; })()`)
	value[bool](p, `(() => { if (!window.axe) {`+source+`} return !!window.axe; })()`)
	return value[[]violation](p, `axe.run(document, {resultTypes: ["violations"],
		runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}).then(r =>
		r.violations.map(v => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 3).map(n => ({HTML: n.html, FailureSummary: n.failureSummary}))})))`)
}

// wide is what reaches beyond the right edge of the page, "" for nothing.
func (p *tab) wide() string {
	p.t.Helper()
	return value[string](p, `(() => {
		const most = innerWidth, root = document.scrollingElement;
		if (root.scrollWidth <= most) return "";
		const out = [...document.body.querySelectorAll("*")].filter(e =>
			e.checkVisibility() && (e.getBoundingClientRect().right > most || e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX === "visible"));
		return root.scrollWidth + " px wide because of " + out.slice(-3).map(e => e.outerHTML.slice(0, 160)).join(" | ");
	})()`)
}

// examine opens a page: axe finds nothing in either theme, and at 320 px nothing
// has to be scrolled sideways.
func (p *tab) examine(path string) {
	p.t.Helper()
	p.theme("light")
	p.open(path)
	for _, theme := range []string{"light", "dark"} {
		p.theme(theme)
		for _, v := range p.violations() {
			words := fmt.Sprintf("%s in %s: %s, %s (%s)", path, theme, v.ID, v.Help, v.Impact)
			for _, n := range v.Nodes {
				words += fmt.Sprintf("\n  %.300s\n  %s", n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", "\n    "))
			}
			p.t.Error(words)
		}
	}
	p.width(320)
	if what := p.wide(); what != "" {
		p.t.Errorf("%s at 320 px: %s", path, what)
	}
	p.width(1100)
}

// Every page in both themes, with something on it; the console stays silent.
func TestEveryPageIsAccessibleAndFitsAPhone(t *testing.T) {
	t.Parallel()
	a := busyApp(t)
	p := a.visit(t)
	list := a.pages()
	t.Logf("%d pages: %v", len(list), list)
	for _, path := range list {
		p.examine(path)
	}
	p.forgive("status of 404 (Not Found) " + a.URL + "/no-such-page")
	if title := value[string](p, "document.title"); strings.Contains(title, "broken") {
		t.Error("the text of a product ran as a script")
	}
}

// The same with nothing on them yet.
func TestEveryEmptyPageIsAccessibleAndFitsAPhone(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{})
	p := a.visit(t)
	for _, path := range []string{"/", "/products", "/products?q=nothing", "/updates", "/jobs", "/syncs", "/shops", "/shops?connect", "/shops?connect=consent", "/shops?connect=token", "/settings", "/account"} {
		p.examine(path)
	}
}

// What examine looks for is found where it is.
func TestExamineFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{})
	p := a.visit(t)
	p.open("/")
	value[bool](p, `(() => {
		const wrong = document.createElement("div");
		wrong.innerHTML = '<img src="/assets/none"><p class="faint">too faint</p><input><p class="broad">x</p>';
		document.getElementById("main").append(wrong);
		wrong.querySelector(".faint").style.color = "#ddd";
		wrong.querySelector(".faint").style.background = "#eee";
		wrong.querySelector(".broad").style.width = "2000px";
		return true;
	})()`)
	var found []string
	for _, v := range p.violations() {
		found = append(found, v.ID)
	}
	for _, want := range []string{"image-alt", "color-contrast", "label"} {
		if !slices.Contains(found, want) {
			t.Errorf("axe does not find %s, only %v", want, found)
		}
	}
	if p.wide() == "" {
		t.Error("a broad element is not found")
	}
	value[bool](p, `(() => { const s = document.createElement("script"); s.textContent = "window.ran = true"; document.body.append(s); return true; })()`)
	if p.is("window.ran") {
		t.Error("an inline script ran")
	}
	p.mu.Lock()
	complaints := strings.Join(p.problems, "\n")
	p.mu.Unlock()
	if !strings.Contains(complaints, "Content Security Policy") {
		t.Errorf("the console does not complain of an inline script: %s", complaints)
	}
	p.rough = true
}

// Each page with its script, style and icon is small, full lists and live
// updates included.
func TestEveryPageWithScriptAndStyleIsAtMost60KB(t *testing.T) {
	t.Parallel()
	a := busyApp(t)
	for range 100 {
		a.shop.CreateProduct(nil)
	}
	a.deliver()
	p := a.visit(t)
	most, largest := 0, ""
	for _, path := range a.pages() {
		p.open(path)
		bytes := value[int](p, `(async () => {
			const at = [location.href, ...[...document.querySelectorAll("link[href], script[src], img[src]")].map(e => e.href || e.src)];
			let n = 0;
			for (const url of new Set(at)) n += (await (await fetch(url)).arrayBuffer()).byteLength;
			return n;
		})()`)
		if bytes > 60_000 {
			t.Errorf("%s with script and style is %d bytes", path, bytes)
		}
		if bytes > most {
			most, largest = bytes, path
		}
	}
	p.rough = true // the page that is none is asked for twice
	t.Logf("the largest, %s, has %d bytes", largest, most)
}
