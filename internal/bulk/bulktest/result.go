// Package bulktest makes results of bulk operations of any size, for tests and
// benchmarks.
package bulktest

import (
	"io"
	"strconv"
)

// Each is how many lines a product has: its own, eight variants and an image.
const Each = 10

// Order is the order of a result's lines.
type Order string

const (
	Grouped   Order = "grouped"
	Ungrouped Order = "ungrouped" // mixed among some forty products
	Shuffled  Order = "shuffled"
)

// Result is a result that is made while it is read.
type Result struct {
	lines int
	order Order
	next  int
	buf   []byte
	rest  []byte
}

// New is a result of so many lines, rounded down to whole products.
func New(lines int, order Order) *Result {
	return &Result{lines: lines / Each * Each, order: order}
}

// Lines is how many lines it has.
func (s *Result) Lines() int { return s.lines }

// From is the rest of the result from a line on, without that line's first bytes.
func (s *Result) From(line, skip int) *Result {
	r := &Result{lines: s.lines, order: s.order, next: line}
	for skip > 0 {
		r.rest = r.AppendLine(nil, r.next)
		r.next++
		n := min(skip, len(r.rest))
		r.rest = r.rest[n:]
		skip -= n
	}
	return r
}

// AppendLine appends line n of the result, line feed included.
func (s *Result) AppendLine(b []byte, n int) []byte { return appendLine(b, s.place(n)) }

func (s *Result) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(s.rest) == 0 {
			if s.next == s.lines {
				break
			}
			s.buf = s.AppendLine(s.buf[:0], s.next)
			s.rest = s.buf
			s.next++
		}
		k := copy(p[n:], s.rest)
		s.rest = s.rest[k:]
		n += k
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// place says which line of the grouped order stands at n.
func (s *Result) place(n int) int {
	switch s.order {
	case Ungrouped:
		const block = 40 * Each
		from := n / block * block
		return from + permute(n-from, min(block, s.lines-from))
	case Shuffled:
		return permute(n, s.lines)
	}
	return n
}

// permute is a permutation of 0 to n-1: a Feistel network over the next power of
// four, gone through until it is in range.
func permute(x, n int) int {
	half := 1
	for 1<<(2*half) < n {
		half++
	}
	mask := 1<<half - 1
	for {
		l, r := x>>half, x&mask
		for round := range 4 {
			h := uint32(r)*0x9E3779B1 ^ uint32(round)*0x85EBCA6B
			h ^= h >> 15
			h *= 0x2C1B3C6D
			h ^= h >> 12
			l, r = r, l^int(h)&mask
		}
		if x = l<<half | r; x < n {
			return x
		}
	}
}

// appendLine appends line n of the grouped order.
func appendLine(b []byte, n int) []byte {
	root := 7_000_000_000_000 + int64(n/Each)*7
	num := func(v int64) { b = strconv.AppendInt(b, v, 10) }
	text := func(s string) { b = append(b, s...) }
	k := n % Each
	child := root*10 + int64(k)
	switch k {
	case 0:
		text(`{"id":"gid:\/\/shopify\/Product\/`)
		num(root)
		text(`","title":"Summer Shirt No `)
		num(root)
		text(`","descriptionHtml":"\u003cp\u003eA light shirt of washed cotton, cut loose, for warm days by the sea. It keeps its shape and its colour.\u003c\/p\u003e\u003cul\u003e\u003cli\u003eMachine wash\u003c\/li\u003e\u003cli\u003eMade in Portugal\u003c\/li\u003e\u003c\/ul\u003e","vendor":"Acme","productType":"Shirts","handle":"summer-shirt-`)
		num(root)
		text(`","tags":["cotton","mens","summer"],"status":"ACTIVE","publishedAt":"2026-01-06T09:00:00Z","createdAt":"2026-01-05T09:00:00Z","updatedAt":"2026-11-20T10:00:00Z","options":[{"id":"gid:\/\/shopify\/ProductOption\/`)
		num(root)
		text(`","name":"Size","position":1,"values":["1","2","3","4","5","6","7","8"]}],"variantsCount":{"count":8,"precision":"EXACT"},"mediaCount":{"count":1,"precision":"EXACT"}}`)
	case Each - 1:
		text(`{"id":"gid:\/\/shopify\/MediaImage\/`)
		num(child)
		text(`","alt":null,"mediaContentType":"IMAGE","image":{"url":"https:\/\/cdn.shopify.com\/s\/files\/1\/0001\/files\/shirt-`)
		num(child)
		text(`.jpg?v=1699999999","width":1200,"height":800},"__parentId":"gid:\/\/shopify\/Product\/`)
		num(root)
		text(`"}`)
	default:
		text(`{"id":"gid:\/\/shopify\/ProductVariant\/`)
		num(child)
		text(`","title":"`)
		num(int64(k))
		text(`","sku":"SHIRT-`)
		num(child)
		text(`","barcode":"`)
		num(child)
		text(`","price":"19.90","compareAtPrice":null,"position":`)
		num(int64(k))
		text(`,"selectedOptions":[{"value":"`)
		num(int64(k))
		text(`"}],"inventoryItem":{"id":"gid:\/\/shopify\/InventoryItem\/`)
		num(child)
		text(`","measurement":{"weight":{"unit":"GRAMS","value":250}}},"inventoryQuantity":12,"inventoryPolicy":"DENY","taxable":true,"createdAt":"2026-01-05T09:00:00Z","updatedAt":"2026-11-20T10:00:00Z","__parentId":"gid:\/\/shopify\/Product\/`)
		num(root)
		text(`"}`)
	}
	return append(b, '\n')
}
