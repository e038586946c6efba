package appliance

import (
	"os"
	"slices"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/internal/admit"
	"stockroom/internal/notify"
	"stockroom/internal/status"
	"stockroom/web"
)

func (a *Appliance) webOptions() web.Options {
	s := a.opt.Settings
	hosts := s.AdminHosts
	if s.HTTPSAdmin != "" {
		hosts = append(slices.Clone(hosts), s.HTTPSAdmin)
	}
	o := web.Options{
		Store: a.store, Status: a.status, Syncs: syncs{a}, Outbound: outbound{a}, Consents: a.consents, Doctor: a.doctor, Queue: a.queue, Shops: shops{a},
		Sets: []*metrics.Set{a.set}, Telemetry: a.telemetry,
		Settings: s.Describe, Wanted: a.syncer.Wanted,
		Notify: a.notify, Rejected: a.intake.Rejected, SendSample: a.sendSample, Acknowledge: a.acknowledge, Backup: a.takeBackup,
		Admit: admit.Options{
			Token: a.token, Account: a.account, Keeper: a.state, Proxies: s.TrustedProxies, Hosts: hosts, Demo: a.opt.Demo,
		},
		Version: a.opt.Version, Started: a.started, Logger: a.log,
		DiskFree: a.dir.Available, DataDir: a.dir.Path(), Folder: a.dir.Folder(),
		Command: s.Command,
	}
	if !s.Pull() {
		o.PublicURL = s.PublicURL
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
		CatalogueCause: a.intake.CatalogueCause, Space: a.Space, Taken: a.Taken, Certificates: a.certificates,
		Refused: a.intake.Refusals, Strangers: a.intake.Strangers, Disputed: a.store.OpenDifferences, Backup: a.schedule.Standing,
		Notices: a.notices, Works: a.syncer.Works, Demo: a.opt.Demo, Command: s.Command, Logger: a.log, Table: a.opt.Table,
		Unsent: a.notify.Unsent, APIVersion: s.APIVersion,
	})
}

// openNotify prepares who is told when something is wrong.
func (a *Appliance) openNotify() error {
	targets, err := notify.Parse(a.opt.Settings.Notify)
	if err != nil && !a.opt.Manual { // a command for something else may go on
		return err
	}
	a.notify = notify.New(notify.Options{
		Targets: targets, After: a.opt.Settings.NotifyAfter, Keeper: a.state, Place: a.place(), Metrics: a.set, Logger: a.log,
		Transport: a.opt.Messages,
	})
	return nil
}

// place says to people where the status page is.
func (a *Appliance) place() string {
	s := a.opt.Settings
	at := "http://" + s.AdminListen
	switch {
	case s.HTTPSAdmin != "":
		return "https://" + s.HTTPSAdmin
	case len(s.AdminHosts) > 0: // a proxy is in front
		return "https://" + s.AdminHosts[0]
	}
	if host, err := os.Hostname(); err == nil {
		at += " on the machine " + host
	}
	return at
}
