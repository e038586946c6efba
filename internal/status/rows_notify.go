package status

import (
	"time"

	"stockroom/internal/shopify"
)

// Unsent is a target of messages that takes none.
type Unsent struct {
	Target string // scheme and host
	Since  time.Time
	Words  string // why, a clause
}

func notifyFailed(f *Facts) (Line, bool) {
	if len(f.Unsent) == 0 {
		return no()
	}
	u := f.Unsent[0]
	return yes(say("Messages to "+u.Target+" can't be sent since ", clock(u.Since), ": "+u.Words+"."),
		say("Each is tried again for an hour. Correct the URL in the file that --notify-file names, restart Stockroom, "+
			"and see with this command whether a message arrives:"), "notify test")
}

// fewDays are left of an API version when it is time to act.
const fewDays = 30

func versionEnds(f *Facts) (Line, bool) {
	days, known := shopify.DaysLeft(f.APIVersion, f.Now)
	if !known || days >= fewDays || len(f.Shops) == 0 {
		return no()
	}
	text := "Version " + f.APIVersion + " of Shopify's API is served for " + Count(int64(days), "more day") + "."
	if days == 0 {
		text = "Version " + f.APIVersion + " of Shopify's API has ended or ends today; Shopify answers as a later one " +
			"does, which may leave out what is asked for."
	}
	return yes(say(text), say("Install a newer Stockroom. Where there is none yet, set --api-version to a newer version, "+
		"restart Stockroom, and see what this command says of it:"), "doctor")
}
