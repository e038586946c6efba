package web

import (
	"time"

	"stockroom/status"
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
	capital, small   = status.Capital, status.Small
	sentences        = status.Sentences
	pauseParts       = status.PauseParts
)

// part is a piece of a sentence: text, or an instant when it has one.
type part struct {
	Text string
	Time instant
}

// partsOf turns a sentence of the account into what templates show.
func partsOf(now time.Time, w status.Words) []part {
	var list []part
	for _, p := range w {
		switch {
		case p.At.IsZero():
			list = append(list, part{Text: p.Text})
		case p.Form == status.Clock:
			list = append(list, part{Time: at(p.At, status.ClockText(now, p.At)+" UTC")})
		default:
			list = append(list, part{Time: at(p.At, status.AgeText(now, p.At))})
		}
	}
	return list
}

// lineView is a line of the account as templates show it.
type lineView struct {
	Mood       mood
	Label      string
	Code       string
	Text, Next []part
	Command    string
}

func lineOf(now time.Time, l status.Line) lineView {
	return lineView{Mood: l.Mood, Label: l.Mood.Label(), Code: l.Code, Text: partsOf(now, l.Text), Next: partsOf(now, l.Next), Command: l.Command}
}
