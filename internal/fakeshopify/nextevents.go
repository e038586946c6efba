package fakeshopify

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// The topics of Events (shopify.dev/docs/api/events/2026-10) that edits of the
// catalogue have. They have no slash, as classic ones do.
const (
	TopicProductEvent = "Product"
	TopicItemEvent    = "InventoryItem"
)

// EventSubscription is an [[events.subscription]] of the app's configuration file.
// No API lists it, and failures do not delete it.
type EventSubscription struct {
	Handle   string
	Topic    string   // TopicProductEvent or TopicItemEvent
	Actions  []string // create, update, delete
	Triggers []string // of update, such as product.title or product.variants.*; empty: any field
	URI      string
	// Query sends data as well, as a GraphQL query of the subscription would;
	// QueryFails sends its errors in place of it.
	Query, QueryFails bool
}

// SubscribeEvents adds a subscription to Events and returns its id.
func (s *Shop) SubscribeEvents(e EventSubscription) int64 {
	return s.subscribe(Subscription{Topic: e.Topic, Address: e.URI, Name: e.Handle, App: true, events: &e})
}

func isEvent(topic string) bool { return !strings.Contains(topic, "/") }

// fieldChange is one changed field: what an Event is sent of.
type fieldChange struct {
	list string // added, updated or removed
	path string // product[id: 'gid://..'].variants[id: 'gid://..'].price
}

// announce queues an Event for each subscription and each changed field.
func (s *Shop) announce(at moment, topic, action string, product, id int64, changes []fieldChange) {
	if s.api.uninstalled {
		return
	}
	at.action = action
	for _, sub := range s.subs {
		e := sub.events
		if e == nil || e.Topic != topic || !slices.Contains(e.Actions, action) || !sub.overHTTP() {
			continue
		}
		for _, c := range changes {
			if action == "update" && !e.triggeredBy(c.path) {
				continue
			}
			s.fireTo(sub, at, topic, product, s.eventBody(e, action, id, c))
		}
	}
}

func (e *EventSubscription) triggeredBy(path string) bool {
	if len(e.Triggers) == 0 {
		return true
	}
	var names []string
	for _, part := range strings.Split(path, ".") {
		name, _, _ := strings.Cut(part, "[")
		names = append(names, name)
	}
	field := strings.Join(names, ".")
	return slices.ContainsFunc(e.Triggers, func(t string) bool {
		parent, all := strings.CutSuffix(t, ".*")
		return t == field || all && strings.HasPrefix(field+".", parent+".")
	})
}

func (s *Shop) eventBody(e *EventSubscription, action string, id int64, c fieldChange) []byte {
	w := s.text(512)
	w.open('{')
	w.str("topic", e.Topic)
	w.str("action", action)
	w.str("handle", e.Handle)
	root := rootOf(e.Topic)
	if e.Query && !e.QueryFails && action != "delete" {
		w.openKey("data", '{')
		w.openKey(root, '{')
		w.str("id", gid(e.Topic, id))
		w.close('}')
		w.close('}')
	}
	if e.QueryFails {
		w.null("data")
		w.openKey("query_errors", '[')
		w.open('{')
		w.str("message", "Access denied for "+root+" field.")
		w.close('}')
		w.close(']')
	}
	w.openKey("fields_changed", '{')
	for _, list := range []string{"added", "updated", "removed"} {
		w.openKey(list, '[')
		if list == c.list {
			w.comma()
			w.quote(c.path)
		}
		w.close(']')
	}
	w.close('}')
	w.openKey("query_variables", '{')
	if action != "delete" {
		w.str(root+"Id", gid(e.Topic, id))
	}
	w.close('}')
	w.close('}')
	return w.b
}

// rootOf is how paths and variables name a topic's resource.
func rootOf(topic string) string { return strings.ToLower(topic[:1]) + topic[1:] }

func place(parent, name, resource string, id int64) string {
	if parent != "" {
		parent += "."
	}
	return parent + name + "[id: '" + gid(resource, id) + "']"
}

func productPlace(id int64) string { return place("", "product", "Product", id) }

// productChanges are the changed fields that trigger an Event of a product. Stock,
// SKUs, times, publications and search engine texts are not among them
// (help.shopify.com, the fields of Flow's product trigger).
func productChanges(old, p *Product) (list []fieldChange) {
	at := productPlace(p.ID)
	add := func(differs bool, parent, field string) {
		if differs {
			list = append(list, fieldChange{"updated", parent + "." + field})
		}
	}
	add(old.Title != p.Title, at, "title")
	add(!ptrEqual(old.BodyHTML, p.BodyHTML), at, "descriptionHtml")
	add(old.Vendor != p.Vendor, at, "vendor")
	add(old.ProductType != p.ProductType, at, "productType")
	add(old.Handle != p.Handle, at, "handle")
	add(!slices.Equal(old.Tags, p.Tags), at, "tags")
	add(old.Status != p.Status, at, "status")
	add(!ptrEqual(old.TemplateSuffix, p.TemplateSuffix), at, "templateSuffix")
	add(!ptrEqual(old.Category, p.Category), at, "category")
	list = append(list, memberChanges(at, "options", "ProductOption", old.Options, p.Options,
		func(o *Option) int64 { return o.ID },
		func(was, is *Option, at string) {
			add(was.Name != is.Name, at, "name")
			add(!slices.Equal(was.Values, is.Values), at, "optionValues")
		})...)
	list = append(list, memberChanges(at, "media", "MediaImage", old.Images, p.Images,
		func(i *Image) int64 { return i.MediaID },
		func(was, is *Image, at string) { add(!ptrEqual(was.Alt, is.Alt) || was.Src != is.Src, at, "alt") })...)
	position := func(of *Product, id int64) int { n, _ := of.variant(id); return n }
	return append(list, memberChanges(at, "variants", "ProductVariant", old.Variants, p.Variants,
		func(v *Variant) int64 { return v.ID },
		func(was, is *Variant, at string) {
			add(!ptrEqual(was.Barcode, is.Barcode), at, "barcode")
			add(!ptrEqual(was.CompareAtPrice, is.CompareAtPrice), at, "compareAtPrice")
			add(was.InventoryPolicy != is.InventoryPolicy, at, "inventoryPolicy")
			add(!ptrEqual(was.ImageID, is.ImageID), at, "media")
			add(position(old, was.ID) != position(p, is.ID), at, "position")
			add(was.Price != is.Price, at, "price")
			add(was.Taxable != is.Taxable, at, "taxable")
			add(was.Title != is.Title, at, "title")
		})...)
}

// memberChanges are the added and removed ones of a collection; each kept one is compared.
func memberChanges[T any](
	parent, name, resource string, old, now []T, id func(*T) int64, compare func(was, is *T, at string),
) (list []fieldChange) {
	find := func(in []T, want int64) *T {
		if i := slices.IndexFunc(in, func(x T) bool { return id(&x) == want }); i >= 0 {
			return &in[i]
		}
		return nil
	}
	for i := range now {
		at := place(parent, name, resource, id(&now[i]))
		if was := find(old, id(&now[i])); was != nil {
			compare(was, &now[i], at)
		} else {
			list = append(list, fieldChange{"added", at})
		}
	}
	for i := range old {
		if find(now, id(&old[i])) == nil {
			list = append(list, fieldChange{"removed", place(parent, name, resource, id(&old[i]))})
		}
	}
	return list
}

// itemChanges are the changed fields of a variant's inventory item.
func itemChanges(was, is *Variant) (list []fieldChange) {
	at := place("", "inventoryItem", TopicItemEvent, is.InventoryItemID)
	for field, differs := range map[string]bool{
		"sku": !ptrEqual(was.SKU, is.SKU), "tracked": was.Tracked != is.Tracked,
		"requiresShipping":   was.RequiresShipping != is.RequiresShipping,
		"measurement.weight": was.Weight != is.Weight || was.WeightUnit != is.WeightUnit,
	} {
		if differs {
			list = append(list, fieldChange{"updated", at + "." + field})
		}
	}
	slices.SortFunc(list, func(a, b fieldChange) int { return cmp.Compare(a.path, b.path) })
	return list
}

// eventNow is the body of an Event that the product, or its first variant's item,
// was changed, without saying how.
func (s *Shop) eventNow(topic string, p *Product) []byte {
	id := p.ID
	if topic == TopicItemEvent {
		id = p.Variants[0].InventoryItemID
	}
	e := EventSubscription{Topic: topic, Handle: "event-" + strconv.FormatInt(id, 10)}
	return s.eventBody(&e, "update", id, fieldChange{})
}
