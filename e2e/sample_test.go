package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stockroom/internal/catalog"
)

// `stockroom webhooks test` signs with the shop's secret, which only the server
// knows, and goes through the public listener like any delivery.
func TestWebhooksTestSendsASignedDeliveryOfEachTopic(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	for _, topic := range catalog.Topics() {
		r := runCLI(t, nil, "", "webhooks", "test", "--topic", string(topic), "--json", "--data", s.Dir)
		if topic == catalog.ShopRedactTopic {
			if r.Code != 2 || !strings.Contains(r.Stderr, "no sample") {
				t.Errorf("%s: exit %d, %s", topic, r.Code, r.Stderr)
			}
			continue
		}
		var out struct {
			URL, Shop, Topic string
			Status           int
			Answer           json.RawMessage
		}
		if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil {
			t.Errorf("%s: %v: %s%s", topic, err, r.Stdout, r.Stderr)
			continue
		}
		if r.Code != 0 || out.Status != 200 || compacted(t, out.Answer) != answerApplied || out.Topic != string(topic) || out.Shop != e2eShop || !strings.HasPrefix(out.URL, s.Public) {
			t.Errorf("%s: exit %d, %+v, %s", topic, r.Code, out, r.Stderr)
		}
	}
	if out := s.cli("webhooks", "test", e2eShop, "--topic", "orders/create"); !strings.Contains(out, "signature right, ignored, for Stockroom uses no such topic. Not tested: ") {
		t.Errorf("an unknown topic: %s", out)
	}
	db := openCatalogue(t, s.Dir)
	if n := count(t, db, `SELECT count(*) FROM wanted WHERE kind = 'fetch_product'`); n > 1 { // the inventory samples ask for the test product
		t.Errorf("the samples asked for %d products", n)
	}
	if n := count(t, db, `SELECT count(*) FROM products WHERE status = 'ACTIVE'`); n != 0 {
		t.Errorf("the samples made %d products ACTIVE", n)
	}
	s.cli("webhooks", "test", "--topic", "products/delete")
	if n := count(t, db, `SELECT count(*) FROM products`); n != 0 {
		t.Errorf("%d products are left after the sample of products/delete", n)
	}
	// A body of one's own, from a file, byte for byte.
	file := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(file, []byte("{\"id\":5,\"title\":\"\xff\"}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := s.cli("webhooks", "test", "--body", file); !strings.Contains(out, "kept as a dead letter") {
		t.Errorf("a body that is no UTF-8: %s", out)
	}
	if r := s.admin(http.MethodPost, "/api/v1/webhooks-test", `{"shop":"stranger.myshopify.com"}`); r.Status != http.StatusNotFound {
		t.Errorf("a shop that is not connected: %s", r)
	}
	addShop(t, s, otherShop, "")
	if r := s.admin(http.MethodPost, "/api/v1/webhooks-test", `{}`); r.Status != http.StatusBadRequest {
		t.Errorf("two shops and none named: %s", r)
	}
	if r := s.admin(http.MethodPost, "/api/v1/webhooks-test", `{"shop":"`+otherShop+`"}`); r.Status != http.StatusConflict {
		t.Errorf("a shop without a secret: %s", r)
	}
	s.stop()
	if r := runCLI(t, nil, "", "webhooks", "test", "--data", s.Dir); r.Code == 0 || !strings.Contains(r.Stderr, "stockroom serve") {
		t.Errorf("without a server: exit %d, %s", r.Code, r.Stderr)
	}
}
