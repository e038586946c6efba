package catalog

import (
	"slices"
	"strings"
	"testing"
)

func TestTopicsCompareWithoutRegardToCase(t *testing.T) {
	for _, topic := range Topics() {
		enum := strings.ToUpper(strings.ReplaceAll(string(topic), "/", "_"))
		for _, spelling := range []string{string(topic), strings.ToUpper(string(topic)), " " + string(topic) + "\t", enum, strings.ToLower(enum)} {
			if got, ok := ParseTopic(spelling); !ok || got != topic {
				t.Errorf("ParseTopic(%q) = %q, %t", spelling, got, ok)
			}
		}
		if topic.Kind() == 0 || topic.Label() == "other" || strings.Contains(topic.Label(), "/") {
			t.Errorf("%s: kind %d, label %q", topic, topic.Kind(), topic.Label())
		}
	}
}

func TestAnUnknownTopicIsToldAsSuch(t *testing.T) {
	for _, header := range []string{"", "orders/create", "products", "products/update/", "product_listings/add", "products-update"} {
		got, ok := ParseTopic(header)
		if ok || got != Topic(header) || got.Kind() != 0 || got.Label() != "other" || got.Compliance() {
			t.Errorf("ParseTopic(%q) = %q, %t, kind %d, label %q", header, got, ok, got.Kind(), got.Label())
		}
	}
}

func TestLabelsAreThoseOfTheDashboards(t *testing.T) {
	for topic, want := range map[Topic]string{
		ProductsCreate: "create", ProductsUpdate: "update", ProductsDelete: "delete",
		InventoryLevelsUpdate: "inventory_levels_update", ShopRedactTopic: "shop_redact",
	} {
		if got := topic.Label(); got != want {
			t.Errorf("%s: %q, want %q", topic, got, want)
		}
	}
}

func TestComplianceTopics(t *testing.T) {
	compliance := []Topic{CustomersDataRequest, CustomersRedact, ShopRedactTopic}
	for _, topic := range Topics() {
		if topic.Compliance() != slices.Contains(compliance, topic) {
			t.Errorf("%s: %t", topic, topic.Compliance())
		}
	}
}

func TestShopNames(t *testing.T) {
	for _, s := range []string{"my-shop.myshopify.com", " My-Shop.MyShopify.com ", "0a.myshopify.com"} {
		if got, err := ParseShop(s); err != nil || got != strings.ToLower(strings.TrimSpace(s)) {
			t.Errorf("ParseShop(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", ".myshopify.com", "-a.myshopify.com", "a.b.myshopify.com", "a.myshopify.com.evil.com", "evil.com/a.myshopify.com",
		"a.myshopify.com/", "a.myshopify.com\nb.myshopify.com", "a@b.myshopify.com", "a_b.myshopify.com", "https://a.myshopify.com",
		"a.myshopifyxcom", strings.Repeat("a", 250) + ".myshopify.com", "\u212a.myshopify.com\u0000",
	} {
		if got, err := ParseShop(s); err == nil {
			t.Errorf("ParseShop(%q) = %q", s, got)
		}
	}
}

func TestAFieldTellsAbsentFromNull(t *testing.T) {
	var absent Field[string]
	null, empty, text := Null[string](), Of(""), Of("x")
	for _, c := range []struct {
		f               Field[string]
		present, isNull bool
		value           string
		has             bool
	}{{absent, false, false, "", false}, {null, true, true, "", false}, {empty, true, false, "", true}, {text, true, false, "x", true}} {
		value, has := c.f.Get()
		if c.f.Present() != c.present || c.f.IsNull() != c.isNull || value != c.value || has != c.has || c.f.Value() != c.value {
			t.Errorf("%+v", c)
		}
	}
	if absent.Or(text) != text || null.Or(text) != null || empty.Or(text) != empty {
		t.Error("Or mixes up absent and null")
	}
}

func TestCoverageInWords(t *testing.T) {
	for c, want := range map[Coverage]string{Complete: "complete", Truncated: "truncated", Partial: "partial", 0: "unknown"} {
		if c.String() != want {
			t.Errorf("%d: %q", c, c)
		}
	}
}
