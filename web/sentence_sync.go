package web

import (
	"strconv"
	"time"

	"stockroom/store"
)

// anyCompared reports whether anything is known from a comparison with a shop.
func anyCompared(shops []shopFacts) bool {
	for _, s := range shops {
		if s.Sync != nil && (s.Sync.InStep || s.Sync.Running != nil || !s.Sync.ProvenIDs.IsZero() || !s.Sync.ProvenFields.IsZero()) {
			return true
		}
	}
	return false
}

// subscriptionHeadline says that Shopify does not send what it should.
func subscriptionHeadline(shops []shopFacts) (headline, bool) {
	for _, s := range shops {
		if n := len(missingSubscriptions(s.Sync)); n > 0 {
			return headline{Mood: moodBad, Text: "Shopify does not send all product updates of " + shortShop(s.Shop) + ": " + missingWords(n) + ".",
				Next: "Comparisons still find what changed. Press Register on the page Shops."}, true
		}
	}
	return headline{}, false
}

func missingWords(n int) string {
	if n == 1 {
		return "1 subscription is missing"
	}
	return number(int64(n)) + " subscriptions are missing"
}

// stepHeadline speaks of the comparison with the shops when everything that
// arrived is stored; false when nothing is compared.
func stepHeadline(f facts) (headline, bool) {
	var out []string
	var first shopFacts
	compared := 0
	for _, s := range f.shops {
		if s.Sync == nil {
			continue
		}
		compared++
		if s.Sync.InStep {
			continue
		}
		if out == nil {
			first = s
		}
		out = append(out, shortShop(s.Shop))
	}
	h := headline{Mood: moodGood, Text: "In step: every product equals the shop's.", Lead: "Last product update", When: f.last}
	if compared := f.shops; len(compared) == 1 && compared[0].Sync != nil {
		h.Next = comparedWords(f.now, compared[0].Sync)
	}
	switch {
	case compared == 0:
		return headline{}, false
	case len(out) == 0 && compared > 1:
		h.Text = "In step: every product equals its shop's."
	case len(out) == 1:
		h = notInStep(f.now, first)
		if len(f.shops) > 1 {
			h.Next = shortShop(first.Shop) + ": " + h.Next
		}
	case len(out) > 1:
		h = headline{Mood: moodWait, Text: "Everything that arrived is stored. " + strconv.Itoa(len(out)) + " shops are not known to be in step: " + enumerate(out) + ".",
			Next: "Each shop says below why, and what happens next."}
	}
	if h.When.IsZero() {
		h.Lead = ""
	}
	return h, true
}

// notInStep says why a copy is not known to equal its shop's and what happens
// next by itself.
func notInStep(now time.Time, s shopFacts) headline {
	st := s.Sync
	h := headline{Mood: moodWait, Text: sentences("Not known to be in step with the shop", st.Why)}
	if st.Running != nil {
		first := st.ProvenFields.IsZero() && st.ProvenIDs.IsZero()
		switch {
		case first && st.Running.Kind == store.RunFull:
			h.Text = "The catalogue is being read for the first time."
		default:
			h.Text = "The copy is being compared with the shop."
		}
		if p := progressOf(now, st); p != nil {
			h.Next = sentences(p.Words)
		}
		return h
	}
	if next, ok := nextSchedule(st.Schedules); ok {
		h.Next = "Next: " + small(scheduleWords(next.Name)) + " " + until(now, next.Next) + "."
	}
	return h
}

// repaired says when a comparison sets the products right, whatever becomes of
// the updates that failed; "" when none is planned.
func repaired(now time.Time, shops []shopFacts) string {
	var first time.Time
	running := false
	for _, s := range shops {
		if s.Dead == 0 || s.Sync == nil {
			continue
		}
		running = running || s.Sync.Running != nil
		for _, sc := range s.Sync.Schedules {
			if (sc.Name == "reconcile" || sc.Name == "full_sync") && !sc.Next.IsZero() && (first.IsZero() || sc.Next.Before(first)) {
				first = sc.Next
			}
		}
	}
	if first.IsZero() {
		return ""
	}
	when := until(now, first)
	if running && !first.After(now.Add(time.Second)) {
		when = "after the one that runs now"
	}
	return " The next comparison, " + when + ", sets the products themselves right all the same."
}
