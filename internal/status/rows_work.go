package status

import "time"

func dead(f *Facts, s *Shop) (Line, bool) {
	n := s.Jobs.Dead - s.Jobs.Misfits
	if n == 0 {
		return no()
	}
	return yes(say(plural(n, "1 item needs", "items need")+" a look; everything else that arrived is stored."),
		say("Kept whole until you retry or discard them", say(" on the page Waiting and failed."), repaired(f, s)))
}

// misfits are no more than a note: topic and shop of a delivery are not signed, so
// anybody who has seen one can send it under others.
func misfits(_ *Facts, s *Shop) (Line, bool) {
	if s.Jobs.Misfits == 0 {
		return no()
	}
	text := plural(s.Jobs.Misfits, "1 delivery does not fit the topic or the shop that it came with; nothing of it was stored.",
		"deliveries do not fit the topic or the shop that they came with; nothing of them was stored.")
	return yes(say(text), say("A product that such a delivery names is read from the shop, and then it goes from the page Waiting and failed. Discard there what stays."))
}

// deadOther is about dead letters of no connected shop.
func deadOther(f *Facts) (Line, bool) {
	if f.OtherDead == 0 {
		return no()
	}
	return yes(say(plural(f.OtherDead, "1 item needs", "items need")+" a look; everything else that arrived is stored."), say("Kept whole until you retry or discard them on the page Waiting and failed."))
}

func stuckJobs(f *Facts) (Line, bool) {
	if f.Queue.Stuck == 0 {
		return no()
	}
	return yes(say("A job of the kind "+f.Queue.StuckKind+" does not end, since ", clock(f.Queue.StuckSince), "."),
		say("Restart Stockroom. What the job was to do is kept, and tried again then. Please report it: it is a fault in Stockroom."))
}

// repaired says when a comparison sets the products right, whatever becomes of
// the updates that failed.
func repaired(f *Facts, s *Shop) Words {
	if s.Sync == nil {
		return nil
	}
	first := s.Sync.due("reconcile", "full_sync")
	switch {
	case first.IsZero():
		return nil
	case s.Sync.Running != nil && !first.After(f.Now.Add(time.Second)):
		return say(" The next comparison, after the one that runs now, sets the products themselves right all the same.")
	}
	return say(" The next comparison, ", ahead(first), ", sets the products themselves right all the same.")
}

func disputed(_ *Facts, s *Shop) (Line, bool) {
	if s.Disputed == 0 {
		return no()
	}
	return yes(say(plural(s.Disputed, "1 product shows", "products show")+" in the shop another content than the newer one that is stored here, since ", clock(s.DisputedSince), "."),
		say("They are read again; what two reads ten minutes apart show is taken over."))
}

func updatesWait(f *Facts, s *Shop) (Line, bool) {
	if s.Jobs.Updates == 0 {
		return no()
	}
	wait := plural(s.Jobs.Updates, "1 product update waits", "product updates wait")
	return yes(say(wait+" to be stored; everything else that arrived is stored."), nextTry(f))
}

func nextTry(f *Facts) Words {
	switch {
	case !f.Catalogue.OK:
		return say(f.storedWords())
	case f.Queue.Leased > 0:
		return say("Being worked on now.")
	case f.Queue.Next.IsZero():
		return say("Tried again when the part of Stockroom that does it runs.")
	}
	return say("Next try ", ahead(f.Queue.Next), ".")
}

func readsFail(f *Facts, s *Shop) (Line, bool) {
	if s.Jobs.Failed == 0 {
		return no()
	}
	text := Count(int64(s.Jobs.Failed), "changed product") + " could not be read: "
	return yes(say(text+clause(s.Jobs.LastError)+"."), say("Next try ", ahead(s.Jobs.Retry), "."))
}

// reading is the one row that is damped.
func reading(f *Facts, s *Shop) (Line, bool) {
	n, since, waits, within := s.Jobs.Reads, s.Jobs.ReadSince, s.Jobs.Waits, damping
	text := " being read from the shop"
	if s.Sync != nil {
		st, l := s.Sync.Raw, s.Sync.Looking
		n, since = n+st.Differ+l.Waiting, earlier(earlier(since, st.DifferSince), l.WaitsSince)
		if toGo := l.ToGo(f.Now); toGo != "" {
			text += ", " + toGo
		}
		if l.Pull {
			within = l.Every + pollGrace
		}
	}
	if n == 0 || f.Now.Sub(since) < within {
		return no()
	}
	next := say("Nothing is to be done.")
	switch {
	case s.Calls.Wait(f.Now):
		next = say("Calls have to wait for points; the next one goes out ", ahead(s.Calls.NextGrant), ".")
	case waits != "":
		next = say("They wait: " + clause(waits) + ".")
	}
	text = plural(n, "1 known change is", "known changes are") + text
	return yes(say(text+", the oldest since ", clock(since), "."), next)
}

func unworked(_ *Facts, s *Shop) (Line, bool) {
	if s.Jobs.Unworked == 0 {
		return no()
	}
	return yes(say(Count(int64(s.Jobs.Unworked), "further job")+" will be done when the part of Stockroom that does them runs."), nil)
}
