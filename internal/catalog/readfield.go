package catalog

import "strings"

// textField reads a string or null.
func (r *reader) textField(field string) Field[string] {
	raw := r.value()
	switch kindOf(raw) {
	case '"':
		return Of(r.keep(r.unquote(raw)))
	case 'n':
		return Null[string]()
	}
	r.malformed(field, "is not text")
	return Field[string]{}
}

// lowerField reads a string or null and puts it into lower case.
func (r *reader) lowerField(field string) Field[string] {
	f := r.textField(field)
	if s, ok := f.Get(); ok {
		return Of(lowerASCII(s))
	}
	return f
}

// decimalField reads a decimal number, written as a JSON string or number, and
// keeps its text. An empty string says that there is no price, as null does.
func (r *reader) decimalField(field string) Field[string] {
	raw := r.value()
	switch kindOf(raw) {
	case 'n':
		return Null[string]()
	case '"':
		raw = r.unquote(raw)
		if len(raw) == 0 {
			return Null[string]()
		}
	case '0':
	default:
		r.malformed(field, "is not a decimal number")
		return Field[string]{}
	}
	s := r.keep(raw)
	if _, ok := CanonicalDecimal(s); !ok {
		r.malformed(field, "is not a decimal number")
		return Field[string]{}
	}
	return Of(s)
}

// intField reads a whole number or null.
func (r *reader) intField(field string) Field[int64] {
	raw := r.value()
	if kindOf(raw) == 'n' {
		return Null[int64]()
	}
	n, ok := parseInt(raw)
	if !ok {
		r.malformed(field, "is not a whole number of 64 bits")
		return Field[int64]{}
	}
	return Of(n)
}

// idField reads a positive id, written as a number or as a string of digits,
// or null.
func (r *reader) idField(field string) Field[int64] {
	raw := r.value()
	if kindOf(raw) == 'n' {
		return Null[int64]()
	}
	if kindOf(raw) == '"' {
		raw = r.unquote(raw)
	}
	n, ok := parseInt(raw)
	if !ok || n <= 0 {
		r.malformed(field, "is not an id, a positive whole number of 64 bits")
		return Field[int64]{}
	}
	return Of(n)
}

// gramsField reads a weight in whole grams or null. A fraction of a gram has
// no place in the column, so such a value counts as not sent rather than being
// rounded without a word.
func (r *reader) gramsField(field string) Field[int64] {
	raw := r.value()
	switch kindOf(raw) {
	case 'n':
		return Null[int64]()
	case '0':
		if n, ok := parseInt(raw); ok {
			return Of(n)
		}
		text, ok := CanonicalDecimal(string(raw))
		if !ok {
			return Field[int64]{}
		}
		if n, ok := parseInt([]byte(text)); ok {
			return Of(n)
		}
		return Field[int64]{}
	}
	r.malformed(field, "is not a number")
	return Field[int64]{}
}

// boolField reads true, false or null.
func (r *reader) boolField(field string) Field[bool] {
	switch kindOf(r.value()) {
	case 't':
		return Of(true)
	case 'f':
		return Of(false)
	case 'n':
		return Null[bool]()
	}
	r.malformed(field, "is not true or false")
	return Field[bool]{}
}

// timeField reads an RFC 3339 instant or null.
func (r *reader) timeField(field string) Field[int64] {
	raw := r.value()
	switch kindOf(raw) {
	case 'n':
		return Null[int64]()
	case '"':
		if ms, ok := parseTime(r.unquote(raw)); ok {
			return Of(ms)
		}
	}
	r.malformed(field, "is not an RFC 3339 time")
	return Field[int64]{}
}

// gidField reads a global id of the wanted resource and returns its number, 0
// for null. One of another resource is a mismatch.
func (r *reader) gidField(resource string) int64 {
	raw := r.value()
	switch kindOf(raw) {
	case 'n':
		return 0
	case '"':
		got, id, ok := ParseGID(raw[1 : len(raw)-1])
		if !ok {
			got, id, ok = ParseGID(r.unquote(raw)) // escaped in some unusual way
		}
		if !ok || string(got) != resource {
			r.mismatch("an admin_graphql_api_id does not name a " + resource)
			return 0
		}
		return id
	}
	r.malformed("admin_graphql_api_id", "is not text")
	return 0
}

// tagsField reads tags: a text with commas between them as webhooks have it,
// a list as GraphQL has it, or null.
func (r *reader) tagsField() Field[[]string] {
	const field = "tags"
	if r.err != nil {
		return Field[[]string]{}
	}
	r.texts = drop(r.texts)
	if r.peek() == '[' {
		r.open()
		for r.more() {
			tag := r.textField(field)
			if !r.bounded(field, len(r.texts)) {
				break
			}
			if t := trimBlanks(tag.Value()); t != "" {
				r.texts = append(r.texts, t)
			}
		}
		return Of(r.takeTexts())
	}
	all := r.textField(field)
	if all.IsNull() {
		return Null[[]string]()
	}
	for rest, more := all.Value(), true; more; {
		var tag string
		tag, rest, more = strings.Cut(rest, ",")
		if tag = trimBlanks(tag); tag == "" {
			continue
		}
		if !r.bounded(field, len(r.texts)) {
			break
		}
		r.texts = append(r.texts, tag)
	}
	return Of(r.takeTexts())
}

func (r *reader) takeTexts() []string {
	s := take(r.texts)
	r.texts = drop(r.texts)
	return s
}

// kindOf returns '"', '0' (any number), 'n', 't', 'f', '{' or '[' for a raw
// value, 0 for none.
func kindOf(raw []byte) byte {
	if len(raw) == 0 {
		return 0
	}
	switch c := raw[0]; c {
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return '0'
	default:
		return c
	}
}

// trimBlanks takes ASCII blanks off both ends. Other blanks are text.
func trimBlanks(s string) string {
	for len(s) > 0 && isBlank(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
