package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/catalog"
	"stockroom/store"
)

const (
	variantsListed = 60
	imagesListed   = 30
	historyShown   = 25
)

// productView is the page of one product, stored or not.
type productView struct {
	store.Explanation
	marked
	Title    string
	Path     string
	Story    [][]part // what wrote it, what was ignored since and why
	Facts    []shown[store.ProductRow]
	Columns  []shown[store.VariantRow]
	Variants []store.VariantRow
	pager        // of the variants
	From, To int // the first and the last that are listed, counted from 1
	Images   []catalog.Image
	More     int // images that are not listed
	History  []listRow
	All      string // path of all deliveries
}

// shown is a field as the page of a product shows it.
type shown[R any] struct {
	Label   string
	of      func(*R) string
	Unknown string // what stands for "", "none" when empty
	Class   string
}

func (s shown[R]) Of(row *R) string { return s.of(row) }

// productFacts are what the page shows of a product where it has a value.
var productFacts = []shown[store.ProductRow]{
	{Label: "Vendor", of: func(p *store.ProductRow) string { return p.Vendor.Value() }},
	{Label: "Type", of: func(p *store.ProductRow) string { return p.ProductType.Value() }},
	{Label: "Category", of: func(p *store.ProductRow) string { return p.Category.Value() }},
	{Label: "Tags", of: func(p *store.ProductRow) string { return strings.Join(p.Tags.Value(), ", ") }},
	{Label: "Handle", of: func(p *store.ProductRow) string { return p.Handle.Value() }},
	{Label: "Shipping", of: shippingOf},
	{Label: "Theme template", of: func(p *store.ProductRow) string { return p.TemplateSuffix.Value() }},
	{Label: "SEO title", of: func(p *store.ProductRow) string { return p.SEOTitle.Value() }},
	{Label: "SEO description", of: func(p *store.ProductRow) string { return p.SEODescription.Value() }},
}

// variantColumns are what the page shows of each variant, behind its title.
var variantColumns = []shown[store.VariantRow]{
	{Label: "SKU", of: func(v *store.VariantRow) string { return v.SKU.Value() }},
	{Label: "Barcode", of: func(v *store.VariantRow) string { return v.Barcode.Value() }},
	{Label: "Price", Class: "num", of: func(v *store.VariantRow) string { return v.Price.Value() }},
	{Label: "Compare at", Class: "num", of: func(v *store.VariantRow) string { return v.CompareAtPrice.Value() }},
	{Label: "In stock", Class: "num", of: stockOf, Unknown: "not known"},
}

func stockOf(v *store.VariantRow) string {
	if v.Tracked == catalog.Of(false) {
		return "not tracked"
	}
	if n, known := v.InventoryQuantity.Get(); known {
		return number(n)
	}
	return ""
}

// shippingOf says how many of the variants are sent, "" where it is not known.
func shippingOf(p *store.ProductRow) string {
	var known, needed int64
	for i := range p.Variants {
		if needs, is := p.Variants[i].RequiresShipping.Get(); is {
			known++
			if needs {
				needed++
			}
		}
	}
	switch {
	case known == 0:
		return ""
	case needed == known:
		return "required"
	case needed == 0:
		return "not required"
	}
	return "required for " + number(needed) + " of " + count(known, "variant")
}

func (s *Server) productPage(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, id, err := productID(p)
	if err != nil {
		return err
	}
	e, err := s.o.Store.Explain(r.Context(), shop, id)
	if err != nil {
		return err
	}
	now := time.Now()
	v := productView{
		Explanation: e, marked: marked{moodIdle, "Not stored"}, Title: productName(id), Path: productPath(shop, id),
		Facts: productFacts, Columns: variantColumns,
		Story: storyOf(now, e), History: historyOf(now, e), All: updatesOf(shop, id),
	}
	if e.DeletedAt != nil {
		v.Label = "Deleted"
	}
	if e.Product != nil {
		v.Title, v.marked = titleOf(e.Product), stateOf(e.Product)
		v.Images = e.Product.Images.Value()
		v.More = max(0, len(v.Images)-imagesListed)
		v.Images = linkable(v.Images[:len(v.Images)-v.More])
		v.turnTo(r.URL.Query().Get("variants"))
	}
	return s.show(w, r, sheet{Template: "product.html", Title: v.Title, Section: "/products", Data: v})
}

// turnTo shows the variants from one of them on.
func (v *productView) turnTo(first string) {
	all := v.Product.Variants
	from, err := strconv.Atoi(first)
	if err != nil || from < 0 || from >= len(all) {
		from = 0
	}
	if from > 0 {
		v.Prev = v.Path + "?variants=" + strconv.Itoa(max(0, from-variantsListed)) + "#variants"
	}
	v.From, v.To = from+1, min(from+variantsListed, len(all))
	if v.To < len(all) {
		v.Next = v.Path + "?variants=" + strconv.Itoa(v.To) + "#variants"
	}
	v.Variants = all[from:v.To]
}

// linkable leaves out images whose address is none of the web.
func linkable(images []catalog.Image) []catalog.Image {
	return slices.DeleteFunc(images, func(m catalog.Image) bool {
		u, err := url.Parse(m.Src)
		return err != nil || u.Scheme != "https" && u.Scheme != "http"
	})
}

// storyOf tells in sentences what wrote a product, what was ignored since and
// why, and what happens next.
func storyOf(now time.Time, e store.Explanation) [][]part {
	var story [][]part
	tell := func(text string) { story = append(story, parts(now, sentences(text))) }
	when := func(before string, at store.Millis, after string) {
		story = append(story, []part{{Text: before + " "}, {Time: since(now, at.Time())}, {Text: after + "."}})
	}
	p := e.Product
	switch {
	case p != nil:
		by := writerWords(p.Source)
		if e.WrittenBy != nil {
			by = "a product update from Shopify (" + small(arrival(e.WrittenBy.Topic)) + ")"
		}
		when("This state was stored", p.SyncedAt, " by "+by)
		if at, known := p.UpdatedAt.Get(); known {
			when("Shopify's own version of it was changed", store.Millis(at), "")
		}
		if !p.Selected {
			tell("The selection leaves this product out, or its shop was removed; it stays as it was then, whatever updates come")
		}
	case e.DeletedAt != nil:
		when("It was deleted", *e.DeletedAt, ", as told by "+writerWords(e.DeletedBy))
		tell("Shopify never uses a product's id again, so older updates for it are ignored")
	default:
		tell("Nothing of it is stored")
	}
	if ignored := ignoredSince(e); ignored != "" {
		tell(ignored)
	}
	for _, want := range e.Wanted {
		tell("It is to be read from Shopify again: " + want.Reason)
	}
	return story
}

// writers say who wrote: the source of a row or the cause of a change.
var writers = map[string]string{
	"webhook": "a product update from Shopify", "delivery": "a product update from Shopify", "fetch": "a read from Shopify",
	"bulk": "a full read of the catalogue", "reconcile": "a comparison with the shop", "select": "a changed selection",
	"salvage": "the rescue of a damaged file",
}

func writerWords(source string) string {
	name, ref, _ := strings.Cut(source, ":")
	if name == "owner" {
		return "a read of " + ref + ", the shop that it belongs to"
	}
	return cmp.Or(writers[name], name)
}

// ignoredSince counts the deliveries behind the one that wrote the state that
// changed nothing, by their reason.
func ignoredSince(e store.Explanation) string {
	why := map[string]int64{}
	var order []string
	for _, d := range e.Deliveries {
		if e.WrittenBy != nil && d.ID <= e.WrittenBy.ID || e.WrittenBy == nil && e.Product != nil && d.ReceivedAt < e.Product.SyncedAt {
			break
		}
		if d.Outcome == store.Applied {
			continue
		}
		o := outcomeOf(d.Outcome)
		reason := cmp.Or(text(d.Error), o.Meaning, strings.ToLower(o.Label))
		if why[reason] == 0 {
			order = append(order, reason)
		}
		why[reason] += d.Count
	}
	if len(order) == 0 {
		return ""
	}
	var parts []string
	for _, reason := range order {
		parts = append(parts, number(why[reason])+" because "+reason)
	}
	return "Since then nothing was taken from " + count(total(why), "update") + ": " + strings.Join(parts, "; ")
}

func total(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// historyOf is what happened to a product, newest first: each delivery with its
// outcome, and the changes that no delivery made.
func historyOf(now time.Time, e store.Explanation) []listRow {
	var rows []listRow
	for _, d := range e.Deliveries {
		rows = append(rows, deliveryRow(now, d))
	}
	for _, c := range e.Changes {
		if !strings.HasPrefix(c.Cause, "delivery:") {
			row := changeRow(now, c)
			row.Label = "By " + writerWords(c.Cause)
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b listRow) int { return cmp.Compare(b.at, a.at) })
	return rows[:min(len(rows), historyShown)]
}

// readAgain asks for a product again. A second click is the same wish.
func (s *Server) readAgain(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, err := s.knownShop(r, p)
	if err != nil {
		return err
	}
	_, id, err := productID(p)
	if err != nil {
		return err
	}
	want := store.Wanted{Shop: shop.Shop, Kind: store.WantProduct, ID: id, Reason: "somebody asked for it on the page", At: store.MillisOf(time.Now())}
	if err := s.o.Store.Want(r.Context(), want); err != nil {
		return err
	}
	if s.o.Wanted != nil {
		s.o.Wanted(want)
	}
	s.audit.Info("product is read again", "shop", shop.Shop, "product", id)
	return sayAndGo(w, productPath(shop.Shop, id), "/products", saying("reading", 1))
}
