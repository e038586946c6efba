package appliance

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/state"
	"stockroom/internal/status"
	"stockroom/queue"
	"stockroom/store"
)

const (
	ours      = "ours.myshopify.com"
	theirs    = "theirs.myshopify.com"
	appSecret = "shpss_0123456789abcdef0123456789abcdef"
)

// byHost sends a call to the shop that it is for.
type byHost map[string]http.RoundTripper

func (b byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	return b[r.URL.Hostname()].RoundTrip(r)
}

// replayRig is a whole appliance and two shops that have one app, on the bubble's
// clock. The shops deliver nothing by themselves.
type replayRig struct {
	*Appliance
	t     *testing.T
	shops map[string]*fakeshopify.Shop
}

func newReplayRig(t *testing.T, change ...func(*fakeshopify.Options)) *replayRig {
	t.Helper()
	r := &replayRig{t: t, shops: map[string]*fakeshopify.Shop{}}
	hosts := byHost{}
	for i, domain := range []string{ours, theirs} {
		o := fakeshopify.Options{Shop: domain, Seed: uint64(i + 1), Products: 3, MaxVariants: 3,
			Large: -1, Huge: -1, Secret: appSecret, Topics: []string{}}
		for _, c := range change {
			c(&o)
		}
		s := fakeshopify.New(o)
		r.shops[domain], hosts[domain] = s, fakeshopify.Transport(s.Handler())
	}
	settings, err := config.Load(config.Sources{Flags: map[string]string{"data": t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	settings.PublicURL = "https://stockroom.example"
	settings.Shop = config.EnvShop{Domain: ours, APIKey: "app", APISecret: config.NewSecret(appSecret)}
	if r.Appliance, err = Open(t.Context(), Options{Settings: settings, Transport: hosts}); err != nil {
		t.Fatal(err)
	}
	app := state.Credentials{APIKey: "app", APISecret: config.NewSecret(appSecret)}
	err = errors.Join(r.state.AddShop(theirs, "", time.Now()), r.state.SetCredentials(theirs, app), r.loadShops(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	r.refreshDirectory()
	_, stop := r.Work(t.Context())
	t.Cleanup(func() {
		if err := errors.Join(stop(), r.Close()); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(10*time.Minute + time.Second) // the first read, and past the minute: its timers would run beside what the test does
	return r
}

// capture is a delivery that a stranger has seen.
func (r *replayRig) capture(topic, shop string, id int64) (body, signature string) {
	header, raw := r.shops[shop].Signed(topic, id)
	return string(raw), header.Get("X-Shopify-Hmac-Sha256")
}

// replay sends a body under a topic, a shop and a webhook id of the sender's choice.
func (r *replayRig) replay(topic, shop, webhookID, body, signature string) string {
	q := httptest.NewRequest(http.MethodPost, "https://stockroom.example/webhooks/shopify/x", strings.NewReader(body))
	q.Header = http.Header{
		"X-Shopify-Topic": {topic}, "X-Shopify-Shop-Domain": {shop}, "X-Shopify-Hmac-Sha256": {signature},
		"X-Shopify-Webhook-Id": {webhookID},
	}
	w := httptest.NewRecorder()
	r.intake.ServeHTTP(w, q)
	if w.Code != http.StatusOK {
		r.t.Errorf("%s of %s: %d %s", topic, shop, w.Code, w.Body)
	}
	return w.Body.String()
}

// owner is whose row a product is.
func (r *replayRig) owner(id int64) (owners []string) {
	for _, shop := range []string{ours, theirs} {
		if _, err := r.store.Product(r.t.Context(), shop, id); err == nil {
			owners = append(owners, shop)
		}
	}
	return owners
}

func (r *replayRig) letters() (letters, misfits []queue.Job) {
	jobs, _, err := r.queue.List(r.t.Context(), queue.Filter{State: queue.Dead, Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, j := range jobs {
		if j.Class == queue.ClassValidation {
			misfits = append(misfits, j)
		} else {
			letters = append(letters, j)
		}
	}
	return letters, misfits
}

// conditions are the codes of what is not well, each with its colour.
func (r *replayRig) conditions() (codes []string) {
	for _, l := range r.status.Read(r.t.Context(), time.Now()).Lines {
		if l.Mood != status.Good {
			codes = append(codes, string(l.Mood)+" "+l.Code)
		}
	}
	return codes
}

// TestAProductPlantedUnderAnotherShopGoesBackToItsOwner replays a delivery of a new
// product under the other shop, before its own shop's arrives.
func TestAProductPlantedUnderAnotherShopGoesBackToItsOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplayRig(t)
		p := r.shops[ours].CreateProduct(nil)
		body, signature := r.capture(fakeshopify.TopicCreate, ours, p.ID)
		got := r.replay("products/create", theirs, "planted", body, signature)
		if got != `{"success":true}` || !slices.Equal(r.owner(p.ID), []string{theirs}) {
			t.Fatalf("planted: %s, of %v", got, r.owner(p.ID))
		}
		if got := r.replay("products/create", ours, "genuine", body, signature); got != `{"success":false,"queued":false}` {
			t.Errorf("its own: %s", got)
		}
		time.Sleep(time.Minute)
		if letters, misfits := r.letters(); !slices.Equal(r.owner(p.ID), []string{ours}) || len(letters)+len(misfits) > 0 {
			t.Errorf("it is of %v, dead letters %+v %+v", r.owner(p.ID), letters, misfits)
		}
		if e, err := r.store.Explain(t.Context(), theirs, p.ID); err != nil || e.DeletedBy != store.OwnerCause+ours {
			t.Errorf("explained as %+v, %v", e, err)
		}
		// From now on it is replayed in vain, and its own shop's are taken.
		r.replay("products/create", theirs, "again", body, signature)
		time.Sleep(2 * time.Second)
		r.shops[ours].UpdateProduct(p.ID, func(p *fakeshopify.Product) { p.Title = "Renamed" })
		body, signature = r.capture(fakeshopify.TopicUpdate, ours, p.ID)
		if got := r.replay("products/update", ours, "next", body, signature); got != `{"success":true}` {
			t.Errorf("its next: %s", got)
		}
		time.Sleep(time.Minute)
		if letters, misfits := r.letters(); !slices.Equal(r.owner(p.ID), []string{ours}) || len(letters)+len(misfits) > 0 {
			t.Errorf("afterwards it is of %v, dead letters %+v %+v", r.owner(p.ID), letters, misfits)
		}
		if codes := r.conditions(); len(codes) > 0 {
			t.Errorf("not well: %v", codes)
		}
	})
}

// TestAReplayUnderAnotherShopChangesNothing sends what its own shop's product is
// stored from.
func TestAReplayUnderAnotherShopChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplayRig(t)
		id := r.shops[ours].IDs()[0]
		body, signature := r.capture(fakeshopify.TopicUpdate, ours, id)
		before := r.store.LastSeq()
		for _, s := range r.shops { // the product can't be read for now
			s.Fail(fakeshopify.Fault{Status: http.StatusInternalServerError, Times: -1})
		}
		const kept = `{"success":false,"queued":false}`
		if got := r.replay("products/update", theirs, "replayed", body, signature); got != kept {
			t.Errorf("answer %s", got)
		}
		time.Sleep(time.Second)
		letters, misfits := r.letters()
		if codes := r.conditions(); len(letters) != 0 || len(misfits) != 1 || !slices.Contains(codes, "wait misfits") {
			t.Errorf("dead letters %+v and %+v, %v", letters, misfits, codes)
		}
		for _, s := range r.shops {
			s.Heal()
		}
		time.Sleep(5 * time.Minute)
		if letters, misfits := r.letters(); len(letters)+len(misfits) > 0 || len(r.conditions()) > 0 {
			t.Errorf("after the read: %+v, %+v, %v", letters, misfits, r.conditions())
		}
		if r.store.LastSeq() != before || !slices.Equal(r.owner(id), []string{ours}) {
			t.Errorf("%d changes; it is of %v", r.store.LastSeq()-before, r.owner(id))
		}
	})
}

// TestADeadLetterBehindManyThatDoNotFitIsSeen holds that nobody hides one by sending
// more than are looked through.
func TestADeadLetterBehindManyThatDoNotFitIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplayRig(t)
		bury := func(class queue.Class) {
			job := queue.NewJob{Kind: store.DeliveryJob, Labels: map[string]string{"shop": ours, "topic": "customers/redact"}, Payload: []byte("x")}
			if _, err := r.queue.Bury(t.Context(), job, class, errors.New("no")); err != nil {
				t.Error(err)
			}
		}
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { bury(queue.ClassValidation) })
		}
		wg.Wait()
		time.Sleep(time.Second)
		if codes := r.conditions(); !slices.Equal(codes, []string{"wait misfits"}) {
			t.Errorf("a thousand that do not fit: %v", codes)
		}
		bury(queue.ClassPoison)
		time.Sleep(time.Second)
		if codes := r.conditions(); !slices.Equal(codes, []string{"bad dead", "wait misfits"}) {
			t.Errorf("and one that does: %v", codes)
		}
	})
}

// TestWhatOneCapturedDeliveryCanCauseIsBounded replays each kind of body under every
// topic and both shops, each time with a webhook id of its own, for two minutes: a
// thousand times a topic and shop, sixty for the rarer kinds.
func TestWhatOneCapturedDeliveryCanCauseIsBounded(t *testing.T) {
	const at = "2000-01-01T00:05:00Z"
	for name, capture := range map[string]func(r *replayRig, id int64) string{
		"product": func(r *replayRig, id int64) string {
			body, _ := r.capture(fakeshopify.TopicUpdate, ours, id)
			return body
		},
		"product without its time": func(_ *replayRig, id int64) string {
			return fmt.Sprintf(`{"id":%d,"title":"x","vendor":"y"}`, id)
		},
		"deleted product": func(_ *replayRig, _ int64) string { return `{"id":77}` },
		"stock level": func(r *replayRig, id int64) string {
			body, _ := r.capture(fakeshopify.TopicInventoryLevel, ours, id)
			return body
		},
		"stock item": func(r *replayRig, id int64) string {
			body, _ := r.capture(fakeshopify.TopicInventoryItem, ours, id)
			return body
		},
		"Event of a product": func(_ *replayRig, id int64) string {
			return fmt.Sprintf(`{"topic":"Product","action":"update","query_variables":{"productId":"gid://shopify/Product/%d"}}`, id)
		},
		"uninstall": func(*replayRig, int64) string {
			return `{"id":548380009,"name":"Super Toys","domain":null,"myshopify_domain":"` + ours + `","plan_name":"basic"}`
		},
		"scopes": func(*replayRig, int64) string {
			return `{"id":1,"previous":["read_products"],"current":["read_products","read_inventory"],"updated_at":"` + at + `"}`
		},
		"bulk": func(*replayRig, int64) string {
			return `{"admin_graphql_api_id":"gid:\/\/shopify\/BulkOperation\/1","completed_at":"` + at +
				`","created_at":"` + at + `","error_code":null,"status":"completed","type":"query"}`
		},
		"data request": func(*replayRig, int64) string {
			return `{"shop_id":1,"shop_domain":"` + ours +
				`","orders_requested":[1],"customer":{"id":1,"email":"a@b","phone":"1"},"data_request":{"id":9}}`
		},
		"shop/redact": func(*replayRig, int64) string { return `{"shop_id":1,"shop_domain":"` + ours + `"}` },
	} {
		if raceEnabled && !slices.Contains([]string{"product", "stock level", "uninstall"}, name) { // ten times slower
			continue
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReplayRig(t)
				body := capture(r, r.shops[ours].IDs()[0])
				each := 60
				if name == "product" && !raceEnabled {
					each = 1000
				}
				r.storm(body, fakeshopify.Sign(appSecret, []byte(body)), each)
			})
		})
	}
}

// storm replays a body so often under each topic and shop, and holds the bounds.
func (r *replayRig) storm(body, signature string, each int) {
	const rounds = 20
	reads := 14 // of one thing by one shop: at once, by each topic at most, and then with each look through the wanted work
	if strings.Contains(body, `"query_variables"`) {
		reads = 18 // an equal Event, which has no time, may tell of another change: one in 10 s, for two minutes
	}
	topics := slices.Sorted(slices.Values(catalog.Topics()))
	ways := len(topics) * len(r.shops)
	seq, calls := r.store.LastSeq(), r.calls(-1, map[string]int{})
	for round := range rounds {
		var wg sync.WaitGroup
		for _, topic := range topics {
			for shop := range r.shops {
				wg.Go(func() {
					for i := range each / rounds {
						r.replay(string(topic), shop, fmt.Sprint(topic, shop, round, i), body, signature)
					}
				})
			}
		}
		wg.Wait()
		time.Sleep(6 * time.Second)
		for _, c := range r.conditions() {
			if strings.HasPrefix(c, string(status.Bad)) {
				r.t.Errorf("round %d: %s", round, c)
			}
		}
	}
	time.Sleep(time.Minute)
	list, err := r.store.Deliveries(r.t.Context(), "", 0, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	sum := int64(0)
	for _, d := range list {
		sum += d.Count
	}
	if len(list) > 2*ways || sum != int64(each*ways) {
		r.t.Errorf("%d journal rows for %d deliveries, at most %d for %d", len(list), sum, 2*ways, each*ways)
	}
	if letters, misfits := r.letters(); len(letters) > 0 || len(misfits) > ways {
		r.t.Errorf("%d dead letters that do not fit, and others %+v", len(misfits), letters)
	}
	if changes := r.store.LastSeq() - seq; changes > 1 {
		r.t.Errorf("%d changes", changes)
	}
	for call, n := range r.calls(1, calls) {
		if n > reads {
			r.t.Errorf("%d times %s", n, call)
		}
	}
	for shop, s := range r.shops {
		if n, err := r.store.CountShop(r.t.Context(), shop); err != nil || int(n.Products) != len(s.IDs()) {
			r.t.Errorf("%s has %+v, %v", shop, n, err)
		}
	}
}

// calls adds n to a count for each call that the shops were asked.
func (r *replayRig) calls(n int, counts map[string]int) map[string]int {
	for shop, s := range r.shops {
		for _, c := range s.APICalls() {
			counts[shop+" "+c.Operation] += n
		}
	}
	return counts
}
