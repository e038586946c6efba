package fakeshopify

import (
	"slices"
	"time"
)

// The topics that edits of the catalogue fire.
const (
	TopicCreate         = "products/create"
	TopicUpdate         = "products/update"
	TopicDelete         = "products/delete"
	TopicInventoryLevel = "inventory_levels/update"
	TopicInventoryItem  = "inventory_items/update"
	TopicUninstalled    = "app/uninstalled"
	TopicScopes         = "app/scopes_update"
	TopicBulkFinish     = "bulk_operations/finish"
)

// CreateProduct invents a product, lets edit change it, and puts it into the
// shop. A nil edit keeps it as invented. It fires products/create.
func (s *Shop) CreateProduct(edit func(*Product)) Product {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.opt.MinVariants + s.editRand.IntN(min(s.opt.MaxVariants, 12)-min(s.opt.MinVariants, 12)+1)
	return *s.create(n, edit).clone()
}

func (s *Shop) create(variants int, edit func(*Product)) *Product {
	at := s.begin(nil)
	p := s.cat.product(variants, true, at.updated)
	if edit != nil {
		id := p.ID
		edit(p)
		p.ID, p.CreatedAt, p.UpdatedAt = id, at.updated, at.updated
		s.adopt(p, nil, at.updated)
	}
	s.insert(p)
	s.event("create", p, at.triggered)
	s.api.index.edited(nil, p, at.triggered, false)
	s.fire(at, TopicCreate, p.ID, s.body(TopicCreate, p))
	s.announce(at, TopicProductEvent, "create", p.ID, p.ID, []fieldChange{{"added", productPlace(p.ID)}})
	return p
}

// UpdateProduct lets edit change a copy of the product and stores it. Variants,
// options and images with id 0 get ids; times, titles of variants and option
// values follow by themselves. It fires products/update, and
// inventory_items/update for variants whose SKU, weight, tracking or shipping
// changed. It reports
// false when there is no such product.
func (s *Shop) UpdateProduct(id int64, edit func(*Product)) (Product, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.update(id, edit)
	if !ok {
		return Product{}, false
	}
	return *p.clone(), true
}

func (s *Shop) update(id int64, edit func(*Product)) (*Product, bool) {
	old, ok := s.products[id]
	if !ok {
		return nil, false
	}
	at := s.begin(old)
	p := old.clone()
	edit(p)
	p.ID, p.CreatedAt, p.UpdatedAt = old.ID, old.CreatedAt, at.updated
	if len(p.Variants) == 0 || len(p.Variants) > maxVariants {
		// A product always has a variant: keep what was there.
		p.Variants = old.clone().Variants
	}
	changed := s.adopt(p, old, at.updated)
	s.disown(old)
	s.products[id] = p
	s.own(p)
	s.api.index.edited(old, p, at.triggered, false)
	s.fire(at, TopicUpdate, id, s.body(TopicUpdate, p))
	for _, i := range changed {
		is := &p.Variants[i]
		s.fire(at, TopicInventoryItem, id, s.inventoryItemBody(is, at.updated))
		_, was := old.variant(is.ID)
		s.announce(at, TopicItemEvent, "update", id, is.InventoryItemID, itemChanges(was, is))
	}
	s.announce(at, TopicProductEvent, "update", id, id, productChanges(old, p))
	return p, true
}

// adopt gives ids and times to what is new or changed in p and returns the
// indexes of variants whose inventory item changed.
func (s *Shop) adopt(p, old *Product, at time.Time) (items []int) {
	p.tidy()
	before := make(map[int64]*Variant)
	if old != nil {
		for i := range old.Variants {
			before[old.Variants[i].ID] = &old.Variants[i]
		}
	}
	for i := range p.Options {
		if p.Options[i].ID == 0 {
			p.Options[i].ID = s.idSource.next(idOption, true)
		}
	}
	for i := range p.Images {
		im := &p.Images[i]
		if im.ID == 0 {
			im.ID, im.MediaID = s.idSource.next(idImage, true), s.idSource.next(idMedia, true)
			im.CreatedAt, im.UpdatedAt = at, at
			continue
		}
		if old == nil {
			continue
		}
		if was := old.image(im.ID); was != nil && (!ptrEqual(was.Alt, im.Alt) || was.Src != im.Src) {
			im.UpdatedAt = at
		}
	}
	for i := range p.Variants {
		v := &p.Variants[i]
		if v.ID == 0 {
			v.ID, v.InventoryItemID = s.idSource.next(idVariant, true), s.idSource.next(idItem, true)
			v.CreatedAt, v.UpdatedAt = at, at
			continue
		}
		w := before[v.ID]
		if w == nil || v.equal(w) {
			continue
		}
		v.UpdatedAt = at
		if !ptrEqual(v.SKU, w.SKU) || v.Weight != w.Weight || v.WeightUnit != w.WeightUnit ||
			v.Tracked != w.Tracked || v.RequiresShipping != w.RequiresShipping {
			items = append(items, i)
		}
	}
	return items
}

// DeleteProduct removes the product and fires products/delete.
func (s *Shop) DeleteProduct(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.delete(id)
}

func (s *Shop) delete(id int64) bool {
	p, ok := s.products[id]
	if !ok {
		return false
	}
	at := s.begin(nil)
	delete(s.products, id)
	i, _ := slices.BinarySearch(s.ids, id)
	s.ids = slices.Delete(s.ids, i, i+1)
	s.disown(p)
	s.api.index.deleted(id, s.event("destroy", p, at.triggered))
	s.fire(at, TopicDelete, id, s.body(TopicDelete, p))
	s.announce(at, TopicProductEvent, "delete", id, id, []fieldChange{{"removed", productPlace(id)}})
	return true
}

// SetInventory sets the stock of a variant at one of the two locations (0 or
// 1), moves the variant's and product's updated_at and fires
// inventory_levels/update and products/update with one event id.
func (s *Shop) SetInventory(variantID int64, location, available int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setInventory(variantID, location, available, false)
}

// SetInventoryQuietly sets the stock as SetInventory does, but leaves every
// updated_at as it was and fires inventory_levels/update alone.
func (s *Shop) SetInventoryQuietly(variantID int64, location, available int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setInventory(variantID, location, available, true)
}

func (s *Shop) setInventory(variantID int64, location, available int, quiet bool) bool {
	p, ok := s.products[s.owner[variantID]]
	if !ok {
		return false
	}
	_, v := p.variant(variantID)
	if v == nil || location < 0 || location >= locations {
		return false
	}
	at := s.begin(p)
	old := p
	p = p.clone()
	_, v = p.variant(variantID)
	v.Available[location] = available
	if !quiet {
		v.UpdatedAt, p.UpdatedAt = at.updated, at.updated
	}
	s.products[p.ID] = p
	s.api.index.edited(old, p, at.triggered, quiet)
	s.fire(at, TopicInventoryLevel, p.ID, s.inventoryLevelBody(v, location, at.updated))
	if quiet {
		return true
	}
	s.fire(at, TopicUpdate, p.ID, s.body(TopicUpdate, p))
	return true
}

// moment is when an edit happened, in the two forms that Shopify shows.
type moment struct {
	triggered time.Time // nanoseconds, strictly growing in the shop
	updated   time.Time // whole seconds, never before the product's last
	event     string
	action    string // of an Event's delivery
}

// begin starts an edit of p, or of none.
func (s *Shop) begin(p *Product) moment {
	s.advance(s.opt.Now())
	s.version++
	return s.moment(p)
}

func (s *Shop) moment(p *Product) moment {
	now := s.opt.Now().UTC().Round(0)
	m := moment{triggered: now, event: uuid(s.chaosRand)}
	// Nanoseconds that a coarse clock does not have.
	if !m.triggered.After(s.lastTriggered) {
		m.triggered = s.lastTriggered.Add(time.Duration(1 + s.chaosRand.IntN(900)))
	}
	s.lastTriggered = m.triggered
	m.updated = m.triggered.Truncate(time.Second)
	if chance(s.chaosRand, s.opt.Chaos.TriggeredEarly) {
		m.updated = m.updated.Add(time.Second)
	}
	if p != nil && m.updated.Before(p.UpdatedAt) {
		m.updated = p.UpdatedAt
	}
	return m
}

func (s *Shop) event(action string, p *Product, at time.Time) indexTime {
	found := s.api.index.when(at)
	s.events = append(s.events, Event{ID: s.idSource.next(idEvent, false), Action: action, SubjectType: "PRODUCT",
		SubjectID: p.ID, Title: p.Title, At: at.Truncate(time.Second), found: found})
	return found
}
