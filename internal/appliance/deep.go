package appliance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stockroom/internal/boltfile"
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
func (a *Appliance) examineDeep(ctx context.Context) []web.Finding {
	return append([]web.Finding{a.examineRows(ctx), a.examineQueueFile(ctx), a.examineDisk()}, a.examineFiles()...)
}

// examineRows compares each product with the hash that was stored with it.
func (a *Appliance) examineRows(ctx context.Context) web.Finding {
	f := web.Finding{Check: "rows", Level: levelOK}
	read, unsound, err := a.store.CheckRows(ctx)
	f.Text = fmt.Sprintf("each of %d products is as it was stored", read)
	switch {
	case err != nil:
		f.Level, f.Text = levelFail, "the products can't be read: "+err.Error()
		f.Fix = "see the log; free space on the disk or end what locks the file"
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
	if err != nil {
		return web.Finding{Check: "disk", Level: levelFail, Text: "nothing can be written to the data dir: " + err.Error(),
			Fix: "make room, or give the data dir to the user that runs Stockroom"}
	}
	return judgeDisk(took)
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
func (a *Appliance) examineFiles() (list []web.Finding) {
	exposed, err := a.dir.Exposed()
	switch {
	case err != nil:
		return []web.Finding{{
			Check: "files", Level: levelWarn, Text: "the files can't be looked at: " + err.Error(),
			Fix: "look at the rights of the data dir",
		}}
	case len(exposed) == 0:
		return []web.Finding{{Check: "files", Level: levelOK, Text: "nobody else can read the files of the data dir"}}
	}
	return []web.Finding{{Check: "files", Level: levelFail,
		Text: "other users of this machine can read or write " + strings.Join(exposed, ", ") + " in " + a.dir.Path(),
		Fix:  "chmod -R go= " + a.dir.Path()}}
}
