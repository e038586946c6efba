package web

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/status"
	"stockroom/queue"
	"stockroom/store"
	"stockroom/webhook"
)

const nasty = `"><script>alert(1)</script><img src=x onerror=alert(2)>{{.Version}}</time><b style="x">'`

// element is one element of a page with its attributes.
type element struct {
	name string
	attr map[string]string
}

// parse reads a page and checks that its elements close.
func parse(t *testing.T, page string) (elements []element, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var open []string
	var b strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("page: %v", err)
		}
		switch v := token.(type) {
		case xml.StartElement:
			e := element{v.Name.Local, map[string]string{}}
			for _, a := range v.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			elements, open = append(elements, e), append(open, v.Name.Local)
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != v.Name.Local {
				t.Fatalf("</%s> closes %v", v.Name.Local, open)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			b.Write(v)
		}
	}
	if len(open) > 0 {
		t.Errorf("never closed: %v", open)
	}
	return elements, b.String()
}

// checkPage checks what holds for every page.
func checkPage(t *testing.T, page string) (elements []element, text string) {
	t.Helper()
	elements, text = parse(t, page)
	allowed := " html head meta title link script noscript nav body rect input label select option textarea fieldset legend table caption thead tbody tr th td em figure figcaption br del ins svg symbol circle path use a header p img main section h1 h2 h3 ul ol li div span b dl dt dd pre code details summary form button time footer "
	ids := map[string]bool{}
	for _, e := range elements {
		if !strings.Contains(allowed, " "+e.name+" ") {
			t.Errorf("the page holds <%s>", e.name)
		}
		for name, value := range e.attr {
			if e.name == "script" && (e.attr["src"] == "" || !strings.HasPrefix(e.attr["src"], "/assets/")) {
				t.Error("a script of the page's own text")
			}
			if name == "style" || strings.HasPrefix(name, "on") {
				t.Errorf("<%s> has the attribute %s", e.name, name)
			}
			if e.name == "a" && e.attr["rel"] == "noreferrer noopener external" && strings.HasPrefix(value, "https://") {
				continue // an image of the shop, as a link
			}
			if (name == "href" || name == "src" || name == "action") && !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "#") {
				t.Errorf("<%s %s=%q> leads elsewhere", e.name, name, value)
			}
		}
		if id := e.attr["id"]; id != "" {
			if ids[id] {
				t.Errorf("the id %s is there twice", id)
			}
			ids[id] = true
		}
		if e.name == "time" {
			if _, err := time.Parse(time.RFC3339, e.attr["datetime"]); err != nil {
				t.Errorf("time: %v", err)
			}
		}
	}
	for _, e := range elements {
		for _, name := range []string{"aria-labelledby"} {
			if id := e.attr[name]; id != "" && !ids[id] {
				t.Errorf("%s names %s, which is not there", name, id)
			}
		}
		if id, ok := strings.CutPrefix(e.attr["href"], "#"); ok && !ids[id] {
			t.Errorf("a link to #%s, which is not there", id)
		}
	}
	return elements, text
}

func TestThePageSaysWhatIsThere(t *testing.T) {
	r := newRig(t, nil)
	r.product(7, "Linen shirt", "")
	r.deliver(catalog.ProductsUpdate, `{"id":7,"title":"old","updated_at":"2020-01-01T00:00:00Z"}`)
	elements, text := checkPage(t, r.admin(200, "GET", "/", ""))
	for _, want := range []string{
		"Connected. The copy is not compared with the shop here.", "Ready", "Linen shirt", "was changed", "Stored", "Older: a newer version is stored",
		"Keeps all products.", "Added: active, 2 variants, several prices", "Nothing waits to be retried, and nothing needs a look.", "None since the start.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(text, "linen.") {
		t.Error("rows name the shop although there is only one")
	}
	refresh := false
	for _, e := range elements {
		refresh = refresh || e.attr["http-equiv"] == "refresh"
	}
	if !refresh {
		t.Error("the page does not reload by itself")
	}
	elements, _ = checkPage(t, r.admin(200, "GET", "/?still", ""))
	for _, e := range elements {
		if e.attr["http-equiv"] == "refresh" {
			t.Error("the still page reloads")
		}
	}
}

func TestAnEmptyServerSaysWhatToDo(t *testing.T) {
	r := newRig(t, nil)
	r.shops.list = nil
	_, text := checkPage(t, r.admin(200, "GET", "/", ""))
	for _, want := range []string{"No shop is connected yet.", "stockroom shop add NAME.myshopify.com --api-key CLIENT_ID", "None: in pull mode Shopify sends nothing.", "Empty."} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
}

func TestThePageListsJobsRefusalsAndNotices(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Rejected = func() []webhook.Rejected {
			return []webhook.Rejected{{At: time.Now(), Reason: "body_changed", Detail: "Pass the raw bytes through.", Address: "203.0.113.9", Shop: testShop}}
		}
	})
	r.notices = []status.Notice{{Level: status.LevelBad, Text: "products.db was moved aside.", Next: "A full sync brings it back."}}
	r.shops.list = append(r.shops.list, status.Connection{Shop: "wool.myshopify.com", State: "paused", Reason: "token"})
	for range jobsShown + 3 {
		r.deadJob(`{"id":5,"title":"Broken lamp"}`)
	}
	r.waitingJob(`{"id":6,"title":"Waiting lamp"}`)
	elements, text := checkPage(t, r.admin(200, "GET", "/", ""))
	for _, want := range []string{
		"Needs a look", "Broken lamp", "The content can't be understood: title: a number where text belongs. Not tried, because no try can work.", "and 3 more",
		"Waiting to retry", "Waiting lamp", "Changed on the way", "203.0.113.9, says it is linen", "Problem", "products.db was moved aside.", "A full sync brings it back.",
		"Paused: Shopify does not accept the app's credentials.", "Give working ones with this command:", "Retry all",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
	forms := 0
	for _, e := range elements {
		if e.name == "form" {
			if e.attr["method"] != "post" {
				t.Errorf("a form that is no POST: %v", e.attr)
			}
			forms++
		}
	}
	if forms != jobsShown+1 {
		t.Errorf("%d forms", forms)
	}
}

func TestProductTextIsOnlyEverText(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Rejected = func() []webhook.Rejected {
			return []webhook.Rejected{{At: time.Now(), Reason: webhook.Reason(nasty), Detail: nasty, Address: nasty, Shop: nasty, Topic: nasty}}
		}
		o.Version, o.PublicURL, o.DataDir = nasty, nasty, nasty
	})
	r.notices = []status.Notice{{Level: status.LevelWarn, Text: nasty, Next: nasty}}
	r.shops.list = append(r.shops.list, status.Connection{Shop: nasty, State: "paused", Reason: nasty, Selection: catalog.Selection{Mode: "rules", Rules: []catalog.Rule{{Field: "tag", Value: nasty}}}})
	r.product(7, nasty, "")
	title, err := json.Marshal(nasty)
	if err != nil {
		t.Fatal(err)
	}
	r.deadJob(`{"id":5,"title":` + string(title) + `}`)
	if _, err := r.queue.Bury(t.Context(), queue.NewJob{Kind: nasty[:40], Labels: map[string]string{"shop": nasty, "reason": nasty}}, queue.ClassBug, errors.New(nasty)); err != nil {
		t.Fatal(err)
	}
	page := r.admin(200, "GET", "/", "")
	_, text := checkPage(t, page)
	if !strings.Contains(text, nasty) {
		t.Error("the text is not shown as it is")
	}
	if strings.Contains(page, "<script>") || strings.Contains(page, "<b style") {
		t.Error("markup of a product reaches the page")
	}
}

func TestThePageIsSmallAndItsFilesAreCachedForEver(t *testing.T) {
	r := newRig(t, nil)
	for id := int64(1); id <= 30; id++ {
		r.product(id, strings.Repeat("A long title of a product ", 4), "")
	}
	for range jobsShown + 5 {
		r.deadJob(`{"id":1,"title":"Lamp"}`)
		r.waitingJob(`{"id":1,"title":"Lamp"}`)
	}
	size := len(r.admin(200, "GET", "/", ""))
	for name, path := range r.assets.url {
		w := serve(r.Admin(), request(http.MethodGet, path, ""))
		if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || !strings.Contains(path, "-") {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		size += w.Body.Len()
	}
	if size > 60<<10 {
		t.Errorf("the page with its style has %d bytes", size)
	}
	for _, path := range []string{"/assets/stockroom.css", "/assets/stockroom-000000000000.css", "/assets/"} {
		if w := serve(r.Admin(), request(http.MethodGet, path, "")); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestAQueuedDeliveryIsReadAsTheIntakeWritesIt(t *testing.T) {
	want := webhook.Envelope{Shop: testShop, Topic: "products/update", WebhookID: "w", EventID: "e", ReceivedAt: noon, TriggeredAt: noon.Add(-time.Second), Body: []byte("{\n\"id\":5,\"title\":\"Lamp\"}\n")}
	text, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := webhook.DecodeEnvelope(text)
	if err != nil || got.Shop != want.Shop || got.Topic != want.Topic || got.WebhookID != "w" || got.EventID != "e" || !got.ReceivedAt.Equal(noon) ||
		!got.TriggeredAt.Equal(want.TriggeredAt) || string(got.Body) != string(want.Body) {
		t.Errorf("%v %+v", err, got)
	}
	if title, id := subjectOf(text); title != "Lamp" || id != 5 {
		t.Errorf("about %q %d", title, id)
	}
	for body, want := range map[string]string{`{"id":5,"title":7}`: " 5", `{"id":"x","title":"a"}`: "a 0", `[1]`: " 0", `{"id":1e3}`: " 0", "": " 0"} {
		if title, id := subjectOf(payload(body)); fmt.Sprintf("%s %d", title, id) != want {
			t.Errorf("%s: %q %d", body, title, id)
		}
	}
	if _, err := webhook.DecodeEnvelope([]byte(`{"shop":"a","id":1}` + "\n{}")); err == nil {
		t.Error("another kind of payload is taken for a delivery")
	}
}

func TestManyVariantsDoNotHideTheirPrices(t *testing.T) {
	priced := func(price string) store.VariantRow {
		return store.VariantRow{Variant: catalog.Variant{Price: catalog.Of(price)}}
	}
	for _, tt := range []struct {
		row  store.ProductRow
		want string
	}{
		{store.ProductRow{Status: "ACTIVE", Selected: true, Variants: []store.VariantRow{priced("5.00"), priced("5.00")}}, "active, 2 variants, 5.00"},
		{store.ProductRow{Status: "ACTIVE", Selected: true, Variants: []store.VariantRow{priced("5.00"), priced("6.00")}}, "active, 2 variants, several prices"},
		{store.ProductRow{Status: "INACTIVE", Variants: []store.VariantRow{{}}}, "not selected, 1 variant"},
		{store.ProductRow{Status: "INACTIVE", Selected: true}, "inactive, 0 variants"},
	} {
		if got := productWords(&tt.row); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// Every pair of text and background has at least 4.5:1 (WCAG 2.2 AA, 1.4.3),
// marks and rules of state at least 3:1 (1.4.11).
func TestColoursHaveEnoughContrast(t *testing.T) {
	css, err := assetFiles.ReadFile("assets/stockroom.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, ok := strings.Cut(string(css), "@media (prefers-color-scheme:dark)")
	if !ok {
		t.Fatal("no dark theme")
	}
	dark, _, _ := strings.Cut(rest, "}}")
	for name, text := range map[string]string{"light": light, "dark": dark} {
		colour := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+):#([0-9a-f]{6})`).FindAllStringSubmatch(text, -1) {
			colour[m[1]] = luminance(t, m[2])
		}
		for _, pair := range []struct {
			front, back string
			least       float64
		}{
			{"ink", "paper", 7}, {"ink", "sheet", 7}, {"soft", "paper", 4.5}, {"soft", "sheet", 4.5}, {"link", "paper", 4.5}, {"link", "sheet", 4.5},
			{"ink", "good-bg", 7}, {"ink", "idle-bg", 7}, {"ink", "wait-bg", 7}, {"ink", "bad-bg", 7},
			{"good", "good-bg", 4.5}, {"idle", "idle-bg", 4.5}, {"wait", "wait-bg", 4.5}, {"bad", "bad-bg", 4.5},
			{"good", "sheet", 4.5}, {"idle", "sheet", 4.5}, {"wait", "sheet", 4.5}, {"bad", "sheet", 4.5}, {"good", "paper", 4.5}, {"bad", "paper", 4.5},
			{"cut", "good", 3}, {"cut", "bad", 3}, {"bad", "idle-bg", 4.5},
		} {
			a, okA := colour[pair.front]
			b, okB := colour[pair.back]
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); !okA || !okB || ratio < pair.least {
				t.Errorf("%s: %s on %s has %.2f:1, least is %.1f", name, pair.front, pair.back, ratio, pair.least)
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	part := func(v uint64) float64 {
		c := float64(v&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(n>>16) + 0.7152*part(n>>8) + 0.0722*part(n)
}
