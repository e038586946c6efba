package catalog

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseProductID reads a product's id as people copy it: Shopify's number, the
// global id, or the address of the product's page in the shop's admin.
func ParseProductID(text string) (int64, error) {
	word, _, _ := strings.Cut(strings.TrimSpace(text), "?")
	parts := strings.Split(word, "/")
	number := word
	for i, part := range parts[1:] {
		if before := parts[i]; before == "Product" || before == "products" {
			number = part
			break
		}
	}
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || id <= 0 {
		if r := []rune(text); len(r) > 60 {
			text = string(r[:60]) + "..."
		}
		return 0, fmt.Errorf("%q is not a product's id; it is Shopify's number, as in the address of its page in the shop's admin", text)
	}
	return id, nil
}
