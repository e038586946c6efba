package web

import (
	"fmt"
	"strings"
	"time"

	"stockroom/store"
)

// mood is how things stand; it picks the mark, its word and its colour.
type mood string

const (
	moodGood mood = "good" // everything that arrived is stored
	moodIdle mood = "idle" // nothing wrong, nothing to tell yet
	moodWait mood = "wait" // something waits and goes on by itself
	moodBad  mood = "bad"  // a person has to do something, or nothing can be stored
)

// label is the word beside the mark: state is never told by colour alone.
func (m mood) label() string {
	switch m {
	case moodGood:
		return "All well"
	case moodIdle:
		return "Ready"
	case moodWait:
		return "Waiting"
	}
	return "Needs attention"
}

// headline is the overall state: one sentence, what happens next and, where
// something has to be typed, the command.
type headline struct {
	Mood    mood
	Text    string
	Next    string
	Command string
}

// probeWords is how often a failing catalogue is tried, as the page says it.
const probeWords = "Tried again every half second."

// headlineOf says how things stand, the gravest thing first.
func headlineOf(f facts) headline {
	c, q := f.catalogue, f.queue
	switch {
	case !c.OK && !q.OK:
		return headline{moodBad, "Nothing can be stored now: " + causeWords(c) + ".",
			probeWords + " Shopify is told to send each product update again, which it does for four hours.", ""}
	case c.Closed:
		return headline{moodWait, "Product updates wait to be stored: " + causeWords(c) + ".",
			probeWords + " " + waitingSafely(q), ""}
	case !q.OK:
		return headline{moodWait, "Product updates are stored, but the retry queue can't be used: " + q.Reason + ".",
			"It is tried again by itself. Should the catalogue fail too, Shopify is told to send updates again.", ""}
	case f.shopsErr != nil:
		return headline{moodWait, "The list of shops can't be read now.", "It is read again when this page reloads.", ""}
	case len(f.shops) == 0:
		return headline{moodIdle, "No shop is connected yet.",
			"Connect one with this command; it asks for the app's secret:", "stockroom shop add my-shop.myshopify.com"}
	}
	if h, ok := pausedHeadline(f); ok {
		return h
	}
	switch {
	case q.Dead > 0:
		return headline{moodBad, fmt.Sprintf("%s a look; everything else that arrived is stored.", need(q.Dead)),
			"They are kept, whole, until you retry or discard them below.", ""}
	case f.unverifiable() != "":
		shop := f.unverifiable()
		return headline{moodBad, "Product updates of " + shortShop(shop) + " can't be checked: the app's secret is missing.",
			"Shopify is told to send them again. Give the secret with this command:", "stockroom shop add " + shop}
	case q.Waiting+q.Leased > 0:
		return headline{moodWait, fmt.Sprintf("%s to be stored or fetched; the rest is stored.", wait(q.Waiting+q.Leased)), nextTry(f.now, q), ""}
	case f.last.IsZero():
		return headline{moodIdle, "Ready. No product update has arrived yet.", expect(f), ""}
	}
	return headline{moodGood, "Everything that arrived is stored. Last product update " + ago(f.now, f.last) + ".", "", ""}
}

// causeWords says why the catalogue does not take changes.
func causeWords(c storeFacts) string {
	if c.Cause == "" {
		return "the catalogue did not answer in time"
	}
	return c.Cause.Words()
}

func waitingSafely(q queueFacts) string {
	if q.Waiting+q.Leased == 0 {
		return "Whatever arrives meanwhile is kept safely."
	}
	return count(int64(q.Waiting+q.Leased), "update") + " kept safely meanwhile."
}

func need(n int) string {
	if n == 1 {
		return "1 product update needs"
	}
	return number(int64(n)) + " product updates need"
}

func wait(n int) string {
	if n == 1 {
		return "1 product update waits"
	}
	return number(int64(n)) + " product updates wait"
}

func nextTry(now time.Time, q queueFacts) string {
	switch {
	case q.Leased > 0 && q.Waiting == 0:
		return "Being worked on now."
	case len(q.Paused) > 0:
		return "Retries of " + strings.Join(q.Paused, ", ") + " are paused by hand."
	case q.Next.IsZero():
		return "They go on by themselves."
	}
	return "Next try " + until(now, q.Next) + "."
}

// expect says what has to happen before the first update arrives.
func expect(f facts) string {
	switch {
	case f.demo:
		return "The simulated shop sends the first one within seconds."
	case f.publicURL == "":
		return "Shopify needs to know where to send them: set --public-url, then run stockroom webhooks register."
	}
	return "Change a product in the shop's admin; it shows here a moment later."
}

// unverifiable is the first active shop without a secret, "" for none.
func (f facts) unverifiable() string {
	for _, s := range f.shops {
		if s.State == "active" && !s.HasSecret {
			return s.Shop
		}
	}
	return ""
}

func pausedHeadline(f facts) (headline, bool) {
	var names []string
	var first shopFacts
	for _, s := range f.shops {
		if s.State == "active" || s.State == "" {
			continue
		}
		if names == nil {
			first = s
		}
		names = append(names, shortShop(s.Shop))
	}
	switch {
	case names == nil:
		return headline{}, false
	case len(names) > 1:
		return headline{moodBad, fmt.Sprintf("%d of %d shops are paused: %s.", len(names), len(f.shops), list(names)),
			"The reason of each is below.", ""}, true
	case first.State == "uninstalled":
		return headline{moodBad, "The app was removed from " + names[0] + ", so nothing new comes from it.",
			"Install the app again, or remove the shop here with this command:", "stockroom shop remove " + first.Shop}, true
	}
	return headline{moodBad, "Paused for " + names[0] + ": " + reasonOr(first.Reason) + ".", "Product updates that still arrive are stored.", ""}, true
}

func reasonOr(reason string) string {
	if reason == "" {
		return "no reason was given"
	}
	return strings.TrimSuffix(reason, ".")
}

// list joins names, at most four of them.
func list(names []string) string {
	const most = 4
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// shopLine says how one shop stands.
func shopLine(now time.Time, s shopFacts) headline {
	switch {
	case s.State == "uninstalled":
		return headline{Mood: moodBad, Text: "The app was removed from this shop."}
	case s.State == "paused":
		return headline{Mood: moodBad, Text: "Paused: " + reasonOr(s.Reason) + "."}
	case !s.HasSecret:
		return headline{Mood: moodBad, Text: "The app's secret is missing, so its updates can't be checked.", Command: "stockroom shop add " + s.Shop}
	case s.Dead > 0:
		return headline{Mood: moodBad, Text: "Something needs a look."}
	case s.Waiting > 0:
		return headline{Mood: moodWait, Text: "Some updates wait, the oldest for " + span(now.Sub(s.OldestJob)) + "."}
	case s.Last.IsZero():
		return headline{Mood: moodIdle, Text: "Connected; no product update yet."}
	}
	return headline{Mood: moodGood, Text: "Last update " + ago(now, s.Last) + "."}
}

// causeOutcome is the mood of a delivery's outcome.
func outcomeMood(o store.Outcome) mood {
	switch o {
	case store.Applied:
		return moodGood
	case store.Queued:
		return moodWait
	case store.Dead, store.Mismatch:
		return moodBad
	}
	return moodIdle
}
