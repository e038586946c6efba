package web

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/internal/catalog"
	"stockroom/store"
)

const updatesListed = 50

// updatesView is the page of product updates.
type updatesView struct {
	Shops, Outcomes, Topics []option
	Product                 string // Shopify's id that it is narrowed to, "" for none
	Narrowed                bool
	Public                  string // where Shopify sends updates, "" in pull mode
	Rows                    []listRow
	pager
}

func (s *Server) updatesPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	f, err := deliveryFilter(r, "cursor", updatesListed)
	if err != nil {
		return err
	}
	shops, err := s.shopOptions(r.Context(), f.Shop)
	if err != nil {
		return err
	}
	found, err := s.o.Store.SearchDeliveries(r.Context(), f)
	if errors.Is(err, store.ErrCursor) {
		return answer.Refuse(http.StatusBadRequest, "Not a page",
			"This page of the list does not exist; begin at the newest.")
	}
	if err != nil {
		return err
	}
	v := updatesView{
		Public: s.o.PublicURL,
		Shops:  shops, Product: r.URL.Query().Get("product"), Narrowed: f.Shop+f.Topic+string(f.Outcome) != "" || f.Product != 0,
		pager: pagerOf(r.URL, f.Cursor, found.Prev, found.Next),
		Rows:  updateRows(time.Now(), found.Deliveries, s.newTitles(r.Context(), len(shops) > 1)),
	}
	for _, o := range store.Outcomes() {
		v.Outcomes = append(v.Outcomes, option{string(o), outcomeOf(o).Label, o == f.Outcome})
	}
	for _, t := range topicsInOrder() {
		v.Topics = append(v.Topics, option{string(t), arrival(string(t)), string(t) == f.Topic})
	}
	sh := sheet{Template: "updates.html", Title: "Product updates", Section: "/updates", Data: v}
	if f.Cursor == "" {
		sh.Reload = reloadSeconds // older pages do not change
	}
	return s.show(w, r, sh)
}

// topicsInOrder lists the topics, those of products first, then by their words.
func topicsInOrder() []catalog.Topic {
	rank := func(t catalog.Topic) int {
		switch t.Kind() {
		case catalog.Upsert, catalog.Delete, catalog.ProductEvent:
			return 0
		}
		return 1
	}
	return slices.SortedFunc(slices.Values(catalog.Topics()), func(a, b catalog.Topic) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(arrival(string(a)), arrival(string(b))), strings.Compare(string(a), string(b)))
	})
}

// updatesOf is the page of a product's updates.
func updatesOf(shop string, product int64) string {
	return withQuery("/updates", url.Values{"shop": {shop}, "product": {strconv.FormatInt(product, 10)}})
}
