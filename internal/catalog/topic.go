package catalog

import "strings"

// Topic is what a delivery is about in its canonical spelling: of a classic
// webhook, for example "products/update", or of an Event, for example "Product".
// Classic topics have a slash, those of Events have none.
type Topic string

// The topics Stockroom acts on.
const (
	ProductsCreate            Topic = "products/create"
	ProductsUpdate            Topic = "products/update"
	ProductsDelete            Topic = "products/delete"
	InventoryLevelsUpdate     Topic = "inventory_levels/update"
	InventoryLevelsConnect    Topic = "inventory_levels/connect"
	InventoryLevelsDisconnect Topic = "inventory_levels/disconnect"
	InventoryItemsUpdate      Topic = "inventory_items/update"
	AppUninstalled            Topic = "app/uninstalled"
	AppScopesUpdate           Topic = "app/scopes_update"
	BulkOperationsFinish      Topic = "bulk_operations/finish"
	CustomersDataRequest      Topic = "customers/data_request"
	CustomersRedact           Topic = "customers/redact"
	ShopRedactTopic           Topic = "shop/redact"

	EventProduct              Topic = "Product"
	EventInventoryItem        Topic = "InventoryItem"
	EventCollection           Topic = "Collection"
	EventLocation             Topic = "Location"
	EventMetafieldDefinition  Topic = "MetafieldDefinition"
	EventMetaobject           Topic = "Metaobject"
	EventMetaobjectDefinition Topic = "MetaobjectDefinition"
)

// topicKinds is the closed set of topics; read only.
var topicKinds = map[Topic]Kind{
	ProductsCreate:            Upsert,
	ProductsUpdate:            Upsert,
	ProductsDelete:            Delete,
	InventoryLevelsUpdate:     Inventory,
	InventoryLevelsConnect:    Inventory,
	InventoryLevelsDisconnect: Inventory,
	InventoryItemsUpdate:      Inventory,
	AppUninstalled:            Uninstalled,
	AppScopesUpdate:           ScopesChanged,
	BulkOperationsFinish:      BulkFinished,
	CustomersDataRequest:      DataRequest,
	CustomersRedact:           CustomerRedact,
	ShopRedactTopic:           ShopRedact,

	EventProduct:              ProductEvent,
	EventInventoryItem:        ItemEvent,
	EventCollection:           OtherEvent,
	EventLocation:             OtherEvent,
	EventMetafieldDefinition:  OtherEvent,
	EventMetaobject:           OtherEvent,
	EventMetaobjectDefinition: OtherEvent,
}

// Topics returns every topic Stockroom acts on, in no order.
func Topics() []Topic {
	all := make([]Topic, 0, len(topicKinds))
	for t := range topicKinds {
		all = append(all, t)
	}
	return all
}

// ParseTopic returns the canonical topic for a header value, which compares
// without regard to case and surrounding blanks, and whether it is one we act
// on. The spelling of the GraphQL enum (PRODUCTS_UPDATE) is understood too.
func ParseTopic(header string) (Topic, bool) {
	if _, ok := topicKinds[Topic(header)]; ok {
		return Topic(header), true
	}
	t := strings.ToLower(strings.TrimSpace(header))
	if _, ok := topicKinds[Topic(t)]; ok {
		return Topic(t), true
	}
	for known := range topicKinds {
		if strings.EqualFold(strings.ReplaceAll(string(known), "/", "_"), t) {
			return known, true
		}
	}
	return Topic(t), false
}

// Kind returns what the topic asks for, 0 for a topic we do not act on.
func (t Topic) Kind() Kind { return topicKinds[t] }

// Serves returns the classic topics whose news an Event's topic brings too, none
// for the others. It is no full stand-in for them: no Event tells of stock, of
// publications or of search engine texts.
func (t Topic) Serves() []Topic {
	switch t.Kind() {
	case ProductEvent:
		return []Topic{ProductsCreate, ProductsUpdate, ProductsDelete}
	case ItemEvent:
		return []Topic{InventoryItemsUpdate}
	}
	return nil
}

// Resource is Shopify's name of what the topic's Change.ID numbers, "" for none.
func (t Topic) Resource() string {
	switch t.Kind() {
	case Upsert, Delete:
		return "Product"
	case Inventory:
		return "InventoryItem"
	case BulkFinished:
		return "BulkOperation"
	case ProductEvent, ItemEvent, OtherEvent:
		return string(t)
	}
	return ""
}

// Label returns the topic's value for metric labels, from a closed set:
// create, update and delete for products, the topic with '_' for '/' for the
// others, event_ and the words of the topic for Events, "other" for a topic we do
// not know.
func (t Topic) Label() string {
	switch t {
	case ProductsCreate:
		return "create"
	case ProductsUpdate:
		return "update"
	case ProductsDelete:
		return "delete"
	}
	switch kind := t.Kind(); {
	case kind == 0:
		return "other"
	case kind.Event():
		return "event_" + strings.ReplaceAll(camelWords(string(t)), " ", "_")
	}
	return strings.ReplaceAll(string(t), "/", "_")
}

// Compliance reports whether the topic is one of the three privacy topics,
// which are acknowledged even for a shop that was removed.
func (t Topic) Compliance() bool {
	switch t.Kind() {
	case DataRequest, CustomerRedact, ShopRedact:
		return true
	}
	return false
}
