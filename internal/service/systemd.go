//go:build !darwin && !windows

package service

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	"stockroom/deploy"
	"stockroom/internal/config"
)

const (
	unit     = name + ".service"
	unitsDir = "/etc/systemd/system"
	packaged = "/usr/lib/systemd/system" // where the Debian package puts the same
	usersDir = "/etc/sysusers.d"
	usersOf  = name + ".conf"
	dataDir  = "/var/lib/" + name
	logLines = "10"
	journal  = "journalctl -u " + name
)

// purposes are those of the sockets that there can be, by name.
func purposes() []Socket {
	return []Socket{
		{"https", "webhooks and health, by HTTPS"},
		{"http", "what leads from HTTP to HTTPS"},
		{"listen", "webhooks and health"},
		{"admin", "the status page, API and metrics"},
	}
}

func socketUnit(socket string) string { return name + "-" + socket + ".socket" }

// Systemd tells systemd.
type Systemd struct {
	Root   string // where its files are below, "/"
	Booted bool   // it runs this machine
	Admin  bool   // this user may change what runs
	Run    func(ctx context.Context, args ...string) (string, error)
	Owner  func(path string) (string, error) // the name of the user to whom a folder belongs
}

// Find is the systemd of this machine, if it has one.
func Find() Manager {
	info, err := os.Lstat("/run/systemd/system") // as sd_booted(3) finds out
	return &Systemd{
		Root: "/", Booted: err == nil && info.IsDir(), Admin: os.Geteuid() == 0, Run: run, Owner: owner,
	}
}

// run runs a program and returns what it says. Its error has the last of that.
func run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=")
	out, err := cmd.CombinedOutput()
	said := strings.TrimSpace(string(out))
	if err != nil && said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return said, err
}

func owner(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	id := strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Uid))
	if u, err := user.LookupId(id); err == nil {
		return u.Username, nil
	}
	return "number " + id, nil
}

// Missing says that this machine is not run by systemd.
func (d *Systemd) Missing() error {
	if d.Booted {
		return nil
	}
	return errors.New("this machine is not run by systemd, and Stockroom knows no other way to start at boot here")
}

// Data is where a system keeps what a service writes.
func (d *Systemd) Data() string { return dataDir }

// MayChange says that this is not root.
func (d *Systemd) MayChange(command string) error {
	if d.Admin {
		return nil
	}
	return errors.New("only root may change what runs at boot; run: sudo " + command)
}

// As begins a command of the service's user.
func (d *Systemd) As() string { return "sudo -u " + name + " " }

func (d *Systemd) path(elements ...string) string {
	return filepath.Join(append([]string{d.Root}, elements...)...)
}

// Check looks at the paths.
func (d *Systemd) Check(s Service) error { return cmp.Or(checkProgram(s), checkReads(s)) }

// CheckData looks at the path, and at whose the data dir is.
func (d *Systemd) CheckData(path string) error {
	if why := visible(path); why != "" {
		return fmt.Errorf("the data dir %s %s; name another with --data, or move it: %s",
			path, why, move(path, dataDir))
	}
	of, err := d.Owner(d.path(path))
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && of == name:
		return nil
	case err != nil:
		return fmt.Errorf("look at the data dir: %w", err)
	}
	return fmt.Errorf("the data dir %s belongs to the user %s, and the service runs as %s; "+
		"give it to that user, then run this again: %s", path, of, name, give(path))
}

// addUser makes the service's user where there is none yet.
const addUser = "(id " + name +
	" || sudo useradd --system --user-group --no-create-home --shell /usr/sbin/nologin " + name + ")"

// give is a command that makes the service's user the owner of a data dir.
func give(data string) string {
	return addUser + " && sudo chown -R " + name + ": " + config.ShellQuote(data)
}

// move is a command that puts a data dir where the service sees it.
func move(from, to string) string {
	return "sudo mv " + config.ShellQuote(from) + " " + to + " && " + give(to)
}

// fill fills in one of deploy/systemd.
func fill(file string, values any) (string, error) {
	t, err := template.New(file).Option("missingkey=error").ParseFS(deploy.Systemd, "systemd/"+file)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	err = t.Execute(&text, values)
	return text.String(), err
}

// files are what systemd reads, as steps that write them.
func (d *Systemd) files(s Service) ([]Step, error) {
	var names []string
	for _, socket := range s.Sockets {
		names = append(names, socketUnit(socket.Name))
	}
	start := []string{s.Program, "serve", "--data", s.Data}
	for _, flag := range s.Flags {
		start = append(start, word(flag))
	}
	common := map[string]string{
		"User": name, "Data": s.Data, "Start": strings.Join(start, " "), "Sockets": strings.Join(names, " "),
	}
	users, err := fill("stockroom.sysusers.tmpl", common)
	service, err2 := fill("stockroom.service.tmpl", common)
	steps := []Step{d.write(filepath.Join(usersDir, usersOf), users), d.write(filepath.Join(unitsDir, unit), service)}
	err = errors.Join(err, err2)
	for i, socket := range s.Sockets {
		values := map[string]string{"Name": socket.Name, "Address": socket.Address}
		for _, p := range purposes() {
			if p.Name == socket.Name {
				values["Purpose"] = p.Address
			}
		}
		text, err3 := fill("stockroom.socket.tmpl", values)
		steps, err = append(steps, d.write(filepath.Join(unitsDir, names[i]), text)), errors.Join(err, err3)
	}
	return steps, err
}

// word writes an argument as ExecStart takes it for one and the same.
func word(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`,
		"\n", `\n`, "\t", `\t`).Replace(text) + `"`
}

// write is a step that writes a file, whole or not at all.
func (d *Systemd) write(path, text string) Step {
	return Step{Words: "write " + path, Path: path, Text: text, do: func(context.Context) error {
		at := d.path(path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		next := at + ".new"
		err := os.WriteFile(next, []byte(text), 0o644)
		if err == nil {
			err = os.Rename(next, at)
		}
		if err != nil {
			_ = os.Remove(next)
		}
		return err
	}}
}

// runs is a step that runs a program.
func (d *Systemd) runs(args ...string) Step {
	return Step{Words: "run " + strings.Join(args, " "), do: func(ctx context.Context) error {
		_, err := d.Run(ctx, args...)
		return err
	}}
}

// removes is a step that removes a file, which may be gone.
func (d *Systemd) removes(path string) Step {
	return Step{Words: "remove " + path, do: func(context.Context) error {
		if err := os.Remove(d.path(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}}
}

// sockets are those that are installed.
func (d *Systemd) sockets() (list []Socket) {
	for _, p := range purposes() {
		if address, err := d.value(socketUnit(p.Name), "ListenStream="); err == nil {
			list = append(list, Socket{p.Name, address})
		}
	}
	return list
}

// value is what an installed unit says behind a key.
func (d *Systemd) value(file, key string) (string, error) {
	dir := unitsDir
	if _, err := os.Stat(d.path(dir, unit)); errors.Is(err, fs.ErrNotExist) {
		dir = packaged // an installation goes before the package
	}
	text, err := os.ReadFile(d.path(dir, file))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), key); found {
			return value, nil
		}
	}
	return "", nil
}

func units(sockets []Socket) []string {
	list := []string{unit}
	for _, s := range sockets {
		list = append(list, socketUnit(s.Name))
	}
	return list
}

func systemctl(verb string, units ...string) []string {
	return append([]string{"systemctl", verb}, units...)
}

// Install writes the files, makes the user and the data dir, and starts the service,
// again where it runs already.
func (d *Systemd) Install(s Service) ([]Step, error) {
	steps, err := d.files(s)
	if err != nil {
		return nil, err
	}
	wanted := units(s.Sockets)
	for _, old := range d.sockets() { // of an installation with other settings
		if file := socketUnit(old.Name); !strings.Contains(strings.Join(wanted, " "), file) {
			steps = append(steps, d.runs("systemctl", "disable", "--now", unit, file),
				d.removes(filepath.Join(unitsDir, file)))
		}
	}
	steps = append(steps, d.runs("systemd-sysusers", filepath.Join(usersDir, usersOf)))
	if _, err := os.Stat(d.path(s.Data)); errors.Is(err, fs.ErrNotExist) {
		steps = append(steps, d.runs("install", "-d", "-m", "0700", "-o", name, "-g", name, s.Data))
	}
	steps = append(steps, d.runs(systemctl("daemon-reload")...), d.runs(systemctl("enable", wanted...)...),
		d.runs(systemctl("stop", wanted...)...))
	return append(steps, d.starts(s.Sockets)...), nil
}

// starts are steps that start the sockets, and then the service. It does without port
// 80, which a web server may have.
func (d *Systemd) starts(sockets []Socket) (steps []Step) {
	wanted := []string{}
	for _, s := range sockets {
		if s.Name != "http" {
			wanted = append(wanted, socketUnit(s.Name))
			continue
		}
		try := d.runs("systemctl", "start", socketUnit(s.Name))
		do := try.do
		try.Words += " (which may fail: another program may have port 80)"
		try.do = func(ctx context.Context) error { _ = do(ctx); return nil }
		steps = append(steps, try)
	}
	return append(steps, d.runs(systemctl("start", append(wanted, unit)...)...))
}

// Start starts the sockets and the service.
func (d *Systemd) Start() []Step { return d.starts(d.sockets()) }

// Stop stops the sockets too, which else would start the service again.
func (d *Systemd) Stop() []Step { return []Step{d.runs(systemctl("stop", units(d.sockets())...)...)} }

// Uninstall undoes what Install did, but for the data dir and its user.
func (d *Systemd) Uninstall(now State) (steps []Step, left string) {
	installed := units(now.Sockets)
	steps = []Step{d.runs(append([]string{"systemctl", "disable", "--now"}, installed...)...)}
	for _, file := range installed {
		steps = append(steps, d.removes(filepath.Join(unitsDir, file)))
	}
	steps = append(steps, d.removes(filepath.Join(usersDir, usersOf)), d.runs(systemctl("daemon-reload")...))
	return steps, fmt.Sprintf("The data is left in %s, and belongs to the user %s, who is left too. "+
		"To delete both for good: sudo rm -r %s && sudo userdel %s", now.Data, name, config.ShellQuote(now.Data), name)
}

// State asks systemd and looks at the units.
func (d *Systemd) State(ctx context.Context) (State, error) {
	s := State{Logs: journal, State: "not installed"}
	data, err := d.value(unit, "ReadWritePaths=")
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	s.Installed, s.Data, s.Sockets = true, data, d.sockets()
	if err != nil {
		return s, err
	}
	text, err := d.Run(ctx, "systemctl", "show", unit,
		"--property=UnitFileState,ActiveState,SubState,StateChangeTimestamp")
	if err != nil {
		return s, err
	}
	told := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		told[key] = value
	}
	s.Enabled, s.Running = told["UnitFileState"] == "enabled", told["ActiveState"] == "active"
	s.State = told["ActiveState"] + " (" + told["SubState"] + ")"
	if at, err := time.Parse("Mon 2006-01-02 15:04:05 MST", told["StateChangeTimestamp"]); err == nil {
		s.Since = at
	}
	if s.Running {
		return s, nil
	}
	log, err := d.Run(ctx, "journalctl", "-u", unit, "-n", logLines, "-o", "cat", "--no-pager", "-q")
	if err != nil {
		s.Problem = "its log can't be read: " + err.Error()
	} else if log != "" {
		s.Log = strings.Split(log, "\n")
	}
	return s, nil
}
