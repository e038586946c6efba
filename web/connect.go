package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/shopify"
	"stockroom/internal/status"
)

// connectAction connects a shop, or shows the form again with what is wrong.
func (s *Server) connectAction(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := readForm(r); err != nil {
		return err
	}
	in, err := typedConnection(r.PostForm.Get)
	switch {
	case err != nil:
	case r.PostForm.Get("kind") == kindConsent:
		if err = s.beginConsent(w, in); err == nil {
			return nil
		}
	default:
		var found *Found
		if found, err = s.connect(r.Context(), in); err == nil {
			return s.sayConnected(w, r, in.Shop, found)
		}
	}
	var wrong *answer.Refusal
	if !errors.As(err, &wrong) {
		return err
	}
	f := s.emptyForm()
	typed := r.PostForm
	f.Shop, f.APIKey, f.MerchantID, f.Unasked = typed.Get("shop"), typed.Get("api_key"), typed.Get("merchant_id"), typed.Get("unasked") != ""
	f.Kind = cmp.Or(typed.Get("kind"), f.Kind)
	f.Field, _ = wrong.More["field"].(string)
	f.Problem = wrong.Detail
	if f.Field == "shop" && !strings.Contains(f.Problem, strings.ToLower(catalog.Pasted(f.Shop))) {
		f.Shop = "" // a secret, which no page repeats, as no sentence does
	}
	for _, typed := range []*string{&f.Shop, &f.APIKey, &f.MerchantID} {
		if catalog.HoldsSecret(*typed) {
			*typed = ""
		}
	}
	return s.showShops(w, r, wrong.Status, f)
}

// sayConnected goes to the page that says what was connected.
func (s *Server) sayConnected(w http.ResponseWriter, r *http.Request, shop string, found *Found) error {
	c := Connected{Found: found}
	if known := s.account(r.Context()).Shop(shop); known != nil {
		c.Connection = known.Connection
	}
	c.Shop = shop
	words := strings.Join(c.Words(), " ")
	s.lastConnected.Store(&words)
	return sayAndGo(w, "/shops", "/shops", saying("connected", 1))
}

// Found is what a shop said when it was asked before it was connected.
type Found struct {
	Name     string         `json:"name"`
	Products int            `json:"products"`
	Scopes   []string       `json:"scopes"`
	Missing  []MissingScope `json:"missing"` // of those that are needed
}

// MissingScope is a scope that the app lacks.
type MissingScope struct {
	Scope   string `json:"scope"`
	Without string `json:"without"` // what can't be done without it
}

// Connected is a connection, with what the shop said when it was asked.
type Connected struct {
	status.Connection
	Found *Found `json:"found,omitempty"`
}

// Words say in sentences what was connected, and what is missing.
func (c Connected) Words() []string {
	list := []string{"Stored " + c.Shop + " without asking Shopify; whether it lets the app in is not known."}
	if c.Found != nil {
		list[0] = fmt.Sprintf("Connected %s (%s): %s; rights: %s.",
			c.Found.Name, c.Shop, count(int64(c.Found.Products), "product"), strings.Join(c.Found.Scopes, ", "))
	}
	if c.Found != nil && len(c.Found.Missing) > 0 {
		missing := make([]string, len(c.Found.Missing))
		for i, m := range c.Found.Missing {
			missing[i] = m.Scope
		}
		list = append(list, "Nothing is read yet: "+shopify.Lacks(missing)+".")
	}
	if !c.HasSecret {
		list = append(list, "It has no client secret yet, so its deliveries are answered with 503 until one is added.")
	}
	return list
}

// connect connects a shop, or says why not; nothing is stored then.
func (s *Server) connect(ctx context.Context, in AddShop) (*Found, error) {
	if err := in.read(); err != nil {
		return nil, err
	}
	found, err := s.o.Shops.Add(ctx, in)
	if err != nil {
		return nil, connectRefusal(err, "connect it without asking", in.doubts()...)
	}
	s.audit.Info("shop connected or changed", "shop", in.Shop, "asked", found != nil)
	return found, nil
}

// connectRefusal says why a shop was not connected, and what can be done instead of
// waiting. doubts are what may be wrong with credentials that Shopify refuses.
func connectRefusal(err error, instead string, doubts ...string) error {
	var e *shopify.Error
	var r *answer.Refusal
	if wrong := (*shopify.CallbackError)(nil); errors.As(err, &wrong) {
		return callbackRefusal(wrong)
	}
	if !errors.As(err, &e) || !errors.As(outboundRefusal(e), &r) {
		return err
	}
	words := e.Words()
	switch r.Code {
	case answer.CodeUnreachable:
		words += ". Check the network and status.shopify.com, or " + instead
	case answer.CodeNotNow:
		words += ". Try again in a minute, or " + instead
	}
	if e.Kind == shopify.KindMoved {
		words = "Shopify calls this shop " + e.Moved + ": connect it under that name"
	}
	r.Detail = "Nothing was stored: " + strings.TrimSuffix(words, ".") + "."
	if e.Kind == shopify.KindToken {
		r.Detail = sentences(append([]string{r.Detail}, doubts...)...)
	}
	return r
}

// typedConnection reads a connection as it comes from a form.
func typedConnection(get func(name string) string) (AddShop, error) {
	shop, err := catalog.ReadShop(get("shop"))
	if err != nil {
		return AddShop{}, &answer.Refusal{
			Status: http.StatusBadRequest, Title: "Not a shop's name", Detail: capital(err.Error()) + ".", More: map[string]any{"field": "shop"},
		}
	}
	in := AddShop{
		Shop: shop, MerchantID: get("merchant_id"), APIKey: get("api_key"), Secret: config.NewSecret(get("secret")),
		AccessToken: config.NewSecret(get("access_token")), Check: get("unasked") == "",
	}
	if get("kind") == kindToken {
		in.APIKey = "" // of a field that is not seen then
	} else {
		in.AccessToken = config.Secret{}
	}
	return in, nil
}
