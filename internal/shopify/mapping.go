package shopify

import (
	"fmt"
	"math"
	"strings"
	"time"

	"stockroom/internal/catalog"
)

// parseGID reads gid://shopify/Kind/123.
func parseGID(kind, s string) (int64, error) {
	resource, id, ok := catalog.ParseGID([]byte(s))
	if !ok || string(resource) != kind {
		return 0, fmt.Errorf("%q is no id of a %s", clip(s), kind)
	}
	return id, nil
}

// The shapes of the answers. A pointer is a field that may be null.
type pageInfo struct {
	HasNextPage bool   `json:"hasNextPage"`
	EndCursor   string `json:"endCursor"`
}

type connection[T any] struct {
	Nodes    []T      `json:"nodes"`
	PageInfo pageInfo `json:"pageInfo"`
}

type countNode struct {
	Count     int    `json:"count"`
	Precision string `json:"precision"`
}

type productNode struct {
	ID              string  `json:"id"`
	Title           string  `json:"title"`
	DescriptionHTML string  `json:"descriptionHtml"`
	Vendor          string  `json:"vendor"`
	ProductType     string  `json:"productType"`
	Handle          string  `json:"handle"`
	TemplateSuffix  *string `json:"templateSuffix"`
	Category        *struct {
		FullName string `json:"fullName"`
	} `json:"category"`
	SEO struct {
		Title       *string `json:"title"`
		Description *string `json:"description"`
	} `json:"seo"`
	Tags        []string   `json:"tags"`
	Status      string     `json:"status"`
	PublishedAt *time.Time `json:"publishedAt"`
	CreatedAt   time.Time  `json:"createdAt"`
	UpdatedAt   time.Time  `json:"updatedAt"`
	StockTotal  *int64     `json:"totalInventory"`
	Options     []struct {
		ID       string   `json:"id"`
		Name     string   `json:"name"`
		Position int64    `json:"position"`
		Values   []string `json:"values"`
	} `json:"options"`
	VariantsCount *countNode              `json:"variantsCount"`
	Media         connection[mediaNode]   `json:"media"`
	Variants      connection[variantNode] `json:"variants"`
}

type mediaNode struct {
	Alt   *string    `json:"alt"`
	Image *imageNode `json:"image"`
}

// imageNode is the image of a medium, or of a variant: only the latter's id is
// the number that webhooks have too.
type imageNode struct {
	ID     string `json:"id"`
	URL    string `json:"url"`
	Width  int64  `json:"width"`
	Height int64  `json:"height"`
}

type variantNode struct {
	ID              string  `json:"id"`
	Title           string  `json:"title"`
	SKU             *string `json:"sku"`
	Barcode         *string `json:"barcode"`
	Price           string  `json:"price"`
	CompareAtPrice  *string `json:"compareAtPrice"`
	Position        int64   `json:"position"`
	SelectedOptions []struct {
		Value string `json:"value"`
	} `json:"selectedOptions"`
	InventoryItem struct {
		ID               string `json:"id"`
		Tracked          bool   `json:"tracked"`
		RequiresShipping bool   `json:"requiresShipping"`
		Measurement      struct {
			Weight *struct {
				Unit  string  `json:"unit"`
				Value float64 `json:"value"`
			} `json:"weight"`
		} `json:"measurement"`
	} `json:"inventoryItem"`
	InventoryQuantity *int64     `json:"inventoryQuantity"`
	InventoryPolicy   string     `json:"inventoryPolicy"`
	Taxable           bool       `json:"taxable"`
	Image             *imageNode `json:"image"`
	CreatedAt         time.Time  `json:"createdAt"`
	UpdatedAt         time.Time  `json:"updatedAt"`
}

// productOf turns a whole product, all its pages joined, into the form that
// webhooks have too. GraphQL numbers media and not images, so only the images
// that a variant shows get their id here, and the
// store has the others'.
func productOf(n *productNode) (*catalog.Product, error) {
	id, err := parseGID("Product", n.ID)
	if err != nil {
		return nil, err
	}
	p := &catalog.Product{
		ID: id, Title: catalog.Of(n.Title), BodyHTML: catalog.Of(n.DescriptionHTML), Vendor: catalog.Of(n.Vendor),
		ProductType: catalog.Of(n.ProductType), Handle: catalog.Of(n.Handle), Tags: catalog.Of(n.Tags),
		TemplateSuffix: orNull(n.TemplateSuffix), Category: catalog.Null[string](),
		SEOTitle: orNull(n.SEO.Title), SEODescription: orNull(n.SEO.Description),
		Status: catalog.Of(strings.ToLower(n.Status)), PublishedAt: catalog.Null[int64](),
		CreatedAt: catalog.Of(n.CreatedAt.UnixMilli()), UpdatedAt: catalog.Of(n.UpdatedAt.UnixMilli()),
	}
	if n.Category != nil {
		p.Category = catalog.Of(n.Category.FullName)
	}
	if n.PublishedAt != nil {
		p.PublishedAt = catalog.Of(n.PublishedAt.UnixMilli())
	}
	if n.StockTotal != nil {
		p.StockTotal = catalog.Of(*n.StockTotal)
	}
	options := make([]catalog.Option, 0, len(n.Options))
	for _, o := range n.Options {
		oid, err := parseGID("ProductOption", o.ID)
		if err != nil {
			return nil, err
		}
		options = append(options, catalog.Option{ID: oid, Name: o.Name, Position: o.Position, Values: o.Values})
	}
	p.Options = catalog.Of(options)
	images, byFile := []catalog.Image{}, map[string]int{}
	for _, m := range n.Media.Nodes {
		if m.Image == nil { // a video, a model, or not processed yet
			continue
		}
		byFile[catalog.ImageFile(m.Image.URL)] = len(images)
		images = append(images, catalog.Image{
			Position: int64(len(images) + 1), Src: m.Image.URL, Alt: m.Alt, Width: m.Image.Width, Height: m.Image.Height,
		})
	}
	variants := make([]catalog.Variant, 0, len(n.Variants.Nodes))
	for i := range n.Variants.Nodes {
		v, err := variantOf(&n.Variants.Nodes[i])
		if err != nil {
			return nil, err
		}
		variants = append(variants, v)
		shown := n.Variants.Nodes[i].Image
		if shown == nil {
			continue
		}
		if at, ok := byFile[catalog.ImageFile(shown.URL)]; ok {
			images[at].ID = v.ImageID.Value()
			images[at].VariantIDs = append(images[at].VariantIDs, v.ID)
		}
	}
	p.Images, p.Variants = catalog.Of(images), catalog.Of(variants)
	return p, nil
}

func variantOf(n *variantNode) (catalog.Variant, error) {
	id, err := parseGID("ProductVariant", n.ID)
	if err != nil {
		return catalog.Variant{}, err
	}
	item, err := parseGID("InventoryItem", n.InventoryItem.ID)
	if err != nil {
		return catalog.Variant{}, err
	}
	v := catalog.Variant{
		ID: id, Title: catalog.Of(n.Title), SKU: orNull(n.SKU), Barcode: orNull(n.Barcode), Price: catalog.Of(n.Price),
		CompareAtPrice: orNull(n.CompareAtPrice), Position: catalog.Of(n.Position), InventoryItemID: catalog.Of(item),
		InventoryQuantity: orNull(n.InventoryQuantity), InventoryPolicy: catalog.Of(strings.ToLower(n.InventoryPolicy)),
		Taxable: catalog.Of(n.Taxable), Tracked: catalog.Of(n.InventoryItem.Tracked),
		RequiresShipping: catalog.Of(n.InventoryItem.RequiresShipping), WeightGrams: catalog.Null[int64](),
		CreatedAt: catalog.Of(n.CreatedAt.UnixMilli()), UpdatedAt: catalog.Of(n.UpdatedAt.UnixMilli()),
		Option1: catalog.Null[string](), Option2: catalog.Null[string](), Option3: catalog.Null[string](),
		ImageID: catalog.Null[int64](),
	}
	if n.Image != nil {
		v.ImageID = catalog.Field[int64]{} // not known when the id is no ProductImage's
		if image, err := parseGID("ProductImage", n.Image.ID); err == nil {
			v.ImageID = catalog.Of(image)
		}
	}
	options := [...]*catalog.Field[string]{&v.Option1, &v.Option2, &v.Option3}
	for i, o := range n.SelectedOptions[:min(len(n.SelectedOptions), len(options))] {
		*options[i] = catalog.Of(o.Value)
	}
	if w := n.InventoryItem.Measurement.Weight; w != nil {
		if g, ok := grams(w.Value, w.Unit); ok {
			v.WeightGrams = catalog.Of(g)
		}
	}
	return v, nil
}

// grams turns a weight into whole grams. The pound and ounce are the
// international ones.
func grams(value float64, unit string) (int64, bool) {
	factor, ok := map[string]float64{"GRAMS": 1, "KILOGRAMS": 1000, "OUNCES": 28.349523125, "POUNDS": 453.59237}[unit]
	g := math.Round(value * factor)
	if !ok || !(g >= 0 && g < math.MaxInt32*1000) {
		return 0, false
	}
	return int64(g), true
}

func orNull[T any](p *T) catalog.Field[T] {
	if p == nil {
		return catalog.Null[T]()
	}
	return catalog.Of(*p)
}
