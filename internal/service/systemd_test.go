//go:build !darwin && !windows

package service

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeSystemd is a systemd whose files are below a folder, and which notes what is run.
type fakeSystemd struct {
	*Systemd
	ran   []string
	says  map[string]string // what a command says, by its first words
	fails string            // the first words of a command that fails
	owner string            // of the data dir, "" when there is none
}

func newFake(t *testing.T) *fakeSystemd {
	f := &fakeSystemd{says: map[string]string{}}
	f.Systemd = &Systemd{Root: t.TempDir(), Booted: true, Admin: true,
		Run: func(_ context.Context, args ...string) (string, error) {
			line := strings.Join(args, " ")
			f.ran = append(f.ran, line)
			if f.fails != "" && strings.HasPrefix(line, f.fails) {
				return "", errors.New("exit status 1: no")
			}
			for words, said := range f.says {
				if strings.HasPrefix(line, words) {
					return said, nil
				}
			}
			return "", nil
		},
		Owner: func(string) (string, error) {
			if f.owner == "" {
				return "", fs.ErrNotExist
			}
			return f.owner, nil
		}}
	return f
}

func usual() Service {
	return Service{
		Program: "/usr/local/bin/stockroom", Data: "/var/lib/stockroom", Flags: []string{"--public-url=https://a.example.com", "--api-base=50% of $HOME"},
		Sockets: []Socket{{"listen", "127.0.0.1:8080"}, {"admin", "127.0.0.1:8081"}},
	}
}

func (f *fakeSystemd) install(t *testing.T, s Service) {
	t.Helper()
	steps, err := f.Install(s)
	if err == nil {
		err = Do(t.Context(), steps)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// units are the names of the files that are installed.
func (f *fakeSystemd) units(t *testing.T) string {
	t.Helper()
	list, err := filepath.Glob(f.path("etc", "*", "*"))
	more, err2 := filepath.Glob(f.path("etc", "systemd", "system", "*"))
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range append(list, more...) {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			names = append(names, filepath.Base(path))
		}
	}
	return strings.Join(names, " ")
}

func TestAnInstallationWritesItsFilesAndThenStartsWhatTheySay(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.install(t, usual())
	if got, want := f.units(t), "stockroom.conf stockroom-admin.socket stockroom-listen.socket stockroom.service"; got != want {
		t.Errorf("files %s, want %s", got, want)
	}
	want := []string{
		"systemd-sysusers /etc/sysusers.d/stockroom.conf",
		"install -d -m 0700 -o stockroom -g stockroom /var/lib/stockroom",
		"systemctl daemon-reload",
		"systemctl enable stockroom.service stockroom-listen.socket stockroom-admin.socket",
		"systemctl stop stockroom.service stockroom-listen.socket stockroom-admin.socket",
		"systemctl start stockroom-listen.socket stockroom-admin.socket stockroom.service",
	}
	if got := strings.Join(f.ran, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("it ran\n%s", got)
	}
	for key, want := range map[string]string{
		"ExecStart=":      `/usr/local/bin/stockroom serve --data /var/lib/stockroom "--public-url=https://a.example.com" "--api-base=50%% of $$HOME"`,
		"Sockets=":        "stockroom-listen.socket stockroom-admin.socket",
		"User=":           "stockroom",
		"ReadWritePaths=": "/var/lib/stockroom",
	} {
		if got, err := f.value(unit, key); got != want || err != nil {
			t.Errorf("%s%s, want %s; %v", key, got, want, err)
		}
	}
}

// TestTheUnitsOfThePackageAreAsGoodAsAnInstallation until there is one.
func TestTheUnitsOfThePackageAreAsGoodAsAnInstallation(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.install(t, usual())
	if err := errors.Join(os.MkdirAll(f.path("usr/lib/systemd"), 0o755), os.Rename(f.path(unitsDir), f.path(packaged))); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(units(f.sockets()), " "); got != "stockroom.service stockroom-listen.socket stockroom-admin.socket" {
		t.Errorf("of the package: %s", got)
	}
	if now, err := f.State(t.Context()); err != nil || !now.Installed || now.Data != "/var/lib/stockroom" {
		t.Errorf("%+v, %v", now, err)
	}
	f.ran = nil
	s := usual()
	s.Sockets = []Socket{{"https", "443"}, {"http", "80"}}
	f.install(t, s)
	if ran := strings.Join(f.ran, "\n"); !strings.Contains(ran, "systemctl disable --now stockroom.service stockroom-listen.socket\n") {
		t.Errorf("the port of the package is not closed:\n%s", ran)
	}
	if got := strings.Join(units(f.sockets()), " "); got != "stockroom.service stockroom-https.socket stockroom-http.socket" {
		t.Errorf("beside the package: %s", got)
	}
}

func TestWhatWouldBeDoneIsDoneOnlyWhenItIsSaidSo(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	if _, err := f.Install(usual()); err != nil || f.units(t) != "" || len(f.ran) > 0 {
		t.Errorf("%v, files %q, ran %q", err, f.units(t), f.ran)
	}
}

// TestAnotherInstallationTakesBackWhatTheFirstOneOpened changes the sockets, and
// keeps the data dir that is there.
func TestAnotherInstallationTakesBackWhatTheFirstOneOpened(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.install(t, usual())
	if err := os.MkdirAll(f.path(dataDir), 0o700); err != nil {
		t.Fatal(err)
	}
	f.ran = nil
	s := usual()
	s.Sockets = []Socket{{"https", "443"}, {"http", "80"}, {"admin", "127.0.0.1:8081"}}
	f.install(t, s)
	if got, want := f.units(t), "stockroom.conf stockroom-admin.socket stockroom-http.socket stockroom-https.socket stockroom.service"; got != want {
		t.Errorf("files %s, want %s", got, want)
	}
	ran := strings.Join(f.ran, "\n")
	if !strings.HasPrefix(ran, "systemctl disable --now stockroom.service stockroom-listen.socket\n") || strings.Contains(ran, "install -d") {
		t.Errorf("it ran\n%s", ran)
	}
}

// TestWithoutPort80TheServiceStartsAllTheSame has a web server on it.
func TestWithoutPort80TheServiceStartsAllTheSame(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.fails = "systemctl start stockroom-http.socket"
	s := usual()
	s.Sockets = []Socket{{"https", "443"}, {"http", "80"}, {"admin", "127.0.0.1:8081"}}
	f.install(t, s)
	want := "systemctl start stockroom-https.socket stockroom-admin.socket stockroom.service"
	if last := f.ran[len(f.ran)-1]; last != want {
		t.Errorf("it ended with %s", last)
	}
	if err := Do(t.Context(), f.Start()); err != nil || f.ran[len(f.ran)-1] != want {
		t.Errorf("a start: %v, %s", err, f.ran[len(f.ran)-1])
	}
}

func TestAStepThatFailsEndsTheInstallationAndAnotherOneMendsIt(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.fails = "systemctl enable"
	steps, err := f.Install(usual())
	if err != nil {
		t.Fatal(err)
	}
	err = Do(t.Context(), steps)
	if err == nil || !strings.HasPrefix(err.Error(), "run systemctl enable stockroom.service ") || !strings.HasSuffix(err.Error(), ": exit status 1: no") {
		t.Errorf("it says %v", err)
	}
	if last := f.ran[len(f.ran)-1]; !strings.HasPrefix(last, "systemctl enable") {
		t.Errorf("after it failed it ran %s", last)
	}
	f.fails = ""
	f.install(t, usual())
	if last := f.ran[len(f.ran)-1]; !strings.HasPrefix(last, "systemctl start") {
		t.Errorf("it ended with %s", last)
	}
}

func TestAnUninstallationLeavesTheDataAndNothingElse(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.install(t, usual())
	f.ran = nil
	now, err := f.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	steps, left := f.Uninstall(now)
	f.ran = nil
	if err := Do(t.Context(), steps); err != nil {
		t.Fatal(err)
	}
	if got := f.units(t); got != "" {
		t.Errorf("left are %s", got)
	}
	want := "systemctl disable --now stockroom.service stockroom-listen.socket stockroom-admin.socket\nsystemctl daemon-reload"
	if got := strings.Join(f.ran, "\n"); got != want {
		t.Errorf("it ran\n%s", got)
	}
	if want := "The data is left in /var/lib/stockroom, and belongs to the user stockroom, who is left too. " +
		"To delete both for good: sudo rm -r /var/lib/stockroom && sudo userdel stockroom"; left != want {
		t.Errorf("it says %s", left)
	}
}

func TestTheStateIsThatOfTheUnit(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	if s, err := f.State(t.Context()); s.Installed || s.State != "not installed" || err != nil || len(f.ran) > 0 {
		t.Errorf("without a unit: %+v, %v", s, err)
	}
	f.install(t, usual())
	f.says["systemctl show"] = "UnitFileState=enabled\nActiveState=active\nSubState=running\nStateChangeTimestamp=Mon 2026-11-30 21:42:56 UTC"
	s, err := f.State(t.Context())
	if err != nil || !s.Installed || !s.Enabled || !s.Running || s.State != "active (running)" || s.Since.Unix() != 1796074976 || len(s.Log) > 0 ||
		s.Data != "/var/lib/stockroom" || len(s.Sockets) != 2 || s.Sockets[1] != (Socket{"admin", "127.0.0.1:8081"}) {
		t.Errorf("running: %+v, %v", s, err)
	}
	f.says["systemctl show"] = "UnitFileState=disabled\nActiveState=activating\nSubState=auto-restart\nStateChangeTimestamp="
	f.says["journalctl"] = "one\ntwo"
	if s, err = f.State(t.Context()); err != nil || s.Enabled || s.Running || strings.Join(s.Log, ",") != "one,two" || !s.Since.IsZero() {
		t.Errorf("failing: %+v, %v", s, err)
	}
	f.fails = "journalctl"
	if s, err = f.State(t.Context()); err != nil || s.Problem != "its log can't be read: exit status 1: no" {
		t.Errorf("without a log: %+v, %v", s, err)
	}
}

func TestWhatStandsAgainstAnInstallationNamesTheCommandThatMendsIt(t *testing.T) {
	t.Parallel()
	const user = "(id stockroom || sudo useradd --system --user-group --no-create-home --shell /usr/sbin/nologin stockroom)"
	for name, tt := range map[string]struct {
		change func(*Service)
		owner  string
		want   string
	}{
		"nothing":            {},
		"a data dir of ours": {owner: "stockroom"},
		"a data dir of another user": {owner: "anna", want: "the data dir /var/lib/stockroom belongs to the user anna, and the service runs as stockroom; " +
			"give it to that user, then run this again: " + user + " && sudo chown -R stockroom: /var/lib/stockroom"},
		"a data dir at home": {change: func(s *Service) { s.Data = "/home/anna/stockroom-data" }, owner: "anna",
			want: "the data dir /home/anna/stockroom-data is in /home, which the service does not see; name another with --data, or move it: " +
				"sudo mv /home/anna/stockroom-data /var/lib/stockroom && " + user + " && sudo chown -R stockroom: /var/lib/stockroom"},
		"a program at home": {change: func(s *Service) {
			s.Program, s.Command = "/home/anna/my tools/stockroom", "service install --listen :80"
		},
			want: "the program /home/anna/my tools/stockroom has characters in its path that are special to the system; put it where programs belong, and install it from there: " +
				"sudo install -m 0755 '/home/anna/my tools/stockroom' /usr/local/bin/stockroom && sudo /usr/local/bin/stockroom service install --listen :80"},
		"a settings file at home": {change: func(s *Service) { s.Reads = []string{"/root/s.toml"} },
			want: "the file /root/s.toml is in /root, which the service does not see; put it into /etc/stockroom, where the service's user may read it, and name it there"},
	} {
		f := newFake(t)
		f.owner = tt.owner
		s := usual()
		if tt.change != nil {
			tt.change(&s)
		}
		got := ""
		if err := errors.Join(f.Check(s), f.CheckData(s.Data)); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: it says\n%s, want\n%s", name, got, tt.want)
		}
	}
}

func TestWhoIsNotRootIsToldTheCommand(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.Admin = false
	if err := f.MayChange("/usr/local/bin/stockroom service stop"); err == nil ||
		err.Error() != "only root may change what runs at boot; run: sudo /usr/local/bin/stockroom service stop" {
		t.Error(err)
	}
}
