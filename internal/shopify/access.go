package shopify

import (
	"context"
	"slices"

	"stockroom/limiter"
)

// Shop is what a shop says of itself.
type Shop struct {
	ID     string
	Name   string
	Domain string // its myshopify.com name
}

// Shop asks a shop who it is: the cheapest call, and proof that it answers and
// takes our credentials.
func (c *Client) Shop(ctx context.Context, name string, class limiter.Class) (Shop, error) {
	var out struct {
		Shop *struct {
			ID     string `json:"id"`
			Name   string `json:"name"`
			Domain string `json:"myshopifyDomain"`
		} `json:"shop"`
	}
	if err := c.read(ctx, name, class, c.queries["Shop"].call(nil), &out); err != nil {
		return Shop{}, err
	}
	if out.Shop == nil {
		return Shop{}, &Error{Kind: KindUnreadable, Shop: name, Op: "Shop", Message: "it names no shop"}
	}
	return Shop{ID: out.Shop.ID, Name: out.Shop.Name, Domain: out.Shop.Domain}, nil
}

// Access is what the app may do on a shop, and with which versions.
type Access struct {
	Scopes    []string // granted, sorted
	Supported []string // versions that Shopify supports, oldest first
}

// NeededScopes are what reading products and their stock takes.
func NeededScopes() []string { return []string{readProducts, "read_inventory", "read_locations"} }

const readProducts = "read_products"

// CanRead reports whether any product can be read.
func (a Access) CanRead() bool { return !slices.Contains(a.Missing(), readProducts) }

// Missing returns the needed scopes that are not granted. A write scope includes
// the read scope of the same thing.
func (a Access) Missing() []string {
	var list []string
	for _, s := range NeededScopes() {
		if !slices.Contains(a.Scopes, s) && !slices.Contains(a.Scopes, "write_"+s[len("read_"):]) {
			list = append(list, s)
		}
	}
	return list
}

// Access asks which scopes are granted and which versions are supported.
func (c *Client) Access(ctx context.Context, name string, class limiter.Class) (Access, error) {
	var out struct {
		Installation *struct {
			Scopes []struct {
				Handle string `json:"handle"`
			} `json:"accessScopes"`
		} `json:"currentAppInstallation"`
		Versions []struct {
			Handle    string `json:"handle"`
			Supported bool   `json:"supported"`
		} `json:"publicApiVersions"`
	}
	if err := c.read(ctx, name, class, c.queries["Access"].call(nil), &out); err != nil {
		return Access{}, err
	}
	if out.Installation == nil {
		return Access{}, &Error{Kind: KindUnreadable, Shop: name, Op: "Access", Message: "it names no installation"}
	}
	var a Access
	for _, s := range out.Installation.Scopes {
		a.Scopes = append(a.Scopes, s.Handle)
	}
	slices.Sort(a.Scopes)
	for _, v := range out.Versions {
		if v.Supported {
			a.Supported = append(a.Supported, v.Handle)
		}
	}
	slices.Sort(a.Supported)
	return a, nil
}
