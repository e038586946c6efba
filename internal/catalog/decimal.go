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
	d, ok := parseDecimal(s)
	if !ok {
		return "", false
	}
	if d.plain {
		return s[d.from:d.to], true
	}
	return string(d.append(make([]byte, 0, len(d.whole)+len(d.fraction)+8))), true
}

// decimal is the number sign whole.fraction * 10^exponent, trimmed: whole has
// no leading zeros and, when exponent is 0, fraction no trailing ones.
type decimal struct {
	negative        bool
	whole, fraction string
	exponent        int
	// plain says that the text from..to is canonical already.
	plain    bool
	from, to int
}

func parseDecimal(s string) (decimal, bool) {
	var d decimal
	if len(s) == 0 || len(s) > maxDecimal {
		return d, false
	}
	i := 0
	if s[0] == '-' || s[0] == '+' {
		d.negative = s[0] == '-'
		i = 1
	}
	start := i
	i = skipDigits(s, i)
	d.whole = s[start:i]
	if i < len(s) && s[i] == '.' {
		point := i + 1
		i = skipDigits(s, point)
		d.fraction = s[point:i]
	}
	if len(d.whole)+len(d.fraction) == 0 {
		return d, false
	}
	mantissaEnd := i
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		exponent, err := strconv.Atoi(s[i+1:])
		if err != nil || exponent > maxDecimal || exponent < -maxDecimal {
			return d, false
		}
		d.exponent = exponent
		i = len(s)
	}
	if i != len(s) {
		return d, false
	}
	trimmed := strings.TrimLeft(d.whole, "0")
	zeros := len(d.whole) - len(trimmed)
	d.whole = trimmed
	kept := strings.TrimRight(d.fraction, "0")
	mantissaEnd -= len(d.fraction) - len(kept)
	d.fraction = kept
	if d.exponent != 0 {
		return d, true
	}
	// What is left of the text is canonical unless a sign stands apart from
	// the digits or a zero has to stay before the point.
	switch {
	case d.whole != "" && d.fraction == "":
		d.to = start + zeros + len(d.whole)
	case d.whole != "":
		d.to = mantissaEnd
	default:
		return d, true
	}
	d.from = start + zeros
	if d.negative {
		if zeros > 0 {
			return d, true
		}
		d.from--
	}
	d.plain = true
	return d, true
}

func skipDigits(s string, i int) int {
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}

// append writes the canonical text of d.
func (d decimal) append(dst []byte) []byte {
	// All digits in a row, with the point moved by the exponent.
	digit := func(i int) byte {
		if i < len(d.whole) {
			return d.whole[i]
		}
		return d.fraction[i-len(d.whole)]
	}
	first, last := 0, len(d.whole)+len(d.fraction)
	point := len(d.whole) + d.exponent
	for first < last && digit(first) == '0' {
		first++
	}
	for last > first && digit(last-1) == '0' {
		last--
	}
	if first == last {
		return append(dst, '0')
	}
	if d.negative {
		dst = append(dst, '-')
	}
	if point <= first {
		dst = append(dst, '0')
	}
	for i := first; i < point; i++ {
		if i < last {
			dst = append(dst, digit(i))
		} else {
			dst = append(dst, '0')
		}
	}
	if point < last {
		dst = append(dst, '.')
	}
	for i := point; i < last; i++ {
		if i < first {
			dst = append(dst, '0')
		} else {
			dst = append(dst, digit(i))
		}
	}
	return dst
}
