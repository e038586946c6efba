package fakeshopify

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// catalogue invents products. It is only used under the shop's lock.
type catalogue struct {
	rand    *rand.Rand
	ids     *idSource
	lean    bool
	handles map[string]int // handle stem to how often it was used
}

// product invents one with n variants. created is when the shop got it.
func (c *catalogue) product(n int, big bool, created time.Time) *Product {
	r := c.rand
	kind := pick(r, kinds)
	noun := pick(r, kind.nouns)
	title := pick(r, adjectives) + " " + noun
	if r.IntN(3) > 0 {
		title = pick(r, lines) + " " + title
	}
	switch r.IntN(25) {
	case 0:
		title += " " + pick(r, foreign)
	case 1:
		title += " \"" + pick(r, lines) + "\" <" + strconv.Itoa(1990+r.IntN(36)) + "> & Co/" + pick(r, colors)
	}
	p := &Product{
		ID:          c.ids.next(idProduct, big),
		Title:       title,
		Vendor:      pick(r, vendors),
		ProductType: kind.name,
		Status:      StatusActive,
		CreatedAt:   created,
		UpdatedAt:   created,
		Category:    kind.taxonomy(),
	}
	p.Handle = c.handle(title)
	switch x := r.IntN(20); {
	case x == 0:
		p.Status = StatusArchived
	case x == 1:
		p.Status = StatusDraft
	case x == 2:
		p.Status = StatusUnlisted
	}
	if p.Status != StatusDraft {
		p.PublishedAt = ptr(created.Add(time.Duration(r.IntN(3600)) * time.Second))
	}
	if r.IntN(12) > 0 {
		p.BodyHTML = ptr(c.description(p, noun))
	}
	if r.IntN(8) == 0 {
		p.Category = nil
	}
	if r.IntN(15) == 0 {
		p.TemplateSuffix = ptr("gift")
	}
	// What has nothing of its own to draw follows from the id: a seed keeps its shop.
	if p.ID%5 == 0 {
		p.SEO.Title = ptr(p.Title + " | " + p.Vendor)
	}
	if p.ID%7 == 0 {
		p.SEO.Description = ptr(sentences[p.ID%int64(len(sentences))])
	}
	p.Tags = c.tags(r.IntN(6))
	if !c.lean {
		for range 1 + r.IntN(4) {
			c.addImage(p, created)
		}
	}
	c.variants(p, n, kind, big, created)
	p.tidy()
	return p
}

func (c *catalogue) handle(title string) string {
	var b strings.Builder
	dash := false
	for _, x := range strings.ToLower(title) {
		if unicode.IsLetter(x) || unicode.IsDigit(x) {
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(x)
			dash = false
			continue
		}
		dash = true
	}
	stem := b.String()
	name := stem
	for n := c.handles[stem]; c.handles[name] > 0; n++ {
		name = stem + "-" + strconv.Itoa(n)
	}
	c.handles[stem]++
	if name != stem {
		c.handles[name]++
	}
	return name
}

func (c *catalogue) description(p *Product, noun string) string {
	r := c.rand
	if c.lean {
		return "<p>" + p.Title + "</p>"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<p>The <strong>%s</strong> by %s &amp; friends. %s</p>\n<ul>\n", p.Title, p.Vendor, pick(r, sentences))
	for range 2 + r.IntN(4) {
		fmt.Fprintf(&b, "  <li>%s</li>\n", pick(r, bullets))
	}
	fmt.Fprintf(&b, "</ul>\n<p>%s %s</p>", pick(r, sentences), pick(r, sentences))
	if r.IntN(4) == 0 {
		fmt.Fprintf(&b, "\n<p><a href=\"https://www.example.com/care/%s?ref=shop&amp;lang=en\">Care for your %s</a></p>",
			strings.ToLower(strings.ReplaceAll(noun, " ", "-")), strings.ToLower(noun))
	}
	return b.String()
}

func (c *catalogue) tags(n int) []string {
	tags := make([]string, 0, n)
	for range n {
		t := pick(c.rand, tagWords)
		dup := false
		for _, u := range tags {
			dup = dup || strings.EqualFold(t, u)
		}
		if !dup {
			tags = append(tags, t)
		}
	}
	return tags
}

func (c *catalogue) addImage(p *Product, at time.Time) {
	r := c.rand
	big := p.ID > 1<<53
	im := Image{ID: c.ids.next(idImage, big), MediaID: c.ids.next(idMedia, big), CreatedAt: at, UpdatedAt: at,
		Width: 800 + 100*r.IntN(30), Height: 800 + 100*r.IntN(30)}
	im.Src = fmt.Sprintf("https://cdn.example.com/s/files/1/%04d/%04d/%04d/files/%s_%d.%s?v=%d",
		r.IntN(10000), r.IntN(10000), r.IntN(10000), asciiStem(p.Handle), len(p.Images)+1,
		pick(r, []string{"jpg", "png", "webp"}), at.Unix())
	if r.IntN(3) > 0 {
		im.Alt = ptr(p.Title + ", view " + strconv.Itoa(len(p.Images)+1))
	}
	p.Images = append(p.Images, im)
}

func asciiStem(s string) string {
	return strings.Map(func(x rune) rune {
		if x < unicode.MaxASCII {
			return x
		}
		return '_'
	}, s)
}

// variants fills options and n variants.
func (c *catalogue) variants(p *Product, n int, kind kind, big bool, at time.Time) {
	r := c.rand
	if n <= 1 && r.IntN(2) == 0 {
		p.Options = []Option{{ID: c.ids.next(idOption, big), Name: "Title"}}
		p.Variants = append(p.Variants, c.variant(p, []string{"Default Title"}, big, at))
		return
	}
	axes := [][]string{kind.sizes, colors, materials}
	names := []string{"Size", "Color", "Material"}
	used := 1
	for ; used < 3 && product(axes[:used]) < n; used++ {
	}
	if used == 1 && r.IntN(2) == 0 {
		used = 2
	}
	axes = slices.Clone(axes[:used])
	for i := 0; product(axes) < n; i = (i + 1) % used {
		// A shop with thousands of variants of one thing has numbers for names.
		axes[i] = append(slices.Clone(axes[i]), names[i]+" "+strconv.Itoa(len(axes[i])+1))
	}
	for i := range axes {
		p.Options = append(p.Options, Option{ID: c.ids.next(idOption, big), Name: names[i]})
		if i > 0 { // sizes keep their order
			axes[i] = slices.Clone(axes[i])
			r.Shuffle(len(axes[i]), func(a, b int) { axes[i][a], axes[i][b] = axes[i][b], axes[i][a] })
		}
	}
	// Every combination at most once, the sizes changing fastest.
	for k := range n {
		values := make([]string, used)
		x := k
		for i := range used {
			values[i] = axes[i][x%len(axes[i])]
			x /= len(axes[i])
		}
		p.Variants = append(p.Variants, c.variant(p, values, big, at))
	}
}

func product(axes [][]string) int {
	n := 1
	for _, a := range axes {
		n *= len(a)
	}
	return n
}

func (c *catalogue) variant(p *Product, values []string, big bool, at time.Time) Variant {
	r := c.rand
	v := Variant{
		ID: c.ids.next(idVariant, big), InventoryItemID: c.ids.next(idItem, big),
		Options: values, InventoryPolicy: "deny", Taxable: r.IntN(10) > 0,
		Price: c.priceBeside(p), CreatedAt: at, UpdatedAt: at,
		Weight: float64(r.IntN(3000)), WeightUnit: "GRAMS",
	}
	if r.IntN(6) == 0 {
		v.Weight, v.WeightUnit = float64(r.IntN(500))/100, pick(r, []string{"KILOGRAMS", "POUNDS", "OUNCES"})
	}
	if r.IntN(10) > 0 {
		v.SKU = ptr(fmt.Sprintf("%s-%05d-%s", strings.ToUpper(p.ProductType[:2]), r.IntN(100000), initials(values)))
	}
	if r.IntN(3) > 0 {
		v.Barcode = ptr(fmt.Sprintf("%013d", 4000000000000+r.Int64N(999999999999)))
	}
	if r.IntN(4) == 0 {
		v.CompareAtPrice = ptr(dearer(v.Price))
	}
	if r.IntN(8) == 0 {
		v.InventoryPolicy = "continue"
	}
	for i := range v.Available {
		v.Available[i] = r.IntN(80) - 2
	}
	if len(p.Images) > 0 && r.IntN(2) == 0 {
		v.ImageID = ptr(pick(r, p.Images).ID)
	}
	// Some products are downloads or services, some variants are not counted.
	v.RequiresShipping = p.ID%13 != 0
	if v.Tracked = v.RequiresShipping && v.ID%29 != 0; !v.Tracked {
		v.Available = [locations]int{}
	}
	return v
}

func initials(values []string) string {
	var b strings.Builder
	for _, v := range values {
		for _, f := range strings.Fields(v) {
			b.WriteString(strings.ToUpper(string([]rune(f)[0])))
			if n := strings.TrimLeft(f, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"); n != f && n != "" {
				b.WriteString(n)
			}
		}
	}
	return b.String()
}

// priceBeside is mostly the price of the product's other variants.
func (c *catalogue) priceBeside(p *Product) string {
	n := len(p.Variants)
	if n == 0 || c.rand.IntN(40) == 0 {
		return c.price()
	}
	if c.rand.IntN(8) == 0 {
		return dearer(p.Variants[n-1].Price)
	}
	return p.Variants[n-1].Price
}

// dearer is a price about a tenth higher, with the same cents.
func dearer(price string) string {
	whole, cents, ok := strings.Cut(price, ".")
	n, _ := strconv.Atoi(whole)
	whole = strconv.Itoa(n + n/10 + 2)
	if !ok {
		return whole
	}
	return whole + "." + cents
}

func (c *catalogue) price() string {
	r := c.rand
	switch r.IntN(12) {
	case 0:
		return strconv.Itoa(5 + r.IntN(200)) // seen on live shops
	case 1:
		return fmt.Sprintf("%d.%d0", 1+r.IntN(90), r.IntN(10))
	case 2:
		if r.IntN(8) == 0 {
			return "0.00"
		}
	}
	return fmt.Sprintf("%d.%02d", 3+r.IntN(240), pick(r, []int{0, 49, 50, 90, 95, 99}))
}
