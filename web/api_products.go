package web

import (
	"net/http"
	"slices"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/internal/catalog"
	"stockroom/store"
)

// maxQuery bounds the text that is searched for, in bytes.
const maxQuery = 400

// ProductList is a page of the API's list of products.
type ProductList struct {
	Products []store.ProductRow `json:"products"`
	Next     *string            `json:"next"`
	Prev     *string            `json:"prev"`
}

func (s *Server) apiProducts(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	limit, err := pageLimit(r, 50, 1000)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	status := q.Get("status")
	if status != "" && status != "ACTIVE" && status != "INACTIVE" {
		return answer.Refuse(http.StatusBadRequest, "Unknown status", "status is ACTIVE or INACTIVE.")
	}
	if len(q.Get("q")) > maxQuery {
		return answer.Refuse(http.StatusBadRequest, "The search is too long", "q has at most 400 bytes.")
	}
	brief, err := yesOrNo(r, "brief")
	if err != nil {
		return err
	}
	page, err := s.o.Store.Search(r.Context(), store.SearchFilter{
		Shop: q.Get("shop"), Status: status, Vendor: q.Get("vendor"), Type: q.Get("type"), Text: q.Get("q"),
		Cursor: q.Get("after"), Limit: limit, Brief: brief,
	})
	if err != nil {
		return err
	}
	return answer.JSON(w, http.StatusOK, ProductList{page.Products, orNull(page.Next), orNull(page.Prev)})
}

// orNull is null for "".
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// productID reads the shop and Shopify's product id of the path.
func productID(p httprouter.Params) (string, int64, error) {
	shop, err := shopName(p)
	if err != nil {
		return "", 0, err
	}
	id, err := catalog.ParseProductID(p.ByName("id"))
	if err != nil {
		return "", 0, answer.Refuse(http.StatusBadRequest, "Not a product's id", err.Error()+".")
	}
	return shop, id, nil
}

func (s *Server) apiProduct(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, id, err := productID(p)
	if err != nil {
		return err
	}
	row, err := s.o.Store.Product(r.Context(), shop, id)
	if err != nil {
		return err
	}
	return answer.JSON(w, http.StatusOK, row)
}

func (s *Server) apiExplain(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, id, err := productID(p)
	if err != nil {
		return err
	}
	e, err := s.o.Store.Explain(r.Context(), shop, id)
	if err != nil {
		return err
	}
	return answer.JSON(w, http.StatusOK, e)
}

func (s *Server) apiDeliveries(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	limit, err := pageLimit(r, 100, 1000)
	if err != nil {
		return err
	}
	f, err := deliveryFilter(r, "after", limit)
	if err != nil {
		return err
	}
	page, err := s.o.Store.SearchDeliveries(r.Context(), f)
	if err != nil {
		return err
	}
	return answer.JSON(w, http.StatusOK, struct {
		Deliveries []store.DeliveryRow `json:"deliveries"`
		Next       *string             `json:"next"`
		Prev       *string             `json:"prev"`
	}{page.Deliveries, orNull(page.Next), orNull(page.Prev)})
}

func (s *Server) apiRejected(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	return answer.JSON(w, http.StatusOK, map[string]any{"rejected": s.o.Rejected()})
}

// deliveryFilter reads which deliveries are asked for; at names the parameter that
// holds the cursor.
func deliveryFilter(r *http.Request, at string, limit int) (f store.DeliveryFilter, err error) {
	q := r.URL.Query()
	f = store.DeliveryFilter{Shop: q.Get("shop"), Topic: q.Get("topic"), Outcome: store.Outcome(q.Get("outcome")), Cursor: q.Get(at), Limit: limit}
	if f.Outcome != "" && !slices.Contains(store.Outcomes(), f.Outcome) {
		return f, answer.Refuse(http.StatusBadRequest, "Unknown outcome", "outcome is applied, stale, duplicate, queued, dead, ignored or mismatch.")
	}
	if text := q.Get("product"); text != "" {
		if f.Product, err = catalog.ParseProductID(text); err != nil {
			return f, answer.Refuse(http.StatusBadRequest, "Not a product's id", err.Error()+".")
		}
	}
	return f, nil
}
