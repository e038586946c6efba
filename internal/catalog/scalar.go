package catalog

import (
	"bytes"
	"math"
	"strconv"
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
	const shortest = len("2006-01-02T15:04:05Z")
	if len(b) < shortest || b[4] != '-' || b[7] != '-' || b[10]|0x20 != 't' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	year, ok1 := digits(b[0:4])
	month, ok2 := digits(b[5:7])
	day, ok3 := digits(b[8:10])
	hour, ok4 := digits(b[11:13])
	minute, ok5 := digits(b[14:16])
	second, ok6 := digits(b[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || month < 1 || month > 12 || day < 1 ||
		day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	rest := b[19:]
	var milli int64
	if rest[0] == '.' {
		i := 1
		for scale := int64(100); i < len(rest) && rest[i] >= '0' && rest[i] <= '9'; i++ {
			milli += int64(rest[i]-'0') * scale
			scale /= 10
		}
		if i == 1 {
			return 0, false
		}
		rest = rest[i:]
	}
	var offset int64 // seconds east of UTC
	switch {
	case len(rest) == 1 && rest[0]|0x20 == 'z':
	case len(rest) == 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':':
		h, ok1 := digits(rest[1:3])
		m, ok2 := digits(rest[4:6])
		if !ok1 || !ok2 || h > 23 || m > 59 {
			return 0, false
		}
		offset = h*3600 + m*60
		if rest[0] == '-' {
			offset = -offset
		}
	default:
		return 0, false
	}
	seconds := daysSinceEpoch(year, month, day)*86400 + hour*3600 + minute*60 + second - offset
	return seconds*1000 + milli, true
}

func digits(b []byte) (int64, bool) {
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSinceEpoch counts days from 1970-01-01 in the proleptic Gregorian
// calendar. Years are counted from March, so the leap day is a year's last.
func daysSinceEpoch(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	yearDay := (153*(month-3)+2)/5 + day - 1
	const cycles = 400 // keeps every division below on positive numbers
	year += 400 * cycles
	return year*365 + year/4 - year/100 + year/400 + yearDay - cycles*146097 - 719468
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
