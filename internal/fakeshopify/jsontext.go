package fakeshopify

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// jsonText builds JSON by hand, because Shopify's escaping is not that of
// encoding/json and the bytes are what gets signed.
type jsonText struct {
	b []byte
	// slash writes / as \/, as webhooks and bulk files do.
	slash bool
	// ascii writes every non-ASCII character as \uXXXX.
	ascii bool
}

func (w *jsonText) raw(s string) { w.b = append(w.b, s...) }

// comma goes before every member or element but the first.
func (w *jsonText) comma() {
	if n := len(w.b); n > 0 && w.b[n-1] != '{' && w.b[n-1] != '[' {
		w.b = append(w.b, ',')
	}
}

func (w *jsonText) open(c byte)  { w.comma(); w.b = append(w.b, c) }
func (w *jsonText) close(c byte) { w.b = append(w.b, c) }

// key writes a member's name; the value must be written with a val method.
func (w *jsonText) key(k string) {
	w.comma()
	w.quote(k)
	w.b = append(w.b, ':')
}

func (w *jsonText) openKey(k string, c byte) {
	w.key(k)
	w.b = append(w.b, c)
}

func (w *jsonText) str(k, v string) { w.key(k); w.quote(v) }

func (w *jsonText) strOrNull(k string, v *string) {
	w.key(k)
	if v == nil {
		w.raw("null")
		return
	}
	w.quote(*v)
}

func (w *jsonText) int(k string, v int64) { w.key(k); w.b = strconv.AppendInt(w.b, v, 10) }

func (w *jsonText) intOrNull(k string, v *int64) {
	w.key(k)
	if v == nil {
		w.raw("null")
		return
	}
	w.b = strconv.AppendInt(w.b, *v, 10)
}

func (w *jsonText) bool(k string, v bool) { w.key(k); w.b = strconv.AppendBool(w.b, v) }

func (w *jsonText) null(k string) { w.key(k); w.raw("null") }

// local writes a time with the shop's offset, as REST-shaped bodies do.
func (w *jsonText) local(k string, t time.Time, zone *time.Location) {
	w.key(k)
	w.b = t.In(zone).AppendFormat(append(w.b, '"'), "2006-01-02T15:04:05-07:00")
	w.b = append(w.b, '"')
}

func (w *jsonText) plain(c byte) bool {
	return c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' && (c != '/' || !w.slash)
}

func (w *jsonText) quote(s string) {
	const hex = "0123456789abcdef"
	b := append(w.b, '"')
	for i := 0; i < len(s); {
		// Runs that need no escape go over in one piece.
		plain := i
		for plain < len(s) && w.plain(s[plain]) {
			plain++
		}
		if b = append(b, s[i:plain]...); plain == len(s) {
			break
		}
		i = plain
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '"' || c == '\\' || c == '/' && w.slash:
				b = append(b, '\\', c)
			case c == '\n':
				b = append(b, '\\', 'n')
			case c == '\r':
				b = append(b, '\\', 'r')
			case c == '\t':
				b = append(b, '\\', 't')
			case c < 0x20 || c == '<' || c == '>' || c == '&':
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			default:
				b = append(b, c)
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !w.ascii && r != '\u2028' && r != '\u2029' {
			b = append(b, s[i:i+n]...)
			i += n
			continue
		}
		i += n
		units := []rune{r}
		if r > 0xffff {
			r -= 0x10000
			units = []rune{0xd800 + r>>10, 0xdc00 + r&0x3ff}
		}
		for _, u := range units {
			b = append(b, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
		}
	}
	w.b = append(b, '"')
}
