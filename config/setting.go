package config

import (
	"path/filepath"
	"strings"
	"time"
)

// Setting is one row of the table of settings.
type Setting struct {
	Name        string // the flag without its dashes, and the key in the settings file
	Env         string // the environment variable
	Default     string // as a person writes it, "" for none
	Unit        string // what kind of value it takes: "duration", "size", "points", ...
	Placeholder string // for the help text, for example "FILE"
	Help        string // one sentence

	// EnvOnly marks a secret: it has no flag and no key in the settings file.
	EnvOnly bool

	// path marks a value that is a path: a relative one in the settings file
	// is relative to the folder of that file.
	path bool
	value
}

// All returns the table of settings in the order they are documented.
func All() []Setting {
	all := []Setting{
		{Name: "config", Placeholder: "FILE", Unit: "path", path: true,
			Help:  "Settings file in TOML; its keys are the names of these flags.",
			value: text(func(s *Settings) *string { return &s.ConfigFile })},
		{Name: "data", Default: defaultData, Placeholder: "DIR", Unit: "path", path: true,
			Help:  "Folder that holds everything Stockroom keeps.",
			value: filePath(func(s *Settings) *string { return &s.DataDir })},
		{Name: "listen", Default: "127.0.0.1:8080", Placeholder: "ADDR", Unit: "address",
			Help:  "Public listener: webhooks and health only.",
			value: address(func(s *Settings) *string { return &s.Listen })},
		{Name: "admin-listen", Default: "127.0.0.1:8081", Placeholder: "ADDR", Unit: "address",
			Help:  "Status page, API and metrics. Any address but a loopback one needs a password. The same as --listen on loopback: one listener serves both.",
			value: address(func(s *Settings) *string { return &s.AdminListen })},
		{Name: "admin-password-file", Placeholder: "FILE", Unit: "path",
			Help:  "File that holds the password of the status page. Only a hash of it is kept.",
			value: text(func(s *Settings) *string { return &s.AdminPasswordFile })},
		{Name: "admin-password", EnvOnly: true, Unit: "secret",
			Help:  "The password of the status page itself, instead of a file.",
			value: passwordValue()},
		{Name: "admin-host", Placeholder: "NAME,...", Unit: unitNames,
			Help:  "Further host names under which the status page may be opened.",
			value: hostsValue()},
		{Name: "public-url", Placeholder: "URL", Unit: "URL",
			Help:  "Where Shopify reaches the public listener, https://... Without it webhooks can't be registered.",
			value: publicURLValue()},
		{Name: "trusted-proxies", Placeholder: "NET,...", Unit: unitNetworks,
			Help:  "Addresses or networks of the proxies whose X-Forwarded-For and X-Forwarded-Proto count.",
			value: proxiesValue()},
		{Name: "api-version", Default: "2026-10", Placeholder: "YYYY-MM", Unit: "version",
			Help:  "Version of Shopify's Admin API.",
			value: apiVersionValue()},
		{Name: "api-base", Default: "https://{shop}", Placeholder: "URL", Unit: "URL",
			Help:  "Where the Admin API is; {shop} stands for the shop's domain. Other than the default only for a simulated shop.",
			value: apiBaseValue()},
		{Name: "limit-points", Default: "80", Placeholder: "N", Unit: "points",
			Help:  "Query cost that may be spent in one --limit-window per shop, until Shopify has told the real budget.",
			value: count(func(s *Settings) *int { return &s.LimitPoints }, 1, 1_000_000)},
		{Name: "limit-window", Default: "60s", Placeholder: "TIME", Unit: "duration",
			Help:  "Length of the sliding window of --limit-points.",
			value: duration(func(s *Settings) *time.Duration { return &s.LimitWindow }, "100ms", "24h", never)},
		{Name: "limit-adaptive", Default: "true", Unit: "true or false",
			Help:  "Learn the budget from what Shopify says in its answers.",
			value: adaptiveValue()},
		{Name: "breaker-failures", Default: "5", Placeholder: "N", Unit: "failures",
			Help:  "Failures in a row after which a shop's API is left alone for --breaker-reset.",
			value: count(func(s *Settings) *int { return &s.BreakerFailures }, 1, 1000)},
		{Name: "breaker-reset", Default: "30s", Placeholder: "TIME", Unit: "duration",
			Help:  "Pause after --breaker-failures; it doubles while the failures go on.",
			value: duration(func(s *Settings) *time.Duration { return &s.BreakerReset }, "10ms", "1h", never)},
		{Name: "retry-delay", Default: "60s", Placeholder: "TIME", Unit: "duration",
			Help:  "Wait before a failed job is tried again; it doubles with each try.",
			value: duration(func(s *Settings) *time.Duration { return &s.RetryDelay }, "10ms", "1h", never)},
		{Name: "retry-attempts", Default: "5", Placeholder: "N", Unit: "tries",
			Help:  "Tries before a job becomes a dead letter.",
			value: count(func(s *Settings) *int { return &s.RetryAttempts }, 1, 20)},
		{Name: "max-body", Default: "8MiB", Placeholder: "SIZE", Unit: "size",
			Help:  "Largest webhook body that is accepted.",
			value: size(func(s *Settings) *int64 { return &s.MaxBody }, "1KiB", "64MiB")},
		{Name: "reconcile-every", Default: "1h", Placeholder: "TIME", Unit: "duration",
			Help:  "How often the copy is compared with the shop; 0 for only on request.",
			value: duration(func(s *Settings) *time.Duration { return &s.ReconcileEvery }, "1s", "30d", orZero)},
		{Name: "full-sync-every", Default: "24h", Placeholder: "TIME", Unit: "duration",
			Help:  "How often every field of every product is fetched and compared; 0 for only on request.",
			value: duration(func(s *Settings) *time.Duration { return &s.FullSyncEvery }, "1s", "90d", orZero)},
		{Name: "keep-deliveries", Default: "168h", Placeholder: "TIME", Unit: "duration",
			Help:  "How long the journal of webhooks is kept; a webhook sent twice is known as such for as long. At least 4h, Shopify repeats a delivery for that long.",
			value: duration(func(s *Settings) *time.Duration { return &s.KeepDeliveries }, "4h", "3650d", never)},
		{Name: "keep-changes", Default: "720h", Placeholder: "TIME", Unit: "duration",
			Help:  "How long the change feed goes back.",
			value: duration(func(s *Settings) *time.Duration { return &s.KeepChanges }, "1h", "3650d", never)},
		{Name: "space-warn", Default: "1GiB,5%", Placeholder: "SIZE,N%", Unit: unitSpace,
			Help:  "Warn when the disk of --data has less room than this: a size, a share of the disk, or both; 0 for never. Below 16MiB deliveries are at stake, which is always said.",
			value: spaceValue()},
		{Name: "log-format", Default: LogAuto, Placeholder: "FORMAT", Unit: "auto, text or json",
			Help:  "Form of the log: text, json, or auto for text on a terminal and json elsewhere.",
			value: logFormatValue()},
	}
	for i := range all {
		all[i].Env = envName(all[i].Name)
	}
	return all
}

// envName is the environment variable of a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

const envPrefix = "STOCKROOM_"

// Units of the settings that take several values.
const (
	unitNames    = "names"
	unitNetworks = "networks"
	unitSpace    = "size, percent"
)

// lookup finds a setting by its name.
func lookup(all []Setting, name string) (Setting, bool) {
	for _, s := range all {
		if s.Name == name {
			return s, true
		}
	}
	return Setting{}, false
}

// relativeTo makes a relative path of the settings file relative to base.
func relativeTo(base, path string) string {
	if base == "" || path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}
