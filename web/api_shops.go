package web

import (
	"net/http"
	"slices"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/status"
	"stockroom/store"
)

// ShopList is the API's list of shops.
type ShopList struct {
	Shops []status.Connection `json:"shops"`
}

func (s *Server) apiShops(r *http.Request, _ httprouter.Params) (any, error) {
	views, err := s.o.Shops.List(r.Context())
	return ShopList{views}, err
}

// shopName reads the shop of the path.
func shopName(p httprouter.Params) (string, error) {
	name, err := catalog.ParseShop(p.ByName("shop"))
	if err != nil {
		return "", answer.Refuse(http.StatusBadRequest, "Not a shop's name", err.Error()+".")
	}
	return name, nil
}

// knownShop returns the view of a connected shop.
func (s *Server) knownShop(r *http.Request, p httprouter.Params) (status.Connection, error) {
	name, err := shopName(p)
	if err != nil {
		return status.Connection{}, err
	}
	views, err := s.o.Shops.List(r.Context())
	if err != nil {
		return status.Connection{}, err
	}
	for _, v := range views {
		if v.Shop == name {
			return v, nil
		}
	}
	return status.Connection{}, s.unknownShop(name)
}

func (s *Server) unknownShop(name string) *answer.Refusal {
	return &answer.Refusal{Status: http.StatusNotFound, Title: "Unknown shop", Code: answer.CodeUnknownShop,
		Detail: name + " is not connected; " + s.o.Command("shop list") + " shows those that are."}
}

// ofKnownShop refuses products of a shop that is not connected and of which none are
// kept: a slip in its name must not look like a shop without products.
func (s *Server) ofKnownShop(serve endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
		name := r.URL.Query().Get("shop")
		connected, err := s.o.Shops.List(r.Context())
		if err != nil {
			return err
		}
		if name == "" || slices.ContainsFunc(connected, func(c status.Connection) bool { return c.Shop == name }) {
			return serve(w, r, p)
		}
		kept, err := s.o.Store.Search(r.Context(), store.SearchFilter{Shop: name, Limit: 1, Brief: true})
		if err != nil {
			return err
		}
		if len(kept.Products) == 0 {
			return s.unknownShop(name)
		}
		return serve(w, r, p)
	}
}

func (s *Server) apiPutShop(r *http.Request, p httprouter.Params) (any, error) {
	name, err := shopName(p)
	if err != nil {
		return nil, err
	}
	body := struct {
		Check          bool   `json:"check"`
		MerchantID     string `json:"merchant_id"`
		APIKey         string `json:"api_key"`
		Secret         string `json:"secret"`
		PreviousSecret string `json:"previous_secret"`
		AccessToken    string `json:"access_token"`
	}{Check: true}
	if err := answer.ReadJSON(r, &body); err != nil {
		return nil, err
	}
	found, err := s.connect(r.Context(), AddShop{
		Shop: name, Check: body.Check, MerchantID: body.MerchantID, APIKey: body.APIKey, Secret: config.NewSecret(body.Secret),
		PreviousSecret: config.NewSecret(body.PreviousSecret), AccessToken: config.NewSecret(body.AccessToken),
	})
	if err != nil {
		return nil, err
	}
	view, err := s.knownShop(r, p)
	return Connected{view, found}, err
}

func (s *Server) apiDeleteShop(r *http.Request, p httprouter.Params) (any, error) {
	shop, err := shopName(p)
	if err != nil {
		return nil, err
	}
	purge, err := yesOrNo(r, "purge")
	if err != nil {
		return nil, err
	}
	dry, err := yesOrNo(r, "dry_run")
	if err != nil {
		return nil, err
	}
	done, err := s.o.Shops.Remove(r.Context(), shop, purge, dry)
	if err != nil {
		return nil, err
	}
	if !dry {
		s.logRemoved("shop removed", purge, done)
	}
	return done, nil
}

func (s *Server) apiSelection(r *http.Request, p httprouter.Params) (any, error) {
	shop, err := s.knownShop(r, p)
	return selectionOf(shop.Selection), err
}

// selectionOf names the mode of the zero selection.
func selectionOf(sel catalog.Selection) catalog.Selection {
	if sel.Mode == "" {
		sel.Mode = catalog.SelectAll
	}
	return sel
}

// Selected is a selection and what it does, or would do.
type Selected struct {
	Selection catalog.Selection `json:"selection"`
	store.SelectionEffect
	Drastic bool     `json:"drastic"`
	Remarks []string `json:"remarks"`
}

func (s *Server) apiPutSelection(r *http.Request, p httprouter.Params) (any, error) {
	shop, err := s.knownShop(r, p)
	if err != nil {
		return nil, err
	}
	var sel catalog.Selection
	if err := answer.ReadJSON(r, &sel); err != nil {
		return nil, err
	}
	sel = selectionOf(sel)
	if err := sel.Validate(); err != nil {
		return nil, answer.Refuse(http.StatusBadRequest, "Not a selection", err.Error()+".")
	}
	dry, err := yesOrNo(r, "dry_run")
	if err != nil {
		return nil, err
	}
	yes, err := yesOrNo(r, "yes")
	if err != nil {
		return nil, err
	}
	var effect store.SelectionEffect
	if dry || !yes {
		if effect, err = s.o.Store.PreviewSelection(r.Context(), shop.Shop, sel); err != nil {
			return nil, err
		}
		if effect.Drastic() && !dry {
			return nil, answer.Refuse(http.StatusConflict, "Please confirm", wouldLeaveOut(effect)+
				". Nothing was changed; add yes=true to the query to do it, or dry_run=true to see more.")
		}
	}
	if !dry {
		if effect, err = s.o.Shops.Select(r.Context(), shop.Shop, sel); err != nil {
			return nil, err
		}
		s.audit.Info("selection changed", "shop", shop.Shop, "activated", effect.Activated, "deactivated", effect.Deactivated)
	}
	return Selected{sel, effect, effect.Drastic(), selectionRemarks(sel, effect)}, nil
}

// apiCircuit holds the calls to a shop back, lets them go, or has the next try
// made now.
func (s *Server) apiCircuit(r *http.Request, p httprouter.Params) (any, error) {
	shop, err := s.knownShop(r, p)
	if err != nil {
		return nil, err
	}
	var body struct {
		Hold Hold `json:"hold"`
	}
	if err := answer.ReadJSON(r, &body); err != nil {
		return nil, err
	}
	switch body.Hold {
	case HoldOpen, HoldClosed, HoldAuto, HoldTry:
	default:
		return nil, answer.Refuse(http.StatusBadRequest, "Unknown decision", "hold is open (no calls), closed (all calls), auto or try (the next try now).")
	}
	if err := s.hold("calls to Shopify decided by hand", shop.Shop, body.Hold); err != nil {
		return nil, err
	}
	return s.account(r.Context()).Shop(shop.Shop).Calls, nil
}

// noCalls refuses what takes calls to Shopify.
func noCalls() *answer.Refusal {
	return answer.Refuse(http.StatusConflict, "No calls", "This server makes no calls to Shopify.")
}

// hold decides about the calls to a shop; line is what the log says of it.
func (s *Server) hold(line, shop string, h Hold) error {
	if s.o.Outbound == nil {
		return noCalls()
	}
	err := s.o.Outbound.Hold(shop, h)
	if err == nil {
		s.audit.Info(line, "shop", shop, "hold", string(h))
	}
	return err
}
