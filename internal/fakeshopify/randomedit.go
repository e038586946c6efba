package fakeshopify

import (
	"slices"
	"strconv"
)

// Edit says what RandomEdit did.
type Edit struct {
	Kind      string // price, stock, stock-quiet, title, tags, description, status, image, variant-new, variant-gone, product-new, product-gone, sku, weight, seo, category, template, item
	ProductID int64
}

var editKinds = []struct {
	kind   string
	weight int
}{
	{"price", 20}, {"seo", 1}, {"category", 1}, {"template", 1}, {"item", 1}, {"stock", 30}, {"title", 8}, {"tags", 8}, {"description", 5}, {"status", 5}, {"image", 5},
	{"variant-new", 4}, {"variant-gone", 3}, {"product-new", 4}, {"product-gone", 2}, {"sku", 4}, {"weight", 2},
}

// RandomEdit makes one plausible edit chosen by the seed, as a merchant would.
// With Chaos.SameSecond another edit of the same product may follow at once;
// the first is the one returned.
func (s *Shop) RandomEdit() Edit {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.randomEdit(0)
	if chance(s.editRand, s.opt.Chaos.SameSecond) && e.Kind != "product-gone" {
		s.randomEdit(e.ProductID)
	}
	return e
}

// randomEdit edits the product, or any when id is 0.
func (s *Shop) randomEdit(id int64) Edit {
	r := s.editRand
	total := 0
	for _, k := range editKinds {
		total += k.weight
	}
	x, kind := r.IntN(total), ""
	for _, k := range editKinds {
		if x < k.weight {
			kind = k.kind
			break
		}
		x -= k.weight
	}
	if id != 0 && kind == "product-new" {
		kind = "price"
	}
	// The shop neither grows nor shrinks without end.
	n := len(s.ids)
	switch {
	case n == 0 || n < s.opt.Products/2 && kind == "product-gone":
		kind = "product-new"
	case n > 2*s.opt.Products+20 && kind == "product-new":
		kind = "product-gone"
	}
	if kind == "product-new" {
		p := s.create(s.opt.MinVariants+r.IntN(min(s.opt.MaxVariants-s.opt.MinVariants, 11)+1), nil)
		return Edit{kind, p.ID}
	}
	if id == 0 {
		id = pick(r, s.ids)
	}
	switch kind {
	case "product-gone":
		s.delete(id)
	case "stock":
		v := pick(r, s.products[id].Variants)
		loc := r.IntN(locations)
		available := v.Available[loc] + r.IntN(21) - 12
		quiet := chance(s.api.index.rand, s.opt.QuietStock) // not r: a seed keeps its edits
		if quiet {
			kind = "stock-quiet"
		}
		s.setInventory(v.ID, loc, available, quiet)
	default:
		s.update(id, func(p *Product) { s.change(kind, p) })
	}
	return Edit{kind, id}
}

func (s *Shop) change(kind string, p *Product) {
	r := s.editRand
	v := &p.Variants[r.IntN(len(p.Variants))]
	switch kind {
	case "price":
		v.Price = s.cat.price()
		v.CompareAtPrice = nil
		if r.IntN(3) == 0 {
			v.CompareAtPrice = ptr(dearer(v.Price))
		}
	case "title":
		p.Title = pick(r, lines) + " " + pick(r, adjectives) + " " + p.ProductType + " " + strconv.Itoa(r.IntN(1000))
	case "tags":
		p.Tags = s.cat.tags(r.IntN(7))
	case "description":
		if p.BodyHTML = nil; r.IntN(8) > 0 {
			p.BodyHTML = ptr(s.cat.description(p, p.ProductType))
		}
	case "status":
		p.Status = pick(r, []string{StatusActive, StatusActive, StatusActive, StatusDraft, StatusArchived, StatusUnlisted})
		if p.PublishedAt = nil; p.Status != StatusDraft {
			p.PublishedAt = ptr(s.lastTriggered.Truncate(1e9))
		}
	case "image":
		if len(p.Images) > 0 && r.IntN(2) == 0 {
			i := r.IntN(len(p.Images))
			p.Images = slices.Delete(p.Images, i, i+1)
		} else if len(p.Images) < 20 {
			s.cat.addImage(p, s.lastTriggered.Truncate(1e9))
		}
	case "variant-new":
		if len(p.Variants) < maxVariants {
			s.newVariant(p)
		}
	case "variant-gone":
		if len(p.Variants) > 1 {
			i := r.IntN(len(p.Variants))
			p.Variants = slices.Delete(p.Variants, i, i+1)
		}
	case "sku":
		v.SKU = ptr("NEW-" + strconv.Itoa(r.IntN(1_000_000)))
		if r.IntN(4) == 0 {
			v.SKU = nil
		}
	case "weight":
		v.Weight, v.WeightUnit = float64(1+r.IntN(4000)), "GRAMS"
	default:
		s.changeRare(kind, p, v)
	}
}

// changeRare edits what a merchant seldom does; v is a variant of p.
func (s *Shop) changeRare(kind string, p *Product, v *Variant) {
	r := s.editRand
	switch kind {
	case "seo":
		p.SEO = SEO{Title: ptr(p.Title + " " + strconv.Itoa(r.IntN(1000)))}
		if r.IntN(2) == 0 {
			p.SEO.Description = ptr(pick(r, sentences))
		}
	case "category":
		if p.Category = nil; r.IntN(4) > 0 {
			p.Category = pick(r, kinds).taxonomy()
		}
	case "template":
		if p.TemplateSuffix == nil {
			p.TemplateSuffix = ptr(pick(r, []string{"gift", "preorder", "wide"}))
		} else {
			p.TemplateSuffix = nil
		}
	case "item":
		if r.IntN(2) == 0 {
			v.RequiresShipping = !v.RequiresShipping
		} else if v.Tracked = !v.Tracked; !v.Tracked {
			v.Available = [locations]int{}
		}
	}
}

// newVariant adds a combination of option values that p does not have yet.
func (s *Shop) newVariant(p *Product) {
	values := make([]string, len(p.Options))
	for i := range p.Options {
		values[i] = pick(s.editRand, p.Options[i].Values)
	}
	values[0] = "No. " + strconv.Itoa(len(p.Variants)+1) + "-" + strconv.Itoa(s.editRand.IntN(1000))
	at := s.lastTriggered.Truncate(1e9)
	v := s.cat.variant(p, values, true, at)
	at2 := s.editRand.IntN(len(p.Variants) + 1)
	p.Variants = slices.Insert(p.Variants, at2, v)
}
