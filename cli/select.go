package cli

import (
	"fmt"
	"net/http"
	"net/url"

	"stockroom/catalog"
	"stockroom/config"
)

type selectCommand struct {
	Shop    string   `arg:"" help:"The shop's domain."`
	All     bool     `xor:"mode" help:"Every product."`
	Include *[]int64 `xor:"mode" sep:"," placeholder:"IDS" help:"Only these product ids; an empty list means none."`
	Exclude []int64  `sep:"," placeholder:"IDS" help:"Not these product ids; alone, all but these."`
	Rule    []string `xor:"mode" sep:"none" placeholder:"RULE" help:"Products that match tag=x, vendor=x or type=x; several rules: at least one."`
}

func (c selectCommand) Run(e *env) error {
	sel := catalog.Selection{Mode: catalog.SelectAll, Exclude: c.Exclude}
	switch {
	case c.Include != nil:
		sel.Mode, sel.Include = catalog.SelectInclude, *c.Include
	case len(c.Rule) > 0:
		sel.Mode = catalog.SelectRules
		for _, text := range c.Rule {
			rule, err := catalog.ParseRule(text)
			if err != nil {
				return withCode(config.ExitUsage, err)
			}
			sel.Rules = append(sel.Rules, rule)
		}
	case !c.All && len(c.Exclude) == 0:
		return e.showSelection(c.Shop)
	}
	if err := sel.Validate(); err != nil {
		return withCode(config.ExitUsage, err)
	}
	return e.with(false, func(cl *client) error {
		var out struct {
			Selection   catalog.Selection `json:"selection"`
			Activated   int               `json:"activated"`
			Deactivated int               `json:"deactivated"`
			ToFetch     int               `json:"to_fetch"`
		}
		if err := cl.call(e.ctx, http.MethodPut, "/api/v1/shops/"+url.PathEscape(c.Shop)+"/selection", nil, sel, &out); err != nil {
			return err
		}
		if e.json {
			return e.print(out)
		}
		fmt.Fprintf(e.Stdout, "%s: %s are kept current. %d products became active, %d inactive, %d are to be fetched.\n",
			c.Shop, out.Selection, out.Activated, out.Deactivated, out.ToFetch)
		return nil
	})
}

func (e *env) showSelection(shop string) error {
	return e.with(false, func(cl *client) error {
		var sel catalog.Selection
		if err := cl.call(e.ctx, http.MethodGet, "/api/v1/shops/"+url.PathEscape(shop)+"/selection", nil, nil, &sel); err != nil {
			return err
		}
		if e.json {
			return e.print(sel)
		}
		fmt.Fprintf(e.Stdout, "%s: %s are kept current. Change it with --all, --include, --exclude or --rule.\n", shop, sel)
		return nil
	})
}
