package catalog

import (
	"strings"
	"testing"
)

// path of a product, and of a member of one of its collections.
const (
	ofGid     = `product[id: 'gid:\/\/shopify\/Product\/4401']`
	ofVariant = ofGid + `.variants[id: 'gid:\/\/shopify\/ProductVariant\/44013']`
)

func eventBody(topic, action, changed, variables string) []byte {
	return []byte(`{"topic":"` + topic + `","action":"` + action + `","handle":"h","fields_changed":` + changed + `,"query_variables":` + variables + `}`)
}

func TestAnEventSaysWhichProductChangedAndHow(t *testing.T) {
	const ours = `{"productId":"gid:\/\/shopify\/Product\/4401"}`
	for _, tt := range []struct{ action, changed, variables, want string }{
		{"update", `{"added":[],"updated":["` + ofVariant + `.price"],"removed":[]}`, ours, "changed: price of 1 variant"},
		{"update", `{"updated":["` + ofGid + `.title","` + ofVariant + `.compareAtPrice","` + strings.Replace(ofVariant, "44013", "44014", 1) + `.compareAtPrice"]}`, `{}`,
			"changed: title, compare at price of 2 variants"},
		{"update", `{"added":["` + ofVariant + `"],"updated":[],"removed":["` + ofGid + `.media[id: 'gid://shopify/MediaImage/5']"]}`, `null`,
			"added: 1 variant; removed: 1 media"},
		{"update", `{"updated":["` + ofVariant + `.metafield[namespace: 'a.b', key: 'it]s'].value"]}`, ours, "changed: metafield value of 1 variant"},
		{"update", `{"updated":["` + ofGid + `.a","` + ofGid + `.b","` + ofGid + `.c","` + ofGid + `.d","` + ofGid + `.e","` + ofGid + `.f","` + ofGid + `.g"]}`, ours,
			"changed: a, b, c, d, e, and more"},
		{"update", `[]`, ours, "changed"},
		{"create", `{"added":["` + ofGid + `"]}`, ours, "created"},
		{"DELETE", `{"removed":["` + ofGid + `"]}`, `{}`, "deleted"},
		{"archive", `{"updated":["` + ofGid + `.status"]}`, ours, "an action that is not known here"},
		{"", `5`, ours, "an action that is not known here"},
	} {
		c, err := Decode(EventProduct, eventBody("Product", tt.action, tt.changed, tt.variables))
		if err != nil || c.Kind != ProductEvent || c.ID != 4401 || c.What != tt.want || c.Product != nil {
			t.Errorf("%s %s: %+v, %v; want %q", tt.action, tt.changed, c, err, tt.want)
		}
	}
}

func TestTheIDOfAnEventIsThatOfItsTopicsResource(t *testing.T) {
	c, err := Decode(EventInventoryItem, eventBody("InventoryItem", "update",
		`{"updated":["inventoryItem[id: 'gid://shopify/InventoryItem/7'].tracked"]}`, `{"productId":"gid://shopify/Product/4401"}`))
	if err != nil || c.Kind != ItemEvent || c.ID != 7 || c.What != "changed: tracked" {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = Decode(EventCollection, eventBody("Collection", "update", `{"updated":["collection[id: 'gid://shopify/Collection/8'].title"]}`, `{}`))
	if err != nil || c.Kind != OtherEvent || c.ID != 8 {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = Decode(EventMetaobject, eventBody("Metaobject", "update", `{}`, `{}`))
	if err != nil || c.Kind != OtherEvent || c.ID != 0 {
		t.Errorf("what is only noted needs no id: %+v, %v", c, err)
	}
}

func TestTheDataOfAnEventIsNotRead(t *testing.T) {
	body := `{"topic":"Product","action":"update","data":{"product":{"id":"gid://shopify/Product/9","title":7}},"query_variables":{"productId":"gid://shopify/Product/4401"}}`
	if c, err := Decode(EventProduct, []byte(body)); err != nil || c.ID != 4401 || c.Product != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAnEventWhoseQueryFailedIsAsGoodAsAnother(t *testing.T) {
	body := `{"topic":"Product","action":"update","data":null,"query_errors":[{"message":"access denied"}],"query_variables":{"productId":"gid://shopify/Product/4401"}}`
	c, err := Decode(EventProduct, []byte(body))
	if err != nil || c.ID != 4401 || c.What != "changed; the query of its subscription failed" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestWhatIsNoEventOfItsTopicIsAMismatch(t *testing.T) {
	const product = `{"productId":"gid://shopify/Product/4401"}`
	for name, tt := range map[string]struct {
		topic Topic
		body  []byte
	}{
		"an Event of another topic": {EventInventoryItem, eventBody("Product", "update", `{}`, product)},
		"a product":                 {EventProduct, []byte(`{"id":4401,"title":"t"}`)},
		"no id at all":              {EventProduct, eventBody("Product", "update", `{"updated":["title"]}`, `{}`)},
		"an item without id":        {EventInventoryItem, eventBody("InventoryItem", "update", `{}`, product)},
		"an Event as a product":     {ProductsUpdate, eventBody("Product", "update", `{}`, product)},
		"an Event as a delete":      {ProductsDelete, eventBody("Product", "delete", `{}`, product)},
		"an Event as a stock level": {InventoryLevelsUpdate, eventBody("InventoryItem", "update", `{}`, product)},
		"no object":                 {EventProduct, []byte(`[]`)},
	} {
		if c, err := Decode(tt.topic, tt.body); !isMismatch(err) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

func TestNoTopicOfAnEventIsTakenForAClassicOne(t *testing.T) {
	for _, topic := range Topics() {
		if event := topic.Kind().Event(); event == strings.Contains(string(topic), "/") {
			t.Errorf("%s: an Event's is %t", topic, event)
		}
		for _, served := range topic.Serves() {
			if served.Kind() == 0 || served.Kind().Event() {
				t.Errorf("%s serves %s", topic, served)
			}
		}
	}
	if got := EventMetafieldDefinition.Label(); got != "event_metafield_definition" {
		t.Error(got)
	}
}

func TestABodyWithoutATimeIsKnown(t *testing.T) {
	const level = `{"inventory_item_id":1,"location_id":2`
	for body, want := range map[string]bool{level + `}`: true, level + `,"updated_at":"2026-11-30T10:00:00Z"}`: false} {
		if c, err := Decode(InventoryLevelsDisconnect, []byte(body)); err != nil || c.Untimed != want {
			t.Errorf("%s: %+v, %v", body, c, err)
		}
	}
	if c, err := Decode(EventProduct, eventBody("Product", "update", `{}`, `{"productId":"gid://shopify/Product/1"}`)); err != nil || !c.Untimed {
		t.Errorf("an Event: %+v, %v", c, err)
	}
}
