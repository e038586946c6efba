package fakeshopify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheTokenEndpointGrantsAndTokensExpire(t *testing.T) {
	at := epoch
	s := New(Options{Secret: "hush", ClientID: "key", Now: func() time.Time { return at },
		API: APIOptions{TokenLife: time.Hour, RefuseInJSON: true}})
	grant := func(secret string) (int, map[string]any) {
		status, _, text := post(t, s, "/admin/oauth/access_token", "", fmt.Sprintf(`{"client_id":"key","client_secret":%q,"grant_type":"client_credentials"}`, secret))
		var m map[string]any
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		return status, m
	}
	status, m := grant("hush")
	if status != 200 || m["expires_in"] != 3599.0 || m["scope"] != "read_products,read_inventory,read_locations" {
		t.Fatalf("%d %v", status, m)
	}
	token, _ := m["access_token"].(string)
	use := func(token string) int {
		status, _, text := post(t, s, "/admin/api/2026-10/graphql.json", token, `{"query":"{shop{name}}"}`)
		if status == 401 && text != `{"errors":"[API] Invalid API key or access token (unrecognized login or wrong password)"}` {
			t.Errorf("%s", text)
		}
		return status
	}
	if use(token) != 200 || use("") != 401 || use("wrong") != 401 {
		t.Error("the wrong tokens are taken")
	}
	at = at.Add(time.Hour)
	if use(token) != 401 {
		t.Error("a token outlived its life")
	}
	s.RotateSecret("new")
	if a, _ := grant("hush"); a != 200 {
		t.Error("the old secret is refused at once")
	}
	at = at.Add(time.Hour)
	if a, m := grant("hush"); a != 400 || m["error"] != "invalid_client" {
		t.Errorf("the old secret after its hour: %d %v", a, m)
	}
	if a, m := grant("new"); a != 200 || use(m["access_token"].(string)) != 200 {
		t.Error("the new secret is refused")
	}
	s.opt.API.Grant = GrantConsent
	if a, m := grant("new"); a != 400 || m["error"] != "shop_not_permitted" {
		t.Errorf("%d %v", a, m)
	}
}

func TestDeprecatedFieldsAreAnnounced(t *testing.T) {
	s := apiShop(Options{Products: 1, Now: fixed(epoch)})
	for query, want := range map[string]bool{`{products(first:1){nodes{bodyHtml}}}`: true, `{products(first:1){nodes{descriptionHtml}}}`: false} {
		_, h, _ := post(t, s, "/admin/api/2026-10/graphql.json", testToken, `{"query":"`+query+`"}`)
		if got := h.Get("X-Shopify-API-Deprecated-Reason") != ""; got != want {
			t.Errorf("%s: announced %v", query, got)
		}
	}
}

func TestVersionsFallForward(t *testing.T) {
	for _, c := range []struct {
		at           string
		asked, serve string
	}{
		{"2026-11-23T00:00:00Z", "2026-10", "2026-10"},
		{"2026-11-23T00:00:00Z", "2026-01", "2026-01"},
		{"2026-11-23T00:00:00Z", "2025-10", "2026-01"},
		{"2026-11-23T00:00:00Z", "2027-01", "2027-01"},
		{"2026-11-23T00:00:00Z", "unstable", "unstable"},
		{"2027-01-16T14:59:59Z", "2026-01", "2026-01"},
		{"2027-01-16T15:00:00Z", "2026-01", "2026-04"},
		{"2027-10-16T15:00:00Z", "2026-10", "2027-01"},
		{"2026-11-23T00:00:00Z", "nonsense", ""},
		{"2000-01-01T00:00:00Z", "2026-10", "2026-10"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		s := apiShop(Options{Now: fixed(at)})
		status, h, _ := post(t, s, "/admin/api/"+c.asked+"/graphql.json", testToken, `{"query":"{shop{name}}"}`)
		if got := h.Get("X-Shopify-API-Version"); got != c.serve || (c.serve == "") != (status == 404) {
			t.Errorf("at %s, %s is served by %q (%d), want %q", c.at, c.asked, got, status, c.serve)
		}
	}
	s := apiShop(Options{Now: fixed(epoch)})
	_, _, text := post(t, s, "/admin/api/2026-01/graphql.json", testToken, `{"query":"{webhookSubscriptions(first:1){nodes{name}}}"}`)
	if !strings.Contains(text, "undefinedField") {
		t.Errorf("2026-01 knows a later field: %s", text)
	}
}

func TestSubscriptionsByAPI(t *testing.T) {
	rec := &receiver{}
	s := apiShop(Options{Products: 2, Now: fixed(epoch), Client: &http.Client{Transport: rec}})
	type result struct {
		R struct {
			WebhookSubscription *struct{ ID, Topic, URI string }
			UserErrors          []struct {
				Field   []string
				Message string
			}
		}
	}
	create := func(topic, uri string) result {
		return into[result](t, ask(t, s, `mutation($t:WebhookSubscriptionTopic!,$u:String!){r:webhookSubscriptionCreate(topic:$t,webhookSubscription:{uri:$u}){webhookSubscription{id topic uri} userErrors{field message}}}`,
			map[string]any{"t": topic, "u": uri}))
	}
	for uri, want := range map[string]string{
		"http://r.example/x":            "Address protocol http:// is not supported",
		"":                              "Address can't be blank",
		"https://other.myshopify.com/x": "Address cannot be a Shopify or an internal domain",
		"https://localhost/x":           "Address cannot be a Shopify or an internal domain",
		"no address":                    "Address is invalid",
		"https://r.example/" + strings.Repeat("x", 65536): "Address is too long (maximum is 65536 characters)",
	} {
		if r := create("PRODUCTS_UPDATE", uri); len(r.R.UserErrors) != 1 || r.R.UserErrors[0].Message != want ||
			!slices.Equal(r.R.UserErrors[0].Field, []string{"webhookSubscription", "callbackUrl"}) {
			t.Errorf("%.40q: %+v", uri, r)
		}
	}
	r := create("PRODUCTS_UPDATE", " https://r.example/x ")
	if r.R.WebhookSubscription == nil || r.R.WebhookSubscription.URI != "https://r.example/x" {
		t.Fatalf("%+v", r)
	}
	if again := create("PRODUCTS_UPDATE", "https://r.example/x"); again.R.UserErrors[0].Message != "Address for this topic has already been taken" {
		t.Errorf("%+v", again)
	}
	create("INVENTORY_LEVELS_UPDATE", "https://r.example/x")
	s.UpdateProduct(s.IDs()[0], func(p *Product) { p.Title = "x" })
	s.Drain(t.Context())
	if len(rec.got) != 1 || rec.got[0].url != "https://r.example/x" {
		t.Fatalf("%d deliveries", len(rec.got))
	}
	id := r.R.WebhookSubscription.ID
	into[result](t, ask(t, s, `mutation($id:ID!){r:webhookSubscriptionUpdate(id:$id,webhookSubscription:{uri:"https://new.example",includeFields:["id","updated_at"]}){userErrors{message}}}`, map[string]any{"id": id}))
	s.UpdateProduct(s.IDs()[0], func(p *Product) { p.Title = "y" })
	s.Drain(t.Context())
	if g := rec.got[1]; !strings.HasPrefix(g.url, "https://new.example") || !strings.HasPrefix(g.body, `{"id":`) || len(keysOf(t, []byte(g.body))) != 2 {
		t.Errorf("%+v", g)
	}
	type list struct {
		WebhookSubscriptions struct {
			Nodes []struct {
				Topic, URI string
				APIVersion struct{ Handle string }
			}
		}
	}
	l := into[list](t, ask(t, s, `{webhookSubscriptions(first:10,topics:[INVENTORY_LEVELS_UPDATE]){nodes{topic uri apiVersion{handle}}}}`, nil))
	if len(l.WebhookSubscriptions.Nodes) != 1 || l.WebhookSubscriptions.Nodes[0].APIVersion.Handle != "2026-10" {
		t.Errorf("%+v", l)
	}
	into[result](t, ask(t, s, `mutation($id:ID!){r:webhookSubscriptionDelete(id:$id){userErrors{message} deletedWebhookSubscriptionId}}`, map[string]any{"id": id}))
	if len(s.Subscriptions()) != 1 {
		t.Errorf("%+v", s.Subscriptions())
	}
	if again := into[result](t, ask(t, s, `mutation($id:ID!){r:webhookSubscriptionDelete(id:$id){userErrors{field message}}}`, map[string]any{"id": id})); len(again.R.UserErrors) != 1 {
		t.Errorf("%+v", again)
	}
}

func TestTopicsTranslate(t *testing.T) {
	for _, v := range schemaNew().Types["WebhookSubscriptionTopic"].EnumValues {
		topic := topicOf(v.Name)
		if strings.Count(topic, "/") != 1 || enumOf(topic) != v.Name {
			t.Errorf("%s becomes %s and %s", v.Name, topic, enumOf(topic))
		}
	}
	for enum, want := range map[string]string{"PRODUCTS_UPDATE": "products/update", "INVENTORY_LEVELS_UPDATE": "inventory_levels/update",
		"APP_SCOPES_UPDATE": "app/scopes_update", "BULK_OPERATIONS_FINISH": "bulk_operations/finish"} {
		if got := topicOf(enum); got != want {
			t.Errorf("%s becomes %s", enum, got)
		}
	}
}
