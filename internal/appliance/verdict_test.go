package appliance

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/breaker"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/state"
	"stockroom/queue"
	"stockroom/store"
)

const testShop = "my-shop.myshopify.com"

// plant is an appliance without listeners whose shop is simulated on a real
// socket.
type plant struct {
	*Appliance
	shop *fakeshopify.Shop
	stop func()
}

func newPlant(t *testing.T, o fakeshopify.Options, flags map[string]string) *plant {
	t.Helper()
	o.Shop = testShop
	shop := fakeshopify.New(o)
	api := httptest.NewServer(shop.Handler())
	all := map[string]string{"data": t.TempDir(), "api-base": api.URL}
	for k, v := range flags {
		all[k] = v
	}
	s, err := config.Load(config.Sources{Flags: all})
	if err != nil {
		t.Fatal(err)
	}
	s.Shop = config.EnvShop{Domain: testShop, APIKey: "app", APISecret: config.NewSecret(shop.Secret())}
	a, err := Open(t.Context(), Options{Settings: s, Version: "test", Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.syncer.Run(ctx) }()
	p := &plant{Appliance: a, shop: shop}
	p.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		api.CloseClientConnections()
		api.Close()
	}
	t.Cleanup(func() { p.stop() })
	return p
}

// want asks for a product as a commit does.
func (p *plant) want(t *testing.T, id int64) {
	t.Helper()
	w := store.Wanted{Shop: testShop, Kind: store.WantProduct, ID: id, Reason: "test"}
	if err := p.store.Want(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	jobs := func() uint64 { return p.queue.Stats().Counts.Enqueued }
	before := jobs()
	p.syncer.Wanted(w)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for jobs() == before {
		<-tick.C
	}
}

// job waits until the fetch of a product was tried and came to rest, and returns
// it; false when it is done.
func (p *plant) job(t *testing.T) (queue.Job, bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 24_000 {
		jobs, _, err := p.queue.List(t.Context(), queue.Filter{Kind: string(store.WantProduct)})
		if err != nil {
			t.Fatal(err)
		}
		if len(jobs) == 0 {
			return queue.Job{}, false
		}
		if j := jobs[0]; j.State == queue.Dead || j.State == queue.Waiting && (j.Snoozes > 0 || j.Attempts > 0) {
			return j, true
		}
		<-tick.C
	}
	t.Fatal("the job never came to rest")
	return queue.Job{}, false
}

func (p *plant) get(t *testing.T, path string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+path, nil)
	r.RemoteAddr = "127.0.0.1:4000"
	r.Header.Set("Authorization", "Bearer "+p.Token())
	w := httptest.NewRecorder()
	p.Admin().ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestEveryAnswerHasItsConsequencesEverywhere is the verdict table end to end:
// an answer of the shop, and what limiter, breaker, job, catalogue, metrics and
// page make of it.
func TestEveryAnswerHasItsConsequencesEverywhere(t *testing.T) {
	const (
		done    = "done"
		retry   = "retry"
		snooze  = "snooze"
		paused  = "paused"
		dead    = "dead"
		token   = state.PauseToken
		scope   = state.PauseScope
		frozen  = state.PauseFrozen
		nothing = state.PauseNone
	)
	for _, tt := range []struct {
		name    string
		fault   fakeshopify.Fault
		job     string
		opens   bool // counts as a failure of the service
		penalty bool
		pause   state.PauseReason
		metric  string // the error_type it is counted under
		words   []string
	}{
		{"a good answer", fakeshopify.Fault{Kind: fakeshopify.FaultSlow, Delay: time.Nanosecond}, done, false, false, nothing, "", []string{"points used"}},
		{"THROTTLED", fakeshopify.Fault{Kind: fakeshopify.FaultThrottled}, snooze, false, true, nothing, "throttled", []string{"Shopify asks us to slow down"}},
		{"429", fakeshopify.Fault{Status: 429, RetryAfter: "6.5"}, snooze, false, true, nothing, "throttled", []string{"Shopify asks us to slow down", "next call in"}},
		{"430", fakeshopify.Fault{Status: 430}, snooze, false, true, nothing, "throttled", []string{"Shopify asks us to slow down"}},
		{"500", fakeshopify.Fault{Status: 500}, retry, true, false, nothing, "upstream", []string{"Shopify has a fault", "be asked: Shopify has a fault (500)"}},
		{"503", fakeshopify.Fault{Status: 503}, retry, true, false, nothing, "upstream", []string{"Shopify has a fault (503)"}},
		{"408", fakeshopify.Fault{Status: 408}, retry, true, false, nothing, "upstream", []string{"Shopify has a fault"}},
		{"INTERNAL_SERVER_ERROR", fakeshopify.Fault{Kind: fakeshopify.FaultInternal}, retry, true, false, nothing, "upstream", []string{"Shopify has a fault"}},
		{"a reset", fakeshopify.Fault{Kind: fakeshopify.FaultReset}, retry, true, false, nothing, "upstream", []string{"Next try at"}},
		{"a page", fakeshopify.Fault{Kind: fakeshopify.FaultHTML}, retry, true, false, nothing, "malformed", []string{"it is a web page"}},
		{"JSON of another shape", fakeshopify.Fault{Kind: fakeshopify.FaultWrongTypes}, retry, true, false, nothing, "malformed", []string{"can&#39;t be read"}},
		{"401", fakeshopify.Fault{Status: 401, Times: -1, Endpoint: "graphql"}, paused, false, false, token, "auth", []string{"Paused: Shopify does not accept the access that it gave the app itself", "SHOPIFY_API_KEY"}},
		{"refused credentials", fakeshopify.Fault{Status: 400, Times: -1, Endpoint: "token"}, paused, false, false, token, "auth", []string{"client id and secret"}},
		{"403", fakeshopify.Fault{Status: 403}, paused, false, false, scope, "auth", []string{"the access scope read_products is missing"}},
		{"ACCESS_DENIED", fakeshopify.Fault{Kind: fakeshopify.FaultDenied, Scope: "read_products"}, paused, false, false, scope, "auth", []string{"the access scope read_products is missing"}},
		{"402", fakeshopify.Fault{Status: 402}, paused, false, false, frozen, "auth", []string{"Shopify has frozen the shop"}},
		{"423", fakeshopify.Fault{Status: 423}, paused, false, false, frozen, "auth", []string{"Shopify has frozen the shop"}},
		{"SHOP_INACTIVE", fakeshopify.Fault{Kind: fakeshopify.FaultInactive}, paused, false, false, frozen, "auth", []string{"Shopify has frozen the shop"}},
		{"404", fakeshopify.Fault{Status: 404}, dead, false, false, nothing, "upstream", []string{"Needs a look", "Not Found"}},
		{"a redirect", fakeshopify.Fault{Kind: fakeshopify.FaultRedirect}, dead, false, false, nothing, "upstream", []string{"Needs a look", "elsewhere.example"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, fakeshopify.Options{Products: 1}, map[string]string{"breaker-failures": "1"})
			id := p.shop.IDs()[0]
			if tt.name != "refused credentials" {
				// The budget is learnt, so that the fault meets the fetch itself.
				if _, err := p.client.Shop(t.Context(), testShop, 0); err != nil {
					t.Fatal(err)
				}
			}
			// 429, 503 and resets are tried again at once, with a pause between.
			if slices.Contains([]int{429, 503}, tt.fault.Status) || tt.fault.Kind == fakeshopify.FaultReset {
				tt.fault.Times = 3
			}
			p.shop.Fail(tt.fault)
			p.want(t, id)
			j, there := p.job(t)

			if there != (tt.job != done) {
				t.Fatalf("job: %+v", j)
			}
			switch tt.job {
			case retry:
				// The circuit opened at the first failure; what came after it in this
				// process was not sent.
				if j.State != queue.Waiting || j.Attempts != 1 && j.Snoozes == 0 {
					t.Errorf("job: %+v", j)
				}
			case snooze, paused:
				if j.State != queue.Waiting || j.Attempts != 0 || j.Snoozes != 1 || j.Reason == "" {
					t.Errorf("job: %+v", j)
				}
			case dead:
				if j.State != queue.Dead || j.Class != queue.ClassValidation || j.Attempts != 1 {
					t.Errorf("job: %+v", j)
				}
			}
			_, stored := p.store.Product(t.Context(), testShop, id)
			if (stored == nil) != (tt.job == done) {
				t.Errorf("catalogue: %v", stored)
			}
			open := false
			for _, c := range p.breaker.ShopAt(time.Now(), testShop) {
				open = open || c.State == breaker.StateOpen
			}
			if open != tt.opens {
				t.Errorf("circuit open: %v", open)
			}
			snap, _ := p.limiter.Snapshot(testShop)
			if got := snap.Penalty.After(time.Now()); got != tt.penalty {
				t.Errorf("kept away: %v (%+v)", got, snap)
			}
			if snap.InFlight != 0 {
				t.Errorf("%d grants were never settled", snap.InFlight)
			}
			shop, _ := p.state.Shop(testShop)
			if shop.Pause.Reason != tt.pause {
				t.Errorf("pause: %+v", shop.Pause)
			}
			if wait := time.Until(shop.Pause.NextProbe); tt.pause == token && (wait < 14*time.Minute || wait > 15*time.Minute) || tt.pause == frozen && wait < 50*time.Minute {
				t.Errorf("asked again in %v", wait)
			}
			m := p.get(t, "/metrics")
			line := `shopify_sync_errors_total{shop="` + testShop + `",operation_type="refetch",error_type="` + tt.metric + `"} 1`
			if tt.metric != "" && !strings.Contains(m, line) && !open {
				t.Errorf("metrics lack %s:\n%s", line, grep(m, "errors_total"))
			}
			for _, want := range []struct {
				text string
				when bool
			}{
				{`stockroom_breaker_state{shop="` + testShop + `"} 2`, tt.opens},
				{`stockroom_shops_paused{reason="` + string(tt.pause) + `"} 1`, tt.pause != nothing},
				{`stockroom_throttled_self_total 0`, true},
				{`shopify_rate_limit_hits_total{shop="` + testShop + `"} 0`, !tt.penalty},
			} {
				if strings.Contains(m, want.text) != want.when {
					t.Errorf("metrics, %s: want %v", want.text, want.when)
				}
			}
			page := p.get(t, "/")
			for _, w := range tt.words {
				if !strings.Contains(page, w) {
					t.Errorf("the page does not say %q:\n%s", w, words(page))
				}
			}
			var status struct {
				Shops []struct {
					State     string     `json:"state"`
					NextTryAt *time.Time `json:"next_try_at"`
					Calls     struct {
						Budget  int    `json:"points_budget"`
						Circuit string `json:"circuit"`
					} `json:"calls"`
				} `json:"shops"`
			}
			if err := json.Unmarshal([]byte(p.get(t, "/api/v1/status")), &status); err != nil {
				t.Fatal(err)
			}
			got := status.Shops[0]
			if (got.State == "paused") != (tt.pause != nothing) || (got.NextTryAt != nil) != (tt.pause != nothing) || (got.Calls.Circuit == "open") != tt.opens {
				t.Errorf("status: %+v", got)
			}
			// Nothing that was not applied is forgotten.
			list, err := p.store.WantedList(t.Context())
			if err != nil || (len(list) == 0) != (tt.job == done) {
				t.Errorf("wanted: %v, %v", list, err)
			}
		})
	}
}

func grep(text, part string) string {
	var list []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			list = append(list, line)
		}
	}
	return strings.Join(list, "")
}

// words is a page without its tags.
func words(page string) string {
	var b strings.Builder
	in := false
	for _, r := range page {
		switch {
		case r == '<':
			in = true
		case r == '>':
			in = false
		case !in:
			b.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
