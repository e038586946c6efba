package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"stockroom/internal/catalog"
)

// ErrCursor is the error for a cursor that no page gave out.
var ErrCursor = errors.New("store: not a cursor")

// SearchFilter narrows a list of products. Zero fields do not narrow.
type SearchFilter struct {
	Shop   string
	Status string // ACTIVE or INACTIVE
	Vendor string // exactly
	Type   string // product_type, exactly
	// Text finds a part of the title, whatever its case, a whole SKU, barcode,
	// handle or Shopify id, and the beginning of a SKU that at most keyMatches
	// variants share.
	Text   string
	Cursor string // Next or Prev of another page with the same filter; "" for the first
	Limit  int    // products on a page; 0 means 50
	Brief  bool   // leave out body_html
}

// SearchPage is one page of products, by shop and internal id. Products that
// are inserted between two pages never move others: each appears once.
type SearchPage struct {
	Products []ProductRow
	Next     string // cursor of the page behind, "" at the end
	Prev     string // cursor of the page before, "" at the beginning
}

// keyMatches bounds the variants whose SKU begins with a text; a beginning that
// more share is no SKU.
const keyMatches = 1000

// textMost is the longest text, in bytes, that is looked for. Shopify's titles
// have 255 characters.
const textMost = 1024

// place is where a product stands in a list.
type place struct {
	shop string
	id   int64
}

func (p place) compare(q place) int {
	if c := strings.Compare(p.shop, q.shop); c != 0 {
		return c
	}
	return int(min(1, max(-1, p.id-q.id)))
}

// Search returns one page of products. It reads the narrow table product_search
// and never the products themselves but for those on the page.
func (s *Store) Search(ctx context.Context, f SearchFilter) (SearchPage, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	backward, from, err := parseCursor(f.Cursor)
	if err != nil {
		return SearchPage{}, err
	}
	tx, err := s.begin(ctx)
	if err != nil {
		return SearchPage{}, err
	}
	defer tx.Rollback()
	r := reading{ctx, tx}

	f.Text = strings.TrimSpace(f.Text)
	if len(f.Text) > textMost || strings.ContainsRune(f.Text, 0) {
		return SearchPage{}, nil // no title is like that
	}
	places, err := r.byTitle(f, from, backward)
	if err != nil {
		return SearchPage{}, err
	}
	if f.Text != "" {
		keyed, err := r.byKey(f, from, backward)
		if err != nil {
			return SearchPage{}, err
		}
		places = append(places, keyed...)
	}
	slices.SortFunc(places, place.compare)
	places = slices.Compact(places)
	more := len(places) > f.Limit
	var page SearchPage
	switch {
	case backward:
		if more {
			places = places[len(places)-f.Limit:]
		}
		if len(places) == 0 { // nothing before: what follows is the first page again
			f.Cursor = ""
			return s.Search(ctx, f)
		}
		if more {
			page.Prev = formatCursor(true, places[0])
		}
		page.Next = formatCursor(false, places[len(places)-1])
	default:
		if more {
			places = places[:f.Limit]
			page.Next = formatCursor(false, places[len(places)-1])
		}
		if f.Cursor != "" {
			first := *from
			if len(places) > 0 {
				first = places[0]
			} else {
				first.id++ // the page before this empty one ends with from
			}
			page.Prev = formatCursor(true, first)
		}
	}
	page.Products, err = r.found(places, f.Brief)
	return page, err
}

// reading is a read transaction.
type reading struct {
	ctx context.Context
	tx  moment
}

func (r reading) places(sqlText string, args []any) (list []place, err error) {
	return query(r.ctx, r.tx, func(scan func(...any) error) (p place, err error) {
		err = scan(&p.shop, &p.id)
		return p, err
	}, sqlText, args...)
}

// conditions builds the WHERE clause of a filter over a table that has the
// columns of product_search, from a place on.
func conditions(f SearchFilter, from *place, backward bool) (where string, args []any) {
	parts := []string{"true"}
	add := func(sqlText string, more ...any) { parts, args = append(parts, sqlText), append(args, more...) }
	then := ">"
	if backward {
		then = "<"
	}
	switch {
	case f.Shop != "" && from != nil:
		add("s.shop = ? AND s.id "+then+" ?", f.Shop, from.id)
	case f.Shop != "":
		add("s.shop = ?", f.Shop)
	case from != nil:
		add("(s.shop, s.id) "+then+" (?, ?)", from.shop, from.id)
	}
	for _, equal := range [...]struct{ column, value string }{{"status", f.Status}, {"vendor", f.Vendor}, {"product_type", f.Type}} {
		if equal.value != "" {
			add("s."+equal.column+" = ?", equal.value)
		}
	}
	return strings.Join(parts, " AND "), args
}

// byTitle walks product_search from a place on until the page and one more are
// found.
func (r reading) byTitle(f SearchFilter, from *place, backward bool) ([]place, error) {
	query, args := titleQuery(f, from, backward)
	return r.places(query, args)
}

func titleQuery(f SearchFilter, from *place, backward bool) (query string, args []any) {
	where, args := conditions(f, from, backward)
	if f.Text != "" {
		var like []string
		match, patterns := titleMatch(f.Text)
		for _, pattern := range patterns {
			like, args = append(like, match), append(args, pattern)
		}
		where += " AND (" + strings.Join(like, " OR ") + " OR s.handle = ?)"
		args = append(args, f.Text)
	}
	order := "s.shop, s.id"
	if backward {
		order = "s.shop DESC, s.id DESC"
	}
	return `SELECT s.shop, s.id FROM product_search s WHERE ` + where + ` ORDER BY ` + order + ` LIMIT ?`, append(args, f.Limit+1)
}

// likeText makes a text stand for itself in a LIKE pattern.
func likeText(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
}

// titleMatch is a condition for titles that contain a text in whatever case, and
// the patterns of which one has to fit. LIKE takes no notice of the case of ASCII
// letters only, so for others GLOB is given every letter in all its cases, the
// first one by a pattern each: it looks for a letter faster than for a set.
func titleMatch(text string) (condition string, patterns []string) {
	if !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
		return `s.title LIKE ? ESCAPE '\'`, []string{"%" + likeText(text) + "%"}
	}
	var rest strings.Builder
	first, n := utf8.DecodeRuneInString(text)
	for _, r := range text[n:] {
		if cases := casesOf(r); len(cases) > 1 {
			rest.WriteString("[" + string(cases) + "]")
		} else {
			rest.WriteString(globText(r))
		}
	}
	for _, r := range casesOf(first) {
		patterns = append(patterns, "*"+globText(r)+rest.String()+"*")
	}
	return `s.title GLOB ?`, patterns
}

// casesOf lists the letters that differ from one in their case only, itself among
// them.
func casesOf(r rune) []rune {
	list := []rune{r}
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		list = append(list, other)
	}
	return list
}

// globText makes a character stand for itself in a GLOB pattern.
func globText(r rune) string {
	if strings.ContainsRune("*?[", r) {
		return "[" + string(r) + "]"
	}
	return string(r)
}

// keyQueries find the internal ids of products by a key that has an index.
const (
	productByShopifyID = `SELECT id FROM products WHERE external_id = ?`
	productBySKU       = `SELECT product_id FROM variants WHERE sku >= ?1 AND sku < ?2 AND sku IS NOT NULL AND sku <> '' LIMIT ?3`
	productByWholeSKU  = `SELECT product_id FROM variants WHERE sku = ?1 AND sku IS NOT NULL AND sku <> '' LIMIT ?2`
	productByBarcode   = `SELECT product_id FROM variants WHERE barcode = ?1 AND barcode IS NOT NULL AND barcode <> '' LIMIT ?2`
)

// byKey finds products by SKU, barcode and Shopify id.
func (r reading) byKey(f SearchFilter, from *place, backward bool) ([]place, error) {
	ids := map[int64]bool{}
	look := func(text string, args ...any) (n int, err error) {
		found, err := query(r.ctx, r.tx, scanOne[int64], text, args...)
		if err == nil && len(found) <= keyMatches {
			for _, id := range found {
				ids[id] = true
			}
		}
		return len(found), err
	}
	if id, err := catalog.ParseProductID(f.Text); err == nil {
		if _, err := look(productByShopifyID, id); err != nil {
			return nil, err
		}
	}
	spellings := slices.Compact(slices.Sorted(slices.Values([]string{f.Text, strings.ToUpper(f.Text), strings.ToLower(f.Text)})))
	for _, sku := range spellings {
		n, err := look(productBySKU, sku, sku+string(unicode.MaxRune), keyMatches+1)
		if err == nil && n > keyMatches {
			_, err = look(productByWholeSKU, sku, keyMatches)
		}
		if err != nil {
			return nil, err
		}
	}
	if _, err := look(productByBarcode, f.Text, keyMatches); err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, nil
	}
	where, args := conditions(f, from, backward)
	list := make([]string, 0, len(ids))
	for id := range ids {
		list = append(list, strconv.FormatInt(id, 10))
	}
	return r.places(`SELECT s.shop, s.id FROM products s WHERE s.id IN (`+strings.Join(list, ",")+`) AND `+where, args)
}

// found loads the products of a page.
func (r reading) found(places []place, brief bool) ([]ProductRow, error) {
	products := make([]ProductRow, 0, len(places))
	columns := productRowColumns()
	if brief {
		columns = strings.Replace(columns, "body_html", "NULL", 1)
	}
	for _, p := range places {
		row, err := scanProduct(r.tx.QueryRowContext(r.ctx, `SELECT `+columns+` FROM products WHERE id = ?`, p.id).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			continue // the two tables are written together, so this is damage
		}
		if err != nil {
			return nil, classify(fmt.Errorf("read product: %w", err))
		}
		err = r.tx.QueryRowContext(r.ctx, `SELECT count(*) FROM variants WHERE product_id = ?`, p.id).Scan(&row.VariantCount)
		if err != nil {
			return nil, classify(fmt.Errorf("count variants: %w", err))
		}
		products = append(products, row)
	}
	return products, nil
}

// formatCursor writes a place and the direction from it.
func formatCursor(backward bool, p place) string {
	direction := "n"
	if backward {
		direction = "p"
	}
	return direction + base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.id, 10)+" "+p.shop))
}

func parseCursor(text string) (backward bool, from *place, err error) {
	if text == "" {
		return false, nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text[1:])
	id, shop, ok := strings.Cut(string(raw), " ")
	if err != nil || !ok || text[0] != 'n' && text[0] != 'p' {
		return false, nil, ErrCursor
	}
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return false, nil, ErrCursor
	}
	return text[0] == 'p', &place{shop: shop, id: n}, nil
}

// ProductKey names a stored product.
type ProductKey struct {
	Shop       string
	ID         int64 // products.id
	ExternalID int64 // Shopify's
}

// Keys returns up to limit products behind one in the order of lists, of one
// shop or with "" of all. The zero key is the start.
func (s *Store) Keys(ctx context.Context, shop string, after ProductKey, limit int) ([]ProductKey, error) {
	f := SearchFilter{Shop: shop}
	var from *place
	if after.ID != 0 {
		from = &place{after.Shop, after.ID}
	}
	where, args := conditions(f, from, false)
	return query(ctx, s, func(scan func(...any) error) (k ProductKey, err error) {
		err = scan(&k.Shop, &k.ID, &k.ExternalID)
		return k, err
	}, `SELECT s.shop, s.id, (SELECT external_id FROM products WHERE id = s.id) FROM product_search s
	    WHERE `+where+` ORDER BY s.shop, s.id LIMIT ?`, append(args, limit)...)
}

// ItemOwner is the product that an inventory item belongs to.
type ItemOwner struct {
	ExternalID int64 // Shopify's id of the product
	Title      string
}

const itemOwner = `SELECT p.external_id, coalesce(p.title, '') FROM variants v JOIN products p ON p.id = v.product_id
	WHERE v.inventory_item_id = ? AND p.shop = ? LIMIT 1`

// OwnerOfItem returns the product of a shop that has a variant with this inventory
// item; ErrNotFound when none has.
func (s *Store) OwnerOfItem(ctx context.Context, shop string, item int64) (ItemOwner, error) {
	return queryOne(ctx, s, func(scan func(...any) error) (o ItemOwner, err error) {
		err = scan(&o.ExternalID, &o.Title)
		return o, err
	}, itemOwner, item, shop)
}
