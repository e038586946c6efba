package status

import (
	"stockroom/internal/datadir"
	"stockroom/store"
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
	if f.Catalogue.Cause == store.CauseLost {
		return lostNext
	}
	tried := "Tried again every few seconds. "
	if f.Catalogue.Closed {
		tried = "Tried again every half second. "
	}
	switch {
	case !f.Queue.OK || f.Space.Level == datadir.SpaceCritical:
		return tried + repeatWords
	case f.Queue.Updates == 0:
		return tried + "Whatever arrives meanwhile is kept in the retry queue."
	}
	return tried + plural(f.Queue.Updates, "1 update is", "updates are") + " kept in the retry queue meanwhile."
}

func nothingStored(f *Facts) (Line, bool) {
	if f.Catalogue.OK || f.Queue.OK {
		return no()
	}
	return yes(say("Nothing can be stored now: "+CauseWords(f.Catalogue)+"."), say(f.storedWords()))
}

const lostNext = "What arrives is kept in the retry queue as long as that can be written. A file or folder " +
	"that was only renamed: give it its name back, and Stockroom goes on at once. Otherwise restart Stockroom: it works with what lies in the data " +
	"folder then, and reads from the shop what is missing. Before that, move away what somebody else put there."

func catalogueLost(f *Facts) (Line, bool) {
	if f.Catalogue.OK || f.Catalogue.Cause != store.CauseLost || !f.Queue.OK {
		return no()
	}
	return yes(say("Product updates can't be stored: "+f.Catalogue.Err+"."), say(lostNext))
}

// From these lengths on the write-ahead log of products.db is told of. Quiet, it
// is cut to 64 MiB; Litestream cuts it at 500 MB.
const (
	logLong     = 128 << 20 // with a known cause
	logVeryLong = 512 << 20
)

func logStays(f *Facts) (Line, bool) {
	l := f.Catalogue.Log
	text := "The write-ahead log of products.db is " + Bytes(l.Bytes) + " long"
	next := "It is cut when less is written. Should it go on growing, look for another program that has products.db open."
	switch {
	case l.Bytes >= logLong && l.Cause != "":
		return yes(say(text+", because it can't be copied into products.db: "+l.Cause.Words()+"."),
			say("Tried again every few seconds. The log shrinks by itself after that."))
	case l.Bytes >= logLong && l.Held && !l.Litestream:
		return yes(say(text+", because another program has been reading products.db since ", clock(l.Since), "."),
			say("End what that program does, for example by closing it or its connection. The log shrinks by itself after that."))
	case l.Bytes < logVeryLong:
		return no()
	case l.Litestream:
		next = "Litestream cuts it when it has copied it: see whether Litestream runs and reaches where it copies to."
	}
	return yes(say(text+"."), say(next))
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

func backupLate(f *Facts) (Line, bool) {
	b := f.Backup
	if !b.Late(f.Now) {
		return no()
	}
	text := say("No backup has been made yet")
	if !b.Last.IsZero() {
		text = say("The last backup was made ", age(b.Last))
	}
	why := "."
	if b.Why != "" {
		why = ": " + clause(b.Why) + "."
	}
	next := say("Backups are made when stockroom serve runs.")
	if f.Works {
		next = say("Tried again at ", clock(b.Next), ", ", ahead(b.Next), ".")
	}
	return yes(say(text, why), next)
}

func shopsUnread(f *Facts) (Line, bool) {
	if f.ShopsErr == nil {
		return no()
	}
	return yes(say("The list of shops can't be read now."), say("It is read again with the next look."))
}

func catalogueFails(f *Facts) (Line, bool) {
	if f.Catalogue.OK || f.Catalogue.Cause == store.CauseLost || !f.Queue.OK {
		return no()
	}
	return yes(say("Product updates wait to be stored: "+CauseWords(f.Catalogue)+"."), say(f.storedWords()))
}

func fileTaken(f *Facts) (Line, bool) {
	if len(f.Taken) == 0 {
		return no()
	}
	return yes(say("Another file has taken the place of "+Enumerate(f.Taken)+", so nothing is stored there now."),
		say("Restart Stockroom to go on with the file that is there now. If you want the old one, stop Stockroom, put the old file back and start it."))
}

func queueFails(f *Facts) (Line, bool) {
	if f.Queue.OK || !f.Catalogue.OK {
		return no()
	}
	next := "Should the catalogue fail too, Shopify is told to send updates again."
	if len(f.Taken) == 0 {
		next = "It is tried again automatically. " + next
	}
	return yes(say("Product updates are stored, but the retry queue can't be used: "+f.Queue.Reason+"."), say(next))
}

func lost(f *Facts) (Line, bool) {
	for _, n := range f.Notices {
		if n.Level == LevelBad {
			return yes(say("Something was lost or damaged here; what arrives is stored."), say(n.Text+" "+n.Next))
		}
	}
	return no()
}
