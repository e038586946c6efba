package status

import (
	"testing"
	"time"
)

func TestTheEndOfTheVersionIsToldForThirtyDays(t *testing.T) {
	for at, want := range map[string]string{
		"2026-12-17": "", // the version goes on 16 January, 15:00
		"2026-12-18": "Version 2026-01 of Shopify's API is served for 29 more days.",
		"2027-01-15": "Version 2026-01 of Shopify's API is served for 1 more day.",
	} {
		f := calm()
		f.APIVersion = "2026-01"
		f.Now, _ = time.Parse(time.DateOnly, at)
		l, holds := versionEnds(&f)
		if got := l.Sentence(f.Now); got != want || holds != (want != "") {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
}
