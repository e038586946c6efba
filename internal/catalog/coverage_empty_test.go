package catalog

import "testing"

func TestAnEmptyVariantListIsNoKnowledgeOfAny(t *testing.T) {
	for name, body := range map[string]string{
		"nothing named":      `{"id":1,"title":"x","updated_at":"2026-11-20T10:00:00Z","variants":[]}`,
		"nothing named here": `{"id":1,"title":"x","updated_at":"2026-11-20T10:00:00Z","variants":[],"variant_gids":[]}`,
	} {
		c, err := Decode(ProductsUpdate, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if c.Product.VariantsComplete || c.Product.Coverage == Complete {
			t.Errorf("%s: complete (%v), so every stored variant would be removed", name, c.Product.Coverage)
		}
	}
}
