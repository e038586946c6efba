package shopify

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"stockroom/limiter"
)

// TestEachRefusalOfTheGrantSaysTheStepToTake has Shopify's pages in testdata.
func TestEachRefusalOfTheGrantSaysTheStepToTake(t *testing.T) {
	for _, tt := range []struct {
		page  string
		kind  Kind
		words string
	}{
		{"application_cannot_be_found", KindToken, "Shopify knows no app with this client id; copy the client id again from the app's settings in Shopify's Dev Dashboard"},
		{"invalid_client", KindToken, "Shopify does not accept the app's client secret; copy the client secret again from the app's settings in Shopify's Dev Dashboard"},
		{"app_not_installed", KindUninstalled, "the app is not installed on the shop; release a version of the app in Shopify's Dev Dashboard and install it on the shop"},
		{"invalid_request", KindUninstalled, "the app is not installed on the shop; release a version of the app in Shopify's Dev Dashboard and install it on the shop"},
		{"shop_not_permitted", KindToken, "Shopify gives this app no token for the shop, because they belong to different organizations: " +
			"Client credentials cannot be performed on this shop; let the shop's owner approve the app with stockroom shop connect my-shop.myshopify.com, or " +
			"make the app in the organization that the shop belongs to"},
	} {
		t.Run(tt.page, func(t *testing.T) {
			page, err := os.ReadFile(filepath.Join("testdata", "oauth", tt.page+".html"))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{wrap: func(http.RoundTripper) http.RoundTripper {
					return transportFunc(func(req *http.Request) (*http.Response, error) {
						return &http.Response{
							StatusCode: http.StatusBadRequest, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
							Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Body: io.NopCloser(bytes.NewReader(page)),
						}, nil
					})
				}})
				_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
				e, ok := err.(*Error)
				if !ok || e.Kind != tt.kind || e.Words() != tt.words {
					t.Errorf("kind %v, words %q of %v", KindOf(err), e.Words(), err)
				}
				if strings.Contains(e.Words()+e.Error(), "access token") {
					t.Errorf("an access token is spoken of, and nobody has given one: %q, %q", e.Words(), e.Error())
				}
			})
		})
	}
}
