package appliance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stockroom/internal/backup"
	"stockroom/internal/boltfile"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/internal/status"
	"stockroom/limiter"
	"stockroom/store"
	"stockroom/web"
)

// The levels of a finding, and the causes that have an exit code of their own.
const (
	levelOK, levelWarn, levelFail    = "ok", "warn", "fail"
	causeIntegrity, causeUnreachable = "integrity", "unreachable"

	restartMends = "restart Stockroom: a damaged file is set aside automatically and what it held is read again"
)

const (
	fewDays  = 60               // of support left: time to move to another version
	noDays   = 14               // high time
	skewOK   = 5 * time.Second  // of our clock against Shopify's
	skewMost = 60 * time.Second // beyond this tokens and orders by time suffer
)

// doctor looks at the stores and asks every shop. deep: it reads all that is stored, too.
func (a *Appliance) doctor(ctx context.Context, deep bool) []web.Finding {
	var shops []web.Finding
	for _, shop := range a.state.Shops() {
		shops = append(shops, a.examineShop(ctx, shop)...)
	}
	if len(shops) == 0 {
		shops = []web.Finding{{Check: "shops", Level: levelWarn, Text: "no shop is connected",
			Fix: a.command(config.ConnectWords("NAME.myshopify.com"))}}
	}
	// What the shop was asked just now is said once, and so is why nothing is looked for.
	has := func(list []web.Finding, check, shop string) bool {
		return slices.ContainsFunc(list, func(f web.Finding) bool { return f.Check == check && f.Shop == shop })
	}
	standing := slices.DeleteFunc(a.examineStatus(ctx), func(f web.Finding) bool {
		return (f.Check == "unsubscribed" || f.Check == "subscriptions-unknown") && has(shops, "subscriptions", f.Shop)
	})
	shops = slices.DeleteFunc(shops, func(f web.Finding) bool {
		return f.Check == "looks" && has(standing, "unlooked", f.Shop)
	})
	stores := append(a.examineStores(ctx), a.examineFiles()...)
	found := slices.Concat(stores, shops)
	standing = slices.DeleteFunc(standing, func(f web.Finding) bool { return saidBy(found, f) })
	if deep {
		stores = append(stores, a.examineDeep(ctx, stores[0])...)
	}
	if !a.syncer.Works() {
		stores = append(stores, web.Finding{Check: "unchecked", Level: levelWarn,
			Text: "no server runs, so how the copy stands, certificates, and whether deliveries arrive were not checked",
			Fix:  "start it with " + a.command("serve") + ", then run this again"})
	}
	return slices.Concat(stores, a.examineCertificates(), standing, shops, a.examineTrip(ctx))
}

// saidBy reports whether what stands has its cause in what was found just now, and says
// nothing beside it.
func saidBy(found []web.Finding, stands web.Finding) bool {
	return slices.ContainsFunc(found, func(f web.Finding) bool {
		switch {
		case f.Level == levelOK || f.Shop != stands.Shop:
			return false
		case f.Check == "space":
			return strings.HasPrefix(stands.Check, "space-")
		case stands.Check == "lost":
			return f.Level == levelFail && strings.Contains(stands.Fix, f.Text)
		}
		return f.Shop != "" && stands.Level == levelWarn && strings.Contains(stands.Text, f.Text)
	})
}

// examineCertificates tells of the certificates that are good, and of port 80; the account
// of health says what is wrong with the others.
func (a *Appliance) examineCertificates() (list []web.Finding) {
	const day = "2 Jan 2006"
	for _, c := range a.certificates() {
		if now := time.Now(); c.Have(now) && c.Words == "" && now.Before(c.Late()) {
			list = append(list, web.Finding{Check: "certificate", Level: levelOK, Text: fmt.Sprintf(
				"%s has a certificate of %s until %s; it is renewed from %s on",
				c.Name, c.Issuer, c.NotAfter.UTC().Format(day), c.Renewal().UTC().Format(day))})
		}
	}
	if why := a.unplain.Load(); why != nil {
		f := web.Finding{Check: "port-80", Level: levelOK, Text: "port 80 sends browsers on to HTTPS"}
		if *why != "" {
			f.Level, f.Text = levelWarn, *why
			f.Fix = "if another program listens on port 80, stop it; else have the system open it with " +
				a.command("service install") + "; then restart Stockroom. It may stay as it is, too"
		}
		list = append(list, f)
	}
	return list
}

// examineStatus says what the account of health says, in the words of the page.
// Where nothing works on the data dir it is left out: nobody does what is due.
func (a *Appliance) examineStatus(ctx context.Context) []web.Finding {
	if !a.syncer.Works() {
		return nil
	}
	account := a.status.Read(ctx, time.Now())
	list := []web.Finding{}
	for _, l := range account.Lines {
		f := web.Finding{
			Check: l.Code, Shop: l.Shop, Level: levelOK, Text: l.Sentence(account.Now),
			Fix: strings.TrimSpace(l.Next.Text(account.Now) + " " + l.Command),
		}
		switch l.Mood {
		case status.Bad:
			f.Level = levelFail
		case status.Wait:
			f.Level = levelWarn
		default:
			f.Fix = ""
		}
		if l.Code != "no-shop" {
			list = append(list, f)
		}
	}
	return list
}

func (a *Appliance) examineStores(ctx context.Context) []web.Finding {
	list := []web.Finding{a.examineLosses("catalogue", datadir.ProductsFile)}
	if err := a.store.Check(ctx); err != nil {
		list[0] = unread("catalogue", err)
	} else if h := a.store.Health(); h.Cause != "" {
		list[0] = web.Finding{
			Check: "catalogue", Level: levelFail, Text: "products.db can't be written: " + h.Cause.Words(),
			Fix: "end what stands against it; Stockroom goes on by itself",
		}
	}
	kept := a.examineLosses("state", datadir.StateFile)
	if err := a.state.View(boltfile.CheckPages); err != nil {
		kept = web.Finding{
			Check: "state", Level: levelFail, Text: "state.db is damaged: " + err.Error(),
			Fix: restartMends, Cause: causeIntegrity,
		}
	}
	list = append(list, a.examineLosses("queue", datadir.QueueFile), kept, a.examineSpace())
	if a.opt.Settings.BackupEvery > 0 {
		list = append(list, a.examineBackup()...)
	}
	return list
}

// examineBackup says how old the newest backup is that is known.
func (a *Appliance) examineBackup() []web.Finding {
	a.schedule.Look()
	b, now := a.schedule.Standing(), time.Now()
	f := web.Finding{Check: "backup", Level: levelOK, Text: "no backup is known"}
	if at := backup.Written(a.state); at.After(b.Last) {
		f.Text = "the last backup was written " + status.Ago(now, at) + ", to where only who asked for it knows"
	} else if !b.Last.IsZero() {
		f.Text = fmt.Sprintf("the newest backup, %s in %s, was made %s", b.File, b.Folder, status.Ago(now, b.Last))
	}
	switch {
	case b.Every <= 0:
		f.Text += "; none is made by itself, as with --backup-every 24h, and " + a.command("backup FILE") + " makes one"
	case b.Late(now) && a.syncer.Works():
		return nil // the account tells
	case b.Late(now):
		f.Level, f.Text = levelWarn, f.Text+", and --backup-every asks for one "+status.Every(b.Every)
		f.Fix = "start the server, which makes it: " + a.command("serve")
	case b.Last.IsZero():
		f.Text += "; the server makes the first one soon after its start"
	}
	return []web.Finding{f}
}

// unread says why products.db could not be read through.
func unread(check string, err error) web.Finding {
	f := web.Finding{
		Check: check, Level: levelFail, Text: "products.db can't be checked: " + onOneLine(err),
		Fix: "see the log; free space on the disk or end what locks the file",
	}
	if store.CauseOf(err) == store.CauseDamaged {
		f.Text, f.Fix, f.Cause = "products.db is damaged: "+onOneLine(err), restartMends, causeIntegrity
	}
	return f
}

// onOneLine is an error in which SQLite may have listed what it found.
func onOneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// examineLosses says what a file has lost, in the words of the page's notice.
func (a *Appliance) examineLosses(check, file string) web.Finding {
	for _, n := range a.losses() {
		if strings.HasPrefix(n.ID, file) {
			f := web.Finding{Check: check, Level: levelWarn, Text: n.Text,
				Fix: n.Next + " When you have dealt with it, " + a.command("doctor --acknowledge") + " takes it off."}
			if n.Level == status.LevelBad {
				f.Level = levelFail
			}
			return f
		}
	}
	return web.Finding{Check: check, Level: levelOK, Text: file + " is sound"}
}

// examineSpace judges the room on the disk of the data dir.
func (a *Appliance) examineSpace() web.Finding {
	s := a.Space()
	left := fmt.Sprintf("%s of %s are free on the disk of %s", status.Bytes(s.Free), status.Bytes(s.Total), a.dir.Path())
	f := web.Finding{Check: "space", Level: levelOK, Text: left}
	switch s.Level {
	case datadir.SpaceCritical:
		f.Level, f.Text = levelFail, left+"; deliveries may have to be refused"
		f.Fix = "make room on this disk, or move the data dir to a larger one"
	case datadir.SpaceLow:
		f.Level, f.Text = levelWarn, left+", less than --space-warn asks for"
		f.Fix = "make room on this disk, or set --space-warn"
	case datadir.SpaceUnknown:
		f.Level, f.Text = levelWarn, "the system does not tell how much room the disk has"
		f.Fix = "look at the disk of " + a.dir.Path() + " yourself"
	}
	return f
}

// examineShop asks one shop about token, scopes, version and time.
func (a *Appliance) examineShop(ctx context.Context, shop state.Shop) []web.Finding {
	name := shop.Domain
	var list []web.Finding
	add := func(check, level, text, fix, cause string) {
		list = append(list, web.Finding{Check: check, Shop: name, Level: level, Text: text, Fix: fix, Cause: cause})
	}
	if len(a.state.Secrets(name)) == 0 && !a.opt.Settings.Pull() {
		add("secret", levelFail, "the app's client secret is missing, so deliveries can't be checked",
			a.command("shop add "+name), "")
	}
	a.client.TryNow(name) // a person asks, so the shop is really asked
	access, err := a.client.Access(ctx, name, limiter.WebhookRefetch)
	if err != nil {
		var e *shopify.Error
		if !errors.As(err, &e) {
			e = &shopify.Error{Kind: shopify.KindLocal, Message: err.Error()}
		}
		switch e.Root().Kind {
		case shopify.KindToken:
			c, _ := a.state.Credentials(name)
			words, command := status.Connection{Shop: name, FromEnvironment: shop.Declared, Access: accessOf(c)}.Mend()
			if command != "" {
				words += " " + a.command(command)
			}
			add("token", levelFail, e.Words(), words, "")
		case shopify.KindUninstalled:
			add("token", levelFail, e.Words(), "if the shop is to be left, "+a.command("shop remove "+name), "")
		case shopify.KindScope:
			add("scopes", levelFail, e.Words(), "give the app the scopes "+strings.Join(shopify.NeededScopes(), ", "), "")
		case shopify.KindFrozen:
			add("token", levelFail, e.Words(), "settle it with Shopify; Stockroom asks again every hour", "")
		case shopify.KindMoved:
			add("reach", levelFail, e.Words(),
				a.command(config.ConnectWords(e.Root().Moved))+", then "+a.command("shop remove "+name), "")
		case shopify.KindRefused:
			add("reach", levelFail, e.Words(), "look at the shop's name and at --api-base", "")
		case shopify.KindBudget, shopify.KindThrottled:
			add("token", levelWarn, e.Words(), "run it again in a minute", "")
		case shopify.KindOpen:
			if (outbound{a}).Calls(name, time.Now()).Held {
				add("reach", levelWarn, e.Words(), "let them go with "+a.command("shop calls --auto "+name), "")
				break
			}
			fallthrough
		default:
			add("reach", levelFail, e.Words(),
				"check the network, --api-base, and https://www.shopifystatus.com", causeUnreachable)
		}
		add("unchecked", levelWarn, "scopes, version, clock and subscriptions were not checked, because of that",
			"when that is mended, run this again", "")
		return list
	}
	add("token", levelOK, "Shopify accepts the credentials", "", "")
	if missing := access.Missing(); len(missing) > 0 {
		add("scopes", levelFail, shopify.Lacks(missing), "then run "+a.command("doctor")+" again", "")
	} else {
		add("scopes", levelOK, "all scopes that are needed are granted", "", "")
	}
	st := a.status.Sync(name, time.Now())
	list = append(list, a.examineVersion(name, access), examineClock(name, a.client.Seen(name)), a.examineSubscriptions(ctx, name, st))
	if a.syncer.Works() {
		list = append(list, examineLooks(name, st.Looking))
	}
	return list
}

// examineLooks says how changes are looked for.
func examineLooks(name string, l status.Looking) web.Finding {
	f := web.Finding{Check: "looks", Shop: name, Level: levelOK, Text: "changes are looked for " + l.Often()}
	if last := l.LookedWords(); last != nil {
		f.Text += ". " + strings.TrimSuffix(last.Text(time.Now()), ".")
	}
	if !l.Failed.IsZero() {
		f.Level, f.Text = levelWarn, "changes can't be looked for: "+l.Words
		f.Fix = "it is tried again automatically; comparisons still find what changed"
	}
	return f
}

// examineSubscriptions asks a shop which subscriptions there are, and changes none.
// Pull mode needs none.
func (a *Appliance) examineSubscriptions(ctx context.Context, name string, st *status.Sync) web.Finding {
	f := web.Finding{Check: "subscriptions", Shop: name, Level: levelOK}
	if st.Looking.Pull {
		if f.Text = status.Small(strings.TrimRight(st.Looking.PullWords(), ".")); st.Subscriptions.Error != "" {
			f.Level, f.Text, f.Fix = levelWarn, status.Small(st.Subscriptions.Error), st.Subscriptions.Next
		}
		return f
	}
	sub, err := a.syncer.CheckSubscriptions(ctx, name, false)
	if err != nil {
		f.Level, f.Fix = levelWarn, "run it again in a minute"
		f.Text = "the subscriptions can't be listed: " + status.Small(sub.Error)
		return f
	}
	if !sub.Present {
		f.Level, f.Fix = levelFail, sub.Next
		f.Text = status.MissingWords(sub) + " (" + strings.Join(sub.Missing(), ", ") + "). " + sub.Error
		f.Text = strings.TrimSpace(f.Text)
		return f
	}
	f.Text = "every subscription that is needed is there"
	if _, unheard := sub.KnownByDeliveries(); len(unheard) > 0 {
		f.Text = "you subscribed yourself, in the app's own configuration or in the shop's admin; nothing has come yet of " + strings.Join(unheard, ", ")
	}
	if heard, err := a.store.LastByTopic(ctx, name); err == nil && len(heard) == 0 {
		f.Text += "; no delivery has come yet"
	}
	return f
}

func (a *Appliance) examineVersion(name string, access shopify.Access) web.Finding {
	asked, seen := a.client.Version(), a.client.Seen(name)
	f := web.Finding{Check: "version", Shop: name, Level: levelOK}
	newest := ""
	if n := len(access.Supported); n > 0 {
		newest = access.Supported[n-1]
	}
	days, known := shopify.DaysLeft(asked, time.Now())
	f.Fix = "set --api-version " + newest
	switch {
	case seen.Version != "" && seen.Version != asked:
		f.Level, f.Text = levelFail, fmt.Sprintf("Shopify does not serve version %s and answers with %s", asked, seen.Version)
	case len(access.Supported) > 0 && !slices.Contains(access.Supported, asked):
		f.Level, f.Text = levelWarn, fmt.Sprintf("version %s is not among those that Shopify supports (%s)", asked, strings.Join(access.Supported, ", "))
	case known && days < noDays:
		f.Level, f.Text = levelFail, fmt.Sprintf("version %s is served for %d more days", asked, days)
	case known && days < fewDays:
		f.Level, f.Text = levelWarn, fmt.Sprintf("version %s is served for %d more days", asked, days)
	default:
		f.Text, f.Fix = fmt.Sprintf("version %s is served for %d more days", asked, days), ""
	}
	if f.Level == levelOK && seen.Deprecated != "" {
		// A version keeps what it has for as long as it is served.
		f.Text, f.Fix = fmt.Sprintf("version %s is served for %d more days; a later one drops something that is asked for (%s)", asked, days, seen.Deprecated), ""
	}
	return f
}

func examineClock(name string, seen shopify.Seen) web.Finding {
	f := web.Finding{Check: "clock", Shop: name, Level: levelOK, Text: "the clock agrees with Shopify's"}
	if seen.DatedAt.IsZero() {
		f.Text = "no answer had a date to compare the clock with"
		return f
	}
	off := seen.Skew.Abs()
	if off <= skewOK {
		return f
	}
	way := "ahead of"
	if seen.Skew < 0 {
		way = "behind"
	}
	f.Level, f.Text, f.Fix = levelWarn, fmt.Sprintf("the clock is %s %s Shopify's", status.Span(off), way),
		"have this machine set its clock from the network (NTP); on Linux: sudo timedatectl set-ntp true"
	if off > skewMost {
		f.Level = levelFail
	}
	return f
}
