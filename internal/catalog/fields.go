package catalog

import "cmp"

// Fields are the fields that are kept of a product or of a variant, in one table
// each. Everything that goes through all of them is derived from it: content hash,
// differences, merging, coverage, columns, rows of CSV and views of the API. A new
// field is a row here, its place in Product or Variant, its reading from a webhook
// body and from GraphQL, and a column (CONTRIBUTING.md, "A new field").

// Cell is a field of a payload whatever its type: a *Field[T].
type Cell interface {
	Present() bool
	IsNull() bool
	set(to Cell) // one of the same type
}

// Form says how two values of a field are compared, and shown in a difference.
type Form uint8

const (
	Exact   Form = iota // byte for byte
	Lower               // in lower case: GraphQL shouts
	Decimal             // as CanonicalDecimal has it
	Instant             // Unix milliseconds, shown as RFC 3339 in UTC
)

// Kept is one field of a T.
type Kept[T any] struct {
	Name   string // in webhook bodies, differences, tables and the API
	Column string // in tables and the API, where it is another than Name
	At     func(*T) Cell
	Form   Form
	// Hashed: it is part of the content. See ContentHash for what is not, and why.
	Hashed bool
	// Later: it was added when hashes were stored already. See ContentHash.
	Later bool
	// Order: it places a version among the others, and is no content. What is neither
	// that nor Hashed can change without a new version: see Unhashed.
	Order bool
	// Carried: a whole webhook body has it, so a body without it is a reduced one.
	Carried bool
}

// ColumnName is its name in tables and in the API.
func (k *Kept[T]) ColumnName() string { return cmp.Or(k.Column, k.Name) }

// ProductFields are in the order in which ContentHash takes them; the variants come
// behind them.
var ProductFields = []Kept[Product]{
	{Name: "title", At: func(p *Product) Cell { return &p.Title }, Hashed: true, Carried: true},
	{Name: "body_html", At: func(p *Product) Cell { return &p.BodyHTML }, Hashed: true, Carried: true},
	{Name: "vendor", At: func(p *Product) Cell { return &p.Vendor }, Hashed: true, Carried: true},
	{Name: "product_type", At: func(p *Product) Cell { return &p.ProductType }, Hashed: true, Carried: true},
	{Name: "handle", At: func(p *Product) Cell { return &p.Handle }, Hashed: true, Carried: true},
	{Name: "tags", At: func(p *Product) Cell { return &p.Tags }, Hashed: true, Carried: true},
	{Name: "status", Column: "shopify_status",
		At: func(p *Product) Cell { return &p.Status }, Form: Lower, Hashed: true, Carried: true},
	{Name: "options", At: func(p *Product) Cell { return &p.Options }, Hashed: true, Carried: true},
	{Name: "images", At: func(p *Product) Cell { return &p.Images }, Hashed: true, Carried: true},
	{Name: "published_at",
		At: func(p *Product) Cell { return &p.PublishedAt }, Form: Instant, Hashed: true, Carried: true},
	{Name: "created_at", Column: "shopify_created_at",
		At: func(p *Product) Cell { return &p.CreatedAt }, Form: Instant, Hashed: true, Carried: true},
	{Name: "updated_at", Column: "shopify_updated_at",
		At: func(p *Product) Cell { return &p.UpdatedAt }, Form: Instant, Order: true, Carried: true},
	{Name: "template_suffix", At: func(p *Product) Cell { return &p.TemplateSuffix }, Hashed: true, Later: true},
	{Name: "category", At: func(p *Product) Cell { return &p.Category }, Hashed: true, Later: true},
	{Name: "seo_title", At: func(p *Product) Cell { return &p.SEOTitle }, Later: true},
	{Name: "seo_description", At: func(p *Product) Cell { return &p.SEODescription }, Later: true},
}

// VariantFields are in the order in which ContentHash takes them.
var VariantFields = []Kept[Variant]{
	{Name: "title", At: func(v *Variant) Cell { return &v.Title }, Hashed: true, Carried: true},
	{Name: "sku", At: func(v *Variant) Cell { return &v.SKU }, Hashed: true, Carried: true},
	{Name: "barcode", At: func(v *Variant) Cell { return &v.Barcode }, Hashed: true, Carried: true},
	{Name: "price", At: func(v *Variant) Cell { return &v.Price }, Form: Decimal, Hashed: true, Carried: true},
	{Name: "compare_at_price",
		At: func(v *Variant) Cell { return &v.CompareAtPrice }, Form: Decimal, Hashed: true, Carried: true},
	{Name: "position", At: func(v *Variant) Cell { return &v.Position }, Hashed: true, Carried: true},
	{Name: "option1", At: func(v *Variant) Cell { return &v.Option1 }, Hashed: true, Carried: true},
	{Name: "option2", At: func(v *Variant) Cell { return &v.Option2 }, Hashed: true, Carried: true},
	{Name: "option3", At: func(v *Variant) Cell { return &v.Option3 }, Hashed: true, Carried: true},
	{Name: "inventory_item_id", At: func(v *Variant) Cell { return &v.InventoryItemID }, Hashed: true, Carried: true},
	{Name: "inventory_quantity",
		At: func(v *Variant) Cell { return &v.InventoryQuantity }, Hashed: true, Carried: true},
	{Name: "inventory_policy",
		At: func(v *Variant) Cell { return &v.InventoryPolicy }, Form: Lower, Hashed: true, Carried: true},
	{Name: "taxable", At: func(v *Variant) Cell { return &v.Taxable }, Hashed: true, Carried: true},
	{Name: "weight_grams", At: func(v *Variant) Cell { return &v.WeightGrams }},
	{Name: "image_id", At: func(v *Variant) Cell { return &v.ImageID }, Carried: true},
	{Name: "created_at", Column: "shopify_created_at",
		At: func(v *Variant) Cell { return &v.CreatedAt }, Form: Instant, Hashed: true, Carried: true},
	{Name: "updated_at", Column: "shopify_updated_at",
		At: func(v *Variant) Cell { return &v.UpdatedAt }, Form: Instant, Order: true, Carried: true},
	{Name: "tracked", At: func(v *Variant) Cell { return &v.Tracked }, Later: true},
	{Name: "requires_shipping", At: func(v *Variant) Cell { return &v.RequiresShipping }, Later: true},
}
