package web

import (
	"net/http"
	"strconv"

	"github.com/julienschmidt/httprouter"

	"stockroom/store"
)

func (s *Server) apiProducts(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	after, limit, err := page(r, 50, 1000)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	status := q.Get("status")
	if status != "" && status != "ACTIVE" && status != "INACTIVE" {
		return refuse(http.StatusBadRequest, "Unknown status", "status is ACTIVE or INACTIVE.")
	}
	rows, err := s.o.Store.Products(r.Context(), store.ProductFilter{
		Shop: q.Get("shop"), Status: status, Search: q.Get("q"), After: after, Limit: limit + 1,
	})
	if err != nil {
		return err
	}
	var next int64
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].ID
	}
	if rows == nil {
		rows = []store.ProductRow{}
	}
	return writeJSON(w, http.StatusOK, struct {
		Products []store.ProductRow `json:"products"`
		Next     *string            `json:"next"`
	}{rows, cursor(next)})
}

// productID reads the shop and Shopify's product id of the path.
func productID(p httprouter.Params) (string, int64, error) {
	shop, err := shopName(p)
	if err != nil {
		return "", 0, err
	}
	id, err := strconv.ParseInt(p.ByName("id"), 10, 64)
	if err != nil || id <= 0 {
		return "", 0, refuse(http.StatusBadRequest, "Not a product's id", "A product's id is Shopify's number, as in the address of its page in the shop's admin.")
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
	return writeJSON(w, http.StatusOK, row)
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
	return writeJSON(w, http.StatusOK, e)
}

func (s *Server) apiDeliveries(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	after, limit, err := page(r, 100, 1000)
	if err != nil {
		return err
	}
	rows, err := s.o.Store.Deliveries(r.Context(), r.URL.Query().Get("shop"), after, limit+1)
	if err != nil {
		return err
	}
	var next int64
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].ID
	}
	if rows == nil {
		rows = []store.DeliveryRow{}
	}
	return writeJSON(w, http.StatusOK, struct {
		Deliveries []store.DeliveryRow `json:"deliveries"`
		Next       *string             `json:"next"`
	}{rows, cursor(next)})
}

func (s *Server) apiRejected(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	list := s.o.Rejected()
	if list == nil {
		list = []Rejected{}
	}
	return writeJSON(w, http.StatusOK, map[string]any{"rejected": list})
}
