package e2e_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/internal/fakeshopify"
)

// fields is a product, flattened: a field's path to its canonical text.
type fields map[string]string

// checkMirror compares the local copy with the simulated shop's state, field by
// field; both have to be at rest. What webhooks do not carry counts only where it is
// stored.
func checkMirror(tb testing.TB, db *sql.DB, shop *fakeshopify.Shop) {
	tb.Helper()
	for id, list := range mirrorDifferences(tb, db, shop) {
		for _, d := range list {
			tb.Errorf("product %d: %s", id, d)
		}
	}
}

// checkRead is checkMirror of a copy that was read through the API as well, which has no
// number of an image as webhooks have it, and spells some values differently.
func checkRead(tb testing.TB, db *sql.DB, shop *fakeshopify.Shop) {
	tb.Helper()
	for id, list := range differencesIn(tb, db, shop, fields.asRead) {
		tb.Errorf("product %d: %s", id, strings.Join(list, "; "))
	}
}

// asRead takes out what the two ways of reading a product do not share.
func (f fields) asRead() {
	for name, text := range f {
		var v []any
		switch kind, _, _ := strings.Cut(name, "["); {
		case name == "body_html" && text == `""`:
			f[name] = "null"
		case json.Unmarshal([]byte(text), &v) != nil:
		case kind == "images" && len(v) == 7:
			v[0], v[6] = nil, nil
			f.add(name, v)
		case kind == "variants" && len(v) > 7:
			for _, i := range []int{5, 6} { // the prices
				if price, ok := v[i].(string); ok && strings.Contains(price, ".") {
					v[i] = strings.TrimRight(strings.TrimRight(price, "0"), ".")
				}
			}
			f.add(name, v)
		}
	}
}

// mirrorDifferences lists what differs, by product id.
func mirrorDifferences(tb testing.TB, db *sql.DB, shop *fakeshopify.Shop) map[int64][]string {
	tb.Helper()
	return differencesIn(tb, db, shop, func(fields) {})
}

// differencesIn lists what differs between products that were brought into one shape.
func differencesIn(tb testing.TB, db *sql.DB, shop *fakeshopify.Shop, shape func(fields)) map[int64][]string {
	tb.Helper()
	local := localFields(tb, db, shop.Domain())
	differences := map[int64][]string{}
	for _, p := range shop.Snapshot() {
		want, got := shopFields(p), local[p.ID]
		shape(want)
		shape(got)
		delete(local, p.ID)
		if got == nil {
			differences[p.ID] = []string{"is missing"}
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if _, known := got[name]; !known && (strings.HasPrefix(name, "seo_") || strings.HasPrefix(name, "unhashed[")) {
				continue
			}
			if g, ok := got[name]; !ok || g != want[name] {
				differences[p.ID] = append(differences[p.ID], fmt.Sprintf("%s is %s, in the shop %s", name, g, want[name]))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(got)) {
			if _, ok := want[name]; !ok {
				differences[p.ID] = append(differences[p.ID], name+" is too much")
			}
		}
	}
	for id := range local {
		differences[id] = []string{"is not in the shop"}
	}
	return differences
}

// shopFields flattens a product as the simulated shop has it.
func shopFields(p fakeshopify.Product) fields {
	f := fields{}
	status := "INACTIVE"
	if p.Status == fakeshopify.StatusActive {
		status = "ACTIVE"
	}
	f.add("title", p.Title)
	f.add("body_html", p.BodyHTML)
	f.add("vendor", p.Vendor)
	f.add("product_type", p.ProductType)
	f.add("handle", p.Handle)
	f.add("template_suffix", p.TemplateSuffix)
	f.add("seo_title", p.SEO.Title)
	f.add("seo_description", p.SEO.Description)
	f.add("category", nil)
	if p.Category != nil {
		f.add("category", p.Category.FullName)
	}
	f.add("tags", slices.Compact(slices.Sorted(slices.Values(p.Tags))))
	f.add("status", status)
	f.add("shopify_status", p.Status)
	f.add("published_at", millis(p.PublishedAt))
	f.add("shopify_created_at", millis(&p.CreatedAt))
	f.add("shopify_updated_at", millis(&p.UpdatedAt))
	f.add("options", len(p.Options))
	for i, o := range p.Options {
		f.add(fmt.Sprintf("options[%d]", i), []any{o.ID, o.Name, i + 1, o.Values})
	}
	f.add("images", len(p.Images))
	for i, m := range p.Images {
		var variants []int64
		for _, v := range p.Variants {
			if v.ImageID != nil && *v.ImageID == m.ID {
				variants = append(variants, v.ID)
			}
		}
		f.add(fmt.Sprintf("images[%d]", i), []any{m.ID, i + 1, m.Src, m.Alt, m.Width, m.Height, variants})
	}
	f.add("variants", len(p.Variants))
	for i, v := range p.Variants {
		options := [3]*string{}
		for n := range v.Options {
			options[n] = &v.Options[n]
		}
		f.add(fmt.Sprintf("variants[%d]", i), []any{v.ID, i + 1, v.Title, v.SKU, v.Barcode, v.Price, v.CompareAtPrice, options[0], options[1], options[2],
			v.InventoryItemID, v.Quantity(), v.InventoryPolicy, v.Taxable, v.ImageID, millis(&v.CreatedAt), millis(&v.UpdatedAt)})
		f.add(fmt.Sprintf("unhashed[%d].tracked", i), v.Tracked)
		f.add(fmt.Sprintf("unhashed[%d].requires_shipping", i), v.RequiresShipping)
	}
	return f
}

func (f fields) add(name string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a value above is none that JSON has
	}
	f[name] = string(text)
}

// addKnown adds what webhooks do not carry, where it is known.
func addKnown[T any](f fields, name string, v *T) {
	if v != nil {
		f.add(name, v)
	}
}

func millis(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}

// localFields reads every product of a shop from products.db through its public
// columns.
func localFields(tb testing.TB, db *sql.DB, shop string) map[int64]fields {
	tb.Helper()
	list := map[int64]fields{}
	eachRow(tb, db, `SELECT external_id, title, body_html, vendor, product_type, handle, tags, status, shopify_status, published_at,
		shopify_created_at, shopify_updated_at, options, images, template_suffix, category, seo_title, seo_description FROM products WHERE shop = ?`, []any{shop}, func(scan func(...any) error) error {
		var id int64
		var title, body, vendor, typ, handle, tags, status, shopifyStatus, options, images, template, category, seoTitle, seoDescription *string
		var published, created, updated *int64
		if err := scan(&id, &title, &body, &vendor, &typ, &handle, &tags, &status, &shopifyStatus, &published, &created, &updated, &options, &images, &template, &category, &seoTitle, &seoDescription); err != nil {
			return err
		}
		f := fields{}
		list[id] = f
		for name, v := range map[string]any{
			"title": title, "body_html": body, "vendor": vendor, "product_type": typ, "handle": handle, "status": status, "shopify_status": shopifyStatus,
			"published_at": published, "shopify_created_at": created, "shopify_updated_at": updated,
			"template_suffix": template, "category": category,
		} {
			f.add(name, v)
		}
		addKnown(f, "seo_title", seoTitle)
		addKnown(f, "seo_description", seoDescription)
		return f.addLists(tags, options, images)
	})
	eachRow(tb, db, `SELECT p.external_id, v.position, v.external_id, v.title, v.sku, v.barcode, v.price, v.compare_at_price, v.option1, v.option2, v.option3,
		v.inventory_item_id, v.inventory_quantity, v.inventory_policy, v.taxable <> 0, v.image_id, v.shopify_created_at, v.shopify_updated_at, v.tracked <> 0, v.requires_shipping <> 0
		FROM variants v JOIN products p ON p.id = v.product_id WHERE p.shop = ? ORDER BY p.external_id, v.position`, []any{shop}, func(scan func(...any) error) error {
		var product, position, id int64
		var title, sku, barcode, price, compare, o1, o2, o3, policy *string
		var item, quantity, image, created, updated *int64
		var taxable, tracked, shipping *bool
		err := scan(&product, &position, &id, &title, &sku, &barcode, &price, &compare, &o1, &o2, &o3, &item, &quantity, &policy, &taxable, &image, &created, &updated, &tracked, &shipping)
		if err != nil {
			return err
		}
		f := list[product]
		n := 0
		if _, err := fmt.Sscan(f["variants"], &n); err != nil {
			return err
		}
		f.add(fmt.Sprintf("variants[%d]", n), []any{id, position, title, sku, barcode, price, compare, o1, o2, o3, item, quantity, policy, taxable, image, created, updated})
		addKnown(f, fmt.Sprintf("unhashed[%d].tracked", n), tracked)
		addKnown(f, fmt.Sprintf("unhashed[%d].requires_shipping", n), shipping)
		f.add("variants", n+1)
		return nil
	})
	return list
}

// addLists adds the JSON columns.
func (f fields) addLists(tags, options, images *string) error {
	f.add("variants", 0) // counted up by their rows
	var labels []string
	if err := decodeColumn(tags, &labels); err != nil {
		return fmt.Errorf("tags: %w", err)
	}
	f.add("tags", slices.Compact(slices.Sorted(slices.Values(labels))))
	var axes []struct {
		ID       int64
		Name     string
		Position int
		Values   []string
	}
	if err := decodeColumn(options, &axes); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	f.add("options", len(axes))
	for i, o := range axes {
		f.add(fmt.Sprintf("options[%d]", i), []any{o.ID, o.Name, o.Position, o.Values})
	}
	var pictures []struct {
		ID            int64
		Position      int
		Src           string
		Alt           *string
		Width, Height int
		VariantIDs    []int64 `json:"variant_ids"`
	}
	if err := decodeColumn(images, &pictures); err != nil {
		return fmt.Errorf("images: %w", err)
	}
	f.add("images", len(pictures))
	for i, m := range pictures {
		f.add(fmt.Sprintf("images[%d]", i), []any{m.ID, m.Position, m.Src, m.Alt, m.Width, m.Height, m.VariantIDs})
	}
	return nil
}

func decodeColumn(text *string, v any) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal([]byte(*text), v)
}
