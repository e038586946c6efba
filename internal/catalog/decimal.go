package catalog

import (
	"strconv"
	"strings"
)

// maxDecimal bounds a decimal's text in bytes and its exponent either way, so
// that a short text such as 1e999999999 cannot ask for a gigabyte.
const maxDecimal = 1000

// CanonicalDecimal returns the one spelling of a decimal number that all equal
// numbers share: no exponent, no plus sign, no needless zeros, 0 for minus
// zero. "25", "25.00" and "025.0" are all "25". The second result is false
// when s is no decimal number, is longer than 1,000 bytes or has an exponent
// beyond 1,000. It works on the text alone and never through a float.
func CanonicalDecimal(s string) (string, bool) {
	if len(s) > maxDecimal {
		return "", false
	}
	from, exponent := 0, 0
	if s != "" && (s[0] == '-' || s[0] == '+') {
		from = 1
	}
	point := skipDigits(s, from)
	fraction, end := point, point
	if point < len(s) && s[point] == '.' {
		fraction = point + 1
		end = skipDigits(s, fraction)
	}
	if point-from+end-fraction == 0 {
		return "", false
	}
	if end < len(s) {
		var err error
		exponent, err = strconv.Atoi(s[end+1:])
		if s[end]|0x20 != 'e' || err != nil || exponent > maxDecimal || exponent < -maxDecimal {
			return "", false
		}
	}
	if from > 0 || point == 0 || exponent != 0 {
		return spell(s[0] == '-', s[from:point], s[fraction:end], exponent), true
	}
	// As prices are written: a part of the text is canonical.
	for from < point-1 && s[from] == '0' {
		from++
	}
	for end > fraction && s[end-1] == '0' {
		end--
	}
	if end == fraction {
		end = point
	}
	return s[from:end], true
}

func skipDigits(s string, i int) int {
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}

// spell writes the number whole.fraction * 10^exponent.
func spell(negative bool, whole, fraction string, exponent int) string {
	digits, point := whole+fraction, len(whole)+exponent
	if point < 0 {
		digits, point = strings.Repeat("0", -point)+digits, 0
	}
	digits += strings.Repeat("0", max(0, point-len(digits)))
	text := strings.TrimLeft(digits[:point], "0")
	if text == "" {
		text = "0"
	}
	if fraction = strings.TrimRight(digits[point:], "0"); fraction != "" {
		text += "." + fraction
	}
	if negative && text != "0" {
		return "-" + text
	}
	return text
}
