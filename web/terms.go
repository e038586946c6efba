package web

import (
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/status"
)

// The words and moods of the account of health, which the pages use too.
type mood = status.Mood

const (
	moodGood = status.Good
	moodIdle = status.Idle
	moodWait = status.Wait
	moodBad  = status.Bad
)

var (
	ago, until, span = status.Ago, status.Until, status.Span
	count, number    = status.Count, status.Number
	shortShop        = status.ShortShop
	capital, small   = catalog.Capital, status.Small
	sentences        = status.Sentences
	pauseParts       = status.PauseParts
)

// partsOf turns a sentence of the account into what templates show.
func partsOf(now time.Time, w status.Words) []part {
	var list []part
	for _, p := range w {
		switch {
		case p.At.IsZero():
			list = append(list, parts(now, p.Text)...) // a reason may name an instant
		case p.Form == status.Clock:
			list = append(list, part{Time: clock(now, p.At)})
		case p.Form == status.Ahead:
			list = append(list, part{Time: ahead(now, p.At)})
		default:
			list = append(list, part{Time: since(now, p.At)})
		}
	}
	return list
}
