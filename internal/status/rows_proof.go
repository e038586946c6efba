package status

import (
	"slices"

	"stockroom/internal/config"
	"stockroom/internal/syncer"
	"stockroom/store"
)

// proven reports whether the copy was ever shown to equal the shop's.
func (s *Shop) proven() bool { return s.Sync != nil && !s.Sync.AsOf.IsZero() }

func firstReadFailed(f *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil || s.proven() || s.Sync.Running != nil {
		return no()
	}
	first := s.Sync.Raw.First
	if first.Done || first.Failed.IsZero() {
		return no()
	}
	text := "The first read of the catalogue failed: " + clause(first.Words) + "."
	if first.Expected >= 0 {
		text += " " + Number(s.Local) + " of " + Count(first.Expected, "product") + " are here."
	}
	next := say("Asked again when somebody says so.")
	switch {
	case !first.Next.IsZero():
		next = say("Next try at ", clock(first.Next), ", ", ahead(first.Next), ".")
	case !f.Works:
		next = say("Tried again when stockroom serve runs.")
	}
	return yes(say(text), next)
}

func firstRead(f *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil || s.Sync.Running == nil || s.proven() {
		return no()
	}
	text := "The first comparison with the shop is under way."
	if s.Sync.Running.Kind == store.RunFull {
		text = "The catalogue is being read for the first time."
	}
	return yes(say(text), waitsWords(f, s))
}

// waitsWords says why a run waits, nothing when it does not.
func waitsWords(f *Facts, s *Shop) Words {
	switch {
	case s.Sync.Waits == "":
		return nil
	case s.Sync.WaitsUntil.After(f.Now):
		return say("It waits: "+clause(s.Sync.Waits)+". It goes on ", ahead(s.Sync.WaitsUntil), ".")
	}
	return say("It waits: " + clause(s.Sync.Waits) + ".")
}

// planned says when a run that is needed begins.
func planned(f *Facts, s *Shop, names ...string) Words {
	if s.Sync.Running != nil && !slices.Contains(names, "subscriptions") {
		return say("It is being compared now. ", waitsWords(f, s))
	}
	first := s.Sync.due(names...)
	switch {
	case !f.Works:
		return say("It is done when stockroom serve runs.")
	case first.IsZero():
		return say("It is not planned; ask for it with " + f.command("sync "+s.Shop) + ".")
	}
	return say("It is done ", ahead(first), ".")
}

func loss(f *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil || s.Sync.Raw.Loss == "" {
		return no()
	}
	return yes(say("The whole catalogue has to be read again: "+clause(s.Sync.Raw.Loss)+"."), planned(f, s, "full_sync"))
}

func owed(f *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil || s.Sync.Raw.Owed == "" {
		return no()
	}
	return yes(say("The copy has to be compared with the shop: "+clause(s.Sync.Raw.Owed)+"."), planned(f, s, "reconcile"))
}

func neverCompared(f *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil || s.proven() {
		return no()
	}
	return yes(say("The copy has not been compared with the shop yet."), planned(f, s, "full_sync", "reconcile"))
}

func clockBack(f *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil || s.Sync.Raw.StalenessKnown || !s.proven() || s.Sync.Raw.Loss != "" {
		return no() // without a proof that counts there is no age to know
	}
	return yes(say("The clock of this machine was put back, so the age of the last comparison is not known."), planned(f, s, "reconcile"))
}

func unproven(f *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil {
		return no()
	}
	c := s.Sync.LastReconcile
	if c == nil || c.ID <= s.Sync.Raw.ProvenRun || c.ProvenAt != 0 {
		return no()
	}
	why := "was not complete"
	switch n := c.Added + c.Changed + c.Removed; {
	case c.DryRun && n > 0:
		why = "changed nothing and found that " + plural(n, "1 product differs", "products differ") + " from the shop's"
	case c.Error != "":
		why = "left something open: " + clause(c.Error)
	}
	return yes(say("The last comparison "+why+"."), planned(f, s, "reconcile", "full_sync"))
}

func overdue(f *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil {
		return no()
	}
	for _, sc := range s.Sync.Schedules {
		if !sc.Late || sc.Name != "reconcile" && sc.Name != "full_sync" {
			continue
		}
		why := "."
		if sc.LastError != "" {
			why = ": " + clause(sc.LastError) + "."
		}
		return yes(say("The comparison with the shop is overdue"+why), planned(f, s, sc.Name))
	}
	return no()
}

// pull reports whether the shop's changes are looked for and no delivery is waited
// for.
func (s *Shop) pull() bool { return s.Sync != nil && s.Sync.Looking.Pull }

// unlooked holds where changes are not looked for in pull mode. Why the shop can't
// be asked, and that it was not compared, are told by rows of their own.
func unlooked(f *Facts, s *Shop) (Line, bool) {
	if _, told := unreachable(f, s); !s.pull() || !s.proven() || told || s.State != "active" || s.Calls.Open() {
		return no()
	}
	l := s.Sync.Looking
	text := say("Changes can't be looked for: " + clause(l.Words) + ".")
	switch {
	case !l.Failed.IsZero():
	case l.Last.IsZero():
		text = say("Changes have not been looked for yet.")
	case f.Now.Sub(l.Last) > 2*l.Every+pollGrace:
		text = say("Changes were looked for last at ", seconds(l.Last), ", ", age(l.Last), ".")
	default:
		return no()
	}
	next := say("Tried again when the part of Stockroom that does it runs.")
	switch {
	case !l.Next.IsZero():
		next = say("Tried again ", ahead(l.Next), ".")
	case l.Held != "":
		next = say("The next look waits: " + clause(l.Held) + ".")
	}
	next = say(next, " Comparisons still find what changed")
	if at := s.Sync.due("reconcile", "full_sync"); !at.IsZero() {
		next = say(next, "; the next one ", ahead(at))
	}
	return yes(text, say(next, "."))
}

func subscriptionsUnknown(f *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil {
		return no()
	}
	switch sub := s.Sync.Subscriptions; {
	case sub.CheckedAt.IsZero():
		for _, sc := range s.Sync.Schedules {
			if sc.Name == "subscriptions" && sc.LastError != "" {
				return yes(say("Whether Shopify sends product updates could not be checked: "+clause(sc.LastError)+"."),
					planned(f, s, sc.Name))
			}
		}
		return yes(say("Whether Shopify sends product updates has not been checked yet."), planned(f, s, "subscriptions"))
	case f.Now.Sub(sub.CheckedAt) > syncer.SubscriptionsKnown:
		return yes(say("Whether Shopify still sends product updates is not known; it was checked last at ", clock(sub.CheckedAt), "."), planned(f, s, "subscriptions"))
	}
	return no()
}

func noShop(f *Facts) (Line, bool) {
	if f.ShopsErr != nil || len(f.Shops) > 0 {
		return no()
	}
	return yes(say("No shop is connected yet."), say("Connect one on the status page, or with this command, which asks for the client secret:"), config.ConnectWords("NAME.myshopify.com"))
}

// inStep is the proof: as of its beginning every product equalled the shop's.
func inStep(f *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil {
		return Line{Mood: Idle, Text: say("Connected. The copy is not compared with the shop here.")}, true
	}
	if !s.proven() {
		return no()
	}
	next := say("Compared: ")
	if !s.Sync.ProvenIDs.IsZero() {
		next = say(next, "ids and times ", clock(s.Sync.ProvenIDs), "; ")
	}
	if s.Sync.ProvenFields.IsZero() {
		next = say(next, "not every field yet.")
	} else {
		next = say(next, "every field ", clock(s.Sync.ProvenFields), ".")
	}
	if s.pull() {
		next = say(next, " ", s.Sync.Looking.LookedWords())
		if l := s.Sync.Looking; l.Slow != "" {
			next = say(next, " They are looked for "+l.Often()+".")
		}
	}
	return yes(say("Equal to the shop at ", clock(s.Sync.AsOf), ", ", age(s.Sync.AsOf), "."), next)
}

// allInStep speaks of the oldest of the proofs.
func allInStep(f *Facts, lines []Line) Line {
	oldest := f.Now
	for _, s := range f.Shops {
		if s.Sync != nil && s.Sync.AsOf.Before(oldest) {
			oldest = s.Sync.AsOf
		}
	}
	h := lines[0]
	h.Shop, h.Text, h.Next = "", say("Equal to all "+Count(int64(len(lines)), "shop")+"; the oldest proof is of ", clock(oldest), ", ", age(oldest), "."), nil
	return h
}
