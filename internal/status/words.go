package status

import (
	"stockroom/internal/catalog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Form is how an instant in a sentence is said.
type Form string

// The forms.
const (
	Clock   Form = "clock"   // 20:12, with the date when it is of another day
	Seconds Form = "seconds" // the same as 20:12:05
	Age     Form = "age"     // 4 minutes ago
	Ahead   Form = "ahead"   // in 3 minutes; any moment when it has come
)

// Part is a piece of a sentence: text, or an instant when At is set.
type Part struct {
	Text string
	At   time.Time
	Form Form
}

// Words is a sentence, or several, whose instants are kept apart from the text.
type Words []Part

// say joins strings, Words and Parts to Words.
func say(parts ...any) Words {
	var w Words
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			if p != "" {
				w = append(w, Part{Text: p})
			}
		case Part:
			w = append(w, p)
		case Words:
			w = append(w, p...)
		}
	}
	return w
}

func clock(t time.Time) Part   { return Part{At: t, Form: Clock} }
func seconds(t time.Time) Part { return Part{At: t, Form: Seconds} }
func age(t time.Time) Part     { return Part{At: t, Form: Age} }
func ahead(t time.Time) Part   { return Part{At: t, Form: Ahead} }

// Text writes the sentence with its instants in UTC.
func (w Words) Text(now time.Time) string {
	var b strings.Builder
	for _, p := range w {
		switch {
		case p.At.IsZero():
			b.WriteString(p.Text)
		case p.Form == Clock:
			b.WriteString(onClock(now, p.At, "15:04 UTC"))
		case p.Form == Seconds:
			b.WriteString(onClock(now, p.At, "15:04:05 UTC"))
		case p.Form == Ahead:
			b.WriteString(Until(now, p.At))
		default:
			b.WriteString(Ago(now, p.At))
		}
	}
	return b.String()
}

// onClock is an instant in UTC, of another day than today with the date.
func onClock(now, t time.Time, layout string) string {
	now, t = now.UTC(), t.UTC()
	if t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		layout = "2 Jan " + layout
	}
	return t.Format(layout)
}

// Ago says in words how long before now t was. Less than a second, or a moment
// that lies ahead because a clock was put back, is "just now".
func Ago(now, t time.Time) string {
	d := now.Sub(t)
	if d < time.Second {
		return "just now"
	}
	return Span(d) + " ago"
}

// Until says in words how long after now t is.
func Until(now, t time.Time) string {
	d := t.Sub(now)
	if d < time.Second {
		return "any moment"
	}
	return "in " + Span(d)
}

// Span says a length of time in its largest whole unit, two for hours.
func Span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return Count(int64(d/time.Second), "second")
	case d < time.Hour:
		return Count(int64(d/time.Minute), "minute")
	case d < 48*time.Hour:
		h, m := int64(d/time.Hour), int64(d%time.Hour/time.Minute)
		if m == 0 || h >= 10 {
			return Count(h, "hour")
		}
		return Count(h, "hour") + " " + Count(m, "minute")
	}
	return Count(int64(d/(24*time.Hour)), "day")
}

// Every says how often something is done that is done once in d: "every 30 seconds".
func Every(d time.Duration) string {
	words := Span(d)
	if d > time.Minute && d < 2*time.Minute {
		words = Count(int64(d/time.Second), "second")
	}
	if one, ok := strings.CutPrefix(words, "1 "); ok && !strings.Contains(one, " ") {
		words = one
	}
	return "every " + words
}

// Count says a number of things; the plural takes an s.
func Count(n int64, thing string) string { return plural(n, "1 "+thing, thing+"s") }

// plural says one, or the number before many.
func plural[N int | int64](n N, one, many string) string {
	if n == 1 {
		return one
	}
	return Number(int64(n)) + " " + many
}

// Number writes an integer with commas.
func Number(n int64) string {
	if n < 0 {
		return "-" + Number(-n)
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ShortShop is a shop's name without the domain that all of them share.
func ShortShop(shop string) string { return strings.TrimSuffix(shop, ".myshopify.com") }

// Small writes the first letter small, but for a name and for letters that stand
// for words, as in HTTP.
func Small(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	second, _ := utf8.DecodeRuneInString(s[n:])
	if n == 0 || unicode.IsUpper(second) || strings.HasPrefix(s, "Shopify") || strings.HasPrefix(s, "Stockroom") {
		return s
	}
	return string(unicode.ToLower(r)) + s[n:]
}

// Sentences joins parts to sentences: each starts large and ends with a stop.
// Empty parts are left out.
func Sentences(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(catalog.Capital(p))
		if !strings.ContainsAny(p[len(p)-1:], ".!?:") {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// Enumerate joins names, at most four of them.
func Enumerate(names []string) string {
	const most = 4
	if len(names) > most {
		return strings.Join(names[:most], ", ") + " and " + strconv.Itoa(len(names)-most) + " more"
	}
	return strings.Join(names, ", ")
}

// clause is words that go on a sentence: without a stop at its end.
func clause(s string) string { return Small(strings.TrimRight(strings.TrimSpace(s), ".")) }
