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
	b.WriteString("A setting is a flag of every command, a variable, or a key in the settings file;\n" +
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
	wrong, ok := errors.AsType[*kong.ParseError](err)
	if !ok {
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

// manual is what the help of a command shows beside its arguments and flags.
type manual struct {
	settings string // those it uses beside --data, by name
	examples []string
}

const (
	everySetting = "*"
	ofCalls      = "api-base api-version limit-points limit-window limit-adaptive breaker-failures breaker-reset"
)

// manuals are by the command's path. A test parses each example.
func manuals() map[string]manual {
	return map[string]manual{
		"init": {"public-url " + ofCalls, []string{
			"stockroom init", "stockroom init --data /var/lib/stockroom",
			"stockroom init --shop my-shop.myshopify.com --api-key CLIENT_ID --secret-file secret.txt --pull --json",
		}},
		"serve": {everySetting, []string{
			"stockroom serve --data /var/lib/stockroom --public-url https://stock.example.com",
			"STOCKROOM_DATA=/var/lib/stockroom stockroom serve",
			"stockroom serve --config /etc/stockroom.toml",
		}},
		"demo": {"listen admin-listen webhooks poll-every log-format", []string{
			"stockroom demo", "stockroom demo --chaos wild --rate 20", "stockroom demo --seed 7 --products 500 --data ./demo",
		}},
		"simulate": {"log-format", []string{
			"stockroom simulate --products 1000 --target http://127.0.0.1:8080",
			"stockroom simulate --grant consent --index-lag 60s --index-lost 0.01",
			"stockroom simulate --events --target http://127.0.0.1:8080",
		}},
		"shop add": {"api-base api-version", []string{
			"stockroom shop add my-shop.myshopify.com --api-key CLIENT_ID",
			"stockroom shop add my-shop.myshopify.com --api-key CLIENT_ID --secret-file secret.txt",
			"stockroom shop add my-shop.myshopify.com --access-token-file token.txt",
		}},
		"shop connect": {"api-base api-version", []string{
			"stockroom shop connect my-shop.myshopify.com --api-key CLIENT_ID",
			"stockroom shop connect my-shop.myshopify.com --api-key CLIENT_ID --print",
		}},
		"shop list":   {"", []string{"stockroom shop list", "stockroom shop list --json"}},
		"shop remove": {"", []string{"stockroom shop remove my-shop.myshopify.com", "stockroom shop remove my-shop.myshopify.com --purge"}},
		"shop calls": {"breaker-failures breaker-reset", []string{
			"stockroom shop calls my-shop.myshopify.com --hold", "stockroom shop calls my-shop.myshopify.com --try",
		}},
		"select": {"", []string{
			"stockroom select my-shop.myshopify.com", "stockroom select my-shop.myshopify.com --rule tag=web --rule vendor=Acme",
			"stockroom select my-shop.myshopify.com --all --exclude 632910392",
		}},
		"webhooks list":     {"public-url webhooks " + ofCalls, []string{"stockroom webhooks list", "stockroom webhooks list my-shop.myshopify.com --json"}},
		"webhooks register": {"public-url webhooks " + ofCalls, []string{"stockroom webhooks register", "stockroom webhooks register --public-url https://stock.example.com"}},
		"webhooks test": {"", []string{
			"stockroom webhooks test", "stockroom webhooks test --topic products/delete", "stockroom webhooks test my-shop.myshopify.com --body product.json",
		}},
		"notify test":     {"notify-file", []string{"stockroom notify test", "stockroom notify test --notify-file /etc/stockroom/notify"}},
		"products list":   {"", []string{"stockroom products list --search shirt", "stockroom products list --status ACTIVE --limit 200 --json"}},
		"products get":    {"", []string{"stockroom products get my-shop.myshopify.com 632910392", "stockroom products get my-shop.myshopify.com gid://shopify/Product/632910392"}},
		"products export": {"", []string{"stockroom products export products.ndjson", "stockroom products export products.csv --format csv", "stockroom products export copy.db --format sqlite"}},
		"sql": {"", []string{
			`stockroom sql "SELECT title, price FROM catalogue ORDER BY price DESC LIMIT 10"`,
			`stockroom sql --csv "SELECT sku, stock FROM catalogue WHERE stock <= 0"`,
		}},
		"explain":        {"", []string{"stockroom explain my-shop.myshopify.com 632910392", "stockroom explain my-shop.myshopify.com 632910392 --json"}},
		"sync":           {ofCalls, []string{"stockroom sync", "stockroom sync my-shop.myshopify.com --full"}},
		"reconcile":      {ofCalls, []string{"stockroom reconcile --dry-run", "stockroom reconcile my-shop.myshopify.com"}},
		"queue list":     {"", []string{"stockroom queue list", "stockroom queue list --state dead", "stockroom queue list --json"}},
		"queue show":     {"", []string{"stockroom queue show 12", "stockroom queue show 12 --json"}},
		"queue retry":    {"", []string{"stockroom queue retry 12 13", "stockroom queue retry --all"}},
		"queue discard":  {"", []string{"stockroom queue discard 12", "stockroom queue discard --all --shop my-shop.myshopify.com"}},
		"doctor":         {everySetting, []string{"stockroom doctor", "stockroom doctor --json", "stockroom doctor --acknowledge"}},
		"backup":         {"", []string{"stockroom backup /media/usb/stockroom.tar.gz", "stockroom backup --with-secrets - | age -r AGE_KEY > stockroom.age"}},
		"restore":        {"", []string{"stockroom restore /media/usb/stockroom.tar.gz", "age -d stockroom.age | stockroom restore - --data /var/lib/stockroom --yes"}},
		"open":           {"", []string{"stockroom open", "stockroom open --print"}},
		"token add":      {"", []string{"stockroom token add my-program", "stockroom token add prometheus --json"}},
		"token list":     {"", []string{"stockroom token list", "stockroom token list --json"}},
		"token remove":   {"", []string{"stockroom token remove my-program", "stockroom token remove my-program --json"}},
		"password set":   {"", []string{"stockroom password set", "stockroom password set --file password.txt"}},
		"password link":  {"", []string{"stockroom password link", "stockroom password link --data /var/lib/stockroom"}},
		"password clear": {"", []string{"stockroom password clear", "stockroom password clear --data /var/lib/stockroom"}},
		"service install": {everySetting, []string{
			"sudo stockroom service install", "sudo stockroom service install --https stock.example.com",
			"stockroom service install --dry-run",
		}},
		"service start":     {"", []string{"sudo stockroom service start", "sudo stockroom service start --json"}},
		"service stop":      {"", []string{"sudo stockroom service stop", "sudo stockroom service stop --json"}},
		"service status":    {"", []string{"stockroom service status", "stockroom service status --json"}},
		"service uninstall": {"", []string{"sudo stockroom service uninstall", "stockroom service uninstall --dry-run"}},
		"config print":      {everySetting, []string{"stockroom config print", "stockroom config print --config /etc/stockroom.toml", "stockroom config print --json"}},
		"healthcheck":       {"", []string{"stockroom healthcheck", "stockroom healthcheck --timeout 10s"}},
		"completion":        {"", []string{"source <(stockroom completion bash)", "source <(stockroom completion zsh)", "stockroom completion fish | source"}},
		"version":           {"", []string{"stockroom version", "stockroom version --json"}},
		"help":              {"", []string{"stockroom help serve", "stockroom help queue retry", "stockroom help settings"}},
	}
}
