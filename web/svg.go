package web

import (
	"strconv"
	"strings"
)

// Units of the drawings; the style sheet stretches them.
const (
	sparkHeight = 40
	sparkStep   = 4 // width of a bar with the gap behind it
	meterWidth  = 200
)

// spark is a row of bars: what happened in each minute. It is drawn with one
// path, because there is one in every card.
type spark struct {
	Width       int
	Path        string
	Total, Most int64
}

// sparkOf draws counts, the oldest first. A count that is not zero shows as a
// bar however small it is beside the largest.
func sparkOf(counts []int) spark {
	s := spark{Width: max(1, len(counts)*sparkStep)}
	for _, n := range counts {
		s.Total += int64(n)
		s.Most = max(s.Most, int64(n))
	}
	var b strings.Builder
	for i, n := range counts {
		if n <= 0 {
			continue
		}
		h := int(max(3, int64(n)*(sparkHeight-2)/s.Most))
		b.WriteString("M" + strconv.Itoa(i*sparkStep) + " " + strconv.Itoa(sparkHeight-1) + "v-" + strconv.Itoa(h) + "h3v" + strconv.Itoa(h) + "z")
	}
	s.Path = b.String()
	return s
}

// meter is a bar that is filled in part.
type meter struct {
	Percent int
	Width   int // of the filled part, of meterWidth
}

// meterOf fills done of total; false when the total is not known.
func meterOf(done, total int64) (meter, bool) {
	if total <= 0 {
		return meter{}, false
	}
	done = min(max(0, done), total)
	return meter{Percent: int(done * 100 / total), Width: int(done * meterWidth / total)}, true
}
