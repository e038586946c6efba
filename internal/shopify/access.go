package shopify

import (
	"context"
	"slices"
	"strings"
	"time"

	"stockroom/limiter"
)

// Shop is what a shop says of itself.
type Shop struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain string `json:"myshopifyDomain"` // its myshopify.com name
}

// Shop asks a shop who it is: the cheapest call, and proof that it answers and
// takes our credentials.
func (c *Client) Shop(ctx context.Context, name string, class limiter.Class) (Shop, error) {
	var out struct {
		Shop *Shop `json:"shop"`
	}
	if err := c.read(ctx, name, class, c.queries["Shop"].call(nil), &out); err != nil {
		return Shop{}, err
	}
	if out.Shop == nil {
		return Shop{}, &Error{Kind: KindUnreadable, Shop: name, Op: "Shop", Message: "it names no shop"}
	}
	return *out.Shop, nil
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

// Greeting is what a shop says of itself and of the app.
type Greeting struct {
	Shop
	Access
	Products int // -1 when the app may not count them
}

// Greet asks a shop with credentials that are not kept: whether it lets the app
// in, who it is, what the app may do, and how many products there are. The calls
// use the shop's points and circuits like any other. One that a failure has opened
// is tried, as a person waits for the answer.
func (c *Client) Greet(ctx context.Context, name string, app App) (Greeting, error) {
	trial := c.trial(app)
	trial.TryNow(name)
	g, err := trial.greet(ctx, name)
	if KindOf(err) == KindCancelled && context.Cause(ctx) == context.DeadlineExceeded {
		err = &Error{Kind: KindTimeout, Shop: name, Op: "Shop", Behind: trial.behind(name)}
	}
	return g, err
}

func (c *Client) greet(ctx context.Context, name string) (g Greeting, err error) {
	const class = limiter.WebhookRefetch
	if g.Shop, err = c.Shop(ctx, name, class); err != nil {
		return g, err
	}
	if g.Access, err = c.Access(ctx, name, class); err != nil {
		return g, err
	}
	if g.Products = -1; !g.CanRead() {
		return g, nil
	}
	g.Products, _, err = c.Count(ctx, name, class)
	return g, err
}

// trial is a client with the credentials of one app, which remembers nothing of
// what it is told.
func (c *Client) trial(app App) *Client {
	o := c.o
	o.Credentials = given{app}
	return &Client{o: o, http: c.http, files: c.files, log: c.log, queries: c.queries, shops: map[string]*shop{}}
}

// given are credentials for as long as somebody asks with them.
type given struct{ app App }

func (g given) App(string) (App, error)                 { return g.app, nil }
func (given) Token(string, time.Time) (t Token, _ bool) { return t, false }
func (given) SetToken(string, Token) error              { return nil }
func (given) DropToken(string) error                    { return nil }

// without has a text for each needed scope.
var without = map[string]string{
	readProducts: "no product can be read", "read_inventory": "stock and weights can't be read", "read_locations": "stock can't be told by location",
}

// Without says what can't be done without a needed scope.
func Without(scope string) string { return without[scope] }

// Lacks says which scopes the app lacks, what each costs, and what to do.
func Lacks(missing []string) string {
	list := make([]string, len(missing))
	for i, scope := range missing {
		list[i] = scope + " (" + without[scope] + ")"
	}
	return "the app lacks the access scopes " + strings.Join(list, ", ") + "; " + addScope
}
