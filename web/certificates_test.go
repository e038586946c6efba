package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"stockroom/internal/certs"
	"stockroom/internal/status"
)

// The API, the page and the metrics tell the same of each name.
func TestEveryFaceTellsHowTheCertificatesStand(t *testing.T) {
	r := newRig(t, nil)
	begin := time.Now().UTC().Truncate(time.Second).Add(-24 * time.Hour)
	end := begin.Add(90 * 24 * time.Hour)
	r.names = []status.Certificate{
		{Awaited: true, State: certs.State{Name: "shop.example.com", NotBefore: begin, NotAfter: end}},
		{State: certs.State{Name: "page.example.com", Failed: begin, Words: "No address.", Next: begin.Add(48 * time.Hour)}},
	}
	var doc struct{ Certificates []certificateStatus }
	if err := json.Unmarshal([]byte(r.admin(200, http.MethodGet, "/api/v1/status", "")), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Certificates) != 2 {
		t.Fatalf("%+v", doc)
	}
	shop, page := doc.Certificates[0], doc.Certificates[1]
	if shop.Name != "shop.example.com" || !shop.Deliveries || !shop.From.Equal(begin) || !shop.Until.Equal(end) ||
		shop.FailedAt != nil || shop.NextTryAt != nil || shop.Error != "" {
		t.Errorf("%+v", shop)
	}
	if page.Deliveries || page.Until != nil || !page.FailedAt.Equal(begin) || page.Error != "No address." ||
		page.NextTryAt == nil {
		t.Errorf("%+v", page)
	}
	metrics := scrape(r, "/metrics")
	for _, want := range []string{
		`stockroom_certificate_expires_timestamp_seconds{name="page.example.com"} 0`,
		`stockroom_condition{code="certificate"} 0`, `stockroom_condition{code="certificate-page"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	text := r.admin(200, http.MethodGet, "/", "")
	for _, want := range []string{"Certificate of shop.example.com", "none yet, next try by"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
