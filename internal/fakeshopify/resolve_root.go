package fakeshopify

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// scopeOf says which access scope a field of the root needs.
var scopeOf = map[string]string{
	"product": "read_products", "products": "read_products", "productsCount": "read_products",
	"productVariant": "read_products", "productVariants": "read_products", "productVariantsCount": "read_products",
	"inventoryItem": "read_inventory", "locations": "read_locations", "events": "read_products", "eventsCount": "read_products",
}

func (e *exec) allowed(scope string) bool { return scope == "" || slices.Contains(e.scopes, scope) }

func (e *exec) resolve(o object, f *fieldGroup) (any, *gqlError) {
	switch o.typ {
	case "QueryRoot":
		return e.rootField(f)
	case "Mutation":
		return e.mutation(f)
	}
	switch v := o.v.(type) {
	case *Product:
		return e.productField(v, f)
	case variantRef:
		return e.variantField(v, f)
	case itemRef:
		return e.itemField(v, f)
	case levelRef:
		return e.levelField(v, f)
	case imageRef:
		return e.imageField(o.typ, v, f)
	case location:
		return locationField(v, f), nil
	case *Subscription:
		return e.subscriptionField(v, f), nil
	case *Event:
		return eventField(v, f), nil
	case *bulkOp:
		return e.bulkField(v, f), nil
	case members:
		return v.get(f.Name), nil
	}
	return nil, nil
}

func (e *exec) rootField(f *fieldGroup) (any, *gqlError) {
	s := e.s
	if scope := scopeOf[f.Name]; !e.allowed(scope) {
		return nil, accessDenied(f.Field, scope)
	}
	switch f.Name {
	case "shop":
		return e.shop(), nil
	case "currentAppInstallation":
		list := []any{}
		for _, h := range s.api.scopes {
			list = append(list, object{"AccessScope", members{{"handle", h}, {"description", strings.ReplaceAll(h, "_", " ")}}})
		}
		return object{"AppInstallation", members{{"id", gid("AppInstallation", 701)}, {"accessScopes", list}}}, nil
	case "publicApiVersions":
		list := []any{}
		for _, v := range publicVersions(e.now) {
			list = append(list, object{"ApiVersion", members{{"handle", v.handle}, {"displayName", v.name}, {"supported", v.supported}}})
		}
		return list, nil
	case "product", "productVariant", "inventoryItem", "webhookSubscription", "bulkOperation":
		kind := strings.ToUpper(f.Name[:1]) + f.Name[1:]
		got, id, ok := splitGID(argString(f, "id"))
		if !ok || got != kind {
			return nil, errorAt(f.Position, "RESOURCE_NOT_FOUND", "Invalid id: "+argString(f, "id"))
		}
		return e.node(kind, id), nil
	case "node":
		kind, id, ok := splitGID(argString(f, "id"))
		if !ok {
			return nil, errorAt(f.Position, "RESOURCE_NOT_FOUND", "Invalid id: "+argString(f, "id"))
		}
		return e.nodeAllowed(f, kind, id)
	case "nodes":
		return e.nodes(f)
	case "products":
		return e.products(f)
	case "productVariants":
		return e.variantList(f)
	case "productsCount":
		return e.count(f, len(e.filtered(f, "productsCount"))), nil
	case "productVariantsCount":
		// Its query is not looked at, as on live shops.
		n := 0
		for _, id := range s.ids {
			n += len(s.products[id].Variants)
		}
		return e.count(f, n), nil
	case "locations":
		return e.page(f, listing{typ: "Location", n: locations,
			item: func(i int) object { return object{"Location", location(i)} },
			key:  func(i int) orderKey { return orderKey{num: int64(i), id: locationIDs[i]} }}, maxPage)
	case "events", "eventsCount":
		list := e.eventList(f)
		if f.Name == "eventsCount" {
			return e.count(f, len(list)), nil
		}
		return e.page(f, listing{typ: "Event", n: len(list), down: argBool(f, "reverse"),
			item: func(i int) object { return object{"BasicEvent", list[i]} },
			key: func(i int) orderKey {
				k := orderKey{id: list[i].ID}
				if f.args["sortKey"] == "CREATED_AT" {
					k.num = list[i].At.Unix()
				}
				return k
			}}, maxPage)
	case "webhookSubscriptions", "webhookSubscriptionsCount":
		list := e.subscriptionList(f)
		if f.Name == "webhookSubscriptionsCount" {
			return e.count(f, len(list)), nil
		}
		return e.page(f, listing{typ: "WebhookSubscription", n: len(list), down: argBool(f, "reverse"),
			item: func(i int) object { return object{"WebhookSubscription", list[i]} },
			key:  func(i int) orderKey { return orderKey{id: list[i].ID} }}, maxPage)
	case "bulkOperations":
		return e.bulkList(f)
	case "currentBulkOperation":
		if n := len(s.api.bulk); n > 0 {
			return object{"BulkOperation", s.api.bulk[n-1]}, nil
		}
	}
	return nil, nil
}

func (e *exec) nodes(f *fieldGroup) (any, *gqlError) {
	ids, _ := f.args["ids"].([]any)
	if len(ids) > maxArrayInput {
		return nil, errorAt(f.Position, "MAX_INPUT_SIZE_EXCEEDED", "The input array size of "+itoa(len(ids))+
			" is greater than the maximum allowed of "+itoa(maxArrayInput)+".")
	}
	list := make([]any, len(ids))
	for i, x := range ids {
		text, _ := x.(string)
		kind, id, ok := splitGID(text)
		if !ok {
			return nil, errorAt(f.Position, "RESOURCE_NOT_FOUND", "Invalid id: "+text)
		}
		v, err := e.nodeAllowed(f, kind, id)
		if err != nil {
			return nil, err
		}
		list[i] = v
	}
	return list, nil
}

func (e *exec) nodeAllowed(f *fieldGroup, kind string, id int64) (any, *gqlError) {
	scope := map[string]string{"Product": "read_products", "ProductVariant": "read_products", "InventoryItem": "read_inventory",
		"Location": "read_locations"}[kind]
	if !e.allowed(scope) {
		return nil, accessDenied(f.Field, scope)
	}
	return e.node(kind, id), nil
}

// node finds a thing by type and number; nil when there is none.
func (e *exec) node(kind string, id int64) any {
	s := e.s
	switch kind {
	case "Product":
		if p := s.products[id]; p != nil {
			return object{kind, p}
		}
	case "ProductVariant", "InventoryItem":
		p := s.products[s.owner[id]]
		if p == nil {
			return nil
		}
		for i := range p.Variants {
			switch {
			case kind == "ProductVariant" && p.Variants[i].ID == id:
				return object{kind, variantRef{p, i}}
			case kind == "InventoryItem" && p.Variants[i].InventoryItemID == id:
				return object{kind, itemRef{p, i}}
			}
		}
	case "WebhookSubscription":
		if sub := s.subscription(id); sub != nil && !sub.unlisted() {
			return object{kind, sub}
		}
	case "BulkOperation":
		if op := s.bulkByID(id); op != nil {
			return object{kind, op}
		}
	case "Location":
		for i, l := range locationIDs {
			if l == id {
				return object{kind, location(i)}
			}
		}
	case "Shop":
		if id == shopID {
			return e.shop()
		}
	}
	return nil
}

func (e *exec) shop() object {
	s := e.s
	_, offset := e.now.In(s.opt.Zone).Zone()
	plan := s.api.plan
	return object{"Shop", members{
		{"id", gid("Shop", shopID)}, {"name", shopName(s.opt.Shop)}, {"myshopifyDomain", s.opt.Shop},
		{"url", "https://" + s.opt.Shop}, {"email", "owner@example.com"}, {"contactEmail", "owner@example.com"},
		{"createdAt", utc(s.api.opened)}, {"updatedAt", utc(s.api.opened)}, {"currencyCode", "USD"},
		{"ianaTimezone", "America/New_York"}, {"timezoneOffset", e.now.In(s.opt.Zone).Format("-0700")},
		{"timezoneOffsetMinutes", offset / 60}, {"weightUnit", "GRAMS"}, {"setupRequired", false}, {"taxesIncluded", false},
		{"primaryDomain", object{"Domain", members{{"id", gid("Domain", 1)}, {"host", s.opt.Shop}, {"sslEnabled", true}, {"url", "https://" + s.opt.Shop}}}},
		{"plan", object{"ShopPlan", members{{"displayName", plan.Name}, {"publicDisplayName", plan.Name},
			{"partnerDevelopment", false}, {"shopifyPlus", plan.Name == Plus.Name}}}},
		{"resourceLimits", object{"ShopResourceLimits", members{{"locationLimit", 200}, {"maxProductOptions", 3},
			{"maxProductVariants", maxVariants}, {"redirectLimitReached", false}}}},
	}}
}

func argString(f *fieldGroup, key string) string {
	s, _ := f.args[key].(string)
	return s
}

func argBool(f *fieldGroup, key string) bool { return f.args[key] == true }

// splitGID reads gid://shopify/Kind/123, with or without a query after it.
func splitGID(s string) (kind string, id int64, ok bool) {
	rest, ok := strings.CutPrefix(s, "gid://shopify/")
	if !ok {
		return "", 0, false
	}
	kind, number, ok := strings.Cut(rest, "/")
	if !ok {
		return "", 0, false
	}
	number, _, _ = strings.Cut(number, "?")
	id, err := strconv.ParseInt(number, 10, 64)
	return kind, id, err == nil && kind != ""
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
