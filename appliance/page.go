package appliance

import (
	"fmt"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/admit"
	"stockroom/status"
	"stockroom/web"
)

func (a *Appliance) webOptions() web.Options {
	s := a.opt.Settings
	o := web.Options{
		Store: a.store, Status: a.status, Syncs: syncs{a}, Outbound: outbound{a}, Doctor: a.doctor, Queue: a.queue, Shops: shops{a},
		Sets: []*metrics.Set{a.set}, Telemetry: a.telemetry,
		Settings: s.Describe, Wanted: a.wants.add,
		Rejected: a.intake.Rejected, SendSample: a.sendSample,
		Admit: admit.Options{
			Token: a.token, Account: a.account, Keeper: a.state, Proxies: s.TrustedProxies, Hosts: s.AdminHosts, Demo: a.opt.Demo,
		},
		Version: a.opt.Version, Started: a.started, Logger: a.log,
		DiskFree: a.dir.Available, DataDir: a.dir.Path(), Folder: a.dir.Folder(),
		PublicURL: s.PublicURL, Command: s.Command,
	}
	return o
}

// HasPassword reports whether the status page has a password.
func (a *Appliance) HasPassword() bool { return a.account.Mark() != "" }

// NewLoginLink returns a link to the status page under the admin side's base
// address, and until when it is good. It works once.
func (a *Appliance) NewLoginLink(base string) (link string, until time.Time) {
	path, until := a.web.NewLoginLink()
	return base + path, until
}

// openStatus says where the account of health is read from.
func (a *Appliance) openStatus() {
	s := a.opt.Settings
	a.status = status.New(status.Options{
		Store: a.store, Queue: a.queue, QueueWatch: &a.watch, Shops: shops{a}.List,
		Sync:  func(shop string, now time.Time) status.Sync { return status.SyncOf(a.syncer.Status(shop, now), now) },
		Calls: outbound{a}.Calls, CatalogueClosed: a.intake.CatalogueClosed,
		CatalogueCause: a.intake.CatalogueCause, Space: a.Space, Taken: a.Taken,
		Refused: a.intake.Refusals, Strangers: a.intake.Strangers, Disputed: a.store.OpenDifferences,
		Notices: a.notices, Works: a.syncer.Works, Demo: a.opt.Demo, PublicURL: s.PublicURL, Command: s.Command, Logger: a.log, Table: a.opt.Table,
	})
}

// notices are what a person should know of the files.
func (a *Appliance) notices() []status.Notice {
	list := a.emptyNotice()
	if h := a.store.Health(); h.Quarantined != "" && !a.syncer.ProvenFieldsSince(h.At) {
		list = append(list, status.Notice{
			Level: status.LevelBad,
			Text:  fmt.Sprintf("products.db was damaged and was moved to %s at %s; %d products were taken over from it.", h.Quarantined, h.At.Format(time.RFC3339), h.Salvaged),
			Next:  "A full sync brings back what is missing. The old file can be deleted when you no longer need it.",
		})
	} else if (h.Behind > 0 || a.productsLost != "") && !a.syncer.ProvenFieldsSince(a.started) {
		text := a.productsLost
		if text == "" {
			text = fmt.Sprintf("products.db lacks changes that were stored before the last stop, %d or more: "+
				"the file or its write-ahead log was lost or damaged.", h.Behind)
		}
		list = append(list, status.Notice{Level: status.LevelBad, Text: text, Next: "A full sync brings them back."})
	}
	path, reason, at := a.queue.Quarantined()
	switch {
	case reason == "" || a.syncer.ProvenFieldsSince(at): // a full sync has brought back what was lost
	case path == "":
		list = append(list, status.Notice{
			Level: status.LevelBad,
			Text:  fmt.Sprintf("queue.db lost jobs (%s), found at %s.", reason, at.Format(time.RFC3339)),
			Next:  "A full sync brings back what waiting deliveries in it would have changed.",
		})
	default:
		list = append(list, status.Notice{
			Level: status.LevelBad,
			Text:  fmt.Sprintf("queue.db was damaged (%s) and was moved to %s at %s.", reason, path, at.Format(time.RFC3339)),
			Next:  "Waiting deliveries in it are lost; a full sync brings their content back.",
		})
	}
	if n := a.queue.Stats().Damaged; n > 0 {
		list = append(list, status.Notice{
			Level: status.LevelWarn,
			Text:  fmt.Sprintf("%d waiting jobs in queue.db could not be understood and were put aside in it.", n),
			Next:  "A full sync brings back what deliveries among them would have changed.",
		})
	}
	if d, ok := a.state.Damage(); ok {
		text := fmt.Sprintf("state.db was damaged (%s); the old file is %s.", d.Reason, d.File)
		if d.File == "" {
			text = fmt.Sprintf("state.db was lost: %s.", d.Reason)
		}
		list = append(list, status.Notice{
			Level: status.LevelBad,
			Text:  text,
			Next:  "Check the shops and their selections; add those that are missing with `" + a.command("shop add") + "`.",
		})
	}
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
			Next:  "It is made again by itself when there is space.",
		})
	}
	return list
}
