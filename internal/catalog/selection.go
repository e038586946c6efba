package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Mode is how a selection starts before its exclude list is applied.
type Mode string

const (
	// SelectAll selects every product; it is the default.
	SelectAll Mode = "all"
	// SelectInclude selects the listed ids only; an empty list selects none.
	SelectInclude Mode = "include"
	// SelectRules selects products that at least one rule matches.
	SelectRules Mode = "rules"
)

// Selection says which products of a shop are kept current. A product is
// selected when the mode selects it and it is not in Exclude. The zero value
// selects every product.
type Selection struct {
	Mode    Mode    `json:"mode"`
	Include []int64 `json:"include,omitempty"`
	Exclude []int64 `json:"exclude,omitempty"`
	Rules   []Rule  `json:"rules,omitempty"`
}

// Rule matches a product by one of its fields, without regard to case.
type Rule struct {
	Field RuleField `json:"field"`
	Value string    `json:"value"`
}

// RuleField is what a rule looks at.
type RuleField string

// The fields a rule can look at.
const (
	RuleTag    RuleField = "tag"
	RuleVendor RuleField = "vendor"
	RuleType   RuleField = "type"
	// RulePublished is true of what is published on the online store.
	RulePublished RuleField = "published"
)

// ParseRule reads "tag=x", "vendor=x", "type=x" or "published=true".
func ParseRule(s string) (Rule, error) {
	field, value, ok := strings.Cut(s, "=")
	r := Rule{Field: RuleField(strings.ToLower(strings.TrimSpace(field))), Value: strings.TrimSpace(value)}
	if !ok || r.Value == "" {
		return Rule{}, fmt.Errorf("%q is not a rule; write tag=x, vendor=x, type=x or published=true", s)
	}
	return r, r.validate()
}

// ParseIDs reads product ids with commas, semicolons or spaces between them, as
// ParseProductID does. wrong has an error for each that is none.
func ParseIDs(text string) (ids []int64, wrong []error) {
	ids = []int64{}
	seen := map[int64]bool{}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || unicode.IsSpace(r) }) {
		id, err := ParseProductID(word)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, wrong
}

func (r Rule) validate() error {
	switch r.Field {
	case RuleTag, RuleVendor, RuleType:
		return nil
	case RulePublished:
		if r.Equals("true") || r.Equals("false") {
			return nil
		}
		return fmt.Errorf("write published=true or published=false, not published=%s", r.Value)
	}
	return fmt.Errorf("a rule can't look at %q; it looks at tag, vendor, type or published", r.Field)
}

// ParseSelection reads the JSON form and checks it.
func ParseSelection(data []byte) (Selection, error) {
	var s Selection
	if err := json.Unmarshal(data, &s); err != nil {
		return Selection{}, fmt.Errorf("read selection: %w", err)
	}
	return s, s.Validate()
}

// Validate returns an error that says what is wrong with the selection.
func (s Selection) Validate() error {
	switch s.Mode {
	case "", SelectAll, SelectInclude, SelectRules:
	default:
		return fmt.Errorf("selection mode %q is unknown; it is all, include or rules", s.Mode)
	}
	if s.Mode != SelectInclude && len(s.Include) > 0 {
		return errors.New("an include list needs the mode include")
	}
	if s.Mode != SelectRules && len(s.Rules) > 0 {
		return errors.New("rules need the mode rules")
	}
	if s.Mode == SelectRules && len(s.Rules) == 0 {
		return errors.New("there is no rule; write at least one, such as tag=web")
	}
	for _, id := range slices.Concat(s.Include, s.Exclude) {
		if id <= 0 {
			return fmt.Errorf("%d is not a product id", id)
		}
	}
	for _, r := range s.Rules {
		if err := r.validate(); err != nil {
			return err
		}
	}
	return nil
}

// ByContent reports whether the product's fields decide, besides its id.
func (s Selection) ByContent() bool { return s.Mode == SelectRules }

// Selects reports whether the product is selected, a field that is absent or null
// being empty.
func (s Selection) Selects(p *Product) bool {
	if slices.Contains(s.Exclude, p.ID) {
		return false
	}
	switch s.Mode {
	case SelectInclude:
		return slices.Contains(s.Include, p.ID)
	case SelectRules:
		return slices.ContainsFunc(s.Rules, func(r Rule) bool { return slices.ContainsFunc(r.Field.Values(p), r.Equals) })
	}
	return true
}

// Equals reports whether a field's value is the rule's: upper and lower case are
// the same, and so are spaces around it.
func (r Rule) Equals(value string) bool {
	return strings.EqualFold(strings.TrimSpace(value), strings.TrimSpace(r.Value))
}

// cell is the field of a product.
func (f RuleField) cell(p *Product) Cell {
	switch f {
	case RuleTag:
		return &p.Tags
	case RuleVendor:
		return &p.Vendor
	case RulePublished:
		return &p.PublishedAt
	}
	return &p.ProductType
}

// Values returns what the field of a product holds, a time being "true".
func (f RuleField) Values(p *Product) []string {
	switch c := f.cell(p).(type) {
	case *Field[[]string]:
		return c.Value()
	case *Field[string]:
		return []string{c.Value()}
	}
	_, published := p.PublishedAt.Get()
	return []string{strconv.FormatBool(published)}
}

// Judge reports whether the product is selected, and whether that can be
// known: rules can't be judged on a payload that lacks the fields they look at.
func (s Selection) Judge(p *Product) (selected, known bool) {
	absent := func(r Rule) bool { return !r.Field.cell(p).Present() }
	if s.ByContent() && !slices.Contains(s.Exclude, p.ID) && slices.ContainsFunc(s.Rules, absent) {
		return false, false
	}
	return s.Selects(p), true
}

// String says the selection in words.
func (s Selection) String() string {
	var b strings.Builder
	switch s.Mode {
	case SelectInclude:
		fmt.Fprintf(&b, "%d listed products", len(s.Include))
	case SelectRules:
		for i, r := range s.Rules {
			if i > 0 {
				b.WriteString(" or ")
			}
			fmt.Fprintf(&b, "%s=%s", r.Field, r.Value)
		}
	default:
		b.WriteString("all products")
	}
	if len(s.Exclude) > 0 {
		fmt.Fprintf(&b, " except %d listed ones", len(s.Exclude))
	}
	return b.String()
}
