package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"stockroom/internal/config"
	"stockroom/web"
)

type shopCommand struct {
	Add    shopAddCommand    `cmd:"" help:"Connect a shop, or change its credentials."`
	List   shopListCommand   `cmd:"" help:"List the connected shops."`
	Remove shopRemoveCommand `cmd:"" help:"Disconnect a shop. Its stored products become INACTIVE; --purge deletes them and all else of it."`
	Calls  shopCallsCommand  `cmd:"" help:"Hold the calls to a shop's API back, let them go, or have the next try made now."`
}

type shopListCommand struct{}

func (shopListCommand) Run(e *env) error {
	return e.with(false, func(c *client) error {
		var out web.ShopList
		if err := c.call(e.ctx, http.MethodGet, "/api/v1/shops", nil, &out); err != nil {
			return err
		}
		if e.json {
			return e.print(out) // not as it came: there & and < are written as escapes
		}
		if len(out.Shops) == 0 {
			fmt.Fprintln(e.Stdout, "No shop is connected. Connect one with: "+e.command(config.ConnectWords("NAME.myshopify.com")))
			return nil
		}
		w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "SHOP\tMERCHANT\tSTATE\tSELECTION\tSECRET\tADDED")
		for _, s := range out.Shops {
			secret := "yes"
			switch {
			case !s.HasSecret:
				secret = "missing"
			case s.PreviousSecret:
				secret = "yes, and the previous one"
			}
			added := ago(s.AddedAt, time.Now())
			if s.FromEnvironment {
				added = "environment"
			}
			state := s.State
			if s.Reason != "" {
				state += " (" + s.Reason + ")"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Shop, orDash(s.MerchantID), state, s.Selection, secret, added)
		}
		return w.Flush()
	})
}

type shopCallsCommand struct {
	Shop  string `arg:"" type:"shop" help:"The shop's domain."`
	Hold  bool   `xor:"hand" required:"" help:"Make no calls until told otherwise. Deliveries are stored all the same."`
	Allow bool   `xor:"hand" required:"" help:"Make every call, however many fail."`
	Auto  bool   `xor:"hand" required:"" help:"Stop calls by themselves when too many fail; this is how it starts."`
	Try   bool   `xor:"hand" required:"" help:"End the present wait: the next call is the next try."`
}

func (c shopCallsCommand) Run(e *env) error {
	hold := web.HoldTry
	switch {
	case c.Hold:
		hold = web.HoldOpen
	case c.Allow:
		hold = web.HoldClosed
	case c.Auto:
		hold = web.HoldAuto
	}
	path := "/api/v1/shops/" + url.PathEscape(c.Shop) + "/circuit"
	return ask(e, false, http.MethodPost, path, map[string]web.Hold{"hold": hold}, func(struct{}) error {
		words := map[web.Hold]string{
			web.HoldOpen: "are held back until you let them go", web.HoldClosed: "are all made, however many fail",
			web.HoldAuto: "stop by themselves when too many fail", web.HoldTry: "are tried again now",
		}
		fmt.Fprintf(e.Stdout, "Calls to %s %s.\n", c.Shop, words[hold])
		return nil
	})
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
