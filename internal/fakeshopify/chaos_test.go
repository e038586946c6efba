package fakeshopify

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestChaosLevelsHaveNames(t *testing.T) {
	for name, calm := range map[string]bool{"": true, "off": true, "mild": false, "wild": false} {
		c, err := ChaosLevel(name)
		if err != nil || (c == Chaos{}) != calm {
			t.Errorf("%q: %+v, %v", name, c, err)
		}
	}
	if _, err := ChaosLevel("fierce"); err == nil {
		t.Error("an unknown level is taken")
	}
}

// chaosRun makes n edits a second apart and returns what was sent.
func chaosRun(t *testing.T, c Chaos, n int) (*Shop, []received) {
	t.Helper()
	rec := &receiver{}
	at := epoch
	s := New(Options{Products: 20, MaxVariants: 2, Lean: true, Target: "https://r.example", Client: &http.Client{Transport: rec}, Chaos: c,
		Now: func() time.Time { return at }})
	for range n {
		at = at.Add(1100 * time.Millisecond)
		s.RandomEdit()
	}
	at = at.Add(time.Hour)
	if _, err := s.DeliverDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, rec.got
}

func TestSameSecondEditsShareTheirUpdatedAt(t *testing.T) {
	ties := func(c Chaos) int {
		_, got := chaosRun(t, c, 300)
		seen, n := make(map[string]string), 0
		for _, g := range got {
			var b struct {
				ID        json.Number
				UpdatedAt string `json:"updated_at"`
			}
			if err := json.Unmarshal([]byte(g.body), &b); err != nil {
				t.Fatal(err)
			}
			if b.UpdatedAt == "" {
				continue
			}
			key := b.ID.String() + b.UpdatedAt
			if old, ok := seen[key]; ok && old != g.body {
				n++
			}
			seen[key] = g.body
		}
		return n
	}
	if n := ties(Chaos{}); n != 0 {
		t.Errorf("%d ties without chaos", n)
	}
	if n := ties(Chaos{SameSecond: 0.5}); n < 80 {
		t.Errorf("%d ties in 300 edits", n)
	}
}

func TestTriggeredAtCanBeBeforeUpdatedAt(t *testing.T) {
	early := func(c Chaos) (n int) {
		_, got := chaosRun(t, c, 300)
		for _, g := range got {
			var b struct {
				UpdatedAt time.Time `json:"updated_at"`
			}
			at, err := time.Parse(time.RFC3339Nano, g.header.Get("X-Shopify-Triggered-At"))
			if err != nil || json.Unmarshal([]byte(g.body), &b) != nil {
				t.Fatal(err)
			}
			if b.UpdatedAt.After(at) {
				n++
			}
		}
		return n
	}
	if n := early(Chaos{}); n != 0 {
		t.Errorf("%d without chaos", n)
	}
	if n := early(Chaos{TriggeredEarly: 0.5}); n < 100 {
		t.Errorf("%d of 300", n)
	}
}

func TestBurstsGoOutAtOneInstant(t *testing.T) {
	at := epoch
	s := New(Options{Products: 20, Target: "https://r.example", Chaos: Chaos{Burst: 0.1}, Now: func() time.Time { return at }})
	for range 200 {
		at = at.Add(10 * time.Millisecond)
		s.RandomEdit()
	}
	same, most := make(map[time.Time]int), 0
	for _, d := range s.pending {
		same[d.due]++
		most = max(most, same[d.due])
	}
	if most < 5 {
		t.Errorf("at most %d deliveries are due at one instant", most)
	}
}

func TestDuplicatesAndRetriesKeepOrChangeTheirIDsAsAsked(t *testing.T) {
	ids := func(c Chaos) (deliveries, webhooks, events int) {
		_, got := chaosRun(t, c, 200)
		w, e := make(map[string]bool), make(map[string]bool)
		for _, g := range got {
			w[g.header.Get("X-Shopify-Webhook-Id")], e[g.header.Get("X-Shopify-Event-Id")] = true, true
		}
		return len(got), len(w), len(e)
	}
	if d, w, e := ids(Chaos{Duplicate: 0.5}); w != 200 || e != 200 || d < 260 {
		t.Errorf("%d deliveries, %d webhook ids, %d event ids", d, w, e)
	}
	if d, w, e := ids(Chaos{Duplicate: 0.5, DuplicateNewID: 1}); w != d || e != 200 {
		t.Errorf("%d deliveries, %d webhook ids, %d event ids", d, w, e)
	}
	for fresh, want := range map[bool]int{false: 1, true: 9} {
		rec := &receiver{answer: func(int, *http.Request) (int, error) { return 500, nil }}
		s := New(Options{Products: 1, Target: "https://r.example", Client: &http.Client{Transport: rec}, Chaos: Chaos{RetryNewID: fresh}, Now: fixed(epoch)})
		s.UpdateProduct(s.IDs()[0], func(*Product) {})
		if err := s.DrainAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		w := make(map[string]bool)
		for _, g := range rec.got {
			w[g.header.Get("X-Shopify-Webhook-Id")] = true
		}
		if len(w) != want {
			t.Errorf("new ids %v: %d webhook ids in 9 attempts", fresh, len(w))
		}
	}
}

func TestAPIFaultsComeBySeed(t *testing.T) {
	run := func(seed uint64) string {
		s := apiShop(Options{Seed: seed, Now: fixed(epoch), Chaos: Chaos{APIFault: 0.3}})
		var b strings.Builder
		for range 60 {
			req, err := http.NewRequest("POST", "https://s.example/admin/api/2026-10/graphql.json", strings.NewReader(`{"query":"{shop{name}}"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Shopify-Access-Token", testToken)
			res, err := Transport(s.Handler()).RoundTrip(req)
			switch {
			case err != nil:
				b.WriteString("reset ")
			default:
				b.WriteString(itoa(res.StatusCode) + " ")
				res.Body.Close()
			}
		}
		if n := s.APIStats().Faults; n < 8 || n > 30 {
			t.Errorf("%d faults in 60 calls", n)
		}
		return b.String()
	}
	one, again := run(1), run(1)
	if one != again || one == run(2) {
		t.Error("faults do not follow the seed")
	}
}

func TestUninstallingEndsTokensAndSubscriptions(t *testing.T) {
	rec := &receiver{}
	s := apiShop(Options{Products: 1, Now: fixed(epoch), Target: "https://r.example", Client: &http.Client{Transport: rec},
		Topics: []string{TopicUpdate, TopicUninstalled, TopicScopes}})
	s.SetScopes("read_products")
	s.Uninstall()
	s.UpdateProduct(s.IDs()[0], func(*Product) {})
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	var topics []string
	for _, g := range rec.got {
		topics = append(topics, g.header.Get("X-Shopify-Topic"))
	}
	if strings.Join(topics, " ") != "app/scopes_update app/uninstalled" || !strings.Contains(rec.got[0].body, `"current":["read_products"]`) {
		t.Errorf("%q", topics)
	}
	call := func() int {
		status, _, _ := post(t, s, "/admin/api/2026-10/graphql.json", testToken, `{"query":"{shop{name}}"}`)
		return status
	}
	if call() != 401 || len(s.Subscriptions()) != 0 {
		t.Error("the app is still there")
	}
	s.Reinstall()
	if call() != 200 {
		t.Error("the app did not come back")
	}
}

func TestFiltersAndRoutes(t *testing.T) {
	rec := &receiver{}
	s := apiShop(Options{Products: 2, Now: fixed(epoch), Client: &http.Client{Transport: rec},
		Route: func(a string) string { return strings.Replace(a, "https://public.example", "http://127.0.0.1:9", 1) }})
	ids := s.IDs()
	into[struct{}](t, ask(t, s, `mutation{webhookSubscriptionCreate(topic:PRODUCTS_UPDATE,webhookSubscription:{uri:"https://public.example/x",filter:"vendor:acme",name:"mine"}){userErrors{message}}}`, nil))
	s.UpdateProduct(ids[0], func(p *Product) { p.Vendor = "Acme" })
	s.UpdateProduct(ids[1], func(p *Product) { p.Vendor = "Other" })
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(rec.got) != 1 || rec.got[0].url != "http://127.0.0.1:9/x" || rec.got[0].header.Get("X-Shopify-Name") != "mine" {
		t.Errorf("%+v", rec.got)
	}
}

func TestAppSubscriptionsAreNeitherListedNorDeleted(t *testing.T) {
	rec := &receiver{answer: func(int, *http.Request) (int, error) { return 500, nil }}
	s := apiShop(Options{Products: 1, Now: fixed(epoch), Target: "https://r.example", Topics: []string{TopicUpdate}, Client: &http.Client{Transport: rec}})
	id := s.SubscribeApp(TopicUpdate, "https://r.example/app")
	s.UpdateProduct(s.IDs()[0], func(*Product) {})
	if err := s.DrainAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := s.Subscriptions(); len(left) != 1 || left[0].ID != id || len(rec.got) != 18 {
		t.Errorf("%+v left after %d attempts", left, len(rec.got))
	}
	r := ask(t, s, `query($id:ID!){webhookSubscriptions(first:5){nodes{id}} webhookSubscription(id:$id){id} webhookSubscriptionsCount{count}}`, map[string]any{"id": gid("WebhookSubscription", id)})
	if want := `{"webhookSubscriptions":{"nodes":[]},"webhookSubscription":null,"webhookSubscriptionsCount":{"count":0}}`; string(r.Data) != want {
		t.Errorf("%s", r.Data)
	}
}

func TestEverythingAtOnce(t *testing.T) {
	chaos, err := ChaosLevel("wild")
	if err != nil {
		t.Fatal(err)
	}
	rec := &receiver{}
	s := apiShop(Options{Products: 40, MaxVariants: 4, Target: "https://r.example", Client: &http.Client{Transport: rec}, Chaos: chaos,
		API: APIOptions{Plan: Plus, Bulk: BulkOptions{Base: 5 * time.Millisecond}}})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx, 500); err != nil {
			t.Error(err)
		}
	})
	client := &http.Client{Transport: Transport(s.Handler())}
	for i := range 4 {
		wg.Go(func() {
			for n := range 60 {
				query := []string{`{products(first:50){nodes{id variants(first:5){nodes{id}}}}}`, `mutation{bulkOperationRunQuery(query:"{products{edges{node{id}}}}"){bulkOperation{id}}}`,
					`{bulkOperations(first:3){nodes{status url objectCount}}}`, `{events(first:10){nodes{action}}}`}[(i+n)%4]
				b, _ := json.Marshal(map[string]string{"query": query})
				req, err := http.NewRequest("POST", "https://s.example/admin/api/2026-10/graphql.json", strings.NewReader(string(b)))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("X-Shopify-Access-Token", testToken)
				if res, err := client.Do(req); err == nil {
					res.Body.Close()
				}
				s.RandomEdit()
				s.Stats()
				s.Snapshot()
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			s.RotateSecret("secret")
			s.SetPlan(Advanced)
			s.MaxWindow(time.Second)
			s.Deliveries()
			s.SetScopes("read_products", "read_inventory")
		}
		cancel()
	})
	wg.Wait()
}
