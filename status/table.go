package status

import (
	"errors"
	"slices"
	"strings"
	"time"

	"stockroom/datadir"
	"stockroom/state"
	"stockroom/store"
	"stockroom/syncer"
	"stockroom/webhook"
)

// Row is one thing that can be so. It is about everything (Whole) or about one
// shop (Shop); each says whether it holds, and its line.
type Row struct {
	Code    string // stable: API, metrics and the log name it
	Mood    Mood   // unless the line has one of its own
	Against bool   // while it holds, the copy is not in step
	Whole   func(f *Facts) (Line, bool)
	Shop    func(f *Facts, s *Shop) (Line, bool)
	// All says the lines of several shops as one headline; nil: the usual way.
	All func(f *Facts, lines []Line) Line
}

// Table is all that can be so, from worst to best. The first row that holds is
// the headline.
//
// What is known, and how: whether the stores can be written, by their newest
// writes; space, by asking the disk every few seconds; contact, by the newest
// call to the shop; refusals, by signatures of the last ten minutes; whether
// deliveries arrive, by what runs find; equality, by the newest complete proof.
func Table() []Row {
	return []Row{
		// Nothing can be stored, or soon nothing.
		{Code: "store-both", Mood: Bad, Against: true, Whole: nothingStored},
		{Code: "space-out", Mood: Bad, Whole: spaceOut},
		{Code: "shops-unread", Mood: Wait, Against: true, Whole: shopsUnread},
		// A person has to do something, or deliveries are lost.
		{Code: "uninstalled", Mood: Bad, Against: true, Shop: uninstalled},
		{Code: "moved", Mood: Bad, Against: true, Shop: moved},
		{Code: "paused", Mood: Bad, Against: true, Shop: paused},
		{Code: "secret-missing", Mood: Bad, Against: true, Shop: secretMissing},
		{Code: "secret-wrong", Mood: Bad, Against: true, Shop: secretWrong},
		{Code: "deaf", Mood: Bad, Against: true, Shop: deaf},
		// Our own stores: what arrives is kept, but not where it belongs.
		{Code: "store-catalogue", Mood: Wait, Against: true, Whole: catalogueFails},
		{Code: "store-queue", Mood: Wait, Whole: queueFails},
		{Code: "unread", Mood: Wait, Against: true, Shop: unread},
		// The shop can't be asked.
		{Code: "calls-held", Mood: Wait, Against: true, Shop: callsHeld},
		{Code: "unreachable", Mood: Wait, Against: true, Shop: unreachable},
		{Code: "unsubscribed", Mood: Bad, Against: true, Shop: unsubscribed},
		{Code: "dead", Mood: Bad, Against: true, Shop: dead},
		{Code: "dead-other", Mood: Bad, Whole: deadOther},
		{Code: "lost", Mood: Bad, Whole: lost},
		{Code: "first-read-failed", Mood: Wait, Against: true, Shop: firstReadFailed},
		// Something may be wrong.
		{Code: "secret-doubt", Mood: Wait, Shop: secretDoubt},
		{Code: "stranger", Mood: Wait, Whole: stranger},
		{Code: "late", Mood: Wait, Against: true, Shop: late},
		{Code: "space-low", Mood: Wait, Whole: spaceLow},
		// Known changes are not stored yet.
		{Code: "disputed", Mood: Wait, Against: true, Shop: disputed},
		{Code: "updates-wait", Mood: Wait, Against: true, Shop: updatesWait},
		{Code: "reads-fail", Mood: Wait, Against: true, Shop: readsFail},
		{Code: "reading", Mood: Wait, Against: true, Shop: reading},
		// There is no proof that still counts.
		{Code: "first-read", Mood: Wait, Against: true, Shop: firstRead},
		{Code: "loss", Mood: Wait, Against: true, Shop: loss},
		{Code: "owed", Mood: Wait, Against: true, Shop: owed},
		{Code: "never-compared", Mood: Wait, Against: true, Shop: neverCompared},
		{Code: "clock-back", Mood: Wait, Against: true, Shop: clockBack},
		{Code: "unproven", Mood: Wait, Against: true, Shop: unproven},
		{Code: "overdue", Mood: Wait, Against: true, Shop: overdue},
		{Code: "subscriptions-unknown", Mood: Wait, Against: true, Shop: subscriptionsUnknown},
		{Code: "unworked", Mood: Wait, Against: true, Shop: unworked},
		// Nothing is wrong.
		{Code: "no-shop", Mood: Idle, Whole: noShop},
		{Code: "in-step", Mood: Good, Shop: inStep, All: allInStep},
	}
}

// Codes are those of the table, in its order.
func Codes() []string {
	var list []string
	for _, r := range Table() {
		list = append(list, r.Code)
	}
	return list
}

// no says that a row does not hold.
func no() (Line, bool) { return Line{}, false }

func yes(text, next Words, command ...string) (Line, bool) {
	return Line{Text: text, Next: next, Command: strings.Join(command, "")}, true
}

const (
	// damping is how long known changes may be read before that is a line.
	damping = 5 * time.Second
	// deliveredWithin is how long before its delivery a change may have been made
	// that the delivery tells of.
	deliveredWithin = time.Minute
	// repeatWords is what Shopify does with what can't be stored.
	repeatWords = "What can't be stored, Shopify is told to send again, which it does for four hours."
)

// CauseWords says why the catalogue does not take changes.
func CauseWords(c Catalogue) string {
	if c.Cause == "" {
		return "the catalogue did not answer in time"
	}
	return c.Cause.Words()
}

// storedWords says what becomes of deliveries while the catalogue fails.
func (f *Facts) storedWords() string {
	tried := "Tried again with the next write. "
	if f.Catalogue.Closed {
		tried = "Tried again every half second. "
	}
	switch {
	case !f.Queue.OK || f.Space.Level == datadir.SpaceCritical:
		return tried + repeatWords
	case f.Queue.Updates == 0:
		return tried + "Whatever arrives meanwhile is kept in the retry queue."
	case f.Queue.Updates == 1:
		return tried + "1 update is kept in the retry queue meanwhile."
	}
	return tried + Number(int64(f.Queue.Updates)) + " updates are kept in the retry queue meanwhile."
}

func nothingStored(f *Facts) (Line, bool) {
	if f.Catalogue.OK || f.Queue.OK {
		return no()
	}
	return yes(say("Nothing can be stored now: "+CauseWords(f.Catalogue)+"."), say(f.storedWords()))
}

func spaceOut(f *Facts) (Line, bool) {
	if f.Space.Level != datadir.SpaceCritical {
		return no()
	}
	text := "The disk is almost full: " + Bytes(f.Space.Free) + " are free, so product updates may soon be refused."
	if f.Space.Refused { // whatever is free, by a limit or since
		text = "The disk is full: a write was refused for want of space."
	}
	return yes(say(text), say("Free some space on the disk of the data folder. It is looked at every few seconds. "+
		repeatWords))
}

func spaceLow(f *Facts) (Line, bool) {
	if f.Space.Level != datadir.SpaceLow {
		return no()
	}
	return yes(say("The disk gets full: "+Bytes(f.Space.Free)+" of "+Bytes(f.Space.Total)+" are free. Everything is stored still."),
		say("Free some space on the disk of the data folder. It is looked at every few seconds."))
}

// Bytes says a number of bytes.
func Bytes(n int64) string {
	switch {
	case n >= 10<<30:
		return Number(n>>30) + " GiB"
	case n >= 1<<30:
		return Number(n>>30) + "." + Number(n%(1<<30)*10>>30) + " GiB"
	case n >= 1<<20:
		return Number(n>>20) + " MiB"
	}
	return Number(max(0, n)>>10) + " KiB"
}

func shopsUnread(f *Facts) (Line, bool) {
	if f.ShopsErr == nil {
		return no()
	}
	return yes(say("The list of shops can't be read now."), say("It is read again with the next look."))
}

func catalogueFails(f *Facts) (Line, bool) {
	if f.Catalogue.OK || !f.Queue.OK {
		return no()
	}
	return yes(say("Product updates wait to be stored: "+CauseWords(f.Catalogue)+"."), say(f.storedWords()))
}

func queueFails(f *Facts) (Line, bool) {
	if f.Queue.OK || !f.Catalogue.OK {
		return no()
	}
	return yes(say("Product updates are stored, but the retry queue can't be used: "+f.Queue.Reason+"."),
		say("It is tried again by itself. Should the catalogue fail too, Shopify is told to send updates again."))
}

// unread holds where what stands against a shop can't be counted.
func unread(_ *Facts, s *Shop) (Line, bool) {
	err := s.JobsErr
	if s.Sync != nil {
		err = errors.Join(err, s.Sync.Raw.Unread)
	}
	if err == nil {
		return no()
	}
	return yes(say("What waits for this shop can't be counted now, so it is not known whether the copy is in step."), say("It is counted again with the next look."))
}

func uninstalled(_ *Facts, s *Shop) (Line, bool) {
	if s.State != "uninstalled" {
		return no()
	}
	return yes(say("The app was removed from the shop, so nothing new comes from it."),
		say("Install the app again, or remove the shop here with this command:"), "stockroom shop remove ", s.Shop)
}

func moved(_ *Facts, s *Shop) (Line, bool) {
	code, name := PauseParts(s.Reason)
	if s.State != "paused" || state.PauseReason(code) != state.PauseMoved {
		return no()
	}
	return yes(say("The shop has another name at Shopify now: "+name+"."),
		say("Connect it under its new name with this command, then remove the old one with stockroom shop remove "+s.Shop+":"), "stockroom shop add ", name)
}

// PauseParts splits a reason into its code and what it is about.
func PauseParts(reason string) (code, detail string) {
	code, detail, _ = strings.Cut(reason, ": ")
	return code, detail
}

func paused(_ *Facts, s *Shop) (Line, bool) {
	if s.State == "active" || s.State == "uninstalled" {
		return no()
	}
	code, detail := PauseParts(s.Reason)
	if state.PauseReason(code) == state.PauseMoved {
		return no()
	}
	why, next, command := s.Reason, say("Goes on when it is resumed."), ""
	asked := func(rest string) Words {
		if s.NextTry.IsZero() {
			return say(rest)
		}
		return say("Asked again at ", clock(s.NextTry), ", ", ahead(s.NextTry), ", and when somebody presses Try now. ", rest)
	}
	switch state.PauseReason(code) {
	case state.PauseToken:
		why, next, command = "Shopify does not accept the app's credentials", asked("Give working ones with this command:"), "stockroom shop add "+s.Shop
	case state.PauseScope:
		why, next = "the app lacks a permission", asked("Give the app the permission in the shop's admin.")
	case state.PauseFrozen:
		why, next = "Shopify has frozen the shop", asked("Product updates that arrive are stored.")
	case state.PauseUninstalled:
		why, next = "the app is not installed", asked("Install the app again, or remove the shop here with this command:")
		command = "stockroom shop remove " + s.Shop
	case state.PauseOperator:
		why = "somebody paused it here"
	default:
		detail = ""
	}
	switch {
	case s.Words != "":
		why = s.Words
	case detail != "":
		why += " (" + strings.TrimSuffix(detail, ".") + ")"
	}
	if why == "" {
		why = "no reason was given"
	}
	return yes(say("Paused: "+strings.TrimSuffix(why, ".")+"."), next, command)
}

func secretMissing(_ *Facts, s *Shop) (Line, bool) {
	if s.HasSecret {
		return no()
	}
	return yes(say("Product updates can't be checked: the app's secret is missing."),
		say("Shopify is told to send them again. Give the secret with this command:"), "stockroom shop add ", s.Shop)
}

// refusedWords names what the signatures of refused deliveries fit.
func refusedWords(r webhook.Refusals) string {
	switch r.Fits {
	case webhook.ReasonOldSecret:
		return "they are signed with a secret that was replaced here"
	case webhook.ReasonOtherShop:
		return "they are signed with the secret of another shop"
	}
	return "they are signed with another secret than the one known here"
}

// secretWrong needs a witness that a stranger can't make.
func secretWrong(_ *Facts, s *Shop) (Line, bool) {
	r := s.Refused
	if r.Count == 0 || r.Reason == webhook.ReasonBodyChanged || r.Reason == webhook.ReasonTruncated {
		return no()
	}
	undelivered := s.Sync != nil && !s.Sync.Deliveries.Newest.Before(r.First.Add(-deliveredWithin)) && s.Sync.Deliveries.Undelivered > 0
	if r.Fits == "" && !undelivered {
		return no()
	}
	return yes(say("Product updates are refused: ", refusedWords(r), ". The last came at ", clock(r.Last), ", ", age(r.Last), "."),
		say("Shopify sends them again for four hours. Compare the client secret with the app's and give the right one with this command:"), "stockroom shop add ", s.Shop)
}

func secretDoubt(f *Facts, s *Shop) (Line, bool) {
	r := s.Refused
	if _, known := secretWrong(f, s); known || r.Count == 0 {
		return no()
	}
	what, next := "are signed with another secret", "If it is Shopify, the client secret here is wrong: compare it with the app's. If it is not, nothing is to be done; nothing of it is kept."
	switch r.Reason {
	case webhook.ReasonBodyChanged:
		what, next = "were changed on the way", "Something between Shopify and Stockroom writes the body again: have it pass the bytes on as they are."
	case webhook.ReasonTruncated:
		what, next = "were cut off on the way", "Look for a limit of size in a proxy between Shopify and Stockroom."
	}
	return yes(say("Somebody sends deliveries for "+ShortShop(s.Shop)+" that "+what+"; they are refused. The last came at ", clock(r.Last), ", ", age(r.Last), "."),
		say(next+" This line goes 10 minutes after the last one, or with the next valid delivery."))
}

func stranger(f *Facts) (Line, bool) {
	if len(f.Strangers) == 0 {
		return no()
	}
	s := f.Strangers[0]
	return yes(say("Deliveries for "+s.Name+" are signed with your app's secret, and that shop is not connected. The last came at ", clock(s.At), "."),
		say("If "+Enumerate(s.Shops)+" was renamed, or the app is meant for both, connect it with this command:"), "stockroom shop add ", s.Name)
}

func deaf(_ *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil || !s.Sync.Deliveries.Deaf {
		return no()
	}
	d := s.Sync.Deliveries
	return yes(say("Deliveries do not arrive: "+ofChanges(d)+" of the last day were read before a delivery brought them, the oldest from ", clock(d.Oldest), ", and nothing was heard since."),
		say("Changes are looked for every 30 seconds until deliveries are heard. Look whether Shopify can reach the public address of Stockroom."))
}

func late(_ *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil || !s.Sync.Deliveries.Late || s.Sync.Deliveries.Deaf {
		return no()
	}
	return yes(say("Changes arrive late: "+ofChanges(s.Sync.Deliveries)+" were read before a delivery brought them."),
		say("Changes are looked for every 30 seconds until deliveries are heard."))
}

func ofChanges(d syncer.Deliveries) string {
	return Number(int64(d.Undelivered)) + " of " + Number(int64(d.Changes))
}

func callsHeld(_ *Facts, s *Shop) (Line, bool) {
	if !s.Calls.Open() || !s.Calls.Held {
		return no()
	}
	return yes(say("Paused: calls to Shopify are held back by hand."), say("They go on when somebody lets them."))
}

// unreachable names the newest call's own failure.
func unreachable(f *Facts, s *Shop) (Line, bool) {
	c := s.Calls
	if c == nil || c.Held || !c.Open() && c.Failed == "" || s.State != "active" {
		return no() // a pause says itself why nothing is asked
	}
	why := clause(c.Failed)
	if why == "" { // the circuit is older than the process
		why = "calls to it failed before Stockroom was started, and none was made since"
	}
	text := say("The shop can't be asked: " + why + ".")
	next := say("Product updates that arrive are stored; what has to be read waits. ")
	switch {
	case c.Open() && c.RetryAt.After(f.Now):
		next = say(next, "Next try at ", clock(c.RetryAt), ", ", ahead(c.RetryAt), ".")
	case c.FailedRetryAt.After(f.Now):
		next = say(next, "Next try at ", clock(c.FailedRetryAt), ", ", ahead(c.FailedRetryAt), ".")
	case s.Jobs.Retry.After(f.Now):
		next = say(next, "Next try ", ahead(s.Jobs.Retry), ".")
	case s.Sync != nil && s.Sync.WaitsUntil.After(f.Now):
		next = say(next, "Next try ", ahead(s.Sync.WaitsUntil), ".")
	default:
		if sc, ok := s.Sync.Next(); ok {
			next = say(next, "Next try ", ahead(sc.Next), ".")
		}
	}
	return yes(text, next)
}

func unsubscribed(f *Facts, s *Shop) (Line, bool) {
	n := len(s.Sync.Missing())
	if n == 0 {
		return no()
	}
	next := "Comparisons still find what changed. Press Register on the page Shops."
	if f.PublicURL == "" || s.Sync.Subscriptions.Error != "" {
		next = "Comparisons still find what changed. " + s.Sync.Subscriptions.Error
	}
	words := "subscriptions are missing"
	if n == 1 {
		words = "subscription is missing"
	}
	return yes(say("Shopify does not send all product updates: "+Number(int64(n))+" "+words+"."), say(next))
}

func dead(f *Facts, s *Shop) (Line, bool) {
	if s.Jobs.Dead == 0 {
		return no()
	}
	return yes(say(need(s.Jobs.Dead)+" a look; everything else that arrived is stored."),
		say("Kept whole until you retry or discard them", say(" on the page Waiting and failed."), repaired(f, s)))
}

// deadOther is about dead letters of no connected shop.
func deadOther(f *Facts) (Line, bool) {
	if f.OtherDead == 0 {
		return no()
	}
	return yes(say(need(f.OtherDead)+" a look; everything else that arrived is stored."), say("Kept whole until you retry or discard them on the page Waiting and failed."))
}

func need(n int) string {
	if n == 1 {
		return "1 item needs"
	}
	return Number(int64(n)) + " items need"
}

// repaired says when a comparison sets the products right, whatever becomes of
// the updates that failed.
func repaired(f *Facts, s *Shop) Words {
	if s.Sync == nil {
		return nil
	}
	var first time.Time
	for _, sc := range s.Sync.Schedules {
		if sc.Name == "reconcile" || sc.Name == "full_sync" {
			first = earlier(first, sc.Next)
		}
	}
	switch {
	case first.IsZero():
		return nil
	case s.Sync.Running != nil && !first.After(f.Now.Add(time.Second)):
		return say(" The next comparison, after the one that runs now, sets the products themselves right all the same.")
	}
	return say(" The next comparison, ", ahead(first), ", sets the products themselves right all the same.")
}

func lost(f *Facts) (Line, bool) {
	for _, n := range f.Notices {
		if n.Level == LevelBad {
			return yes(say("Something was lost or damaged here; what arrives is stored."), say(n.Text+" "+n.Next))
		}
	}
	return no()
}

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

func disputed(_ *Facts, s *Shop) (Line, bool) {
	if s.Disputed == 0 {
		return no()
	}
	return yes(say(products(s.Disputed)+" in the shop another content than the newer one that is stored here, since ", clock(s.DisputedSince), "."),
		say("They are read again; what two reads ten minutes apart show is taken over."))
}

func products(n int) string {
	if n == 1 {
		return "1 product shows"
	}
	return Number(int64(n)) + " products show"
}

func updatesWait(f *Facts, s *Shop) (Line, bool) {
	if s.Jobs.Updates == 0 {
		return no()
	}
	text := "1 product update waits to be stored; everything else that arrived is stored."
	if s.Jobs.Updates > 1 {
		text = Number(int64(s.Jobs.Updates)) + " product updates wait to be stored; everything else that arrived is stored."
	}
	return yes(say(text), nextTry(f))
}

func nextTry(f *Facts) Words {
	switch {
	case !f.Catalogue.OK:
		return say(f.storedWords())
	case f.Queue.Leased > 0:
		return say("Being worked on now.")
	case len(f.Queue.Paused) > 0:
		return say("Paused by hand: " + strings.Join(f.Queue.Paused, ", ") + ".")
	case f.Queue.Next.IsZero():
		return say("Tried again when the part of Stockroom that does it runs.")
	}
	return say("Next try ", ahead(f.Queue.Next), ".")
}

func readsFail(f *Facts, s *Shop) (Line, bool) {
	if s.Jobs.Failed == 0 {
		return no()
	}
	text := "1 changed product could not be read: "
	if s.Jobs.Failed > 1 {
		text = Number(int64(s.Jobs.Failed)) + " changed products could not be read: "
	}
	return yes(say(text+clause(s.Jobs.LastError)+"."), say("Next try ", ahead(s.Jobs.Retry), "."))
}

// reading is the one row that is damped.
func reading(f *Facts, s *Shop) (Line, bool) {
	n, since, waits := s.Jobs.Reads, s.Jobs.ReadSince, s.Jobs.Waits
	if s.Sync != nil && s.Sync.Raw.Differ > 0 {
		n += s.Sync.Raw.Differ
		since = earlier(since, s.Sync.Raw.DifferSince)
	}
	if n == 0 || f.Now.Sub(since) < damping {
		return no()
	}
	text := "1 known change is being read from the shop"
	if n > 1 {
		text = Number(int64(n)) + " known changes are being read from the shop"
	}
	next := say("Nothing is to be done.")
	switch {
	case s.Calls.Wait(f.Now):
		next = say("Calls have to wait for points; the next one goes out ", ahead(s.Calls.NextGrant), ".")
	case waits != "":
		next = say("They wait: " + clause(waits) + ".")
	}
	return yes(say(text+", the oldest since ", clock(since), "."), next)
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
	var first time.Time
	for _, sc := range s.Sync.Schedules {
		if slices.Contains(names, sc.Name) {
			first = earlier(first, sc.Next)
		}
	}
	switch {
	case !f.Works:
		return say("It is done when stockroom serve runs.")
	case first.IsZero():
		return say("It is not planned; ask for it with stockroom sync " + s.Shop + ".")
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
	case c.DryRun && n == 1:
		why = "changed nothing and found that 1 product differs from the shop's"
	case c.DryRun && n > 1:
		why = "changed nothing and found that " + Number(n) + " products differ from the shop's"
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

func subscriptionsUnknown(f *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil {
		return no()
	}
	switch sub := s.Sync.Subscriptions; {
	case sub.CheckedAt.IsZero():
		return yes(say("Whether Shopify sends product updates has not been checked yet."), planned(f, s, "subscriptions"))
	case f.Now.Sub(sub.CheckedAt) > syncer.SubscriptionsKnown:
		return yes(say("Whether Shopify still sends product updates is not known; it was checked last at ", clock(sub.CheckedAt), "."), planned(f, s, "subscriptions"))
	case !sub.Present && sub.Error != "":
		return yes(say(Sentences(sub.Error)), planned(f, s, "subscriptions"))
	case !sub.Present:
		return yes(say("Shopify does not send every kind of product update."), planned(f, s, "subscriptions"))
	}
	return no()
}

func unworked(_ *Facts, s *Shop) (Line, bool) {
	if s.Jobs.Unworked == 0 {
		return no()
	}
	return yes(say(Count(int64(s.Jobs.Unworked), "further job")+" will be done when the part of Stockroom that does them runs."), nil)
}

func noShop(f *Facts) (Line, bool) {
	if f.ShopsErr != nil || len(f.Shops) > 0 {
		return no()
	}
	return yes(say("No shop is connected yet."), say("Connect one with this command; it asks for the app's secret:"), "stockroom shop add my-shop.myshopify.com")
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
