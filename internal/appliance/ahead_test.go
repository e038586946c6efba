package appliance

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/queue"
)

// signedDelivery hands the intake a body that the shop's secret signs.
func (r *gapRig) signedDelivery(topic, body string) string {
	r.t.Helper()
	return deliverSigned(r.t, r.Appliance, gapShop, r.shop.Secret(), topic, body)
}

func deliverSigned(t *testing.T, a *Appliance, shop, secret, topic, body string) string {
	t.Helper()
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(body))
	q := httptest.NewRequest(http.MethodPost, "/webhooks/shopify", bytes.NewReader([]byte(body)))
	q.Header.Set("X-Shopify-Topic", topic)
	q.Header.Set("X-Shopify-Shop-Domain", shop)
	q.Header.Set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(m.Sum(nil)))
	w := httptest.NewRecorder()
	a.intake.ServeHTTP(w, q)
	if w.Code != http.StatusOK {
		t.Fatalf("answer %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// TestABodyThatIsNotAppliedIsAnsweredByARead holds bodies that are not applied
// from their delivery to the read that answers them, and what happens next.
func TestABodyThatIsNotAppliedIsAnsweredByARead(t *testing.T) {
	for name, body := range map[string]string{
		"dated 2099":               `{"id":%d,"title":"POISON","updated_at":"2099-01-01T00:00:00Z"}`,
		"dated at the end of time": `{"id":%d,"title":"POISON","updated_at":"9999-12-31T23:59:59Z"}`,
		"a title that is no text":  `{"id":%d,"title":{"a":1},"updated_at":"2000-01-02T00:00:00Z"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := newGapRig(t, t.TempDir(), fakeshopify.Options{Seed: 11, Products: 10})
				time.Sleep(30 * time.Minute)
				id := r.shop.IDs()[4]
				if got := r.signedDelivery("products/update", fmt.Sprintf(body, id)); got != `{"success":false,"queued":false}` {
					t.Fatalf("answer %s", got)
				}
				list, err := r.store.WantedList(t.Context())
				if err != nil || len(list) != 1 || list[0].ID != id {
					t.Fatalf("wanted %+v, %v", list, err)
				}
				time.Sleep(time.Minute)
				if dead, _, err := r.queue.List(t.Context(), queue.Filter{State: queue.Dead}); err != nil || len(dead) != 0 {
					t.Errorf("dead letters %+v, %v", dead, err)
				}
				if list, err := r.store.WantedList(t.Context()); err != nil || len(list) != 0 {
					t.Errorf("still wanted %+v, %v", list, err)
				}
				r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "a real edit" })
				time.Sleep(5 * time.Second)
				row, err := r.store.Product(t.Context(), gapShop, id)
				if err != nil || row.Title.Value() != "a real edit" {
					t.Errorf("%+v, %v", row, err)
				}
			})
		})
	}
}
