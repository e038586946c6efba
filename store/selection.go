package store

import (
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"stockroom/internal/catalog"
)

// SelectionEffect is what a changed selection did, or would do.
type SelectionEffect struct {
	Stored      int  `json:"stored"`      // products with a row
	Active      int  `json:"active"`      // of them, ACTIVE before
	Activated   int  `json:"activated"`   // INACTIVE before and ACTIVE now
	Deactivated int  `json:"deactivated"` // ACTIVE before and INACTIVE now
	ToFetch     int  `json:"to_fetch"`    // products wanted from Shopify
	FullSync    bool `json:"full_sync"`   // products that have no row may match: the whole shop is read

	Wanted    []Wanted        `json:"-"`
	NotStored []int64         `json:"-"` // listed ids without a row
	Unmatched []UnmatchedRule `json:"-"`
}

// Drastic reports whether so many products leave that it may be a mistake: more
// than one of ten ACTIVE ones.
func (e SelectionEffect) Drastic() bool { return e.Deactivated*10 > e.Active }

// UnmatchedRule is a rule that no stored product matches.
type UnmatchedRule struct {
	catalog.Rule
	Near []ValueCount // what the products have instead, the most alike first
	More int          // further values
}

// ValueCount is a field's value and how many products have it.
type ValueCount struct {
	Value    string
	Products int
}

// PreviewSelection tells what SetSelection would do, and changes nothing.
func (s *Store) PreviewSelection(ctx context.Context, shop string, sel catalog.Selection) (SelectionEffect, error) {
	return s.selecting(ctx, shop, sel, false)
}

// SetSelection replaces a shop's selection and applies it to every stored
// product in the same transaction: a product that is not selected any more
// becomes INACTIVE and keeps its content, one that is selected again takes its
// Shopify status and is fetched. Ids that are newly included and have no row
// are fetched; a selection that may match products never stored asks for a full
// sync.
func (s *Store) SetSelection(ctx context.Context, shop string, sel catalog.Selection) (SelectionEffect, error) {
	return s.selecting(ctx, shop, sel, true)
}

func (s *Store) selecting(ctx context.Context, shop string, sel catalog.Selection, change bool) (SelectionEffect, error) {
	if err := sel.Validate(); err != nil {
		return SelectionEffect{}, err
	}
	var j judged
	err := s.write(ctx, s.urgent, groupRows, func(t *tx) (err error) {
		if j, err = t.judge(shop, sel); err != nil || !change {
			return err
		}
		return t.reselect(shop, sel, j)
	})
	if err != nil {
		return SelectionEffect{}, err
	}
	for _, w := range j.effect.Wanted {
		if w.Kind == WantSync {
			j.effect.FullSync = true
		} else {
			j.effect.ToFetch++
		}
	}
	j.effect.Unmatched = j.unmatched(sel)
	return j.effect, nil
}

// judged is what a selection makes of a shop's products.
type judged struct {
	effect SelectionEffect
	turns  []turn
	// values counts what the products have in the fields that the rules look at.
	values map[catalog.RuleField]map[string]int
}

// turn is a product that is selected and was not, or was and is not any more.
type turn struct {
	id, externalID int64
	before, after  string // status
	selected       bool
}

// judge tells what the selection makes of the stored products, and what it wants
// from Shopify. It changes nothing.
func (t *tx) judge(shop string, sel catalog.Selection) (judged, error) {
	j := judged{values: map[catalog.RuleField]map[string]int{}}
	for _, rule := range sel.Rules {
		j.values[rule.Field] = map[string]int{}
	}
	missing := map[int64]bool{}
	for _, id := range slices.Concat(sel.Include, sel.Exclude) {
		missing[id] = true
	}
	err := t.each(`
		SELECT id, external_id, status, shopify_status, selected, vendor, product_type, tags, published_at
		FROM products WHERE shop = ?`, 9, func(row []driver.Value) error {
		p := catalog.Product{ID: asInt(row[1])}
		err := errors.Join(setCell(&p.Status, row[3]), setCell(&p.Vendor, row[5]), setCell(&p.ProductType, row[6]),
			setCell(&p.Tags, row[7]), setCell(&p.PublishedAt, row[8]))
		if err != nil {
			return fmt.Errorf("column tags: %w", err)
		}
		for field, counts := range j.values {
			for _, value := range field.Values(&p) {
				counts[value]++
			}
		}
		delete(missing, p.ID)
		selected := sel.Selects(&p)
		c := turn{asInt(row[0]), p.ID, asText(row[2]), statusOf(selected, &p), selected}
		j.count(c)
		if selected != (asInt(row[4]) != 0) {
			j.turns = append(j.turns, c)
		}
		return nil
	}, shop)
	if err != nil {
		return judged{}, fmt.Errorf("read products: %w", err)
	}
	j.effect.NotStored = slices.Sorted(maps.Keys(missing))
	return j, j.want(shop, t.s.selectionOf(shop), sel, missing, t.now)
}

func (j *judged) count(c turn) {
	j.effect.Stored++
	if c.before == active {
		j.effect.Active++
	}
	switch {
	case c.before == c.after:
	case c.after == active:
		j.effect.Activated++
	default:
		j.effect.Deactivated++
	}
}

// want lists the products that are selected again, and what the selection may
// match and no row holds.
func (j *judged) want(shop string, before, sel catalog.Selection, missing map[int64]bool, now int64) error {
	want := func(kind WantedKind, id int64, reason string) {
		j.effect.Wanted = append(j.effect.Wanted, Wanted{Shop: shop, Kind: kind, ID: id, Reason: reason, At: Millis(now)})
	}
	for _, c := range j.turns {
		if c.selected {
			want(WantProduct, c.externalID, "it was selected again")
		}
	}
	if sel.Mode != catalog.SelectInclude {
		if same, err := sameSelection(before, sel); err != nil || same {
			return err
		}
		want(WantSync, 0, "the selection changed")
		return nil
	}
	for _, id := range sel.Include {
		if missing[id] && sel.Selects(&catalog.Product{ID: id}) {
			want(WantProduct, id, "it was selected")
		}
	}
	return nil
}

// reselect writes the selection and what it makes of the stored products.
func (t *tx) reselect(shop string, sel catalog.Selection, j judged) error {
	text, err := json.Marshal(sel)
	if err != nil {
		return fmt.Errorf("encode selection: %w", err)
	}
	err = t.do("write selection", `
		INSERT INTO selections (shop, selection, changed_at) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET selection = excluded.selection, changed_at = excluded.changed_at`,
		shop, string(text), t.now)
	if err != nil {
		return err
	}
	t.s.settings.touched = true
	t.s.settings.selections[shop] = sel
	if err := t.do("forget passed over versions", `DELETE FROM passed_over WHERE shop = ?`, shop); err != nil {
		return err
	}
	for _, c := range j.turns {
		if err := t.turnProduct(shop, c, "select"); err != nil {
			return err
		}
		if c.selected {
			continue
		}
		if err := t.unwant(shop, c.externalID); err != nil {
			return err
		}
		if err := t.settled(shop, c.externalID); err != nil {
			return err
		}
	}
	for _, w := range j.effect.Wanted {
		if err := t.want(w); err != nil {
			return err
		}
	}
	return nil
}

// turnProduct selects a product or leaves it out; its content stays.
func (t *tx) turnProduct(shop string, c turn, cause string) error {
	err := t.do("turn product", `UPDATE products SET selected = ?, status = ? WHERE id = ?`, bit(c.selected), c.after, c.id)
	if err != nil {
		return err
	}
	return t.turned(shop, c.externalID, c.before, c.after, cause)
}

const nearValues = 3 // how many are named beside a rule that matches nothing

// unmatched lists the rules that no stored product matches, with the values that
// are the most alike.
func (j *judged) unmatched(sel catalog.Selection) (list []UnmatchedRule) {
	for _, rule := range sel.Rules {
		counts := j.values[rule.Field]
		if slices.ContainsFunc(slices.Collect(maps.Keys(counts)), rule.Equals) {
			continue
		}
		u := UnmatchedRule{Rule: rule}
		apart := make(map[string]int, len(counts))
		for value, n := range counts {
			if strings.TrimSpace(value) == "" {
				continue
			}
			u.Near = append(u.Near, ValueCount{value, n})
			apart[value] = distance(strings.ToLower(strings.TrimSpace(value)), strings.ToLower(strings.TrimSpace(rule.Value)))
		}
		slices.SortFunc(u.Near, func(a, b ValueCount) int {
			return cmp.Or(apart[a.Value]-apart[b.Value], b.Products-a.Products, strings.Compare(a.Value, b.Value))
		})
		u.More = max(0, len(u.Near)-nearValues)
		u.Near = u.Near[:len(u.Near)-u.More]
		list = append(list, u)
	}
	return list
}

// distance is how many letters have to be changed, added or left out to turn one
// word into the other (Levenshtein). Only the first 64 letters count.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	x, y = x[:min(len(x), 64)], y[:min(len(y), 64)]
	row := make([]int, len(y)+1)
	for k := range row {
		row[k] = k
	}
	for i := range x {
		left := row[0] // of the row before
		row[0] = i + 1
		for k := range y {
			change := left
			if x[i] != y[k] {
				change++
			}
			left = row[k+1]
			row[k+1] = min(change, row[k]+1, left+1)
		}
	}
	return row[len(y)]
}

// Selection returns a shop's selection, or ErrNotFound when none is stored.
func (s *Store) Selection(ctx context.Context, shop string) (catalog.Selection, error) {
	return queryOne(ctx, s, func(scan func(...any) error) (catalog.Selection, error) {
		var text string
		if err := scan(&text); err != nil {
			return catalog.Selection{}, err
		}
		return catalog.ParseSelection([]byte(text))
	}, `SELECT selection FROM selections WHERE shop = ?`, shop)
}

// SameSelection reports whether two selections are written the same.
func SameSelection(a, b catalog.Selection) bool {
	same, err := sameSelection(a, b)
	return err == nil && same
}

func sameSelection(a, b catalog.Selection) (bool, error) {
	if a.Mode == "" {
		a.Mode = catalog.SelectAll
	}
	if b.Mode == "" {
		b.Mode = catalog.SelectAll
	}
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return string(x) == string(y), err
}
