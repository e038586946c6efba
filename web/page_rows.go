package web

import (
	"cmp"
	"context"
	"net/url"
	"strconv"
	"time"

	"stockroom/internal/status"
	"stockroom/store"
)

// notices say how grave a notice is, by level.
var notices = map[status.Level]marked{
	status.LevelInfo: {moodIdle, "Note"}, status.LevelWarn: {moodWait, "Careful"}, status.LevelBad: {moodBad, "Problem"},
}

// titles looks up what products are called, each once.
type titles struct {
	many bool // more than one shop, so each row says which
	find func(shop string, id int64) (store.ProductRow, error)
	seen map[productKey]*store.ProductRow
	// item finds the product of an inventory item.
	item  func(shop string, id int64) (store.ItemOwner, error)
	items map[productKey]*store.ItemOwner
}

type productKey struct {
	shop string
	id   int64
}

func (s *Server) newTitles(ctx context.Context, many bool) *titles {
	return &titles{
		many:  many,
		find:  func(shop string, id int64) (store.ProductRow, error) { return s.o.Store.Product(ctx, shop, id) },
		seen:  map[productKey]*store.ProductRow{},
		item:  func(shop string, id int64) (store.ItemOwner, error) { return s.o.Store.OwnerOfItem(ctx, shop, id) },
		items: map[productKey]*store.ItemOwner{},
	}
}

// owner returns the product of an inventory item, nil when it is not stored.
func (t *titles) owner(shop string, item int64) *store.ItemOwner {
	return lookUp(t.items, productKey{shop, item}, t.item)
}

// product returns the stored product, nil when there is none.
func (t *titles) product(shop string, id int64) *store.ProductRow {
	return lookUp(t.seen, productKey{shop, id}, t.find)
}

// lookUp finds something, or returns what was found before.
func lookUp[T any](seen map[productKey]*T, key productKey, find func(shop string, id int64) (T, error)) *T {
	if known, ok := seen[key]; ok {
		return known
	}
	var found *T
	if v, err := find(key.shop, key.id); err == nil {
		found = &v
	}
	seen[key] = found
	return found
}

// tag is the shop as a row shows it, "" when there is only one.
func (t *titles) tag(shop string) string {
	if !t.many {
		return ""
	}
	return shortShop(shop)
}

// of returns a product's title, or its id in words.
func (t *titles) of(shop string, id int64) string {
	if p := t.product(shop, id); p != nil {
		return titleOf(p)
	}
	return productName(id)
}

// productName is what a product without a title is called.
func productName(id int64) string { return "Product " + strconv.FormatInt(id, 10) }

// listRow is a delivery or a change as a list shows it.
type listRow struct {
	Key            string // the same on every page
	Mood           mood
	Path           string // of the product's page, "" for none
	What, Subject  string
	Shop           string
	Label, Meaning string
	Seen           string // how often, "" for once
	When           instant
	at             store.Millis
}

func deliveryRow(now time.Time, d store.DeliveryRow) listRow {
	o := outcomeOf(d.Outcome)
	return listRow{
		Key: "d" + strconv.FormatInt(d.ID, 10), Mood: o.Mood, What: arrival(d.Topic), Label: o.Label, Meaning: cmp.Or(text(d.Error), o.Meaning),
		Seen: seenTimes(now, d), When: since(now, d.ReceivedAt.Time()), at: d.ReceivedAt,
	}
}

func updateRows(now time.Time, list []store.DeliveryRow, names *titles) []listRow {
	rows := make([]listRow, 0, len(list))
	for _, d := range list {
		row := deliveryRow(now, d)
		row.Shop = names.tag(d.Shop)
		if verb := happened(d.Topic); verb != "" && d.ExternalID != nil {
			if d.Outcome == store.Mismatch {
				verb = claimed(verb)
			}
			row.Subject, row.What, row.Path = names.of(d.Shop, *d.ExternalID), verb, productPath(d.Shop, *d.ExternalID)
		} else if verb := happenedToItem[d.Topic]; verb != "" && d.ExternalID != nil && d.Outcome != store.Mismatch {
			if o := names.owner(d.Shop, *d.ExternalID); o != nil {
				row.Subject, row.What, row.Path = cmp.Or(o.Title, productName(o.ExternalID)), verb, productPath(d.Shop, o.ExternalID)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// seenTimes says how often a delivery came.
func seenTimes(now time.Time, d store.DeliveryRow) string {
	if d.Count <= 1 {
		return ""
	}
	return "seen " + number(d.Count) + " times, last at " + clock(now, d.LastAt.Time()).Words
}

func changeRow(now time.Time, c store.Change) listRow {
	return listRow{
		Key: "c" + strconv.FormatInt(c.Seq, 10), Mood: moodGood, What: changeWords(c.Kind), When: since(now, c.At.Time()), at: c.At,
	}
}

// changeRows are the newest changes of the copy, one a product.
func (s *Server) changeRows(ctx context.Context, now time.Time, names *titles) []listRow {
	last := s.o.Store.LastSeq()
	list, _, err := s.o.Store.Changes(ctx, max(0, last-5*changesShown), 5*changesShown)
	if err != nil {
		s.log.Debug("status: changes", "error", err.Error())
		return nil
	}
	var rows []listRow
	shown := map[productKey]bool{}
	for i := len(list) - 1; i >= 0 && len(rows) < changesShown; i-- {
		c := list[i]
		key := productKey{c.Shop, c.ExternalID}
		if shown[key] {
			continue
		}
		shown[key] = true
		row := changeRow(now, c)
		row.Path, row.Subject, row.Shop, row.Mood = productPath(c.Shop, c.ExternalID), names.of(c.Shop, c.ExternalID), names.tag(c.Shop), moodIdle
		if p := names.product(c.Shop, c.ExternalID); p != nil {
			row.Meaning = productWords(p)
			if p.Status == "ACTIVE" {
				row.Mood = moodGood
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// productWords says how a product stands: its state, variants, price.
func productWords(p *store.ProductRow) string {
	state := "active"
	switch {
	case !p.Selected:
		state = "not selected"
	case p.Status != "ACTIVE":
		state = cmp.Or(p.Product.Status.Value(), "inactive")
	}
	words := state + ", " + count(int64(len(p.Variants)), "variant")
	price := ""
	for i, v := range p.Variants {
		if i > 0 && v.Price.Value() != price {
			return words + ", several prices"
		}
		price = v.Price.Value()
	}
	if price != "" {
		words += ", " + price
	}
	return words
}

// shopPath is what the pages of one shop begin with.
func shopPath(shop string) string { return "/shops/" + url.PathEscape(shop) }

// productPath is the page of one product.
func productPath(shop string, id int64) string {
	return "/products/" + url.PathEscape(shop) + "/" + strconv.FormatInt(id, 10)
}
