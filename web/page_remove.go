package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/julienschmidt/httprouter"
)

// removePage asks whether to remove a shop, and whether to delete what is kept of
// it.
func (s *Server) removePage(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, err := shopName(p)
	if err != nil {
		return err
	}
	would, err := s.o.Shops.Remove(r.Context(), shop, true, true)
	if err != nil {
		return err
	}
	v := confirmView{
		Title: "Remove " + shortShop(shop) + "?",
		Text: "Its stored products (" + number(int64(would.Products)) + ") are not kept current any more and become inactive. " +
			"The webhook subscriptions at Shopify that lead here are deleted.",
		Undo:   "Connecting it again brings the products back with its first read.",
		Choice: "Delete everything that is kept of it: products, their history and its credentials. This can't be undone.",
		Action: shopPath(shop) + "/remove", Button: "Remove", Stay: "Cancel", Back: "/shops",
	}
	if len(would.Files) > 0 {
		v.Undo += " Files that were set aside in the data dir may hold something of it; they stay until you delete them: " +
			strings.Join(would.Files, ", ") + "."
	}
	return s.show(w, r, sheet{Template: "confirm.html", Title: v.Title, Section: "/shops", Data: v})
}

// removeAction removes a shop. A second click is told that it was removed already.
func (s *Server) removeAction(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, err := shopName(p)
	if err != nil {
		return err
	}
	purge := r.FormValue("purge") != ""
	done, err := s.o.Shops.Remove(r.Context(), shop, purge, false)
	if err != nil {
		return err
	}
	s.logRemoved("shop removed on the page", purge, done)
	said := url.Values{
		"said": {"removed"}, "n": {strconv.Itoa(done.ProductsDeactivated)},
		"fetch": {strconv.Itoa(done.SubscriptionsDeleted)}, "off": {strconv.Itoa(len(done.SubscriptionsLeft))},
	}
	if purge {
		said.Set("said", "purged")
		said.Set("n", strconv.Itoa(done.ProductsDeleted))
	}
	return sayAndGo(w, "/shops", "/shops", said)
}

func (s *Server) logRemoved(words string, purge bool, done Removed) {
	s.audit.Info(words, "shop", done.Shop, "purge", purge,
		"inactive", done.ProductsDeactivated, "deleted", done.ProductsDeleted)
}

// removedWords says what a removal did.
func removedWords(key string, products, deleted, left int64) string {
	words := sentences("The shop was removed, and " + count(products, "product") + " became inactive")
	if key == "purged" {
		words = sentences("The shop was removed, and all that was kept of it was deleted, with " + count(products, "product"))
	}
	if deleted > 0 {
		words += " " + sentences("Deleted "+count(deleted, "webhook subscription")+" at Shopify")
	}
	if left > 0 {
		words += " " + sentences(count(left, "webhook subscription")+
			" could not be deleted there; to end what is left, uninstall the app in the shop's admin")
	}
	return words
}
