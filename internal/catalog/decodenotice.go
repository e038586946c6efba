package catalog

import "strings"

// notice reads the rest of a body that is no product. The values that matter
// are only located at first: whose body it is gets settled before what they
// say, so that the body of another topic is a mismatch even where a field has
// a type of its own.
func (r *reader) notice(c *Change) {
	var at places
	for r.more() {
		name := r.name()
		at.seen |= evidenceOf(name) &^ ofUnknown // new fields come
		at.members++
		r.locate(at.slot(name))
	}
	if r.err != nil {
		return
	}
	switch c.Kind {
	case Delete:
		r.productDelete(c, &at)
	case Inventory:
		if c.Topic == InventoryItemsUpdate {
			r.inventoryItem(c, &at)
		} else {
			r.inventoryLevel(c, &at)
		}
	case Uninstalled:
		r.uninstalled(c, &at)
	case ScopesChanged:
		r.scopesChanged(c, &at)
	case BulkFinished:
		r.bulkFinished(c, &at)
	case DataRequest, CustomerRedact:
		r.customerTopic(c, &at)
	case ShopRedact:
		r.shopRedact(c, &at)
	}
}

// span is where a value stands in the body; the zero span is an absent one.
type span struct{ from, to int }

// places says where the members that matter to some topic stand.
type places struct {
	seen    evidence
	members int

	id, gid, item, location, status, current    span
	shopID, shopDomain, myshopifyDomain, client span
}

// slot returns where to note the place of a member, nil for one that no topic
// needs.
func (at *places) slot(name []byte) *span {
	switch string(name) {
	case "id":
		return &at.id
	case "admin_graphql_api_id":
		return &at.gid
	case "inventory_item_id":
		return &at.item
	case "location_id":
		return &at.location
	case "status":
		return &at.status
	case "current":
		return &at.current
	case "shop_id":
		return &at.shopID
	case "shop_domain":
		return &at.shopDomain
	case "myshopify_domain":
		return &at.myshopifyDomain
	case "customer":
		return &at.client
	}
	return nil
}

// locate passes over the next value and notes its place, if asked to.
func (r *reader) locate(s *span) {
	if s == nil {
		r.value()
		return
	}
	raw := r.value()
	*s = span{from: r.pos - len(raw), to: r.pos}
}

// raw returns the value at a place, nil when it is absent or null.
func (r *reader) raw(s span) []byte {
	raw := r.body[s.from:s.to]
	if kind := kindOf(raw); kind == 0 || kind == 'n' {
		return nil
	}
	return raw
}

// positive returns the positive id at a place, 0 when there is none. No
// resource has another number, so zero and less are a mismatch.
func (r *reader) positive(s span, field string) int64 {
	raw := r.raw(s)
	if raw == nil {
		return 0
	}
	if raw[0] == '"' {
		raw = r.unquote(raw)
	}
	n, ok := parseInt(raw)
	switch {
	case !ok:
		r.malformed(field, "is not a whole number of 64 bits")
		return 0
	case n <= 0:
		r.mismatch("the field " + field + " is not a positive number")
		return 0
	}
	return n
}

// textAt returns the text at a place, "" when there is none.
func (r *reader) textAt(s span, field string) string {
	raw := r.raw(s)
	if raw == nil {
		return ""
	}
	if raw[0] != '"' {
		r.malformed(field, "is not text")
		return ""
	}
	return string(r.unquote(raw))
}

// globalID returns the number of the global id, 0 when the body has none.
func (r *reader) globalID(at *places, resource string) int64 {
	text := r.textAt(at.gid, "admin_graphql_api_id")
	if text == "" {
		return 0
	}
	got, id, ok := ParseGID([]byte(text))
	if !ok || string(got) != resource {
		r.mismatch("the admin_graphql_api_id does not name a " + resource)
		return 0
	}
	return id
}

// productDelete accepts an id and nothing that any other body has. Documented
// bodies are {"id": n}; since 2026-07 the global id may stand beside it.
func (r *reader) productDelete(c *Change, at *places) {
	if at.seen != 0 {
		r.mismatch("the body carries more than the id of a deleted product")
		return
	}
	gid := r.globalID(at, "Product")
	c.ID = r.settle(resourceID{id: r.positive(at.id, "id"), gid: gid}, "Product")
}

func (r *reader) inventoryLevel(c *Change, at *places) {
	if at.seen&(ofProduct|ofItem|ofShop|ofScopes|ofBulk|ofCompliance|ofDataRequest|ofRedact) != 0 {
		r.mismatch("the body describes something else than an inventory level")
		return
	}
	r.globalID(at, "InventoryLevel")
	item := r.positive(at.item, "inventory_item_id")
	location := r.positive(at.location, "location_id")
	if item == 0 || location == 0 {
		r.mismatch("the body lacks inventory_item_id or location_id")
	}
	c.ID, c.Untimed = item, at.seen&ofTimes == 0
}

func (r *reader) inventoryItem(c *Change, at *places) {
	if at.seen&^(ofItem|ofTimes) != 0 {
		r.mismatch("the body describes something else than an inventory item")
		return
	}
	gid := r.globalID(at, "InventoryItem")
	if gid == 0 && at.seen&ofItem == 0 {
		r.mismatch("the body carries no field of an inventory item")
		return
	}
	c.ID = r.settle(resourceID{id: r.positive(at.id, "id"), gid: gid}, "InventoryItem")
}

// uninstalled accepts a shop. Both of its domains are null in the documented
// sample, so the body may name no shop at all.
func (r *reader) uninstalled(c *Change, at *places) {
	if at.seen&ofShop == 0 || at.seen&(ofProduct|ofLevel|ofItem|ofScopes|ofBulk|ofCompliance|ofDataRequest|ofRedact) != 0 {
		r.mismatch("the body does not describe a shop")
		return
	}
	r.globalID(at, "Shop")
	c.ShopDomain = shopText(r.textAt(at.myshopifyDomain, "myshopify_domain"))
}

func (r *reader) scopesChanged(c *Change, at *places) {
	current := r.raw(at.current)
	const others = ofProduct | ofContent | ofStatus | ofLevel | ofItem | ofShop | ofBulk | ofCompliance | ofDataRequest | ofRedact
	if current == nil || at.seen&others != 0 {
		r.mismatch("the body does not list access scopes")
		return
	}
	list := newReader(current)
	defer list.release()
	enter, _ := list.list("current")
	scopes := []string{} // no scope at all is an answer too
	for enter && list.more() && list.bounded("current", len(scopes)) {
		scope, ok := list.textField("current").Get()
		if !ok {
			list.malformed("current", "is not a list of texts")
		}
		scopes = append(scopes, scope)
	}
	if list.err != nil {
		r.fail(list.err)
		return
	}
	c.Scopes = scopes
}

func (r *reader) bulkFinished(c *Change, at *places) {
	if at.seen&(ofProduct|ofLevel|ofItem|ofShop|ofScopes|ofCompliance|ofDataRequest|ofRedact) != 0 {
		r.mismatch("the body describes something else than a bulk operation")
		return
	}
	id := r.globalID(at, "BulkOperation")
	status := r.textAt(at.status, "status")
	if id == 0 || status == "" {
		r.mismatch("the body lacks the id or the status of a bulk operation")
	}
	c.ID, c.Status = id, strings.ToLower(status)
}

// customerTopic tells customers/data_request and customers/redact apart by the
// names that only one of them has.
func (r *reader) customerTopic(c *Change, at *places) {
	asks, redacts := at.seen&ofDataRequest != 0, at.seen&ofRedact != 0
	fits := asks && !redacts
	if c.Kind == CustomerRedact {
		fits = !asks
	}
	if !fits || at.seen&(ofProduct|ofLevel|ofItem|ofShop|ofScopes|ofBulk) != 0 {
		r.mismatch("the body is not the privacy request that the topic names")
		return
	}
	domain := shopText(r.textAt(at.shopDomain, "shop_domain"))
	if domain == "" || kindOf(r.raw(at.client)) != '{' {
		r.mismatch("the body lacks the shop or the customer of a privacy request")
	}
	c.ShopDomain = domain
}

// shopRedact accepts one exact shape, because what follows from it cannot be
// taken back.
func (r *reader) shopRedact(c *Change, at *places) {
	id, domain := r.raw(at.shopID), r.raw(at.shopDomain)
	if at.members != 2 || kindOf(id) != '0' || kindOf(domain) != '"' {
		r.mismatch("the body is not exactly shop_id and shop_domain")
		return
	}
	n, ok := parseInt(id)
	shop, err := ParseShop(string(r.unquote(domain)))
	if !ok || n <= 0 || err != nil {
		r.mismatch("the body is not exactly shop_id and shop_domain")
		return
	}
	c.ShopDomain = shop
}

// shopText brings a shop's domain into the form deliveries name it in.
func shopText(s string) string { return strings.ToLower(strings.TrimSpace(s)) }
