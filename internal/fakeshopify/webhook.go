package fakeshopify

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Sign returns the X-Shopify-Hmac-Sha256 of body: HMAC-SHA256, in base64.
func Sign(secret string, body []byte) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write(body)
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// Signed returns headers and body of a delivery as Shopify would make it now,
// signed with the current secret, without sending or recording it.
func (s *Shop) Signed(topic string, productID int64) (http.Header, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &pendingDelivery{topic: topic, product: productID, body: s.bodyNow(topic, productID),
		webhookID: uuid(s.chaosRand), eventID: uuid(s.chaosRand), triggered: s.opt.Now()}
	return s.headers(d, s.secret), d.body
}

func (s *Shop) headers(d *pendingDelivery, secret string) http.Header {
	family := "X-Shopify-"
	if isEvent(d.topic) {
		family = "Shopify-"
	}
	h := http.Header{
		"Content-Type":          {"application/json"},
		"User-Agent":            {"Shopify-Captain-Hook"},
		"Accept":                {"*/*"},
		"Accept-Encoding":       {"gzip;q=1.0,deflate;q=0.6,identity;q=0.3"},
		family + "Topic":        {d.topic},
		family + "Hmac-Sha256":  {Sign(secret, d.body)},
		family + "Shop-Domain":  {s.opt.Shop},
		family + "Api-Version":  {cmp.Or(d.version, s.opt.APIVersion)},
		family + "Webhook-Id":   {d.webhookID},
		family + "Triggered-At": {d.triggered.UTC().Format(time.RFC3339Nano)},
	}
	if isEvent(d.topic) {
		h.Set("Shopify-Handle", d.name)
		h.Set("Shopify-Action", cmp.Or(d.action, "update"))
		return h
	}
	h.Set("X-Shopify-Event-Id", d.eventID)
	if strings.HasPrefix(d.topic, "products/") {
		h.Set("X-Shopify-Product-Id", strconv.FormatInt(d.product, 10))
	}
	if d.name != "" {
		h.Set("X-Shopify-Name", d.name)
	}
	return h
}

// webhookClient is c, or a client of our own, made to follow no redirects.
func webhookClient(c *http.Client) *http.Client {
	if c == nil {
		c = &http.Client{Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     30 * time.Second,
			// Shopify asks for gzip by hand and gets what it gets.
			DisableCompression: true,
		}}
	}
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

func bodyHash(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
