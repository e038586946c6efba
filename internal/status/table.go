package status

import (
	"strings"
	"time"
)

// Row is one thing that can be so. It is about everything (Whole) or about one
// shop (Shop); each says whether it holds, and its line.
type Row struct {
	Code    string // stable: API, metrics and the log name it
	Mood    Mood   // unless the line has one of its own
	Against bool   // while it holds, the copy is not in step
	// Pushed: it is about deliveries that are waited for, which are none in pull mode.
	Pushed bool
	Whole  func(f *Facts) (Line, bool)
	Shop   func(f *Facts, s *Shop) (Line, bool)
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
		{Code: "catalogue-lost", Mood: Bad, Against: true, Whole: catalogueLost},
		{Code: "shops-unread", Mood: Wait, Against: true, Whole: shopsUnread},
		// A person has to do something, or deliveries are lost.
		{Code: "certificate", Mood: Bad, Against: true, Whole: certificateMissing},
		{Code: "uninstalled", Mood: Bad, Against: true, Shop: uninstalled},
		{Code: "moved", Mood: Bad, Against: true, Shop: moved},
		{Code: "paused", Mood: Bad, Against: true, Shop: paused},
		{Code: "secret-missing", Mood: Bad, Against: true, Pushed: true, Shop: secretMissing},
		{Code: "secret-wrong", Mood: Bad, Against: true, Pushed: true, Shop: secretWrong},
		{Code: "deaf", Mood: Bad, Against: true, Pushed: true, Shop: deaf},
		// Our own stores: what arrives is kept, but not where it belongs.
		{Code: "file-taken", Mood: Bad, Whole: fileTaken},
		{Code: "store-catalogue", Mood: Wait, Against: true, Whole: catalogueFails},
		{Code: "store-queue", Mood: Wait, Whole: queueFails},
		{Code: "unread", Mood: Wait, Against: true, Shop: unread},
		// The shop can't be asked.
		{Code: "calls-held", Mood: Wait, Against: true, Shop: callsHeld},
		{Code: "unreachable", Mood: Wait, Against: true, Shop: unreachable},
		{Code: "unsubscribed", Mood: Bad, Against: true, Pushed: true, Shop: unsubscribed},
		{Code: "dead", Mood: Bad, Against: true, Shop: dead},
		{Code: "dead-other", Mood: Bad, Whole: deadOther},
		{Code: "lost", Mood: Bad, Whole: lost},
		{Code: "stuck", Mood: Bad, Whole: stuckJobs},
		{Code: "first-read-failed", Mood: Wait, Against: true, Shop: firstReadFailed},
		// Something may be wrong.
		{Code: "secret-doubt", Mood: Wait, Shop: secretDoubt},
		{Code: "misfits", Mood: Wait, Shop: misfits},
		{Code: "stranger", Mood: Wait, Whole: stranger},
		{Code: "late", Mood: Wait, Against: true, Pushed: true, Shop: late},
		{Code: "certificate-page", Mood: Wait, Whole: certificatePage},
		{Code: "certificate-ends", Mood: Wait, Whole: certificateEnds},
		{Code: "version-ends", Mood: Wait, Whole: versionEnds},
		{Code: "space-low", Mood: Wait, Whole: spaceLow},
		{Code: "backup-late", Mood: Wait, Whole: backupLate},
		{Code: "log-long", Mood: Wait, Whole: logStays},
		{Code: "notify-failed", Mood: Wait, Whole: notifyFailed},
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
		{Code: "unlooked", Mood: Wait, Against: true, Shop: unlooked},
		{Code: "subscriptions-unknown", Mood: Wait, Against: true, Pushed: true, Shop: subscriptionsUnknown},
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
	// damping is how long known changes may be read before that is a line; in pull
	// mode as long as changes go unseen, and pollGrace.
	damping   = 5 * time.Second
	pollGrace = 30 * time.Second
	// deliveredWithin is how long before its delivery a change may have been made
	// that the delivery tells of.
	deliveredWithin = time.Minute
	// repeatWords is what Shopify does with what can't be stored.
	repeatWords = "What can't be stored, Shopify is told to send again, which it does for four hours."
)
