package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

var shopName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*\.myshopify\.com$`)

// ParseShop returns the shop's domain in lower case, or an error that says what
// a shop's name looks like.
func ParseShop(s string) (string, error) {
	name := strings.ToLower(strings.TrimSpace(s))
	if len(name) > 255 || !shopName.MatchString(name) {
		return "", fmt.Errorf("%q is not a shop's name, which is lower-case letters, digits and hyphens before .myshopify.com", s)
	}
	return name, nil
}

// Pasted takes off what comes along when a person copies something: blanks,
// characters that can't be seen, and quotes or brackets around it.
func Pasted(text string) string {
	return strings.TrimFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune("\"'`<>“”„‘’‚«»", r)
	})
}

var (
	secretPart = regexp.MustCompile(`(?i)\b(shp[a-z]{2}|atkn)_|[?&](code|hmac|signature)=`)
	bareKey    = regexp.MustCompile(`^([0-9a-f]{32}|[0-9a-f]{64})$`)
	mail       = regexp.MustCompile(`^[^/:@\s]+@[^/:@\s]+$`)
)

// HoldsSecret reports whether there is a secret of Shopify in a text, or what
// serves as one. No message and no page repeats it.
func HoldsSecret(text string) bool { return secretPart.MatchString(text) }

// ReadShop is ParseShop for what a person types or pastes: also the name alone,
// and the addresses of the shop and of its pages in Shopify's admin.
func ReadShop(typed string) (string, error) {
	name := strings.ToLower(Pasted(typed))
	host, path, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://"), "/")
	if i := strings.IndexAny(host, "?#"); i >= 0 {
		host = host[:i]
	}
	if store, ok := strings.CutPrefix(path, "store/"); ok && host == "admin.shopify.com" {
		host = store
		if i := strings.IndexAny(host, "/?#"); i >= 0 {
			host = host[:i]
		}
	}
	host = strings.TrimSuffix(host, ".")
	bare := bareKey.MatchString(host)
	if host != "" && !strings.Contains(host, ".") {
		host += ".myshopify.com"
	}
	if shop, err := ParseShop(host); err == nil && !bare {
		return shop, nil
	}
	return "", noShop(name, host, path, bare)
}

// noShop says what was given in place of a shop's name, and where that is.
func noShop(name, host, path string, bare bool) error {
	const where = "Shopify's admin shows it under Settings, Domains, and has it in its addresses: admin.shopify.com/store/NAME"
	switch {
	case name == "":
		return errors.New("the shop's name is missing; it is NAME.myshopify.com. " + where)
	case strings.HasPrefix(host, "localhost:"), strings.Contains(name, "code=") && strings.Contains(name, "hmac="):
		return errors.New("the address of the page after the consent was given in place of the shop's name; " +
			"it is asked for in a later step. " + where)
	case strings.HasPrefix(path, "oauth/install"):
		return errors.New("the link that installs the app was given in place of the shop's name; open it in a browser " +
			"where the shop's owner is logged in. " + where)
	case HoldsSecret(name):
		return errors.New("a secret or token of Shopify was given in place of the shop's name. " + where)
	case bare:
		return errors.New("a client id, secret or token of Shopify was given in place of the shop's name. " + where)
	case host == "admin.shopify.com":
		return fmt.Errorf("%.90q names no shop; the NAME behind /store/ is missing in it", name)
	case host == "dev.shopify.com", host == "partners.shopify.com":
		return fmt.Errorf("%.90q is an address of Shopify's Dev Dashboard, which shows apps; the shop's name is needed. %s", name, where)
	case mail.MatchString(name):
		return fmt.Errorf("%.90q is an e-mail address and not the shop's name. %s", name, where)
	case strings.Contains(host, ".") && !strings.HasSuffix(host, ".myshopify.com"):
		return fmt.Errorf("%.90q is not the name that Shopify gave the shop, which ends with .myshopify.com. %s", name, where)
	}
	return fmt.Errorf("%.90q is not a shop's name, which is letters, digits and hyphens before .myshopify.com. %s", name, where)
}

// ShopNamed returns the shop that the body of a compliance topic names, "" for
// none. It serves to choose the secrets that the signature is compared with, so
// the body may be anybody's: the first 64 KiB are looked at, and what can't be
// read names none.
func ShopNamed(body []byte) string {
	const most = 64 << 10
	dec := jsontext.NewDecoder(bytes.NewBuffer(body[:min(len(body), most)]), jsontext.AllowDuplicateNames(true))
	if dec.PeekKind() != '{' {
		return ""
	}
	if _, err := dec.ReadToken(); err != nil {
		return ""
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		if name.String() != "shop_domain" {
			if dec.SkipValue() != nil {
				return ""
			}
			continue
		}
		if dec.PeekKind() != '"' {
			return ""
		}
		value, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		shop, err := ParseShop(value.String())
		if err != nil {
			return ""
		}
		return shop
	}
	return ""
}
