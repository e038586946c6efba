package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const (
	answerApplied = `{"success":true}`
	answerIgnored = `{"success":true,"ignored":true}`
	answerQueued  = `{"success":false,"queued":true}`
	answerKept    = `{"success":false,"queued":false}`
)

// wantAnswer checks a 200 answer to the byte.
func wantAnswer(t *testing.T, r reply, body string) {
	t.Helper()
	if r.Status != http.StatusOK || r.Body != body || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("answer %s as %q, want 200 %s as application/json", r, r.Header.Get("Content-Type"), body)
	}
}

// twoShops starts a server with e2eShop from the environment and otherShop from
// the command line.
const (
	otherShop   = "second-shop.myshopify.com"
	otherSecret = "shpss_of_the_second_shop"
)

func twoShops(t *testing.T) *server {
	t.Helper()
	s := startServer(t, serveOptions{})
	addShop(t, s, otherShop, otherSecret)
	return s
}

func addShop(t *testing.T, s *server, shop, secret string) {
	t.Helper()
	args := []string{"shop", "add", shop, "--data", s.Dir, "--api-key", "k", "--no-check"}
	if secret != "" {
		args = append(args, "--secret-file", "-")
	}
	if r := runCLI(t, nil, secret+"\n", args...); r.Code != 0 {
		t.Fatalf("shop add: exit %d: %s", r.Code, r.Stderr)
	}
}

// Every 200 row of the answer table: the exact answer, the journal's outcome
// and what is stored.
func TestEachAcceptedDeliveryGetsItsAnswerAndItsOutcome(t *testing.T) {
	t.Parallel()
	s := twoShops(t)
	db := openCatalogue(t, s.Dir)
	at := func(id int64, version int) []byte { return productBody(id, version, 3) }
	setUp := []delivery{
		{Body: at(1, 5), WebhookID: "first"},
		{Body: at(2, 5), Topic: "products/create"},
		{Body: at(3, 5)},
		{Body: at(30, 5)},
		{Shop: otherShop, Secret: otherSecret, Body: at(9, 5)},
	}
	for _, d := range setUp {
		wantAnswer(t, s.post(d), answerApplied)
	}
	deep := func(levels int) []byte {
		nested := `,"metafields":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + `}`
		return append(bytes.TrimSuffix(at(21, levels%60), []byte("}")), nested...)
	}
	tests := map[string]struct {
		d       delivery
		answer  string
		outcome string // of the newest journal row; "" when there is none
		state   string // SQL that yields 1 when the state is right
	}{
		"a newer version is applied": {delivery{Body: at(1, 6), WebhookID: "newer"}, answerApplied, "applied",
			`SELECT title = 'Product 1 v6' FROM products WHERE external_id = 1`},
		"a create is applied": {delivery{Topic: "products/create", Body: at(10, 1)}, answerApplied, "applied",
			`SELECT count(*) FROM products WHERE external_id = 10 AND merchant_id = 'merchant-7' AND status = 'ACTIVE'`},
		"an older version is stale": {delivery{Body: at(2, 4)}, answerApplied, "stale",
			`SELECT title = 'Product 2 v5' FROM products WHERE external_id = 2`},
		"the same delivery again is a duplicate": {delivery{Body: at(3, 5)}, answerApplied, "duplicate", ``},
		"the webhook id of another body is no duplicate": {delivery{Body: at(4, 1), WebhookID: "first"}, answerApplied, "applied",
			`SELECT count(*) FROM products WHERE external_id = 4`},
		"a delete is final": {delivery{Topic: "products/delete", Body: []byte(`{"id":30}`)}, answerApplied, "applied",
			`SELECT (SELECT count(*) FROM products WHERE external_id = 30) = 0 AND (SELECT count(*) FROM tombstones WHERE external_id = 30) = 1`},
		"a delete of a product that was never seen leaves a tombstone": {delivery{Topic: "products/delete", Body: []byte(`{"id":77}`)}, answerApplied, "applied",
			`SELECT count(*) FROM tombstones WHERE external_id = 77`},
		"the topic's case does not matter":              {delivery{Topic: "Products/UPDATE", Body: at(11, 1)}, answerApplied, "applied", `SELECT count(*) FROM deliveries WHERE topic = 'products/update' AND external_id = 11`},
		"the topic comes from the header, not the path": {delivery{Path: "/webhooks/shopify/a/b", Topic: "products/create", Body: at(12, 1)}, answerApplied, "applied", ``},
		"the shop's case does not matter":               {delivery{Shop: "Linen-And-Sons.MyShopify.com", Body: at(13, 1)}, answerApplied, "applied", `SELECT count(*) FROM products WHERE external_id = 13 AND shop = '` + e2eShop + `'`},
		"the previous secret is still right":            {delivery{Secret: e2eOld, Body: at(14, 1)}, answerApplied, "applied", ``},
		"another shop has its own secret":               {delivery{Shop: otherShop, Secret: otherSecret, Body: at(15, 1)}, answerApplied, "applied", `SELECT count(*) FROM products WHERE external_id = 15 AND shop = '` + otherShop + `'`},
		"an inventory level asks for the product's total": {delivery{Topic: "inventory_levels/update", Body: []byte(`{"inventory_item_id":10001,"location_id":5,"available":999}`)}, answerApplied, "applied",
			`SELECT inventory_quantity <> 999 FROM variants WHERE external_id = 10001`},
		"an inventory item asks for its product": {delivery{Topic: "inventory_items/update", Body: []byte(`{"id":30001,"sku":"NEW","tracked":true,"requires_shipping":true}`)}, answerApplied, "applied",
			`SELECT count(*) FROM wanted WHERE kind = 'fetch_product' AND external_id = 3`},
		"app/uninstalled asks the API and stops nothing yet": {delivery{Topic: "app/uninstalled", Body: []byte(`{"id":548380009,"name":"Super Toys","domain":null,"myshopify_domain":null,"plan_name":"basic"}`)}, answerApplied, "applied",
			`SELECT (SELECT state FROM shops WHERE shop = '` + e2eShop + `') = 'active' AND (SELECT count(*) FROM wanted WHERE kind = 'confirm_uninstall') = 1`},
		"a data request is acknowledged":       {delivery{Topic: "customers/data_request", Body: []byte(`{"shop_id":954889,"shop_domain":"` + e2eShop + `","orders_requested":[1],"customer":{"id":1,"email":"a@b","phone":"1"},"data_request":{"id":9}}`)}, answerApplied, "applied", ``},
		"a customer's erasure is acknowledged": {delivery{Topic: "customers/redact", Body: []byte(`{"shop_id":954889,"shop_domain":"` + e2eShop + `","customer":{"id":1,"email":"a@b","phone":"1"},"orders_to_redact":[1]}`)}, answerApplied, "applied", ``},
		"shop/redact of a shop that is still there deletes nothing": {delivery{Topic: "shop/redact", Body: []byte(`{"shop_id":954889,"shop_domain":"` + e2eShop + `"}`)}, answerApplied, "applied",
			`SELECT count(*) > 3 FROM products WHERE shop = '` + e2eShop + `'`},
		"an unknown topic is ignored": {delivery{Topic: "orders/create", Body: []byte(`{"id":1}`)}, answerIgnored, "", ``},
		"no body is kept whole":       {delivery{Body: []byte{}}, answerKept, "dead", ``},
		"a byte order mark is kept whole": {delivery{Body: append([]byte("\xef\xbb\xbf"), at(20, 1)...)}, answerKept, "dead",
			`SELECT count(*) = 0 FROM products WHERE external_id = 20`},
		"a thousand levels in an unknown field are passed over": {delivery{Body: deep(1000)}, answerApplied, "applied", `SELECT count(*) FROM products WHERE external_id = 21`},
		"twenty thousand levels are kept whole":                 {delivery{Body: deep(20_001)}, answerKept, "dead", `SELECT count(*) = 0 FROM products WHERE external_id = 21 AND title LIKE '%v21'`},
		"invalid UTF-8 is kept whole":                           {delivery{Body: []byte("{\"id\":22,\"title\":\"\xff\xfe\",\"vendor\":\"x\"}")}, answerKept, "dead", `SELECT count(*) = 0 FROM products WHERE external_id = 22`},
		"half a document is kept whole":                         {delivery{Body: at(23, 1)[:200]}, answerKept, "dead", `SELECT count(*) = 0 FROM products WHERE external_id = 23`},
		"a price that is no number is kept whole":               {delivery{Body: bytes.Replace(at(24, 1), []byte(`"price":"11.90"`), []byte(`"price":"cheap"`), 1)}, answerKept, "dead", `SELECT count(*) = 0 FROM products WHERE external_id = 24`},
		"an update under products/delete is a mismatch":         {delivery{Topic: "products/delete", Body: at(3, 7)}, answerKept, "mismatch", `SELECT title = 'Product 3 v5' FROM products WHERE external_id = 3`},
		"a delete under products/update is a mismatch":          {delivery{Topic: "products/update", Body: []byte(`{"id":3}`)}, answerKept, "mismatch", `SELECT count(*) FROM products WHERE external_id = 3`},
		"an id and a global id that differ are a mismatch":      {delivery{Body: bytes.Replace(at(3, 8), []byte(`{"id":3,`), []byte(`{"id":3,"admin_graphql_api_id":"gid:\/\/shopify\/Product\/4",`), 1)}, answerKept, "mismatch", `SELECT title = 'Product 3 v5' FROM products WHERE external_id = 3`},
		"an id that another shop's product has is a mismatch":   {delivery{Body: at(9, 9)}, answerKept, "mismatch", `SELECT title = 'Product 9 v5' FROM products WHERE external_id = 9 AND shop = '` + otherShop + `'`},
		"shop/redact that names another shop is a mismatch":     {delivery{Topic: "shop/redact", Body: []byte(`{"shop_id":1,"shop_domain":"` + otherShop + `"}`)}, answerKept, "mismatch", ``},
		"shop/redact with one field more is a mismatch":         {delivery{Topic: "shop/redact", Body: []byte(`{"shop_id":1,"shop_domain":"` + e2eShop + `","x":1}`)}, answerKept, "mismatch", ``},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := count(t, db, `SELECT coalesce(max(id), 0) FROM deliveries`)
			wantAnswer(t, s.post(test.d), test.answer)
			var outcome string
			if err := db.QueryRow(`SELECT coalesce(group_concat(outcome), '') FROM deliveries WHERE id > ?`, before).Scan(&outcome); err != nil {
				t.Fatal(err)
			}
			if outcome != test.outcome {
				t.Errorf("the journal says %q, want %q", outcome, test.outcome)
			}
			if test.state != "" && count(t, db, test.state) != 1 {
				t.Errorf("the state is not as it should be: %s", test.state)
			}
		})
	}
	s.stop()
}

// What makes no sense here is in the queue as a dead letter, whole, with the
// reason, and `queue list --json` shows it.
func TestDeadLettersAreListedWholeWithTheirReason(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	mismatch, poison := string(productBody(3, 7, 1)), "{\"id\":7,\"title\":\"caf\u00e9\\/\",\"vendor\":"
	for range 2 { // the second of each is the same dead letter
		wantAnswer(t, s.post(delivery{Topic: "products/delete", Body: []byte(mismatch), WebhookID: "w-mismatch"}), answerKept)
		wantAnswer(t, s.post(delivery{Body: []byte(poison), WebhookID: "w-poison"}), answerKept)
	}
	var doc struct{ Jobs []queuedJob }
	if err := json.Unmarshal([]byte(s.cli("queue", "list", "--state", "dead", "--json")), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Jobs) != 2 {
		t.Fatalf("%d dead letters, want 2: %+v", len(doc.Jobs), doc.Jobs)
	}
	wants := map[string]struct{ topic, class, data string }{
		"w-mismatch": {"products/delete", "validation", mismatch},
		"w-poison":   {"products/update", "poison", poison},
	}
	for _, j := range doc.Jobs {
		want := wants[j.WebhookID]
		var data string
		if j.WebhookID == "w-poison" { // not JSON, so shown as text
			if err := json.Unmarshal(j.Data, &data); err != nil {
				t.Errorf("data of %s: %v", j.WebhookID, err)
			}
		} else {
			data = compacted(t, j.Data)
			want.data = compacted(t, []byte(want.data))
		}
		if j.State != "dead" || j.Topic != want.topic || j.Class != want.class || data != want.data {
			t.Errorf("job %s: state %s, topic %s, class %s, data %s", j.WebhookID, j.State, j.Topic, j.Class, data)
		}
		if j.Shop != e2eShop || j.FirstError == "" || j.DiedAt.IsZero() || j.ReceivedAt.IsZero() || j.EnqueuedAt.IsZero() {
			t.Errorf("job %s lacks shop, error or times: %+v", j.WebhookID, j)
		}
		var one queuedJob
		if err := json.Unmarshal([]byte(s.cli("queue", "show", j.ID, "--json")), &one); err != nil {
			t.Fatal(err)
		}
		if compacted(t, one.Data) != compacted(t, j.Data) || one.Shop != j.Shop || one.Topic != j.Topic || one.Attempts != j.Attempts || one.EnqueuedAt != j.EnqueuedAt {
			t.Errorf("queue show differs from queue list: %+v and %+v", one, j)
		}
	}
	if got := s.cli("queue", "discard", "--all"); got != "2 discarded.\n" {
		t.Errorf("discard --all: %q", got)
	}
	s.stop()
}

func compacted(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return b.String()
}

// A shop that was removed is unknown, but for the privacy topics, and
// shop/redact then deletes what is left of it.
func TestRemovedShopIsUnknownExceptToPrivacyTopics(t *testing.T) {
	t.Parallel()
	s := twoShops(t)
	wantAnswer(t, s.post(delivery{Shop: otherShop, Secret: otherSecret, Body: productBody(5, 1, 1)}), answerApplied)
	wantAnswer(t, s.post(delivery{Body: productBody(6, 1, 1)}), answerApplied)
	s.cli("shop", "remove", otherShop)
	db := openCatalogue(t, s.Dir)
	if n := count(t, db, `SELECT count(*) FROM products`); n != 2 {
		t.Fatalf("%d products after shop remove without --purge, want 2", n)
	}
	if r := s.post(delivery{Shop: otherShop, Secret: otherSecret, Body: productBody(5, 2, 1)}); r.Status != http.StatusNotFound {
		t.Errorf("an update of a removed shop: %s", r)
	}
	customer := fmt.Sprintf(`{"shop_id":2,"shop_domain":%q,"customer":{"id":1},"orders_to_redact":[]}`, otherShop)
	wantAnswer(t, s.post(delivery{Shop: otherShop, Secret: otherSecret, Topic: "customers/redact", Body: []byte(customer)}), answerApplied)
	redact := fmt.Sprintf(`{"shop_id":2,"shop_domain":%q}`, otherShop)
	wantAnswer(t, s.post(delivery{Shop: otherShop, Secret: otherSecret, Topic: "shop/redact", Body: []byte(redact)}), answerApplied)
	if n := count(t, db, `SELECT count(*) FROM products WHERE shop = ?`, otherShop); n != 0 {
		t.Errorf("%d products of the shop are left after shop/redact", n)
	}
	if n := count(t, db, `SELECT count(*) FROM deliveries WHERE shop = ? AND topic = 'shop/redact' AND outcome = 'applied'`, otherShop); n != 1 {
		t.Errorf("the journal has %d rows of the erasure, want 1", n)
	}
	if n := count(t, db, `SELECT count(*) FROM products WHERE shop = ?`, e2eShop); n != 1 {
		t.Errorf("%d products of the other shop, want 1", n)
	}
	s.stop()
}
