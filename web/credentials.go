package web

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"stockroom/internal/answer"
	"stockroom/internal/catalog"
	"stockroom/internal/config"
)

// credentialNames are what a person copies out of Shopify, by name of the member.
var credentialNames = map[string]string{
	"api_key": "client id", "secret": "client secret", "previous_secret": "previous client secret",
	"access_token": "access token",
}

func badCredential(field, detail string) *answer.Refusal {
	return &answer.Refusal{
		Status: http.StatusBadRequest, Title: "Not the right credentials", Code: answer.CodeCredentials, Detail: detail,
		More: map[string]any{"field": field},
	}
}

// MissingCredential refuses a connection without the one of that name.
func MissingCredential(field string) *answer.Refusal {
	return badCredential(field, "The app's "+credentialNames[field]+
		" is missing; it is in the app's settings in Shopify's Dev Dashboard.")
}

// slip is what people give in place of a credential: its form, and what it is.
type slip struct {
	fields string // the members in which it is one, "" for each
	form   *regexp.Regexp
	is     string // behind "What was given as the client id "
}

// slips are looked at in this order: the first that fits says it best. None fits
// what Shopify gives out for that member.
var slips = []slip{
	{"", regexp.MustCompile(`[*•●∙·]{3}`),
		"is hidden behind dots; use the button beside it in Shopify that copies it."},
	{"", regexp.MustCompile(`(?i)^https?://(localhost|127\.0\.0\.1|\[::1\])|[?&]hmac=`),
		"is the address of the page after the consent, which is asked for in a later step."},
	{"", regexp.MustCompile(`(?i)://|^(dev|admin|partners)\.shopify\.com`),
		"is an address; open it and copy what that page shows."},
	{"", regexp.MustCompile(`(?i)^\S+\.myshopify\.com$`), "is the shop's name."},
	{"", regexp.MustCompile(`^\S+@\S+$`), "is an e-mail address."},
	{"", regexp.MustCompile(`(?s)^[\[{]|^[\w .-]{2,40}["']?\s*[:=]\s*.{8}`),
		"has a name before it; give only the value behind it."},
	{"", regexp.MustCompile(`^[^\n\r]*[\n\r]`), "has a line break in it; copy that one value again."},
	{"api_key", regexp.MustCompile(`\s`),
		"has a space in it, as an app's name has; the client id is 32 digits and letters."},
	{"", regexp.MustCompile(`[\s\p{Cc}\p{Cf}]`), "has a space in it; copy it again."},
	{"", regexp.MustCompile(`(?i)^(client|api|access)[_-](id|secret|key|token)$`),
		"stands for what your app has there."},
	{"", regexp.MustCompile(`(?i)^shprt_`), "is a refresh token, which is of no use here."},
	{"", regexp.MustCompile(`(?i)^atkn_`),
		"is an app automation token, which serves Shopify's own command line only."},
	{"api_key secret previous_secret", regexp.MustCompile(`(?i)^shp([a-rt-z][a-z]|s[a-rt-z])_`),
		"is an access token, as its beginning says. Give it as the access token."},
	{"api_key access_token", regexp.MustCompile(`(?i)^shpss_`),
		"is a client secret, as its beginning says. Give it as the client secret."},
	{"api_key", regexp.MustCompile(`(?i)^([0-9a-f]{8,31}|[0-9a-f]{33,})$`),
		"is not 32 characters long, as each client id is; copy it again."},
	{"", regexp.MustCompile(`.{256}`), "is too long for one; copy it again."},
}

// given are the credentials by member, in the order in which a person gives them.
func (a *AddShop) given() [4]struct{ field, value string } {
	return [4]struct{ field, value string }{
		{"api_key", a.APIKey}, {"secret", a.Secret.Reveal()},
		{"previous_secret", a.PreviousSecret.Reveal()}, {"access_token", a.AccessToken.Reveal()},
	}
}

// read takes off what came along with a paste, and refuses what was pasted into
// the wrong place. What was given is in no message.
func (a *AddShop) read() error {
	a.MerchantID, a.APIKey = strings.TrimSpace(a.MerchantID), catalog.Pasted(a.APIKey)
	for _, secret := range []*config.Secret{&a.Secret, &a.PreviousSecret, &a.AccessToken} {
		*secret = config.NewSecret(catalog.Pasted(secret.Reveal()))
	}
	if catalog.HoldsSecret(a.MerchantID) {
		return badCredential("merchant_id", "What was given as your own name for the merchant is a secret of Shopify, "+
			"and it would be stored with each product. Leave it empty, or give a name.")
	}
	given := a.given()
	for i, c := range given {
		if words := wrongValue(c.field, c.value); words != "" {
			return misplaced(c.field, words)
		}
		for _, before := range given[:i] {
			if c.value != "" && c.value == before.value {
				return misplaced(c.field, "is the "+credentialNames[before.field]+".")
			}
		}
	}
	return nil
}

// wrongValue says what a value is that can't be the credential of that member, ""
// where it can.
func wrongValue(field, value string) string {
	for _, s := range slips {
		fits := s.fields == "" || strings.Contains(" "+s.fields+" ", " "+field+" ")
		if value != "" && fits && s.form.MatchString(value) {
			return s.is
		}
	}
	return ""
}

func misplaced(field, words string) *answer.Refusal {
	where := "in the app's settings in Shopify's Dev Dashboard"
	if field == "access_token" {
		where = "on the app's page in the shop's admin, under API credentials, and begins with shpat_"
	}
	name := credentialNames[field]
	return badCredential(field, fmt.Sprintf("What was given as the %s %s The %s is %s.", name, words, name, where))
}

var (
	usualID    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	signingOne = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// doubts are what may be wrong with credentials that Shopify refuses, in
// sentences: their form is odd, but Shopify has never said that it can't be so.
func (a *AddShop) doubts() (list []string) {
	if a.APIKey != "" && !usualID.MatchString(a.APIKey) {
		list = append(list, fmt.Sprintf("What was given as the client id has %d characters, and is not 32 digits and "+
			"letters from a to f, as those of Shopify are; an app's name or number is not it", len(a.APIKey)))
	}
	if usualID.MatchString(a.APIKey) && usualID.MatchString(a.Secret.Reveal()) {
		list = append(list, "The client id and the client secret look alike here: see that they are not exchanged")
	}
	if signingOne.MatchString(a.Secret.Reveal()) {
		list = append(list, "What was given as the client secret looks like the one of Settings, Notifications "+
			"in the shop's admin, which signs webhooks and opens nothing")
	}
	if token := a.AccessToken.Reveal(); token != "" && !strings.HasPrefix(token, "shp") {
		list = append(list, "What was given as the access token does not begin with shpat_; "+
			"one of the Storefront API opens nothing here, it takes one of the Admin API")
	}
	return list
}
