package catalog

import (
	"math/rand/v2"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// drawField draws a field in one of its three states.
func drawField[T any](t *rapid.T, name string, value *rapid.Generator[T]) Field[T] {
	switch rapid.IntRange(0, 5).Draw(t, name+" state") {
	case 0:
		return Field[T]{}
	case 1:
		return Null[T]()
	}
	return Of(value.Draw(t, name))
}

// Few different values, so that equal ones meet often.
var (
	drawText    = rapid.SampledFrom([]string{"", "a", "b", "A", " a", "é\n", "<p>a</p>"})
	drawTag     = rapid.SampledFrom([]string{"a", "b", "B", "c d", "é", "a\"b"})
	drawPrice   = rapid.SampledFrom([]string{"0", "0.00", "25", "25.00", "19.99", "19.990", "-1", "1e2", "100"})
	drawStatus  = rapid.SampledFrom([]string{"active", "ACTIVE", "draft", "archived"})
	drawInt     = rapid.Int64Range(-3, 3)
	drawID      = rapid.Int64Range(1, 5)
	drawInstant = rapid.SampledFrom([]int64{0, 1640995200000, 1640995200001, -1000})
)

// drawVariants draws variants with different ids, in any order.
var drawVariants = rapid.Custom(func(t *rapid.T) []Variant {
	ids := rapid.SliceOfNDistinct(rapid.Int64Range(1, 6), 0, 5, rapid.ID).Draw(t, "variant ids")
	list := []Variant{}
	for _, id := range ids {
		list = append(list, Variant{
			ID:                id,
			Title:             drawField(t, "title", drawText),
			SKU:               drawField(t, "sku", drawText),
			Barcode:           drawField(t, "barcode", drawText),
			Price:             drawField(t, "price", drawPrice),
			CompareAtPrice:    drawField(t, "compare_at_price", drawPrice),
			Position:          drawField(t, "position", drawInt),
			Option1:           drawField(t, "option1", drawText),
			Option2:           drawField(t, "option2", drawText),
			Option3:           drawField(t, "option3", drawText),
			InventoryItemID:   drawField(t, "inventory_item_id", drawID),
			InventoryQuantity: drawField(t, "inventory_quantity", drawInt),
			InventoryPolicy:   drawField(t, "inventory_policy", rapid.SampledFrom([]string{"deny", "DENY", "continue"})),
			Taxable:           drawField(t, "taxable", rapid.Bool()),
			WeightGrams:       drawField(t, "grams", drawInt),
			ImageID:           drawField(t, "image_id", drawID),
			CreatedAt:         drawField(t, "created_at", drawInstant),
			UpdatedAt:         drawField(t, "updated_at", drawInstant),
			Tracked:           drawField(t, "tracked", rapid.Bool()),
			RequiresShipping:  drawField(t, "requires_shipping", rapid.Bool()),
		})
	}
	return list
})

var drawOptions = rapid.Custom(func(t *rapid.T) []Option {
	list := []Option{}
	for i := range rapid.IntRange(0, 3).Draw(t, "options") {
		list = append(list, Option{ID: int64(i + 1), Name: drawText.Draw(t, "name"), Position: int64(i + 1),
			Values: rapid.SliceOfN(drawText, 0, 3).Draw(t, "values")})
	}
	return list
})

var drawImages = rapid.Custom(func(t *rapid.T) []Image {
	list := []Image{}
	for i := range rapid.IntRange(0, 3).Draw(t, "images") {
		m := Image{ID: drawID.Draw(t, "id"), Position: int64(i + 1), Src: drawText.Draw(t, "src"),
			Width: drawInt.Draw(t, "width"), VariantIDs: rapid.SliceOfN(drawID, 0, 2).Draw(t, "variant ids")}
		if rapid.Bool().Draw(t, "has alt") {
			alt := drawText.Draw(t, "alt")
			m.Alt = &alt
		}
		list = append(list, m)
	}
	return list
})

// drawProduct draws any product a payload may carry.
var drawProduct = rapid.Custom(func(t *rapid.T) *Product {
	p := &Product{
		ID:          7,
		Title:       drawField(t, "title", drawText),
		BodyHTML:    drawField(t, "body_html", drawText),
		Vendor:      drawField(t, "vendor", drawText),
		ProductType: drawField(t, "product_type", drawText),
		Handle:      drawField(t, "handle", drawText),
		Tags:        drawField(t, "tags", rapid.SliceOfN(drawTag, 0, 4)),
		Status:      drawField(t, "status", drawStatus),
		Options:     drawField(t, "options", drawOptions),
		Images:      drawField(t, "images", drawImages),
		PublishedAt: drawField(t, "published_at", drawInstant),
		CreatedAt:   drawField(t, "created_at", drawInstant),
		UpdatedAt:   drawField(t, "updated_at", drawInstant),

		TemplateSuffix: drawField(t, "template_suffix", drawText),
		Category:       drawField(t, "category", drawText),
		SEOTitle:       drawField(t, "seo_title", drawText),
		SEODescription: drawField(t, "seo_description", drawText),

		Variants: drawField(t, "variants", drawVariants),
		Coverage: rapid.SampledFrom([]Coverage{Complete, Truncated, Partial}).Draw(t, "coverage"),
	}
	if _, carries := p.Variants.Get(); carries && p.Coverage != Truncated {
		p.VariantsComplete = rapid.Bool().Draw(t, "variants complete")
	}
	return p
})

// filled returns p with every absent field made null, so that nothing is left
// to skip.
func filled(p *Product) *Product {
	p = Merge(nil, p)
	for _, f := range []*Field[string]{&p.Title, &p.BodyHTML, &p.Vendor, &p.ProductType, &p.Handle, &p.Status, &p.TemplateSuffix, &p.Category, &p.SEOTitle, &p.SEODescription} {
		*f = f.Or(Null[string]())
	}
	for _, f := range []*Field[int64]{&p.PublishedAt, &p.CreatedAt, &p.UpdatedAt} {
		*f = f.Or(Null[int64]())
	}
	p.Tags, p.Options, p.Images = p.Tags.Or(Null[[]string]()), p.Options.Or(Null[[]Option]()), p.Images.Or(Null[[]Image]())
	p.Variants = p.Variants.Or(Null[[]Variant]())
	for i := range p.Variants.Value() {
		v := &p.Variants.Value()[i]
		for _, f := range []*Field[string]{&v.Title, &v.SKU, &v.Barcode, &v.Price, &v.CompareAtPrice, &v.Option1, &v.Option2, &v.Option3, &v.InventoryPolicy} {
			*f = f.Or(Null[string]())
		}
		for _, f := range []*Field[int64]{&v.Position, &v.InventoryItemID, &v.InventoryQuantity, &v.WeightGrams, &v.ImageID, &v.CreatedAt, &v.UpdatedAt} {
			*f = f.Or(Null[int64]())
		}
		for _, f := range []*Field[bool]{&v.Taxable, &v.Tracked, &v.RequiresShipping} {
			*f = f.Or(Null[bool]())
		}
	}
	p.Coverage, p.VariantsComplete = Complete, true
	return p
}

// otherForm returns p as another source would carry it: the same content in
// other order, spelling and with other things that do not count.
func otherForm(t *rapid.T, p *Product) *Product {
	p = Merge(nil, p)
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "shuffle"), 0))
	shuffle(random, p.Variants.Value())
	shuffle(random, p.Options.Value())
	shuffle(random, p.Images.Value())
	if tags, ok := p.Tags.Get(); ok {
		tags = append(slices.Clone(tags), tags...)
		for i := range tags {
			tags[i] = strings.Repeat(" ", random.IntN(2)) + tags[i]
		}
		shuffle(random, tags)
		p.Tags = Of(append(tags, ""))
	}
	for _, f := range []*Field[string]{&p.Title, &p.BodyHTML, &p.Vendor, &p.ProductType, &p.Handle} {
		*f = emptyForNull(*f)
	}
	p.Status = Field[string]{strings.ToUpper(p.Status.value), p.Status.state}
	p.SEOTitle, p.SEODescription = Of("else"), Null[string]()
	p.UpdatedAt, p.Coverage, p.VariantsComplete = Of(int64(99)), Partial, false
	p.Named = Of([]VariantRef{{ID: 1}})
	for i := range p.Options.Value() {
		o := &p.Options.Value()[i]
		o.ID, o.Position = 0, o.Position*10
	}
	for i := range p.Images.Value() {
		m := &p.Images.Value()[i]
		m.ID, m.Position, m.Width, m.Height, m.VariantIDs = 0, m.Position+5, 0, 0, nil
		if m.Alt != nil && *m.Alt == "" {
			m.Alt = nil
		}
	}
	for i := range p.Variants.Value() {
		v := &p.Variants.Value()[i]
		v.SKU, v.Barcode = emptyForNull(v.SKU), emptyForNull(v.Barcode)
		v.UpdatedAt, v.WeightGrams, v.ImageID = Field[int64]{}, Of(int64(1)), Of(int64(9))
		v.Tracked, v.RequiresShipping = Of(random.IntN(2) == 0), Of(true)
		v.InventoryPolicy = Field[string]{strings.ToUpper(v.InventoryPolicy.value), v.InventoryPolicy.state}
		for _, f := range []*Field[string]{&v.Price, &v.CompareAtPrice} {
			if s, ok := f.Get(); ok {
				*f = Of(respell(random, s))
			}
		}
	}
	return p
}

func shuffle[T any](random *rand.Rand, list []T) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func emptyForNull(f Field[string]) Field[string] {
	if f.IsNull() {
		return Of("")
	}
	return f
}

// respell writes a decimal in another way.
func respell(random *rand.Rand, s string) string {
	canonical, _ := CanonicalDecimal(s)
	switch random.IntN(4) {
	case 0:
		return canonical
	case 1:
		return canonical + "e0"
	case 2:
		if !strings.Contains(canonical, ".") {
			return canonical + ".000"
		}
	}
	return s
}
