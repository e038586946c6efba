package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"stockroom/store"
	"stockroom/web"
)

type productsCommand struct {
	List   productsListCommand   `cmd:"" help:"List stored products."`
	Get    productsGetCommand    `cmd:"" help:"Show one product with its variants, as JSON."`
	Export productsExportCommand `cmd:"" help:"Export the catalogue as ndjson, csv, json or sqlite."`
}

type productsListCommand struct {
	Shop   string `type:"shop" placeholder:"SHOP" help:"Only products of this shop."`
	Status string `enum:",ACTIVE,INACTIVE" default:"" placeholder:"STATUS" help:"Only ACTIVE or INACTIVE ones."`
	Search string `short:"q" placeholder:"TEXT" help:"Part of a title, or a whole SKU, barcode, handle or id."`
	Limit  rows   `default:"50" help:"Most products to list, 1 to 1000."`
}

func (c productsListCommand) Run(e *env) error {
	path := address("/api/v1/products",
		map[string]string{"limit": strconv.Itoa(int(c.Limit)), "shop": c.Shop, "status": c.Status, "q": c.Search})
	return ask(e, false, http.MethodGet, path, nil, func(out web.ProductList) error {
		if len(out.Products) == 0 {
			fmt.Fprintln(e.Stdout, "No product is stored that fits.")
			return nil
		}
		w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSTATUS\tTITLE\tSHOP\tSYNCED")
		for _, p := range out.Products {
			title := cmp.Or(printable(p.Title.Value()), "-")
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", p.ExternalID, p.Status, title, p.Shop, ago(p.SyncedAt.Time(), time.Now()))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if out.Next != nil {
			fmt.Fprintln(e.Stdout, "There are more; raise --limit or use products export.")
		}
		return nil
	})
}

// printable replaces control characters, so that a title can't steer the
// terminal.
func printable(s string) string {
	out := []rune(s)
	for i, r := range out {
		if !strconv.IsPrint(r) {
			out[i] = '\uFFFD'
		}
	}
	return string(out)
}

type productsGetCommand struct {
	Shop string    `arg:"" type:"shop" help:"The shop's domain."`
	ID   productID `arg:"" name:"product" help:"Shopify's product id: the number, gid://shopify/Product/... or the address of its page."`
}

func (c productsGetCommand) Run(e *env) error {
	path := fmt.Sprintf("/api/v1/products/%s/%d", url.PathEscape(c.Shop), c.ID)
	return ask(e, false, http.MethodGet, path, nil, func(doc json.RawMessage) error { return e.print(doc) })
}

type explainCommand struct {
	Shop string    `arg:"" type:"shop" help:"The shop's domain."`
	ID   productID `arg:"" name:"product" help:"Shopify's product id: the number, gid://shopify/Product/... or the address of its page."`
}

func (c explainCommand) Run(e *env) error {
	path := fmt.Sprintf("/api/v1/explain/%s/%d", url.PathEscape(c.Shop), c.ID)
	return ask(e, false, http.MethodGet, path, nil, func(x store.Explanation) error {
		return explain(e.Stdout, x, time.Now())
	})
}

// explain tells the story of a product to a person.
func explain(w io.Writer, x store.Explanation, now time.Time) error {
	p := x.Product
	switch {
	case p != nil && p.Title.Value() != "":
		fmt.Fprintf(w, "%s (%d in %s)\n", printable(p.Title.Value()), x.ExternalID, x.Shop)
	default:
		fmt.Fprintf(w, "Product %d in %s\n", x.ExternalID, x.Shop)
	}
	switch {
	case p != nil:
		fmt.Fprintf(w, "  Stored, %s. Written by %s", p.Status, p.Source)
		if x.WrittenBy != nil && x.WrittenBy.WebhookID != nil {
			fmt.Fprintf(w, " %s (delivery %d)", *x.WrittenBy.WebhookID, x.WrittenBy.ID)
		}
		fmt.Fprintf(w, ", %s.\n", ago(p.SyncedAt.Time(), now))
		if at, known := p.UpdatedAt.Get(); known {
			fmt.Fprintf(w, "  Its version is Shopify's of %s.\n", time.UnixMilli(at).UTC().Format(time.RFC3339))
		}
		if !p.Selected {
			fmt.Fprintln(w, "  It is not selected, or its shop was removed, so it stays as it was then.")
		}
	case strings.HasPrefix(x.DeletedBy, store.OwnerCause):
		fmt.Fprintf(w, "  Removed %s, because it belongs to %s: a read of that shop shows it.\n",
			ago(x.DeletedAt.Time(), now), strings.TrimPrefix(x.DeletedBy, store.OwnerCause))
	case x.DeletedAt != nil:
		fmt.Fprintf(w, "  Deleted %s, by %s. Shopify never uses a product id again.\n", ago(x.DeletedAt.Time(), now), x.DeletedBy)
	default:
		fmt.Fprintln(w, "  Not stored.")
	}
	for _, want := range x.Wanted {
		fmt.Fprintf(w, "  It is to be fetched from Shopify: %s.\n", want.Reason)
	}
	if len(x.Deliveries) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nDeliveries, newest first:")
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, d := range x.Deliveries {
		reason := ""
		if d.Error != nil {
			reason = *d.Error
		}
		if d.Count > 1 {
			reason += fmt.Sprintf(" (seen %d times, last %s)", d.Count, d.LastAt.Time().Format("2006-01-02 15:04:05"))
		}
		fmt.Fprintf(t, "  %d\t%s\t%s\t%s\t%s\n", d.ID, d.ReceivedAt.Time().Format("2006-01-02 15:04:05"), d.Topic, d.Outcome, reason)
	}
	return t.Flush()
}
