package main_test

import (
	"net/http"
	"testing"
)

func TestAppliedDeliveryIsInTheCatalogueWhenItIsAnswered(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	if r := s.post(delivery{Body: productBody(7001, 1, 3), WebhookID: "w-1"}); r.Status != http.StatusOK || r.Body != `{"success":true}` {
		t.Fatalf("answer %s", r)
	}
	if n := count(t, openCatalogue(t, s.Dir), `SELECT count(*) FROM variants v JOIN products p ON p.id = v.product_id WHERE p.external_id = 7001`); n != 3 {
		t.Errorf("%d variants are stored, want 3", n)
	}
	s.stop()
}
