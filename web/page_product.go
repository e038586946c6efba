package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/store"
)

const (
	variantsListed = 60
	imagesListed   = 30
	historyShown   = 25
	textShown      = 4000 // bytes of a description
)

// productView is the page of one product.
type productView struct {
	Title, Shop, ID string
	Path            string
	Mood            mood
	State           string
	Stored          bool     // there is a row
	Story           [][]part // what wrote it, what was ignored since and why
	Fields          []labelled
	Variants        []variantRow
	VariantsOf      string // "Variants 61 to 120 of 2,048", "" when all are shown
	VariantsPrev    string
	VariantsNext    string
	Options         string // names of the options
	Images          []imageLink
	MoreImages      int
	Description     string
	DescriptionCut  bool
	History         []historyRow
	MoreHistory     string // path of all deliveries
	Technical       []labelled
	CanRead         bool
}

type variantRow struct {
	Title, SKU, Barcode, Price, CompareAt, Stock string
	ID                                           string
}

type imageLink struct{ URL, Text string }

type historyRow struct {
	Key   string
	Mood  mood
	What  string
	Label string
	Why   string
	Seen  string
	When  instant
	at    store.Millis
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
		Title: "Product " + strconv.FormatInt(id, 10), Shop: shop, ID: strconv.FormatInt(id, 10), Path: productPath(shop, id),
		Mood: moodIdle, State: "Not stored", Story: storyOf(now, e), History: historyOf(now, e), CanRead: true,
		MoreHistory: updatesOf(shop, id),
	}
	if e.DeletedAt != nil && e.Product == nil {
		v.State = "Deleted"
	}
	if e.Product != nil {
		from, _ := strconv.Atoi(r.URL.Query().Get("variants"))
		v.fill(now, e.Product, from)
	}
	return s.show(w, r, sheet{Template: "product.html", Title: v.Title, Section: "/products", Data: v})
}

// fill shows the row itself.
func (v *productView) fill(now time.Time, p *store.ProductRow, from int) {
	v.Stored, v.Title = true, titleOf(p)
	state, mood := stateOf(p)
	v.State, v.Mood = capital(state), mood
	add := func(name, value string) {
		if value != "" {
			v.Fields = append(v.Fields, labelled{name, value})
		}
	}
	add("Vendor", text(p.Vendor))
	add("Type", text(p.ProductType))
	add("Tags", strings.Join(jsonList[string](p.Tags), ", "))
	add("Handle", text(p.Handle))
	v.Technical = []labelled{
		{"Shopify id", strconv.FormatInt(p.ExternalID, 10)}, {"Row", strconv.FormatInt(p.ID, 10)}, {"Source", strings.TrimSpace(p.Source + " " + text(p.SourceRef))},
		{"Content hash", p.ContentHash},
	}
	type optionOf struct {
		Name string `json:"name"`
	}
	var names []string
	for _, o := range jsonList[optionOf](p.Options) {
		names = append(names, o.Name)
	}
	v.Options = strings.Join(names, " / ")
	type image struct {
		Src string  `json:"src"`
		Alt *string `json:"alt"`
	}
	images := jsonList[image](p.Images)
	v.MoreImages = max(0, len(images)-imagesListed)
	for i, img := range images[:min(len(images), imagesListed)] {
		if u, err := url.Parse(img.Src); err != nil || u.Scheme != "https" && u.Scheme != "http" {
			continue
		}
		v.Images = append(v.Images, imageLink{img.Src, cmp.Or(text(img.Alt), "Image "+strconv.Itoa(i+1))})
	}
	v.Description = text(p.BodyHTML)
	if len(v.Description) > textShown {
		v.Description, v.DescriptionCut = strings.ToValidUTF8(v.Description[:textShown], ""), true
	}
	if from < 0 || from >= len(p.Variants) {
		from = 0
	}
	to := min(from+variantsListed, len(p.Variants))
	for _, row := range p.Variants[from:to] {
		v.Variants = append(v.Variants, variantRowOf(row))
	}
	if len(p.Variants) > variantsListed {
		v.VariantsOf = "Variants " + number(int64(from+1)) + " to " + number(int64(to)) + " of " + number(int64(len(p.Variants)))
		if from > 0 {
			v.VariantsPrev = v.Path + "?variants=" + strconv.Itoa(max(0, from-variantsListed)) + "#variants"
		}
		if to < len(p.Variants) {
			v.VariantsNext = v.Path + "?variants=" + strconv.Itoa(to) + "#variants"
		}
	}
}

func variantRowOf(v store.VariantRow) variantRow {
	row := variantRow{
		Title: cmp.Or(text(v.Title), "Variant "+strconv.FormatInt(v.ExternalID, 10)), SKU: text(v.SKU), Barcode: text(v.Barcode), Price: text(v.Price),
		CompareAt: text(v.CompareAtPrice), ID: strconv.FormatInt(v.ExternalID, 10),
	}
	if v.InventoryQuantity != nil {
		row.Stock = number(*v.InventoryQuantity)
	}
	return row
}

// jsonList reads a JSON column; what can't be read is empty.
func jsonList[T any](raw store.RawJSON) (list []T) {
	if err := json.Unmarshal([]byte(raw), &list); err != nil {
		return nil
	}
	return list
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
		if p.ShopifyUpdatedAt != nil {
			when("Shopify's own version of it was changed", *p.ShopifyUpdatedAt, "")
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

// writerWords says who wrote: the source of a row or the cause of a change.
func writerWords(source string) string {
	name, ref, _ := strings.Cut(source, ":")
	switch name {
	case "owner":
		return "a read of " + ref + ", the shop that it belongs to"
	case "webhook", "delivery":
		return "a product update from Shopify"
	case "fetch":
		return "a read from Shopify"
	case "bulk":
		return "a full read of the catalogue"
	case "reconcile":
		return "a comparison with the shop"
	case "select":
		return "a changed selection"
	case "salvage":
		return "the rescue of a damaged file"
	}
	return name
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
		label, meaning := outcomeWords(d.Outcome)
		reason := cmp.Or(text(d.Error), meaning, strings.ToLower(label))
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
func historyOf(now time.Time, e store.Explanation) []historyRow {
	var rows []historyRow
	for _, d := range e.Deliveries {
		label, meaning := outcomeWords(d.Outcome)
		rows = append(rows, historyRow{
			Key: "d" + strconv.FormatInt(d.ID, 10), Mood: outcomeMood(d.Outcome), What: arrival(d.Topic), Label: label,
			Why: cmp.Or(text(d.Error), meaning), Seen: seenTimes(now, d), When: since(now, d.ReceivedAt.Time()), at: d.ReceivedAt,
		})
	}
	for _, c := range e.Changes {
		if strings.HasPrefix(c.Cause, "delivery:") {
			continue
		}
		rows = append(rows, historyRow{
			Key: "c" + strconv.FormatInt(c.Seq, 10), Mood: moodGood, What: changeWords(c.Kind), Label: "By " + writerWords(c.Cause),
			When: since(now, c.At.Time()), at: c.At,
		})
	}
	slices.SortStableFunc(rows, func(a, b historyRow) int { return cmp.Compare(b.at, a.at) })
	return rows[:min(len(rows), historyShown)]
}

// readAgain asks for a product anew. A second click is the same wish.
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
