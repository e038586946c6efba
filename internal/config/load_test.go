package config_test

import (
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stockroom/internal/config"
)

// sources are config.Sources with files by absolute or relative path.
func sources(flags map[string]string, env []string, files fstest.MapFS) config.Sources {
	return config.Sources{Flags: flags, Environ: env, Open: func(name string) (fs.File, error) {
		return files.Open(strings.TrimPrefix(filepath.Clean(name), "/"))
	}}
}

func file(text string, mode fs.FileMode) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(text), Mode: mode}
}

func mustLoad(t *testing.T, src config.Sources) config.Settings {
	t.Helper()
	s, err := config.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWithoutAnythingTheDefaultsAreThoseOfTheProduct(t *testing.T) {
	s := mustLoad(t, sources(nil, nil, nil))
	got := map[string]string{}
	for _, e := range s.Describe() {
		if e.Origin != "default" {
			t.Errorf("%s: origin %q", e.Name, e.Origin)
		}
		if e.Name == "data" { // said as it is, wherever one stands
			e.Default = absolute(t, e.Default)
		}
		if e.Value != e.Default {
			t.Errorf("%s: value %q, default %q", e.Name, e.Value, e.Default)
		}
		got[e.Name] = e.Value
	}
	want := map[string]string{
		"config": "", "data": absolute(t, "stockroom-data"), "listen": "127.0.0.1:8080", "admin-listen": "127.0.0.1:8081",
		"https": "", "https-admin": "", "acme-directory": "https://acme-v02.api.letsencrypt.org/directory",
		"admin-password-file": "", "STOCKROOM_ADMIN_PASSWORD": "", "signing-secret-file": "", "STOCKROOM_SIGNING_SECRET": "", "admin-host": "", "public-url": "", "webhooks": "auto", "poll-every": "30s", "trusted-proxies": "",
		"api-version": "2026-10", "api-base": "https://{shop}", "limit-points": "80", "limit-window": "60s", "limit-adaptive": "true",
		"breaker-failures": "5", "breaker-reset": "30s", "retry-delay": "60s", "retry-attempts": "5", "max-body": "8MiB",
		"reconcile-every": "1h", "full-sync-every": "24h", "keep-deliveries": "168h", "keep-changes": "720h", "space-warn": "1GiB,5%", "log-format": "auto",
		"backup-every": "0", "backup-keep": "7", "backup-dir": "",
		"notify-file": "", "STOCKROOM_NOTIFY": "", "notify-after": "10m",
		"SHOPIFY_SHOP": "", "SHOPIFY_API_KEY": "", "SHOPIFY_API_SECRET": "", "SHOPIFY_API_SECRET_PREVIOUS": "",
		"SHOPIFY_NOTIFICATION_SECRET": "", "SHOPIFY_ACCESS_TOKEN": "", "SHOPIFY_MERCHANT_ID": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s.MaxBody != 8<<20 || s.LimitWindow != time.Minute || s.RetryAttempts != 5 || !s.LimitAdaptive || s.KeepChanges != 720*time.Hour {
		t.Errorf("typed defaults are wrong: %+v", s)
	}
	if err := s.CheckServe(false); err != nil {
		t.Errorf("the defaults can't serve: %v", err)
	}
}

func TestEverySettingIsTakenFromFlagThenEnvironmentThenFileThenDefault(t *testing.T) {
	values := map[string][3]string{ // for flag, environment, file
		"data": {"/flag", "/env", "/file"}, "listen": {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"},
		"admin-listen": {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}, "admin-host": {"a", "b", "c"}, "admin-password-file": {"/pw", "/pw", "/pw"}, "signing-secret-file": {"/key", "/key", "/key"},
		"public-url": {"https://a.test", "https://b.test", "https://c.test"}, "webhooks": {"off", "auto", "off"}, "poll-every": {"5s", "90s", "1h"}, "trusted-proxies": {"10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16"},
		"https": {"a.test", "b.test", "c.test"}, "https-admin": {"a.test", "b.test", "c.test"},
		"acme-directory": {"https://a.test/d", "http://localhost/d", "http://127.0.0.1:1/d"},
		"api-version":    {"2026-01", "2026-04", "2026-07"}, "api-base": {"https://a.test", "https://b.test", "https://c.test"},
		"limit-points": {"1", "2", "3"}, "limit-window": {"1s", "2s", "3s"}, "limit-adaptive": {"false", "true", "false"},
		"breaker-failures": {"1", "2", "3"}, "breaker-reset": {"1s", "2s", "3s"}, "retry-delay": {"1s", "2s", "3s"}, "retry-attempts": {"1", "2", "3"},
		"max-body": {"1MiB", "2MiB", "3MiB"}, "reconcile-every": {"1h", "2h", "3h"}, "full-sync-every": {"1h", "2h", "3h"},
		"keep-deliveries": {"5h", "6h", "7h"}, "keep-changes": {"5h", "6h", "7h"}, "space-warn": {"2GiB", "7%", "3GiB,8%"},
		"backup-every": {"1h", "2h", "3h"}, "backup-keep": {"1", "2", "3"}, "backup-dir": {"/a", "/b", "/c"}, "log-format": {"text", "json", "text"},
		"notify-file": {"/key", "/key", "/key"}, "notify-after": {"2m", "3m", "4m"},
	}
	for _, row := range config.All() {
		if row.EnvOnly || row.Name == "config" {
			continue
		}
		v, ok := values[row.Name]
		if !ok {
			t.Errorf("%s: this test has no values for it", row.Name)
			continue
		}
		flags := map[string]string{"config": "/etc/s.toml", row.Name: v[0]}
		env := []string{row.Env + "=" + v[1]}
		if row.Name == "https-admin" {
			flags["https"] = "shop.test" // it needs that
		}
		files := fstest.MapFS{"etc/s.toml": file(row.Name+" = \""+v[2]+"\"\n", 0o644), "pw": file("correct horse", 0o600), "key": file("5c1e", 0o600)}
		for i, want := range []struct{ value, origin string }{
			{v[0], "flag --" + row.Name}, {v[1], "environment " + row.Env}, {v[2], "file /etc/s.toml"}, {row.Default, "default"},
		} {
			switch i {
			case 1:
				delete(flags, row.Name)
			case 2:
				env = nil
			case 3:
				delete(flags, "config")
			}
			if want.value == "./stockroom-data" {
				want.value = absolute(t, want.value)
			}
			for _, e := range mustLoad(t, sources(flags, env, files)).Describe() {
				if e.Name == row.Name && (e.Value != want.value || e.Origin != want.origin) {
					t.Errorf("%s: got %q from %q, want %q from %q", row.Name, e.Value, e.Origin, want.value, want.origin)
				}
			}
		}
	}
}

func TestTheSettingsFileTakesNumbersBooleansAndLists(t *testing.T) {
	s := mustLoad(t, sources(nil, []string{"STOCKROOM_CONFIG=/etc/stockroom.toml"}, fstest.MapFS{"etc/stockroom.toml": file(`
		limit-points = 40
		limit-adaptive = false
		max-body = 1048576
		reconcile-every = 0
		keep-deliveries = "10d"
		admin-host = ["Shop.Example.com", "10.0.0.5"]
		trusted-proxies = ["10.0.0.0/8", "192.0.2.7", "fd00::/8"]
		data = "data"
	`, 0o644)}))
	if s.LimitPoints != 40 || s.LimitAdaptive || s.MaxBody != 1<<20 || s.ReconcileEvery != 0 || s.KeepDeliveries != 240*time.Hour {
		t.Errorf("got %+v", s)
	}
	if s.DataDir != "/etc/data" {
		t.Errorf("a relative path in the file does not start at its folder: %q", s.DataDir)
	}
	if diff := cmp.Diff([]string{"shop.example.com", "10.0.0.5"}, s.AdminHosts); diff != "" {
		t.Error(diff)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("fd00::/8")}
	if diff := cmp.Diff(want, s.TrustedProxies, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// TestWrongSettingsAreNamedWithWhatToDo gives one wrong thing each and looks
// for the parts of the message that help.
func TestWrongSettingsAreNamedWithWhatToDo(t *testing.T) {
	f := func(name, value string) config.Sources { return sources(map[string]string{name: value}, nil, nil) }
	e := func(env ...string) config.Sources { return sources(nil, env, nil) }
	toml := func(text string) config.Sources {
		return sources(map[string]string{"config": "s.toml"}, nil, fstest.MapFS{"s.toml": file(text, 0o600)})
	}
	tests := []struct {
		claim string
		src   config.Sources
		want  []string
	}{
		{"a port alone is no address", f("listen", "8080"), []string{"--listen: ", "host:port"}},
		{"a port must be a number", f("listen", "127.0.0.1:http"), []string{"--listen: ", "port"}},
		{"a port fits 16 bits", f("admin-listen", "127.0.0.1:70000"), []string{"--admin-listen: ", "65535"}},
		{"a host has no blanks", f("listen", "my host:80"), []string{"--listen: ", "host"}},
		{"an address can't be empty", f("listen", ""), []string{"--listen: "}},
		{"the data dir can't be empty", f("data", ""), []string{"--data: must not be empty"}},
		{"the variable is named when it is wrong", e("STOCKROOM_LISTEN=x"), []string{"STOCKROOM_LISTEN: "}},
		{"the file and key are named when they are wrong", toml("listen = 'x'"), []string{"s.toml: listen: "}},
		{"the public url is https", f("public-url", "http://shop.example.com"), []string{"--public-url: ", "https://"}},
		{"Shopify can't reach this machine by http", f("public-url", "http://127.0.0.1:8080"), []string{"https://"}},
		{"the public url is a url", f("public-url", "shop.example.com"), []string{"--public-url: ", "https://shop.example.com"}},
		{"the public url has no query", f("public-url", "https://shop.example.com/?a=b"), []string{"leave out"}},
		{"the public url has no password", f("public-url", "https://u:hunter2@shop.example.com"), []string{"password"}},
		{"a password in an unparsable url is not repeated", f("public-url", "https://u:hunter2@a b"), []string{"--public-url: "}},
		{"tokens are not sent over http to another machine", f("api-base", "http://simulator:9090"), []string{"--api-base: ", "https://"}},
		{"the api version has a month of a release", f("api-version", "2026-11"), []string{"01, 04, 07 or 10"}},
		{"the api version is a date", f("api-version", "latest"), []string{"YYYY-MM"}},
		{"points are a number", f("limit-points", "many"), []string{"whole number from 1"}},
		{"points are at least one", f("limit-points", "0"), []string{"whole number from 1"}},
		{"a duration needs a unit", toml("limit-window = 60"), []string{"s.toml: limit-window: ", "60s"}},
		{"a window has a lower bound", f("limit-window", "1ms"), []string{"100ms to 24h"}},
		{"a window can't be zero", f("limit-window", "0"), []string{"100ms to 24h"}},
		{"a zero is offered where it has a meaning", f("reconcile-every", "9999d"), []string{"or 0"}},
		{"deliveries are kept as long as Shopify repeats them", f("keep-deliveries", "1h"), []string{"4h to"}},
		{"a body limit is a size", f("max-body", "8M"), []string{"8MiB"}},
		{"a body limit has an upper bound", f("max-body", "1GiB"), []string{"64MiB"}},
		{"room is a size or a share", f("space-warn", "some"), []string{"--space-warn: ", "not a size"}},
		{"a share has an upper bound", f("space-warn", "60%"), []string{"0% to 50%"}},
		{"room is one size and one share", f("space-warn", "1GiB,2GiB"), []string{"two amounts of a kind"}},
		{"room is not three things", f("space-warn", "1GiB,5%,6%"), []string{"1GiB,5%"}},
		{"room can't be empty", f("space-warn", ""), []string{"--space-warn: "}},
		{"a switch is true or false", e("STOCKROOM_LIMIT_ADAPTIVE=maybe"), []string{"neither true nor false"}},
		{"webhooks are auto or off", f("webhooks", "on"), []string{"auto or off"}},
		{"a look costs points", f("poll-every", "4s"), []string{"5s to 1h"}},
		{"a log format is one of three", f("log-format", "xml"), []string{"auto, text or json"}},
		{"a trusted network is a network", f("trusted-proxies", "proxy.local"), []string{"10.0.0.0/8"}},
		{"nobody trusts the whole internet", f("trusted-proxies", "0.0.0.0/0"), []string{"everyone"}},
		{"a network has no bits beyond its length", f("trusted-proxies", "10.1.2.3/8"), []string{"did you mean 10.0.0.0/8?"}},
		{"a host name has no scheme", f("admin-host", "https://a.test"), []string{"without http://"}},
		{"a host name has no port", f("admin-host", "a.test:80"), []string{"without a port"}},
		{"an unknown flag is an error", f("nosuch", "1"), []string{"--nosuch: "}},
		{"a secret is no flag", f("admin-password", "hunter2hunter2"), []string{"--admin-password: there is no such flag"}},
		{"an unknown key names its neighbour", toml("listn = 'x'"), []string{"s.toml: listn: ", "did you mean listen?"}},
		{"a key with underscores names the one with dashes", toml("max_body = '1MiB'"), []string{"did you mean max-body?"}},
		{"a key in capitals names the one without", toml("Listen = 'x'"), []string{"did you mean listen?"}},
		{"a key that is like nothing is an error", toml("colour = 'red'"), []string{"colour: there is no such setting"}},
		{"a table is an error", toml("[server]\nlisten = 'x'"), []string{"server: there is no such setting"}},
		{"a table in place of a value is an error", toml("[listen]\nx = 1"), []string{"listen: takes a string"}},
		{"a list in place of a value is an error", toml("listen = ['a', 'b']"), []string{"listen: takes one value"}},
		{"a list of numbers is an error", toml("admin-host = [1]"), []string{"list of strings"}},
		{"a date is an error", toml("api-version = 2026-10-01"), []string{"takes a string"}},
		{"a settings file names no other", toml("config = 'x'"), []string{"config: a settings file can't name another"}},
		{"a secret has no place in the settings file", toml("admin-password = 'hunter2hunter2'"), []string{"admin-password-file"}},
		{"broken TOML names its line", toml("listen = '127.0.0.1:1'\nmax-body ="), []string{"s.toml: line 2 is not TOML"}},
		{"a missing settings file is an error", f("config", "/none.toml"), []string{"can't open the settings file", "none.toml"}},
		{"an unknown variable names its neighbour", e("STOCKROOM_LISTEM=x"), []string{"STOCKROOM_LISTEM: ", "did you mean STOCKROOM_LISTEN?"}},
		{"a likely variable names the real one", e("STOCKROOM_DATA_DIR=/x"), []string{"did you mean STOCKROOM_DATA?"}},
		{"a port variable names the listener", e("STOCKROOM_PORT=8080"), []string{"did you mean STOCKROOM_LISTEN?"}},
		{"a variable like nothing is an error", e("STOCKROOM_ZZZZZZZZ=1"), []string{"STOCKROOM_ZZZZZZZZ: there is no such setting"}},
		{"a short password is refused", e("STOCKROOM_ADMIN_PASSWORD=hunter2"), []string{"STOCKROOM_ADMIN_PASSWORD: ", "at least 8"}},
		{"a password comes from one place", e("STOCKROOM_ADMIN_PASSWORD=hunter2hunter2", "STOCKROOM_ADMIN_PASSWORD_FILE=/pw"),
			[]string{"STOCKROOM_ADMIN_PASSWORD_FILE: STOCKROOM_ADMIN_PASSWORD is set as well"}},
		{"a signing secret has no place there either", toml("signing-secret = 'hunter2'"), []string{"signing-secret-file"}},
		{"a signing secret is no flag", f("signing-secret", "hunter2"), []string{"--signing-secret: there is no such flag"}},
		{"a signing secret comes from one place", sources(map[string]string{"signing-secret-file": "/key"}, []string{"STOCKROOM_SIGNING_SECRET=hunter2"}, nil),
			[]string{"--signing-secret-file: STOCKROOM_SIGNING_SECRET is set as well"}},
		{"URLs of messages are no flag", f("notify", "ntfy://hunter2@ntfy.sh/x"), []string{"--notify: there is no such flag"}},
		{"nor have they a place in the settings file", toml("notify = 'ntfy://hunter2@ntfy.sh/x'"), []string{"notify-file"}},
		{"a URL in place of their file is not repeated", toml("notify-file = 'ntfy://hunter2@ntfy.sh/x'"),
			[]string{"notify-file: it takes the path of a file, and this is a URL"}},
		{"a signing secret has no blanks", e("STOCKROOM_SIGNING_SECRET=hunter2 hunter2"), []string{"STOCKROOM_SIGNING_SECRET: it has a space"}},
	}
	for _, tt := range tests {
		t.Run(tt.claim, func(t *testing.T) {
			_, err := config.Load(tt.src)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q repeats a password", err)
			}
		})
	}
}

func TestEveryWrongSettingIsNamedAtOnce(t *testing.T) {
	_, err := config.Load(sources(map[string]string{"listen": "x", "max-body": "y"}, []string{"STOCKROOM_LIMIT_POINTS=z", "STOCKROOM_LISTEM=1"}, nil))
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 4 {
		t.Errorf("want four lines, got %q", lines)
	}
}

func TestUsualValuesAreAccepted(t *testing.T) {
	for _, flags := range []map[string]string{
		{"listen": ":8080"}, {"listen": "0.0.0.0:443"}, {"listen": "[::1]:0"}, {"listen": "localhost:8080"},
		{"public-url": "https://shop.example.com/hooks/"}, {"public-url": ""}, {"trusted-proxies": ""},
		{"public-url": "http://127.0.0.1:8080", "api-base": "http://127.0.0.1:9090"},
		{"api-base": "http://localhost:9090/{shop}"}, {"api-base": "https://{shop}/"},
		{"reconcile-every": "0", "full-sync-every": "0s"}, {"trusted-proxies": "::ffff:10.0.0.1"}, {"log-format": "json"}, {"space-warn": "0"}, {"space-warn": "5%,1GiB"}, {"space-warn": "0%"},
	} {
		if _, err := config.Load(sources(flags, nil, nil)); err != nil {
			t.Errorf("%v: %v", flags, err)
		}
	}
}

// TestThePublicURLHasOneForm holds that it compares with what Shopify lists.
func TestThePublicURLHasOneForm(t *testing.T) {
	for text, want := range map[string]string{
		"https://Stock.Example:443/Shop/": "https://stock.example/Shop", "https://stock.example:8443": "https://stock.example:8443",
		"https://stock.example/": "https://stock.example", "HTTPS://[2001:DB8::1]:443": "https://[2001:db8::1]",
	} {
		if s := mustLoad(t, sources(map[string]string{"public-url": text}, nil, nil)); s.PublicURL != want {
			t.Errorf("%s is read as %s, want %s", text, s.PublicURL, want)
		}
	}
	for _, text := range []string{"http://10.0.0.1:8080", "http://localhost.example", "ftp://x.example"} {
		if _, err := config.Load(sources(map[string]string{"public-url": text, "api-base": "http://127.0.0.1:9090"}, nil, nil)); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

func TestPullModeIsWhereNoDeliveryIsWaitedFor(t *testing.T) {
	for _, tt := range []struct {
		url, webhooks string
		pull          bool
	}{
		{"", "auto", true}, {"https://a.test", "auto", false}, {"https://a.test", "off", true}, {"", "off", true},
	} {
		s := mustLoad(t, sources(map[string]string{"public-url": tt.url, "webhooks": tt.webhooks}, nil, nil))
		if s.Pull() != tt.pull {
			t.Errorf("%+v: pull mode %v", tt, s.Pull())
		}
	}
}

func TestVariablesOfOthersAreNoErrors(t *testing.T) {
	mustLoad(t, sources(nil, []string{
		"STOCKROOM_TORTURE=1", "STOCKROOM_TORTURE_MINUTES=12", "STOCKROOM_SEED=7", "STOCKROOM_TOKEN=x", "STOCKROOM_TEST_CHILD=1", "PATH=/bin", "SHOPIFY_CLI_TTY=1",
		"STOCKROOM_SERVICE_HOST=10.0.0.1", "STOCKROOM_SERVICE_PORT=80", "STOCKROOM_SERVICE_PORT_HTTP=80", "STOCKROOM_PORT=tcp://10.0.0.1:80",
		"STOCKROOM_PORT_80_TCP=tcp://10.0.0.1:80", "STOCKROOM_PORT_80_TCP_ADDR=10.0.0.1", "STOCKROOM_ADMIN_SERVICE_HOST=10.0.0.1", "STOCKROOM_ADMIN_PORT=tcp://10.0.0.1:81",
	}, nil))
}

func TestAnEmptyVariableCountsAsNotSet(t *testing.T) {
	s := mustLoad(t, sources(nil, []string{"STOCKROOM_LISTEN=", "SHOPIFY_SHOP=", "SHOPIFY_API_SECRET_FILE="}, nil))
	if s.Listen != "127.0.0.1:8080" || s.Shop.Declared() || len(s.Warnings) != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestServingBeyondThisMachineNeedsAPassword(t *testing.T) {
	files := fstest.MapFS{"pw": file("correct horse\n", 0o600), "open": file("correct horse", 0o644), "short": file("horse", 0o600)}
	tests := []struct {
		claim  string
		flags  map[string]string
		stored bool
		want   string // "" for no error
	}{
		{"loopback needs none", map[string]string{"admin-listen": "127.0.0.1:9"}, false, ""},
		{"localhost needs none", map[string]string{"admin-listen": "localhost:9"}, false, ""},
		{"IPv6 loopback needs none", map[string]string{"admin-listen": "[::1]:9"}, false, ""},
		{"all addresses need one", map[string]string{"admin-listen": ":9"}, false, "needs a password"},
		{"any address needs one", map[string]string{"admin-listen": "0.0.0.0:9"}, false, "needs a password"},
		{"a name that may mean any machine needs one", map[string]string{"admin-listen": "myhost:9"}, false, "needs a password"},
		{"a kept one is enough", map[string]string{"admin-listen": ":9"}, true, ""},
		{"a file is enough", map[string]string{"admin-listen": ":9", "admin-password-file": "/pw"}, false, ""},
		{"a world-readable file is refused", map[string]string{"admin-listen": ":9", "admin-password-file": "/open"}, true, "chmod o-rwx /open"},
		{"a world-readable file is refused on loopback too", map[string]string{"admin-password-file": "/open"}, false, "chmod o-rwx /open"},
		{"a short password is refused", map[string]string{"admin-password-file": "/short"}, false, "at least 8"},
		{"a missing file is refused", map[string]string{"admin-password-file": "/none"}, false, "can't open the secret file"},
		{"a signing secret's file has to be private", map[string]string{"signing-secret-file": "/open"}, false, "--signing-secret-file: every user of this machine can open"},
		{"a signing secret has no blanks", map[string]string{"signing-secret-file": "/pw"}, false, "--signing-secret-file: it has a space"},
		{"one address for both is fine on loopback", map[string]string{"listen": "127.0.0.1:9", "admin-listen": "127.0.0.1:9"}, false, ""},
		{"one address for both is refused elsewhere", map[string]string{"listen": ":9", "admin-listen": ":9", "admin-password-file": "/pw"}, false, "only on a loopback"},
	}
	for _, tt := range tests {
		t.Run(tt.claim, func(t *testing.T) {
			s := mustLoad(t, sources(tt.flags, nil, files))
			err := s.CheckServe(tt.stored)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if !mustLoad(t, sources(map[string]string{"admin-listen": "127.0.0.1:8080"}, nil, nil)).SharedListener() {
		t.Error("the same loopback address is not one listener")
	}
}
