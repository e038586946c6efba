package store

import "time"

// Millis is an instant as the tables have it: Unix milliseconds. In JSON it is
// RFC 3339 in UTC, as every time of the API is.
type Millis int64

// MillisOf returns the instant t, without what is finer than a millisecond.
func MillisOf(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time returns it in the local zone, as time.UnixMilli does.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)) }

// The first and last instant that RFC 3339 can say. A payload can name one
// outside: 9999-12-31T23:00:00-05:00 is in the year 10000 of UTC.
const (
	firstMillis Millis = -62_167_219_200_000 // 0000-01-01T00:00:00Z
	lastMillis  Millis = 253_402_300_799_999 // 9999-12-31T23:59:59.999Z
)

// MarshalJSON implements json.Marshaler. It never fails: one odd time must not
// cost the answer that it is in.
func (m Millis) MarshalJSON() ([]byte, error) { return m.appendJSON(nil), nil }

func (m Millis) appendJSON(b []byte) []byte {
	return min(max(m, firstMillis), lastMillis).Time().UTC().AppendFormat(b, `"`+time.RFC3339Nano+`"`)
}

// UnmarshalJSON implements json.Unmarshaler. As with time.Time, null changes
// nothing.
func (m *Millis) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	var t time.Time
	if err := t.UnmarshalJSON(text); err != nil {
		return err
	}
	*m = MillisOf(t)
	return nil
}

// InMillis returns t as Millis shows one, in UTC and without what is finer than a
// millisecond; the zero time, which stands for none, stays as it is.
func InMillis(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return MillisOf(t).Time().UTC()
}
