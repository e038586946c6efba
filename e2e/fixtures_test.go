package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const fixtureFolder = "../../shared/fixtures/webhooks"

func fixture(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(fixtureFolder, name))
	if err != nil {
		t.Skipf("recorded fixtures are not here: %v", err)
	}
	return text
}

// Each recorded or documented body under its topic. A file that is not in the
// table fails the test, so that a new fixture gets its row.
func TestEachRecordedBodyIsTakenAsItShouldBe(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(fixtureFolder)
	if err != nil {
		t.Skipf("recorded fixtures are not here: %v", err)
	}
	// Topics that Stockroom has no use for are answered and ignored.
	tests := map[string]struct{ topic, answer string }{
		"docs2026-07_app_scopes_update.json":                          {"app/scopes_update", answerApplied},
		"docs2026-07_app_uninstalled.json":                            {"app/uninstalled", answerApplied},
		"docs2026-07_bulk_operations_finish.json":                     {"bulk_operations/finish", answerApplied},
		"docs2026-07_inventory_items_create.json":                     {"inventory_items/create", answerIgnored},
		"docs2026-07_inventory_items_delete.json":                     {"inventory_items/delete", answerIgnored},
		"docs2026-07_inventory_items_update.json":                     {"inventory_items/update", answerApplied},
		"docs2026-07_inventory_levels_connect.json":                   {"inventory_levels/connect", answerApplied},
		"docs2026-07_inventory_levels_disconnect.json":                {"inventory_levels/disconnect", answerApplied},
		"docs2026-07_inventory_levels_update.json":                    {"inventory_levels/update", answerApplied},
		"docs2026-07_locations_delete.json":                           {"locations/delete", answerIgnored},
		"docs2026-07_locations_update.json":                           {"locations/update", answerIgnored},
		"docs2026-07_product_listings_add.json":                       {"product_listings/add", answerIgnored},
		"docs2026-07_product_listings_remove.json":                    {"product_listings/remove", answerIgnored},
		"docs2026-07_product_publications_create.json":                {"product_publications/create", answerIgnored},
		"docs2026-07_products_create.json":                            {"products/create", answerApplied},
		"docs2026-07_products_delete.json":                            {"products/delete", answerApplied},
		"docs2026-07_products_update.json":                            {"products/update", answerApplied},
		"docs_bulk_operations_finish_guide.json":                      {"bulk_operations/finish", answerApplied},
		"docs_customers_data_request.json":                            {"customers/data_request", answerKept}, // they name a shop of Shopify's own
		"docs_customers_redact.json":                                  {"customers/redact", answerKept},
		"docs_shop_redact.json":                                       {"shop/redact", answerKept},
		"docs_events_product_update_after_2026-09-16.json":            {"products/update", answerKept},
		"headers_real_products_update_2025-09.json":                   {"", ""}, // headers, used below
		"synthetic_products_update_2048_variants_100_full.json":       {"products/update", answerApplied},
		"synthetic_products_update_include_fields_minimal.json":       {"products/update", answerApplied},
		"synthetic_products_update_unicode_escaped_like_shopify.json": {"products/update", answerApplied},
	}
	s := startServer(t, serveOptions{})
	for _, f := range files {
		test, ok := tests[f.Name()]
		if !ok {
			t.Errorf("%s has no row", f.Name())
			continue
		}
		if test.topic == "" {
			continue
		}
		t.Run(f.Name(), func(t *testing.T) {
			wantAnswer(t, s.post(delivery{Topic: test.topic, Body: fixture(t, f.Name())}), test.answer)
		})
	}
	// The privacy samples name another shop; with ours in its place they fit.
	for name, topic := range map[string]string{
		"docs_customers_data_request.json": "customers/data_request", "docs_customers_redact.json": "customers/redact", "docs_shop_redact.json": "shop/redact",
	} {
		var doc struct {
			Shop string `json:"shop_domain"`
		}
		body := fixture(t, name)
		if err := json.Unmarshal(body, &doc); err != nil || doc.Shop == "" {
			t.Fatalf("%s: %v", name, err)
		}
		wantAnswer(t, s.post(delivery{Topic: topic, Body: bytes.Replace(body, []byte(doc.Shop), []byte(e2eShop), 1)}), answerApplied)
	}
	if n := count(t, openCatalogue(t, s.Dir), `SELECT count(*) FROM deliveries WHERE outcome = 'applied' AND topic = 'products/delete'`); n != 1 {
		t.Errorf("%d deletes are in the journal, want 1", n)
	}
	s.stop()
}

// A delivery with exactly the headers of a recorded one: only its signature and
// shop are ours.
func TestDeliveryWithRecordedHeadersIsTaken(t *testing.T) {
	t.Parallel()
	var recorded map[string]string
	if err := json.Unmarshal(fixture(t, "headers_real_products_update_2025-09.json"), &recorded); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, serveOptions{})
	body := productBody(7350462185566, 1, 2)
	var b strings.Builder
	b.WriteString("POST /webhooks/shopify/products HTTP/1.1\r\n")
	for name, value := range recorded {
		switch name {
		case "x-shopify-hmac-sha256":
			value = sign(e2eSecret, body)
		case "x-shopify-shop-domain":
			value = e2eShop
		}
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	fmt.Fprintf(&b, "Connection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if status, answer := raw(t, s, b.String()); status != "HTTP/1.1 200 OK" || answer != answerApplied {
		t.Fatalf("%s %s", status, answer)
	}
	var webhook, event string
	var triggered int64
	err := openCatalogue(t, s.Dir).QueryRow(`SELECT webhook_id, event_id, triggered_at FROM deliveries`).Scan(&webhook, &event, &triggered)
	at, parseErr := time.Parse(time.RFC3339Nano, recorded["x-shopify-triggered-at"])
	if err != nil || parseErr != nil || webhook != recorded["x-shopify-webhook-id"] || event != recorded["x-shopify-event-id"] || triggered != at.UnixMilli() {
		t.Errorf("journal: %q %q %d, %v, %v", webhook, event, triggered, err, parseErr)
	}
	s.stop()
}

// A body that names 2,048 variants and carries 100 in full removes nothing and
// asks, once, for the rest.
func TestBodyWithAPartOfItsVariantsRemovesNothingAndAsksForTheRest(t *testing.T) {
	t.Parallel()
	full := fixture(t, "synthetic_products_update_2048_variants_100_full.json")
	var doc map[string]json.RawMessage
	var carried []map[string]any
	var named []struct {
		GID string `json:"admin_graphql_api_id"`
	}
	err := json.Unmarshal(full, &doc)
	if err == nil {
		err = errors.Join(json.Unmarshal(doc["variants"], &carried), json.Unmarshal(doc["variant_gids"], &named))
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(carried) != 100 || len(named) != 2048 {
		t.Fatalf("the fixture carries %d of %d variants", len(carried), len(named))
	}
	// First the same product an hour earlier with all its variants in full.
	all := make([]map[string]any, 0, len(named))
	for i, v := range named {
		one := map[string]any{}
		for k, value := range carried[i%100] {
			one[k] = value
		}
		id := v.GID[strings.LastIndexByte(v.GID, '/')+1:]
		one["id"], one["admin_graphql_api_id"], one["sku"] = json.Number(id), v.GID, "before-"+id
		all = append(all, one)
	}
	var updated time.Time
	if err := json.Unmarshal(doc["updated_at"], &updated); err != nil {
		t.Fatal(err)
	}
	earlier := map[string]any{}
	for k, v := range doc {
		earlier[k] = v
	}
	earlier["variants"], earlier["updated_at"] = all, updated.Add(-time.Hour)
	body, err := json.Marshal(earlier)
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, serveOptions{})
	wantAnswer(t, s.post(delivery{Body: body}), answerApplied)
	db := openCatalogue(t, s.Dir)
	if n := count(t, db, `SELECT count(*) FROM variants`); n != 2048 {
		t.Fatalf("%d variants are stored, want 2048", n)
	}
	if jobs := s.jobs(""); len(jobs) != 0 {
		t.Fatalf("the complete body queued %+v", jobs)
	}
	for range 3 { // a duplicate and another one ask for nothing more
		wantAnswer(t, s.post(delivery{Body: full, WebhookID: "truncated"}), answerApplied)
	}
	wantAnswer(t, s.post(delivery{Body: full, WebhookID: "truncated-again"}), answerApplied)
	if n := count(t, db, `SELECT count(*) FROM variants`); n != 2048 {
		t.Errorf("%d variants are left, want 2048", n)
	}
	if n := count(t, db, `SELECT count(*) FROM variants WHERE sku NOT LIKE 'before-%' OR sku IS NULL`); n != 100 {
		t.Errorf("%d variants are new, want the 100 in full", n)
	}
	var list struct{ Jobs []queuedJob }
	await(t, "the refetch job", func() bool {
		if err := json.Unmarshal([]byte(s.cli("queue", "list", "--json")), &list); err != nil {
			t.Fatal(err)
		}
		return len(list.Jobs) > 0
	})
	var id int64
	if err := json.Unmarshal(doc["id"], &id); err != nil {
		t.Fatal(err)
	}
	j := list.Jobs[0]
	if len(list.Jobs) != 1 || j.Kind != "fetch_product" || j.State == "dead" || j.Shop != e2eShop ||
		compacted(t, j.Data) != fmt.Sprintf(`{"shop":%q,"id":%d}`, e2eShop, id) {
		t.Errorf("the queue has %+v, want one fetch of product %d", list.Jobs, id)
	}
	s.stop()
}
