package shopify

import (
	"context"
	"strings"
	"time"

	"stockroom/limiter"
)

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

// without says what a needed scope is for, as what can't be done without it.
var without = map[string]string{
	readProducts: "no product can be read", "read_inventory": "stock and weights can't be read", "read_locations": "stock can't be told by location",
}

// Without says what can't be done without a needed scope.
func Without(scope string) string { return without[scope] }

// Lacks says which scopes the app lacks, what each costs, and what to do.
func Lacks(missing []string) string {
	list := make([]string, len(missing))
	for i, scope := range missing {
		list[i] = scope + " (" + Without(scope) + ")"
	}
	return "the app lacks the access scopes " + strings.Join(list, ", ") + "; " + addScope
}
