package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/web"
)

type selectCommand struct {
	Shop    string   `arg:"" type:"shop" help:"The shop's domain."`
	All     bool     `xor:"mode" help:"Every product."`
	Include *string  `xor:"mode" placeholder:"IDS" help:"Only these product ids; an empty list means none."`
	Exclude string   `placeholder:"IDS" help:"Not these product ids; alone, all but these."`
	Rule    []string `xor:"mode" sep:"none" placeholder:"RULE" help:"Products that match tag=x, vendor=x, type=x or published=true; several rules: at least one."`
	DryRun  bool     `help:"Tell what would change, and change nothing."`
	Yes     bool     `help:"Do not ask when many products would become INACTIVE."`
}

func (c selectCommand) Run(e *env) error {
	sel := catalog.Selection{Mode: catalog.SelectAll}
	var wrong, more []error
	if sel.Exclude, wrong = catalog.ParseIDs(c.Exclude); c.Exclude != "" && len(sel.Exclude)+len(wrong) == 0 {
		wrong = []error{errors.New("there is no product id behind --exclude")}
	}
	switch {
	case c.Include != nil:
		sel.Mode = catalog.SelectInclude
		sel.Include, more = catalog.ParseIDs(*c.Include)
		wrong = append(wrong, more...)
	case len(c.Rule) > 0:
		sel.Mode = catalog.SelectRules
		for _, text := range c.Rule {
			rule, err := catalog.ParseRule(text)
			if err != nil {
				return withCode(config.ExitUsage, err)
			}
			sel.Rules = append(sel.Rules, rule)
		}
	case c.All || c.Exclude != "":
	case c.DryRun || c.Yes:
		return withCode(config.ExitUsage,
			errors.New("say which products are kept, with --all, --include, --exclude or --rule"))
	default:
		return e.showSelection(c.Shop)
	}
	if err := errors.Join(append(wrong, sel.Validate())...); err != nil {
		return withCode(config.ExitUsage, err)
	}
	return e.with(false, func(cl *client) error {
		effect, err := cl.selecting(e, c.Shop, sel, "dry_run")
		if err != nil {
			return err
		}
		for _, remark := range effect.Remarks {
			fmt.Fprintln(e.Stderr, remark)
		}
		if c.DryRun {
			return e.tellSelection(c.Shop, effect, "would be kept current", "would become", "Nothing was changed.")
		}
		if effect.Drastic && !c.Yes {
			words := fmt.Sprintf("%d of %d ACTIVE products would become INACTIVE.", effect.Deactivated, effect.Active)
			if err := e.confirm(words); err != nil {
				return err
			}
		}
		if effect, err = cl.selecting(e, c.Shop, sel, "yes"); err != nil {
			return err
		}
		return e.tellSelection(c.Shop, effect, "are kept current", "became", "")
	})
}

// selecting sends a selection, with the flag that says how far to go.
func (cl *client) selecting(e *env, shop string, sel catalog.Selection, flag string) (out web.Selected, err error) {
	path := address("/api/v1/shops/"+url.PathEscape(shop)+"/selection", map[string]string{flag: "true"})
	err = cl.call(e.ctx, http.MethodPut, path, sel, &out)
	return out, err
}

func (e *env) tellSelection(shop string, f web.Selected, kept, became, end string) error {
	if e.json {
		return e.print(f)
	}
	fmt.Fprintf(e.Stdout, "%s: %s %s. Of %d ACTIVE products %d %s INACTIVE; %d INACTIVE ones %s ACTIVE.\n",
		shop, f.Selection, kept, f.Active, f.Deactivated, became, f.Activated, became)
	if f.ToFetch > 0 {
		fmt.Fprintf(e.Stdout, "To be read from Shopify: %d products.\n", f.ToFetch)
	}
	if f.FullSync {
		fmt.Fprintln(e.Stdout, "The whole shop is to be read once, as products that are not stored may fit.")
	}
	if end != "" {
		fmt.Fprintln(e.Stdout, end)
	}
	return nil
}

func (e *env) showSelection(shop string) error {
	path := "/api/v1/shops/" + url.PathEscape(shop) + "/selection"
	return ask(e, false, http.MethodGet, path, nil, func(sel catalog.Selection) error {
		_, err := fmt.Fprintf(e.Stdout,
			"%s: %s are kept current. Change it with --all, --include, --exclude or --rule.\n", shop, sel)
		return err
	})
}
