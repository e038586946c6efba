package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/status"
	"stockroom/queue"
	"stockroom/store"
	"stockroom/webhook"
)

// fakeCalls is an Outbound that notes what is decided by hand.
type fakeCalls struct {
	calls status.Calls
	held  []Hold
}

func (f *fakeCalls) Calls(string, time.Time) status.Calls { return f.calls }
func (f *fakeCalls) DaysLeft(time.Time) (int, bool)       { return 0, false }
func (f *fakeCalls) SelfThrottled() int64                 { return 0 }
func (f *fakeCalls) Hold(_ string, h Hold) error          { f.held = append(f.held, h); return nil }
func wrong(text string) error                             { return errors.New(text) }
func statusFor(now time.Time, change func(*status.Sync)) status.Sync {
	st := status.Sync{
		ProvenIDs: now.Add(-time.Minute), ProvenFields: now.Add(-26 * time.Hour), Remote: 1234, RemoteAt: now.Add(-time.Minute), Staleness: 60,
		Schedules: []status.Schedule{
			{Name: "reconcile", Every: 3600, LastSuccess: now.Add(-time.Minute), Next: now.Add(59 * time.Minute)},
			{Name: "full_sync", Every: 86400, LastSuccess: now.Add(-26 * time.Hour), Next: now.Add(2 * time.Hour), LastError: "Shopify did not answer"},
			{Name: "incremental", Every: 600, Running: true}, {Name: "subscriptions", Every: 3600, Late: true},
		},
		Subscriptions: status.Subscriptions{CheckedAt: now.Add(-time.Minute), Present: true,
			Wanted: []status.Subscription{{Topic: "products/update", URI: "https://shop.example/webhooks/shopify/products", State: "present"}},
			Others: []status.Subscription{{Topic: "products/delete", URI: "https://other.example/", State: "elsewhere"}}},
	}
	if change != nil {
		change(&st)
	}
	return st
}

// everyPage is one of each page of the rig.
func (r *rig) everyPage() []string {
	list := []string{
		"/", "/products", "/products?q=SKU-7-S", "/products?status=INACTIVE", "/products?vendor=none", "/updates", "/updates?outcome=dead", "/updates?topic=products/update&product=7",
		"/jobs", "/jobs?state=dead", "/jobs?state=waiting", "/syncs", "/shops", "/shops/" + testShop + "/selection", "/shops/" + testShop + "/remove", "/settings",
		"/jobs/all/discard?newest=9&seen=" + strconv.FormatInt(time.Now().UnixNano(), 10),
	}
	jobs, _, err := r.queue.List(r.t.Context(), queue.Filter{})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, j := range jobs {
		list = append(list, fmt.Sprintf("/jobs/%d", j.ID), fmt.Sprintf("/jobs/%d/discard", j.ID))
	}
	runs, err := r.store.Runs(r.t.Context(), store.RunFilter{})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, run := range runs {
		list = append(list, fmt.Sprintf("/syncs/%d", run.ID))
	}
	found, err := r.store.Search(r.t.Context(), store.SearchFilter{Limit: 3})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, p := range found.Products {
		list = append(list, productPath(p.Shop, p.ExternalID))
	}
	return list
}

// full is a rig with something hostile in every place that shows text from
// outside.
func full(t *testing.T, text string) (*rig, *fakeSyncs, *fakeCalls) {
	now := time.Now()
	calls := &fakeCalls{calls: status.Calls{Used: 38, Budget: 60, Window: 60, Learnt: true, Circuit: "open", Reason: text, RetryAt: now.Add(time.Minute), Version: "2026-10", Deprecated: text, Waiting: 2}}
	r, syncs := newSyncRig(t, func(o *Options) {
		o.Outbound = calls
		o.Rejected = func() []webhook.Rejected {
			return []webhook.Rejected{{At: now, Reason: webhook.Reason(text), Detail: text, Address: text, Shop: text, Topic: text}}
		}
		o.Doctor = func(context.Context, bool) []Finding {
			return []Finding{{Check: text, Shop: text, Level: "fail", Text: text, Fix: text}, {Check: "token", Level: "ok", Text: "works"}, {Check: "clock", Level: "warn", Text: "late"}}
		}
		o.Settings = func() []config.Setting {
			return []config.Setting{{Name: "data", Value: text, Origin: text, Help: text}, {Name: "listen", Value: "127.0.0.1:8080", Origin: "default"}}
		}
		o.Version, o.PublicURL = text, text
	})
	r.notices = []status.Notice{{Level: status.LevelWarn, Text: text, Next: text}}
	syncs.status = statusFor(now, func(st *status.Sync) {
		st.Raw.Owed = text
		st.Schedules[1].LastError = text
		st.Subscriptions.Error, st.Subscriptions.Others[0].URI, st.Subscriptions.Others[0].State = text, text, text
	})
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	r.product(7, text, "")
	r.deliver(catalog.ProductsUpdate, fmt.Sprintf(`{"id":8,"title":%s,"body_html":%s,"vendor":%s,"product_type":%s,"handle":"h","tags":%s,"status":"draft","updated_at":"2026-11-01T10:00:00Z",
		"options":[{"id":1,"name":%s,"position":1,"values":[%s]}],"images":[{"id":1,"position":1,"src":%s,"alt":%s},{"id":2,"position":2,"src":"javascript:alert(1)","alt":%s},{"id":3,"position":3,"src":"https://cdn.example/a.png","alt":%s}],
		"variants":[{"id":81,"title":%s,"sku":%s,"barcode":%s,"price":"1.00","position":1,"option1":%s,"inventory_item_id":81}]}`,
		quoted, quoted, quoted, quoted, quoted, quoted, quoted, quoted, quoted, quoted, quoted, quoted, quoted, quoted, quoted))
	r.deliver(catalog.ProductsUpdate, `{"id":7,"title":"old","updated_at":"2020-01-01T00:00:00Z"}`)
	r.product(9, "Deleted", "")
	r.deliver(catalog.ProductsDelete, `{"id":9}`)
	r.deadJob(`{"id":5,"title":` + string(quoted) + `}`)
	r.deadJob(string(quoted))
	r.waitingJob(`{"id":6,"title":` + string(quoted) + `}`)
	short := text[:min(len(text), 200)]
	if _, err := r.queue.Bury(t.Context(), queue.NewJob{Kind: strings.ReplaceAll(text[:min(len(text), 40)], "\x00", ""), Labels: map[string]string{"shop": short, "reason": short}}, queue.ClassBug, wrong(text)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.queue.Enqueue(t.Context(), queue.NewJob{Kind: string(store.WantProduct), Labels: map[string]string{"shop": testShop, "id": "7", "reason": short}, NotBefore: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for i, state := range []store.RunState{store.RunDone, store.RunFailed, store.RunCancelled, store.RunRunning} {
		run, err := r.store.StartRun(t.Context(), store.SyncRun{Shop: testShop, Kind: []store.RunKind{store.RunFull, store.RunReconcile, store.RunIncremental, store.RunFull}[i], Trigger: text, DryRun: i == 1, Phase: "reading"})
		if err != nil {
			t.Fatal(err)
		}
		run.State, run.Error, run.Expected, run.Read, run.Operation = state, text, 100, 40, text
		if state != store.RunRunning {
			run.FinishedAt, run.Phase = store.MillisOf(now), ""
		} else {
			run.Error = ""
			running := run
			syncs.status.Running, syncs.status.Rate, syncs.status.EndsAt = &running, 12, now.Add(time.Minute)
		}
		if err := r.store.SaveRun(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		fields := []catalog.FieldDiff{{Path: text, Old: text, New: text}, {Path: "title", Old: "", New: "new"}}
		for range 9 { // more than are shown
			fields = append(fields, catalog.FieldDiff{Path: "variants[1].price", Old: "1.00", New: "2.00"})
		}
		r.drift(run.ID,
			store.Drift{ExternalID: 7, Title: text, Kind: store.DriftDifferent, Fields: fields},
			store.Drift{ExternalID: 10, Kind: store.DriftMissing}, store.Drift{ExternalID: 9, Title: "x", Kind: store.DriftExtra})
	}
	r.shops.list = append(r.shops.list,
		status.Connection{Shop: "wool.myshopify.com", State: "paused", Reason: "token: " + text, HasSecret: true, HasToken: true, MerchantID: text},
		status.Connection{Shop: text, State: "active", PreviousSecret: true, HasSecret: true, FromEnvironment: true, Selection: catalog.Selection{Mode: "rules", Rules: []catalog.Rule{{Field: "tag", Value: text}}}})
	r.click("/settings/check", nil)
	return r, syncs, calls
}

func TestEveryPageShowsAnEmptyServer(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"compares": nil, "nothing known": func(o *Options) { o.Syncs, o.PublicURL = nil, "" },
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newSyncRig(t, change)
			for _, path := range r.everyPage() {
				checkPage(t, r.admin(200, "GET", path, ""))
			}
			r.shops.list = nil
			for _, path := range []string{"/", "/products", "/updates", "/jobs", "/syncs", "/shops", "/settings"} {
				if _, text := checkPage(t, r.admin(200, "GET", path, "")); strings.Contains(text, "<no value>") {
					t.Errorf("%s lacks something", path)
				}
			}
		})
	}
}

func TestEmptyListsSayWhatToExpect(t *testing.T) {
	r, _ := newSyncRig(t, nil)
	for path, want := range map[string]string{
		"/products": "The first full read brings all of them", "/products?q=x": "No product fits.", "/updates": "Each one that Shopify sends shows here", "/updates?outcome=dead": "None that fits",
		"/jobs": "Nothing waits.", "/syncs": "Nothing ran yet.", "/settings": "Everything is as it is by default.", "/shops": "Not checked yet.",
	} {
		if _, text := checkPage(t, r.admin(200, "GET", path, "")); !strings.Contains(text, want) {
			t.Errorf("%s does not say %q", path, want)
		}
	}
}

func TestTextFromOutsideIsOnlyEverText(t *testing.T) {
	for name, text := range map[string]string{
		"markup":        nasty,
		"closing tags":  `</title></main></script></svg></textarea><iframe src="//evil.example">`,
		"right to left": "\u202e\u2066 שלום \u202d\u200f مرحبا",
		"template":      `{{template "mark" "bad"}}{{.}}<!-- --> ]]> &amp;lt;`,
		"address":       `javascript:alert(1)//https://evil.example/`,
		"long":          strings.Repeat("<b>unbreakable</b>", 560), // 10,080 letters
	} {
		t.Run(name, func(t *testing.T) {
			r, _, _ := full(t, text)
			shown := 0
			for _, path := range r.everyPage() {
				page := r.admin(200, "GET", path, "")
				_, seen := checkPage(t, page)
				for _, bad := range []string{"<iframe", "<script>", "<b>unbreakable", "<img src=x", "<b style"} {
					if strings.Contains(page, bad) {
						t.Errorf("%s: %s reaches the page", path, bad)
					}
				}
				if strings.Contains(seen, text[:min(len(text), 30)]) {
					shown++
				}
			}
			if shown < 12 {
				t.Errorf("the text is shown as it is on %d pages only", shown)
			}
		})
	}
}

func TestEveryPageIsSmall(t *testing.T) {
	r, _, _ := full(t, strings.Repeat("Some longer text about it ", 4))
	for id := int64(100); id < 160; id++ {
		r.product(id, strings.Repeat("A long title of a product ", 4), "")
	}
	for range 60 {
		r.deadJob(`{"id":1,"title":"Lamp"}`)
		r.waitingJob(`{"id":1,"title":"Lamp"}`)
	}
	var variants []string
	for i := range 2048 {
		variants = append(variants, fmt.Sprintf(`{"id":%d,"title":"Variant number %d","sku":"SKU-OF-VARIANT-%d","barcode":"0123456789012","price":"1299.00","compare_at_price":"1399.00","position":%d,"inventory_item_id":%d,"inventory_quantity":12}`, 500_000+i, i, i, i+1, 600_000+i))
	}
	r.deliver(catalog.ProductsUpdate, `{"id":6000,"title":"Large","body_html":"`+strings.Repeat("text ", 20_000)+`","updated_at":"2026-11-01T10:00:00Z","status":"active","variants":[`+strings.Join(variants, ",")+`]}`)
	for i := range 40 {
		r.shops.list = append(r.shops.list, status.Connection{Shop: fmt.Sprintf("shop-%d.myshopify.com", i), State: "active", HasSecret: true})
	}
	files := 0
	for _, name := range []string{"stockroom.css", "stockroom.js"} {
		files += serve(r.Admin(), request(http.MethodGet, r.assets.url[name], "")).Body.Len()
	}
	for _, path := range append(r.everyPage(), productPath(testShop, 6000), productPath(testShop, 6000)+"?variants=60", "/shops?from=5") {
		if size := len(r.admin(200, "GET", path, "")); size+files > 60_000 {
			t.Errorf("%s has %d bytes, with style and script %d", path, size, size+files)
		}
	}
}

func TestCommentsOfScriptAndStyleStayHere(t *testing.T) {
	got := string(slim([]byte("// why\n\"use strict\";\n\n  /* how */\n  const a = 1; // here\nlast")))
	if got != "\"use strict\";\nconst a = 1; // here\nlast\n" {
		t.Errorf("%q", got)
	}
}

// A fragment is what the script puts in place of the page's parts.
func TestTheScriptGetsThePageWithoutItsHead(t *testing.T) {
	r, _, _ := full(t, "text")
	for _, path := range r.everyPage() {
		w := serve(r.Admin(), request("GET", path, "", "X-Fragment", "1"))
		part := w.Body.String()
		whole := r.admin(200, "GET", path, "")
		if w.Code != 200 || strings.Contains(part, "<head") || strings.Contains(part, "<header") || !strings.Contains(part, `id="main"`) || len(part) >= len(whole) {
			t.Errorf("%s: %d, %d of %d bytes", path, w.Code, len(part), len(whole))
		}
		elements, _ := parse(t, "<x>"+part+"</x>")
		live := 0
		for _, e := range elements {
			if _, ok := e.attr["data-live"]; ok {
				live++
				if e.attr["id"] == "" {
					t.Errorf("%s: a live part without an id", path)
				}
			}
		}
		if live == 0 {
			t.Errorf("%s: nothing of it is live", path)
		}
	}
}

func TestEveryPageHasItsLandmarksHeadingsAndLabels(t *testing.T) {
	r, _, _ := full(t, "text")
	for _, path := range r.everyPage() {
		elements, _ := checkPage(t, r.admin(200, "GET", path, ""))
		level, h1, current := 0, 0, 0
		labels := map[string]bool{}
		count := map[string]int{}
		for _, e := range elements {
			count[e.name]++
			if e.name == "label" {
				labels[e.attr["for"]] = true
			}
			if e.attr["aria-current"] == "page" {
				current++
			}
			if len(e.name) == 2 && e.name[0] == 'h' && e.name[1] >= '1' && e.name[1] <= '6' {
				n := int(e.name[1] - '0')
				if n > level+1 {
					t.Errorf("%s: <%s> follows level %d", path, e.name, level)
				}
				level = n
				if n == 1 {
					h1++
				}
			}
		}
		if h1 != 1 || count["main"] != 1 || count["header"] != 1 || count["nav"] == 0 || current != 1 {
			t.Errorf("%s: %d h1, %d main, %d header, %d nav, %d current", path, h1, count["main"], count["header"], count["nav"], current)
		}
		for _, e := range elements {
			switch e.name {
			case "input", "select", "textarea":
				if e.attr["type"] != "hidden" && !labels[e.attr["id"]] {
					t.Errorf("%s: %s %s has no label", path, e.name, e.attr["id"])
				}
			case "form":
				if e.attr["method"] == "post" && strings.Contains(e.attr["action"], "?") {
					t.Errorf("%s: a form with a query: %s", path, e.attr["action"])
				}
			}
		}
	}
}

func TestErrorsOfPagesArePagesForABrowser(t *testing.T) {
	r := newRig(t, nil)
	for path, want := range map[string]int{
		"/jobs/7": 404, "/jobs/x": 400, "/products/" + testShop + "/77": 404, "/products?cursor=zzz": 400, "/products?status=x": 400, "/updates?cursor=!": 400, "/updates?product=x": 400,
		"/syncs/9": 404, "/shops/none.myshopify.com/selection": 404, "/shops?from=-1": 400, "/jobs?state=odd": 400, "/jobs?after=x": 400,
	} {
		w := serve(r.Admin(), request("GET", path, "", "Accept", "text/html,application/xhtml+xml"))
		if w.Code != want || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %s, want %d as a page", path, w.Code, w.Header().Get("Content-Type"), want)
			continue
		}
		checkPage(t, w.Body.String())
		if w := serve(r.Admin(), request("GET", path, "")); w.Code != want || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s for a program: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
	}
}
