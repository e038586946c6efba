package web

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"stockroom/internal/catalog"
	"stockroom/internal/shopify"
)

const (
	idTyped  = "c0ffee00c0ffee00c0ffee00c0ffee00"
	hex32    = "0123456789abcdef0123456789abcdef" // of what is secret
	callback = "http://localhost:3456/callback?code=c0de0123&hmac=" + hex32 + "&shop=wool.myshopify.com&state=s&timestamp=1"
)

// slipCase is something that a person gave in the place of what was asked for.
type slipCase struct {
	field, typed string
	says         string // "" where it is understood
	refused      string // what Shopify says of it when it is asked, by code; "" where it is not asked
}

// slipCases are what people give wrongly, each with its sentence.
var slipCases = []slipCase{
	{field: "shop", typed: "https://admin.shopify.com/store/wool/products?x=1"},
	{field: "shop", typed: "https://wool.myshopify.com/admin/settings"},
	{field: "shop", typed: "http://wool.myshopify.com/products/scarf?variant=1#top"},
	{field: "shop", typed: "WOOL"},
	{field: "shop", typed: "\u200b  wool.myshopify.com. \n"},
	{field: "shop", typed: "“https://Wool.myshopify.com/”"},
	{field: "shop", typed: "https://wool.myshopify.com/admin/oauth/authorize?client_id=1&state=2"},
	{field: "shop", typed: "", says: "The shop's name is missing; it is NAME.myshopify.com. Shopify's admin shows it under Settings, Domains, and has it in its addresses: admin.shopify.com/store/NAME."},
	{field: "shop", typed: "www.wool.example", says: `"www.wool.example" is not the name that Shopify gave the shop, which ends with .myshopify.com. Shopify's admin shows it under Settings, Domains`},
	{field: "shop", typed: "wool.myshopify.co", says: `is not the name that Shopify gave the shop, which ends with .myshopify.com.`},
	{field: "shop", typed: "Wool & Sons", says: `"wool & sons" is not a shop's name, which is letters, digits and hyphens before .myshopify.com.`},
	{field: "shop", typed: "owner@wool.example", says: `"owner@wool.example" is an e-mail address and not the shop's name.`},
	{field: "shop", typed: "https://admin.shopify.com/", says: `names no shop; the NAME behind /store/ is missing in it.`},
	{field: "shop", typed: "https://dev.shopify.com/dashboard/1/apps/2", says: `is an address of Shopify's Dev Dashboard, which shows apps; the shop's name is needed.`},
	{field: "shop", typed: "https://admin.shopify.com/oauth/install_custom_app?client_id=1&signature=f00", says: "The link that installs the app was given in place of the shop's name; open it in a browser where the shop's owner is logged in."},
	{field: "shop", typed: callback, says: "The address of the page after the consent was given in place of the shop's name; it is asked for in a later step."},
	{field: "shop", typed: "shpss_" + hex32, says: "A secret or token of Shopify was given in place of the shop's name."},
	{field: "shop", typed: "SHOPIFY_API_SECRET=atkn_" + hex32, says: "A secret or token of Shopify was given in place of the shop's name."},
	{field: "shop", typed: hex32, says: "A client id, secret or token of Shopify was given in place of the shop's name."},

	{field: "api_key", typed: " '" + idTyped + "'\r\n"},
	{field: "api_key", typed: "shpss_" + hex32, says: "What was given as the client id is a client secret, as its beginning says. Give it as the client secret. The client id is in the app's settings in Shopify's Dev Dashboard."},
	{field: "api_key", typed: "shpat_" + hex32, says: "What was given as the client id is an access token, as its beginning says. Give it as the access token."},
	{field: "api_key", typed: "Wool stock app", says: "What was given as the client id has a space in it, as an app's name has; the client id is 32 digits and letters."},
	{field: "api_key", typed: "wool-stock", refused: "application_cannot_be_found", says: "Shopify knows no app with this client id; copy the client id again from the app's settings in Shopify's Dev Dashboard. What was given as the client id has 10 characters, and is not 32 digits and letters from a to f, as those of Shopify are; an app's name or number is not it."},
	{field: "api_key", typed: idTyped[:31], says: "What was given as the client id is not 32 characters long, as each client id is; copy it again."},
	{field: "api_key", typed: "123456789012", says: "What was given as the client id is not 32 characters long"},
	{field: "api_key", typed: "https://dev.shopify.com/dashboard/1/apps/2/settings", says: "What was given as the client id is an address; open it and copy what that page shows."},
	{field: "api_key", typed: "wool.myshopify.com", says: "What was given as the client id is the shop's name."},
	{field: "api_key", typed: "owner@wool.example", says: "What was given as the client id is an e-mail address."},
	{field: "api_key", typed: "Client ID: " + idTyped, says: "What was given as the client id has a name before it; give only the value behind it."},
	{field: "api_key", typed: "CLIENT_ID", says: "What was given as the client id stands for what your app has there."},
	{field: "api_key", typed: callback, says: "What was given as the client id is the address of the page after the consent, which is asked for in a later step."},

	{field: "secret", typed: "«shpss_" + hex32 + "»\n"},
	{field: "secret", typed: "shpss_0123456789\n0123456789abcdef", says: "What was given as the client secret has a line break in it; copy that one value again. The client secret is in the app's settings in Shopify's Dev Dashboard."},
	{field: "secret", typed: "Client secret: shpss_" + hex32, says: "What was given as the client secret has a name before it; give only the value behind it."},
	{field: "secret", typed: "SHOPIFY_API_SECRET=shpss_" + hex32, says: "What was given as the client secret has a name before it"},
	{field: "secret", typed: `{"client_secret": "shpss_` + hex32 + `"}`, says: "What was given as the client secret has a name before it"},
	{field: "secret", typed: `client_secret": "shpss_` + hex32 + `",`, says: "What was given as the client secret has a name before it"},
	{field: "secret", typed: "shpss_••••••••", says: "What was given as the client secret is hidden behind dots; use the button beside it in Shopify that copies it."},
	{field: "secret", typed: "shpat_" + hex32, says: "What was given as the client secret is an access token, as its beginning says. Give it as the access token."},
	{field: "secret", typed: "shpca_" + hex32, says: "What was given as the client secret is an access token"},
	{field: "secret", typed: "shprt_" + hex32, says: "What was given as the client secret is a refresh token, which is of no use here."},
	{field: "secret", typed: "atkn_" + hex32, says: "What was given as the client secret is an app automation token, which serves Shopify's own command line only."},
	{field: "secret", typed: idTyped, says: "What was given as the client secret is the client id."},
	{field: "secret", typed: "f" + hex32[1:], refused: "application_cannot_be_found", says: "The client id and the client secret look alike here: see that they are not exchanged."},
	{field: "secret", typed: hex32 + hex32, refused: "invalid_client", says: "Shopify does not accept the app's client secret; copy the client secret again from the app's settings in Shopify's Dev Dashboard. What was given as the client secret looks like the one of Settings, Notifications in the shop's admin, which signs webhooks and opens nothing."},

	{field: "access_token", typed: `"shpat_` + hex32 + `"`},
	{field: "access_token", typed: "shpss_" + strings.Repeat("5", 32), says: "What was given as the access token is a client secret, as its beginning says. Give it as the client secret. The access token is on the app's page in the shop's admin, under API credentials, and begins with shpat_."},
	{field: "access_token", typed: "X-Shopify-Access-Token: shpat_" + hex32, says: "What was given as the access token has a name before it"},
	{field: "access_token", typed: "atkn_" + hex32, says: "What was given as the access token is an app automation token"},
	{field: "access_token", typed: hex32[1:] + "0", refused: "token", says: "What was given as the access token does not begin with shpat_; one of the Storefront API opens nothing here, it takes one of the Admin API."},

	{field: "merchant_id", typed: "shpss_" + hex32, says: "What was given as your own name for the merchant is a secret of Shopify, and it would be stored with each product. Leave it empty, or give a name."},
}

func TestEachSlipIsUnderstoodOrSaidOnTheFormAndByTheAPI(t *testing.T) {
	r := newRig(t, nil)
	known := r.shops.list
	if len(slipCases) < 40 {
		t.Errorf("only %d slips", len(slipCases))
	}
	for _, tt := range slipCases {
		t.Run(tt.field+" "+tt.typed, func(t *testing.T) {
			r.t, r.shops.list, r.shops.added, r.shops.fail = t, known, nil, refusedBy(tt.refused)
			form := url.Values{"shop": {"wool"}, "api_key": {idTyped}, "secret": {"shpss_" + strings.Repeat("5", 32)}, "kind": {"credentials"}}
			if tt.field == "access_token" {
				form.Set("kind", "token")
			}
			form.Set(tt.field, tt.typed)
			status, page, _ := r.send(form)
			if tt.says == "" {
				want := strings.TrimSpace(strings.ToLower(catalog.Pasted(tt.typed)))
				if status != 303 || len(r.shops.added) != 1 {
					t.Fatalf("it is not understood: %d\n%s", status, page)
				}
				a := r.shops.added[0]
				got := map[string]string{"shop": want, "api_key": a.APIKey, "secret": a.Secret.Reveal(), "access_token": a.AccessToken.Reveal()}[tt.field]
				if got != want || a.Shop != "wool.myshopify.com" {
					t.Errorf("it is taken for %q of %s", got, a.Shop)
				}
				return
			}
			_, text := checkPage(t, page)
			if status < 400 || !strings.Contains(text, tt.says) || len(r.shops.added) > 0 {
				t.Errorf("%d, and it does not say %q:\n%s", status, tt.says, text)
			}
			if strings.Contains(page, hex32[10:]) {
				t.Error("a secret comes back")
			}
			if tt.field == "shop" {
				return // the API takes the name alone
			}
			members := map[string]string{}
			for _, name := range []string{"api_key", "secret", "access_token", "merchant_id"} {
				if v := form.Get(name); v != "" {
					members[name] = v
				}
			}
			body, err := json.Marshal(members)
			if err != nil {
				t.Fatal(err)
			}
			r.shops.fail = refusedBy(tt.refused)
			w := serve(r.Admin(), request("PUT", "/api/v1/shops/wool.myshopify.com", string(body), "Authorization", "Bearer "+testToken))
			var said struct{ Detail string }
			if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || !strings.Contains(said.Detail, tt.says) || len(r.shops.added) > 0 {
				t.Errorf("the API says %s (%v), want %q", w.Body, err, tt.says)
			}
		})
	}
}

// refusedBy is what a shop answers with that code, nil for none.
func refusedBy(code string) error {
	switch code {
	case "":
		return nil
	case "token":
		return &shopify.Error{Kind: shopify.KindToken, Op: "probe", Status: 401}
	}
	return &shopify.Error{Kind: shopify.KindToken, Op: shopify.EndpointToken, Status: 400, Code: code, Message: code}
}
