package catalog

// Kind is what a delivery asks for, apart from how its topic is spelled.
type Kind uint8

const (
	// Upsert carries a product (products/create, products/update).
	Upsert Kind = iota + 1
	// Delete names a product that is gone (products/delete).
	Delete
	// Inventory names an inventory item whose product has to be fetched again
	// (inventory_levels/update, connect and disconnect, inventory_items/update).
	Inventory
	// Uninstalled says that the app was removed from the shop (app/uninstalled).
	Uninstalled
	// ScopesChanged carries the app's new access scopes (app/scopes_update).
	ScopesChanged
	// BulkFinished names a bulk operation that ended (bulk_operations/finish).
	BulkFinished
	// DataRequest and CustomerRedact concern customer data, which we never hold
	// (customers/data_request, customers/redact).
	DataRequest
	CustomerRedact
	// ShopRedact asks to delete what is kept of the shop (shop/redact).
	ShopRedact
	// ProductEvent and ItemEvent name a product and an inventory item that somebody
	// changed, so that the product has to be read.
	ProductEvent
	ItemEvent
	// OtherEvent tells of something that is not kept here.
	OtherEvent
)

// Event reports whether it is of one of Shopify's Events.
func (k Kind) Event() bool { return k == ProductEvent || k == ItemEvent || k == OtherEvent }

// Change is what a webhook body says, decoded and checked against its topic.
type Change struct {
	Topic Topic
	Kind  Kind
	// ID is the product for Upsert, Delete and ProductEvent, the inventory item for
	// Inventory and ItemEvent, the bulk operation for BulkFinished, what an
	// OtherEvent names, else 0.
	ID int64
	// Product is set for Upsert only.
	Product *Product
	// Scopes are the granted scopes for ScopesChanged.
	Scopes []string
	// Status is the bulk operation's status in lower case for BulkFinished.
	Status string
	// Untimed: the body of an Inventory or an Event has no time, so that another one
	// of the very same bytes may tell of another change.
	Untimed bool
	// What an Event says that happened, as "changed: title, price of 2 variants".
	What string
	// ShopDomain is the shop the body itself names (compliance topics and
	// app/uninstalled), "" when it names none.
	ShopDomain string
}

// MalformedError says that a body can't be understood: no JSON, or a value of
// the wrong type. Reason is one plain sentence without product text.
type MalformedError struct{ Reason string }

func (e *MalformedError) Error() string { return e.Reason }

// MismatchError says that a body is sound JSON whose shape does not fit its
// topic. The topic header is not covered by the signature, so such a body is
// never applied. Reason is one plain sentence without product text.
type MismatchError struct{ Reason string }

func (e *MismatchError) Error() string { return e.Reason }
