package main_test

import (
	"net/http"
	"testing"
)

// Secrets are rotated while the server runs: the current and the previous one
// verify, the one before is refused with the reason.
func TestSecretsAreRotatedWhileServing(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{Env: []string{}})
	for _, secret := range []string{"shpss_first", "shpss_second", "shpss_third"} {
		addShop(t, s, e2eShop, secret)
		wantAnswer(t, s.post(delivery{Secret: secret, Body: productBody(1, 1, 1)}), answerApplied)
	}
	wantAnswer(t, s.post(delivery{Secret: "shpss_second", Body: productBody(2, 1, 1)}), answerApplied)
	wantProblem(t, s.post(delivery{Secret: "shpss_first", Body: productBody(3, 1, 1)}), http.StatusUnauthorized, "old_secret")
	wantProblem(t, s.post(delivery{Secret: "shpss_fourth", Body: productBody(3, 1, 1)}), http.StatusUnauthorized, "wrong_secret")
	if n := s.metrics()["stockroom_webhooks_old_secret_total"]; n != 1 {
		t.Errorf("%v deliveries with the previous secret, want 1", n)
	}
	s.stop()
}
