package catalog

import (
	"bytes"
	"math"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// parseInt reads a whole number without exponent or fraction that fits an
// int64. It never goes through a float, so ids beyond 2^53 stay exact.
func parseInt(b []byte) (int64, bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	var n uint64 // 19 digits always fit
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	if negative {
		if n > 1<<63 {
			return 0, false
		}
		return -int64(n), true // -2^63 wraps to itself
	}
	if n > math.MaxInt64 {
		return 0, false
	}
	return int64(n), true
}

// ParseGID splits gid://shopify/TYPE/NUMBER. A query after the number, as
// inventory levels have it, is left aside. Slashes may be written \/ as they
// are in the JSON that Shopify sends, which saves undoing that first.
func ParseGID(b []byte) (resource []byte, id int64, ok bool) {
	for _, want := range []byte("gid://shopify/") {
		if want == '/' && len(b) > 1 && b[0] == '\\' {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != want {
			return nil, 0, false
		}
		b = b[1:]
	}
	resource, number, ok := bytes.Cut(b, []byte("/"))
	resource = bytes.TrimSuffix(resource, []byte("\\"))
	if !ok || len(resource) == 0 {
		return nil, 0, false
	}
	number, _, _ = bytes.Cut(number, []byte("?"))
	id, ok = parseInt(number)
	if !ok || id <= 0 {
		return nil, 0, false
	}
	return resource, id, true
}

// GID returns Shopify's global id of a resource, gid://shopify/Product/123. Ids
// exceed 2^53, so it is the form that every reader of JSON gets right.
func GID(resource string, id int64) string {
	return "gid://shopify/" + resource + "/" + strconv.FormatInt(id, 10)
}

// parseTime reads an RFC 3339 instant, with Z or an offset and with or without
// a fraction, and returns Unix milliseconds in UTC. Digits beyond the
// millisecond are cut off, toward the past.
func parseTime(b []byte) (int64, bool) {
	n := len(b)
	if n < len("2006-01-02T15:04:05Z") {
		return 0, false
	}
	// Package time takes an hour of one digit, a comma and any offset.
	if b[13] != ':' || b[19] == ',' || b[n-3] == ':' && (string(b[n-5:n-3]) > "23" || string(b[n-2:]) > "59") {
		return 0, false
	}
	if b[10] == 't' || b[n-1] == 'z' {
		b = bytes.ToUpper(b)
	}
	var t time.Time
	err := t.UnmarshalText(b)
	return t.UnixMilli(), err == nil
}

// lowerASCII returns s in lower case, without a copy when it is so already.
func lowerASCII(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// Capital writes the first letter large.
func Capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}
