package catalog

import "testing"

func TestProductOfABodyThatIsNotApplied(t *testing.T) {
	for _, tt := range []struct {
		name  string
		topic Topic
		body  string
		want  int64
	}{
		{"a title that is no text", ProductsUpdate, `{"id":5,"title":{"a":1}}`, 5},
		{"a deletion with more than an id", ProductsDelete, `{"id":5,"title":"x"}`, 5},
		{"a product under the topic of inventory", InventoryLevelsUpdate, `{"id":5,"admin_graphql_api_id":"gid:\/\/shopify\/Product\/5"}`, 5},
		{"the global id alone", ProductsUpdate, `{"admin_graphql_api_id":"gid://shopify/Product/5"}`, 5},
		{"an id under the topic of inventory", InventoryLevelsUpdate, `{"id":5}`, 0},
		{"something else's global id", ProductsUpdate, `{"id":5,"admin_graphql_api_id":"gid://shopify/Order/5"}`, 0},
		{"two ids", ProductsUpdate, `{"id":5,"admin_graphql_api_id":"gid://shopify/Product/6"}`, 0},
		{"an id that is no number", ProductsUpdate, `{"id":"five"}`, 0},
		{"no id", ProductsUpdate, `{"title":"x"}`, 0},
		{"a list", ProductsUpdate, `[{"id":5}]`, 0},
		{"no JSON", ProductsUpdate, `{"id":5`, 0},
		{"nothing", ProductsUpdate, ``, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ProductOf(tt.topic, []byte(tt.body)); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}
