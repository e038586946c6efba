package fakeshopify

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// jsCheck is what webhooks.register of Shopify's JavaScript library asks first,
// with the cursor of its pages.
const jsCheck = `query shopifyApiReadWebhookSubscriptions {
	webhookSubscriptions(first: 250, after: %s,) {
		edges { node { id topic includeFields metafieldNamespaces
			endpoint { __typename
				... on WebhookHttpEndpoint { callbackUrl }
				... on WebhookEventBridgeEndpoint { arn }
				... on WebhookPubSubEndpoint { pubSubProject pubSubTopic }
			} } }
		pageInfo { endCursor hasNextPage }
	}
}`

// jsMutation has its name, what it is about and its further arguments.
const jsMutation = `
	mutation shopifyApiCreateWebhookSubscription { %s( %s, %s ) { userErrors { field message } } }`

type jsEdges struct {
	WebhookSubscriptions struct {
		Edges []struct {
			Node struct {
				ID, Topic                          string
				IncludeFields, MetafieldNamespaces []string
				Endpoint                           map[string]string
			}
		}
		PageInfo struct {
			EndCursor   *string
			HasNextPage bool
		}
	}
}

type mutated map[string]struct {
	UserErrors []struct {
		Typename string `json:"__typename"`
		Code     string
		Field    []string
		Message  string
	}
	WebhookSubscription *struct {
		ID            string
		IncludeFields []string
	}
}

func TestTheJavaScriptLibraryRegistersItsWebhooks(t *testing.T) {
	rec := &receiver{}
	s := apiShop(Options{Products: 1, Now: fixed(epoch), Client: &http.Client{Transport: rec}})
	run := func(name, about, args string) {
		t.Helper()
		if got := into[mutated](t, ask(t, s, fmt.Sprintf(jsMutation, name, about, args), nil)); len(got[name].UserErrors) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	list := func() (endpoints []map[string]string, ids []string) {
		t.Helper()
		got := into[jsEdges](t, ask(t, s, fmt.Sprintf(jsCheck, "null"), nil)).WebhookSubscriptions
		if got.PageInfo.HasNextPage {
			t.Error("there is said to be a further page")
		}
		for _, one := range got.Edges {
			if one.Node.IncludeFields == nil || one.Node.MetafieldNamespaces == nil {
				t.Errorf("no list of fields: %+v", one.Node)
			}
			endpoints, ids = append(endpoints, one.Node.Endpoint), append(ids, one.Node.ID)
		}
		return endpoints, ids
	}
	if got, _ := list(); got != nil {
		t.Fatalf("a new shop lists %v", got)
	}

	const arn = "arn:aws:events:us-east-1::event-source/aws.partner/shopify.com/1/x"
	run("webhookSubscriptionCreate", "topic: PRODUCTS_UPDATE", `webhookSubscription: {callbackUrl: "https://r.example/hooks", includeFields: ["id","updated_at"]}`)
	run("eventBridgeWebhookSubscriptionCreate", "topic: PRODUCTS_UPDATE", `webhookSubscription: {arn: "`+arn+`"}`)
	run("pubSubWebhookSubscriptionCreate", "topic: PRODUCTS_UPDATE", `webhookSubscription: {pubSubProject: "shop", pubSubTopic: "edits", metafieldNamespaces: ["care"]}`)
	got, ids := list()
	want := []map[string]string{
		{"__typename": "WebhookHttpEndpoint", "callbackUrl": "https://r.example/hooks"},
		{"__typename": "WebhookEventBridgeEndpoint", "arn": arn},
		{"__typename": "WebhookPubSubEndpoint", "pubSubProject": "shop", "pubSubTopic": "edits"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("created: %v, want %v", got, want)
	}
	s.UpdateProduct(s.IDs()[0], func(p *Product) { p.Title = "x" })
	s.Drain(t.Context())
	if len(rec.got) != 1 || rec.got[0].url != "https://r.example/hooks" {
		t.Errorf("deliveries: %+v", rec.got)
	}
	if n := s.Stats().Failed; n != 0 {
		t.Errorf("%d deliveries failed that go over no HTTP", n)
	}

	run("webhookSubscriptionUpdate", `id: "`+ids[0]+`"`, `webhookSubscription: {callbackUrl: "https://r.example/new"}`)
	run("eventBridgeWebhookSubscriptionUpdate", `id: "`+ids[1]+`"`, `webhookSubscription: {arn: "`+arn+`2"}`)
	run("pubSubWebhookSubscriptionUpdate", `id: "`+ids[2]+`"`, `webhookSubscription: {pubSubProject: "shop", pubSubTopic: "all"}`)
	want[0]["callbackUrl"], want[1]["arn"], want[2]["pubSubTopic"] = "https://r.example/new", arn+"2", "all"
	if got, _ = list(); !reflect.DeepEqual(got, want) {
		t.Fatalf("updated: %v, want %v", got, want)
	}
	for _, id := range ids {
		run("webhookSubscriptionDelete", `id: "`+id+`"`, "")
	}
	if got, _ = list(); got != nil {
		t.Errorf("deleted, and still there: %v", got)
	}
}

// rubyCheck is what the Ruby library asks of one topic.
const rubyCheck = `{
  webhookSubscriptions(first: 1, topics: PRODUCTS_UPDATE) {
    edges { node { id includeFields metafieldNamespaces filter
      endpoint { __typename ... on %s { %s } } } }
  }
}`

func TestTheRubyLibraryRegistersItsWebhooks(t *testing.T) {
	for _, version := range []string{"2026-01", "2026-10"} {
		for _, c := range []struct{ mutation, input, changed, endpoint, fields, want string }{
			{"webhookSubscription", `callbackUrl: "https://r.example/a"`, `callbackUrl: "https://r.example/b"`, "WebhookHttpEndpoint", "callbackUrl", `"callbackUrl":"https://r.example/b"`},
			{"eventBridgeWebhookSubscription", `arn: "arn:aws:events:eu::a"`, `arn: "arn:aws:events:eu::b"`, "WebhookEventBridgeEndpoint", "arn", `"arn":"arn:aws:events:eu::b"`},
			{"pubSubWebhookSubscription", `pubSubProject: "p", pubSubTopic: "a"`, `pubSubProject: "p", pubSubTopic: "b"`, "WebhookPubSubEndpoint", "pubSubProject pubSubTopic", `"pubSubProject":"p","pubSubTopic":"b"`},
		} {
			s := apiShop(Options{Now: fixed(epoch)})
			send := func(query string) string {
				t.Helper()
				_, _, text := post(t, s, "/admin/api/"+version+"/graphql.json", testToken, fmt.Sprintf(`{"query":%q}`, query))
				if strings.Contains(text, `"errors"`) {
					t.Fatalf("%s %s: %s", version, query, text)
				}
				return text
			}
			register := func(name, about, input string) string {
				t.Helper()
				return send(`mutation webhookSubscription { ` + c.mutation + name + `(` + about + `, webhookSubscription: {` + input +
					`, includeFields: ["id"], filter: "status:active"}) { userErrors { field message } webhookSubscription { id includeFields filter } } }`)
			}
			check := fmt.Sprintf(rubyCheck, c.endpoint, c.fields)
			if got := send(check); !strings.Contains(got, `"edges":[]`) {
				t.Fatalf("before: %s", got)
			}
			made := register("Create", "topic: PRODUCTS_UPDATE", c.input)
			_, id, _ := strings.Cut(made, `"id":"`)
			id, _, _ = strings.Cut(id, `"`)
			if !strings.HasPrefix(id, "gid://shopify/WebhookSubscription/") || !strings.Contains(made, `"userErrors":[]`) {
				t.Fatalf("%s %s: %s", version, c.mutation, made)
			}
			register("Update", `id: "`+id+`"`, c.changed)
			if got := send(check); !strings.Contains(got, `{"__typename":"`+c.endpoint+`",`+c.want+`}`) || !strings.Contains(got, `"filter":"status:active"`) {
				t.Errorf("%s %s after the update: %s", version, c.mutation, got)
			}
			send(`mutation webhookSubscription { webhookSubscriptionDelete(id: "` + id + `") { userErrors { field message } deletedWebhookSubscriptionId } }`)
			if got := send(check); !strings.Contains(got, `"edges":[]`) {
				t.Errorf("%s %s after the deletion: %s", version, c.mutation, got)
			}
		}
	}
}

func TestErrorsOfEachKindOfEndpointHaveTheirType(t *testing.T) {
	s := apiShop(Options{Now: fixed(epoch)})
	create := func(query string) mutated { return into[mutated](t, ask(t, s, query, nil)) }
	const pubsub = `mutation{pubSubWebhookSubscriptionCreate(topic:PRODUCTS_UPDATE,webhookSubscription:{pubSubProject:"p",pubSubTopic:"t"})` +
		`{userErrors{__typename code field message} webhookSubscription{id}}}`
	if got := create(pubsub); got["pubSubWebhookSubscriptionCreate"].WebhookSubscription == nil {
		t.Fatalf("%+v", got)
	}
	got := create(pubsub)["pubSubWebhookSubscriptionCreate"].UserErrors
	if len(got) != 1 || got[0].Code != "TAKEN" || got[0].Typename != "PubSubWebhookSubscriptionCreateUserError" {
		t.Errorf("%+v", got)
	}
	bridge := create(`mutation{eventBridgeWebhookSubscriptionCreate(topic:PRODUCTS_UPDATE,webhookSubscription:{}){userErrors{__typename field message}}}`)
	if got := bridge["eventBridgeWebhookSubscriptionCreate"].UserErrors; len(got) != 1 || got[0].Typename != "UserError" || got[0].Message != "Address can't be blank" {
		t.Errorf("%+v", bridge)
	}
}
