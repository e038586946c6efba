package web

import (
	"errors"
	"net/http"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
)

// consentView is the page on which it is waited for the owner of a shop.
type consentView struct {
	Consent
	Name, Path string
	Again      string // the form, filled in as far as it is no secret
	Problem    string // what is wrong with the address that was pasted
}

// beginConsent asks the owner of a shop, and goes to the page that says so.
func (s *Server) beginConsent(w http.ResponseWriter, in AddShop) error {
	if err := in.read(); err != nil {
		return err
	}
	if s.o.Consents == nil {
		return noCalls()
	}
	if _, err := s.o.Consents.Begin(in, nil); err != nil {
		return connectRefusal(err, askAgain)
	}
	return seeOther(w, shopPath(in.Shop)+"/consent")
}

func (s *Server) consentPage(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	return s.showConsent(w, r, p, http.StatusOK, "")
}

// answerAction takes the address that was pasted, and connects the shop.
func (s *Server) answerAction(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	consents, shop, err := s.consents(p)
	if err != nil {
		return err
	}
	if err := readForm(r); err != nil {
		return err
	}
	found, err := consents.Answer(r.Context(), shop, r.PostForm.Get("address"))
	if err == nil {
		return s.sayConnected(w, r, shop, found)
	}
	var wrong *answer.Refusal
	if err = connectRefusal(err, askAgain); !errors.As(err, &wrong) {
		return err
	}
	return s.showConsent(w, r, p, wrong.Status, wrong.Detail)
}

func (s *Server) showConsent(w http.ResponseWriter, r *http.Request, p httprouter.Params, code int,
	problem string) error {
	consents, shop, err := s.consents(p)
	if err != nil {
		return err
	}
	v := consentView{
		Consent: consents.Of(shop), Name: shortShop(shop), Path: shopPath(shop) + "/consent",
		Again: "/shops?connect=" + kindConsent + "&name=" + shop, Problem: problem,
	}
	page := sheet{Template: "consent.html", Title: "Access to " + v.Name, Section: "/shops", Status: code, Data: v}
	return s.show(w, r, page)
}
