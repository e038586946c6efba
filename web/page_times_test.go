package web

import (
	"regexp"
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
	if got := parts(now, now.UTC().Format(time.RFC3339)); len(got) != 1 || got[0].Time != seconds(now, now) {
		t.Errorf("%+v", got)
	}
}

var (
	timeElement = regexp.MustCompile(`(?s)<time [^>]*>.*?</time>`)
	// What the shop, the person or a program wrote is shown as it is.
	verbatim = regexp.MustCompile(`(?s)<code>.*?</code>|<h[1-3][^>]*>.*?</h[1-3]>|<a class="name".*?</a>|<b[ >].*?</b>|<dl class="diffs">.*?</dl>` +
		`|<pre.*?</pre>|<title>.*?</title>|<textarea.*?</textarea>|<dd dir="auto">.*?</dd>|<td.*?</td>|<option.*?</option>|<div class="what"><p>.*?</p>` +
		`|<p class="sub">Draft in Shopify.*?</p>|<dt>(?:Bulk operation|Images|Shop|Keeps|Merchant id|Version)</dt><dd>.*?</dd>|Keeps products with[^<]*` +
		`| From [^<]*|<span class="(?:shop|hint|vh)">.*?</span>|<[^>]*>`)
	bareTime = regexp.MustCompile(`.{0,60}(?:\b\d\d:\d\d\b|\d{4}-\d\d-\d\dT).{0,20}`)
)

// A time in a message, an error or a sentence is an element of its own, so that
// the script can write it in the reader's zone.
func TestNoPageHasATimeThatIsPlainText(t *testing.T) {
	r, _, _ := full(t, "not before 2026-11-01T10:00:00Z")
	for _, path := range r.everyPage() {
		page := r.admin(200, "GET", path, "")
		if !timeElement.MatchString(page) {
			t.Errorf("%s: no instant at all", path)
		}
		for _, e := range timeElement.FindAllString(page, -1) {
			if form := regexp.MustCompile(`data-as="(ago|ahead|clock|seconds)"`).FindString(e); form == "" {
				t.Errorf("%s: %s has no form", path, e)
			}
		}
		text := verbatim.ReplaceAllString(timeElement.ReplaceAllString(page, ""), "")
		for _, found := range bareTime.FindAllString(text, 3) {
			t.Errorf("%s: %q", path, found)
		}
	}
}
