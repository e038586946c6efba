package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"stockroom/internal/config"
	"stockroom/web"
)

type shopRemoveCommand struct {
	Shop  string `arg:"" type:"shop" help:"The shop's domain."`
	Purge bool   `help:"Delete everything that is kept of the shop, too, also of one that was removed before."`
	Yes   bool   `help:"Do not ask. A purge needs it where nobody can be asked."`
}

func (c shopRemoveCommand) Run(e *env) error {
	path, params := "/api/v1/shops/"+url.PathEscape(c.Shop), map[string]string{"purge": fmt.Sprint(c.Purge)}
	return e.with(false, func(cl *client) error {
		var out web.Removed
		// Without a purge nothing is lost, so only a person is asked.
		if !c.Yes && (c.Purge || e.asks()) {
			dry := map[string]string{"purge": params["purge"], "dry_run": "true"}
			if err := cl.call(e.ctx, http.MethodDelete, address(path, dry), nil, &out); err != nil {
				return err
			}
			words := fmt.Sprintf("%s is removed: its %d ACTIVE products become INACTIVE in products.db and are not kept "+
				"current any more; webhook subscriptions at Shopify that lead here are deleted. "+
				"It can be connected again.", c.Shop, out.ProductsDeactivated)
			if c.Purge {
				words = fmt.Sprintf("%s is removed and all that is kept of it is deleted for good: "+
					"%d products with their history, and its credentials.", c.Shop, out.Products)
			}
			if err := e.confirm(words); err != nil {
				return err
			}
		}
		if err := cl.call(e.ctx, http.MethodDelete, address(path, params), nil, &out); err != nil {
			return err
		}
		if e.json {
			return e.print(out)
		}
		if c.Purge {
			fmt.Fprintf(e.Stdout, "Removed %s and deleted all that was kept of it: "+
				"%d products with their history, and its credentials.\n", c.Shop, out.ProductsDeleted)
		} else {
			fmt.Fprintf(e.Stdout, "Removed %s. Of its %d stored products %d were ACTIVE and are INACTIVE now.\n"+
				"Connect it again with %s; the first read brings them back.\n"+
				"Its secret is kept for 30 days, as Shopify still sends what the law asks for; --purge deletes it and all else at once.\n",
				c.Shop, out.Products, out.ProductsDeactivated, e.command(config.ConnectWords(c.Shop)))
		}
		e.tellLeft(out)
		return nil
	})
}

// tellLeft says what a removal left behind, and what to do about it.
func (e *env) tellLeft(out web.Removed) {
	if out.SubscriptionsDeleted > 0 {
		fmt.Fprintf(e.Stdout, "Deleted %d webhook subscriptions at Shopify.\n", out.SubscriptionsDeleted)
	}
	switch {
	case len(out.SubscriptionsLeft) > 0:
		fmt.Fprintf(e.Stdout, "Webhook subscriptions that could not be deleted at Shopify (%s):\n    %s\n"+
			"To end them, uninstall the app in the shop's admin.\n",
			out.LeftBecause, strings.Join(out.SubscriptionsLeft, "\n    "))
	case out.LeftBecause != "":
		fmt.Fprintf(e.Stdout, "Shopify could not be asked for webhook subscriptions that lead here (%s).\n"+
			"To end any, uninstall the app in the shop's admin.\n", out.LeftBecause)
	}
	if len(out.Files) > 0 {
		fmt.Fprintln(e.Stdout,
			"These files are not in use and may still hold its secret or its products. Delete them with:")
		for _, path := range out.Files {
			fmt.Fprintf(e.Stdout, "    rm '%s'\n", path)
		}
	}
}
