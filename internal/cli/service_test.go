package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/service"
)

// fakeManager is a system of which all can be said.
type fakeManager struct {
	data                     string // the usual data dir
	missing, check, checkDir error
	notAllowed               bool
	state                    service.State
	wanted                   service.Service // what was to be installed
}

func (m *fakeManager) Missing() error                { return m.missing }
func (m *fakeManager) Data() string                  { return m.data }
func (m *fakeManager) Check(s service.Service) error { m.wanted = s; return m.check }
func (m *fakeManager) CheckData(string) error        { return m.checkDir }
func (m *fakeManager) As() string                    { return "sudo -u stockroom " }

func (m *fakeManager) MayChange(command string) error {
	if m.notAllowed {
		return errors.New("run: sudo " + command)
	}
	return nil
}

func (m *fakeManager) Install(service.Service) ([]service.Step, error) {
	return []service.Step{{Words: "write /etc/unit", Path: "/etc/unit", Text: "[Unit]\n"}}[:1:1], nil
}

func (m *fakeManager) Start() []service.Step { return nil }
func (m *fakeManager) Stop() []service.Step  { return nil }

func (m *fakeManager) Uninstall(service.State) ([]service.Step, string) {
	return nil, "The data is left."
}

func (m *fakeManager) State(context.Context) (service.State, error) { return m.state, nil }

// installing runs an installation with flags and variables.
func installing(t *testing.T, m *fakeManager, c serviceInstallCommand, flags config.Flags, environ ...string) (code int, out, said string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	e := &env{ctx: t.Context(), flags: flags, Process: Process{
		Args: []string{"service", "install", "--data", "a b"}, Environ: environ, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr}}
	if err := inService("install", c.run(e, m, "/opt/stockroom")); err != nil {
		code, said = exitCode(err), err.Error()
	}
	return code, stdout.String(), stderr.String() + said
}

func TestAnInstallationThatCanNotBeSaysWhyAndTheCode(t *testing.T) {
	t.Chdir(t.TempDir())
	dir, err := datadir.Open("held", datadir.Options{})
	if err == nil {
		err = dir.Announce("http://127.0.0.1:1", "token")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for name, tt := range map[string]struct {
		m       fakeManager
		c       serviceInstallCommand
		flags   config.Flags
		environ []string
		code    int
		out     string // begins with it
		said    string
	}{
		"nobody to ask": {code: 1, said: "service install: This is done, in order:\n  write /etc/unit\n Nothing was changed, as nobody can be asked here; add --yes to do it"},
		"not root":      {m: fakeManager{notAllowed: true}, c: serviceInstallCommand{Yes: true}, code: 1, said: "service install: run: sudo /opt/stockroom service install --data 'a b'"},
		"a dry run":     {c: serviceInstallCommand{DryRun: true}, out: "# write /etc/unit\n[Unit]\n"},
		"a dry run of what can't be": {m: fakeManager{checkDir: errors.New("it is Anna's")}, c: serviceInstallCommand{DryRun: true},
			out: "# write /etc/unit\n[Unit]\n", said: "Without --dry-run this would end with: it is Anna's\n"},
		"a data dir that can't be": {m: fakeManager{checkDir: errors.New("it is Anna's")}, code: 4, said: "service install: it is Anna's"},
		"a program that can't be":  {m: fakeManager{check: errors.New("it is at home")}, code: 1, said: "service install: it is at home"},
		"no systemd": {m: fakeManager{missing: errors.New("no systemd")}, code: 1, out: "# write /etc/unit\n[Unit]\n",
			said:  "service install: no systemd; have it run this, as a user of its own: /opt/stockroom serve --log-in-data --data DATA '--listen=:80'\nAbove is what systemd would be told",
			flags: config.Flags{"listen": ":80"}},
		"a server on it": {flags: config.Flags{"data": "held"}, code: 4, said: "service install: a server runs on HELD (process PID), which is not the service; stop it, then run this again"},
		"variables": {environ: []string{"STOCKROOM_LISTEN=:80", "SHOPIFY_SHOP=a.myshopify.com", "SHOPIFY_API_KEY=k", "SHOPIFY_API_SECRET=s", "STOCKROOM_DATA=x"}, code: 3,
			said: "service install: the service does not get the variables of this shell (STOCKROOM_LISTEN, SHOPIFY_SHOP, SHOPIFY_API_KEY, SHOPIFY_API_SECRET); " +
				"give a setting as a flag of this command or in X/stockroom.toml, and a shop with its secrets as docs/operate.md shows"},
		"any port": {flags: config.Flags{"admin-listen": "127.0.0.1:0"}, code: 3, said: "service install: --admin-listen: a service needs a port that stays the same, not 0"},
		"a name":   {flags: config.Flags{"listen": "shop.example.com:80"}, code: 3, said: "service install: --listen: a service listens on an IP address, and shop.example.com is a name; write its address"},
		"no password": {flags: config.Flags{"admin-listen": "0.0.0.0:81"}, code: 3,
			said: "service install: admin-listen: 0.0.0.0:81 can be reached from other machines, which needs a password: set one with stockroom password set or --admin-password-file, or listen on 127.0.0.1"},
	} {
		if runtime.GOOS == "windows" && tt.m.missing != nil {
			continue // its paths are quoted otherwise
		}
		flags := config.Flags{}
		for key, value := range tt.flags {
			flags[key] = value
		}
		m := tt.m
		m.data = absolute(t, "DATA")
		code, out, said := installing(t, &m, tt.c, flags, tt.environ...)
		want := strings.NewReplacer("DATA", config.ShellQuote(m.data), "HELD", dir.Path(), "PID", strconv.Itoa(os.Getpid()), "X/", absolute(t, "x")+string(filepath.Separator)).Replace(tt.said)
		if code != tt.code || said != want || !strings.HasPrefix(out, tt.out) || tt.out == "" && out != "" {
			t.Errorf("%s: exit %d, it says\n%s, want %d and\n%s; and writes\n%s", name, code, said, tt.code, want, out)
		}
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	whole, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// TestAServiceIsToldWhatWasTyped gives flags, paths among them, and looks where the
// data dir is in each case.
func TestAServiceIsToldWhatWasTyped(t *testing.T) {
	t.Chdir(t.TempDir())
	usual := absolute(t, "usual")
	if err := os.WriteFile("pw", []byte("linen and wool"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := func(flags config.Flags, data string, w service.Service, environ ...string) {
		t.Helper()
		m := &fakeManager{data: usual}
		if code, _, said := installing(t, m, serviceInstallCommand{DryRun: true}, flags, environ...); code != 0 || said != "" {
			t.Fatalf("exit %d: %s", code, said)
		}
		got := m.wanted
		if got.Data != data || strings.Join(got.Flags, " ") != strings.Join(w.Flags, " ") || strings.Join(got.Reads, " ") != strings.Join(w.Reads, " ") {
			t.Errorf("%v: it would be told %+v", flags, got)
		}
		var sockets []string
		for _, s := range got.Sockets {
			sockets = append(sockets, s.Name+"="+s.Address)
		}
		var wanted []string
		for _, s := range w.Sockets {
			wanted = append(wanted, s.Name+"="+s.Address)
		}
		if strings.Join(sockets, " ") != strings.Join(wanted, " ") {
			t.Errorf("%v: sockets %v, want %v", flags, sockets, wanted)
		}
	}
	both := []service.Socket{{Name: "listen", Address: "127.0.0.1:8080"}, {Name: "admin", Address: "127.0.0.1:8081"}}
	want(config.Flags{}, usual, service.Service{Sockets: both})
	want(config.Flags{"data": "d"}, absolute(t, "d"), service.Service{Sockets: both})
	want(config.Flags{}, absolute(t, "v"), service.Service{Sockets: both}, "STOCKROOM_DATA=v")
	want(config.Flags{"admin-password-file": "pw", "listen": ":80", "admin-listen": "[::1]:81", "limit-adaptive": "false"}, usual, service.Service{
		Flags:   []string{"--listen=:80", "--admin-listen=[::1]:81", "--admin-password-file=" + absolute(t, "pw"), "--limit-adaptive=false"},
		Reads:   []string{absolute(t, "pw")},
		Sockets: []service.Socket{{Name: "listen", Address: "80"}, {Name: "admin", Address: "[::1]:81"}},
	})
	want(config.Flags{"listen": "localhost:8081", "admin-listen": "localhost:8081"}, usual, service.Service{
		Flags: []string{"--listen=localhost:8081", "--admin-listen=localhost:8081"}, Sockets: []service.Socket{{Name: "listen", Address: "127.0.0.1:8081"}},
	})
	want(config.Flags{"https": "shop.example.com", "admin-listen": ":81", "admin-password-file": "pw"}, usual, service.Service{
		Flags:   []string{"--https=shop.example.com", "--admin-listen=:81", "--admin-password-file=" + absolute(t, "pw")},
		Reads:   []string{absolute(t, "pw")},
		Sockets: []service.Socket{{Name: "https", Address: "443"}, {Name: "http", Address: "80"}, {Name: "admin", Address: "81"}},
	})
	if err := os.Mkdir("stockroom-data", 0o700); err != nil {
		t.Fatal(err)
	}
	want(config.Flags{}, absolute(t, "stockroom-data"), service.Service{Sockets: both})
	if err := os.Mkdir("usual", 0o700); err != nil {
		t.Fatal(err)
	}
	want(config.Flags{}, usual, service.Service{Sockets: both})
}

func TestTheStatusOfAServiceSaysHowItStandsAndWhyNot(t *testing.T) {
	since := time.Date(2026, 11, 30, 12, 0, 0, 0, time.Local)
	status := func(s service.State) (code int, out, said string) {
		var stdout bytes.Buffer
		e := &env{ctx: t.Context(), Process: Process{Stdout: &stdout}}
		if err := inService("status", e.serviceStatus(&fakeManager{state: s}, since.Add(3*time.Minute))); err != nil {
			code, said = exitCode(err), err.Error()
		}
		return code, stdout.String(), said
	}
	code, out, said := status(service.State{Installed: true, Enabled: true, Running: true, State: "active (running)", Since: since, Data: "/d", Logs: "journalctl -u stockroom",
		Sockets: []service.Socket{{Name: "listen", Address: "127.0.0.1:8080"}}})
	if want := "state    active (running), since 2026-11-30 12:00:00 (3m ago)\nat boot  starts\nlisten   127.0.0.1:8080\ndata     /d\nlog      journalctl -u stockroom\n"; code != 0 || said != "" || out != want {
		t.Errorf("running: %d, %s\n%s", code, said, out)
	}
	code, out, said = status(service.State{Installed: true, State: "failed (failed)", Log: []string{"can't open", "the end"}, Logs: "L"})
	if want := "state    failed (failed)\nat boot  does not start\nlog      L\n  can't open\n  the end\n"; code != 1 || said != "service status: the service does not run: failed (failed)" || out != want {
		t.Errorf("failed: %d, %s\n%s", code, said, out)
	}
	if code, out, said = status(service.State{}); code != 1 || out != "" || said != "service status: no service is installed; see: stockroom service install --dry-run" {
		t.Errorf("none: %d, %s\n%s", code, said, out)
	}
}
