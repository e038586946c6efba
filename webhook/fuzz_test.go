package webhook

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/http"
	"reflect"
	"testing"
	"time"
)

// No header value makes the decoder panic, and what it accepts is 32 bytes.
func FuzzHMACHeader(f *testing.F) {
	for _, s := range []string{"", mac("x", nil), "====", "not base64", mac("x", nil) + "\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		sum, ok := decodeHMAC(header)
		if ok && len(sum) != 32 {
			t.Errorf("%q gives %d bytes", header, len(sum))
		}
		if again, fits := decodeHMAC(base64.StdEncoding.EncodeToString(sum)); ok && (!fits || !bytes.Equal(again, sum)) {
			t.Errorf("%q is not read the same again", header)
		}
	})
}

// A delivery comes out of the queue as it went in, byte for byte, and a payload
// that is none is an error.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte("{}\n{}"), "a.myshopify.com", "products/update", "id")
	f.Add([]byte("no newline"), "", "\n", "\x00")
	f.Fuzz(func(t *testing.T, body []byte, shop, topic, id string) {
		_, _ = DecodeEnvelope(body)
		in := Envelope{Shop: cmp.Or(shop, testShop), Topic: topic, WebhookID: id, ReceivedAt: time.Unix(1_790_000_000, 123).UTC(), Body: body}
		payload, err := in.Encode()
		if err != nil {
			t.Fatal(err)
		}
		out, err := DecodeEnvelope(payload)
		if err != nil {
			t.Fatalf("%v in %q", err, payload)
		}
		if !bytes.Equal(out.Body, body) || !out.ReceivedAt.Equal(in.ReceivedAt) {
			t.Errorf("body %q became %q", body, out.Body)
		}
		out.Body = in.Body
		again, err := out.Encode() // invalid UTF-8 of a header is replaced once and then stays
		if err != nil {
			t.Fatal(err)
		}
		if third, err := DecodeEnvelope(again); err != nil || third.Shop != out.Shop || !reflect.DeepEqual(third.WebhookID, out.WebhookID) {
			t.Errorf("%+v became %+v, %v", out, third, err)
		}
	})
}

// Whatever comes: unsigned it changes nothing, signed it is answered 200 or 404
// and kept somewhere.
func FuzzDelivery(f *testing.F) {
	f.Add([]byte(`{"id":1,"title":"x","vendor":"y","updated_at":"2026-11-01T10:00:00Z"}`), "products/update", testShop, "w", "", true)
	f.Add([]byte(`{"id":1}`), "products/delete", testShop, "", "2026-11-01T10:00:00Z", true)
	f.Add([]byte("\xef\xbb\xbf{"), "shop/redact", otherShop, "", "", false)
	f.Fuzz(func(t *testing.T, body []byte, topic, shop, id, triggered string, sign bool) {
		b := newBench(nil)
		r := signed(body)
		for name, v := range map[string]string{"X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": shop, "X-Shopify-Webhook-Id": id, "X-Shopify-Triggered-At": triggered} {
			r.Header[http.CanonicalHeaderKey(name)] = []string{v}
		}
		if !sign {
			r.Header.Set("X-Shopify-Hmac-Sha256", mac("stranger", body))
		}
		w := b.send(r)
		touched := b.catalogue.count() + len(b.queue.list())
		switch {
		case w.Code == http.StatusOK && sign:
			if touched == 0 && w.Body.String() != `{"success":true,"ignored":true}` {
				t.Errorf("answered %s and kept nothing", w.Body)
			}
		case w.Code == http.StatusUnauthorized || w.Code == http.StatusNotFound && sign:
			if touched != 0 {
				t.Errorf("%d, and something was kept", w.Code)
			}
		default:
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
