package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/internal/config"
)

// connectForm is the form that connects a shop, as it was sent. It holds no
// secret: one that was wrong has to be given again.
type connectForm struct {
	Shop, APIKey, MerchantID string
	Unasked                  bool
	Field, Problem           string // what is wrong, and the field it is wrong in, "" for none of them
	Command                  string // does the same on the command line
	DataDir                  string
}

func (s *Server) emptyForm() *connectForm {
	return &connectForm{Command: s.o.Command(config.ConnectWords("NAME.myshopify.com")), DataDir: s.o.DataDir}
}

// More reports whether the part of the form that few need has to be seen.
func (f connectForm) More() bool {
	return f.MerchantID != "" || f.Unasked || f.Field == "access_token"
}

// connectAction connects a shop, or shows the form again with what is wrong.
func (s *Server) connectAction(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := readForm(r); err != nil {
		return err
	}
	in, err := typedConnection(r.PostForm.Get)
	if err == nil {
		var found *Found
		if found, err = s.connect(r.Context(), in); err == nil {
			words := s.connected(r, in.Shop, found)
			s.lastConnected.Store(&words)
			return sayAndGo(w, "/shops", "/shops", saying("connected", 1))
		}
	}
	var wrong *answer.Refusal
	if !errors.As(err, &wrong) {
		return err
	}
	f := s.emptyForm()
	f.Shop, f.APIKey, f.MerchantID, f.Unasked = r.PostForm.Get("shop"), r.PostForm.Get("api_key"), r.PostForm.Get("merchant_id"), r.PostForm.Get("unasked") != ""
	f.Field, _ = wrong.More["field"].(string)
	f.Problem = wrong.Detail
	for _, typed := range []*string{&f.Shop, &f.APIKey} {
		if secretLike(strings.TrimSpace(*typed)) {
			*typed = "" // no page repeats a secret
		}
	}
	return s.showShops(w, r, wrong.Status, f)
}

// connected says what was connected.
func (s *Server) connected(r *http.Request, shop string, found *Found) string {
	c := Connected{Found: found}
	if known := s.account(r.Context()).Shop(shop); known != nil {
		c.Connection = known.Connection
	}
	c.Shop = shop
	return strings.Join(c.Words(), " ")
}
