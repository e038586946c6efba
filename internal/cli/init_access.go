package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"stockroom/internal/answer"
	"stockroom/internal/shopify"
	"stockroom/internal/status"
)

// kinds are those of access, in the order in which they are offered.
func kinds() []status.Access {
	return []status.Access{status.ByCredentials, status.ByConsent, status.ByToken}
}

// credential is one that an app has.
type credential struct {
	name, flag, words string
	seen, optional    bool
}

// credentials are those that the kind of access takes.
func (u *setUp) credentials() []credential {
	if u.Kind == status.ByToken {
		return []credential{
			{name: "access_token", flag: "--access-token-file FILE", words: "Admin API access token, which begins with shpat_"},
			{name: "secret", flag: "--secret-file FILE", words: "API secret key", optional: true},
		}
	}
	return []credential{
		{name: "api_key", flag: "--api-key CLIENT_ID", words: "Client id", seen: true},
		{name: "secret", flag: "--secret-file FILE", words: "Client secret"},
	}
}

// connect lets the shop say whether what was answered is right, and asks again until it is.
func (u *setUp) connect(known []status.Connection) error {
	have := u.connection(known)
	if have != nil && have.FromEnvironment {
		u.connected.Connection = *have
		u.say("%s is declared by the environment, which holds its credentials.\n", u.Shop)
		return nil
	}
	if have != nil && len(u.given) == 0 {
		if done, err := u.asStored(); done || err != nil {
			return err
		}
	}
	fixed := u.Kind != ""
	if have != nil && !fixed {
		u.Kind = have.Access
	}
	field, first := "", true
	for {
		if u.asks {
			if field == "" && (!fixed || !first) {
				if err := u.whoMade(); err != nil {
					return err
				}
			}
			if err := u.answers(field, first, have != nil); err != nil {
				return err
			}
		}
		err := u.try()
		if err == nil {
			return u.granted()
		}
		refused, ok := errors.AsType[*answer.Refusal](err)
		if !ok || !u.asks {
			return err
		}
		u.say("\n%s\n", refused)
		field, _ = refused.More["field"].(string)
		if !slices.ContainsFunc(u.credentials(), func(c credential) bool { return c.name == field }) {
			field = ""
		}
		first = false
	}
}

// asStored tries the credentials that are there, and reports whether they stay.
func (u *setUp) asStored() (done bool, err error) {
	err = u.e.with(false, func(cl *client) (err error) {
		u.connected, err = u.e.put(cl, u.Shop, map[string]any{})
		return err
	})
	refused, ok := errors.AsType[*answer.Refusal](err)
	switch {
	case err != nil && (!ok || !u.asks):
		return false, err
	case err != nil:
		u.connected.Shop = u.Shop
		u.say("\n%s is connected, but: %s\n", u.Shop, refused)
		return false, nil
	}
	if err := u.granted(); err != nil || !u.asks {
		return true, err
	}
	return u.yes("Keep its credentials as they are?")
}

// whoMade asks for the kind of access, and says what it takes at Shopify.
func (u *setUp) whoMade() error {
	n, err := u.choice("Who made the app that lets Stockroom read the shop?", max(0, slices.Index(kinds(), u.Kind)),
		"I did, or will: in Shopify's Dev Dashboard, in the organisation that owns the shop.",
		"Somebody else, an agency or a freelancer: in an organisation of their own.",
		"It is an older app, made in the shop's admin; it has an access token that begins with shpat_.")
	if err == nil {
		u.Kind = kinds()[n]
		u.remind()
	}
	return err
}

// answers asks for the credentials of the app; later for all once more, or for the one
// that was wrong. What is not answered again stays.
func (u *setUp) answers(field string, first, stored bool) error {
	for _, c := range u.credentials() {
		given := u.given[c.name]
		if field != "" && field != c.name || first && given != "" {
			continue
		}
		words := c.words
		switch {
		case given != "":
			words += " (Enter keeps the one you gave)"
		case stored:
			words += " (Enter keeps the one that is stored)"
		case c.optional:
			words += " (it signs deliveries; Enter leaves it out)"
		}
		typed, err := u.credential(words, c.seen)
		if err != nil {
			return err
		}
		if typed != "" {
			u.given[c.name] = typed
		}
	}
	return nil
}

func (u *setUp) credential(words string, seen bool) (string, error) {
	if seen {
		return u.question(words, "")
	}
	typed, err := u.e.hidden(words + ", not shown as you type or paste it")
	return strings.TrimSpace(typed), err
}

// remind says what has to be done at Shopify before the credentials work.
func (u *setUp) remind() {
	scopes := strings.Join(shopify.NeededScopes(), ", ")
	const dashboard = "https://dev.shopify.com/dashboard"
	switch u.Kind {
	case status.ByCredentials:
		u.say("\nAt Shopify first, in %s, in the organisation that owns the shop:\n"+
			"  - the app has a version with the scopes %s, and that version is released\n"+
			"  - the app is installed in the shop\n"+
			"Client id and client secret are on the app's page Settings.\n\n", dashboard, scopes)
	case status.ByConsent:
		u.say("\nAt Shopify first, in %s, by whoever made the app:\n"+
			"  - it has a version with the scopes %s\n"+
			"    with the App URL       %s\n"+
			"    and the redirect URL   %s   (exactly so, without a slash at its end)\n"+
			"    and that version is released\n"+
			"  - under Distribution, Custom distribution is chosen for %s; that is final, so each shop needs an app of its own\n"+
			"  - the shop's owner has opened the link that is made there, and installed the app\n"+
			"Client id and client secret are on the app's page Settings.\n\n",
			dashboard, scopes, strings.TrimSuffix(shopify.RedirectURL, "/callback"), shopify.RedirectURL, u.Shop)
	case status.ByToken:
		u.say("\nIn the shop's admin: Settings, Apps, Develop apps, the app, API credentials. It needs the Admin API scopes\n"+
			"%s. The access token was shown once, when the app was installed.\n"+
			"An app made since 2026 has no such token: it is one of the other two kinds.\n\n", scopes)
	}
}

// try connects the shop with what was answered.
func (u *setUp) try() error {
	body := map[string]any{}
	for _, c := range u.credentials() {
		if value := u.given[c.name]; value != "" {
			body[c.name] = value
		}
	}
	return u.e.with(true, func(cl *client) (err error) {
		if u.Kind == status.ByConsent {
			u.connected, err = u.e.consented(cl, u.Shop, body, u.asking)
		} else {
			u.connected, err = u.e.put(cl, u.Shop, body)
		}
		return err
	})
}

// granted tells what the shop said, and looks again for scopes that the app lacks.
func (u *setUp) granted() error {
	for {
		u.say("\n%s\n", strings.Join(u.connected.Words(), "\n"))
		if !u.asks || u.connected.Found == nil || len(u.connected.Found.Missing) == 0 {
			return nil
		}
		again, err := u.yes("Look again, when a version with them is released and the shop has agreed to it?")
		if err != nil || !again {
			return err
		}
		err = u.e.with(false, func(cl *client) (err error) {
			u.connected, err = u.e.put(cl, u.Shop, map[string]any{})
			return err
		})
		if err != nil {
			return fmt.Errorf("%s is connected, and then: %w", u.Shop, err)
		}
	}
}
