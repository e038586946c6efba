package catalog

import "bytes"

// cursor walks over JSON that has been checked: it finds where things end and
// does not ask whether they are right.
type cursor struct {
	body []byte
	pos  int
}

// peek returns the first byte of the next value.
func (c *cursor) peek() byte {
	c.blanks()
	return c.body[c.pos]
}

// open enters the object or array that peek saw.
func (c *cursor) open() { c.pos++ }

// next goes to the next member of the open object or array, or leaves it.
func (c *cursor) next() bool {
	switch c.peek() {
	case '}', ']':
		c.pos++
		return false
	case ',':
		c.pos++
		c.blanks()
	}
	return true
}

// rawName returns the next member's name with its quotes, and leaves the
// cursor before the value.
func (c *cursor) rawName() []byte {
	from := c.pos
	c.passString()
	raw := c.body[from:c.pos]
	c.blanks()
	c.pos++ // the colon
	return raw
}

// value returns the next value as it stands.
func (c *cursor) value() []byte {
	c.blanks()
	from := c.pos
	switch c.body[c.pos] {
	case '"':
		c.passString()
	case '{', '[':
		c.passNested()
	default:
		c.passWord()
	}
	return c.body[from:c.pos]
}

func (c *cursor) blanks() {
	for c.pos < len(c.body) && isBlank(c.body[c.pos]) {
		c.pos++
	}
}

// passString goes behind a string.
func (c *cursor) passString() {
	i := c.pos + 1
	for {
		i += bytes.IndexByte(c.body[i:], '"') + 1
		// A quote behind an odd number of backslashes belongs to the text.
		odd := false
		for j := i - 2; c.body[j] == '\\'; j-- {
			odd = !odd
		}
		if !odd {
			c.pos = i
			return
		}
	}
}

// passNested goes behind an object or array.
func (c *cursor) passNested() {
	depth := 0
	for {
		switch c.body[c.pos] {
		case '"':
			c.passString()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				c.pos++
				return
			}
		}
		c.pos++
	}
}

// passWord goes behind a number, true, false or null.
func (c *cursor) passWord() {
	for c.pos < len(c.body) {
		switch c.body[c.pos] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return
		}
		c.pos++
	}
}
