package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/catalog"
	"stockroom/store"
	"stockroom/webhook"
)

func TestShopsAreAddedChangedSelectedAndRemoved(t *testing.T) {
	r := newRig(t, nil)
	const path = "/api/v1/shops/wool.myshopify.com"
	body := r.admin(200, "PUT", path, `{"merchant_id":"m-7","api_key":"key","secret":"shpss_topsecret","previous_secret":"shpss_older","access_token":"shpat_token"}`)
	if strings.Contains(body, "shpss_") || strings.Contains(body, "shpat_") {
		t.Errorf("a secret in the answer: %s", body)
	}
	added := r.shops.added[0]
	if added.Shop != "wool.myshopify.com" || added.MerchantID != "m-7" || added.Secret.Reveal() != "shpss_topsecret" ||
		added.PreviousSecret.Reveal() != "shpss_older" || added.AccessToken.Reveal() != "shpat_token" || added.APIKey != "key" {
		t.Errorf("added %+v", added)
	}
	if list := r.admin(200, "GET", "/api/v1/shops", ""); !strings.Contains(list, "wool.myshopify.com") || strings.Contains(list, "shpss_") {
		t.Errorf("list: %s", list)
	}
	if got := r.admin(200, "GET", path+"/selection", ""); got != `{"mode":"all"}`+"\n" {
		t.Errorf("selection: %s", got)
	}
	r.product(1, "Shirt", "")
	effect := r.admin(200, "PUT", "/api/v1/shops/"+testShop+"/selection?yes=true", `{"mode":"include","include":[2,3]}`)
	if effect != `{"selection":{"mode":"include","include":[2,3]},"stored":1,"active":1,"activated":0,"deactivated":1,"to_fetch":2,"full_sync":false,`+
		`"drastic":true,"remarks":["Not stored yet: 2, 3. What exists of them in the shop is read from Shopify."]}`+"\n" {
		t.Errorf("effect: %s", effect)
	}
	if got := r.admin(200, "DELETE", "/api/v1/shops/"+testShop+"?dry_run=true", ""); !strings.Contains(got, `"products_deactivated":1`) || len(r.shops.list) != 2 {
		t.Errorf("dry run: %s", got)
	}
	if got := r.admin(200, "DELETE", "/api/v1/shops/"+testShop+"?purge=true", ""); got != `{"shop":"linen.myshopify.com","products":1,"products_deactivated":0,"products_deleted":1,`+
		`"subscriptions_deleted":10,"subscriptions_left":[],"left_because":"","files":[]}`+"\n" {
		t.Errorf("remove: %s", got)
	}
	r.admin(404, "DELETE", "/api/v1/shops/"+testShop, "")
}

func TestBadRequestsToShopsSayWhatIsWrong(t *testing.T) {
	r := newRig(t, nil)
	for _, tt := range []struct {
		method, path, body string
		status             int
		say                string
	}{
		{"PUT", "shops/example.com", "{}", 400, "before .myshopify.com"},
		{"PUT", "shops/wool.myshopify.com", `{"secrets":"shpss_x"}`, 400, "member"},
		{"PUT", "shops/wool.myshopify.com", `{"secret":7}`, 400, "secret"},
		{"PUT", "shops/wool.myshopify.com", `{"secret":"shpss_x"`, 400, "JSON"},
		{"PUT", "shops/wool.myshopify.com", `{} {}`, 400, "behind"},
		{"PUT", "shops/wool.myshopify.com", `{"secret":"` + strings.Repeat("x", maxAPIBody) + `"}`, 413, "limit"},
		{"PUT", "shops/wool.myshopify.com", `{"api_key":"refuse"}`, 400, "Shopify does not know this key."},
		{"PUT", "shops/" + testShop + "/selection", `{"mode":"some"}`, 400, "all, include or rules"},
		{"PUT", "shops/" + testShop + "/selection", `{"mode":"include","include":[-1]}`, 400, "product id"},
		{"PUT", "shops/unknown.myshopify.com/selection", `{"mode":"all"}`, 404, "not connected"},
		{"GET", "shops/unknown.myshopify.com/selection", "", 404, "not connected"},
		{"DELETE", "shops/" + testShop + "?purge=perhaps", "", 400, "true or false"},
		{"PUT", "shops/" + testShop + "/selection?dry_run=perhaps", `{"mode":"all"}`, 400, "true or false"},
		{"PUT", "shops/" + testShop + "/selection?yes=perhaps", `{"mode":"all"}`, 400, "true or false"},
	} {
		body := r.admin(tt.status, tt.method, "/api/v1/"+tt.path, tt.body)
		p := decode[struct {
			Type, Title, Detail string
			Status              int
		}](t, body)
		if !strings.Contains(p.Detail, tt.say) || p.Title == "" || p.Status != tt.status || p.Type != "about:blank" {
			t.Errorf("%s %s: %s", tt.method, tt.path, body)
		}
		if strings.Contains(body, "shpss_") {
			t.Errorf("%s %s: a secret in the answer: %s", tt.method, tt.path, body)
		}
	}
}

func TestJobsAreShownWithTheWebhooksBody(t *testing.T) {
	r := newRig(t, nil)
	id := r.deadJob(`{"id":9007199254740993,"title":7}`)
	text := r.admin(200, "GET", fmt.Sprintf("/api/v1/jobs/%d", id), "")
	job := decode[map[string]any](t, text)
	for name, want := range map[string]any{
		"id": strconv.FormatUint(id, 10), "kind": "webhook", "shop": testShop, "topic": "products/update", "webhook_id": "w-1",
		"state": "dead", "attempts": 0.0, "max_attempts": 5.0, "class": "poison", "received_at": "2026-11-23T10:00:00.5Z",
		"last_error": "title: a number where text belongs", "first_error": "title: a number where text belongs",
	} {
		if job[name] != want {
			t.Errorf("%s is %v, want %v", name, job[name], want)
		}
	}
	if !strings.Contains(text, `"data":{"id":9007199254740993,"title":7}`) {
		t.Errorf("the body is not as it came: %s", text)
	}
	for _, name := range []string{"enqueued_at", "died_at"} {
		if s, _ := job[name].(string); !strings.HasSuffix(s, "Z") {
			t.Errorf("%s is %v", name, job[name])
		}
	}
	if _, there := job["first_attempt_at"]; there {
		t.Error("a time of something that has not happened")
	}
	list := r.admin(200, "GET", "/api/v1/jobs?state=dead&data=true", "")
	if !strings.Contains(list, `"data":{"id":9007199254740993`) || !strings.Contains(list, `"next":null`) {
		t.Errorf("list: %s", list)
	}
	if list := r.admin(200, "GET", "/api/v1/jobs", ""); strings.Contains(list, `"data"`) {
		t.Errorf("a list has bodies unasked: %s", list)
	}
}

func TestABodyThatIsNoJSONIsShownAsText(t *testing.T) {
	r := newRig(t, nil)
	id := r.deadJob("<html>\xff</html>")
	if text := r.admin(200, "GET", fmt.Sprintf("/api/v1/jobs/%d", id), ""); !strings.Contains(text, `\u003chtml\u003e`) {
		t.Error(text)
	}
}

func TestJobsAreFilteredAndPaged(t *testing.T) {
	r := newRig(t, nil)
	for range 5 {
		r.waitingJob("{}")
	}
	r.deadJob("{}")
	type page struct {
		Jobs []Job
		Next *string
	}
	seen, after, pages := 0, "", 0
	for {
		p := decode[page](t, r.admin(200, "GET", "/api/v1/jobs?state=waiting&limit=2&after="+after, ""))
		seen, pages = seen+len(p.Jobs), pages+1
		if p.Next == nil {
			break
		}
		after = *p.Next
	}
	if seen != 5 || pages != 3 {
		t.Errorf("%d jobs on %d pages", seen, pages)
	}
	for query, want := range map[string]int{
		"shop=" + testShop: 6, "shop=other.myshopify.com": 0, "topic=products/update": 6, "topic=products/delete": 0,
		"shop=" + testShop + "&topic=products/update": 6, "shop=" + testShop + "&topic=products/delete": 0, "kind=webhook": 6, "kind=fetch_product": 0,
		"shop=" + testShop + "&topic=products/update&limit=4": 4, "state=dead": 1,
	} {
		p := decode[page](t, r.admin(200, "GET", "/api/v1/jobs?"+query, ""))
		if len(p.Jobs) != want || (want == 4) != (p.Next != nil) {
			t.Errorf("%s: %d jobs, next %v", query, len(p.Jobs), p.Next)
		}
	}
	for _, query := range []string{"state=gone", "limit=0", "limit=x", "limit=100000", "after=-1", "after=x"} {
		r.admin(400, "GET", "/api/v1/jobs?"+query, "")
	}
}

func TestADeadLetterIsRetriedOrDiscardedOnce(t *testing.T) {
	r := newRig(t, nil)
	id := r.deadJob("{}")
	path := fmt.Sprintf("/api/v1/jobs/%d/", id)
	if got := r.admin(200, "POST", path+"retry", ""); got != "{\"retried\":1}\n" {
		t.Error(got)
	}
	if got := r.admin(200, "POST", path+"retry", ""); got != "{\"retried\":0}\n" {
		t.Errorf("the second click: %s", got)
	}
	if got := r.admin(200, "POST", path+"discard", ""); got != "{\"discarded\":1}\n" {
		t.Error(got)
	}
	r.admin(404, "POST", path+"discard", "")
	r.admin(404, "POST", path+"retry", "")
	r.admin(404, "GET", fmt.Sprintf("/api/v1/jobs/%d", id), "")
	r.admin(400, "GET", "/api/v1/jobs/x", "")
	r.admin(405, "GET", path+"retry", "")
}

func TestAllDeadLettersOfAFilterAreRetriedOrDiscarded(t *testing.T) {
	r := newRig(t, nil)
	for range 3 {
		r.deadJob("{}")
	}
	waiting := r.waitingJob("{}")
	if got := r.admin(200, "POST", "/api/v1/jobs-retry?shop=other.myshopify.com", ""); got != "{\"retried\":0}\n" {
		t.Error(got)
	}
	if got := r.admin(200, "POST", "/api/v1/jobs-retry?shop="+testShop, ""); got != "{\"retried\":3}\n" {
		t.Error(got)
	}
	r.deadJob("{}")
	if got := r.admin(200, "POST", "/api/v1/jobs-discard", ""); got != "{\"discarded\":1}\n" {
		t.Error(got)
	}
	r.admin(200, "GET", fmt.Sprintf("/api/v1/jobs/%d", waiting), "")
	r.admin(400, "POST", "/api/v1/jobs-discard?state=leased", "")
	r.deadJob("{}")
	if got := r.admin(200, "POST", "/api/v1/jobs-discard?shop="+testShop+"&topic=orders/create", ""); got != "{\"discarded\":0}\n" {
		t.Errorf("of a shop and another topic: %s", got)
	}
	if got := r.admin(200, "POST", "/api/v1/jobs-discard?shop="+testShop+"&topic=products/update", ""); got != "{\"discarded\":1}\n" {
		t.Errorf("of a shop and a topic: %s", got)
	}
}

func TestProductsAreListedSearchedAndShown(t *testing.T) {
	r := newRig(t, nil)
	for id := int64(1); id <= 5; id++ {
		r.product(id, fmt.Sprintf("Shirt %d", id), "")
	}
	r.product(9007199254740993, "50% <b>off</b>", "")
	type page struct {
		Products []productSeen
		Next     *string
	}
	seen, after := 0, ""
	for {
		p := decode[page](t, r.admin(200, "GET", "/api/v1/products?limit=4&after="+after, ""))
		seen += len(p.Products)
		if p.Next == nil {
			break
		}
		after = *p.Next
	}
	if seen != 6 {
		t.Errorf("%d products over all pages", seen)
	}
	for query, want := range map[string]int{
		"q=Shirt": 5, "q=SKU-3-M": 1, "q=50%25": 1, "q=product-2": 1, "q=9007199254740993": 1, "q=nothing": 0,
		"status=ACTIVE": 6, "status=INACTIVE": 0, "shop=" + testShop: 6,
	} {
		if p := decode[page](t, r.admin(200, "GET", "/api/v1/products?"+query, "")); len(p.Products) != want || p.Products == nil {
			t.Errorf("%s: %d products", query, len(p.Products))
		}
	}
	text := r.admin(200, "GET", "/api/v1/products/"+testShop+"/9007199254740993", "")
	for _, want := range []string{`"external_id":9007199254740993`, `"price":"1299.000"`, `"tags":["linen","summer"]`, `"shopify_updated_at":"2026-11-01T10:00:00Z"`, `50% \u003cb\u003eoff`} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %s in %s", want, text)
		}
	}
	r.admin(404, "GET", "/api/v1/products/"+testShop+"/77", "")
	r.admin(400, "GET", "/api/v1/products/"+testShop+"/x", "")
	r.admin(400, "GET", "/api/v1/products/example.com/1", "")
	r.admin(400, "GET", "/api/v1/products?status=active", "")
}

// A slip in the name of a shop must not look like a shop without products. One that
// was removed is known as long as its products are kept.
func TestAListOfAShopThatIsNotKnownSaysSo(t *testing.T) {
	r := newRig(t, nil)
	r.product(1, "Shirt", "")
	for _, path := range []string{"products?", "products-export?format=csv&", "products-export?"} {
		path = "/api/v1/" + path + "shop="
		got := r.admin(404, "GET", path+"linnen.myshopify.com", "")
		if !strings.Contains(got, `"code":"unknown-shop"`) || !strings.Contains(got, "linnen.myshopify.com is not connected; stockroom shop list shows those that are.") {
			t.Errorf("%s: %s", path, got)
		}
		r.admin(200, "GET", path+testShop, "")
		r.admin(200, "GET", path, "")
	}
	if _, err := r.shops.Remove(t.Context(), testShop, false, false); err != nil {
		t.Fatal(err)
	}
	if got := r.admin(200, "GET", "/api/v1/products?shop="+testShop, ""); !strings.Contains(got, "Shirt") {
		t.Errorf("a removed shop: %s", got)
	}
}

func TestAProductIsExplained(t *testing.T) {
	r := newRig(t, nil)
	r.product(1, "Shirt", "")
	r.deliver(catalog.ProductsDelete, `{"id":1}`)
	e := decode[struct {
		Product             *productSeen
		DeletedAt           *time.Time `json:"deleted_at"`
		Deliveries, Changes []struct{}
	}](t, r.admin(200, "GET", "/api/v1/explain/"+testShop+"/1", ""))
	if len(e.Deliveries) != 2 || e.DeletedAt == nil || e.Product != nil || len(e.Changes) != 2 {
		t.Errorf("%+v", e)
	}
	r.admin(404, "GET", "/api/v1/explain/"+testShop+"/2", "")
}

func TestDeliveriesArePagedNewestFirst(t *testing.T) {
	r := newRig(t, nil)
	for id := int64(1); id <= 5; id++ {
		r.product(id, "Shirt", "")
	}
	type page struct {
		Deliveries []store.DeliveryRow
		Next       *string
	}
	p := decode[page](t, r.admin(200, "GET", "/api/v1/deliveries?limit=3", ""))
	if len(p.Deliveries) != 3 || p.Deliveries[0].ID < p.Deliveries[1].ID || p.Next == nil {
		t.Fatalf("%+v", p)
	}
	p = decode[page](t, r.admin(200, "GET", "/api/v1/deliveries?limit=3&after="+*p.Next, ""))
	if len(p.Deliveries) != 2 || p.Next != nil {
		t.Errorf("%+v", p)
	}
}

func TestRefusedDeliveriesAreListed(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Rejected = func() []webhook.Rejected {
			return []webhook.Rejected{{Reason: "no_hmac", Status: 401, Detail: "Missing", Address: "192.0.2.1"}}
		}
	})
	if got := r.admin(200, "GET", "/api/v1/rejected", ""); !strings.Contains(got, `"reason":"no_hmac"`) {
		t.Error(got)
	}
	if got := newRig(t, nil).admin(200, "GET", "/api/v1/rejected", ""); got != `{"rejected":[]}`+"\n" {
		t.Error(got)
	}
}

func TestTheChangeFeedHasNoGapOrSaysSo(t *testing.T) {
	r := newRig(t, nil)
	for id := int64(1); id <= 5; id++ {
		r.product(id, "Shirt", "")
	}
	lines := strings.Split(strings.TrimSpace(r.admin(200, "GET", "/api/v1/changes?after=2&limit=2", "")), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], `{"seq":3,`) || !strings.Contains(lines[1], `"kind":"created"`) {
		t.Errorf("%q", lines)
	}
	if got := r.admin(200, "GET", "/api/v1/changes?after=5", ""); got != "" {
		t.Errorf("at the end: %q", got)
	}
	if got := r.admin(409, "GET", "/api/v1/changes?after=6", ""); !strings.Contains(got, `"newest":5`) {
		t.Errorf("beyond the end: %s", got)
	}
}

func TestAFeedThatWasCutSaysWhereItBegins(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Options{Path: dir + "/products.db", Watermark: 40})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	r := newRig(t, func(o *Options) { o.Store = db })
	for _, after := range []string{"0", "39"} {
		if got := r.admin(410, "GET", "/api/v1/changes?after="+after, ""); !strings.Contains(got, `"oldest":41`) || !strings.Contains(got, "seq 41") {
			t.Errorf("empty feed, after=%s: %s", after, got)
		}
	}
	if got := r.admin(200, "GET", "/api/v1/changes?after=40", ""); got != "" {
		t.Errorf("after=40: %q", got)
	}
	r.store = db
	r.product(1, "Shirt", "")
	if got := r.admin(410, "GET", "/api/v1/changes?after=39", ""); !strings.Contains(got, `"oldest":41`) {
		t.Error(got)
	}
	if got := r.admin(200, "GET", "/api/v1/changes?after=40", ""); !strings.Contains(got, `"seq":41`) {
		t.Error(got)
	}
}

func TestStatusTellsTheSentenceAndTheNumbers(t *testing.T) {
	r := newRig(t, nil)
	r.product(1, "Shirt", "")
	r.waitingJob("{}")
	v := decode[statusView](t, r.admin(200, "GET", "/api/v1/status", ""))
	if v.Sentence == "" || v.Mood != moodWait || v.Ready.Status != "ready" || v.Queue.Waiting != 1 || v.LastSeq != 1 || len(v.Shops) != 1 {
		t.Fatalf("%+v", v)
	}
	if s := v.Shops[0]; s.Shop != testShop || *s.Products != 1 || *s.Active != 1 || s.Waiting != 1 || s.LastUpdateAt == nil || s.Selection != "all products" {
		t.Errorf("%+v", s)
	}
}

func TestAClosedCatalogueIsAnAnswerNotACrash(t *testing.T) {
	r := newRig(t, nil)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"products", "deliveries", "changes", "products-export", "products/" + testShop + "/1", "explain/" + testShop + "/1"} {
		w := serve(r.Admin(), request(http.MethodGet, "/api/v1/"+path, ""))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	r.admin(200, "GET", "/api/v1/status", "")
	r.admin(200, "GET", "/", "")
	r.admin(200, "GET", "/metrics", "")
}

func TestASampleDeliveryIsSentByTheServer(t *testing.T) {
	var body string
	r := newRig(t, func(o *Options) {
		o.SendSample = func(_ context.Context, s Sample) (SampleSent, error) {
			if s.Shop == "unknown" {
				return SampleSent{}, answer.Refuse(404, "", "This shop is not connected.")
			}
			body = string(s.Body)
			return SampleSent{URL: "http://127.0.0.1:8080/webhooks/shopify/products", Shop: testShop, Topic: s.Topic, Status: 200, Answer: []byte("<busy>")}, nil
		}
	})
	got := r.admin(200, "POST", samplePath, `{"topic":"products/update","body":"{}"}`)
	if !strings.Contains(got, `"status":200,"answer":"\u003cbusy\u003e"`) || body != "{}" {
		t.Error(got, body)
	}
	r.admin(200, "POST", samplePath, `{"body_base64":"/w=="}`)
	if body != "\xff" {
		t.Errorf("sent %q", body)
	}
	r.admin(400, "POST", samplePath, `{"body_base64":"!"}`)
	r.admin(404, "POST", samplePath, `{"shop":"unknown"}`)
	r.admin(200, "POST", samplePath, `{"body":"`+strings.Repeat("x", 3*maxAPIBody)+`"}`)
	newRig(t, nil).admin(409, "POST", samplePath, `{}`)
}
