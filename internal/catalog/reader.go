package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Every list in a body is bounded: without that, a few megabytes of {} would
// grow a hundredfold. Shopify's largest list names 2,048 variants, and at most
// 100 of them come in full.
const (
	maxItems    = 10_000
	maxVariants = 4_096
)

// reader reads one JSON body: the JSON library checks all of it once, then the
// cursor walks over what is known to be sound. That takes half the time of
// asking the library for one token after the other.
//
// The first error sticks and ends every loop over members, so callers look at
// err once, at the end.
type reader struct {
	cursor
	err error

	dec jsontext.Decoder
	src bytes.Buffer

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

// newReader returns a reader of body, with err set when it is not JSON.
func newReader(body []byte) *reader {
	r := readers.Get().(*reader)
	r.cursor = cursor{body: body}
	r.check()
	return r
}

// release gives the reader back, holding on to nothing of the body and to no
// scratch space that one unusual body made large.
func (r *reader) release() {
	const many, long = 128, 64 << 10
	r.cursor, r.err = cursor{}, nil
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

// recycle empties s for its next use, or lets go of it when it grew beyond
// limit.
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

// take returns a copy of s that fits exactly. It is never nil, so that an empty
// list stays one when it is written as JSON.
func take[T any](s []T) []T {
	out := make([]T, len(s))
	copy(out, s)
	return out
}

// check notes an error unless the body is one JSON value in UTF-8 and nothing
// else. Nesting is bounded by the JSON library.
func (r *reader) check() {
	if len(r.body) == 0 {
		r.fail(&MalformedError{Reason: "the body is empty"})
		return
	}
	r.src = *bytes.NewBuffer(r.body)
	// A name given twice is no reason to refuse a signed body, and looking for
	// one would cost a quarter of the whole.
	r.dec.Reset(&r.src, jsontext.AllowDuplicateNames(true))
	_, err := r.dec.ReadValue()
	if err == nil {
		if _, more := r.dec.ReadToken(); more != io.EOF {
			r.fail(&MalformedError{Reason: "the body goes on after its JSON value"})
		}
	} else {
		// The library's own text may quote the body, so only the place is
		// passed on.
		at := r.dec.InputOffset()
		if bad, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			at = bad.ByteOffset
		}
		r.fail(&MalformedError{Reason: fmt.Sprintf("the body is not JSON in UTF-8 (byte %d of %d)", at, len(r.body))})
	}
	r.src = bytes.Buffer{}
	r.dec.Reset(&r.src)
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

// more reports whether the open object or array has another member, and leaves
// it when not. After an error there are no more members anywhere.
func (r *reader) more() bool { return r.err == nil && r.next() }

// name returns the name of the next member, valid until the next call.
func (r *reader) name() []byte { return r.unquote(r.rawName()) }

// list enters an array, or passes over null. It reports whether to go on with
// the elements and whether the value was null.
func (r *reader) list(field string) (enter, null bool) {
	switch r.peek() {
	case '[':
		r.open()
		return true, false
	case 'n':
		r.value()
		return false, true
	}
	r.malformed(field, "is not a list")
	return false, false
}

// element enters the object that is a list's next element.
func (r *reader) element(field string) {
	if r.peek() != '{' {
		r.malformed(field, "is not a list of objects")
	}
	r.open()
}

// bounded reports whether a list of n may take one more element.
func (r *reader) bounded(field string, n int) bool { return r.atMost(maxItems, field, n) }

func (r *reader) atMost(limit int, field string, n int) bool {
	if n >= limit {
		r.malformed(field, fmt.Sprintf("has more than %d entries", limit))
	}
	return r.err == nil
}

// unquote returns the text of a JSON string, valid until the next call.
func (r *reader) unquote(raw []byte) []byte {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	r.unquoted = appendUnquoted(r.unquoted[:0], inner)
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
