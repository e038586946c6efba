package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"stockroom/state"
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

// headline is how something stands: a sentence, the words before a moment and
// the moment itself ("Last product update", 14:03), what happens next and, where
// something has to be typed, the command.
type headline struct {
	Mood    mood
	Text    string
	Lead    string
	When    time.Time
	Next    string
	Command string
}

// sentence is the whole text with the moment in words.
func (h headline) sentence(now time.Time) string {
	if h.When.IsZero() {
		return h.Text
	}
	return strings.TrimSpace(h.Text+" "+h.Lead) + " " + ago(now, h.When) + "."
}

const (
	// probeWords is how often a failing catalogue is tried, as the page says it.
	probeWords = "Tried again every half second."
	// credentialWords is when a refused credential is tried again.
	credentialWords = "Asked again every 15 minutes and when the credentials change. Give new ones with this command:"
)

// headlineOf says how things stand, the gravest thing first.
func headlineOf(f facts) headline {
	c, q := f.catalogue, f.queue
	switch {
	case !c.OK && !q.OK:
		return headline{Mood: moodBad, Text: "Nothing can be stored now: " + causeWords(c) + ".",
			Next: probeWords + " Shopify is told to send each product update again, which it does for four hours."}
	case !c.OK:
		return headline{Mood: moodWait, Text: "Product updates wait to be stored: " + causeWords(c) + ".",
			Next: probeWords + " " + keptWords(q)}
	case !q.OK:
		return headline{Mood: moodWait, Text: "Product updates are stored, but the retry queue can't be used: " + q.Reason + ".",
			Next: "It is tried again by itself. Should the catalogue fail too, Shopify is told to send updates again."}
	case f.shopsErr != nil:
		return headline{Mood: moodWait, Text: "The list of shops can't be read now.", Next: "It is read again when this page reloads."}
	case len(f.shops) == 0:
		return headline{Mood: moodIdle, Text: "No shop is connected yet.",
			Next: "Connect one with this command; it asks for the app's secret:", Command: "stockroom shop add my-shop.myshopify.com"}
	}
	if h, ok := pausedHeadline(f.shops); ok {
		return h
	}
	if shop := unverifiable(f.shops); shop != "" {
		return headline{Mood: moodBad, Text: "Product updates of " + shortShop(shop) + " can't be checked: the app's secret is missing.",
			Next: "Shopify is told to send them again. Give the secret with this command:", Command: "stockroom shop add " + shop}
	}
	for _, s := range f.shops {
		if s.Calls.open() {
			h := callsLine(s.Calls, f.now)
			h.Text = "Paused for " + shortShop(s.Shop) + h.Text[len("Paused"):]
			if q.Dead > 0 {
				h.Mood, h.Next = moodBad, h.Next+" "+capital(need(q.Dead))+" a look meanwhile."
			}
			return h
		}
	}
	if h, ok := subscriptionHeadline(f.shops); ok {
		return h
	}
	rest := "; everything else that arrived is stored."
	switch {
	case q.Dead > 0 && q.Updates > 0:
		return headline{Mood: moodBad, Text: need(q.Dead) + " a look; " + wait(q.Updates) + " to be stored.",
			Next: nextTry(f.now, q) + " What needs a look is kept whole until you retry or discard it." + repaired(f.now, f.shops)}
	case q.Dead > 0:
		return headline{Mood: moodBad, Text: need(q.Dead) + " a look" + rest,
			Next: "Kept whole until you retry or discard them; they are listed below." + repaired(f.now, f.shops)}
	}
	for _, n := range f.notices {
		if n.Level == LevelBad {
			return headline{Mood: moodBad, Text: "Something was lost or damaged here; what arrives is stored.", Next: n.Text + " " + n.Next}
		}
	}
	known := !slices.ContainsFunc(f.shops, shopFacts.doubtful)
	switch {
	case q.Updates > 0:
		return headline{Mood: moodWait, Text: capital(wait(q.Updates)) + " to be stored" + rest, Next: nextTry(f.now, q)}
	case q.Reads > 0 && known && !q.Oldest.IsZero() && f.now.Sub(q.Oldest) < usualWait:
		return headline{Mood: moodGood, Text: "Everything that arrived is stored. " + readsNow(q.Reads) + "."}
	case q.Reads > 0 && known:
		return headline{Mood: moodWait, Text: "Everything that arrived is stored. " + reads(q.Reads) + ".", Next: nextRead(f)}
	case f.last.IsZero() && !anyCompared(f.shops):
		return headline{Mood: moodIdle, Text: "Ready. No product update has arrived yet.", Next: expect(f)}
	}
	h := headline{Mood: moodGood, Text: "Everything that arrived is stored.", Lead: "Last product update", When: f.last}
	if step, ok := stepHeadline(f); ok {
		h = step
	}
	if q.Unworked > 0 {
		h.Mood = moodWait
		h.Next = count(int64(q.Unworked), "further job") + " will be done when the part of Stockroom that does them runs."
	}
	return h
}

// causeWords says why the catalogue does not take changes.
func causeWords(c storeFacts) string {
	if c.Cause == "" {
		return "the catalogue did not answer in time"
	}
	return c.Cause.Words()
}

func keptWords(q queueFacts) string {
	switch q.Updates {
	case 0:
		return "Whatever arrives meanwhile is kept safely."
	case 1:
		return "1 update is kept safely meanwhile."
	}
	return number(int64(q.Updates)) + " updates are kept safely meanwhile."
}

func need(n int) string {
	if n == 1 {
		return "1 item needs"
	}
	return number(int64(n)) + " items need"
}

func wait(n int) string {
	if n == 1 {
		return "1 product update waits"
	}
	return number(int64(n)) + " product updates wait"
}

func reads(n int) string {
	if n == 1 {
		return "1 read from Shopify is still to be done"
	}
	return number(int64(n)) + " reads from Shopify are still to be done"
}

// usualWait is how long a read from Shopify may take before it is told as a
// wait: some updates only say that something changed, and are read as they come.
const usualWait = time.Minute

func readsNow(n int) string {
	if n == 1 {
		return "1 product is being read from Shopify"
	}
	return number(int64(n)) + " products are being read from Shopify"
}

func nextTry(now time.Time, q queueFacts) string {
	switch {
	case q.Leased > 0:
		return "Being worked on now."
	case len(q.Paused) > 0:
		return "Paused by hand: " + strings.Join(q.Paused, ", ") + "."
	case q.Next.IsZero():
		return "Tried again when the part of Stockroom that does it runs."
	}
	return "Next try " + until(now, q.Next) + "."
}

// nextRead says when the next of the waiting reads is done: the shops they are of
// may have to be asked later.
func nextRead(f facts) string {
	var next time.Time
	for _, s := range f.shops {
		if s.Waiting-s.Updates-s.Unworked <= 0 {
			continue
		}
		if !s.Calls.wait(f.now) {
			return nextTry(f.now, f.queue)
		}
		if next.IsZero() || s.Calls.NextGrant.Before(next) {
			next = s.Calls.NextGrant
		}
	}
	if next.IsZero() {
		return nextTry(f.now, f.queue)
	}
	return "Calls to Shopify have to wait; the next one goes out " + until(f.now, next) + "."
}

// doubtful reports whether something else than waiting jobs stands against the
// copy being in step: the first read, for one.
func (s shopFacts) doubtful() bool {
	return s.Sync != nil && !s.Sync.InStep && !s.Sync.OnlyJobs && (s.Sync.Why != "" || s.Sync.Running != nil)
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
func unverifiable(shops []shopFacts) string {
	for _, s := range shops {
		if s.State == "active" && !s.HasSecret {
			return s.Shop
		}
	}
	return ""
}

// pausedHeadline speaks of the shops that are not active.
func pausedHeadline(shops []shopFacts) (headline, bool) {
	var names []string
	var first shopFacts
	for _, s := range shops {
		if s.State == "active" {
			continue
		}
		if names == nil {
			first = s
		}
		names = append(names, shortShop(s.Shop))
	}
	switch len(names) {
	case 0:
		return headline{}, false
	case 1:
		h := pausedLine(first)
		if first.State == "uninstalled" {
			h.Text = "The app was removed from " + names[0] + ", so nothing new comes from it."
		} else {
			h.Text = "Paused for " + names[0] + h.Text[len("Paused"):]
		}
		return h, true
	}
	return headline{Mood: moodBad, Text: fmt.Sprintf("%d of %d shops are paused: %s.", len(names), len(shops), enumerate(names)),
		Next: "Each shop says below why, and what happens next."}, true
}

// pausedLine says why a shop is not active and what happens next.
func pausedLine(s shopFacts) headline {
	if s.State == "uninstalled" {
		return headline{Mood: moodBad, Text: "The app was removed from this shop.",
			Next: "Install the app again, or remove the shop here with this command:", Command: "stockroom shop remove " + s.Shop}
	}
	code, detail := pauseParts(s.Reason)
	h := headline{Mood: moodBad, Next: "Goes on when it is resumed."}
	var why string
	switch state.PauseReason(code) {
	case state.PauseToken:
		why, h.Next, h.Command = "Shopify does not accept the access token", credentialWords, "stockroom shop add "+s.Shop
	case state.PauseScope:
		why, h.Next = "the app lacks a permission", "Asked again every 15 minutes. Give the app the permission in the shop's admin."
	case state.PauseFrozen:
		why, h.Next = "Shopify has frozen the shop", "Asked again from time to time; product updates that arrive are stored."
	case state.PauseUninstalled:
		why, h.Next = "the app is not installed", "Asked again every hour, and when the credentials change. Install the app again, or remove the shop here with this command:"
		h.Command = "stockroom shop remove " + s.Shop
	case state.PauseOperator:
		why = "somebody paused it here"
	default:
		why, detail = s.Reason, ""
	}
	if detail != "" {
		why += " (" + strings.TrimSuffix(detail, ".") + ")"
	}
	if why == "" {
		why = "no reason was given"
	}
	h.Text = "Paused: " + strings.TrimSuffix(why, ".") + "."
	return h
}

// pauseParts splits a reason into its code and what it is about.
func pauseParts(reason string) (code, detail string) {
	code, detail, _ = strings.Cut(reason, ": ")
	return code, detail
}

// enumerate joins names, at most four of them.
func enumerate(names []string) string {
	const most = 4
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// shopLine says how one shop stands.
func shopLine(now time.Time, s shopFacts) headline {
	switch {
	case s.State != "active":
		return pausedLine(s)
	case s.Calls.open():
		return callsLine(s.Calls, now)
	case !s.HasSecret:
		return headline{Mood: moodBad, Text: "The app's secret is missing, so its updates can't be checked.",
			Next: "Give it with this command:", Command: "stockroom shop add " + s.Shop}
	case len(missingSubscriptions(s.Sync)) > 0:
		return headline{Mood: moodBad, Text: "Shopify does not send all product updates: " + missingWords(len(missingSubscriptions(s.Sync))) + ".",
			Next: "Comparisons still find what changed. Press Register on the page Shops."}
	case s.Dead > 0:
		return headline{Mood: moodBad, Text: need(s.Dead) + " a look.", Next: strings.TrimSpace(repaired(now, []shopFacts{s}))}
	case s.Updates == 0 && s.doubtful():
		return notInStep(now, s)
	case s.Waiting > s.Unworked && s.Updates == 0 && now.Sub(s.OldestJob) < usualWait:
		return headline{Mood: moodGood, Text: readsNow(s.Waiting-s.Unworked) + ".", Lead: "Last update", When: s.Last}
	case s.Waiting > s.Unworked:
		return headline{Mood: moodWait, Text: capital(waitingWords(s)) + ".", Lead: "The oldest came", When: s.OldestJob}
	case s.Sync != nil && s.Sync.InStep:
		return headline{Mood: moodGood, Text: "In step with the shop.", Lead: "Last update", When: s.Last}
	case s.Sync != nil && (s.Sync.Running != nil || s.Sync.Why != ""):
		return notInStep(now, s)
	case s.Last.IsZero():
		return headline{Mood: moodIdle, Text: "Connected; no product update yet."}
	}
	return headline{Mood: moodGood, Lead: "Last update", When: s.Last}
}

// waitingWords says what of a shop waits: updates to be stored, products to be
// read.
func waitingWords(s shopFacts) string {
	var parts []string
	if s.Updates > 0 {
		parts = append(parts, wait(s.Updates)+" to be stored")
	}
	if n := s.Waiting - s.Updates - s.Unworked; n > 0 {
		parts = append(parts, reads(n))
	}
	return strings.Join(parts, "; ")
}

// outcomeMood is the mood of a delivery's outcome.
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
