package status

import (
	"errors"
	"strings"

	"stockroom/internal/config"
	"stockroom/internal/state"
	"stockroom/internal/syncer"
	"stockroom/webhook"
)

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

func uninstalled(f *Facts, s *Shop) (Line, bool) {
	if s.State != "uninstalled" {
		return no()
	}
	next, command := reinstall(f, s)
	return yes(say("The app was removed from the shop, so nothing new comes from it."), next, command)
}

// asked says when a paused shop is asked again, and what to do until then.
func asked(s *Shop, rest string) Words {
	if s.NextTry.IsZero() {
		return say(rest)
	}
	return say("Asked again at ", clock(s.NextTry), ", ", ahead(s.NextTry), ", and when somebody presses Try now. ", rest)
}

// reinstall says what to do about an app that is gone. Only one that asks for its
// tokens has one after that.
func reinstall(f *Facts, s *Shop) (next Words, command string) {
	const again, leave = "Install the app again", ", or remove the shop here with "
	words, command := s.Mend()
	switch kept := s.Access == ByConsent || s.Access == ByToken; {
	case kept && s.FromEnvironment:
		return asked(s, again+". "+words), ""
	case s.FromEnvironment:
		return asked(s, again+"."), ""
	case kept:
		return asked(s, again+leave+f.command("shop remove "+s.Shop)+". "+words), command
	}
	return asked(s, again+leave+"this command:"), "shop remove " + s.Shop
}

func moved(f *Facts, s *Shop) (Line, bool) {
	code, name := PauseParts(s.Reason)
	if s.State != "paused" || state.PauseReason(code) != state.PauseMoved {
		return no()
	}
	_, connect := Connection{Shop: name, Access: s.Access}.Mend()
	return yes(say("The shop has another name at Shopify now: "+name+"."),
		say("It is asked again ", ahead(s.NextTry), ". Connect it under its new name with this command, then remove the old one with "+f.command("shop remove "+s.Shop)+":"),
		connect)
}

// PauseParts splits a reason into its code and what it is about.
func PauseParts(reason string) (code, detail string) {
	code, detail, _ = strings.Cut(reason, ": ")
	return code, detail
}

func paused(f *Facts, s *Shop) (Line, bool) {
	if s.State == "active" || s.State == "uninstalled" {
		return no()
	}
	code, detail := PauseParts(s.Reason)
	if state.PauseReason(code) == state.PauseMoved {
		return no()
	}
	why, next, command := s.Reason, say("Goes on when it is resumed."), ""
	switch state.PauseReason(code) {
	case state.PauseToken:
		var rest string
		rest, command = s.Mend()
		why, next = "Shopify does not accept the app's credentials", asked(s, rest)
	case state.PauseScope:
		why, next = "the app lacks a permission", asked(s, "Goes on by itself when the app has it.")
	case state.PauseFrozen:
		why, next = "Shopify has frozen the shop", asked(s, s.meanwhile("Product updates that arrive are stored."))
	case state.PauseUninstalled:
		why = "the app is not installed"
		next, command = reinstall(f, s)
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
	words, command := s.giveSecret()
	return yes(say("Product updates can't be checked: the app's secret is missing."),
		say("Shopify is told to send them again. "+words), command)
}

// refusedWords names what the signatures of refused deliveries fit.
func refusedWords(r webhook.Refusals) string {
	switch r.Fits {
	case webhook.ReasonOldSecret:
		return "are signed with a secret that was replaced here"
	case webhook.ReasonOtherShop:
		return "are signed with the secret of another shop"
	}
	return "are signed with another secret than the one known here"
}

// secretWrong needs a witness that a stranger can't make: changes that no delivery
// told of. A signature that fits another secret is none, since whoever saw one
// delivery can send it again, under any shop's name and after the secret changed. In
// a quiet shop Shopify's repeats are hours apart.
func secretWrong(f *Facts, s *Shop) (Line, bool) {
	r := s.Refused
	if r.Count == 0 || r.Reason == webhook.ReasonBodyChanged || r.Reason == webhook.ReasonTruncated {
		return no()
	}
	if s.Sync == nil || s.Sync.Deliveries.Undelivered == 0 {
		return no()
	}
	d := s.Sync.Deliveries
	if now := refusedNow(f, r) && !d.Newest.Before(r.First.Add(-deliveredWithin)); !now && !(d.Deaf && r.Last.After(d.Oldest)) {
		return no()
	}
	words, command := s.giveSecret()
	return yes(say("Product updates are refused: they ", refusedWords(r), ". The last came at ", clock(r.Last), ", ", age(r.Last), "."),
		say("Shopify sends them again for four hours. Compare the client secret with the app's. "+words), command)
}

// refusedNow reports whether the row of refusals has not ended.
func refusedNow(f *Facts, r webhook.Refusals) bool {
	return r.Count > 0 && f.Now.Sub(r.Last) <= webhook.RefusedFor
}

func secretDoubt(f *Facts, s *Shop) (Line, bool) {
	r := s.Refused
	if _, known := secretWrong(f, s); known || !refusedNow(f, r) {
		return no()
	}
	what, next := refusedWords(r), "If it is Shopify, the client secret here is wrong: compare it with the app's. If it is not, nothing is to be done; nothing of it is kept."
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
		say("If "+Enumerate(s.Shops)+" was renamed, or the app is meant for both, connect it with this command:"), config.ConnectWords(s.Name))
}

func deaf(f *Facts, s *Shop) (Line, bool) {
	if _, refused := secretWrong(f, s); refused || s.Sync == nil || !s.Sync.Deliveries.Deaf {
		return no()
	}
	d, elsewhere := s.Sync.Deliveries, ""
	if known, _ := s.Sync.Subscriptions.KnownByDeliveries(); known {
		elsewhere = "whether what you subscribed to yourself is still there, "
	}
	return yes(say("Deliveries do not arrive: "+ofChanges(d)+" of the last day were read before a delivery brought them, the oldest from ", clock(d.Oldest), ", and nothing was heard since."),
		say("Changes are looked for "+Every(s.Sync.Looking.Every)+" until deliveries are heard. Look whether Shopify can reach the public address of Stockroom, "+
			elsewhere+"and whether the app has another client secret now than the one that was given here."))
}

func late(_ *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil || !s.Sync.Deliveries.Late || s.Sync.Deliveries.Deaf {
		return no()
	}
	return yes(say("Changes arrive late: "+ofChanges(s.Sync.Deliveries)+" were read before a delivery brought them."),
		say("Changes are looked for "+Every(s.Sync.Looking.Every)+" until deliveries are heard."))
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

// meanwhile says what becomes of changes while the shop can't be asked; otherwise is
// what it says where deliveries come.
func (s *Shop) meanwhile(otherwise string) string {
	if s.pull() {
		return "What changes there meanwhile is found when it can be asked again."
	}
	return otherwise
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
	next := say(s.meanwhile("Product updates that arrive are stored; what has to be read waits."), " ")
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

func unsubscribed(_ *Facts, s *Shop) (Line, bool) {
	if s.Sync == nil || s.Sync.Subscriptions.CheckedAt.IsZero() || s.Sync.Subscriptions.Present {
		return no()
	}
	sub := s.Sync.Subscriptions
	return yes(say(Sentences("Shopify does not send all product updates: "+MissingWords(sub), sub.Error)),
		say(Sentences("changes are looked for "+s.Sync.Looking.Often()+" until it does", sub.Next)))
}
