package catalog

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Product is one Shopify product as a payload carried it: a webhook body, a
// GraphQL node or a joined set of bulk lines. Times are Unix milliseconds in
// UTC; text is kept byte for byte as Shopify sent it.
type Product struct {
	ID          int64 // Shopify's numeric id, may exceed 2^53
	Title       Field[string]
	BodyHTML    Field[string]
	Vendor      Field[string]
	ProductType Field[string]
	Handle      Field[string]
	Tags        Field[[]string] // in the order sent, surrounding blanks removed, no empty ones
	Status      Field[string]   // lower case: active, archived, draft, unlisted
	Options     Field[[]Option]
	Images      Field[[]Image]
	PublishedAt Field[int64]
	CreatedAt   Field[int64]
	UpdatedAt   Field[int64]

	TemplateSuffix Field[string] // of the theme's template that shows it; null: the usual one
	Category       Field[string] // full name in Shopify's taxonomy, such as "Animals > Pets"
	SEOTitle       Field[string] // what search engines are shown; not in webhook bodies
	SEODescription Field[string]

	// StockTotal is what the shop says is in stock of all variants together, as a
	// listing of products says it too; absent in webhook bodies. It is no content.
	StockTotal Field[int64]

	// Variants are those the payload carries in full; absent when the payload
	// has no list of variants at all.
	Variants Field[[]Variant]
	// Named are the ids of every variant the product has, when the payload
	// lists them (variant_gids, or variant_ids in older bodies).
	Named Field[[]VariantRef]

	// Coverage says how much of the product the payload carries.
	Coverage Coverage
	// VariantsComplete is true when a variant missing from Variants no longer
	// exists. Only then may one be removed.
	VariantsComplete bool
	// ImagesUnordered is true when Images are all there but their order says
	// nothing, as in a bulk result whose lines were mixed.
	ImagesUnordered bool
}

// VariantRef names a variant. UpdatedAt (Unix milliseconds) is 0 when the
// body does not say.
type VariantRef struct {
	ID        int64
	UpdatedAt int64
}

// Coverage is how much of a product a payload carries.
type Coverage uint8

const (
	// Complete: every field we keep and every variant in full.
	Complete Coverage = iota + 1
	// Truncated: the product has more variants than the payload carries in
	// full. Webhooks carry at most the first 100
	// (shopify.dev/docs/api/admin/migrate/new-product-model).
	Truncated
	// Partial: fields we keep are missing, as after include_fields.
	Partial
)

// String returns "complete", "truncated" or "partial".
func (c Coverage) String() string {
	switch c {
	case Complete:
		return "complete"
	case Truncated:
		return "truncated"
	case Partial:
		return "partial"
	}
	return "unknown"
}

// Variant is one variant of a product.
type Variant struct {
	ID                int64
	Title             Field[string]
	SKU               Field[string]
	Barcode           Field[string]
	Price             Field[string] // decimal text as sent
	CompareAtPrice    Field[string] // decimal text as sent
	Position          Field[int64]
	Option1           Field[string]
	Option2           Field[string]
	Option3           Field[string]
	InventoryItemID   Field[int64]
	InventoryQuantity Field[int64] // total over all locations, may be negative
	InventoryPolicy   Field[string]
	Taxable           Field[bool]
	WeightGrams       Field[int64] // whole grams; not in webhook bodies since 2024-07
	ImageID           Field[int64]
	CreatedAt         Field[int64]
	UpdatedAt         Field[int64]
	Tracked           Field[bool] // whether its stock is counted; not in webhook bodies
	RequiresShipping  Field[bool] // not in webhook bodies
}

// Option is one product option, for example Size. The JSON form is the one in
// the column products.options.
type Option struct {
	ID       int64    `json:"id,omitempty"`
	Name     string   `json:"name"`
	Position int64    `json:"position"` // its place in the list when the payload does not say
	Values   []string `json:"values"`   // nil when the payload does not carry them
}

// Image is one product image. The JSON form is the one in the column
// products.images.
type Image struct {
	ID         int64   `json:"id,omitempty"`
	Position   int64   `json:"position"`
	Src        string  `json:"src"`
	Alt        *string `json:"alt"`
	Width      int64   `json:"width,omitempty"`
	Height     int64   `json:"height,omitempty"`
	VariantIDs []int64 `json:"variant_ids,omitempty"`
}

// Versions of a product are told apart by their updated_at, to the second. That
// is its resolution, and it can be later than the instant of the edit: a real
// delivery that was triggered at 10:45:17.912 carried 10:45:18 (shopify.md 1.6).
// Deliveries come in any order (shopify.dev/docs/apps/build/webhooks). So two
// versions of one second are normal, and no time tells which is the last of them:
// only a read of the shop does, one that begins when no edit can carry that second
// any more.

// SameSecond is how long after its updated_at an edit may carry the same one.
const SameSecond = 2 * time.Second

// Second returns the second of a version, by which it is ordered. version is its
// updated_at in Unix milliseconds.
func Second(version int64) int64 { return version / 1000 }

// ShowsLast reports whether a read of the shop that began at read, Unix
// milliseconds of our clock, shows the last version of a second. ahead is how far
// our clock may be ahead of the shop's.
func ShowsLast(read, version int64, ahead time.Duration) bool {
	return read-ahead.Milliseconds() >= Second(version)*1000+SameSecond.Milliseconds()
}

// ImageFile returns which file an image's address names: its path, without host
// and query. Webhooks and GraphQL number images differently and write the
// address with another version behind it; the file is what they have in common.
func ImageFile(src string) string {
	if _, rest, ok := strings.Cut(src, "://"); ok {
		src = rest
	}
	if slash := strings.IndexByte(src, '/'); slash > 0 {
		src = src[slash:]
	}
	if end := strings.IndexAny(src, "?#"); end >= 0 {
		src = src[:end]
	}
	return src
}

// ParseProductID reads a product's id as people copy it: Shopify's number, the
// global id, or the address of the product's page in the shop's admin.
func ParseProductID(text string) (int64, error) {
	word, _, _ := strings.Cut(strings.TrimSpace(text), "?")
	parts := strings.Split(word, "/")
	number := word
	for i, part := range parts[1:] {
		if before := parts[i]; before == "Product" || before == "products" {
			number = part
			break
		}
	}
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || id <= 0 {
		if r := []rune(text); len(r) > 60 {
			text = string(r[:60]) + "..."
		}
		return 0, fmt.Errorf(
			"%q is not a product's id; it is Shopify's number, as in the address of its page in the shop's admin", text)
	}
	return id, nil
}
