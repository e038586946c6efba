package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// DeliveryFilter narrows the journal. Zero fields do not narrow.
type DeliveryFilter struct {
	Shop    string
	Topic   string // exactly, as in the journal
	Outcome Outcome
	Product int64  // Shopify's product id
	Cursor  string // Next or Prev of another page with the same filter; "" for the newest
	Limit   int    // rows on a page; 0 means 100
}

// DeliveryPage is one page of the journal, newest first. It may hold fewer rows
// than the limit, even none, and yet a Next: at most journalLooked rows are
// looked at for a page.
type DeliveryPage struct {
	Deliveries []DeliveryRow
	Next       string // cursor of the older page, "" at the end
	Prev       string // cursor of the newer page, "" on the newest
}

// journalLooked bounds the journal rows that are looked at for one page.
const journalLooked = 50_000

// SearchDeliveries returns one page of the journal.
func (s *Store) SearchDeliveries(ctx context.Context, f DeliveryFilter) (DeliveryPage, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	newer, from, err := parseJournalCursor(f.Cursor)
	if err != nil {
		return DeliveryPage{}, err
	}
	tx, err := s.begin(ctx)
	if err != nil {
		return DeliveryPage{}, err
	}
	defer tx.Rollback()
	rows, end, err := journalRows(ctx, tx, f, from, newer)
	if err != nil {
		return DeliveryPage{}, err
	}
	var page DeliveryPage
	full := len(rows) > f.Limit
	if full {
		rows = rows[:f.Limit]
		end = rows[f.Limit-1].ID
	}
	page.Deliveries = rows
	if newer {
		if len(rows) == 0 && end == 0 { // nothing newer: the newest page
			f.Cursor = ""
			return s.SearchDeliveries(ctx, f)
		}
		slices.Reverse(page.Deliveries)
		if end != 0 {
			page.Prev = "p" + strconv.FormatInt(end, 10)
		}
		last := from + 1 // the page behind begins with the row the cursor was taken from
		if len(rows) > 0 {
			last = page.Deliveries[len(rows)-1].ID
		}
		page.Next = "n" + strconv.FormatInt(last, 10)
		return page, nil
	}
	if end != 0 {
		page.Next = "n" + strconv.FormatInt(end, 10)
	}
	if f.Cursor != "" {
		first := from - 1
		if len(rows) > 0 {
			first = rows[0].ID
		}
		page.Prev = "p" + strconv.FormatInt(first, 10)
	}
	return page, nil
}

// journalRows returns up to f.Limit and one more rows from an id on, and the id
// at which looking stopped because of its bound, 0 when it came to the end.
func journalRows(ctx context.Context, tx moment, f DeliveryFilter, from int64, newer bool) (list []DeliveryRow, end int64, err error) {
	var oldest, newest int64
	if err := tx.QueryRowContext(ctx, `SELECT coalesce((SELECT min(id) FROM deliveries), 0), coalesce((SELECT max(id) FROM deliveries), 0)`).Scan(&oldest, &newest); err != nil {
		return nil, 0, classify(fmt.Errorf("read journal: %w", err))
	}
	if from == 0 && !newer {
		from = newest + 1
	}
	text, args, end := journalQuery(f, from, newer)
	if newer && end >= newest || !newer && end <= oldest {
		end = 0
	}
	list, err = query(ctx, tx, scanDelivery, text, append(args, f.Limit+1)...)
	return list, end, err
}

// journalQuery looks at the rows of a product or of a rare outcome through their
// indexes, else at journalLooked rows from an id on; end is the last of those, 0
// when all are looked at.
func journalQuery(f DeliveryFilter, from int64, newer bool) (query string, args []any, end int64) {
	table, then, order := "deliveries", "<", "DESC"
	if newer {
		then, order = ">", "ASC"
	}
	parts, args := []string{"id " + then + " ?"}, []any{from}
	for _, equal := range [...]struct{ column, value string }{{"shop", f.Shop}, {"topic", f.Topic}} {
		if equal.value != "" {
			parts, args = append(parts, equal.column+" = ?"), append(args, equal.value)
		}
	}
	if f.Product != 0 {
		// Inventory deliveries carry the item's id in the same column.
		parts, args = append(parts, "external_id = ? AND "+ofProducts), append(args, f.Product)
	}
	switch {
	case f.Outcome == Queued || f.Outcome == Dead || f.Outcome == Mismatch:
		// The index is used only for a literal; these are no words of strangers.
		table += " INDEXED BY deliveries_rare"
		parts = append(parts, "outcome = '"+string(f.Outcome)+"'")
	case f.Product != 0:
		table += " INDEXED BY deliveries_by_product"
		fallthrough
	default:
		if f.Outcome != "" {
			parts, args = append(parts, "outcome = ?"), append(args, string(f.Outcome))
		}
		if f.Product == 0 {
			end = from - journalLooked
			bound := "id >= ?"
			if newer {
				end, bound = from+journalLooked, "id <= ?"
			}
			parts, args = append(parts, bound), append(args, end)
		}
	}
	return `SELECT ` + deliveryColumns + ` FROM ` + table + ` WHERE ` + strings.Join(parts, " AND ") + ` ORDER BY id ` + order + ` LIMIT ?`, args, end
}

func parseJournalCursor(text string) (newer bool, from int64, err error) {
	if text == "" {
		return false, 0, nil
	}
	n, err := strconv.ParseInt(strings.TrimLeft(text, "np"), 10, 64)
	if err != nil || n < 0 {
		return false, 0, ErrCursor
	}
	return text[0] == 'p', n, nil
}
