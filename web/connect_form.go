package web

import (
	"stockroom/internal/config"
	"stockroom/internal/shopify"
	"stockroom/internal/status"
)

// The kinds of access that the form offers.
const (
	kindCredentials = string(status.ByCredentials)
	kindConsent     = string(status.ByConsent)
	kindToken       = string(status.ByToken)
)

// connectForm is the form that connects a shop, as it was sent. It holds no
// secret: one that was wrong has to be given again.
type connectForm struct {
	Kind                     string
	Shop, APIKey, MerchantID string
	Unasked                  bool
	Field, Problem           string // what is wrong, and the field it is wrong in, "" for none of them
	DataDir                  string
	command                  func(words string) string
}

func (s *Server) emptyForm() *connectForm {
	return &connectForm{Kind: kindCredentials, command: s.o.Command, DataDir: s.o.DataDir}
}

// More reports whether the part of the form that few need has to be seen.
func (f connectForm) More() bool { return f.MerchantID != "" || f.Unasked || f.Field == "merchant_id" }

// connectField is one field of the form.
type connectField struct {
	ID, Name, Label, Value string
	Secret, Required       bool
	Of                     string // the kinds that take it, "" for all
	Wrong                  string
}

func (f connectForm) field(of, id, name, label, value string) connectField {
	one := connectField{ID: id, Name: name, Label: label, Value: value, Of: of}
	if f.Field == name {
		one.Wrong = f.Problem
	}
	return one
}

// ShopField is the field of the shop's name.
func (f connectForm) ShopField() connectField {
	one := f.field("", "c-shop", "shop", "Shop: NAME.myshopify.com, or the address of its admin", f.Shop)
	one.Required = true
	return one
}

// Credentials are the fields for what Shopify gives out.
func (f connectForm) Credentials() []connectField {
	list := []connectField{
		f.field(kindCredentials+" "+kindConsent, "c-key", "api_key", "Client id of the app", f.APIKey),
		f.field(kindToken, "c-token", "access_token", "Admin API access token, which begins with shpat_", ""),
		f.field("", "c-secret", "secret", "Client secret of the app, which older apps call API secret key", ""),
	}
	list[1].Secret, list[2].Secret = true, true
	return list
}

// MerchantField is the field of the merchant's name.
func (f connectForm) MerchantField() connectField {
	return f.field("", "c-merchant", "merchant_id", "Your own name for the merchant, stored with each product", f.MerchantID)
}

// connectKind is a kind of access in the words of a merchant.
type connectKind struct {
	Name, Label string
	Chosen      bool
	Steps       []string // to be done at Shopify first
	Command     string   // does the same on the command line
}

const releasedVersion = "Release a version of it with the access scopes read_products, read_inventory and read_locations."

// Kinds are the kinds of access to choose from.
func (f connectForm) Kinds() []connectKind {
	list := []connectKind{
		{kindCredentials, "My own app: made in Shopify's Dev Dashboard, in the organization of the shop", false, []string{
			"Make an app in Shopify's Dev Dashboard, dev.shopify.com, in the organization that the shop belongs to.",
			releasedVersion,
			"Install it on the shop. Its settings show the client id and the client secret.",
		}, f.command(config.ConnectWords("NAME.myshopify.com"))},
		{kindConsent, "An app of another organization, such as a developer's", false, []string{
			"Make an app in your Dev Dashboard, dev.shopify.com, for this shop alone. Its App URL is http://localhost:3456, " +
				"and its redirect URL is " + shopify.RedirectURL + ", letter by letter.",
			releasedVersion,
			"Under Distribution choose custom distribution and enter the shop's name. This can't be changed later.",
			"Have the shop's owner open the link that you get there, and install the app.",
			"Press Connect below. The page that comes next leads to Shopify, where the owner agrees.",
		}, f.command("shop connect NAME.myshopify.com --api-key CLIENT_ID")},
		{kindToken, "An older app with a fixed access token, made in the shop's admin before 2026", false, []string{
			"In the shop's admin open Settings, Apps, Develop apps, and there the app.",
			"See that it has the access scopes read_products, read_inventory and read_locations, and is installed.",
			"Copy its Admin API access token, which Shopify shows once, and its API secret key.",
		}, f.command("shop add NAME.myshopify.com --access-token-file FILE")},
	}
	for i := range list {
		list[i].Chosen = list[i].Name == f.Kind
	}
	return list
}
