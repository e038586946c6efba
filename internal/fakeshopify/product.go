package fakeshopify

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Shopify's limits on one product.
const (
	maxVariants  = 2048 // since 2025-10-15
	fullVariants = 100  // variants that a webhook body carries in full
)

// The statuses of a product, as webhooks spell them.
const (
	StatusActive   = "active"
	StatusArchived = "archived"
	StatusDraft    = "draft"
	StatusUnlisted = "unlisted"
)

// Product is a product as the shop holds it. Nil pointers are null.
type Product struct {
	ID             int64
	Title          string
	BodyHTML       *string
	Vendor         string
	ProductType    string
	Handle         string
	Tags           []string // webhooks keep this order, the API sorts
	Status         string
	TemplateSuffix *string
	Category       *Category
	SEO            SEO
	PublishedAt    *time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time // whole seconds
	Options        []Option
	Variants       []Variant // by position
	Images         []Image   // by position
}

// Option is one axis of a product, such as Size.
type Option struct {
	ID     int64
	Name   string
	Values []string
}

// Variant is one thing that can be bought.
type Variant struct {
	ID              int64
	InventoryItemID int64
	Title           string // its option values joined by " / "
	Options         []string
	SKU             *string
	Barcode         *string
	Price           string // decimal, sometimes without a fraction
	CompareAtPrice  *string
	InventoryPolicy string // deny or continue
	Taxable         bool
	// Tracked and RequiresShipping are of the inventory item: webhook bodies of
	// products do not carry them.
	Tracked, RequiresShipping bool
	ImageID                   *int64 // an Image.ID of the product
	Weight                    float64
	WeightUnit                string // GRAMS, KILOGRAMS, OUNCES, POUNDS
	// Available is the stock at each of the shop's locations; the total is
	// their sum and may be negative.
	Available [locations]int
	CreatedAt time.Time
	UpdatedAt time.Time // whole seconds
}

// Quantity is the stock over all locations.
func (v Variant) Quantity() int {
	n := 0
	for _, a := range v.Available {
		n += a
	}
	return n
}

// total is the stock of all variants.
func (p *Product) total() int {
	n := 0
	for i := range p.Variants {
		n += p.Variants[i].Quantity()
	}
	return n
}

// Grams is the weight in grams.
func (v Variant) Grams() float64 {
	switch v.WeightUnit {
	case "KILOGRAMS":
		return v.Weight * 1000
	case "POUNDS":
		return v.Weight * 453.59237
	case "OUNCES":
		return v.Weight * 28.349523125
	}
	return v.Weight
}

// Image is a product's picture. Shopify numbers it twice: as an image in
// REST-shaped bodies and as a media object in both forms.
type Image struct {
	ID        int64
	MediaID   int64
	Alt       *string
	Width     int
	Height    int
	Src       string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Category is a node of Shopify's taxonomy.
type Category struct {
	GID      string
	Name     string
	FullName string
}

// SEO is what search engines are shown in place of title and description.
type SEO struct{ Title, Description *string }

func (p *Product) clone() *Product {
	c := *p
	c.BodyHTML = ptrClone(p.BodyHTML)
	c.TemplateSuffix = ptrClone(p.TemplateSuffix)
	c.Category = ptrClone(p.Category)
	c.SEO = SEO{ptrClone(p.SEO.Title), ptrClone(p.SEO.Description)}
	c.PublishedAt = ptrClone(p.PublishedAt)
	c.Tags = slices.Clone(p.Tags)
	c.Options = slices.Clone(p.Options)
	for i := range c.Options {
		c.Options[i].Values = slices.Clone(c.Options[i].Values)
	}
	c.Variants = slices.Clone(p.Variants)
	for i := range c.Variants {
		v := &c.Variants[i]
		v.Options = slices.Clone(v.Options)
		v.SKU, v.Barcode = ptrClone(v.SKU), ptrClone(v.Barcode)
		v.CompareAtPrice, v.ImageID = ptrClone(v.CompareAtPrice), ptrClone(v.ImageID)
	}
	c.Images = slices.Clone(p.Images)
	for i := range c.Images {
		c.Images[i].Alt = ptrClone(c.Images[i].Alt)
	}
	return &c
}

func (v *Variant) equal(w *Variant) bool {
	return v.ID == w.ID && v.InventoryItemID == w.InventoryItemID && v.Title == w.Title &&
		slices.Equal(v.Options, w.Options) && ptrEqual(v.SKU, w.SKU) && ptrEqual(v.Barcode, w.Barcode) &&
		v.Price == w.Price && ptrEqual(v.CompareAtPrice, w.CompareAtPrice) &&
		v.InventoryPolicy == w.InventoryPolicy && v.Taxable == w.Taxable &&
		v.Tracked == w.Tracked && v.RequiresShipping == w.RequiresShipping && ptrEqual(v.ImageID, w.ImageID) && v.Weight == w.Weight && v.WeightUnit == w.WeightUnit &&
		v.Available == w.Available
}

func (p *Product) variant(id int64) (int, *Variant) {
	for i := range p.Variants {
		if p.Variants[i].ID == id {
			return i, &p.Variants[i]
		}
	}
	return -1, nil
}

func (p *Product) image(id int64) *Image {
	for i := range p.Images {
		if p.Images[i].ID == id {
			return &p.Images[i]
		}
	}
	return nil
}

// variantIDs lists the variants that show the image.
func (p *Product) variantIDs(image int64) []int64 {
	var ids []int64
	for i := range p.Variants {
		if v := &p.Variants[i]; v.ImageID != nil && *v.ImageID == image {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

// tidy makes derived fields follow from the others: option values, variant
// titles, references to images that are gone.
func (p *Product) tidy() {
	for i := range p.Variants {
		v := &p.Variants[i]
		v.Title = strings.Join(v.Options, " / ")
		if v.ImageID != nil && p.image(*v.ImageID) == nil {
			v.ImageID = nil
		}
	}
	for i := range p.Options {
		var values []string
		seen := make(map[string]bool)
		for j := range p.Variants {
			if o := p.Variants[j].Options; i < len(o) && !seen[o[i]] {
				seen[o[i]] = true
				values = append(values, o[i])
			}
		}
		p.Options[i].Values = values
	}
}

func gid(kind string, id int64) string {
	return "gid://shopify/" + kind + "/" + strconv.FormatInt(id, 10)
}

func ptr[T any](v T) *T { return &v }

func ptrClone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

func ptrEqual[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
