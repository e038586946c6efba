package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Secrets are rotated while the server runs: the current and the previous one
// verify, the one before is refused, and the reason is counted.
func TestSecretsAreRotatedWhileServing(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{Env: []string{}})
	for _, secret := range []string{"shpss_first", "shpss_second", "shpss_third"} {
		addShop(t, s, e2eShop, secret)
		wantAnswer(t, s.post(delivery{Secret: secret, Body: productBody(1, 1, 1)}), answerApplied)
	}
	wantAnswer(t, s.post(delivery{Secret: "shpss_second", Body: productBody(2, 1, 1)}), answerApplied)
	wantProblem(t, s.post(delivery{Secret: "shpss_first", Body: productBody(3, 1, 1)}), http.StatusUnauthorized, "wrong_signature")
	wantProblem(t, s.post(delivery{Secret: "shpss_fourth", Body: productBody(3, 1, 1)}), http.StatusUnauthorized, "wrong_signature")
	m := s.metrics()
	if n := m["stockroom_webhooks_old_secret_total"]; n != 1 {
		t.Errorf("%v deliveries with the previous secret, want 1", n)
	}
	if n := m[`stockroom_webhooks_rejected_total{reason="old_secret"}`]; n != 1 {
		t.Errorf("%v refusals of a replaced secret, want 1", n)
	}
	s.stop()
}

// What Settings, Notifications in a shop's admin signs is taken for every shop,
// beside what its app signs, and for a shop without a secret nothing is refused.
func TestAFurtherSecretSignsDeliveriesOfEveryShop(t *testing.T) {
	t.Parallel()
	const further, third = "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "third-shop.myshopify.com"
	file := filepath.Join(t.TempDir(), "signing")
	if err := os.WriteFile(file, []byte(further+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, serveOptions{Env: []string{}, Args: []string{"--signing-secret-file", file}})
	for i, shop := range []string{e2eShop, otherShop} {
		own := []string{e2eSecret, otherSecret}[i]
		addShop(t, s, shop, own)
		for j, secret := range []string{further, own} {
			body := productBody(int64(10*i+j+1), 1, 1)
			wantAnswer(t, s.post(delivery{Shop: shop, Secret: secret, Body: body}), answerApplied)
		}
		wantProblem(t, s.post(delivery{Shop: shop, Secret: "0" + further, Body: productBody(9, 1, 1)}), http.StatusUnauthorized, "wrong_signature")
	}
	addShop(t, s, third, "")
	if r := s.post(delivery{Shop: third, Secret: "nobody's", Body: productBody(9, 1, 1)}); r.Status != http.StatusServiceUnavailable {
		t.Errorf("a shop without a secret of its own answers %d %s", r.Status, r.Body)
	}
	s.stop()
	if strings.Contains(s.log.String(), further) {
		t.Error("the secret is in the log")
	}
}
