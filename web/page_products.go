package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/store"
)

const productsListed = 40

// productsView is the page of products.
type productsView struct {
	Query, Vendor, Type string
	Status              []option
	Shops               []option
	Rows                []productRow
	Narrowed            bool // something was searched or filtered
	Prev, Next          string
	First               string // path of the first page with the same filter
	Export              string // path of the CSV export
}

type productRow struct {
	Key, Path, Title string
	Mood             mood
	Sub              string // state, variants, vendor
	Shop             string
	Stored           instant
}

func (s *Server) productsPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	q, now := r.URL.Query(), time.Now()
	f := store.SearchFilter{
		Shop: q.Get("shop"), Status: q.Get("status"), Vendor: q.Get("vendor"), Type: q.Get("type"), Text: q.Get("q"),
		Cursor: q.Get("cursor"), Limit: productsListed, Brief: true,
	}
	if f.Status != "" && f.Status != "ACTIVE" && f.Status != "INACTIVE" {
		return refuse(http.StatusBadRequest, "Unknown status", "A product is active or inactive.")
	}
	shops, err := s.shopOptions(r.Context(), f.Shop)
	if err != nil {
		return err
	}
	found, err := s.o.Store.Search(r.Context(), f)
	if errors.Is(err, store.ErrCursor) {
		return refuse(http.StatusBadRequest, "Not a page", "This page of the list does not exist; begin at the first one.")
	}
	if err != nil {
		return err
	}
	v := productsView{
		Query: f.Text, Vendor: f.Vendor, Type: f.Type, Shops: shops, Narrowed: f.Text+f.Shop+f.Status+f.Vendor+f.Type != "",
		Status: []option{
			{"", "Active and inactive", f.Status == ""}, {"ACTIVE", "Active", f.Status == "ACTIVE"}, {"INACTIVE", "Inactive", f.Status == "INACTIVE"},
		},
		Prev: turned(r.URL, found.Prev), Next: turned(r.URL, found.Next), Export: "/api/v1/products-export?format=csv",
	}
	if f.Cursor != "" {
		v.First = turned(r.URL, "first")
	}
	if f.Shop != "" {
		v.Export += "&shop=" + url.QueryEscape(f.Shop)
	}
	for _, p := range found.Products {
		v.Rows = append(v.Rows, productRowOf(now, p, len(shops) > 1))
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

func productRowOf(now time.Time, p store.FoundProduct, many bool) productRow {
	row := productRow{
		Key: "p" + strconv.FormatInt(p.ID, 10), Path: productPath(p.Shop, p.ExternalID), Title: titleOf(&p.ProductRow),
		Stored: since(now, p.SyncedAt.Time()),
	}
	state, mood := stateOf(&p.ProductRow)
	row.Mood = mood
	row.Sub = capital(state) + ", " + count(p.VariantCount, "variant")
	if v := text(p.Vendor); v != "" {
		row.Sub += ", " + v
	}
	if t := text(p.ProductType); t != "" {
		row.Sub += ", " + t
	}
	if many {
		row.Shop = shortShop(p.Shop)
	}
	return row
}

// titleOf is what a product is called, or its id in words.
func titleOf(p *store.ProductRow) string {
	if t := text(p.Title); t != "" {
		return t
	}
	return "Product " + strconv.FormatInt(p.ExternalID, 10)
}

// stateOf says whether a product is active and, if not, why.
func stateOf(p *store.ProductRow) (string, mood) {
	switch {
	case !p.Selected:
		return "not selected", moodIdle
	case p.Status == "ACTIVE":
		return "active", moodGood
	}
	switch s := text(p.ShopifyStatus); s {
	case "draft", "archived", "unlisted":
		return s + " in Shopify", moodIdle
	case "":
		return "inactive", moodIdle
	default:
		return "inactive (" + s + ")", moodIdle
	}
}
