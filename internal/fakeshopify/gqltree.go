package fakeshopify

import (
	"fmt"
	"strconv"
)

// The executor's answers are trees of nil, string, int, int64, float64, bool,
// []any and members.
type members []member

type member struct {
	key string
	val any
}

func (m members) get(key string) any {
	for _, x := range m {
		if x.key == key {
			return x.val
		}
	}
	return nil
}

func (w *jsonText) tree(v any) {
	switch v := v.(type) {
	case nil:
		w.raw("null")
	case string:
		w.quote(v)
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case int:
		w.b = strconv.AppendInt(w.b, int64(v), 10)
	case int64:
		w.b = strconv.AppendInt(w.b, v, 10)
	case float64:
		// Shopify writes floats with a fraction: 200.0.
		n := len(w.b)
		w.b = strconv.AppendFloat(w.b, v, 'f', -1, 64)
		for _, c := range w.b[n:] {
			if c == '.' {
				return
			}
		}
		w.raw(".0")
	case []any:
		w.raw("[")
		for _, e := range v {
			w.comma()
			w.tree(e)
		}
		w.raw("]")
	case members:
		w.raw("{")
		for _, m := range v {
			w.key(m.key)
			w.tree(m.val)
		}
		w.raw("}")
	default:
		panic(fmt.Sprintf("fakeshopify: a %T cannot be JSON", v))
	}
}
