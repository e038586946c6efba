package web

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/store"
)

const productsListed = 40

// productsView is the page of products.
type productsView struct {
	store.SearchFilter
	pager
	States   []option
	Shops    []option
	Products []store.ProductRow
	Narrowed bool   // something was searched or filtered
	Export   string // path of the CSV export
}

// pager are the paths of a list's other pages, "" where there is none.
type pager struct{ First, Prev, Next string }

// pagerOf leads from the page at a cursor to the others.
func pagerOf(u *url.URL, cursor, prev, next string) pager {
	p := pager{Prev: turned(u, prev), Next: turned(u, next)}
	if cursor != "" {
		p.First = turned(u, "first")
	}
	return p
}

func (s *Server) productsPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	q := r.URL.Query()
	f := store.SearchFilter{
		Shop: q.Get("shop"), Status: q.Get("status"), Vendor: q.Get("vendor"), Type: q.Get("type"), Text: q.Get("q"),
		Cursor: q.Get("cursor"), Limit: productsListed, Brief: true,
	}
	if f.Status != "" && f.Status != "ACTIVE" && f.Status != "INACTIVE" {
		return answer.Refuse(http.StatusBadRequest, "Unknown status", "A product is active or inactive.")
	}
	shops, err := s.shopOptions(r.Context(), f.Shop)
	if err != nil {
		return err
	}
	found, err := s.o.Store.Search(r.Context(), f)
	if errors.Is(err, store.ErrCursor) {
		return answer.Refuse(http.StatusBadRequest, "Not a page", "This page of the list does not exist; begin at the first one.")
	}
	if err != nil {
		return err
	}
	v := productsView{
		SearchFilter: f, pager: pagerOf(r.URL, f.Cursor, found.Prev, found.Next),
		Shops: shops, Products: found.Products, Narrowed: f.Text+f.Shop+f.Status+f.Vendor+f.Type != "",
		States: []option{
			{"", "Active and inactive", f.Status == ""}, {"ACTIVE", "Active", f.Status == "ACTIVE"}, {"INACTIVE", "Inactive", f.Status == "INACTIVE"},
		},
		Export: "/api/v1/products-export?format=csv",
	}
	if f.Shop != "" {
		v.Export += "&shop=" + url.QueryEscape(f.Shop)
	}
	return s.show(w, r, sheet{Template: "products.html", Title: "Products", Section: "/products", Data: v})
}

// turned is the same list at another page, "" for none.
func turned(u *url.URL, cursor string) string {
	if cursor == "" {
		return ""
	}
	q := u.Query()
	dropSaid(q)
	q.Set("cursor", cursor)
	if cursor == "first" {
		q.Del("cursor")
	}
	return withQuery(u.Path, q)
}

// titleOf is what a product is called, or its id in words.
func titleOf(p *store.ProductRow) string { return cmp.Or(p.Title.Value(), productName(p.ExternalID)) }

// stateOf says whether a product is active and, if not, why.
func stateOf(p *store.ProductRow) marked {
	switch {
	case !p.Selected:
		return marked{moodIdle, "Not selected"}
	case p.Status == "ACTIVE":
		return marked{moodGood, "Active"}
	}
	switch s := p.Product.Status.Value(); s {
	case "draft", "archived", "unlisted":
		return marked{moodIdle, capital(s) + " in Shopify"}
	case "":
		return marked{moodIdle, "Inactive"}
	default:
		return marked{moodIdle, "Inactive (" + s + ")"}
	}
}
