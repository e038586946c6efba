package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/service"
)

type serviceCommand struct {
	Install   serviceInstallCommand   `cmd:"" help:"Have the system run Stockroom from now on, at boot too. Made for systemd; with launchd (macOS) and Windows not tried yet."`
	Start     serviceStartCommand     `cmd:"" help:"Start the service."`
	Stop      serviceStopCommand      `cmd:"" help:"Stop the service until the next boot or start."`
	Status    serviceStatusCommand    `cmd:"" help:"Show whether the service runs, since when, and where it listens."`
	Uninstall serviceUninstallCommand `cmd:"" help:"Have the system run Stockroom no longer; the data stays."`
}

type serviceInstallCommand struct {
	Yes    bool `help:"Do not ask."`
	DryRun bool `help:"Show each file and command, and change nothing."`
}

func (c serviceInstallCommand) Run(e *env) error {
	return inService("install", c.run(e, service.Find(), ownPath()))
}

// ownPath is where this program is.
func ownPath() string {
	path, err := os.Executable()
	if err != nil {
		return "stockroom"
	}
	if whole, err := filepath.EvalSymlinks(path); err == nil {
		return whole
	}
	return path
}

// inService says which command failed, and leaves its code.
func inService(command string, err error) error {
	if err == nil {
		return nil
	}
	return withCode(exitCode(err), fmt.Errorf("service %s: %w", command, err))
}

func (c serviceInstallCommand) run(e *env, m service.Manager, program string) error {
	s, err := e.serviceSettings(m)
	if err != nil {
		return err
	}
	wanted, err := e.wantedService(s, program)
	if err != nil {
		return withCode(config.ExitConfig, err)
	}
	steps, err := m.Install(wanted)
	if err != nil {
		return err
	}
	stands := e.standsAgainst(m, wanted, program)
	if c.DryRun || m.Missing() != nil {
		if err := e.showSteps(steps); err != nil {
			return err
		}
	}
	switch {
	case c.DryRun && stands != nil:
		fmt.Fprintf(e.Stderr, "Without --dry-run this would end with: %s\n", stands)
		return nil
	case c.DryRun || stands != nil:
		return stands
	}
	if !c.Yes {
		if err := e.confirm("This is done, in order:\n" + listed(steps)); err != nil {
			return err
		}
	}
	if err := service.Do(e.ctx, steps); err != nil {
		return fmt.Errorf("%w\nSee: stockroom service status", err)
	}
	return e.installed(m, steps, wanted)
}

// standsAgainst says why a service can't be installed now, and what to do.
func (e *env) standsAgainst(m service.Manager, s service.Service, program string) error {
	if err := m.Missing(); err != nil {
		start := append([]string{program, "serve", "--log-in-data", "--data", s.Data}, s.Flags...)
		return fmt.Errorf("%w; have it run this, as a user of its own: %s\nAbove is what systemd would be told",
			err, pasted(start))
	}
	if err := m.Check(s); err != nil {
		return err
	}
	if err := m.CheckData(s.Data); err != nil {
		return withCode(config.ExitData, err)
	}
	if err := m.MayChange(e.thisAgain(program)); err != nil {
		return err
	}
	return withCode(config.ExitData, e.refuseSecondServer(m, s.Data))
}

// serviceSettings are the settings of a service. Its data dir is the usual one of the
// system, unless one is named, or there is one here and none there.
func (e *env) serviceSettings(m service.Manager) (config.Settings, error) {
	s, err := e.settings()
	if err != nil || s.Origin("data") != "default" || m.Data() == "" {
		return s, err
	}
	here, err := filepath.Abs(s.DataDir)
	if err != nil {
		return s, err
	}
	usual := m.Data()
	_, err = os.Stat(usual)
	if _, none := os.Stat(here); none == nil && errors.Is(err, fs.ErrNotExist) {
		usual = here
	}
	e.flags["data"] = usual
	return e.settings()
}

// wantedService is what the system has to be told for these settings.
func (e *env) wantedService(s config.Settings, program string) (service.Service, error) {
	w := service.Service{Program: program, Data: s.DataDir, Command: pasted(e.Args)}
	if err := checkServe(s, mayKeepPassword(s)); err != nil {
		return w, err
	}
	var shell []string
	for _, row := range s.Describe() {
		if at, ok := strings.CutPrefix(row.Origin, "environment "); ok && row.Name != "data" && row.Name != "config" {
			shell = append(shell, at)
		}
	}
	if len(shell) > 0 {
		return w, fmt.Errorf("the service does not get the variables of this shell (%s); "+
			"give a setting as a flag of this command or in %s, and a shop with its secrets as docs/operate.md shows",
			strings.Join(shell, ", "), filepath.Join(s.DataDir, config.FileName))
	}
	given := maps.Clone(e.flags)
	if s.ConfigFile != "" {
		given["config"] = s.ConfigFile
	}
	delete(given, "data")
	for _, row := range config.All() {
		text, ok := given[row.Name]
		if ok && row.Unit == "path" {
			path, err := filepath.Abs(text)
			if err != nil {
				return w, err
			}
			text, w.Reads = path, append(w.Reads, path)
		}
		if ok {
			w.Flags = append(w.Flags, "--"+row.Name+"="+text)
		}
	}
	var err error
	w.Sockets, err = sockets(s)
	return w, err
}

// sockets are the ports that the system opens for a service with these settings.
func sockets(s config.Settings) ([]service.Socket, error) {
	list := []service.Socket{{Name: "https", Address: "443"}, {Name: "http", Address: "80"}}
	if s.HTTPS == "" {
		listen, err := fixedAddress("listen", s.Listen)
		list = []service.Socket{{Name: "listen", Address: listen}}
		if s.SharedListener() || err != nil {
			return list, err
		}
	}
	admin, err := fixedAddress("admin-listen", s.AdminListen)
	return append(list, service.Socket{Name: "admin", Address: admin}), err
}

// fixedAddress is an address as the system takes it: an IP address and a port, or
// the port alone for all addresses.
func fixedAddress(flag, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	_, err = netip.ParseAddr(host)
	switch {
	case port == "0":
		return "", fmt.Errorf("--%s: a service needs a port that stays the same, not 0", flag)
	case host == "":
		return port, nil
	case err != nil:
		return "", fmt.Errorf("--%s: a service listens on an IP address, and %s is a name; write its address", flag, host)
	}
	return net.JoinHostPort(host, port), nil
}

// refuseSecondServer refuses while a server that is not the service has the data dir.
func (e *env) refuseSecondServer(m service.Manager, data string) error {
	now, err := m.State(e.ctx)
	if err != nil || now.Running {
		return err
	}
	found, err := datadir.ReadAdmin(data)
	if errors.Is(err, datadir.ErrNoServer) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("a server runs on %s (process %d), which is not the service; stop it, then run this again", data, found.PID)
}

// thisAgain is the command line that runs, with the program's whole path: sudo looks
// for programs in places of its own.
func (e *env) thisAgain(program string) string {
	return pasted(append([]string{program}, e.Args...))
}

// pasted is a command line that a shell takes as these words.
func pasted(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = config.ShellQuote(word)
	}
	return strings.Join(quoted, " ")
}

func listed(steps []service.Step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "  %s\n", s.Words)
	}
	return b.String()
}

// stepsDone is the document of what was done, or would be.
type stepsDone struct {
	Done  bool           `json:"done"`
	Steps []service.Step `json:"steps"`
}

// showSteps shows each file whole, and each command.
func (e *env) showSteps(steps []service.Step) error {
	if e.json {
		return e.print(stepsDone{Steps: steps})
	}
	for _, s := range steps {
		if _, err := fmt.Fprintf(e.Stdout, "# %s\n%s\n", s.Words, s.Text); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) installed(m service.Manager, steps []service.Step, s service.Service) error {
	if e.json {
		return e.print(stepsDone{true, steps})
	}
	now, err := m.State(e.ctx)
	if err != nil {
		return err
	}
	ours := func(words string) string {
		return m.As() + pasted([]string{s.Program, words, "--data", s.Data})
	}
	fmt.Fprintf(e.Stdout, "Stockroom runs now, and starts at boot. Its data is in %s, its log in: %s\n"+
		"Connect a shop:       %s\nOpen the status page: %s\n", s.Data, now.Logs, ours("init"), ours("open"))
	return nil
}

type serviceStartCommand struct{}

func (serviceStartCommand) Run(e *env) error {
	return inService("start", e.changeService(service.Find(), serviceChange{steps: startSteps}))
}

func startSteps(m service.Manager, _ service.State) ([]service.Step, string) {
	return m.Start(), "Stockroom runs now."
}

type serviceStopCommand struct{}

func (serviceStopCommand) Run(e *env) error {
	return inService("stop", e.changeService(service.Find(), serviceChange{steps: stopSteps}))
}

func stopSteps(m service.Manager, now service.State) ([]service.Step, string) {
	said := "Stockroom is stopped: deliveries are refused, and Shopify sends them again for some hours."
	if now.Enabled {
		said += " It starts again at the next boot."
	}
	return m.Stop(), said
}

type serviceUninstallCommand struct {
	Yes    bool `help:"Do not ask."`
	DryRun bool `help:"Show each command, and change nothing."`
}

func (c serviceUninstallCommand) Run(e *env) error {
	return inService("uninstall", e.changeService(service.Find(), c.change()))
}

func (c serviceUninstallCommand) change() serviceChange {
	return serviceChange{ask: !c.Yes, dry: c.DryRun, steps: service.Manager.Uninstall}
}

// serviceChange is what is done with a service that is installed.
type serviceChange struct {
	steps    func(service.Manager, service.State) (steps []service.Step, said string)
	ask, dry bool
}

func (e *env) changeService(m service.Manager, c serviceChange) error {
	if err := m.Missing(); err != nil {
		return err
	}
	now, err := m.State(e.ctx)
	if err != nil {
		return err
	}
	if !now.Installed {
		return errors.New("no service is installed; see: stockroom service install --dry-run")
	}
	steps, said := c.steps(m, now)
	if c.dry {
		return e.showSteps(steps)
	}
	if err := m.MayChange(e.thisAgain(ownPath())); err != nil {
		return err
	}
	if c.ask {
		if err := e.confirm("This is done, in order:\n" + listed(steps) + said + "\n"); err != nil {
			return err
		}
	}
	if err := service.Do(e.ctx, steps); err != nil {
		return fmt.Errorf("%w\nSee: stockroom service status", err)
	}
	if e.json {
		return e.print(stepsDone{true, steps})
	}
	_, err = fmt.Fprintln(e.Stdout, said)
	return err
}

type serviceStatusCommand struct{}

func (serviceStatusCommand) Run(e *env) error {
	return inService("status", e.serviceStatus(service.Find(), time.Now()))
}

func (e *env) serviceStatus(m service.Manager, now time.Time) error {
	if err := m.Missing(); err != nil {
		return err
	}
	s, err := m.State(e.ctx)
	if err != nil {
		return err
	}
	if e.json {
		err = e.print(s)
	} else {
		_, err = fmt.Fprint(e.Stdout, serviceWords(s, now))
	}
	switch {
	case err != nil || s.Running:
		return err
	case !s.Installed:
		return errors.New("no service is installed; see: stockroom service install --dry-run")
	}
	return fmt.Errorf("the service does not run: %s", s.State)
}

// serviceWords say how a service stands.
func serviceWords(s service.State, now time.Time) string {
	if !s.Installed {
		return ""
	}
	var b strings.Builder
	row := func(name, value string) { fmt.Fprintf(&b, "%-8s %s\n", name, value) }
	state := s.State
	if !s.Since.IsZero() {
		state += ", since " + s.Since.Local().Format("2006-01-02 15:04:05") + " (" + ago(s.Since, now) + ")"
	}
	row("state", state)
	row("at boot", map[bool]string{true: "starts", false: "does not start"}[s.Enabled])
	for _, socket := range s.Sockets {
		row(socket.Name, socket.Address)
	}
	if s.Data != "" {
		row("data", s.Data)
	}
	row("log", s.Logs)
	for _, line := range s.Log {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	if s.Problem != "" {
		row("", s.Problem)
	}
	if s.Untried {
		row("", "Nobody has tried Stockroom as a service of this system yet.")
	}
	return b.String()
}
