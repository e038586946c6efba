package appliance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"stockroom/internal/datadir"
	"stockroom/internal/status"
)

// notices are what a person should know of the files.
func (a *Appliance) notices() []status.Notice {
	list := slices.Concat(a.emptyNotice(), a.losses())
	for _, shop := range a.state.Shops() {
		if _, known := a.state.Selection(shop.Domain); !known {
			list = append(list, status.Notice{
				Level: status.LevelBad,
				Text:  "The selection of " + shop.Domain + " is not known any more.",
				Next:  "Say it again with `" + a.command("select "+shop.Domain) + "`.",
			})
		}
	}
	if a.dir.BallastReleased() {
		list = append(list, status.Notice{
			Level: status.LevelWarn,
			Text:  "The disk is full or was; the reserve kept in the data dir was given up.",
			Next:  "It is made again automatically when there is space.",
		})
	}
	return list
}

// losses tell what the files have lost, as long as it is not back and nobody has
// acknowledged it. Each has an ID: the file, and which of its losses this is.
func (a *Appliance) losses() []status.Notice {
	list := slices.Concat(a.catalogueLosses(), a.queueLosses(), a.stateLosses())
	return slices.DeleteFunc(list, func(n status.Notice) bool {
		id, _ := a.state.Get(acknowledged, lossOf(n.ID))
		return string(id) == n.ID
	})
}

// acknowledged is the namespace in state.db of the losses that a person knows of: the
// newest ID under each file.
const acknowledged = "acknowledged"

func lossID(of string, which int64) string { return fmt.Sprintf("%s-%d", of, which) }

// lossOf is the file that a loss is of.
func lossOf(id string) string {
	of, _, _ := strings.Cut(id, "-")
	return of
}

// acknowledge takes a loss off the notices, because a person knows of it. It returns
// how many went: 0 where it is none any more, or another one has come.
func (a *Appliance) acknowledge(ctx context.Context, id string) (int, error) {
	if !slices.ContainsFunc(a.losses(), func(n status.Notice) bool { return n.ID == id }) {
		return 0, nil
	}
	if lossOf(id) != datadir.StateFile {
		return 1, a.state.Put(acknowledged, lossOf(id), []byte(id))
	}
	if err := a.matchRows(ctx); err != nil { // what else could be taken back would be forgotten
		return 0, err
	}
	return 1, a.state.AcknowledgeDamage()
}

// forgetHealed takes a loss of state.db off the notices when all of it is there again.
func (a *Appliance) forgetHealed() {
	if a.unmirrored.Load() { // the catalogue may know of more
		return
	}
	if healed, err := a.state.ForgetHealed(); err != nil {
		a.log.Warn("that everything is there again that state.db lost can't be noted now", "error", err.Error())
	} else if healed {
		a.log.Info("everything is there again that state.db lost")
	}
}

func (a *Appliance) syncNow() string { return "`" + a.command("sync --full") + "` starts one." }

func (a *Appliance) catalogueLosses() []status.Notice {
	h := a.store.Health()
	n := status.Notice{Level: status.LevelBad}
	switch {
	case h.Quarantined != "" && !a.syncer.ProvenFieldsSince(h.At):
		n.ID = lossID(datadir.ProductsFile, h.At.UnixMilli())
		n.Text = fmt.Sprintf("products.db was damaged and was moved to %s at %s; %d products were taken over from it.",
			h.Quarantined, h.At.Format(time.RFC3339), h.Salvaged)
		n.Next = "A full sync brings back what is missing; " + a.syncNow() +
			" The old file can be deleted when you no longer need it."
	case (h.Behind > 0 || a.productsLost != "") && !a.syncer.ProvenFieldsSince(a.started):
		n.ID, n.Next = lossID(datadir.ProductsFile, a.loss), "A full sync brings them back; "+a.syncNow()
		n.Text = fmt.Sprintf("products.db lacks changes that were stored before the last stop, %d or more: "+
			"the file or its write-ahead log was lost or damaged.", h.Behind)
		if a.productsLost != "" {
			n.Text = a.productsLost
		}
	default:
		return nil
	}
	return []status.Notice{n}
}

func (a *Appliance) queueLosses() (list []status.Notice) {
	path, reason, at := a.queue.Quarantined()
	if reason != "" && !a.syncer.ProvenFieldsSince(at) {
		n := status.Notice{ID: lossID(datadir.QueueFile, at.UnixMilli()), Level: status.LevelBad}
		n.Text = fmt.Sprintf("queue.db was damaged (%s) and was moved to %s at %s.", reason, path, at.Format(time.RFC3339))
		n.Next = "Waiting deliveries in it are lost; a full sync brings their content back; " + a.syncNow()
		if path == "" {
			n.Text = fmt.Sprintf("queue.db lost jobs (%s), found at %s.", reason, at.Format(time.RFC3339))
			n.Next = "A full sync brings back what waiting deliveries in it would have changed; " + a.syncNow()
		}
		list = append(list, n)
	}
	if n := a.queue.Stats().Damaged; n > 0 {
		list = append(list, status.Notice{
			ID: lossID(datadir.QueueFile+".jobs", int64(n)), Level: status.LevelWarn,
			Text: fmt.Sprintf("%d waiting jobs in queue.db could not be understood and were put aside in it.", n),
			Next: "A full sync brings back what deliveries among them would have changed; " + a.syncNow(),
		})
	}
	return list
}

func (a *Appliance) stateLosses() []status.Notice {
	d, ok := a.state.Damage()
	if !ok {
		return nil
	}
	n := status.Notice{ID: lossID(datadir.StateFile, d.At.UnixMilli()), Level: status.LevelBad}
	n.Text = fmt.Sprintf("state.db was damaged (%s); the old file is %s.", d.Reason, d.File)
	n.Next = "The shops and selections that products.db knows are back. Give each shop its secret again with `" + a.command("shop add SHOP") +
		"`, and make the page's password, read-only tokens and further secrets again if there were any."
	switch {
	case !d.Took():
		n.Level = status.LevelInfo
		n.Next = "Nothing was lost: it was written again from memory. Damage may come from a failing disk; look at its health."
	case d.Older:
		n.Text = fmt.Sprintf("state.db lacks what was changed since: %s. Found at %s.", d.Reason, d.At.Format(time.RFC3339))
		n.Next = "Shops, their secrets, the page's password and read-only tokens are as they were then: look at the list of shops, and give again " +
			"what was changed since. Selections were taken from products.db. " + "A full sync compares all products; " + a.syncNow()
	case d.File == "":
		n.Text = fmt.Sprintf("state.db was lost: %s.", d.Reason)
	}
	return []status.Notice{n}
}
