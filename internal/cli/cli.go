package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"stockroom/internal/backup"
	"stockroom/internal/boltfile"
	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/folder"
	"stockroom/internal/logbook"
)

// Process is what a command gets from the operating system.
type Process struct {
	Program string   // how it was called
	Args    []string // without the program's name
	Environ []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Version string
}

// commands is the command line as kong parses it, in the order of the help.
type commands struct {
	// The settings are flags of every command. Nothing is read into them here: what
	// is typed is collected in flags, for config.Load.
	Settings config.Settings `embed:"" group:"settings"`
	flags    config.Flags

	JSON        bool             `name:"json" group:"common" help:"Write a JSON document to standard output."`
	ShowVersion kong.VersionFlag `name:"version" group:"common" help:"Show the version."`

	Init     initCommand     `cmd:"" group:"Run:" help:"Set up a copy of a shop, step by step, until it is in step."`
	Serve    serveCommand    `cmd:"" group:"Run:" help:"Take deliveries, keep the catalogue, serve the status page."`
	Demo     demoCommand     `cmd:"" group:"Run:" help:"The same against a simulated shop, to look around."`
	Simulate simulateCommand `cmd:"" group:"Run:" help:"Run the simulated shop alone, for developing offline."`

	Shop     shopCommand     `cmd:"" group:"Shops:" help:"Connect, list or remove shops."`
	Select   selectCommand   `cmd:"" group:"Shops:" help:"Say which products of a shop are kept current."`
	Webhooks webhooksCommand `cmd:"" group:"Shops:" help:"List, make and mend webhook subscriptions; send a sample."`

	Products productsCommand `cmd:"" group:"Catalogue:" help:"List, show or export stored products."`
	SQL      sqlCommand      `cmd:"" name:"sql" group:"Catalogue:" help:"Run a SELECT statement on the stored catalogue."`
	Explain  explainCommand  `cmd:"" group:"Catalogue:" help:"Tell what wrote a product's present state and what was ignored."`

	Sync      syncCommand      `cmd:"" group:"Repair:" help:"Bring the copy in step with the shop, and follow it."`
	Reconcile reconcileCommand `cmd:"" group:"Repair:" help:"Compare the copy with the shop, repair it and list what differed."`
	Queue     queueCommand     `cmd:"" group:"Repair:" help:"Look at waiting jobs and dead letters, retry or discard them."`
	Doctor    doctorCommand    `cmd:"" group:"Repair:" help:"Check everything that can be wrong and say how to mend it."`

	Backup      backupCommand      `cmd:"" group:"Operate:" help:"Write everything that is stored into one file, while the server runs."`
	Restore     restoreCommand     `cmd:"" group:"Operate:" help:"Put what a backup holds in the place of what is stored."`
	Open        openCommand        `cmd:"" group:"Operate:" help:"Open the status page in the browser, by a link that works once."`
	Token       tokenCommand       `cmd:"" group:"Operate:" help:"Add, list or remove tokens that only read, for programs."`
	Password    passwordCommand    `cmd:"" group:"Operate:" help:"Set, change or clear the password of the status page."`
	Notify      notifyCommand      `cmd:"" group:"Operate:" help:"Try the messages that are sent when something is wrong."`
	Service     serviceCommand     `cmd:"" group:"Operate:" help:"Have the system run Stockroom, at boot too."`
	Config      configCommand      `cmd:"" group:"Operate:" help:"Show the settings in force and where each comes from."`
	Healthcheck healthcheckCommand `cmd:"" group:"Operate:" help:"Exit 0 when the running server can store deliveries, else 1."`
	Completion  completionCommand  `cmd:"" group:"Operate:" help:"Write a completion script for bash, zsh or fish."`
	Complete    completeCommand    `cmd:"" hidden:"" help:"Complete a command line, for those scripts."`
	Version     versionCommand     `cmd:"" group:"Operate:" help:"Show the version."`
	Help        helpCommand        `cmd:"" group:"Operate:" help:"Show how a command is used, or what can be set."`
}

// env is what a command runs with.
type env struct {
	Process
	ctx   context.Context
	stop  *stopper
	flags config.Flags
	json  bool
	model *kong.Application

	input   *bufio.Reader // of standard input, once it is read
	reading *reading      // a line of it that is not there yet
}

// codeError carries an exit code.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

func withCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codeError{code, err}
}

// exited is how kong's own exits (help, --version) leave the parser.
type exited int

// newParser makes the parser that fills c.
func newParser(c *commands, p Process) *kong.Kong {
	c.flags = config.Flags{}
	parser, err := kong.New(c, c.flags,
		kong.Name("stockroom"),
		kong.Description("Keeps an exact local copy of a Shopify shop's products in SQLite."),
		kong.Vars{"version": versionLine(p.Version)}, kong.Writers(p.Stdout, p.Stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, FlagsLast: true, WrapUpperBound: 100}), kong.Help(printHelp),
		kong.ExplicitGroups([]kong.Group{{Key: "common", Title: "With every command:"}}),
		kong.NamedMapper("shop", kong.MapperFunc(readShop)),
		kong.Exit(func(code int) { panic(exited(code)) }),
	)
	if err != nil {
		panic(err) // the struct above is wrong; every test would see it
	}
	shorten(parser.Model.Node)
	for _, flag := range parser.Model.Flags {
		if flag.Name == "json" {
			parser.Model.HelpFlag.Group = flag.Group
		}
		if preset := flag.Tag.Get("preset"); preset != "" {
			flag.Help += " Default: " + preset + "."
		}
	}
	return parser
}

// parse reads the command line into c; ended says that help or --version was
// shown, and there is nothing to run.
func parse(c *commands, p Process) (k *kong.Context, ended bool, err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case exited:
			ended = true
		default:
			panic(e)
		}
	}()
	args := p.Args
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err = newParser(c, p).Parse(args)
	return k, false, parseError(err)
}

// Run parses and runs one command and returns its exit code.
func Run(ctx context.Context, p Process) int {
	p.Program = inPath(p.Program)
	var c commands
	k, ended, err := parse(&c, p)
	if err != nil {
		fmt.Fprintf(p.Stderr, "stockroom: %s\n", err)
		return config.ExitUsage
	}
	if ended {
		return config.ExitOK
	}
	flush := func() {}
	switch k.Command() {
	case "serve", "demo", "simulate":
		p.logInData(c)
		flush = p.neverWait()
		defer flush()
	}
	s := &stopper{stderr: p.Stderr, flush: flush, exit: os.Exit}
	ctx, stop := s.notify(ctx)
	defer stop()
	e := &env{Process: p, ctx: ctx, stop: s, flags: c.flags, json: c.JSON, model: k.Model}
	err = k.BindToProvider(e.settings) // for a Run that takes them
	if err == nil {
		err = k.Run(e)
	}
	if err != nil {
		fmt.Fprintf(p.Stderr, "stockroom: %s\n", err)
		return exitCode(err)
	}
	return config.ExitOK
}

// readShop takes the shop of an argument or flag in any form that names it.
func readShop(ctx *kong.DecodeContext, target reflect.Value) error {
	var typed string
	if err := ctx.Scan.PopValueInto("shop", &typed); err != nil {
		return err
	}
	shop, err := catalog.ReadShop(typed)
	target.SetString(shop)
	return err
}

// flushFor is how long the end waits for whoever reads what was said.
const flushFor = time.Second

// neverWait puts a book before both outputs, so that whoever does not read them
// holds up no server, nor its end. The returned function flushes them.
func (p *Process) neverWait() (flush func()) {
	signal.Ignore(syscall.SIGPIPE) // a reader that is gone ends nothing
	stdout, stderr := logbook.New(p.Stdout), logbook.New(p.Stderr)
	p.Stdout, p.Stderr = stdout, stderr
	return func() {
		until := time.Now().Add(flushFor)
		stderr.Flush(time.Until(until))
		stdout.Flush(time.Until(until))
	}
}

// logInData puts what a server says, one-time links too, into its data dir, where
// its command says so. What keeps the settings from being read is said as ever.
func (p *Process) logInData(c commands) {
	if !c.Serve.LogInData {
		return
	}
	if s, err := config.Load(config.Sources{Flags: c.flags, Environ: p.Environ}); err == nil {
		file := logbook.NewFile(s.DataDir, datadir.LogFile, p.Stderr)
		p.Stdout, p.Stderr = file, file
	}
}

func exitCode(err error) int {
	var coded *codeError
	var locked *datadir.LockedError
	var dir *datadir.DirError
	var lost *folder.LostError
	var newer *folder.NewerError
	switch {
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &locked), errors.As(err, &dir), errors.As(err, &lost), errors.Is(err, boltfile.ErrLocked):
		return config.ExitData
	case errors.Is(err, backup.ErrNewer), errors.As(err, &newer):
		return config.ExitData
	case errors.Is(err, backup.ErrDamaged):
		return config.ExitIntegrity
	}
	return config.ExitFailed
}

// settings loads the settings; a wrong one exits with ExitConfig.
func (e *env) settings() (config.Settings, error) {
	s, err := config.Load(config.Sources{Flags: e.flags, Environ: e.Environ})
	s.Program = e.Program
	return s, withCode(config.ExitConfig, err)
}

// inPath is the program's bare name where a shell finds the same file by it.
func inPath(program string) string {
	name := filepath.Base(program)
	found, err := exec.LookPath(name)
	if err != nil {
		return program
	}
	one, err := os.Stat(found)
	other, err2 := os.Stat(program)
	if err != nil || err2 != nil || !os.SameFile(one, other) {
		return program
	}
	return name
}

// command writes a command line that a person can paste.
func (e *env) command(words string) string {
	s, err := e.settings()
	if err != nil {
		s = config.Settings{Program: e.Program} // it is said where the settings are needed
	}
	return s.Command(words)
}

// logger writes to standard error: text on a terminal, else JSON.
func (e *env) logger(s config.Settings, level slog.Level) *slog.Logger {
	return e.loggerTo(e.Stderr, s, level)
}

func (e *env) loggerTo(w io.Writer, s config.Settings, level slog.Level) *slog.Logger {
	format := func(w io.Writer) slog.Handler {
		if s.LogFormat == config.LogText || s.LogFormat != config.LogJSON && isTerminal(e.Stderr) {
			return tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: "15:04:05.000", NoColor: !e.colours()})
		}
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
	}
	if b, ok := w.(*logbook.Book); ok {
		return slog.New(b.Handler(format))
	}
	return slog.New(format(w))
}

// logLeftOut counts the log lines that nobody took; nil where the log can wait.
func (e *env) logLeftOut() func() uint64 {
	if b, ok := e.Stderr.(*logbook.Book); ok {
		return b.LeftOut
	}
	return nil
}

func isTerminal(w any) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// draws reports whether out is a terminal on which a line can be drawn again.
func (e *env) draws(out any) bool {
	return isTerminal(out) && e.variable("TERM") != "dumb"
}

// colours reports whether log lines may have colours (https://no-color.org).
func (e *env) colours() bool { return e.draws(e.Stderr) && e.variable("NO_COLOR") == "" }

// variable is a variable of the environment, "" when it is not set.
func (e *env) variable(name string) string {
	for i := len(e.Environ) - 1; i >= 0; i-- { // the last one counts
		if value, ok := strings.CutPrefix(e.Environ[i], name+"="); ok {
			return value
		}
	}
	return ""
}

// The types of arguments and flags whose values have limits; the parser calls
// Validate.
type (
	rows      int     // of a list
	stock     int     // products that a simulated shop starts with
	editing   float64 // edits a second
	share     float64 // of all, 0 to 1
	productID int64   // as people copy it
)

func (n rows) Validate() error    { return between(n, 1, 1000) }
func (n stock) Validate() error   { return between(n, 0, 1_000_000) }
func (n editing) Validate() error { return between(n, 0, 10_000) }
func (n share) Validate() error   { return between(n, 0, 1) }

func between[T cmp.Ordered](n, least, most T) error {
	if n >= least && n <= most {
		return nil
	}
	return fmt.Errorf("needs a number from %v to %v, not %v", least, most, n)
}

// UnmarshalText reads an id.
func (id *productID) UnmarshalText(text []byte) error {
	n, err := catalog.ParseProductID(string(text))
	*id = productID(n)
	return err
}
