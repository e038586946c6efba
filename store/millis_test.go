package store

import (
	"encoding/json"
	"testing"
	"time"
)

func TestMillisAreTimesInJSON(t *testing.T) {
	type row struct {
		At   Millis  `json:"at"`
		None Millis  `json:"none,omitempty"`
		Null *Millis `json:"null"`
	}
	for ms, want := range map[Millis]string{
		1_795_983_125_123: "2026-11-29T20:12:05.123Z",
		1_795_983_125_000: "2026-11-29T20:12:05Z",
		0:                 "1970-01-01T00:00:00Z",
		-1:                "1969-12-31T23:59:59.999Z",
		// A payload can name instants that RFC 3339 can't say in UTC.
		MillisOf(time.Date(10_000, 1, 1, 4, 0, 0, 0, time.UTC)): "9999-12-31T23:59:59.999Z",
		MillisOf(time.Date(-1, 12, 31, 23, 0, 0, 0, time.UTC)):  "0000-01-01T00:00:00Z",
	} {
		text, err := json.Marshal(row{At: ms})
		if err != nil || string(text) != `{"at":"`+want+`","null":null}` {
			t.Errorf("%d: %s, %v", ms, text, err)
		}
		back := row{None: 7}
		err = json.Unmarshal([]byte(`{"at":"`+want+`","none":null,"null":null}`), &back)
		if err != nil || back != (row{At: min(max(ms, firstMillis), lastMillis), None: 7}) {
			t.Errorf("%s: %+v, %v", want, back, err)
		}
	}
	var m Millis
	if err := json.Unmarshal([]byte(`1795983125123`), &m); err == nil {
		t.Error("a number was taken for a time")
	}
	at := InMillis(time.Date(2026, 11, 29, 21, 12, 5, 123_999_999, time.FixedZone("", 3600)))
	if at.String() != "2026-11-29 20:12:05.123 +0000 UTC" {
		t.Error(at)
	}
	if !InMillis(time.Time{}).IsZero() {
		t.Error("none is none no more")
	}
}
