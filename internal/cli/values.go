package cli

import (
	"cmp"
	"fmt"

	"stockroom/internal/catalog"
)

// The types of arguments and flags whose values have limits; the parser calls
// Validate.
type (
	rows      int     // of a list
	stock     int     // products that a simulated shop starts with
	editing   float64 // edits a second
	productID int64   // as people copy it
)

func (n rows) Validate() error    { return between(n, 1, 1000) }
func (n stock) Validate() error   { return between(n, 0, 1_000_000) }
func (n editing) Validate() error { return between(n, 0, 10_000) }

func between[T cmp.Ordered](n, least, most T) error {
	if n >= least && n <= most {
		return nil
	}
	return fmt.Errorf("needs a number from %v to %v, not %v", least, most, n)
}

// UnmarshalText reads an id.
func (id *productID) UnmarshalText(text []byte) error {
	n, err := catalog.ParseProductID(string(text))
	*id = productID(n)
	return err
}
