package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Values of Settings.LogFormat.
const (
	LogAuto = "auto" // text on a terminal, else json
	LogText = "text"
	LogJSON = "json"
)

// Values of Settings.Webhooks.
const (
	WebhooksAuto = "auto" // with a public URL
	WebhooksOff  = "off"  // pull mode
)

// Settings are the values in force, checked. Their fields are the one table of
// settings, in the order they are documented: a field with the tag name is a
// flag, a variable and a key of the settings file, one with the tag env is a
// variable only. See All. The other tags:
//
//	type    how a value is written, which names its reader, see readers
//	preset  the default as a person writes it; kong would take one in its own tag for typed
//	range   LEAST to MOST of a number, with ", or 0" where 0 has a meaning of its own
//	unit    what the documentation calls such a value, where type does not say it
//	help    one sentence
type Settings struct {
	Program string `kong:"-"` // as it was called, "" for its name

	ConfigFile        string         `name:"config" type:"text" unit:"path" help:"Settings file in TOML; its keys are the names of these flags. Without it stockroom.toml in the data dir is read, if it is there."`
	DataDir           string         `name:"data" type:"folder" unit:"path" preset:"./stockroom-data" group:"common" placeholder:"DIR" help:"Folder that holds everything Stockroom keeps."`
	Listen            string         `name:"listen" xor:"public" type:"address" preset:"127.0.0.1:8080" help:"Public listener: webhooks and health only."`
	HTTPS             string         `name:"https" xor:"public" type:"host name" unit:"name" help:"Public host name of this machine, such as shop.example.com: instead of --listen, serve webhooks as https://NAME on port 443, with a certificate that is got and renewed automatically. Whoever gives it accepts the terms of the authority (--acme-directory)."`
	HTTPSAdmin        string         `name:"https-admin" type:"host name" unit:"name" help:"Second public host name: the status page, API and metrics as https://NAME beside --https. It needs a password."`
	ACMEDirectory     string         `name:"acme-directory" type:"acme-directory" unit:"URL" preset:"https://acme-v02.api.letsencrypt.org/directory" help:"ACME directory of the authority that gives the certificates of --https."`
	AdminListen       string         `name:"admin-listen" type:"address" preset:"127.0.0.1:8081" help:"Status page, API and metrics. Any address but a loopback one needs a password. The same as --listen on loopback: one listener serves both."`
	AdminPasswordFile string         `name:"admin-password-file" type:"secret file" unit:"path" help:"File that holds the password of the status page. Only a hash of it is kept."`
	AdminPassword     Secret         `kong:"-" env:"STOCKROOM_ADMIN_PASSWORD" type:"password" help:"The password of the status page itself, instead of a file."` // or that of the file
	SigningSecretFile string         `name:"signing-secret-file" type:"secret file" unit:"path" help:"File that holds a further secret that signs webhooks of every connected shop: the one that Shopify's admin shows under Settings, Notifications, Webhooks. Read at the start."`
	SigningSecret     Secret         `kong:"-" env:"STOCKROOM_SIGNING_SECRET" type:"filed secret" help:"The further secret of --signing-secret-file itself, instead of a file."` // or that of the file
	AdminHosts        []string       `name:"admin-host" type:"names" help:"Further host names under which the status page may be opened."`
	PublicURL         string         `name:"public-url" type:"public-url" unit:"URL" help:"Where Shopify reaches the public listener, https://... Without it Stockroom runs in pull mode."` // without a slash at its end
	Webhooks          string         `name:"webhooks" type:"auto or off" preset:"auto" help:"auto: Shopify sends changes when there is a --public-url. off: pull mode, in which Stockroom looks for changes itself; subscriptions that it made before are removed."`
	PollEvery         time.Duration  `name:"poll-every" type:"duration" preset:"30s" range:"5s to 1h" help:"How often changes are looked for in pull mode; less often while the shop's budget is short."`
	TrustedProxies    []netip.Prefix `name:"trusted-proxies" type:"networks" help:"Addresses or networks of the proxies whose X-Forwarded-For and X-Forwarded-Proto count."`
	APIVersion        string         `name:"api-version" type:"version" preset:"2026-10" help:"Version of Shopify's Admin API."`
	APIBase           string         `name:"api-base" type:"api-base" unit:"URL" preset:"https://{shop}" help:"Where the Admin API is; {shop} stands for the shop's domain. Other than the default only for a simulated shop."` // without a slash at its end
	LimitPoints       int            `name:"limit-points" type:"count" unit:"points" preset:"80" range:"1 to 1000000" help:"Query cost that may be spent in one --limit-window per shop, until Shopify has told the real budget."`
	LimitWindow       time.Duration  `name:"limit-window" type:"duration" preset:"60s" range:"100ms to 24h" help:"Length of the sliding window of --limit-points."`
	LimitAdaptive     bool           `name:"limit-adaptive" type:"true or false" preset:"true" negatable:"" help:"Learn the budget from what Shopify says in its answers."`
	BreakerFailures   int            `name:"breaker-failures" type:"count" unit:"failures" preset:"5" range:"1 to 1000" help:"Failures in a row after which a shop's API is left alone for --breaker-reset."`
	BreakerReset      time.Duration  `name:"breaker-reset" type:"duration" preset:"30s" range:"10ms to 1h" help:"Pause after --breaker-failures; it doubles while the failures go on."`
	RetryDelay        time.Duration  `name:"retry-delay" type:"duration" preset:"60s" range:"10ms to 1h" help:"Wait before a failed job is tried again; it doubles with each try."`
	RetryAttempts     int            `name:"retry-attempts" type:"count" unit:"tries" preset:"5" range:"1 to 20" help:"Tries before a job becomes a dead letter."`
	MaxBody           int64          `name:"max-body" type:"size" preset:"8MiB" range:"1KiB to 64MiB" help:"Largest webhook body that is accepted."`
	ReconcileEvery    time.Duration  `name:"reconcile-every" type:"duration" preset:"1h" range:"1s to 30d, or 0" help:"How often the copy is compared with the shop; 0 for only on request."`
	FullSyncEvery     time.Duration  `name:"full-sync-every" type:"duration" preset:"24h" range:"1s to 90d, or 0" help:"How often every field of every product is fetched and compared; 0 for only on request."`
	KeepDeliveries    time.Duration  `name:"keep-deliveries" type:"duration" preset:"168h" range:"4h to 3650d" help:"How long the journal of webhooks is kept; a webhook sent twice is known as such for as long. At least 4h, Shopify repeats a delivery for that long."`
	KeepChanges       time.Duration  `name:"keep-changes" type:"duration" preset:"720h" range:"1h to 3650d" help:"How long the change feed goes back."`
	SpaceWarn         Room           `name:"space-warn" type:"size, percent" preset:"1GiB,5%" help:"Warn when the disk of --data has less room than this: a size, a share of the disk, or both; 0 for never. Below 16MiB deliveries are at stake, which is always said."`
	BackupEvery       time.Duration  `name:"backup-every" type:"duration" preset:"0" range:"10m to 90d, or 0" help:"How often the server makes a backup of everything, without secrets; 0 for never."`
	BackupKeep        int            `name:"backup-keep" type:"count" unit:"backups" preset:"7" range:"1 to 1000" help:"How many of these backups are kept; the oldest goes when a newer one is whole."`
	BackupDir         string         `name:"backup-dir" type:"text" unit:"path" help:"Folder of these backups; it has to be there. Without it they are in the folder backups of the data dir."`
	NotifyFile        string         `name:"notify-file" type:"secret file" unit:"path" help:"File that holds where messages go when something is wrong: one URL a line, see docs/alarm.md. Read at the start."`
	Notify            Secret         `kong:"-" env:"STOCKROOM_NOTIFY" type:"URLs" help:"The URLs of --notify-file themselves, instead of a file."` // or those of the file
	NotifyAfter       time.Duration  `name:"notify-after" type:"duration" preset:"10m" range:"1s to 24h" help:"How long something has to be wrong before a message goes out."`
	LogFormat         string         `name:"log-format" type:"auto, text or json" preset:"auto" help:"Form of the log: text, json, or auto for text on a terminal and json elsewhere."`

	// Shop is the shop that the environment declares; its Domain is "" when
	// there is none.
	Shop EnvShop `kong:"-"`
	// Warnings are sentences for the log, about things that were ignored.
	Warnings []string `kong:"-"`

	origins  map[string]string // by name of the setting
	fileErrs map[string]error  // why a secret's file can't be used, by the variable that holds the secret itself
}

// EnvShop is the one shop that the environment can declare. It is never
// stored, and it wins over a stored shop of the same domain. A secret can also be
// given as a file, in the variable with _FILE at its end.
type EnvShop struct {
	Domain             string `env:"SHOPIFY_SHOP" type:"word" help:"Domain of the shop, for example my-shop.myshopify.com."` // in lower case, "" when none is declared
	APIKey             string `env:"SHOPIFY_API_KEY" type:"word" help:"The app's client id."`
	APISecret          Secret `env:"SHOPIFY_API_SECRET" type:"secret" help:"The app's client secret. Webhooks are signed with it."` // it gets tokens by the client-credentials grant, too
	APISecretPrevious  Secret `env:"SHOPIFY_API_SECRET_PREVIOUS" type:"secret" help:"The client secret before the last rotation. Shopify may sign with it for up to an hour after the rotation."`
	NotificationSecret Secret `env:"SHOPIFY_NOTIFICATION_SECRET" type:"secret" help:"The shop's own secret, which signs webhooks made under Settings, Notifications in Shopify's admin."`
	AccessToken        Secret `env:"SHOPIFY_ACCESS_TOKEN" type:"secret" help:"A static access token. Without it tokens are asked for with the client id and secret, and renewed."`
	MerchantID         string `env:"SHOPIFY_MERCHANT_ID" type:"word" help:"Your own name for the merchant, stored with each product."`
}

// Declared reports whether the environment declares a shop.
func (e EnvShop) Declared() bool { return e.Domain != "" }

// Origin returns where the value in force of the setting called name came from:
// "default", "file PATH", "environment NAME" or "flag --NAME".
func (s Settings) Origin(name string) string { return cmp.Or(s.origins[name], byDefault) }

// Pull reports whether changes are looked for and no delivery is waited for.
func (s Settings) Pull() bool { return s.Webhooks == WebhooksOff || s.PublicURL == "" }

// APIBaseFor returns the base address of the Admin API for a shop's domain.
func (s Settings) APIBaseFor(shop string) string {
	return strings.ReplaceAll(s.APIBase, "{shop}", shop)
}

// SharedListener reports whether one listener serves both the public and the
// admin side: their addresses are the same and it is a loopback one.
func (s Settings) SharedListener() bool {
	return s.HTTPS == "" && s.Listen == s.AdminListen && loopbackAddress(s.Listen) && !strings.HasSuffix(s.Listen, ":0")
}

// AdminOnLoopback reports whether the admin listener is reached from this machine only.
func (s Settings) AdminOnLoopback() bool { return loopbackAddress(s.AdminListen) }

// AdminElsewhere is where other machines reach the admin side, "" for nowhere, and the
// setting that says so.
func (s Settings) AdminElsewhere() (at, setting string) {
	switch {
	case !s.AdminOnLoopback():
		return s.AdminListen, "admin-listen"
	case s.HTTPSAdmin != "":
		return "https://" + s.HTTPSAdmin, "https-admin"
	}
	return "", ""
}

// CheckServe reports what keeps these settings from serving. It is apart from
// Load because commands that only talk to a server need none of it.
// passwordStored says whether a password was set earlier and is kept in the
// data dir.
func (s Settings) CheckServe(passwordStored bool) error {
	errs := []error{s.fileErrs[adminPassword], s.fileErrs[signingSecret], s.fileErrs[notifyURLs]}
	at, setting := s.AdminElsewhere()
	if at != "" && !s.AdminPassword.IsSet() && s.fileErrs[adminPassword] == nil && !passwordStored {
		without := "listen on 127.0.0.1"
		if s.AdminOnLoopback() {
			without = "leave it out"
		}
		errs = append(errs, fmt.Errorf("%s: %s can be reached from other machines, which needs a password: "+
			"set one with stockroom password set or --admin-password-file, or %s", setting, at, without))
	}
	if s.HTTPS == "" && s.Listen == s.AdminListen && !s.AdminOnLoopback() {
		errs = append(errs, fmt.Errorf("admin-listen: it may be the same as --listen only on a loopback address; "+
			"%s is not one, use another port", s.AdminListen))
	}
	return errors.Join(errs...)
}

// check reports settings that are sound alone but not together.
func (s *Settings) check() error {
	if s.PublicURL == "" || strings.HasPrefix(s.PublicURL, "https://") {
		return nil
	}
	// A simulated shop on this machine can post to this machine; Shopify can't.
	if loopbackURL(s.PublicURL) && loopbackURL(s.APIBaseFor("example.myshopify.com")) {
		return nil
	}
	return errors.New("it begins with http://, and Shopify only delivers to https:// addresses")
}

// loopbackURL reports whether a web address is on this machine.
func loopbackURL(address string) bool {
	u, err := url.Parse(address)
	return err == nil && loopbackHost(u.Hostname())
}

// loopbackAddress reports whether host:port is reached from this machine only.
func loopbackAddress(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	return err == nil && loopbackHost(host)
}

// Command writes a command line that a person can paste: the program as it was
// called, the words, and the data dir where the command would not find it.
func (s Settings) Command(words string) string {
	words = ShellQuote(cmp.Or(s.Program, "stockroom")) + " " + words
	data, _ := named("data")
	usual, err := filepath.Abs(data.Default)
	if s.DataDir == "" || err == nil && s.DataDir == usual {
		return words
	}
	return words + " --data " + ShellQuote(s.DataDir)
}

// ConnectWords are what connects a shop again, for Command: with a placeholder
// where a person has to fill something in.
func ConnectWords(shop string) string { return "shop add " + shop + " --api-key CLIENT_ID" }

// Exit codes of every command.
const (
	ExitOK          = 0 // it worked
	ExitFailed      = 1 // it did not work, and no code below says why
	ExitUsage       = 2 // the command line makes no sense
	ExitConfig      = 3 // a setting is wrong or missing
	ExitData        = 4 // the data dir can't be used, or another process holds its lock
	ExitIntegrity   = 5 // a store or a backup is damaged
	ExitUnreachable = 6 // Shopify can't be reached
)
