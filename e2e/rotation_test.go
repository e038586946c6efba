package e2e_test

import (
	"net/http"
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
