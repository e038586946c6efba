package appliance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stockroom/internal/boltfile"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/store"
	"stockroom/web"
)

const (
	diskWrites = 20
	// A delivery is answered after a write or two, and Shopify waits 5 s for the answer.
	diskSlow    = 50 * time.Millisecond // the middle one: beyond it a burst of deliveries waits in a line
	diskTooSlow = 2 * time.Second       // the slowest
	diskProbe   = "disk-speed.tmp"
)

// examineDeep reads everything that is stored, and looks at the disk below it.
// catalogue is what was found of products.db as a file.
func (a *Appliance) examineDeep(ctx context.Context, catalogue web.Finding) []web.Finding {
	rows := web.Finding{Check: "rows", Level: levelWarn,
		Text: "the products were not read, because of what is wrong with products.db",
		Fix:  "when that is mended, run this again"}
	if catalogue.Cause != causeIntegrity {
		rows = a.examineRows(ctx)
	}
	list := []web.Finding{rows, a.examineQueueFile(ctx), a.examineDisk()}
	if a.opt.Settings.BackupEvery <= 0 {
		list = append(list, a.examineBackup()...)
	}
	return list
}

// examineRows compares each product with the hash that was stored with it.
func (a *Appliance) examineRows(ctx context.Context) web.Finding {
	f := web.Finding{Check: "rows", Level: levelOK}
	read, unsound, err := a.store.CheckRows(ctx)
	f.Text = fmt.Sprintf("each of %d products is as it was stored", read)
	switch {
	case err != nil:
		f = unread("rows", err)
	case len(unsound) > 0:
		f.Level, f.Cause = levelFail, causeIntegrity
		f.Text = fmt.Sprintf("%d of %d products are not as they were stored, such as %s: the disk, the memory or another program "+
			"changed them", len(unsound), read, unsound[0])
		f.Fix = a.command("sync --full") + " reads them again; look for errors of the disk"
	}
	return f
}

func (a *Appliance) examineQueueFile(ctx context.Context) web.Finding {
	f := web.Finding{Check: "jobs", Level: levelOK}
	jobs, err := a.queue.Check(ctx)
	f.Text = fmt.Sprintf("each of %d jobs is as it was stored", jobs)
	if err != nil {
		f.Level, f.Text, f.Fix = levelFail, "queue.db can't be checked: "+err.Error(), "run it again in a minute, and see the log"
	}
	if errors.Is(err, boltfile.ErrDamaged) {
		f.Text, f.Fix, f.Cause = "queue.db is damaged: "+err.Error(), restartMends, causeIntegrity
	}
	return f
}

// examineDisk measures how long the disk takes to keep a small write, which every
// delivery waits for.
func (a *Appliance) examineDisk() web.Finding {
	took, err := a.writeSynced()
	switch {
	case err == nil:
		return judgeDisk(took)
	case store.CauseOfFile(err) == store.CauseFull:
		return web.Finding{Check: "disk", Level: levelWarn, Text: "how fast the disk is was not measured, because it is full",
			Fix: "when there is room, run this again"}
	}
	return web.Finding{Check: "disk", Level: levelFail,
		Text: "a test file can't be written to the data dir: " + err.Error(),
		Fix:  datadir.Mend(err)}
}

func judgeDisk(took []time.Duration) web.Finding {
	slices.Sort(took)
	middle, worst := took[len(took)/2], took[len(took)-1]
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
	f := web.Finding{Check: "disk", Level: levelOK, Text: fmt.Sprintf(
		"the disk keeps a small write within %s, the slowest of %d within %s", ms(middle), len(took), ms(worst))}
	const move = "; move the data dir to a local SSD, or have fewer programs write to this disk"
	switch {
	case worst > diskTooSlow:
		f.Level, f.Fix = levelFail, "Shopify gives a delivery up after 5 s, and its answer waits for such writes"+move
	case middle > diskSlow:
		f.Level, f.Fix = levelWarn, "a burst of deliveries would wait for the disk"+move
	}
	return f
}

func (a *Appliance) writeSynced() (took []time.Duration, err error) {
	dir := a.dir.Folder()
	if err := dir.Remove(diskProbe); err != nil {
		return nil, err
	}
	f, err := dir.Create(diskProbe)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), dir.Remove(diskProbe)) }()
	for range diskWrites {
		began := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// examineFiles looks whether others can read what is stored, or it is somebody else's.
func (a *Appliance) examineFiles() []web.Finding {
	f := web.Finding{Check: "files", Level: levelOK, Text: "nobody else can read the files of the data dir"}
	path := a.dir.Path()
	rights, err := a.dir.Rights()
	switch {
	case err != nil:
		f.Level, f.Text = levelWarn, "the files can't be looked at: "+err.Error()
		f.Fix = "look at the rights of the data dir"
	case rights.Open:
		f.Level, f.Text = levelFail, "other users of this machine can look into "+path
		if len(rights.Exposed) > 0 {
			f.Text += ", and read or write " + strings.Join(rights.Exposed, ", ")
		}
		f.Fix = "chmod -R go= " + config.ShellQuote(path)
	case len(rights.Foreign) > 0:
		f.Level = levelWarn
		f.Text = "the user that runs Stockroom does not own " + strings.Join(rights.Foreign, ", ") + " in " + path +
			", so a server may not be able to write there"
		f.Fix = "give all of it to the user that runs the server: sudo chown -R USER " + config.ShellQuote(path)
	case len(rights.Exposed) > 0:
		f.Level = levelWarn
		f.Text = "only the rights of " + path + " itself keep other users of " +
			"this machine from " + strings.Join(rights.Exposed, ", ")
		f.Fix = "chmod -R go= " + config.ShellQuote(path)
	}
	return []web.Finding{f}
}
