package cli

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"stockroom/internal/config"
)

type helpCommand struct {
	Command []string `arg:"" optional:"" help:"A command, or: settings."`
}

// Run shows the help of a command, or the settings.
func (c helpCommand) Run(e *env) error {
	if slices.Equal(c.Command, []string{"settings"}) {
		return e.helpSettings()
	}
	p := e.Process
	p.Args = append(slices.Clone(c.Command), "--help")
	_, _, err := parse(new(commands), p)
	return withCode(config.ExitUsage, err)
}

func (e *env) helpSettings() error {
	entries := config.Settings{}.Describe()
	if e.json {
		for i := range entries {
			entries[i].Value, entries[i].Origin = entries[i].Default, "default"
		}
		return e.print(entries)
	}
	var b strings.Builder
	b.WriteString("A setting is a flag of every command, a variable, or a key in the file that --config names;\n" +
		"the first of these that is there counts. stockroom config print shows what is in force.\n")
	for _, s := range entries {
		name := s.Env
		if s.Name != s.Env {
			name = "--" + s.Name + "  " + s.Env
		}
		if s.Default != "" {
			name += "  (" + s.Default + ")"
		}
		fmt.Fprintf(&b, "\n%s\n    %s\n", name, s.Help)
	}
	_, err := io.WriteString(e.Stdout, b.String())
	return err
}

// shorten gives every command that lists or removes its usual short name.
func shorten(n *kong.Node) {
	for _, child := range n.Children {
		if short := map[string]string{"list": "ls", "remove": "rm"}[child.Name]; short != "" {
			child.Aliases = append(child.Aliases, short)
		}
		shorten(child)
	}
}

// pathOf is a command's words, "queue list".
func pathOf(n *kong.Node) string {
	if n == nil || n.Type != kong.CommandNode {
		return ""
	}
	return strings.TrimSpace(pathOf(n.Parent) + " " + n.Name)
}

// printHelp is kong's help without the settings, which every command takes, and
// with examples.
func printHelp(options kong.HelpOptions, k *kong.Context) error {
	node := k.Selected()
	path := pathOf(node)
	for _, flag := range k.Model.Flags {
		ofSettings := flag.Group != nil && flag.Group.Key == "settings"
		flag.Hidden = flag.Hidden || ofSettings || flag.Name == "version" && path != ""
	}
	k.Model.HelpFlag = nil // it adds a line that ours, below, stands for
	if err := kong.DefaultHelpPrinter(options, k); err != nil {
		return err
	}
	var b strings.Builder
	m := manuals()[path]
	if len(m.examples) > 0 {
		b.WriteString("\nExamples:\n")
		for _, example := range m.examples {
			fmt.Fprintf(&b, "  %s\n", example)
		}
	}
	switch m.settings {
	case "":
	case everySetting:
		b.WriteString("\nIt uses every setting.\n")
	default:
		fmt.Fprintf(&b, "\nSettings it uses: --%s\n", strings.Join(strings.Fields(m.settings), ", --"))
	}
	b.WriteString("\nMore: stockroom help COMMAND, stockroom help settings\n")
	_, err := io.WriteString(k.Stdout, b.String())
	return err
}

// parseError says what is wrong with a command line, and where to read on.
func parseError(err error) error {
	var wrong *kong.ParseError
	if !errors.As(err, &wrong) {
		return err
	}
	node := wrong.Context.Selected()
	text, path := err.Error(), pathOf(node)
	for tried, meant := range map[string]string{
		"argument status": "stockroom doctor", "argument start": "stockroom serve", "argument run": "stockroom serve",
		"argument export": "stockroom products export", "flag --port": "--listen", "flag --host": "--listen", "flag --password": "--admin-password-file",
	} {
		if strings.HasSuffix(text, " "+tried) {
			text += ", did you mean " + meant + "?"
		}
	}
	word, unexpected := strings.CutPrefix(text, "unexpected argument ")
	missing, isMissing := strings.CutPrefix(text, "expected ")
	switch {
	case unexpected && (node == nil || len(node.Children) > 0):
		text = "there is no command " + strings.TrimSpace(path+" "+word)
	case unexpected:
		text = path + " takes no further argument: " + word
	case isMissing && path == "":
		text = "the command line names no command"
	case isMissing:
		text = path + " needs " + strings.ReplaceAll(missing, `"`, "")
	}
	for _, words := range plainer() {
		text = regexp.MustCompile(words[0]).ReplaceAllString(text, words[1])
	}
	return fmt.Errorf("%s\nSee: %s", text, strings.TrimSpace("stockroom help "+path))
}

// plainer are patterns of the parser's words about values, and ours.
func plainer() [][2]string {
	return [][2]string{
		{`: expected a valid \d+ bit u?int but got `, " needs a whole number, not "},
		{`: expected a float but got ("[^"]*").*`, " needs a number, not $1"},
		{`: expected duration but got ("[^"]*").*`, " needs a time such as 90s or 15m, not $1"},
		{`: expected \w+ value but got "EOL".*`, " needs a value"},
		{`: bool value must be .* but got `, " needs true or false, not "},
		{` must be one of ("",)?(.*) but got `, " has to be one of $2, not "},
		{`^missing flags: `, "one of these is needed: "},
		{`: needs a number`, " needs a number"},
	}
}
