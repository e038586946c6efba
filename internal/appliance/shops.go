package appliance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/internal/status"
	"stockroom/internal/telemetry"
	"stockroom/store"
	"stockroom/web"
	"stockroom/webhook"
)

// loadShops brings the catalogue in line with state.db, which is where shops
// and selections are kept first, and tells the intake about them.
func (a *Appliance) loadShops(ctx context.Context) error {
	if err := a.matchRows(ctx); err != nil {
		if !errors.Is(err, store.ErrUnavailable) {
			return err
		}
		a.unmirrored.Store(true)
	}
	for _, shop := range a.state.Shops() {
		if err := a.mirrorShop(ctx, shop); err != nil {
			if !errors.Is(err, store.ErrUnavailable) {
				return err
			}
			a.unmirrored.Store(true)
			a.log.Warn("the catalogue does not know the shop yet; it is told when it can be written", "shop", shop.Domain, "error", err.Error())
		}
	}
	a.labelShops(ctx)
	a.refreshDirectory()
	return nil
}

// mirrorAgain repeats what a failing catalogue could not be told.
func (a *Appliance) mirrorAgain(ctx context.Context) {
	if !a.unmirrored.CompareAndSwap(true, false) {
		return
	}
	if err := errors.Join(a.loadShops(ctx), a.wantSyncs(ctx)); err != nil {
		a.unmirrored.Store(true)
		a.log.Warn("the catalogue still does not know every shop", "error", err.Error())
	}
}

// wantSyncs asks for a full sync of every shop when the catalogue or the queue
// has lost something and none has proven all of it since. The wish is a row in it, so
// it outlives a restart.
func (a *Appliance) wantSyncs(ctx context.Context) error {
	var reason string
	h, lost := a.store.Health(), a.started
	_, queueLost, at := a.queue.Quarantined()
	damage, _ := a.state.Damage()
	switch {
	case h.Quarantined != "":
		reason, lost = "products.db was damaged and replaced", h.At
	case a.productsLost != "":
		reason = "products.db was missing, or a file of it was replaced"
	case h.Behind != 0:
		reason = "products.db lost changes"
	case queueLost != "":
		reason, lost = "queue.db was lost or damaged", at
	case damage.Older:
		reason, lost = "state.db was replaced by an earlier copy", damage.At
	default:
		return nil
	}
	var list []store.Wanted
	for _, shop := range a.state.Shops() {
		if p, err := a.store.LastProof(ctx, shop.Domain); err != nil || p.Fields <= lost.UnixMilli() {
			list = append(list, store.Wanted{Shop: shop.Domain, Kind: store.WantSync, Reason: reason})
		}
	}
	if err := a.store.Want(ctx, list...); err != nil {
		return err
	}
	return a.state.NoteCatalogueLost(false)
}

// mirrorShop writes a shop's row and selection into the catalogue.
func (a *Appliance) mirrorShop(ctx context.Context, shop state.Shop) error {
	if err := a.store.PutShop(ctx, store.Shop{Shop: shop.Domain, MerchantID: shop.MerchantID, State: stateWord(shop), Reason: string(shop.Pause.Reason)}); err != nil {
		return fmt.Errorf("mirror shop %s: %w", shop.Domain, err)
	}
	stored, err := a.store.Selection(ctx, shop.Domain)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	missing := err != nil
	sel, known := a.state.Selection(shop.Domain)
	switch {
	case !known:
		return nil // shown as a notice; nothing is selected away meanwhile
	case missing && store.SameSelection(sel, catalog.Selection{}):
		return nil
	case !missing && store.SameSelection(sel, stored):
		return nil
	}
	_, err = a.store.SetSelection(ctx, shop.Domain, sel)
	return err
}

func stateWord(shop state.Shop) string {
	switch {
	case !shop.UninstalledAt.IsZero():
		return "uninstalled"
	case shop.Pause.Paused():
		return "paused"
	}
	return "active"
}

// refreshDirectory tells the intake which shops there are and what signs their
// deliveries.
func (a *Appliance) refreshDirectory() {
	var shops []webhook.Shop
	for _, shop := range a.state.Shops() {
		w := webhook.Shop{Domain: shop.Domain, Uninstalled: !shop.UninstalledAt.IsZero()}
		c, _ := a.state.Credentials(shop.Domain)
		for i, secret := range a.state.Secrets(shop.Domain) {
			w.Keys = append(w.Keys, webhook.Key{Secret: secret, Old: i > 0 && string(secret) == c.PreviousSecret.Reveal()})
		}
		if len(w.Keys) > 0 { // else its deliveries wait for a secret, none is refused for a wrong one
			w.Keys = append(w.Keys, webhook.Key{Secret: []byte(a.opt.Settings.SigningSecret.Reveal())})
		}
		shops = append(shops, w)
	}
	for _, domain := range a.state.Removed() {
		w := webhook.Shop{Domain: domain, Removed: true}
		for _, secret := range a.state.Secrets(domain) {
			w.Keys = append(w.Keys, webhook.Key{Secret: secret, Old: true})
		}
		shops = append(shops, w)
	}
	a.intake.SetDirectory(webhook.NewDirectory(shops, a.retired.list()))
}

// shops implements web.Shops.
type shops struct{ a *Appliance }

// List returns the shops as they may be shown.
func (s shops) List(context.Context) ([]status.Connection, error) {
	var list []status.Connection
	for _, shop := range s.a.state.Shops() {
		sel, _ := s.a.state.Selection(shop.Domain)
		c, _ := s.a.state.Credentials(shop.Domain)
		list = append(list, status.Connection{
			Shop: shop.Domain, MerchantID: shop.MerchantID, State: stateWord(shop), Reason: pauseWords(shop), Words: shop.Pause.Words, NextTry: shop.Pause.NextProbe, Selection: sel,
			AddedAt: shop.AddedAt, FromEnvironment: shop.Declared, HasSecret: len(s.a.state.Secrets(shop.Domain)) > 0,
			HasToken: c.AccessToken.IsSet(), Access: accessOf(c), ConsentedAt: c.Consented, PreviousSecret: c.PreviousSecret.IsSet(),
		})
	}
	return list, nil
}

// accessOf says how the shop's API is reached.
func accessOf(c state.Credentials) status.Access {
	switch {
	case !c.AccessToken.IsSet():
		return status.ByCredentials
	case !c.Consented.IsZero():
		return status.ByConsent
	}
	return status.ByToken
}

func pauseWords(shop state.Shop) string {
	if shop.Pause.Detail == "" {
		return string(shop.Pause.Reason)
	}
	return string(shop.Pause.Reason) + ": " + shop.Pause.Detail
}

// Add stores a connection.
func (s shops) Add(ctx context.Context, in web.AddShop) (*web.Found, error) {
	return s.add(ctx, in, time.Time{})
}

// add stores a connection, or one to which the owner consented then: state.db first,
// which is the intent, then the catalogue, which is the effect and is repeated at the
// next start.
func (s shops) add(ctx context.Context, in web.AddShop, consented time.Time) (found *web.Found, err error) {
	domain, err := catalog.ParseShop(in.Shop)
	if err != nil {
		return nil, &answer.Refusal{Status: http.StatusBadRequest, Title: "Not a shop name", Detail: err.Error()}
	}
	have, _ := s.a.state.Shop(domain)
	if have.Declared {
		return nil, s.declared(state.ErrDeclared)
	}
	old := s.a.state.KeptCredentials(domain)
	merged := merge(old, in, consented)
	if in.Check {
		if found, err = s.ask(ctx, domain, merged); err != nil {
			return nil, err
		}
	}
	if err := s.a.state.AddShop(domain, cmp.Or(in.MerchantID, have.MerchantID), time.Now()); err != nil {
		return nil, s.declared(err)
	}
	if err := s.a.state.SetCredentials(domain, merged); err != nil {
		return nil, s.declared(err)
	}
	s.a.retired.add(old, merged)
	shop, _ := s.a.state.Shop(domain)
	s.a.refreshDirectory()
	s.a.syncer.CredentialsChanged(ctx, domain)
	s.a.syncer.ShopsChanged()
	return found, s.a.mirrorShop(ctx, shop)
}

// askFor is how long a shop is asked at most before it is connected.
const askFor = 15 * time.Second

// ask asks the shop with credentials that are not stored yet.
func (s shops) ask(ctx context.Context, domain string, c state.Credentials) (*web.Found, error) {
	if !c.AccessToken.IsSet() {
		switch {
		case c.APIKey == "":
			return nil, web.MissingCredential("api_key")
		case !c.APISecret.IsSet():
			return nil, web.MissingCredential("secret")
		}
	}
	limited, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	g, err := s.a.client.Greet(limited, domain, appOf(c))
	switch {
	case err != nil:
	case g.Domain != domain:
		err = &shopify.Error{Kind: shopify.KindMoved, Shop: domain, Op: "Shop", Moved: g.Domain}
	case !g.CanRead():
		err = &shopify.Error{Kind: shopify.KindScope, Shop: domain, Op: "Access", Scope: strings.Join(g.Missing(), ", ")}
	default:
		found := &web.Found{Name: g.Name, Products: g.Products, Scopes: g.Scopes}
		for _, scope := range g.Missing() {
			found.Missing = append(found.Missing, web.MissingScope{Scope: scope, Without: shopify.Without(scope)})
		}
		return found, nil
	}
	if _, connected := s.a.state.Shop(domain); !connected {
		err = errors.Join(err, s.a.forgetOutbound(domain)) // nothing of it is left
	}
	return nil, err
}

// merge keeps what is not given again. A new secret makes the old one the
// previous one, unless that is given too. Another app has none of the old one's token.
func merge(c state.Credentials, in web.AddShop, consented time.Time) state.Credentials {
	if in.APIKey != "" && in.APIKey != c.APIKey {
		c.APIKey, c.AccessToken, c.Consented = in.APIKey, config.Secret{}, time.Time{}
	}
	if in.Secret.IsSet() && !in.Secret.Equal(c.APISecret) {
		if c.APISecret.IsSet() {
			c.PreviousSecret, c.ReplacedAt = c.APISecret, time.Now()
		}
		c.APISecret = in.Secret
	}
	if in.PreviousSecret.IsSet() {
		c.PreviousSecret, c.ReplacedAt = in.PreviousSecret, time.Now()
	}
	if in.AccessToken.IsSet() {
		c.AccessToken, c.Consented = in.AccessToken, consented
	}
	return c
}

// Select changes which products are kept current.
func (s shops) Select(ctx context.Context, shop string, sel catalog.Selection) (store.SelectionEffect, error) {
	if err := s.a.state.SetSelection(shop, sel); err != nil {
		return store.SelectionEffect{}, s.declared(err)
	}
	effect, err := s.a.store.SetSelection(ctx, shop, sel)
	if errors.Is(err, store.ErrUnavailable) {
		s.a.unmirrored.Store(true)
	}
	for _, w := range effect.Wanted {
		s.a.syncer.Wanted(w)
	}
	return effect, err
}

// declared turns what a person can mend into words.
func (s shops) declared(err error) error {
	switch {
	case errors.Is(err, state.ErrDeclared):
		return &answer.Refusal{Status: http.StatusConflict, Title: "Declared by the environment", Code: answer.CodeDeclared, Detail: err.Error() + "."}
	case errors.Is(err, state.ErrUnknownShop):
		return &answer.Refusal{Status: http.StatusNotFound, Title: "No such shop", Code: answer.CodeUnknownShop, Detail: "The shop is not connected; `" + s.a.command("shop list") + "` shows those that are."}
	}
	return err
}

var _ web.Shops = shops{}

const retiredKept = 16

// retired remembers the newest secrets that were replaced twice while this
// process ran. They verify nothing; a delivery signed with one is refused with
// the words that say so. They are in memory only, since a secret that is no
// longer in use has no business on the disk.
type retired struct {
	mu      sync.Mutex
	secrets [][]byte
}

// add takes the secrets of before that are not among those of now.
func (r *retired) add(before, now state.Credentials) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, old := range []config.Secret{before.APISecret, before.PreviousSecret} {
		if old.IsSet() && !old.Equal(now.APISecret) && !old.Equal(now.PreviousSecret) {
			r.secrets = append(r.secrets, []byte(old.Reveal()))
		}
	}
	r.secrets = r.secrets[max(0, len(r.secrets)-retiredKept):]
}

func (r *retired) list() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.secrets)
}

// recentRows is how many of the newest rows of the journal tell which shops are
// busy.
const recentRows = 5000

// labelShops gives the busiest shops metric series of their own, when there are
// more shops than that.
func (a *Appliance) labelShops(ctx context.Context) {
	shops := a.state.Shops()
	updates := make(map[string]int, len(shops))
	if len(shops) > telemetry.Shops {
		rows, err := a.store.Deliveries(ctx, "", 0, recentRows)
		if err != nil {
			a.log.Debug("which shops are busy is not known", "error", err.Error())
		}
		for _, d := range rows {
			updates[d.Shop]++
		}
	}
	names := make([]string, 0, len(shops))
	for _, shop := range shops {
		names = append(names, shop.Domain)
	}
	slices.SortStableFunc(names, func(x, y string) int { return updates[y] - updates[x] })
	a.telemetry.Prefer(names)
}
