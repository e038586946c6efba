package web

import (
	"strings"
	"testing"
	"time"
)

func TestAnInstantNamesItsZone(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	now := time.Date(2026, 11, 23, 0, 30, 0, 0, berlin)
	before := now.Add(-time.Hour - 4*time.Second)
	for _, c := range []struct {
		got  instant
		want instant
	}{
		{since(now, before), instant{"2026-11-22T22:29:56Z", "Sun 22 Nov 2026, 23:29:56 CET", "1 hour ago", "ago"}},
		{ahead(now, now.Add(time.Minute)), instant{"2026-11-22T23:31:00Z", "Mon 23 Nov 2026, 00:31:00 CET", "in 1 minute", "ahead"}},
		{clock(now, before), instant{"2026-11-22T22:29:56Z", "Sun 22 Nov 2026, 23:29:56 CET", "22 Nov 23:29 CET", "clock"}},
		{clock(now, now), instant{"2026-11-22T23:30:00Z", "Mon 23 Nov 2026, 00:30:00 CET", "00:30 CET", "clock"}},
		{seconds(now, now), instant{"2026-11-22T23:30:00Z", "Mon 23 Nov 2026, 00:30:00 CET", "00:30:00 CET", "seconds"}},
		{clock(now, time.Time{}), instant{}},
	} {
		if c.got != c.want {
			t.Errorf("%+v, want %+v", c.got, c.want)
		}
	}
}

func TestInstantsInATextAreFound(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var b strings.Builder
	text := "No call before 2026-11-23T12:00:05.123Z, the last was at 2026-11-22T13:00:00+01:00. Not 2026-02-31T00:00:00Z."
	if err := loadAssets().pages["problem.html"].ExecuteTemplate(&b, "words", parts(now, text)); err != nil {
		t.Fatal(err)
	}
	want := `No call before <time datetime="2026-11-23T12:00:05Z" data-as="seconds" title="Mon 23 Nov 2026, 12:00:05 UTC">12:00:05 UTC</time>, ` +
		`the last was at <time datetime="2026-11-22T12:00:00Z" data-as="seconds" title="Sun 22 Nov 2026, 12:00:00 UTC">22 Nov 12:00:00 UTC</time>. Not 2026-02-31T00:00:00Z.`
	if b.String() != want {
		t.Error(b.String())
	}
	if got := parts(now, inText(now)); len(got) != 1 || got[0].Time != seconds(now, now) {
		t.Errorf("%+v", got)
	}
}
