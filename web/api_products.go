package web

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// apiChanges serves the change feed as ndjson. It says so when the feed can't
// be followed from after without a gap.
func (s *Server) apiChanges(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	after, limit, err := page(r, 1000, 10000)
	if err != nil {
		return err
	}
	last := s.o.Store.LastSeq()
	list, oldest, err := s.o.Store.Changes(r.Context(), after, limit)
	if err != nil {
		return err
	}
	if oldest == 0 {
		oldest = last + 1 // the feed is empty and goes on there
	}
	const again = " Read all products once (/api/v1/products-export) and go on behind the number in its header Stockroom-Seq."
	if after < oldest-1 {
		return &Refusal{Status: http.StatusGone, Title: "The feed does not go back that far",
			Detail: fmt.Sprintf("The oldest change that is kept has seq %d.%s", oldest, again),
			More:   map[string]any{"oldest": oldest, "newest": last}}
	}
	if len(list) == 0 && after > last {
		return &Refusal{Status: http.StatusConflict, Title: "The feed is not there yet",
			Detail: fmt.Sprintf("The newest change has seq %d, so this is an older state or another catalogue.%s", last, again),
			More:   map[string]any{"oldest": oldest, "newest": last}}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, c := range list {
		if err := enc.Encode(c); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
	return nil
}
