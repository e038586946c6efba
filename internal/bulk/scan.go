package bulk

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

const (
	// deepest is how many levels of objects and lists a line may have.
	deepest = 100
	// mostMembers is how many members each of them may have: small text can
	// become large in memory.
	mostMembers = 4096
)

// scanLine checks that line is one JSON object and finds the texts of its own
// id and __parentId, quotes off, as they are written. parent is nil for a root.
func scanLine(line []byte) (id, parent []byte, ok bool) {
	s := scanner{b: line}
	s.blanks()
	if !s.take('{') {
		return nil, nil, false
	}
	s.blanks()
	for first := true; !s.take('}'); first = false {
		if !first {
			if !s.take(',') {
				return nil, nil, false
			}
			s.blanks()
		}
		name, okay := s.text()
		s.blanks()
		if !okay || !s.take(':') {
			return nil, nil, false
		}
		s.blanks()
		from := s.i
		if !s.value(1) {
			return nil, nil, false
		}
		switch string(name) {
		case "id":
			if id != nil || line[from] != '"' {
				return nil, nil, false
			}
			id = line[from+1 : s.i-1]
		case "__parentId":
			if parent != nil || line[from] != '"' {
				return nil, nil, false
			}
			parent = line[from+1 : s.i-1]
		}
		s.blanks()
	}
	s.blanks()
	return id, parent, s.i == len(line) && len(id) > 0 && utf8.Valid(id) && utf8.Valid(parent)
}

// scanner walks over JSON and takes nothing that the grammar (RFC 8259) does
// not allow, except for bytes that are no UTF-8; an id may not hold those.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) take(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) blanks() {
	for s.i < len(s.b) && isBlank(s.b[s.i]) {
		s.i++
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func (s *scanner) value(depth int) bool {
	if s.i >= len(s.b) {
		return false
	}
	switch c := s.b[s.i]; c {
	case '"':
		_, ok := s.text()
		return ok
	case '{', '[':
		return depth < deepest && s.nested(c, depth)
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

// nested walks over an object or list.
func (s *scanner) nested(open byte, depth int) bool {
	s.i++
	end := byte(']')
	if open == '{' {
		end = '}'
	}
	s.blanks()
	if s.take(end) {
		return true
	}
	for n := 1; n <= mostMembers; n++ {
		if open == '{' {
			_, ok := s.text()
			s.blanks()
			if !ok || !s.take(':') {
				return false
			}
			s.blanks()
		}
		if !s.value(depth + 1) {
			return false
		}
		s.blanks()
		if s.take(end) {
			return true
		}
		if !s.take(',') {
			return false
		}
		s.blanks()
	}
	return false
}

// text walks over a string and returns what is between its quotes.
func (s *scanner) text() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	from := s.i
	for i := from; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.i = i + 1
			return s.b[from:i], true
		case c < ' ':
			return nil, false
		case c == '\\':
			i++
			if i >= len(s.b) {
				return nil, false
			}
			switch s.b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if i+4 >= len(s.b) {
					return nil, false
				}
				for _, h := range s.b[i+1 : i+5] {
					if !isHex(h) {
						return nil, false
					}
				}
				i += 4
			default:
				return nil, false
			}
		}
	}
	return nil, false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (s *scanner) word(w string) bool {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return false
	}
	s.i += len(w)
	return true
}

func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	from := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > from
}

// plainID takes the escapes off an id. Shopify writes gid:\/\/shopify\/... in
// results.
func plainID(raw, space []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	out := space[:0]
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		if raw[i+1] != '/' {
			var s string
			if json.Unmarshal([]byte(`"`+string(raw)+`"`), &s) != nil {
				return nil
			}
			return []byte(s)
		}
	}
	return out
}

// number is the number at the end of a global id that begins with prefix.
func number(id []byte, prefix string) (int64, bool) {
	if len(id) <= len(prefix) || string(id[:len(prefix)]) != prefix {
		return 0, false
	}
	id = id[len(prefix):]
	if q := bytes.IndexByte(id, '?'); q >= 0 {
		id = id[:q]
	}
	if len(id) == 0 || id[0] < '0' || id[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(id), 10, 64)
	return n, err == nil && n > 0
}
