package fakeshopify

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Shopify's search syntax: field:value, field:>=value, quotes, AND (also by
// nothing), OR, NOT and -, parentheses. Unknown fields match everything and
// give a warning, as on live shops.

// fieldsOf returns the values of a field of the thing that is searched: times,
// int64s or strings. ok is false for a field that cannot be searched.
type fieldsOf func(field string) (values []any, ok bool)

type query struct {
	root     queryNode
	warnings []any
}

type queryNode interface {
	match(f fieldsOf, q *query) bool
}

type (
	andNode  []queryNode
	orNode   []queryNode
	notNode  struct{ queryNode }
	termNode struct {
		field, op, value string
		// value as a number and as a time, where it is one
		num           int64
		at            time.Time
		isNum, isTime bool
	}
)

func (n andNode) match(f fieldsOf, q *query) bool {
	for _, x := range n {
		if !x.match(f, q) {
			return false
		}
	}
	return true
}

func (n orNode) match(f fieldsOf, q *query) bool {
	for _, x := range n {
		if x.match(f, q) {
			return true
		}
	}
	return false
}

func (n notNode) match(f fieldsOf, q *query) bool { return !n.queryNode.match(f, q) }

func (n termNode) match(f fieldsOf, q *query) bool {
	values, ok := f(n.field)
	if !ok {
		return true
	}
	for _, v := range values {
		if n.matches(v) {
			return true
		}
	}
	return false
}

// enumWord is a value out of a set that Shopify's schema documents. Whether another
// spelling of it is found too is not known, so here it is not.
type enumWord string

func (n termNode) matches(v any) bool {
	switch v := v.(type) {
	case enumWord:
		return n.op == "" && string(v) == n.value
	case time.Time:
		return n.isTime && compared(n.op, v.Truncate(time.Second).Compare(n.at))
	case int64:
		return n.isNum && compared(n.op, cmpInt(v, n.num))
	case string:
		if n.field == "" {
			return strings.Contains(strings.ToLower(v), strings.ToLower(n.value))
		}
		if p, ok := strings.CutSuffix(n.value, "*"); ok {
			return strings.HasPrefix(strings.ToLower(v), strings.ToLower(p))
		}
		if n.op == "" {
			return strings.EqualFold(v, n.value)
		}
		return compared(n.op, strings.Compare(strings.ToLower(v), strings.ToLower(n.value)))
	}
	return false
}

func compared(op string, c int) bool {
	switch op {
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	}
	return c == 0
}

func searchTime(s string) (time.Time, bool) {
	for _, f := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(f, s); err == nil {
			return t.UTC().Truncate(time.Second), true
		}
	}
	// What is left of an unquoted time after its first colon: the hour is lost,
	// so other rows are found, silently.
	if d, _, ok := strings.Cut(s, "T"); ok {
		if t, err := time.Parse("2006-01-02", d); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseQuery reads a search of the API, with the fault that its filter has now.
func (s *Shop) parseQuery(text string, known ...string) *query {
	return parse(&queryParser{text: text, known: known, broken: s.api.index.broken})
}

// parseQuery reads a search. known are the fields that can be searched.
func parseQuery(text string, known ...string) *query {
	return parse(&queryParser{text: text, known: known})
}

func parse(p *queryParser) *query {
	q := &query{}
	p.q = q
	q.root = p.or()
	return q
}

func (q *query) match(f fieldsOf) bool { return q == nil || q.root.match(f, q) }

type queryParser struct {
	text   string
	q      *query
	known  []string
	broken FilterFault
}

func (p *queryParser) space() { p.text = strings.TrimLeft(p.text, " \t\r\n,") }

func (p *queryParser) word(w string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.text, w)
	if ok && (rest == "" || strings.ContainsRune(" \t\n()", rune(rest[0]))) {
		p.text = rest
		return true
	}
	return false
}

func (p *queryParser) or() queryNode {
	list := orNode{p.and()}
	for p.word("OR") {
		list = append(list, p.and())
	}
	if len(list) == 1 {
		return list[0]
	}
	return list
}

func (p *queryParser) and() queryNode {
	var list andNode
	for {
		p.space()
		if p.text == "" || p.text[0] == ')' || strings.HasPrefix(p.text, "OR ") {
			return list
		}
		if p.word("AND") {
			continue
		}
		list = append(list, p.unary())
	}
}

func (p *queryParser) unary() queryNode {
	if p.word("NOT") {
		return notNode{p.unary()}
	}
	p.space()
	if rest, ok := strings.CutPrefix(p.text, "-"); ok {
		p.text = rest
		return notNode{p.unary()}
	}
	if rest, ok := strings.CutPrefix(p.text, "("); ok {
		p.text = rest
		n := p.or()
		p.space()
		p.text = strings.TrimPrefix(p.text, ")")
		return n
	}
	return p.term()
}

func (p *queryParser) term() queryNode {
	first, quoted := p.value(":<>=() \t\n")
	if first == "" && !quoted && p.text != "" && !strings.HasPrefix(p.text, ":") {
		p.text = p.text[1:] // an operator without a field
		return andNode{}
	}
	if quoted || !strings.HasPrefix(p.text, ":") {
		return termNode{value: first}
	}
	p.text = p.text[1:]
	t := termNode{field: strings.ToLower(first)}
	for _, op := range []string{">=", "<=", ">", "<", "="} {
		if rest, ok := strings.CutPrefix(p.text, op); ok {
			t.op, p.text = strings.TrimPrefix(op, "="), rest
			if op == ">=" || op == "<=" {
				t.op = op
			}
			break
		}
	}
	t.value, quoted = p.value(":() \t\n")
	if !quoted && strings.HasPrefix(p.text, ":") {
		// The value ends at its first colon; what follows is dropped.
		_, _ = p.value("() \t\n")
	}
	broken := p.broken != FilterWorks && (t.field == "updated_at" || t.field == "created_at")
	if p.broken == FilterIgnored && broken {
		return andNode{}
	}
	if broken || !contains(p.known, t.field) {
		p.q.warnings = append(p.q.warnings, members{{"field", t.field}, {"message", "Invalid search field for this query."},
			{"code", "invalid_field"}})
		return andNode{}
	}
	n, err := strconv.ParseInt(t.value, 10, 64)
	t.num, t.isNum = n, err == nil
	t.at, t.isTime = searchTime(t.value)
	return t
}

// idBounds are ids that everything found lies between, both included.
func (q *query) idBounds() (lo, hi int64) {
	lo, hi = math.MinInt64, math.MaxInt64
	list, ok := q.root.(andNode)
	if !ok {
		return lo, hi
	}
	for _, n := range list {
		t, ok := n.(termNode)
		if !ok || t.field != "id" || !t.isNum {
			continue
		}
		switch t.op {
		case "":
			lo, hi = max(lo, t.num), min(hi, t.num)
		case ">", ">=":
			lo = max(lo, t.num)
		case "<", "<=":
			hi = min(hi, t.num)
		}
	}
	return lo, hi
}

// value reads a quoted text, or one up to any of the stop characters.
func (p *queryParser) value(stop string) (v string, quoted bool) {
	if p.text != "" && (p.text[0] == '\'' || p.text[0] == '"') {
		c := p.text[0]
		var b strings.Builder
		for i := 1; i < len(p.text); i++ {
			switch {
			case p.text[i] == '\\' && i+1 < len(p.text):
				i++
				b.WriteByte(p.text[i])
			case p.text[i] == c:
				p.text = p.text[i+1:]
				return b.String(), true
			default:
				b.WriteByte(p.text[i])
			}
		}
		p.text = ""
		return b.String(), true
	}
	i := strings.IndexAny(p.text, stop)
	if i < 0 {
		i = len(p.text)
	}
	v, p.text = p.text[:i], p.text[i:]
	return v, false
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func itoa(n int) string { return strconv.Itoa(n) }
