package web

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/status"
	"stockroom/store"
	"stockroom/webhook"
)

func description(t *testing.T, r *rig) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(r.admin(200, "GET", "/api/v1/openapi.json", "")))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("version %s", doc.OpenAPI)
	}
	if err := doc.Validate(context.Background(), openapi3.IsOpenAPI31OrLater()); err != nil {
		t.Fatal(err)
	}
	return doc
}

// described turns a route's path into the document's.
func described(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if name, ok := strings.CutPrefix(p, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

func TestTheDescriptionNamesEveryConditionAndNoOther(t *testing.T) {
	var got []string
	for _, v := range description(t, newRig(t, nil)).Components.Schemas["Condition"].Value.Enum {
		got = append(got, v.(string))
	}
	if want := append(status.Codes(), "unknown"); !slices.Equal(got, want) {
		t.Errorf("it names %q, want %q", got, want)
	}
}

func TestTheDescriptionNamesEveryCodeOfARefusalAndNoOther(t *testing.T) {
	var got, want []string
	for _, v := range description(t, newRig(t, nil)).Components.Schemas["Problem"].Value.Properties["code"].Value.Enum {
		got = append(got, v.(string))
	}
	source, err := os.ReadFile(filepath.Join("..", "internal", "answer", "refusal.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`= "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		want = append(want, found[1])
	}
	if !slices.Equal(got, want) {
		t.Errorf("it names %q, want %q", got, want)
	}
}

func TestTheDescriptionNamesEveryRouteOfTheAPIAndNoOther(t *testing.T) {
	r := newRig(t, nil)
	doc := description(t, r)
	served, told := map[string]bool{}, map[string]bool{}
	for _, line := range r.adminRoutes() {
		if strings.HasPrefix(line.path, apiRoot) {
			served[line.method+" "+described(line.path)] = true
		}
	}
	ids := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			told[method+" "+path] = true
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s %s: operationId %q", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
			if op.Summary == "" || len(op.Tags) != 1 || doc.Tags.Get(op.Tags[0]) == nil {
				t.Errorf("%s %s: summary %q, tags %v", method, path, op.Summary, op.Tags)
			}
			for _, name := range strings.Split(path, "/") {
				if strings.HasPrefix(name, "{") && op.Parameters.GetByInAndName("path", strings.Trim(name, "{}")) == nil {
					t.Errorf("%s %s: parameter %s is not described", method, path, name)
				}
			}
		}
	}
	for line := range served {
		if !told[line] {
			t.Errorf("%s is served and not described", line)
		}
	}
	for line := range told {
		if !served[line] {
			t.Errorf("%s is described and not served", line)
		}
	}
}

// checkAnswer holds one answer to the document.
func checkAnswer(t *testing.T, r *rig, doc *openapi3.T, want int, method, path, body, target string, header ...string) {
	t.Helper()
	op := doc.Paths.Value(path).GetOperation(method)
	w := serve(r.Admin(), request(method, target, body, append(header, "Authorization", "Bearer "+testToken)...))
	if w.Code != want {
		t.Errorf("%s %s: status %d, want %d: %s", method, target, w.Code, want, w.Body)
		return
	}
	response := op.Responses.Status(w.Code)
	if response == nil {
		response = op.Responses.Default()
	}
	for name := range response.Value.Headers {
		if w.Header().Get(name) == "" && want == 200 && !(name == "Stockroom-Next" && w.Header().Get("Content-Type") == eventStreamTyp) {
			t.Errorf("%s %s: no header %s", method, target, name)
		}
	}
	kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	media := response.Value.Content[kind]
	if want >= 400 && kind != "application/problem+json" {
		t.Errorf("%s %s: an error of type %q", method, target, kind)
	}
	if media == nil {
		if want != http.StatusNotModified {
			t.Errorf("%s %s: %d of type %q is not described", method, target, w.Code, kind)
		}
		return
	}
	if !strings.HasSuffix(kind, "json") {
		return
	}
	if path != "/api/v1/openapi.json" {
		checkTimes(t, kind, method+" "+target, w.Body.String())
	}
	if strings.HasSuffix(kind, "x-ndjson") {
		return
	}
	var v any
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	if err := media.Schema.Value.VisitJSON(v, openapi3.EnableJSONSchema2020(), openapi3.MultiErrors()); err != nil {
		t.Errorf("%s %s: %v\n%s", method, target, err, w.Body)
	}
	if method != "GET" || path != "/api/v1/openapi.json" {
		for _, name := range undescribed(media.Schema.Value, v, "") {
			t.Errorf("%s %s: %s is not described", method, target, name)
		}
	}
	if body != "" && want < 300 {
		var in any
		if err := json.Unmarshal([]byte(body), &in); err != nil {
			t.Fatal(err)
		}
		if err := op.RequestBody.Value.Content["application/json"].Schema.Value.VisitJSON(in, openapi3.EnableJSONSchema2020()); err != nil {
			t.Errorf("%s %s: the body that is taken is not what is described: %v", method, target, err)
		}
	}
}

// undescribed returns the members of a value that its schema does not name. The
// document lets objects have more, but then it has to be brought up to date.
func undescribed(s *openapi3.Schema, v any, at string) (names []string) {
	switch v := v.(type) {
	case []any:
		if s.Items == nil {
			for _, one := range s.OneOf {
				if one.Value.Items != nil {
					s = one.Value
				}
			}
		}
		if s.Items == nil {
			return nil
		}
		for _, one := range v {
			names = append(names, undescribed(s.Items.Value, one, at+"[]")...)
		}
	case map[string]any:
		known := propertiesOf(s)
		if len(known) == 0 { // any object
			return nil
		}
		for name, value := range v {
			if p := known[name]; p == nil {
				names = append(names, at+"."+name)
			} else {
				names = append(names, undescribed(p.Value, value, at+"."+name)...)
			}
		}
	}
	return names
}

func propertiesOf(s *openapi3.Schema) map[string]*openapi3.SchemaRef {
	known := maps.Clone(map[string]*openapi3.SchemaRef(s.Properties))
	if known == nil {
		known = map[string]*openapi3.SchemaRef{}
	}
	for _, part := range slices.Concat(s.AllOf, s.OneOf) {
		maps.Copy(known, propertiesOf(part.Value))
	}
	return known
}

func TestEveryAnswerOfTheAPIIsAsDescribed(t *testing.T) {
	r, syncs := newSyncRig(t, func(o *Options) {
		o.Outbound, o.Consents = fakeOutbound{}, &consented{}
		o.Rejected = func() []webhook.Rejected {
			return []webhook.Rejected{{At: time.Now(), Reason: "wrong-signature", Status: 401, Detail: "no", Address: "::1", Shop: testShop}}
		}
		o.Notify, _ = messages(t, http.StatusOK)
		o.Settings, o.Backup = config.Settings{}.Describe, backups(t, o)
		o.Doctor = func(context.Context, bool) []Finding {
			return []Finding{{Check: "token", Shop: testShop, Level: "fail", Text: "no", Fix: "do"}}
		}
		o.SendSample = func(context.Context, Sample) (SampleSent, error) {
			return SampleSent{Level: "ok", Text: "Reached it.", URL: "http://127.0.0.1/", Shop: testShop, Topic: "products/update", Status: 200, Answer: json.RawMessage(`{"success":true}`)}, nil
		}
	})
	r.notices = []status.Notice{{Level: status.LevelWarn, Text: "Something.", Next: "Next."}, {ID: "state.db-1", Level: status.LevelBad, Text: "Lost."}}
	doc := description(t, r)
	r.product(1, "Shirt", `,"image":null`)
	r.product(1, "Shirt", "")
	r.product(2, "Trousers", "")
	r.deliver(catalog.ProductsDelete, `{"id":2}`)
	dead, waiting := r.deadJob(`{"id":1}`), r.waitingJob(`{"id":1}`)
	run, err := r.store.StartRun(t.Context(), store.SyncRun{Shop: testShop, Kind: store.RunReconcile, Trigger: "test", Phase: "listing"})
	if err != nil {
		t.Fatal(err)
	}
	r.drift(run.ID, store.Drift{ExternalID: 1, Title: "Shirt", Kind: store.DriftDifferent, Fields: []catalog.FieldDiff{{Path: "title", Old: "a", New: "b"}}})
	now := time.Now()
	syncs.status = status.Sync{
		Running: &run, Rate: 2.5, EndsAt: now, ProvenIDs: now, ProvenFields: now, Why: "no", Staleness: 7, Remote: 2, RemoteAt: now,
		Schedules:     []status.Schedule{{Name: "reconcile", Every: 3600, LastStart: now, LastSuccess: now, LastError: "x", Next: now}},
		Subscriptions: status.Subscriptions{CheckedAt: now, Error: "x", Wanted: []status.Subscription{{Topic: "products/update", URI: "https://x", ID: "gid://x/1", State: "present"}}},
	}
	syncs.subs = syncs.status.Subscriptions
	shop := "/api/v1/shops/" + testShop
	type call struct {
		want               int
		method, path, body string // path as in the document
		target             string // "" for path
	}
	calls := []call{
		{200, "GET", "/api/v1/status", "", ""},
		{200, "GET", "/api/v1/openapi.json", "", ""},
		{200, "POST", "/api/v1/doctor", "", ""},
		{200, "POST", "/api/v1/notices/{id}/acknowledge", "", "/api/v1/notices/state.db-1/acknowledge"},
		{200, "POST", "/api/v1/notify/test", "", ""},
		{200, "GET", "/api/v1/settings", "", ""},
		{200, "GET", "/api/v1/products", "", "/api/v1/products?limit=1&q=shirt"},
		{200, "GET", "/api/v1/products", "", "/api/v1/products?brief=true&status=ACTIVE&vendor=Acme&type=Shirts"},
		{400, "GET", "/api/v1/products", "", "/api/v1/products?after=x"},
		{400, "GET", "/api/v1/products", "", "/api/v1/products?status=x"},
		{400, "GET", "/api/v1/products", "", "/api/v1/products?brief=x"},
		{400, "GET", "/api/v1/products", "", "/api/v1/products?q=" + strings.Repeat("x", 401)},
		{200, "GET", "/api/v1/products/{shop}/{id}", "", "/api/v1/products/" + testShop + "/1"},
		{404, "GET", "/api/v1/products/{shop}/{id}", "", "/api/v1/products/" + testShop + "/7"},
		{400, "GET", "/api/v1/products/{shop}/{id}", "", "/api/v1/products/" + testShop + "/x"},
		{200, "GET", "/api/v1/explain/{shop}/{id}", "", "/api/v1/explain/" + testShop + "/1"},
		{200, "GET", "/api/v1/explain/{shop}/{id}", "", "/api/v1/explain/" + testShop + "/2"},
		{404, "GET", "/api/v1/explain/{shop}/{id}", "", "/api/v1/explain/" + testShop + "/7"},
		{200, "GET", "/api/v1/products-export", "", ""},
		{200, "GET", "/api/v1/products-export", "", "/api/v1/products-export?format=json"},
		{200, "GET", "/api/v1/products-export", "", "/api/v1/products-export?format=csv&raw=true"},
		{200, "GET", "/api/v1/products-export", "", "/api/v1/products-export?format=sqlite"},
		{400, "GET", "/api/v1/products-export", "", "/api/v1/products-export?format=pdf"},
		{200, "GET", "/api/v1/backup", "", ""},
		{400, "GET", "/api/v1/backup", "", "/api/v1/backup?secrets=perhaps"},
		{200, "GET", "/api/v1/deliveries", "", "/api/v1/deliveries?limit=2&outcome=applied&topic=products/update&product=1"},
		{200, "GET", "/api/v1/deliveries", "", ""},
		{400, "GET", "/api/v1/deliveries", "", "/api/v1/deliveries?outcome=x"},
		{200, "GET", "/api/v1/rejected", "", ""},
		{200, "POST", "/api/v1/webhooks-test", `{"topic":"products/update"}`, ""},
		{200, "GET", "/api/v1/changes", "", "/api/v1/changes?after=1"},
		{409, "GET", "/api/v1/changes", "", "/api/v1/changes?after=999"},
		{400, "GET", "/api/v1/changes", "", "/api/v1/changes?wait=x"},
		{200, "GET", "/api/v1/jobs", "", "/api/v1/jobs?limit=1&data=true"},
		{200, "GET", "/api/v1/jobs", "", "/api/v1/jobs?order=newest&shop=" + testShop},
		{400, "GET", "/api/v1/jobs", "", "/api/v1/jobs?state=x"},
		{200, "GET", "/api/v1/jobs/{id}", "", fmt.Sprint("/api/v1/jobs/", dead)},
		{200, "GET", "/api/v1/jobs/{id}", "", fmt.Sprint("/api/v1/jobs/", waiting)},
		{404, "GET", "/api/v1/jobs/{id}", "", "/api/v1/jobs/999"},
		{200, "POST", "/api/v1/jobs/{id}/retry", "", fmt.Sprint("/api/v1/jobs/", waiting, "/retry")},
		{200, "POST", "/api/v1/jobs/{id}/discard", "", fmt.Sprint("/api/v1/jobs/", waiting, "/discard")},
		{404, "POST", "/api/v1/jobs/{id}/discard", "", fmt.Sprint("/api/v1/jobs/", waiting, "/discard")},
		{200, "POST", "/api/v1/jobs-retry", "", "/api/v1/jobs-retry?up_to=1"},
		{200, "POST", "/api/v1/jobs-discard", "", ""},
		{400, "POST", "/api/v1/jobs-discard", "", "/api/v1/jobs-discard?up_to=x"},
		{200, "GET", "/api/v1/shops", "", ""},
		{200, "PUT", "/api/v1/shops/{shop}", `{"merchant_id":"m","secret":"s"}`, "/api/v1/shops/wool.myshopify.com"},
		{400, "PUT", "/api/v1/shops/{shop}", `{"api_key":"shpss_1"}`, "/api/v1/shops/wool.myshopify.com"},
		{400, "PUT", "/api/v1/shops/{shop}", `{"api_key":7}`, "/api/v1/shops/wool.myshopify.com"},
		{200, "GET", "/api/v1/shops/{shop}/consent", "", shop + "/consent"},
		{200, "DELETE", "/api/v1/shops/{shop}/consent", "", shop + "/consent"},
		{201, "POST", "/api/v1/shops/{shop}/consent", `{"api_key":"id","secret":"s","scopes":["read_products"]}`, shop + "/consent"},
		{200, "POST", "/api/v1/shops/{shop}/consent/callback", `{"address":"?x"}`, shop + "/consent/callback"},
		{400, "POST", "/api/v1/shops/{shop}/consent/callback", `{"address":1}`, shop + "/consent/callback"},
		{200, "GET", "/api/v1/shops/{shop}/selection", "", shop + "/selection"},
		{200, "PUT", "/api/v1/shops/{shop}/selection", `{"mode":"rules","rules":[{"field":"tag","value":"linen"}]}`, shop + "/selection?dry_run=true"},
		{409, "PUT", "/api/v1/shops/{shop}/selection", `{"mode":"include"}`, shop + "/selection"},
		{200, "PUT", "/api/v1/shops/{shop}/selection", `{"mode":"rules","rules":[{"field":"tag","value":"linen"}]}`, shop + "/selection?yes=true"},
		{200, "GET", "/api/v1/shops", "", ""},
		{404, "GET", "/api/v1/shops/{shop}/selection", "", "/api/v1/shops/none.myshopify.com/selection"},
		{200, "POST", "/api/v1/shops/{shop}/circuit", `{"hold":"try"}`, shop + "/circuit"},
		{200, "GET", "/api/v1/shops/{shop}/sync", "", shop + "/sync"},
		{202, "POST", "/api/v1/shops/{shop}/sync", `{"kind":"full"}`, shop + "/sync"},
		{400, "POST", "/api/v1/shops/{shop}/sync", `{"kind":"x"}`, shop + "/sync"},
		{200, "POST", "/api/v1/shops/{shop}/sync/cancel", "", shop + "/sync/cancel"},
		{200, "GET", "/api/v1/shops/{shop}/subscriptions", "", shop + "/subscriptions"},
		{200, "POST", "/api/v1/shops/{shop}/subscriptions", "", shop + "/subscriptions"},
		{200, "GET", "/api/v1/syncs", "", "/api/v1/syncs?limit=1"},
		{200, "GET", "/api/v1/syncs/{id}", "", fmt.Sprint("/api/v1/syncs/", run.ID)},
		{404, "GET", "/api/v1/syncs/{id}", "", "/api/v1/syncs/999"},
		{200, "GET", "/api/v1/syncs/{id}/drift", "", fmt.Sprint("/api/v1/syncs/", run.ID, "/drift")},
		{200, "DELETE", "/api/v1/shops/{shop}", "", "/api/v1/shops/wool.myshopify.com?dry_run=true"},
		{200, "DELETE", "/api/v1/shops/{shop}", "", "/api/v1/shops/wool.myshopify.com?purge=true"},
		{200, "GET", "/api/v1/password", "", ""},
		{200, "GET", "/api/v1/sessions", "", ""},
		{200, "DELETE", "/api/v1/sessions", "", ""},
		{404, "DELETE", "/api/v1/sessions/{id}", "", "/api/v1/sessions/none"},
		{201, "POST", "/api/v1/login-link", "", ""},
		{201, "POST", "/api/v1/tokens", `{"name":"prometheus"}`, ""},
		{200, "GET", "/api/v1/tokens", "", ""},
		{200, "DELETE", "/api/v1/tokens/{name}", "", "/api/v1/tokens/prometheus"},
	}
	tried := map[string]bool{}
	for _, c := range calls {
		if c.target == "" {
			c.target = c.path
		}
		tried[c.method+" "+c.path] = true
		checkAnswer(t, r, doc, c.want, c.method, c.path, c.body, c.target)
	}
	checkAnswer(t, r, doc, 304, "GET", "/api/v1/shops", "", "/api/v1/shops", "If-None-Match", "*")
	checkAnswer(t, r, doc, 200, "GET", "/api/v1/openapi.json", "", "/api/v1/openapi.json")
	for path, item := range doc.Paths.Map() {
		if item.Get != nil && !tried["GET "+path] {
			t.Errorf("GET %s is not tried here", path)
		}
	}
}

// fakeOutbound tells of calls that nobody makes.
type fakeOutbound struct{}

func (fakeOutbound) Calls(string, time.Time) status.Calls {
	return status.Calls{Used: 3, Budget: 80, Window: 60, Circuit: "open", Reason: "x", RetryAt: time.Now(), NextGrant: time.Now(), Version: "2026-10", Deprecated: "x"}
}
func (fakeOutbound) DaysLeft(time.Time) (int, bool) { return 300, true }
func (fakeOutbound) SelfThrottled() int64           { return 0 }
func (fakeOutbound) Hold(string, Hold) error        { return nil }
