package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// maxItems bounds every list in a body. Shopify's largest is 2,048 variants;
// without a bound a body of a few megabytes of {} would grow a hundredfold.
const maxItems = 10_000

// reader reads one JSON body from front to back. The first error sticks: every
// later call is a quick no-op, so callers look at err once, at the end.
type reader struct {
	dec  jsontext.Decoder
	src  bytes.Buffer
	body []byte
	err  error

	// text collects the strings that are kept, one allocation for many. They
	// are copies, so the caller may reuse the body.
	text strings.Builder

	// Scratch space, reused from body to body.
	unquoted []byte
	variants []Variant
	images   []Image
	options  []Option
	named    []VariantRef
	texts    []string
	carried  []int64
	listed   []int64
}

// readers holds spare readers. They carry memory, never state, from one body
// to the next.
var readers = sync.Pool{New: func() any { return new(reader) }}

func newReader(body []byte) *reader {
	r := readers.Get().(*reader)
	r.body = body
	r.src = *bytes.NewBuffer(body)
	// A repeated name is no reason to refuse a signed body; the last one wins,
	// and the check would cost a quarter of the whole.
	r.dec.Reset(&r.src, jsontext.AllowDuplicateNames(true))
	return r
}

// release gives the reader back, holding on to nothing of the body and to no
// scratch space that one unusual body made large.
func (r *reader) release() {
	const many, long = 128, 64 << 10
	r.src = bytes.Buffer{}
	r.dec.Reset(&r.src)
	r.body, r.err = nil, nil
	r.text = strings.Builder{}
	r.unquoted = recycle(r.unquoted, long)
	r.variants = recycle(r.variants, many)
	r.images = recycle(r.images, many)
	r.options = recycle(r.options, many)
	r.texts = recycle(r.texts, many)
	r.named = recycle(r.named, 4*many)
	r.carried = recycle(r.carried, 4*many)
	r.listed = recycle(r.listed, 4*many)
	readers.Put(r)
}

// recycle empties s for its next use and drops it when it grew beyond limit.
// Elements were cleared by drop as soon as they were done with.
func recycle[T any](s []T, limit int) []T {
	if cap(s) > limit {
		return nil
	}
	return drop(s)
}

// drop empties s and clears what it held, so that the pool pins nothing.
func drop[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// take returns a copy of s that fits exactly; nil for an empty one.
func take[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return slices.Clone(s)
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) malformed(field, what string) {
	r.fail(&MalformedError{Reason: "the field " + field + " " + what})
}

func (r *reader) mismatch(reason string) {
	r.fail(&MismatchError{Reason: reason})
}

// syntax notes an error of the JSON decoder. Its own text may quote the body,
// so only the place is passed on.
func (r *reader) syntax(err error) {
	if len(r.body) == 0 {
		r.fail(&MalformedError{Reason: "the body is empty"})
		return
	}
	at := r.dec.InputOffset()
	if bad, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = bad.ByteOffset
	}
	r.fail(&MalformedError{Reason: fmt.Sprintf("the body is not valid JSON in UTF-8 (byte %d of %d)", at, len(r.body))})
}

// value returns the next value as raw JSON, valid until the next call; nil
// after an error.
func (r *reader) value() []byte {
	if r.err != nil {
		return nil
	}
	v, err := r.dec.ReadValue()
	if err != nil {
		r.syntax(err)
		return nil
	}
	return v
}

// skip passes over the next value, checking its syntax.
func (r *reader) skip() {
	if r.err != nil {
		return
	}
	if err := r.dec.SkipValue(); err != nil {
		r.syntax(err)
	}
}

// open enters the object or array that follows, whose kind the caller peeked.
func (r *reader) open() {
	if r.err != nil {
		return
	}
	if _, err := r.dec.ReadToken(); err != nil {
		r.syntax(err)
	}
}

// more reports whether the object or array has another member, and leaves it
// when not.
func (r *reader) more() bool {
	if r.err != nil {
		return false
	}
	switch r.dec.PeekKind() {
	case jsontext.KindEndObject, jsontext.KindEndArray, jsontext.KindInvalid:
		r.open() // leaves it, or fetches the error that peeking met
		return false
	}
	return true
}

// name returns the next member's name, valid until the next call.
func (r *reader) name() []byte {
	raw := r.value()
	if len(raw) < 2 {
		return nil
	}
	return r.unquote(raw)
}

// end checks that nothing follows the top-level value.
func (r *reader) end() {
	if r.err != nil {
		return
	}
	if _, err := r.dec.ReadToken(); err != io.EOF {
		r.fail(&MalformedError{Reason: "the body goes on after its JSON value"})
	}
}

// list enters an array, or consumes null. It reports whether to go on with the
// elements and whether the value was null.
func (r *reader) list(field string) (enter, null bool) {
	if r.err != nil {
		return false, false
	}
	switch r.dec.PeekKind() {
	case jsontext.KindBeginArray:
		r.open()
		return r.err == nil, false
	case jsontext.KindNull:
		r.skip()
		return false, r.err == nil
	}
	r.wrongType(field, "a list")
	return false, false
}

// element enters the object that is a list's next element.
func (r *reader) element(field string) bool {
	if r.err == nil && r.dec.PeekKind() != jsontext.KindBeginObject {
		r.wrongType(field, "a list of objects")
	}
	r.open()
	return r.err == nil
}

// wrongType passes over the value first, so that broken JSON is reported as
// such.
func (r *reader) wrongType(field, want string) {
	r.skip()
	r.malformed(field, "is not "+want)
}

// bounded reports whether a list may take one more element.
func (r *reader) bounded(field string, n int) bool {
	if n >= maxItems {
		r.malformed(field, fmt.Sprintf("has more than %d entries", maxItems))
	}
	return r.err == nil
}

// unquote returns the text of a JSON string. It is valid until the next call.
func (r *reader) unquote(raw []byte) []byte {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	r.unquoted, _ = jsontext.AppendUnquote(r.unquoted[:0], raw) // raw was checked when read
	return r.unquoted
}

// keep returns a copy of b as a string, packed with others.
func (r *reader) keep(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if r.text.Cap()-r.text.Len() < len(b) {
		// Strings handed out keep the old chunk alive; a new one starts here.
		r.text = strings.Builder{}
		r.text.Grow(max(len(b), min(len(r.body)/2, 8<<10)))
	}
	from := r.text.Len()
	r.text.Write(b)
	return r.text.String()[from:]
}
