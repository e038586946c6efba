package shopify

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// deepestLine is how many levels of objects and lists a line may have.
const deepestLine = 100

// lineReader reads one line of a bulk result member by member. A million of them
// are read at a time, and this takes a quarter of what filling structs by
// reflection takes. null is the zero value; the first thing that does not fit
// sticks in bad, and ends every loop.
type lineReader struct {
	line []byte
	at   int
	bad  string
	// text collects the strings of all lines, few allocations for many; each
	// takes room.
	text  strings.Builder
	room  int
	plain []byte
}

// read has fields take a line, an object, and returns what is wrong with it.
func (r *lineReader) read(line []byte, fields func()) error {
	r.line, r.at, r.bad = line, 0, ""
	if r.peek() != '{' {
		r.fail("an object was expected")
	}
	fields()
	if r.blanks(); r.at < len(r.line) {
		r.fail("it goes on after its end")
	}
	if r.bad != "" {
		return fmt.Errorf("byte %d: %s", r.at, r.bad)
	}
	return nil
}

func (r *lineReader) fail(why string) {
	if r.bad == "" {
		r.bad = why
	}
}

func (r *lineReader) blanks() {
	for r.at < len(r.line) && (r.line[r.at] == ' ' || r.line[r.at] == '\t' || r.line[r.at] == '\r' || r.line[r.at] == '\n') {
		r.at++
	}
}

// peek is the first byte of what follows, 0 for nothing and after an error.
func (r *lineReader) peek() byte {
	if r.blanks(); r.at < len(r.line) && r.bad == "" {
		return r.line[r.at]
	}
	return 0
}

func (r *lineReader) take(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.at++
	return true
}

// enter goes into an object or a list, or passes over null.
func (r *lineReader) enter(open byte) bool {
	if r.take(open) {
		return true
	}
	if !r.null() {
		r.fail("another kind of value was expected")
	}
	return false
}

// more goes to the next part of an object or a list, or leaves it.
func (r *lineReader) more(first bool, end byte) bool {
	switch c := r.peek(); {
	case c == end:
		r.at++
		return false
	case c == 0:
		r.fail("it is cut off")
		return false
	case first:
		return true
	case c == ',':
		r.at++
		return true
	}
	r.fail("a comma was expected")
	return false
}

// members goes through an object: it yields each name, and the loop reads the
// value.
func (r *lineReader) members(yield func(name []byte) bool) {
	if !r.enter('{') {
		return
	}
	for first := true; r.more(first, '}'); first = false {
		raw, strange := r.quoted()
		if !r.take(':') {
			r.fail("a name was expected")
			return
		}
		if strange {
			raw = r.unquote(raw)
		}
		if !yield(raw[1 : len(raw)-1]) {
			return
		}
	}
}

// elements goes through a list: the loop reads each.
func (r *lineReader) elements(yield func() bool) {
	if !r.enter('[') {
		return
	}
	for first := true; r.more(first, ']'); first = false {
		if !yield() {
			return
		}
	}
}

// listOf reads a list, nil for null.
func listOf[T any](r *lineReader, read func() T) []T {
	if r.null() {
		return nil
	}
	list := []T{}
	for range r.elements {
		list = append(list, read())
	}
	return list
}

// orNil reads a value, nil for null.
func orNil[T any](r *lineReader, read func() T) *T {
	if r.null() {
		return nil
	}
	v := read()
	return &v
}

// quoted passes over a string and returns it with its quotes. strange says that
// it does not stand for itself.
func (r *lineReader) quoted() (raw []byte, strange bool) {
	if r.peek() != '"' {
		r.fail("text was expected")
		return []byte(`""`), false
	}
	from := r.at
	ascii := true
	for i := from + 1; i < len(r.line); i++ {
		c := r.line[i]
		if c > '\\' && c < utf8.RuneSelf || c > '"' && c < '\\' || c == ' ' {
			continue
		}
		switch {
		case c == '"':
			r.at = i + 1
			raw = r.line[from:r.at]
			return raw, strange || !ascii && !utf8.Valid(raw)
		case c == '\\':
			strange = true
			i++
		case c < ' ':
			r.fail("text has a control character")
			return []byte(`""`), false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	r.fail("it is cut off")
	return []byte(`""`), false
}

// unquote is a string with its quotes but without escapes, valid until the next
// call. What is no UTF-8 is replaced.
func (r *lineReader) unquote(raw []byte) []byte {
	r.plain = append(r.plain[:0], '"')
	for i := 1; i < len(raw)-1; i++ {
		c := raw[i]
		if c == '\\' && raw[i+1] == '/' {
			continue
		}
		if c == '\\' || c >= utf8.RuneSelf {
			return r.unquoteSlowly(raw)
		}
		r.plain = append(r.plain, c)
	}
	return append(r.plain, '"')
}

func (r *lineReader) unquoteSlowly(raw []byte) []byte {
	if !jsontext.Value(raw).IsValid(jsontext.AllowInvalidUTF8(true)) {
		r.fail("text has a wrong escape")
		return []byte(`""`)
	}
	r.plain, _ = jsontext.AppendUnquote(append(r.plain[:0], '"'), raw)
	return append(r.plain, '"')
}

// string reads text.
func (r *lineReader) string() string {
	if r.null() {
		return ""
	}
	raw, strange := r.quoted()
	if strange {
		raw = r.unquote(raw)
	}
	if raw = raw[1 : len(raw)-1]; len(raw) == 0 {
		return ""
	}
	if r.text.Cap()-r.text.Len() < len(raw) {
		r.text = strings.Builder{}
		r.text.Grow(max(len(raw), r.room))
	}
	from := r.text.Len()
	r.text.Write(raw)
	return r.text.String()[from:]
}

// null passes over null.
func (r *lineReader) null() bool { return r.peek() == 'n' && r.word("null") }

func (r *lineReader) word(w string) bool {
	if len(r.line)-r.at < len(w) || string(r.line[r.at:r.at+len(w)]) != w {
		r.fail("it is not JSON")
		return false
	}
	r.at += len(w)
	return true
}

func (r *lineReader) bool() bool {
	switch r.peek() {
	case 't':
		return r.word("true")
	case 'f':
		r.word("false")
	default:
		if !r.null() {
			r.fail("true or false was expected")
		}
	}
	return false
}

// number passes over a number. plain says that it is whole and without exponent.
func (r *lineReader) number() (raw []byte, plain bool) {
	r.blanks()
	from, i := r.at, r.at
	plain = true
	for ; i < len(r.line); i++ {
		switch c := r.line[i]; {
		case '0' <= c && c <= '9' || c == '-' && i == from:
			continue
		case c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E':
			plain = false
			continue
		}
		break
	}
	raw, r.at = r.line[from:i], i
	digits := raw
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || digits[0] == '0' && len(digits) > 1 && plain || !plain && !jsontext.Value(raw).IsValid() {
		r.fail("a number was expected")
	}
	return raw, plain
}

func (r *lineReader) int() int64 {
	if r.null() {
		return 0
	}
	raw, plain := r.number()
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || !plain {
		r.fail("a whole number was expected")
	}
	return n
}

func (r *lineReader) float() float64 {
	if r.null() {
		return 0
	}
	raw, _ := r.number()
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		r.fail("a number was expected")
	}
	return n
}

// time reads an instant as RFC 3339 has it.
func (r *lineReader) time() (t time.Time) {
	if r.null() {
		return t
	}
	raw, strange := r.quoted()
	if strange {
		raw = r.unquote(raw)
	}
	if r.bad == "" && t.UnmarshalText(raw[1:len(raw)-1]) != nil {
		r.fail("an RFC 3339 time was expected")
	}
	return t
}

// skip passes over a value.
func (r *lineReader) skip(depth int) {
	switch c := r.peek(); c {
	case '"':
		if raw, strange := r.quoted(); strange {
			r.unquote(raw)
		}
	case '{', '[':
		if depth >= deepestLine {
			r.fail("it is too deep")
			return
		}
		if c == '{' {
			for range r.members {
				r.skip(depth + 1)
			}
			return
		}
		for range r.elements {
			r.skip(depth + 1)
		}
	case 't', 'f':
		r.bool()
	case 'n':
		r.null()
	default:
		r.number()
	}
}
