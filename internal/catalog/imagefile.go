package catalog

import "strings"

// ImageFile returns which file an image's address names: its path, without host
// and query. Webhooks and GraphQL number images differently and write the
// address with another version behind it; the file is what they have in common.
func ImageFile(src string) string {
	if _, rest, ok := strings.Cut(src, "://"); ok {
		src = rest
	}
	if slash := strings.IndexByte(src, '/'); slash > 0 {
		src = src[slash:]
	}
	if end := strings.IndexAny(src, "?#"); end >= 0 {
		src = src[:end]
	}
	return src
}
