package catalog

import "github.com/go-json-experiment/json"

// Field is one field of a payload in one of three states: absent (the zero
// value), null, or a value. The difference between absent and null is what
// keeps a reduced body from erasing what an earlier one told us: an absent
// field keeps its stored value, an explicit null clears it.
type Field[T any] struct {
	value T
	state fieldState
}

type fieldState uint8

const (
	fieldAbsent fieldState = iota
	fieldNull
	fieldValue
)

// Of returns a field that carries v.
func Of[T any](v T) Field[T] { return Field[T]{value: v, state: fieldValue} }

// Null returns a field that is present and null.
func Null[T any]() Field[T] { return Field[T]{state: fieldNull} }

// UnmarshalJSON implements json.Unmarshaler; null is a null field, and what can't be
// read leaves it absent.
func (f *Field[T]) UnmarshalJSON(text []byte) error {
	*f = Field[T]{}
	if string(text) == "null" {
		*f = Null[T]()
		return nil
	}
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	*f = Of(v)
	return nil
}

// Present reports whether the payload named the field, null included.
func (f Field[T]) Present() bool { return f.state != fieldAbsent }

// IsNull reports whether the payload set the field to null.
func (f Field[T]) IsNull() bool { return f.state == fieldNull }

// Get returns the value and true, or the zero value and false when the field
// is absent or null.
func (f Field[T]) Get() (T, bool) { return f.value, f.state == fieldValue }

// Value returns the value, or the zero value when the field is absent or null.
func (f Field[T]) Value() T { return f.value }

// Or returns f, or old when f is absent.
func (f Field[T]) Or(old Field[T]) Field[T] {
	if f.state == fieldAbsent {
		return old
	}
	return f
}

func (f *Field[T]) set(to Cell) { *f = *to.(*Field[T]) }
