package fakeshopify

import (
	"fmt"
	"regexp"
	"time"
)

type apiVersion struct {
	handle, name string
	supported    bool
}

var versionForm = regexp.MustCompile(`^\d{4}-(01|04|07|10)$`)

// firstKnown is when the facts about versions were written down. Earlier
// clocks, such as those of tests, are taken for it.
var firstKnown = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// publicVersions lists the versions of now: the accessible stable ones, oldest
// first, the release candidate and unstable. A version is released at 17:00
// UTC on the first day of its quarter and stays accessible until 15:00 UTC on
// the 16th day, a year later.
func publicVersions(now time.Time) []apiVersion {
	if now.Before(firstKnown) {
		now = firstKnown
	}
	var list []apiVersion
	for y := now.Year() - 2; y <= now.Year()+1; y++ {
		for m := 1; m <= 10; m += 3 {
			released := time.Date(y, time.Month(m), 1, 17, 0, 0, 0, time.UTC)
			end := time.Date(y+1, time.Month(m), 16, 15, 0, 0, 0, time.UTC)
			handle := fmt.Sprintf("%d-%02d", y, m)
			switch {
			case !now.Before(end):
			case !now.Before(released):
				list = append(list, apiVersion{handle, handle, true})
			case !now.Before(released.AddDate(0, -3, 0)):
				list = append(list, apiVersion{handle, handle + " (Release candidate)", false})
			}
		}
	}
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].supported {
			list[i].name += " (Latest)"
			break
		}
	}
	return append(list, apiVersion{"unstable", "unstable", false})
}

// servedVersion is the version that answers a request for asked: itself when
// accessible, else the oldest accessible one. It is "" for what is no version.
func (s *Shop) servedVersion(asked string, now time.Time) string {
	if asked == "" {
		asked = s.opt.APIVersion
	}
	if asked != "unstable" && !versionForm.MatchString(asked) {
		return ""
	}
	list := publicVersions(now)
	for _, v := range list {
		if v.handle == asked {
			return asked
		}
	}
	return list[0].handle
}
