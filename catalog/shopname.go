package catalog

import (
	"fmt"
	"regexp"
	"strings"
)

var shopName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*\.myshopify\.com$`)

// ParseShop returns the shop's domain in lower case, or an error that says what
// a shop's name looks like.
func ParseShop(s string) (string, error) {
	name := strings.ToLower(strings.TrimSpace(s))
	if len(name) > 255 || !shopName.MatchString(name) {
		return "", fmt.Errorf("%q is not a shop name; it looks like my-shop.myshopify.com", s)
	}
	return name, nil
}
