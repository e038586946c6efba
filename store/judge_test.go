package store

import (
	"strings"
	"testing"

	"stockroom/internal/catalog"
)

// What is stored and what arrives in the table below. The row is a version of
// second 500, committed at 900; a tombstone is of 900 too.
const (
	storedVersion = 500_000
	committedAt   = 900_000
	judgedAt      = 2_000_000
)

// storedAs makes the stored side of a matter.
var storedAs = map[string]func(m *matter){
	"nothing":                             func(*matter) {},
	"product":                             storedRow,
	"tombstone":                           func(m *matter) { m.h.tombstone = committedAt },
	"tombstone of a clock that was ahead": func(m *matter) { m.h.tombstone = judgedAt + 1 },
	"row of a clock that was ahead": func(m *matter) {
		storedRow(m)
		m.h.syncedAt = judgedAt + 1
	},
	"damaged": func(m *matter) {
		storedRow(m)
		m.old.Title = catalog.Of("not what the hash says")
	},
	"wrong status": func(m *matter) {
		storedRow(m)
		m.h.status = inactive
	},
	"unreadable": func(m *matter) {
		storedRow(m)
		m.old, m.unreadable = nil, true
	},
	"not selected": func(m *matter) {
		storedRow(m)
		m.h.selected, m.h.status, m.selected, m.leftOut = false, inactive, false, true
	},
	"selected again": func(m *matter) {
		storedRow(m)
		m.h.selected, m.h.status = false, inactive
	},
	"read after its second": func(m *matter) {
		storedRow(m)
		m.h.readAt = storedVersion + 62_000
	},
	"read almost after it": func(m *matter) {
		storedRow(m)
		m.h.readAt = storedVersion + 61_999 // the second, its rounding, and a minute between the clocks
	},
	"another shop's, delivered": func(m *matter) { m.other = owner{shop: anotherShop} },
	"another shop's, read":      func(m *matter) { m.other = owner{shop: anotherShop, read: true} },
	"passed over":               func(m *matter) { m.passed, m.byRules = true, true },
	"not selected by rules":     func(m *matter) { m.selected, m.byRules = false, true },
	"compared since":            func(m *matter) { m.compared = true },
}

func storedRow(m *matter) {
	m.old = product(1, "stored", storedVersion, "1")
	m.h = head{
		id: 7, status: active, selected: true, updatedAt: storedVersion, hasVersion: true, triggered: 5,
		hash: m.old.ContentHash().String(), syncedAt: committedAt,
	}
}

// arriving makes the other side. Reads begin at 950, or at 850 when they are early.
func arriving(how string, version int64, content string) matter {
	p := product(1, content, version, "1")
	m := matter{shop: testShop, id: 1, p: p, full: p, hash: p.ContentHash().String(), now: judgedAt, selected: true}
	m.o.triggered = 6
	if how != "delivery" {
		m.o = origin{authoritative: true, started: 950_000}
	}
	switch how {
	case "early read":
		m.o.started = 850_000
	case "bulk":
		p.ImagesUnordered = true
	}
	return m
}

// inShort says a verdict in a few words.
func inShort(v verdict) string {
	if v.err != nil {
		return "error"
	}
	words := []string{string(v.outcome)}
	if v.do != keep {
		words = append(words, [...]string{passOver: "pass", confirm: "confirm", learn: "learn", insert: "insert", update: "update", erase: "erase"}[v.do])
	}
	for _, w := range []struct {
		on   bool
		word string
	}{{v.distrust, "wholly"}, {v.refused != (difference{}), "open"}, {v.want != nil, "fetch"}, {v.takes, "take"}, {v.closes && v.do <= learn, "close"}} {
		if w.on {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, " ")
}

// TestEveryChangeHasItsVerdict is the whole rule: for each thing that may be
// stored and each way in which something arrives, what becomes of an older version,
// another content of the same second, a newer version, the same content again, and
// an end.
func TestEveryChangeHasItsVerdict(t *testing.T) {
	table := map[string]map[string]string{
		"nothing": {
			"delivery":   "applied insert | applied insert | applied insert | applied insert | applied erase",
			"read":       "applied insert | applied insert | applied insert | applied insert | applied erase",
			"bulk":       "applied insert fetch | applied insert fetch | applied insert fetch | applied insert fetch | applied erase",
			"early read": "applied insert | applied insert | applied insert | applied insert | applied erase",
		},
		"product": {
			"delivery":   "stale | applied update fetch | applied update | stale | applied erase",
			"read":       "stale open fetch | applied update | applied update | stale confirm close | applied erase",
			"bulk":       "stale open fetch | applied update fetch | applied update fetch | stale confirm fetch close | applied erase",
			"early read": "stale | stale fetch | applied update | stale confirm close | stale fetch",
		},
		"damaged": {
			"delivery":   "stale | applied update fetch | applied update | stale | applied erase",
			"read":       "stale open fetch | applied update wholly | applied update wholly | applied update wholly | applied erase",
			"bulk":       "stale open fetch | applied update wholly fetch | applied update wholly fetch | applied update wholly fetch | applied erase",
			"early read": "stale | stale fetch | applied update wholly | applied update wholly | stale fetch",
		},
		"wrong status": {
			"delivery":   "stale | applied update fetch | applied update | stale | applied erase",
			"read":       "stale open fetch | applied update | applied update | applied update | applied erase",
			"bulk":       "stale open fetch | applied update fetch | applied update fetch | applied update fetch | applied erase",
			"early read": "stale | stale fetch | applied update | applied update | stale fetch",
		},
		"unreadable": {
			"delivery":   "stale | stale fetch | stale fetch | stale fetch | applied erase",
			"read":       "stale open fetch | applied update wholly | applied update wholly | applied update wholly | applied erase",
			"bulk":       "stale open fetch | applied update wholly fetch | applied update wholly fetch | applied update wholly fetch | applied erase",
			"early read": "stale | stale fetch | applied update wholly | applied update wholly | stale fetch",
		},
		"row of a clock that was ahead": {
			"delivery":   "stale | applied update fetch | applied update | stale | applied erase",
			"read":       "stale open fetch | applied update | applied update | stale confirm close | applied erase",
			"bulk":       "stale open fetch | applied update fetch | applied update fetch | stale confirm fetch close | applied erase",
			"early read": "stale open fetch | applied update | applied update | stale confirm close | applied erase",
		},
		"read almost after it": {
			"delivery":   "stale | applied update fetch | applied update | stale | applied erase",
			"read":       "stale open fetch | applied update | applied update | stale confirm close | applied erase",
			"bulk":       "stale open fetch | applied update fetch | applied update fetch | stale confirm fetch close | applied erase",
			"early read": "stale | stale fetch | applied update | stale confirm close | stale fetch",
		},
		"read after its second": {
			"delivery":   "stale | stale | applied update | stale | applied erase",
			"read":       "stale open fetch | applied update | applied update | stale confirm close | applied erase",
			"bulk":       "stale open fetch | applied update fetch | applied update fetch | stale confirm fetch close | applied erase",
			"early read": "stale | stale fetch | applied update | stale confirm close | stale fetch",
		},
		"not selected": {
			"delivery":   "stale | ignored | ignored | ignored | applied erase",
			"read":       "ignored close | ignored close | ignored close | ignored close | applied erase",
			"bulk":       "ignored close | ignored close | ignored close | ignored close | applied erase",
			"early read": "stale | ignored close | ignored close | ignored close | stale fetch",
		},
		"selected again": {
			"delivery":   "stale | applied update fetch | applied update | applied update | applied erase",
			"read":       "stale open fetch | applied update | applied update | applied update | applied erase",
			"bulk":       "stale open fetch | applied update fetch | applied update fetch | applied update fetch | applied erase",
			"early read": "stale | stale fetch | applied update | applied update | stale fetch",
		},
		"tombstone": {
			"delivery":   "stale | stale | stale | stale | stale",
			"read":       "applied insert | applied insert | applied insert | applied insert | stale close",
			"bulk":       "applied insert fetch | applied insert fetch | applied insert fetch | applied insert fetch | stale close",
			"early read": "stale | stale | stale | stale | stale close",
		},
		"tombstone of a clock that was ahead": {
			"delivery":   "stale | stale | stale | stale | stale",
			"read":       "stale open fetch | stale open fetch | stale open fetch | stale open fetch | stale close",
			"bulk":       "stale open fetch | stale open fetch | stale open fetch | stale open fetch | stale close",
			"early read": "stale open fetch | stale open fetch | stale open fetch | stale open fetch | stale close",
		},
		"another shop's, delivered": {
			"delivery":   "error | error | error | error | error",
			"read":       "applied insert take | applied insert take | applied insert take | applied insert take | applied erase",
			"bulk":       "applied insert fetch take | applied insert fetch take | applied insert fetch take | applied insert fetch take | applied erase",
			"early read": "applied insert take | applied insert take | applied insert take | applied insert take | applied erase",
		},
		"another shop's, read": {
			"delivery":   "error | error | error | error | error",
			"read":       "error | error | error | error | applied erase",
			"bulk":       "error | error | error | error | applied erase",
			"early read": "error | error | error | error | applied erase",
		},
		"passed over": {
			"delivery":   "stale | stale | stale | stale | applied erase",
			"read":       "stale | stale | stale | stale | applied erase",
			"bulk":       "stale | stale | stale | stale | applied erase",
			"early read": "stale | stale | stale | stale | applied erase",
		},
		"not selected by rules": {
			"delivery":   "ignored | ignored | ignored | ignored | applied erase",
			"read":       "ignored pass close | ignored pass close | ignored pass close | ignored pass close | applied erase",
			"bulk":       "ignored pass close | ignored pass close | ignored pass close | ignored pass close | applied erase",
			"early read": "ignored pass close | ignored pass close | ignored pass close | ignored pass close | applied erase",
		},
		"compared since": {
			"delivery":   "applied insert fetch | applied insert fetch | applied insert fetch | applied insert fetch | applied erase",
			"read":       "applied insert fetch | applied insert fetch | applied insert fetch | applied insert fetch | applied erase",
			"bulk":       "applied insert fetch | applied insert fetch | applied insert fetch | applied insert fetch | applied erase",
			"early read": "applied insert fetch | applied insert fetch | applied insert fetch | applied insert fetch | applied erase",
		},
	}
	for stored, set := range storedAs {
		if len(table[stored]) != 4 {
			t.Errorf("%q has %d rows in the table", stored, len(table[stored]))
		}
		for how, want := range table[stored] {
			var got []string
			for _, at := range []struct {
				version int64
				content string
				gone    bool
			}{
				{storedVersion - 1000, "other", false}, {storedVersion + 999, "other", false}, {storedVersion + 1000, "other", false},
				{storedVersion, "stored", false}, {storedVersion, "other", true},
			} {
				m := arriving(how, at.version, at.content)
				if set(&m); at.gone {
					m.p = nil
				}
				got = append(got, inShort(judge(&m)))
			}
			if got := strings.Join(got, " | "); got != want {
				t.Errorf("%s, %s:\n %s, want\n %s", stored, how, got, want)
			}
		}
	}
}

// TestWhatIsNotInTheTable holds the verdicts that hang on one thing more.
func TestWhatIsNotInTheTable(t *testing.T) {
	for _, tt := range []struct {
		name, how, want string
		version         int64
		content         string
		set             func(m *matter)
	}{
		{"the same second, triggered earlier", "delivery", "stale fetch", storedVersion, "other", func(m *matter) { m.o.triggered = 4 }},
		{"the same second, nobody knows when it was triggered", "delivery", "applied update fetch", storedVersion, "other", func(m *matter) { m.o.triggered = 0 }},
		{"a body without its time", "delivery", "stale fetch", 0, "other", func(m *matter) { m.p.UpdatedAt = catalog.Field[int64]{} }},
		{"a read without its time", "read", "applied update", 0, "other", func(m *matter) { m.p.UpdatedAt = catalog.Field[int64]{} }},
		{"a stored version without its time", "delivery", "applied update", 1000, "other", func(m *matter) { m.h.hasVersion = false }},
		{"an older version that two reads showed", "read", "applied update", 1000, "other", func(m *matter) {
			m.open = difference{committed: committedAt, hash: m.hash, read: 910_000}
			m.o.started = committedAt + settleAfter.Milliseconds()
		}},
		{"the second of them a moment too early", "read", "stale open fetch", 1000, "other", func(m *matter) {
			m.open = difference{committed: committedAt, hash: m.hash, read: 910_000}
			m.o.started = committedAt + settleAfter.Milliseconds() - 1
		}},
		{"a weight that nobody knew", "read", "stale learn close", storedVersion, "stored", func(m *matter) {
			m.p.Variants.Value()[0].WeightGrams = catalog.Of[int64](5)
			m.old.Variants.Value()[0].WeightGrams = catalog.Null[int64]()
		}},
		{"another weight", "read", "applied update wholly", storedVersion, "stored", func(m *matter) {
			m.p.Variants.Value()[0].WeightGrams = catalog.Of[int64](5)
			m.old.Variants.Value()[0].WeightGrams = catalog.Of[int64](6)
		}},
		{"stock that turns out to be counted", "read", "stale learn close", storedVersion, "stored", func(m *matter) {
			m.p.Variants.Value()[0].Tracked = catalog.Of(true)
			m.old.Variants.Value()[0].Tracked = catalog.Null[bool]()
		}},
		{"stock that is not counted any more", "read", "applied update wholly", storedVersion, "stored", func(m *matter) {
			m.p.Variants.Value()[0].Tracked = catalog.Of(false)
			m.old.Variants.Value()[0].Tracked = catalog.Of(true)
		}},
		{"shipping that turns out to be needed", "read", "stale learn close", storedVersion, "stored", func(m *matter) {
			m.p.Variants.Value()[0].RequiresShipping = catalog.Of(true)
			m.old.Variants.Value()[0].RequiresShipping = catalog.Null[bool]()
		}},
		{"shipping that is not needed any more", "read", "applied update wholly", storedVersion, "stored", func(m *matter) {
			m.p.Variants.Value()[0].RequiresShipping = catalog.Of(false)
			m.old.Variants.Value()[0].RequiresShipping = catalog.Of(true)
		}},
		{"words for searches that nobody knew", "read", "stale learn close", storedVersion, "stored", func(m *matter) {
			m.p.SEOTitle, m.old.SEOTitle = catalog.Of("Find me"), catalog.Null[string]()
		}},
		{"other words for searches", "read", "applied update wholly", storedVersion, "stored", func(m *matter) {
			m.p.SEODescription, m.old.SEODescription = catalog.Null[string](), catalog.Of("Find me")
		}},
		{"a variant's later time", "delivery", "stale learn", storedVersion, "stored", func(m *matter) {
			m.p.Variants.Value()[0].UpdatedAt = catalog.Of[int64](99)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := arriving(tt.how, tt.version, tt.content)
			storedRow(&m)
			tt.set(&m)
			if got := inShort(judge(&m)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
