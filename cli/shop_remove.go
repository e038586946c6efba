package cli

import (
	"fmt"
	"net/http"
	"net/url"
)

type shopRemoveCommand struct {
	Shop  string `arg:"" type:"shop" help:"The shop's domain."`
	Purge bool   `help:"Delete everything that is kept of the shop, too."`
}

func (c shopRemoveCommand) Run(e *env) error {
	return e.with(false, func(cl *client) error {
		var out struct {
			Shop    string `json:"shop"`
			Deleted int    `json:"products_deleted"`
		}
		q := url.Values{"purge": {fmt.Sprint(c.Purge)}}
		if err := cl.call(e.ctx, http.MethodDelete, "/api/v1/shops/"+url.PathEscape(c.Shop), q, nil, &out); err != nil {
			return err
		}
		if e.json {
			return e.print(out)
		}
		fmt.Fprintf(e.Stdout, "Disconnected %s.", out.Shop)
		if c.Purge {
			fmt.Fprintf(e.Stdout, " Deleted %d products.\n", out.Deleted)
		} else {
			fmt.Fprintln(e.Stdout, " Its stored products stay; remove them with --purge.")
		}
		return nil
	})
}
