package status

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/internal/backup"
	"stockroom/internal/certs"
	"stockroom/internal/datadir"
	"stockroom/internal/syncer"
	"stockroom/queue"
	"stockroom/store"
	"stockroom/webhook"
)

const linen = "linen.myshopify.com"

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// calm is a state in which nothing is wrong: a shop compared a minute ago.
func calm() Facts {
	return Facts{
		Now: noon, Last: noon.Add(-3 * time.Second), Works: true,
		Catalogue: Catalogue{OK: true}, Queue: Queue{OK: true}, Space: datadir.Space{Free: 50 << 30, Total: 100 << 30, Level: datadir.SpaceOK},
		Shops: []Shop{calmShop(linen)},
	}
}

func calmShop(name string) Shop {
	sub := syncer.Subscriptions{CheckedAt: noon.Add(-time.Minute), Present: true}
	sync := SyncOf(syncer.Status{
		ProvenIDs: noon.Add(-time.Minute), ProvenFields: noon.Add(-26 * time.Hour), ProvenRun: 7, Staleness: time.Minute, StalenessKnown: true, Remote: 40,
		Subscriptions: sub, Looking: syncer.Looking{Every: 30 * time.Second},
		Schedules: []syncer.ScheduleStatus{
			{Name: "full_sync", Every: 168 * 3600, LastSuccess: noon.Add(-26 * time.Hour), Next: noon.Add(100 * time.Hour)},
			{Name: "reconcile", Every: 3600, LastSuccess: noon.Add(-time.Minute), Next: noon.Add(59 * time.Minute)},
			{Name: "subscriptions", Every: 600, LastSuccess: sub.CheckedAt, Next: noon.Add(9 * time.Minute)},
		},
	}, noon)
	return Shop{Connection: Connection{Shop: name, State: "active", HasSecret: true}, Last: noon.Add(-3 * time.Second), Calls: &Calls{Circuit: "closed"}, Sync: &sync}
}

// never is a shop that was never compared.
func never(s *Shop) {
	s.Sync.AsOf, s.Sync.ProvenIDs, s.Sync.ProvenFields, s.Sync.Staleness = time.Time{}, time.Time{}, time.Time{}, -1
	s.Sync.Raw.ProvenRun, s.Sync.Raw.StalenessKnown = 0, false
}

// refused are deliveries of which the signature was refused.
func refused(reason, fits webhook.Reason) webhook.Refusals {
	return webhook.Refusals{First: noon.Add(-3 * time.Minute), Last: noon.Add(-2 * time.Minute), Count: 2, Reason: reason, Fits: fits}
}

func undelivered(late, isDeaf bool) syncer.Deliveries {
	return syncer.Deliveries{Undelivered: 37, Changes: 41, Oldest: noon.Add(-40 * time.Minute), Newest: noon.Add(-time.Minute), Topic: "products/update", Late: late, Deaf: isDeaf}
}

const name = "shop.example.com"

// certificateOf is a certificate of 90 days that ends after a time from noon.
func certificateOf(left time.Duration) Certificate {
	end := noon.Add(left)
	return Certificate{Awaited: true, State: certs.State{Name: name, NotBefore: end.Add(-90 * 24 * time.Hour), NotAfter: end}}
}

// row is a state in which one row of the table is the headline.
type row struct {
	name    string
	code    string
	change  func(f *Facts, s *Shop) // of calm and its shop
	mood    Mood
	text    string // the headline
	next    string // a part of what happens next
	command string
}

var rows = []row{
	{"both stores fail", "store-both", func(f *Facts, _ *Shop) {
		f.Catalogue, f.Queue = Catalogue{Closed: true, Cause: store.CauseFull}, Queue{Reason: "its file can't be written"}
	}, Bad, "Nothing can be stored now: the disk is full.", "Shopify is told to send again", ""},
	{"no space for deliveries", "space-out", func(f *Facts, _ *Shop) { f.Space.Level, f.Space.Free = datadir.SpaceCritical, 6<<20 }, Bad,
		"The disk is almost full: 6 MiB are free, so product updates may soon be refused.", "Free some space", ""},
	{"a write refused on a disk with space", "space-out", func(f *Facts, _ *Shop) { f.Space.Level, f.Space.Refused = datadir.SpaceCritical, true }, Bad,
		"The disk is full: a write was refused for want of space.", "for four hours", ""},
	{"products.db was removed", "catalogue-lost", func(f *Facts, _ *Shop) {
		f.Catalogue = Catalogue{Cause: store.CauseLost, Err: "/data/products.db was removed while it was in use"}
	}, Bad, "Product updates can't be stored: /data/products.db was removed while it was in use.", "Otherwise restart Stockroom", ""},
	{"the shops can't be read", "shops-unread", func(f *Facts, _ *Shop) { f.Shops, f.ShopsErr = nil, errors.New("x") }, Wait, "The list of shops can't be read now.", "next look", ""},
	{"no certificate yet", "certificate", func(f *Facts, _ *Shop) {
		f.Certificates = []Certificate{{Awaited: true, State: certs.State{Name: name, Trying: true}}}
	},
		Wait, "A first certificate for shop.example.com is being asked for.", "This takes a minute at most.", ""},
	{"a first certificate refused", "certificate", func(f *Facts, _ *Shop) {
		f.Certificates = []Certificate{{Awaited: true, State: certs.State{Name: name, Failed: noon, Words: "The name has no address.", Next: noon.Add(5 * time.Minute)}}}
	}, Bad, "Shopify can't deliver: there is no certificate for shop.example.com yet.",
		"The name has no address. The next try begins by 12:05 UTC, or at once after a restart. Comparisons still find", ""},
	{"a certificate that ended", "certificate", func(f *Facts, _ *Shop) {
		f.Certificates = []Certificate{certificateOf(-time.Hour)}
		f.Certificates[0].Trying = true
	}, Bad, "Shopify can't deliver: the certificate of shop.example.com ended at 11:00 UTC.", "It is being asked for now. Comparisons still find", ""},
	{"the page's name without a certificate", "certificate-page", func(f *Facts, _ *Shop) {
		f.Certificates = []Certificate{certificateOf(60 * 24 * time.Hour), {State: certs.State{Name: "page.example.com", Failed: noon, Words: "The name has no address."}}}
	}, Wait, "https://page.example.com can't be opened: there is no certificate for page.example.com yet.", "The name has no address.", ""},
	{"a renewal that failed", "certificate-ends", func(f *Facts, _ *Shop) {
		f.Certificates = []Certificate{certificateOf(44 * 24 * time.Hour)}
		f.Certificates[0].Failed, f.Certificates[0].Words = noon, "The authority did not answer."
	}, Wait, "The certificate of shop.example.com could not be renewed; it ends in 44 days, at 6 Jan 12:00 UTC.",
		"Until then deliveries go on. The authority did not answer.", ""},
	{"a certificate that nobody renewed", "certificate-ends", func(f *Facts, _ *Shop) {
		f.Certificates = []Certificate{certificateOf(30 * 24 * time.Hour)}
		f.Certificates[0].Awaited = false
	}, Wait, "The certificate of shop.example.com was not renewed in time; it ends in 30 days, at 23 Dec 12:00 UTC.", "Until then everything goes on.", ""},
	{"a certificate that begins later", "certificate-ends", func(f *Facts, _ *Shop) {
		f.Certificates = []Certificate{certificateOf(91 * 24 * time.Hour)}
		f.Certificates[0].Words = "The clock is probably wrong."
	}, Wait, "The certificate of shop.example.com begins at 24 Nov 12:00 UTC, by this machine's clock.", "The clock is probably wrong.", ""},
	{"a certificate in good time", "in-step", func(f *Facts, _ *Shop) { f.Certificates = []Certificate{certificateOf(30*24*time.Hour + time.Second)} },
		Good, "Equal to the shop at 11:59 UTC, 1 minute ago.", "Compared", ""},
	{"uninstalled", "uninstalled", func(_ *Facts, s *Shop) { s.State = "uninstalled" }, Bad, "The app was removed from the shop, so nothing new comes from it.",
		"Install the app again", "stockroom shop remove " + linen},
	{"renamed", "moved", func(_ *Facts, s *Shop) { s.State, s.Reason = "paused", "moved: flax.myshopify.com" }, Bad, "The shop has another name at Shopify now: flax.myshopify.com.",
		"under its new name", "stockroom shop add flax.myshopify.com --api-key CLIENT_ID"},
	{"token refused", "paused", func(_ *Facts, s *Shop) {
		s.State, s.Reason, s.NextTry = "paused", "token: HTTP 401", noon.Add(15*time.Minute)
	}, Bad, "Paused: Shopify does not accept the app's credentials (HTTP 401).", "Asked again at 12:15 UTC, in 15 minutes", "stockroom shop add " + linen + " --api-key CLIENT_ID"},
	{"scope lost", "paused", func(_ *Facts, s *Shop) { s.State, s.Reason = "paused", "scope: read_products" }, Bad, "Paused: the app lacks a permission (read_products).", "Goes on by itself", ""},
	{"the owner's consent refused", "paused", func(_ *Facts, s *Shop) { s.State, s.Reason, s.Access = "paused", "token", ByConsent }, Bad,
		"Paused: Shopify does not accept the app's credentials.", "Ask the shop's owner", "stockroom shop connect " + linen},
	{"a given token refused", "paused", func(_ *Facts, s *Shop) { s.State, s.Reason, s.Access = "paused", "token", ByToken }, Bad,
		"Paused: Shopify does not accept the app's credentials.", "Give a new token", "stockroom shop add " + linen + " --access-token-file -"},
	{"credentials of the environment refused", "paused", func(_ *Facts, s *Shop) { s.State, s.Reason, s.FromEnvironment = "paused", "token", true }, Bad,
		"Paused: Shopify does not accept the app's credentials.", "SHOPIFY_API_SECRET, and restart Stockroom.", ""},
	{"a token of the environment refused", "paused", func(_ *Facts, s *Shop) {
		s.State, s.Reason, s.FromEnvironment, s.Access = "paused", "token", true, ByToken
	}, Bad, "Paused: Shopify does not accept the app's credentials.", "SHOPIFY_ACCESS_TOKEN, and restart", ""},
	{"an app of the environment that is gone", "uninstalled", func(_ *Facts, s *Shop) { s.State, s.FromEnvironment = "uninstalled", true }, Bad,
		"The app was removed from the shop, so nothing new comes from it.", "Install the app again.", ""},
	{"an app with consent that is gone", "uninstalled", func(_ *Facts, s *Shop) { s.State, s.Access = "uninstalled", ByConsent }, Bad,
		"The app was removed from the shop, so nothing new comes from it.", "or remove the shop here with stockroom shop remove", "stockroom shop connect " + linen},
	{"no secret in the environment", "secret-missing", func(_ *Facts, s *Shop) { s.HasSecret, s.FromEnvironment = false, true }, Bad,
		"Product updates can't be checked: the app's secret is missing.", "SHOPIFY_API_SECRET, and restart Stockroom.", ""},
	{"frozen", "paused", func(_ *Facts, s *Shop) { s.State, s.Reason, s.NextTry = "paused", "frozen", noon.Add(time.Hour) }, Bad,
		"Paused: Shopify has frozen the shop.", "Asked again at 13:00 UTC", ""},
	{"not installed", "paused", func(_ *Facts, s *Shop) { s.State, s.Reason = "paused", "uninstalled" }, Bad, "Paused: the app is not installed.", "Install the app again", "stockroom shop remove " + linen},
	{"paused for a reason of no code", "paused", func(_ *Facts, s *Shop) { s.State, s.Reason = "paused", "the moon is full." }, Bad, "Paused: the moon is full.", "resumed", ""},
	{"paused without a reason", "paused", func(_ *Facts, s *Shop) { s.State = "paused" }, Bad, "Paused: no reason was given.", "resumed", ""},
	{"no secret", "secret-missing", func(_ *Facts, s *Shop) { s.HasSecret = false }, Bad, "Product updates can't be checked: the app's secret is missing.", "send them again", "stockroom shop add " + linen},
	{"signed with the secret before", "secret-doubt", func(_ *Facts, s *Shop) { s.Refused = refused(webhook.ReasonOldSecret, webhook.ReasonOldSecret) }, Wait,
		"Somebody sends deliveries for " + ShortShop(linen) + " that are signed with a secret that was replaced here; they are refused. The last came at 11:58 UTC, 2 minutes ago.", "If it is Shopify", ""},
	{"signed with another shop's secret, and changes that nothing told of", "secret-wrong", func(_ *Facts, s *Shop) {
		s.Refused, s.Sync.Deliveries = refused(webhook.ReasonOtherShop, webhook.ReasonOtherShop), undelivered(true, true)
	}, Bad, "Product updates are refused: they are signed with the secret of another shop. The last came at 11:58 UTC, 2 minutes ago.", "Compare", "stockroom shop add " + linen},
	{"refused, and changes that nothing told of", "secret-wrong", func(_ *Facts, s *Shop) {
		s.Refused, s.Sync.Deliveries = refused(webhook.ReasonWrongSecret, ""), undelivered(true, true)
	}, Bad, "Product updates are refused: they are signed with another secret than the one known here. The last came at 11:58 UTC, 2 minutes ago.", "Compare", "stockroom shop add " + linen},
	{"the change of which the first refused delivery told", "secret-wrong", func(_ *Facts, s *Shop) {
		s.Refused, s.Sync.Deliveries = refused(webhook.ReasonWrongSecret, ""), undelivered(false, false)
		s.Sync.Deliveries.Newest = s.Refused.First.Truncate(time.Minute).Add(-time.Second)
	}, Bad, "Product updates are refused: they are signed with another secret than the one known here. The last came at 11:58 UTC, 2 minutes ago.", "Compare", "stockroom shop add " + linen},
	{"deaf", "deaf", func(_ *Facts, s *Shop) { s.Sync.Deliveries = undelivered(true, true) }, Bad,
		"Deliveries do not arrive: 37 of 41 of the last day were read before a delivery brought them, the oldest from 11:20 UTC, and nothing was heard since.", "every 30 seconds", ""},
	{"deaf where somebody subscribed elsewhere", "deaf", func(_ *Facts, s *Shop) {
		s.Sync.Deliveries, s.Sync.Subscriptions.Wanted = undelivered(true, true), []Subscription{{State: "by-deliveries", Needed: true}}
	}, Bad, "Deliveries do not arrive: 37 of 41 of the last day were read before a delivery brought them, the oldest from 11:20 UTC, and nothing was heard since.",
		"whether what you subscribed to yourself is still there, and whether", ""},
	{"locked", "store-catalogue", func(f *Facts, _ *Shop) { f.Catalogue = Catalogue{Closed: true, Cause: store.CauseLocked} }, Wait,
		"Product updates wait to be stored: another program holds products.db locked.", "Tried again every half second. Whatever arrives meanwhile is kept", ""},
	{"disk full with one update waiting", "store-catalogue", func(f *Facts, _ *Shop) { f.Catalogue, f.Queue.Updates = Catalogue{Cause: store.CauseFull}, 1 }, Wait,
		"Product updates wait to be stored: the disk is full.", "1 update is kept in the retry queue meanwhile.", ""},
	{"a slow disk with updates waiting", "store-catalogue", func(f *Facts, _ *Shop) { f.Catalogue, f.Queue.Updates = Catalogue{Closed: true}, 1200 }, Wait,
		"Product updates wait to be stored: the catalogue did not answer in time.", "1,200 updates are kept in the retry queue meanwhile.", ""},
	{"queue.db replaced", "file-taken", func(f *Facts, _ *Shop) {
		f.Taken, f.Queue = []string{"queue.db"}, Queue{Reason: "its file can't be written"}
	}, Bad, "Another file has taken the place of queue.db, so nothing is stored there now.", "Restart Stockroom to go on with the file that is there now.", ""},
	{"a reader holds the log", "log-long", func(f *Facts, _ *Shop) {
		f.Catalogue.Log = store.Log{Bytes: 349 << 20, Held: true, Since: noon.Add(-time.Hour)}
	}, Wait, "The write-ahead log of products.db is 349 MiB long, because another program has been reading products.db since 11:00 UTC.", "closing", ""},
	{"the log can't be copied", "log-long", func(f *Facts, _ *Shop) { f.Catalogue.Log = store.Log{Bytes: 128 << 20, Cause: store.CauseFull} }, Wait,
		"The write-ahead log of products.db is 128 MiB long, because it can't be copied into products.db: the disk is full.", "Tried again", ""},
	{"Litestream holds the log", "log-long", func(f *Facts, _ *Shop) {
		f.Catalogue.Log = store.Log{Bytes: 512 << 20, Held: true, Litestream: true}
	}, Wait, "The write-ahead log of products.db is 512 MiB long.", "Litestream cuts it", ""},
	{"a long log of no known cause", "log-long", func(f *Facts, _ *Shop) { f.Catalogue.Log.Bytes = 600 << 20 }, Wait,
		"The write-ahead log of products.db is 600 MiB long.", "cut when less is written", ""},
	{"queue broken", "store-queue", func(f *Facts, _ *Shop) { f.Queue = Queue{Reason: "its file can't be read"} }, Wait,
		"Product updates are stored, but the retry queue can't be used: its file can't be read.", "tried again automatically", ""},
	{"jobs can't be counted", "unread", func(_ *Facts, s *Shop) { s.JobsErr = errors.New("x") }, Wait,
		"What waits for this shop can't be counted now, so it is not known whether the copy is in step.", "counted again", ""},
	{"deliveries can't be counted", "unread", func(_ *Facts, s *Shop) { s.Sync.Raw.Unread = errors.New("x") }, Wait,
		"What waits for this shop can't be counted now, so it is not known whether the copy is in step.", "counted again", ""},
	{"held by hand", "calls-held", func(_ *Facts, s *Shop) { s.Calls.Circuit, s.Calls.Held = "open", true }, Wait, "Paused: calls to Shopify are held back by hand.", "lets them", ""},
	{"the circuit is open", "unreachable", func(_ *Facts, s *Shop) {
		s.Calls.Circuit, s.Calls.Reason, s.Calls.RetryAt = "open", "calls to it failed before Stockroom was started, and none was made since.", noon.Add(time.Minute)
	}, Wait, "The shop can't be asked: calls to it failed before Stockroom was started, and none was made since.", "Next try at 12:01 UTC, in 1 minute.", ""},
	{"the newest call failed", "unreachable", func(_ *Facts, s *Shop) { s.Calls.Failed, s.Jobs.Retry = "no network", noon.Add(9*time.Second) }, Wait,
		"The shop can't be asked: no network.", "Next try in 9 seconds.", ""},
	{"the newest call failed and a run waits", "unreachable", func(_ *Facts, s *Shop) { s.Calls.Failed, s.Sync.WaitsUntil = "no network", noon.Add(30*time.Second) }, Wait,
		"The shop can't be asked: no network.", "Next try in 30 seconds.", ""},
	{"the newest call failed and nothing waits", "unreachable", func(_ *Facts, s *Shop) { s.Calls.Failed = "no network" }, Wait,
		"The shop can't be asked: no network.", "Next try in 9 minutes.", ""},
	{"subscriptions are missing", "unsubscribed", func(_ *Facts, s *Shop) {
		s.Sync.Subscriptions.Present, s.Sync.Subscriptions.Next = false, "Press Register on the page Shops."
		s.Sync.Subscriptions.Wanted = []Subscription{{State: "missing", Needed: true}, {State: "wrong-address", Needed: true}, {State: "present", Needed: true}, {State: "missing"}}
	}, Bad, "Shopify does not send all product updates: 2 subscriptions are missing.", "Changes are looked for every 30 seconds until it does. Press Register on the page Shops.", ""},
	{"one subscription leaves fields out", "unsubscribed", func(f *Facts, s *Shop) {
		s.Sync.Subscriptions = Subscriptions{CheckedAt: noon, Error: "Shopify refuses the address https://x.example: it is taken.", Next: "Choose another."}
		s.Sync.Subscriptions.Wanted = []Subscription{{State: "incomplete", Needed: true}}
	}, Bad, "Shopify does not send all product updates: 1 subscription is missing. Shopify refuses the address https://x.example: it is taken.", "Changes are looked for every 30 seconds until it does. Choose another.", ""},
	{"a dead letter", "dead", func(f *Facts, s *Shop) { f.Queue.Dead, s.Jobs.Dead = 1, 1 }, Bad, "1 item needs a look; everything else that arrived is stored.",
		"The next comparison, in 59 minutes, sets the products themselves right", ""},
	{"dead letters while a run is under way", "dead", func(f *Facts, s *Shop) {
		f.Queue.Dead, s.Jobs.Dead, s.Sync.Running = 2, 2, &store.SyncRun{Kind: store.RunFull}
		for i := range s.Sync.Schedules {
			s.Sync.Schedules[i].Next = noon.Add(time.Millisecond) // the status was asked for a moment after
		}
	}, Bad, "2 items need a look; everything else that arrived is stored.", "The next comparison, after the one that runs now, sets", ""},
	{"a delivery that does not fit its topic", "misfits", func(f *Facts, s *Shop) { f.Queue.Dead, s.Jobs.Dead, s.Jobs.Misfits = 1, 1, 1 }, Wait,
		"1 delivery does not fit the topic or the shop that it came with; nothing of it was stored.", "is read from the shop", ""},
	{"a dead letter beside two of them", "dead", func(f *Facts, s *Shop) { f.Queue.Dead, s.Jobs.Dead, s.Jobs.Misfits = 3, 3, 2 }, Bad,
		"1 item needs a look; everything else that arrived is stored.", "retry or discard", ""},
	{"a dead letter of no shop", "dead-other", func(f *Facts, _ *Shop) { f.Queue.Dead, f.OtherDead = 1, 1 }, Bad, "1 item needs a look; everything else that arrived is stored.", "retry or discard", ""},
	{"damage", "lost", func(f *Facts, _ *Shop) {
		f.Notices = []Notice{{Level: LevelWarn, Text: "So so."}, {Level: LevelBad, Text: "products.db was damaged.", Next: "A full sync."}}
	}, Bad,
		"Something was lost or damaged here; what arrives is stored.", "products.db was damaged. A full sync.", ""},
	{"a job that does not end", "stuck", func(f *Facts, _ *Shop) {
		f.Queue.Stuck, f.Queue.StuckKind, f.Queue.StuckSince = 1, "product", noon.Add(-time.Hour)
	}, Bad, "A job of the kind product does not end, since 11:00 UTC.", "Restart Stockroom.", ""},
	{"the first read failed", "first-read-failed", func(_ *Facts, s *Shop) {
		never(s)
		s.Sync.Raw.First = syncer.FirstRead{Failed: noon.Add(-time.Minute), Words: "Shopify could not write the export.", Next: noon.Add(time.Minute), Expected: 1234}
	}, Wait, "The first read of the catalogue failed: Shopify could not write the export. 0 of 1,234 products are here.", "Next try at 12:01 UTC, in 1 minute.", ""},
	{"somebody signs with another secret", "secret-doubt", func(_ *Facts, s *Shop) { s.Refused = refused(webhook.ReasonWrongSecret, "") }, Wait,
		"Somebody sends deliveries for linen that are signed with another secret than the one known here; they are refused. The last came at 11:58 UTC, 2 minutes ago.", "If it is Shopify, the client secret here is wrong", ""},
	{"bodies changed on the way", "secret-doubt", func(_ *Facts, s *Shop) { s.Refused = refused(webhook.ReasonBodyChanged, "") }, Wait,
		"Somebody sends deliveries for linen that were changed on the way; they are refused. The last came at 11:58 UTC, 2 minutes ago.", "pass the bytes on", ""},
	{"bodies cut off", "secret-doubt", func(_ *Facts, s *Shop) { s.Refused = refused(webhook.ReasonTruncated, "") }, Wait,
		"Somebody sends deliveries for linen that were cut off on the way; they are refused. The last came at 11:58 UTC, 2 minutes ago.", "limit of size", ""},
	{"refused, and changes of before", "late", func(_ *Facts, s *Shop) { s.Sync.Deliveries = undelivered(true, false) }, Wait,
		"Changes arrive late: 37 of 41 were read before a delivery brought them.", "every 30 seconds", ""},
	{"a shop that is not connected", "stranger", func(f *Facts, _ *Shop) {
		f.Strangers = []webhook.Stranger{{Name: "flax.myshopify.com", Shops: []string{linen}, At: noon.Add(-time.Hour)}}
	}, Wait, "Deliveries for flax.myshopify.com are signed with your app's secret, and that shop is not connected. The last came at 11:00 UTC.",
		"If linen.myshopify.com was renamed", "stockroom shop add flax.myshopify.com --api-key CLIENT_ID"},
	{"the version of the API has ended", "version-ends", func(f *Facts, _ *Shop) { f.APIVersion = "2025-07" }, Wait,
		"Version 2025-07 of Shopify's API has ended or ends today; Shopify answers as a later one does, which may leave out what is asked for.",
		"Install a newer Stockroom.", "stockroom doctor"},
	{"messages do not arrive", "notify-failed", func(f *Facts, _ *Shop) {
		f.Unsent = []Unsent{{Target: "ntfy://ntfy.sh", Since: noon.Add(-time.Minute), Words: "it has a fault (status 503)"}}
	}, Wait, "Messages to ntfy://ntfy.sh can't be sent since 11:59 UTC: it has a fault (status 503).",
		"Correct the URL in the file", "stockroom notify test"},
	{"little space", "space-low", func(f *Facts, _ *Shop) { f.Space.Level, f.Space.Free = datadir.SpaceLow, 900<<20 }, Wait,
		"The disk gets full: 900 MiB of 100 GiB are free. Everything is stored still.", "Free some space", ""},
	{"no backup could be made", "backup-late", func(f *Facts, _ *Shop) {
		f.Backup = backup.Standing{Every: time.Hour, Why: "there is no folder /mnt/usb", Next: noon.Add(15 * time.Minute)}
	}, Wait, "No backup has been made yet: there is no folder /mnt/usb.", "Tried again at 12:15 UTC", ""},
	{"the last backup is old", "backup-late", func(f *Facts, _ *Shop) {
		f.Backup = backup.Standing{Every: time.Hour, Last: noon.Add(-3 * time.Hour), Next: noon.Add(15 * time.Minute)}
	}, Wait, "The last backup was made 3 hours ago.", "Tried again at 12:15 UTC", ""},
	{"reads refused as older", "disputed", func(_ *Facts, s *Shop) { s.Disputed, s.DisputedSince = 1, noon.Add(-5*time.Minute) }, Wait,
		"1 product shows in the shop another content than the newer one that is stored here, since 11:55 UTC.", "read again", ""},
	{"one update waits", "updates-wait", func(f *Facts, s *Shop) { s.Jobs.Updates, f.Queue.Next = 1, noon.Add(90*time.Second) }, Wait,
		"1 product update waits to be stored; everything else that arrived is stored.", "Next try in 1 minute.", ""},
	{"updates are being worked on", "updates-wait", func(f *Facts, s *Shop) { s.Jobs.Updates, f.Queue.Leased = 2, 2 }, Wait,
		"2 product updates wait to be stored; everything else that arrived is stored.", "Being worked on now.", ""},
	{"nobody works on updates", "updates-wait", func(_ *Facts, s *Shop) { s.Jobs.Updates = 2 }, Wait,
		"2 product updates wait to be stored; everything else that arrived is stored.", "when the part of Stockroom", ""},
	{"reads failed", "reads-fail", func(_ *Facts, s *Shop) {
		s.Jobs.Reads, s.Jobs.Failed, s.Jobs.LastError, s.Jobs.Retry = 3, 2, "HTTP 500.", noon.Add(time.Minute)
	}, Wait,
		"2 changed products could not be read: HTTP 500.", "Next try in 1 minute.", ""},
	{"reads for 5 s", "reading", func(_ *Facts, s *Shop) { s.Jobs.Reads, s.Jobs.ReadSince = 1, noon.Add(-5*time.Second) }, Wait,
		"1 known change is being read from the shop, the oldest since 11:59 UTC.", "Nothing is to be done.", ""},
	{"what looking has found", "reading", func(_ *Facts, s *Shop) {
		l := pulling(s)
		s.Jobs.Reads, s.Jobs.ReadSince = 2, noon.Add(-time.Second)
		l.Waiting, l.WaitsSince, l.Ends = 310, noon.Add(-time.Minute), noon.Add(4*time.Minute+time.Second)
	}, Wait, "312 known changes are being read from the shop, about 4 minutes to go, the oldest since 11:59 UTC.", "Nothing is to be done.", ""},
	{"reads that wait for points", "reading", func(_ *Facts, s *Shop) {
		s.Jobs.Reads, s.Jobs.ReadSince, s.Calls.NextGrant = 6, noon.Add(-time.Minute), noon.Add(17*time.Second)
	}, Wait, "6 known changes are being read from the shop, the oldest since 11:59 UTC.", "the next one goes out in 17 seconds.", ""},
	{"reads that say why they wait", "reading", func(_ *Facts, s *Shop) {
		s.Jobs.Reads, s.Jobs.ReadSince, s.Jobs.Waits = 2, noon.Add(-time.Minute), "Shopify is busy."
	}, Wait,
		"2 known changes are being read from the shop, the oldest since 11:59 UTC.", "They wait: Shopify is busy.", ""},
	{"a comparison mends what it found", "reading", func(_ *Facts, s *Shop) { s.Sync.Raw.Differ, s.Sync.Raw.DifferSince = 4, noon.Add(-10*time.Second) }, Wait,
		"4 known changes are being read from the shop, the oldest since 11:59 UTC.", "Nothing is to be done.", ""},
	{"the first read", "first-read", func(_ *Facts, s *Shop) { never(s); s.Sync.Running = &store.SyncRun{Kind: store.RunFull} }, Wait,
		"The catalogue is being read for the first time.", "", ""},
	{"the first comparison waits", "first-read", func(_ *Facts, s *Shop) {
		never(s)
		s.Sync.Running, s.Sync.Waits, s.Sync.WaitsUntil = &store.SyncRun{Kind: store.RunReconcile}, "Points are used up.", noon.Add(30*time.Second)
	}, Wait, "The first comparison with the shop is under way.", "It waits: points are used up. It goes on in 30 seconds.", ""},
	{"something was lost", "loss", func(_ *Facts, s *Shop) { s.Sync.Raw.Loss = "queue.db was lost or damaged" }, Wait,
		"The whole catalogue has to be read again: queue.db was lost or damaged.", "in 4 days", ""},
	{"a comparison is owed", "owed", func(_ *Facts, s *Shop) { s.Sync.Raw.Owed = "Stockroom was away for 2 hours." }, Wait,
		"The copy has to be compared with the shop: Stockroom was away for 2 hours.", "It is done in 59 minutes.", ""},
	{"a comparison is owed and runs", "owed", func(_ *Facts, s *Shop) {
		s.Sync.Raw.Owed, s.Sync.Running = "x", &store.SyncRun{Kind: store.RunReconcile}
	}, Wait,
		"The copy has to be compared with the shop: x.", "It is being compared now.", ""},
	{"never compared", "never-compared", func(_ *Facts, s *Shop) { never(s) }, Wait, "The copy has not been compared with the shop yet.", "It is done in 59 minutes.", ""},
	{"never compared and no server", "never-compared", func(f *Facts, s *Shop) { never(s); f.Works = false }, Wait,
		"The copy has not been compared with the shop yet.", "when stockroom serve runs", ""},
	{"the clock was put back", "clock-back", func(_ *Facts, s *Shop) { s.Sync.Raw.StalenessKnown = false }, Wait,
		"The clock of this machine was put back, so the age of the last comparison is not known.", "in 59 minutes", ""},
	{"a comparison that was not complete", "unproven", func(_ *Facts, s *Shop) { s.Sync.LastReconcile = &store.SyncRun{ID: 8} }, Wait, "The last comparison was not complete.", "in 59 minutes", ""},
	{"a dry run that found a difference", "unproven", func(_ *Facts, s *Shop) { s.Sync.LastReconcile = &store.SyncRun{ID: 8, DryRun: true, Changed: 1} }, Wait,
		"The last comparison changed nothing and found that 1 product differs from the shop's.", "in 59 minutes", ""},
	{"a comparison that left something open", "unproven", func(_ *Facts, s *Shop) {
		s.Sync.LastReconcile = &store.SyncRun{ID: 8, Error: "2 products could not be read."}
	}, Wait,
		"The last comparison left something open: 2 products could not be read.", "in 59 minutes", ""},
	{"overdue", "overdue", func(_ *Facts, s *Shop) {
		s.Sync.Schedules[1].Late, s.Sync.Schedules[1].LastError = true, "Shopify did not answer."
	}, Wait,
		"The comparison with the shop is overdue: Shopify did not answer.", "in 59 minutes", ""},
	{"a look failed", "unlooked", func(_ *Facts, s *Shop) {
		l := pulling(s)
		l.Failed, l.Words, l.Next = noon, "the shop's search does not filter by time.", noon.Add(30*time.Second)
	}, Wait, "Changes can't be looked for: the shop's search does not filter by time.",
		"Tried again in 30 seconds. Comparisons still find what changed; the next one in 59 minutes.", ""},
	{"no look went well for long", "unlooked", func(_ *Facts, s *Shop) {
		l := pulling(s)
		l.Last, l.Next, l.Held = noon.Add(-91*time.Second), time.Time{}, "Calls wait for points."
	}, Wait, "Changes were looked for last at 11:58:29 UTC, 1 minute ago.", "The next look waits: calls wait for points. Comparisons", ""},
	{"no look yet", "unlooked", func(_ *Facts, s *Shop) {
		l := pulling(s)
		l.Last, l.Next = time.Time{}, time.Time{}
	}, Wait, "Changes have not been looked for yet.", "Tried again when the part", ""},
	{"subscriptions not checked yet", "subscriptions-unknown", func(_ *Facts, s *Shop) { s.Sync.Subscriptions = Subscriptions{} }, Wait,
		"Whether Shopify sends product updates has not been checked yet.", "in 9 minutes", ""},
	{"subscriptions checked long ago", "subscriptions-unknown", func(_ *Facts, s *Shop) {
		s.Sync.Subscriptions.CheckedAt = noon.Add(-syncer.SubscriptionsKnown - time.Second)
	}, Wait,
		"Whether Shopify still sends product updates is not known; it was checked last at 11:43 UTC.", "in 9 minutes", ""},
	{"subscriptions can't be checked", "subscriptions-unknown", func(_ *Facts, s *Shop) {
		s.Sync.Subscriptions, s.Sync.Schedules[len(s.Sync.Schedules)-1].LastError = Subscriptions{}, "the access scope is missing."
	}, Wait, "Whether Shopify sends product updates could not be checked: the access scope is missing.", "in 9 minutes", ""},
	{"only useful subscriptions are missing", "in-step", func(_ *Facts, s *Shop) {
		s.Sync.Subscriptions.Wanted = []Subscription{{Topic: "app/uninstalled", State: "missing"}, {Topic: "products/delete", State: "unheard", Needed: true}}
	}, Good, "Equal to the shop at 11:59 UTC, 1 minute ago.", "Compared", ""},
	{"work that nobody does", "unworked", func(_ *Facts, s *Shop) { s.Jobs.Waiting, s.Jobs.Unworked = 4, 4 }, Wait, "4 further jobs will be done when the part of Stockroom that does them runs.", "", ""},
	{"no shop", "no-shop", func(f *Facts, _ *Shop) { f.Shops = nil }, Idle, "No shop is connected yet.", "Connect one", "stockroom shop add NAME.myshopify.com --api-key CLIENT_ID"},
	{"in step", "in-step", func(*Facts, *Shop) {}, Good, "Equal to the shop at 11:59 UTC, 1 minute ago.", "Compared: ids and times 11:59 UTC; every field 22 Nov 10:00 UTC.", ""},
	{"in step by a full sync alone", "in-step", func(_ *Facts, s *Shop) {
		s.Sync.ProvenIDs, s.Sync.ProvenFields, s.Sync.AsOf = time.Time{}, noon.Add(-4*time.Minute), noon.Add(-4*time.Minute)
	}, Good, "Equal to the shop at 11:56 UTC, 4 minutes ago.", "Compared: every field 11:56 UTC.", ""},
	{"in step by ids alone", "in-step", func(_ *Facts, s *Shop) { s.Sync.ProvenFields = time.Time{} }, Good, "Equal to the shop at 11:59 UTC, 1 minute ago.", "not every field yet.", ""},
	{"in step in pull mode", "in-step", func(_ *Facts, s *Shop) { pulling(s) }, Good, "Equal to the shop at 11:59 UTC, 1 minute ago.",
		"Compared: ids and times 11:59 UTC; every field 22 Nov 10:00 UTC. Last looked for changes at 11:59:50 UTC.", ""},
	{"looks that the budget slows down", "in-step", func(_ *Facts, s *Shop) {
		l := pulling(s)
		l.Every, l.Slow, l.Last = 2*time.Minute, "The shop's budget of points is small.", noon.Add(-4*time.Minute)
	}, Good, "Equal to the shop at 11:59 UTC, 1 minute ago.",
		"Last looked for changes at 11:56:00 UTC. They are looked for every 2 minutes (the shop's budget of points is small).", ""},
	{"nothing is compared", "in-step", func(_ *Facts, s *Shop) { s.Sync = nil }, Idle, "Connected. The copy is not compared with the shop here.", "", ""},
}

func (r row) facts() Facts {
	f := calm()
	r.change(&f, &f.Shops[0])
	return f
}

// wrong is what an account says otherwise than a row's state should have it, ""
// for nothing.
func (r row) wrong(a *Account) string {
	h := a.Head
	switch {
	case h.Code != r.code || h.Mood != r.mood:
		return fmt.Sprintf("%s (%s), want %s (%s)", h.Code, h.Mood, r.code, r.mood)
	case h.Sentence(noon) != r.text:
		return fmt.Sprintf("%q, want %q", h.Sentence(noon), r.text)
	case !strings.Contains(h.Next.Text(noon), r.next) || h.Command != r.command:
		return fmt.Sprintf("next %q command %q, want %q and %q", h.Next.Text(noon), h.Command, r.next, r.command)
	}
	return ""
}

func TestEachRowIsTheHeadlineWhereNothingWorseHolds(t *testing.T) {
	told := map[string]bool{}
	for _, r := range rows {
		told[r.code] = true
		a := judge(Table(), r.facts())
		if wrong := r.wrong(a); wrong != "" {
			t.Errorf("%s: %s", r.name, wrong)
		}
		for _, l := range a.Lines {
			if l.Mood == Bad && len(l.Next) == 0 {
				t.Errorf("%s: the red line %s says no next step", r.name, l.Code)
			}
		}
		for _, s := range a.Shops {
			if s.Sync == nil {
				continue
			}
			if against := slices.ContainsFunc(a.Lines, func(l Line) bool { return l.Against }); s.Sync.InStep == against || (s.Sync.Why == "") == against {
				t.Errorf("%s: in step %v, because of %q", r.name, s.Sync.InStep, s.Sync.Why)
			}
			if a.Head.Against && (s.Sync.Cause != r.code || s.Sync.Why != a.Head.Sentence(noon)) {
				t.Errorf("%s: the copy is not in step by %s, %q", r.name, s.Sync.Cause, s.Sync.Why)
			}
		}
		if of := a.Of(linen); len(a.Shops) > 0 && of.Code != a.Head.Code && (a.Head.Shop != "" || a.Head.Against) {
			t.Errorf("%s: the shop's line is %s", r.name, of.Code)
		}
	}
	for _, code := range Codes() {
		if !told[code] {
			t.Errorf("no state has %s as its headline", code)
		}
	}
}

// What is told of a copy without a proof that counts is that, and nothing of the
// clock.
func TestTheClockIsNotBlamedWhereThereIsNoProof(t *testing.T) {
	for name, change := range map[string]func(s *Shop){
		"never compared": never,
		"a loss":         func(s *Shop) { s.Sync.Raw.Loss, s.Sync.Raw.StalenessKnown = "products.db lost changes", false },
	} {
		f := calm()
		change(&f.Shops[0])
		for _, l := range judge(Table(), f).Lines {
			if l.Code == "clock-back" {
				t.Errorf("%s: %s", name, l.Sentence(noon))
			}
		}
	}
}

// A pause says why nothing is asked; the failed call behind it is no second cause.
// What a witness shows of a secret is no mere possibility besides.
func TestOneCauseIsToldOnce(t *testing.T) {
	f := calm()
	f.Shops[0].State, f.Shops[0].Reason, f.Shops[0].Calls.Failed = "paused", "frozen", "Shopify has frozen the shop (402)"
	if a := judge(Table(), f); len(a.Lines) != 1 || a.Head.Code != "paused" {
		t.Errorf("%+v", a.Lines)
	}
	f = calm()
	f.Shops[0].Refused, f.Shops[0].Sync.Deliveries = refused(webhook.ReasonOldSecret, webhook.ReasonOldSecret), undelivered(false, false)
	f.Shops[0].Sync.Deliveries.Newest = noon
	if a := judge(Table(), f); len(a.Lines) != 1 || a.Head.Code != "secret-wrong" {
		t.Errorf("%+v", a.Lines)
	}
}

// Whatever is taken out of the table, one of the states above shows it.
func TestATableWithoutARowIsFound(t *testing.T) {
	for i, code := range Codes() {
		var found []string
		for _, r := range rows {
			if wrong := r.wrong(judge(slices.Delete(Table(), i, i+1), r.facts())); wrong != "" {
				found = append(found, r.name)
			}
		}
		if len(found) == 0 {
			t.Errorf("nothing shows that the row %s is missing", code)
		}
		t.Logf("%-22s shown by: %s", code, strings.Join(found, "; "))
	}
}

// Of any two things that are so, the one that stands first in this list is the
// headline, and both are told.
func TestTheGraverOfTwoIsTheHeadline(t *testing.T) {
	order := []string{
		"store-both", "space-out", "catalogue-lost", "shops-unread", "certificate", "uninstalled", "moved", "paused", "secret-missing", "secret-wrong", "deaf", "file-taken", "store-catalogue", "store-queue",
		"unread", "calls-held", "unreachable", "unsubscribed", "dead", "dead-other", "lost", "stuck", "first-read-failed", "secret-doubt", "misfits", "stranger", "late",
		"certificate-page", "certificate-ends", "version-ends", "space-low", "backup-late", "log-long", "notify-failed", "disputed", "updates-wait", "reads-fail", "reading", "first-read", "loss", "owed", "never-compared", "clock-back", "unproven", "overdue", "unlooked",
		"subscriptions-unknown", "unworked", "no-shop", "in-step",
	}
	if !slices.Equal(order, Codes()) {
		t.Fatalf("the order is %v", Codes())
	}
	for _, x := range rows {
		for _, y := range rows {
			f := calm()
			x.change(&f, &f.Shops[0])
			if len(f.Shops) == 0 || f.Shops[0].Sync == nil {
				continue
			}
			y.change(&f, &f.Shops[0])
			a := judge(Table(), f)
			place := func(l Line) int { return slices.Index(order, l.Code) }
			if !slices.IsSortedFunc(a.Lines, func(x, y Line) int { return place(x) - place(y) }) || a.Head.Code != a.Lines[0].Code {
				t.Fatalf("%s and %s: the headline is %s of %v", x.name, y.name, a.Head.Code, a.Lines)
			}
		}
	}
}

func TestRefusalsAloneAreNeverRed(t *testing.T) {
	for _, reason := range webhook.Reasons() {
		f := calm()
		f.Shops[0].Refused = refused(reason, "")
		// Changes of before the first refusal are no witness.
		f.Shops[0].Sync.Deliveries = undelivered(false, false)
		f.Shops[0].Sync.Deliveries.Newest = f.Shops[0].Refused.First.Add(-2 * time.Minute)
		if h := judge(Table(), f).Head; h.Mood != Wait || h.Code != "secret-doubt" {
			t.Errorf("%s: %s %s", reason, h.Mood, h.Code)
		}
	}
}

func TestOnlyReadingIsDamped(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(s *Shop, since time.Time)
	}{
		{"jobs", func(s *Shop, since time.Time) { s.Jobs.Reads, s.Jobs.ReadSince = 1, since }},
		{"what a run has found", func(s *Shop, since time.Time) { s.Sync.Raw.Differ, s.Sync.Raw.DifferSince = 1, since }},
		{"both", func(s *Shop, since time.Time) {
			s.Jobs.Reads, s.Jobs.ReadSince, s.Sync.Raw.Differ, s.Sync.Raw.DifferSince = 1, noon, 1, since
		}},
	} {
		for since, want := range map[time.Duration]string{4900 * time.Millisecond: "in-step", 5 * time.Second: "reading"} {
			f := calm()
			tt.change(&f.Shops[0], noon.Add(-since))
			if h := judge(Table(), f).Head; h.Code != want {
				t.Errorf("%s since %v: %s, want %s", tt.name, since, h.Code, want)
			}
		}
	}
	f := calm()
	f.Shops[0].Jobs.Reads, f.Shops[0].Jobs.ReadSince, f.Shops[0].Jobs.Failed, f.Shops[0].Jobs.LastError = 1, noon, 1, "no network"
	if h := judge(Table(), f).Head; h.Code != "reads-fail" {
		t.Errorf("a failed read is damped: %s", h.Code)
	}
}

func TestTheHeadlineOfSeveralShops(t *testing.T) {
	const of = ".myshopify.com"
	several := func(change func(i int, s *Shop)) Facts {
		f := calm()
		f.Shops = nil
		for i, name := range []string{"a", "b", "c"} {
			s := calmShop(name + of)
			if change != nil {
				change(i, &s)
			}
			f.Shops = append(f.Shops, s)
		}
		return f
	}
	for _, tt := range []struct {
		name, code       string
		f                Facts
		shop, text, next string
		steps            []bool
	}{
		{"all in step", "in-step", several(func(i int, s *Shop) { s.Sync.AsOf = noon.Add(-time.Duration(i+1) * time.Minute) }), "",
			"Equal to all 3 shops; the oldest proof is of 11:57 UTC, 3 minutes ago.", "", []bool{true, true, true}},
		{"one is not", "owed", several(func(i int, s *Shop) {
			if i == 1 {
				s.Sync.Raw.Owed = "x"
			}
		}), "b" + of, "b: The copy has to be compared with the shop: x.", "It is done in 59 minutes.", []bool{true, false, true}},
		{"two are paused", "paused", several(func(i int, s *Shop) {
			if i != 1 {
				s.State, s.Reason = "paused", fmt.Sprint("reason ", i)
			}
		}), "", "2 of 3 shops (a, c): Paused: reason 0.", "Each shop says below why", []bool{false, true, false}},
		{"one removed the app, another is paused", "uninstalled", several(func(i int, s *Shop) { s.State = []string{"paused", "active", "uninstalled"}[i] }), "c" + of,
			"c: The app was removed from the shop, so nothing new comes from it.", "Install", []bool{false, true, false}},
		{"the catalogue fails", "store-catalogue", func() Facts { f := several(nil); f.Catalogue.OK = false; return f }(), "",
			"Product updates wait to be stored: the catalogue did not answer in time.", "", []bool{false, false, false}},
		{"the queue fails", "store-queue", func() Facts { f := several(nil); f.Queue = Queue{Reason: "x"}; return f }(), "",
			"Product updates are stored, but the retry queue can't be used: x.", "", []bool{true, true, true}},
	} {
		a := judge(Table(), tt.f)
		if h := a.Head; h.Code != tt.code || h.Shop != tt.shop || h.Sentence(noon) != tt.text || !strings.Contains(h.Next.Text(noon), tt.next) {
			t.Errorf("%s: %s %q %q, next %q", tt.name, h.Code, h.Shop, h.Sentence(noon), h.Next.Text(noon))
		}
		for i, s := range a.Shops {
			if s.Sync.InStep != tt.steps[i] {
				t.Errorf("%s: %s in step: %v, because of %q", tt.name, s.Shop, s.Sync.InStep, s.Sync.Why)
			}
		}
	}
	// One shop without a proof: there is no instant as of which all are equal.
	a := judge(Table(), several(func(i int, s *Shop) {
		if i == 2 {
			never(s)
		}
	}))
	if !a.AsOf().IsZero() || a.Shop("a"+of) == nil || a.Shop("d"+of) != nil || a.Of("d"+of).Mood != Idle {
		t.Errorf("as of %v", a.AsOf())
	}
}

func TestReadinessNamesWhatIsDegraded(t *testing.T) {
	for _, tt := range []struct {
		name     string
		change   func(f *Facts, s *Shop)
		status   string
		degraded []string
	}{
		{"both stores work", func(*Facts, *Shop) {}, "ready", []string{}},
		{"the catalogue fails", func(f *Facts, _ *Shop) { f.Catalogue = Catalogue{Closed: true, Cause: store.CauseLocked, Since: noon} }, "degraded", []string{"catalogue"}},
		{"the queue fails", func(f *Facts, _ *Shop) { f.Queue = Queue{Reason: "x"} }, "degraded", []string{"queue"}},
		{"both fail", func(f *Facts, _ *Shop) { f.Catalogue, f.Queue = Catalogue{}, Queue{Reason: "x"} }, "unavailable", []string{"catalogue", "queue"}},
		{"a file was quarantined", func(f *Facts, _ *Shop) { f.Notices = []Notice{{Level: LevelWarn, Text: "moved aside"}} }, "degraded", []string{"notice"}},
		{"damage", func(f *Facts, _ *Shop) {
			f.Notices = []Notice{{Level: LevelBad, Text: "products.db was damaged.", Next: "A full sync."}}
		}, "degraded", []string{"notice"}},
		{"good to know only", func(f *Facts, _ *Shop) { f.Notices = []Notice{{Level: LevelInfo, Text: "by the way"}} }, "ready", []string{}},
		{"a red line of a shop", func(_ *Facts, s *Shop) { s.State, s.Reason = "paused", "token" }, "ready", []string{}},
		{"little space is not red", func(f *Facts, _ *Shop) { f.Space.Level = datadir.SpaceLow }, "ready", []string{}},
		{"no space", func(f *Facts, _ *Shop) { f.Space.Level = datadir.SpaceCritical }, "degraded", []string{"space-out"}},
	} {
		f := calm()
		tt.change(&f, &f.Shops[0])
		got := judge(Table(), f).Ready()
		if got.Status != tt.status || !slices.Equal(got.Degraded, tt.degraded) {
			t.Errorf("%s: %s %v", tt.name, got.Status, got.Degraded)
		}
		for _, c := range got.Checks {
			if !c.OK && c.Reason == "" {
				t.Errorf("%s: check %s fails without a reason", tt.name, c.Name)
			}
		}
	}
}

func TestAFailedCommitIsForgottenWhenNoOtherFollows(t *testing.T) {
	w := new(QueueWatch)
	w.Commit(queue.Commit{Err: errors.New("disk full")})
	if _, failing := w.failing(time.Now()); !failing {
		t.Error("a failed commit goes unnoticed")
	}
	if _, failing := w.failing(time.Now().Add(2 * forgetFailure)); failing {
		t.Error("a failed commit is never forgotten")
	}
	w.Commit(queue.Commit{})
	if _, failing := w.failing(time.Now()); failing {
		t.Error("a commit that went well does not end the failure")
	}
	if _, failing := (*QueueWatch)(nil).failing(time.Now()); failing {
		t.Error("no watch knows of a failure")
	}
}

func TestWordsKeepInstantsApartFromTheText(t *testing.T) {
	w := say("At ", clock(noon.Add(-time.Hour)), ", ", age(noon.Add(-time.Hour)), say("; then ", clock(noon.Add(25*time.Hour)), ", ", ahead(noon.Add(25*time.Hour)), "."))
	if got := w.Text(noon); got != "At 11:00 UTC, 1 hour ago; then 24 Nov 13:00 UTC, in 25 hours." {
		t.Error(got)
	}
	if got := w.Text(noon.In(time.FixedZone("Kathmandu", 5*3600+2700))); got != "At 11:00 UTC, 1 hour ago; then 24 Nov 13:00 UTC, in 25 hours." {
		t.Error(got)
	}
	instants := 0
	for _, p := range w {
		if !p.At.IsZero() {
			instants++
		}
		if p.At.IsZero() == (p.Form != "") {
			t.Errorf("%+v", p)
		}
	}
	if instants != 4 || say("", say(), Words(nil)) != nil {
		t.Errorf("%+v", w)
	}
	for n, want := range map[int64]string{900: "0 KiB", 5 << 20: "5 MiB", 3<<30 + 1<<29: "3.5 GiB", 44 << 30: "44 GiB", -1: "0 KiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d bytes: %s, want %s", n, got, want)
		}
	}
}
