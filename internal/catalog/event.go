package catalog

import (
	"bytes"
	"fmt"
	"strings"
)

// event is what the body of one of Shopify's Events says. Its data, the answer to
// a query of the subscription, is the state when that query ran and may be cut off,
// so nothing of it is read (shopify.dev/docs/apps/build/events/delivery-structure).
type event struct {
	topic, action string
	id            int64 // of the resource that was looked for, 0 for none
	queryFailed   bool
	// updated, added and removed are what fields_changed names under each.
	updated, added, removed touched
}

// announcement reads the body of an Event. The topic of the header is not signed;
// that of the body is.
func (r *reader) announcement(c *Change) {
	e := r.event(c.Topic.Resource())
	switch {
	case r.err != nil:
		return
	case e.topic == "":
		r.mismatch("the body is not that of an Event")
	case !strings.EqualFold(e.topic, string(c.Topic)):
		r.mismatch("the body is of an Event of another topic")
	case e.id == 0 && c.Kind != OtherEvent:
		r.mismatch("the Event names no " + c.Topic.Resource())
	}
	c.ID, c.What, c.Untimed = e.id, e.words(), true
}

// event reads the rest of an Event's body, and looks for the id of a resource: in
// the query's variables, else in the paths of what changed. What is not as expected
// elsewhere is passed over, for all that an Event is needed for is the id.
func (r *reader) event(resource string) (e event) {
	for r.more() {
		switch name := r.name(); string(name) {
		case "topic":
			e.topic = r.words()
		case "action":
			e.action = r.words()
		case "query_errors":
			raw := r.value()
			e.queryFailed = kindOf(raw) != 'n' && !bytes.Equal(raw, []byte("[]"))
		case "query_variables":
			r.members('{', func([]byte) {
				if got, id, ok := ParseGID([]byte(r.words())); ok && string(got) == resource {
					e.id = id
				}
			})
		case "fields_changed":
			e = r.fieldsChanged(e, resource)
		default:
			r.value()
		}
	}
	return e
}

// fieldsChanged reads {"added": [paths], "updated": [paths], "removed": [paths]}.
func (r *reader) fieldsChanged(e event, resource string) event {
	r.members('{', func(name []byte) {
		into := map[string]*touched{"added": &e.added, "updated": &e.updated, "removed": &e.removed}[string(name)]
		if into == nil {
			r.value()
			return
		}
		*into = nil // of a name given twice the last one counts
		r.members('[', func([]byte) {
			path := parsePath(r.words())
			if e.id == 0 && path.resource == resource {
				e.id = path.id
			}
			into.add(path)
		})
	})
	return e
}

// members calls each, which has to read the value, for the members of an object or
// the elements of a list. A value of another kind is passed over.
func (r *reader) members(kind byte, each func(name []byte)) {
	if r.err != nil || r.peek() != kind {
		r.value()
		return
	}
	r.open()
	for r.more() {
		var name []byte
		if kind == '{' {
			name = r.name()
		}
		each(name)
	}
}

// words reads a text, "" for a value of another kind.
func (r *reader) words() string {
	raw := r.value()
	if kindOf(raw) != '"' {
		return ""
	}
	return string(r.unquote(raw))
}

// words say what happened.
func (e *event) words() string {
	var parts []string
	switch strings.ToLower(e.action) {
	case "create":
		parts = append(parts, "created")
	case "delete":
		parts = append(parts, "deleted")
	case "update":
		for _, p := range []struct {
			verb string
			what touched
		}{{"changed", e.updated}, {"added", e.added}, {"removed", e.removed}} {
			if len(p.what) > 0 {
				parts = append(parts, p.verb+": "+p.what.words())
			}
		}
		if parts == nil {
			parts = append(parts, "changed")
		}
	default:
		parts = append(parts, "an action that is not known here")
	}
	if e.queryFailed {
		parts = append(parts, "the query of its subscription failed")
	}
	return strings.Join(parts, "; ")
}

// mostTouched is how many fields are told of by name.
const mostTouched = 5

// touched are the fields that paths name, each once.
type touched []touch

// touch is a field, or with a collection that of so many of its members.
type touch struct {
	field, collection string
	n                 int
}

func (l *touched) add(p path) {
	if p.field == "" && p.collection == "" {
		return
	}
	for i := range *l {
		if t := &(*l)[i]; t.field == p.field && t.collection == p.collection {
			t.n++
			return
		}
	}
	if len(*l) <= mostTouched { // one more, to know that there are more
		*l = append(*l, touch{p.field, p.collection, 1})
	}
}

func (l touched) words() string {
	var parts []string
	for _, t := range l[:min(len(l), mostTouched)] {
		text := t.field
		if t.collection != "" {
			members := fmt.Sprint(t.n, " ", t.collection)
			if t.n == 1 {
				members = strings.TrimSuffix(members, "s")
			}
			if text != "" {
				text += " of "
			}
			text += members
		}
		parts = append(parts, text)
	}
	if len(l) > mostTouched {
		parts = append(parts, "and more")
	}
	return strings.Join(parts, ", ")
}

// path is a place in a resource, as Shopify writes it:
// product[id: 'gid://shopify/Product/1'].variants[id: 'gid://shopify/ProductVariant/2'].price
type path struct {
	resource          string // of the root, "" for none
	id                int64
	collection, field string // in words: "variants", "price"
}

func parsePath(text string) (p path) {
	var fields []string
	for first := true; text != ""; first = false {
		name, rest := text[:nameLen(text)], text[nameLen(text):]
		var arg string
		if strings.HasPrefix(rest, "[") {
			end := closing(rest)
			arg, rest = rest[:end], rest[end:]
		}
		words := camelWords(name)
		switch {
		case first:
			if from := strings.Index(arg, "gid://"); from >= 0 {
				id, _, _ := strings.Cut(arg[from:], "'")
				resource, n, _ := ParseGID([]byte(id))
				p.resource, p.id = string(resource), n
			}
		case arg != "" && p.collection == "":
			p.collection = words
		case words != "":
			fields = append(fields, words)
		}
		if rest == text { // neither a name nor an argument
			rest = rest[1:]
		}
		text = strings.TrimPrefix(rest, ".")
	}
	p.field = strings.Join(fields, " ")
	if len(p.field)+len(p.collection) > 60 { // no name of Shopify's
		p.field, p.collection = "", ""
	}
	return p
}

// nameLen is how many bytes of text are a name.
func nameLen(text string) int {
	for i := range len(text) {
		if c := text[i] | 0x20; c < 'a' || c > 'z' {
			return i
		}
	}
	return len(text)
}

// closing is where the argument ends that text begins with: behind the bracket
// that is in no quotes, or at the end of text.
func closing(text string) int {
	quoted := false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\'':
			quoted = !quoted
		case c == ']' && !quoted:
			return i + 1
		}
	}
	return len(text)
}

// camelWords are the words of a name such as compareAtPrice: "compare at price".
func camelWords(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			if c |= 0x20; i > 0 {
				b.WriteByte(' ')
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}
