package web

import (
	"cmp"
	"context"
	"net/url"
	"strconv"
	"time"

	"stockroom/status"
	"stockroom/store"
	"stockroom/webhook"
)

type noticeRow struct {
	Mood       mood
	Label      string
	Text, Next string
}

func noticeOf(n status.Notice) noticeRow {
	row := noticeRow{Mood: moodIdle, Label: "Note", Text: n.Text, Next: n.Next}
	switch n.Level {
	case status.LevelBad:
		row.Mood, row.Label = moodBad, "Problem"
	case status.LevelWarn:
		row.Mood, row.Label = moodWait, "Careful"
	}
	return row
}

// outcomeMood is the mood of a delivery's outcome.
func outcomeMood(o store.Outcome) mood {
	switch o {
	case store.Applied:
		return moodGood
	case store.Queued, store.Mismatch: // anybody who has seen a delivery can make one that does not fit
		return moodWait
	case store.Dead:
		return moodBad
	}
	return moodIdle
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
	key := productKey{shop, item}
	if o, ok := t.items[key]; ok {
		return o
	}
	var found *store.ItemOwner
	if o, err := t.item(shop, item); err == nil {
		found = &o
	}
	t.items[key] = found
	return found
}

// product returns the stored product, nil when there is none.
func (t *titles) product(shop string, id int64) *store.ProductRow {
	key := productKey{shop, id}
	if p, ok := t.seen[key]; ok {
		return p
	}
	var found *store.ProductRow
	if p, err := t.find(shop, id); err == nil {
		found = &p
	}
	t.seen[key] = found
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
	if p := t.product(shop, id); p != nil && p.Title != nil && *p.Title != "" {
		return *p.Title
	}
	return "Product " + strconv.FormatInt(id, 10)
}

type updateRow struct {
	Key            string // the same on every page
	Mood           mood
	Path           string // of the product's page, "" for none
	What, Subject  string
	Shop           string
	Label, Meaning string
	Seen           string // how often, "" for once
	When           instant
}

func updateRows(now time.Time, list []store.DeliveryRow, names *titles) []updateRow {
	rows := make([]updateRow, 0, len(list))
	for _, d := range list {
		label, meaning := outcomeWords(d.Outcome)
		row := updateRow{
			Key: "d" + strconv.FormatInt(d.ID, 10), Mood: outcomeMood(d.Outcome), What: arrival(d.Topic), Shop: names.tag(d.Shop), Label: label, Meaning: meaning,
			Seen: seenTimes(now, d), When: since(now, d.ReceivedAt.Time()),
		}
		if d.Error != nil && *d.Error != "" {
			row.Meaning = *d.Error
		}
		if verb := happened(d.Topic); verb != "" && d.ExternalID != nil {
			if d.Outcome == store.Mismatch {
				verb = claimed(verb)
			}
			row.Subject, row.What, row.Path = names.of(d.Shop, *d.ExternalID), verb, productPath(d.Shop, *d.ExternalID)
		} else if verb := happenedToItem(d.Topic); verb != "" && d.ExternalID != nil && d.Outcome != store.Mismatch {
			if o := names.owner(d.Shop, *d.ExternalID); o != nil {
				row.Subject, row.What, row.Path = cmp.Or(o.Title, "Product "+strconv.FormatInt(o.ExternalID, 10)), verb, productPath(d.Shop, o.ExternalID)
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

type changeRow struct {
	Key, Path     string
	Mood          mood
	What, Subject string
	Sub           string
	Shop          string
	When          instant
}

// changeRows are the newest changes of the copy, one a product.
func (s *Server) changeRows(ctx context.Context, now time.Time, names *titles) []changeRow {
	last := s.o.Store.LastSeq()
	list, _, err := s.o.Store.Changes(ctx, max(0, last-5*changesShown), 5*changesShown)
	if err != nil {
		s.log.Debug("status: changes", "error", err.Error())
		return nil
	}
	var rows []changeRow
	shown := map[productKey]bool{}
	for i := len(list) - 1; i >= 0 && len(rows) < changesShown; i-- {
		c := list[i]
		key := productKey{c.Shop, c.ExternalID}
		if shown[key] {
			continue
		}
		shown[key] = true
		row := changeRow{Key: "c" + strconv.FormatInt(c.Seq, 10), Path: productPath(c.Shop, c.ExternalID), What: changeWords(c.Kind), Subject: names.of(c.Shop, c.ExternalID), Shop: names.tag(c.Shop), When: since(now, c.At.Time()), Mood: moodIdle}
		if p := names.product(c.Shop, c.ExternalID); p != nil {
			row.Sub = productWords(p)
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
		state = cmp.Or(text(p.ShopifyStatus), "inactive")
	}
	words := state + ", " + count(int64(len(p.Variants)), "variant")
	price := ""
	for i, v := range p.Variants {
		if i > 0 && text(v.Price) != price {
			return words + ", several prices"
		}
		price = text(v.Price)
	}
	if price != "" {
		words += ", " + price
	}
	return words
}

type rejectedRow struct {
	What, Detail, From string
	When               instant
}

func rejectedRows(now time.Time, list []webhook.Rejected) []rejectedRow {
	rows := make([]rejectedRow, 0, rejectedShown)
	for _, r := range list[:min(len(list), rejectedShown)] {
		from := r.Address
		if r.Shop != "" {
			from += ", says it is " + shortShop(r.Shop)
		}
		rows = append(rows, rejectedRow{What: rejectedWords(r.Reason), Detail: r.Detail, From: from, When: since(now, r.At)})
	}
	return rows
}

// productPath is the page of one product.
func productPath(shop string, id int64) string {
	return "/products/" + url.PathEscape(shop) + "/" + strconv.FormatInt(id, 10)
}
