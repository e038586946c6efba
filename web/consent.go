package web

import (
	"context"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/internal/config"
	"stockroom/internal/shopify"
)

// Consents ask the owner of a shop to let in an app of another organization. nil in
// Options: nobody is asked. Errors that a person can mend are a *answer.Refusal, a
// *shopify.Error or a *shopify.CallbackError.
type Consents interface {
	// Begin makes the address to open. Another question about the shop is given up.
	Begin(shop AddShop, scopes []string) (Consent, error)
	// Of tells how the newest question about a shop stands.
	Of(shop string) Consent
	// Forget gives the question about a shop up: no answer to it is taken.
	Forget(shop string)
	// Answer takes the address that Shopify's page sent the browser to, and connects the
	// shop; after an error nothing is stored.
	Answer(ctx context.Context, shop, address string) (*Found, error)
}

// Consent is how the question to a shop's owner stands.
type Consent struct {
	Shop        string    `json:"shop"`
	State       string    `json:"state"` // one of the below
	Words       string    `json:"words"` // sentences: what is so, and what to do
	Address     string    `json:"address,omitempty"`
	RedirectURI string    `json:"redirect_uri,omitempty"` // that the app has to name in its settings
	Listens     bool      `json:"listens"`                // the answer comes by itself
	ListensNot  string    `json:"listens_not,omitempty"`  // why not, a sentence
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	Found       *Found    `json:"found,omitempty"` // of a connected one
}

// States of a Consent.
const (
	ConsentNone      = "none" // nobody is asked
	ConsentWaiting   = "waiting"
	ConsentConnected = "connected"
	ConsentRefused   = "refused"
)

// consents refuses where nobody can be asked.
func (s *Server) consents(p httprouter.Params) (Consents, string, error) {
	shop, err := shopName(p)
	if err == nil && s.o.Consents == nil {
		err = noCalls()
	}
	return s.o.Consents, shop, err
}

func (s *Server) apiConsent(_ *http.Request, p httprouter.Params) (any, error) {
	consents, shop, err := s.consents(p)
	if err != nil {
		return nil, err
	}
	return consents.Of(shop), nil
}

func (s *Server) apiForgetConsent(_ *http.Request, p httprouter.Params) (any, error) {
	consents, shop, err := s.consents(p)
	if err != nil {
		return nil, err
	}
	consents.Forget(shop)
	return consents.Of(shop), nil
}

func (s *Server) apiBeginConsent(r *http.Request, p httprouter.Params) (any, error) {
	consents, shop, err := s.consents(p)
	if err != nil {
		return nil, err
	}
	var body struct {
		MerchantID     string   `json:"merchant_id"`
		APIKey         string   `json:"api_key"`
		Secret         string   `json:"secret"`
		PreviousSecret string   `json:"previous_secret"`
		Scopes         []string `json:"scopes"`
	}
	if err := answer.ReadJSON(r, &body); err != nil {
		return nil, err
	}
	in := AddShop{
		Shop: shop, MerchantID: body.MerchantID, APIKey: body.APIKey, Secret: config.NewSecret(body.Secret),
		PreviousSecret: config.NewSecret(body.PreviousSecret), Check: true,
	}
	if err := in.read(); err != nil {
		return nil, err
	}
	return consents.Begin(in, body.Scopes)
}

func (s *Server) apiAnswerConsent(r *http.Request, p httprouter.Params) (any, error) {
	consents, shop, err := s.consents(p)
	if err != nil {
		return nil, err
	}
	var body struct {
		Address string `json:"address"`
	}
	if err := answer.ReadJSON(r, &body); err != nil {
		return nil, err
	}
	found, err := consents.Answer(r.Context(), shop, body.Address)
	if err != nil {
		return nil, connectRefusal(err, askAgain)
	}
	view, err := s.knownShop(r, p)
	return Connected{view, found}, err
}

// askAgain: what the shop's owner said is used up, and the same can be said again.
const askAgain = "begin again"

// NotConnected says to a person why a shop was not connected; false where only a log
// can say it.
func NotConnected(err error) (words string, told bool) {
	refusal, unexpected := refusalOf(connectRefusal(err, askAgain))
	return refusal.Error(), !unexpected
}

// callbackRefusal says that an address is not the answer that is waited for.
func callbackRefusal(e *shopify.CallbackError) *answer.Refusal {
	return &answer.Refusal{
		Status: http.StatusConflict, Title: "Not the answer that is waited for", Code: answer.CodeCallback, Detail: e.Words,
		More: map[string]any{"reason": string(e.Reason)},
	}
}
