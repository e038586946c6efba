package state

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"stockroom/internal/catalog"
)

// ErrUnknownShop is returned for a shop that is neither stored nor declared.
var ErrUnknownShop = errors.New("unknown shop")

// ErrDeclared is returned for a change to what the environment declares.
var ErrDeclared = errors.New("the environment declares this shop (SHOPIFY_SHOP); change it there")

// KeepRemovedSecrets is how long the secrets of a removed shop still verify
// webhooks: Shopify sends shop/redact two days after the app was uninstalled.
const KeepRemovedSecrets = 30 * 24 * time.Hour

// Shop is one shop.
type Shop struct {
	Domain     string // name.myshopify.com
	MerchantID string // "" when not given
	AddedAt    time.Time
	Declared   bool // by the environment, so it can't be changed or removed here
	Pause      Pause
	// UninstalledAt is when the API confirmed that the app is not installed any
	// more, zero while it is.
	UninstalledAt time.Time
}

// PauseReason is why a shop's calls wait.
type PauseReason string

// Reasons of a pause.
const (
	PauseNone        PauseReason = ""
	PauseToken       PauseReason = "token"       // Shopify does not accept the token
	PauseScope       PauseReason = "scope"       // the token lacks an access scope
	PauseFrozen      PauseReason = "frozen"      // Shopify has frozen the shop
	PauseUninstalled PauseReason = "uninstalled" // the app was uninstalled
	PauseMoved       PauseReason = "moved"       // the shop has another name now
	PauseOperator    PauseReason = "operator"    // a person asked for it
)

// Pause says why and since when a shop's calls wait. The zero value: they don't.
type Pause struct {
	Reason    PauseReason `json:"reason"`
	Detail    string      `json:"detail,omitempty"` // the scope that is missing, for example
	Words     string      `json:"words,omitempty"`  // the step that failed, a part of a sentence
	Since     time.Time   `json:"since,omitzero"`
	NextProbe time.Time   `json:"next_probe,omitzero"` // zero: nobody looks
}

// Paused reports whether calls wait.
func (p Pause) Paused() bool { return p.Reason != PauseNone }

type shopRecord struct {
	MerchantID string    `json:"merchant_id,omitempty"`
	AddedAt    time.Time `json:"added_at,omitzero"`
	RemovedAt  time.Time `json:"removed_at,omitzero"`
}

type conditionRecord struct {
	Pause         Pause     `json:"pause,omitzero"`
	UninstalledAt time.Time `json:"uninstalled_at,omitzero"`
}

// AddShop stores a shop, or the new merchant id of one that is stored. A new
// shop syncs all products until SetSelection says otherwise.
func (s *Store) AddShop(domain, merchantID string, now time.Time) error {
	domain, err := catalog.ParseShop(domain)
	if err != nil {
		return err
	}
	return s.write(func(b *batch) error {
		if domain == s.env.Domain {
			return ErrDeclared
		}
		r, there := s.shops.rows[domain]
		if !there || !r.RemovedAt.IsZero() {
			r = shopRecord{AddedAt: millis(now)}
			put(b, s.selections, domain, catalog.Selection{Mode: catalog.SelectAll})
		}
		r.MerchantID = merchantID
		put(b, s.shops, domain, r)
		return nil
	})
}

// RestoreShop stores a shop that the catalogue knows and a damaged file has lost. Its
// selection is not known then. A shop that is known here stays as it is.
func (s *Store) RestoreShop(domain, merchantID string, addedAt time.Time) error {
	domain, err := catalog.ParseShop(domain)
	if err != nil {
		return err
	}
	return s.write(func(b *batch) error {
		if _, there := s.shops.rows[domain]; !there && domain != s.env.Domain {
			put(b, s.shops, domain, shopRecord{MerchantID: merchantID, AddedAt: millis(addedAt)})
		}
		return nil
	})
}

// RemoveShop removes a shop with its tokens, selection, conditions and
// schedules. That it was here stays known, and its secrets go on verifying
// webhooks for KeepRemovedSecrets: Shopify still sends compliance topics.
func (s *Store) RemoveShop(domain string, now time.Time) error {
	return s.write(func(b *batch) error {
		if domain == s.env.Domain {
			return ErrDeclared
		}
		r, there := s.shops.rows[domain]
		if !there || !r.RemovedAt.IsZero() {
			return fmt.Errorf("%s: %w", domain, ErrUnknownShop)
		}
		r.RemovedAt = millis(now)
		put(b, s.shops, domain, r)
		if c, there := s.credentials.rows[domain]; there {
			c.AccessToken, c.Consented = "", time.Time{}
			put(b, s.credentials, domain, c)
		}
		s.dropContents(b, domain)
		return nil
	})
}

// dropContents drops what only a connected shop has.
func (s *Store) dropContents(b *batch, domain string) {
	drop(b, s.tokens, domain)
	drop(b, s.selections, domain)
	drop(b, s.conditions, domain)
	for key := range s.runs.rows {
		if strings.HasPrefix(key, domain+"/") {
			drop(b, s.runs, key)
		}
	}
}

// RemovedAt returns when a shop was removed, and whether it was.
func (s *Store) RemovedAt(domain string) (time.Time, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	at := s.shops.rows[domain].RemovedAt
	return at, !at.IsZero() && domain != s.env.Domain
}

// Shop returns a connected shop.
func (s *Store) Shop(domain string) (Shop, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.shop(domain)
}

func (s *Store) shop(domain string) (Shop, bool) {
	r, there := s.shops.rows[domain]
	connected := there && r.RemovedAt.IsZero()
	shop := Shop{Domain: domain}
	if connected {
		shop.MerchantID, shop.AddedAt = r.MerchantID, r.AddedAt
	}
	if s.env.Declared() && domain == s.env.Domain {
		connected, shop.Declared = true, true
		if s.env.MerchantID != "" {
			shop.MerchantID = s.env.MerchantID
		}
	}
	c := s.conditions.rows[domain]
	shop.Pause, shop.UninstalledAt = c.Pause, c.UninstalledAt
	return shop, connected
}

// Shops returns every connected shop, by domain.
func (s *Store) Shops() []Shop {
	s.mu.RLock()
	defer s.mu.RUnlock()
	domains := slices.Collect(maps.Keys(s.shops.rows))
	if s.env.Declared() {
		domains = append(domains, s.env.Domain)
	}
	slices.Sort(domains)
	var shops []Shop
	for _, domain := range slices.Compact(domains) {
		if shop, connected := s.shop(domain); connected {
			shops = append(shops, shop)
		}
	}
	return shops
}

// connected returns ErrUnknownShop for a shop that is not. Planning functions
// call it; they hold s.writing, so rows don't change.
func (s *Store) connected(domain string) error {
	if _, connected := s.shop(domain); !connected {
		return fmt.Errorf("%s: %w", domain, ErrUnknownShop)
	}
	return nil
}

// setCondition changes what is noted of how a connected shop is.
func (s *Store) setCondition(domain string, change func(c *conditionRecord)) error {
	return s.write(func(b *batch) error {
		if err := s.connected(domain); err != nil {
			return err
		}
		c := s.conditions.rows[domain]
		was := c
		if change(&c); c != was {
			put(b, s.conditions, domain, c)
		}
		return nil
	})
}

// SetPause pauses a shop, or ends its pause when p is zero. A pause for the same
// reason keeps its first Since.
func (s *Store) SetPause(domain string, p Pause) error {
	return s.setCondition(domain, func(c *conditionRecord) {
		if p.Reason == c.Pause.Reason && !c.Pause.Since.IsZero() {
			p.Since = c.Pause.Since
		}
		p.Since, p.NextProbe = millis(p.Since), millis(p.NextProbe)
		if !p.Paused() {
			p = Pause{}
		}
		c.Pause = p
	})
}

// SetUninstalled notes when the API confirmed that the app is not installed any
// more; the zero time: it is installed.
func (s *Store) SetUninstalled(domain string, at time.Time) error {
	return s.setCondition(domain, func(c *conditionRecord) { c.UninstalledAt = millis(at) })
}

// declare stores that the shop of the environment syncs all products, when
// nothing is known about it yet.
func (s *Store) declare(b *batch) {
	if !s.env.Declared() {
		return
	}
	if _, there := s.selections.rows[s.env.Domain]; !there {
		put(b, s.selections, s.env.Domain, catalog.Selection{Mode: catalog.SelectAll})
	}
}

// Selection returns which products of a shop are synced. known is false when
// that was lost with a damaged file: nothing may be synced until SetSelection
// has said it again.
func (s *Store) Selection(domain string) (sel catalog.Selection, known bool) {
	sel, known = row(s, s.selections, domain)
	return cloned(sel), known
}

func cloned(sel catalog.Selection) catalog.Selection {
	sel.Include, sel.Exclude, sel.Rules = slices.Clone(sel.Include), slices.Clone(sel.Exclude), slices.Clone(sel.Rules)
	return sel
}

// SetSelection stores which products of a shop are synced.
func (s *Store) SetSelection(domain string, sel catalog.Selection) error {
	if err := sel.Validate(); err != nil {
		return err
	}
	return s.write(func(b *batch) error {
		if err := s.connected(domain); err != nil {
			return err
		}
		put(b, s.selections, domain, cloned(sel))
		return nil
	})
}
