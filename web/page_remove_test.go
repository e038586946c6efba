package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestAShopIsRemovedOnThePageAfterAQuestion(t *testing.T) {
	path := "/shops/" + testShop + "/remove"
	for name, tt := range map[string]struct {
		form     url.Values
		location string
		want     []string
	}{
		"so that it can come back": {nil, "/shops?fetch=10&n=1&off=1&said=removed", []string{
			"The shop was removed, and 1 product became inactive. Deleted 10 webhook subscriptions at Shopify.",
			"1 webhook subscription could not be deleted there; to end what is left, uninstall the app in the shop's admin."}},
		"for good": {url.Values{"purge": {"true"}}, "/shops?fetch=10&n=1&off=0&said=purged", []string{
			"The shop was removed, and all that was kept of it was deleted, with 1 product. Deleted 10 webhook subscriptions at Shopify."}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.product(7, "Shirt", "")
			if _, text := checkPage(t, r.admin(200, "GET", "/shops", "")); !strings.Contains(text, "Remove linen") {
				t.Error("the shops do not lead to it")
			}
			_, text := checkPage(t, r.admin(200, "GET", path, ""))
			for _, want := range []string{
				"Remove linen?", "Its stored products (1) are not kept current any more and become inactive.", "brings the products back with its first read", "This can't be undone.", "/data/state.db.damaged-1",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("missing: %s\n%s", want, text)
				}
			}
			if len(r.shops.list) == 0 {
				t.Fatal("looking removes it")
			}
			location := r.click(path, tt.form)
			if location != tt.location || len(r.shops.list) != 0 {
				t.Errorf("leads to %s", location)
			}
			_, text = checkPage(t, r.admin(200, "GET", location, ""))
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("missing: %s", want)
				}
			}
			if status, page := r.post(path, tt.form); status != http.StatusNotFound || !strings.Contains(page, "not connected") {
				t.Errorf("the second click: %d", status)
			}
		})
	}
}
