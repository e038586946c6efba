package cli

import (
	"context"
	"embed"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/store"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help says how to keep it.
func (completionCommand) Help() string {
	return "Tab then completes commands, flags, shops and products. " +
		"For every new shell put the line of your shell, below, at the end of ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish."
}

// completionScripts hand what is typed to completeCommand, and its answer to the shell.
//
//go:embed completion
var completionScripts embed.FS

// Run writes the script that makes a shell complete our commands.
func (c completionCommand) Run(e *env) error {
	scripts := map[string]string{"bash": "bash.sh", "zsh": "zsh.sh", "fish": "fish.fish"}
	text, err := completionScripts.ReadFile("completion/" + scripts[c.Shell])
	if err == nil {
		_, err = e.Stdout.Write(text)
	}
	return err
}

// completeCommand is what the scripts of completionCommand call at each Tab. It
// reads, changes nothing, and says nothing when it can't tell.
type completeCommand struct {
	Words []string `arg:"" optional:"" help:"The words typed so far, without the program; the last one is completed."`
}

// proposal is a word that may be typed, with what it is.
type proposal struct{ word, about string }

// Instead of words: the shell knows its files and folders.
const (
	anyFile   = ":files"
	anyFolder = ":folders"
)

// Run writes one proposal a line, a tab before what it is.
func (c completeCommand) Run(e *env) error {
	words, glued := joined(c.Words)
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	line := readTyped(e.model.Node, words[:len(words)-1])
	e.flags = line.settings
	var all []proposal
	flag, value, ofFlag := strings.Cut(last, "=")
	switch named := line.flag(flag); {
	case line.open != nil:
		flag, all = "", e.values(line, line.open.Value, last)
	case ofFlag && named != nil:
		flag, last, all = flag+"=", value, e.values(line, named.Value, value)
	case strings.HasPrefix(last, "-"):
		flag, all = "", line.flags()
	default:
		flag, all = "", e.arguments(line, last)
	}
	if glued { // bash replaces only what is behind the =
		flag = ""
	}
	for _, p := range all {
		switch {
		case p.word == anyFile || p.word == anyFolder:
			fmt.Fprintln(e.Stdout, p.word)
		case strings.HasPrefix(p.word, last):
			about, _, _ := strings.Cut(p.about, ". ")
			fmt.Fprintf(e.Stdout, "%s%s\t%s\n", flag, p.word, printable(strings.TrimSuffix(about, ".")))
		}
	}
	return nil
}

// joined puts together what bash takes apart: it makes words of = and :, too. glued
// says that the last word is only the end of one.
func joined(words []string) (out []string, glued bool) {
	behind := false
	for _, word := range words {
		breaks := word != "" && strings.Trim(word, "=:") == ""
		glued = len(out) > 0 && (behind || breaks && out[len(out)-1] != "")
		if glued {
			out[len(out)-1] += word
		} else {
			out = append(out, word)
		}
		behind = breaks
	}
	return out, glued
}

// typed is a command line of which the last word is not known.
type typed struct {
	node     *kong.Node
	args     []string
	given    map[string]bool // the flags, by name
	settings config.Flags
	open     *kong.Flag // whose value comes next
}

// readTyped reads the words before the one that is completed.
func readTyped(root *kong.Node, words []string) typed {
	t := typed{node: root, given: map[string]bool{}, settings: config.Flags{}}
	for _, word := range words {
		name, value, has := strings.Cut(word, "=")
		switch flag := t.flag(name); {
		case t.open != nil:
			t.take(t.open, word)
			t.open = nil
		case flag != nil && (has || flag.IsBool()):
			t.take(flag, value)
		case flag != nil:
			t.open = flag
		case !strings.HasPrefix(word, "-") && !t.enter(word):
			t.args = append(t.args, word)
		}
	}
	return t
}

// take notes that a flag is given, and the value of one that says where the shops are.
func (t *typed) take(flag *kong.Flag, value string) {
	t.given[flag.Name] = true
	if flag.Name == "data" || flag.Name == "config" {
		t.settings[flag.Name] = value
	}
}

// enter goes on to a command of the present one, if there is such.
func (t *typed) enter(word string) bool {
	for _, child := range t.node.Children {
		if child.Name == word || slices.Contains(child.Aliases, word) {
			t.node = child
			return true
		}
	}
	return false
}

// flag finds a flag of the command, nil for none.
func (t typed) flag(word string) *kong.Flag {
	for _, flag := range slices.Concat(t.node.AllFlags(true)...) {
		short := flag.Short != 0 && word == "-"+string(flag.Short)
		if short || word == "--"+flag.Name || flag.Tag.Negatable != "" && word == "--no-"+flag.Name {
			return flag
		}
	}
	return nil
}

// flags are those that may follow, of the settings those that the command uses.
func (t typed) flags() (all []proposal) {
	uses := strings.Fields("data config " + manuals()[pathOf(t.node)].settings)
	for _, flag := range slices.Concat(t.node.AllFlags(true)...) {
		setting := flag.Group != nil && flag.Group.Key == "settings"
		switch {
		case t.given[flag.Name] && !flag.IsCumulative(),
			setting && !slices.Contains(uses, flag.Name) && !slices.Contains(uses, everySetting),
			flag.Name == "version" && t.node.Type != kong.ApplicationNode:
			continue
		}
		all = append(all, proposal{"--" + flag.Name, flag.Help})
		if flag.Tag.Negatable != "" {
			all = append(all, proposal{"--no-" + flag.Name, "Not: " + flag.Help})
		}
	}
	return all
}

// arguments are the commands or values that may follow, else the flags.
func (e *env) arguments(t typed, begun string) (all []proposal) {
	node := t.node
	if pathOf(node) == "help" { // its arguments are a command's words
		under := typed{node: e.model.Node}
		for _, word := range t.args {
			if !under.enter(word) {
				return nil
			}
		}
		node = under.node
		if len(t.args) == 0 {
			all = []proposal{{"settings", "What can be set."}}
		}
	}
	for _, child := range node.Children {
		if !child.Hidden && (node != t.node || len(t.args) == 0) {
			all = append(all, proposal{child.Name, child.Help})
		}
	}
	if n := len(node.Positional); n > 0 && node == t.node {
		at := len(t.args)
		if at >= n && node.Positional[n-1].IsCumulative() {
			at = n - 1
		}
		if at < n {
			return e.values(t, node.Positional[at], begun)
		}
	}
	if node.Leaf() && node == t.node && begun == "" {
		return t.flags()
	}
	return all
}

// values are what may be written for an argument or a flag.
func (e *env) values(t typed, v *kong.Value, begun string) []proposal {
	switch {
	case v.Tag.Type == "shop":
		return e.stored(`SELECT shop, state FROM shops ORDER BY shop`)
	case v.Target.Type() == reflect.TypeFor[productID]():
		shop := ""
		if len(t.args) > 0 {
			shop, _ = catalog.ReadShop(t.args[0])
		}
		if _, err := strconv.Atoi("0" + begun); err != nil {
			return nil
		}
		return e.stored(fmt.Sprintf(`SELECT external_id, title FROM products WHERE shop = '%s' AND
			CAST(external_id AS TEXT) LIKE '%s%%' ORDER BY external_id LIMIT 100`, strings.ReplaceAll(shop, "'", "''"), begun))
	case v.Name == "topic":
		return proposals(catalog.Topics())
	case v.Tag.Type == "folder":
		return []proposal{{word: anyFolder}}
	case strings.HasSuffix("-"+v.Name, "-file") || v.Tag.PlaceHolder == "FILE" || v.Tag.Get("unit") == "path":
		return []proposal{{word: anyFile}}
	case strings.Contains(v.Tag.Type, " or "): // of a setting: "auto, text or json"
		return proposals(strings.Fields(strings.NewReplacer(",", "", " or ", " ").Replace(v.Tag.Type)))
	}
	return proposals(strings.FieldsFunc(v.Enum, func(r rune) bool { return r == ',' }))
}

func proposals[T ~string](words []T) (all []proposal) {
	for _, word := range words {
		all = append(all, proposal{word: string(word)})
	}
	return all
}

// patience is how long a person who pressed Tab waits for what is stored.
const patience = 2 * time.Second

// stored asks the catalogue of the data dir for words and what they are. It may be
// missing, or of an older Stockroom.
func (e *env) stored(query string) (all []proposal) {
	s, err := e.settings()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, patience)
	defer cancel()
	_ = store.Query(ctx, filepath.Join(s.DataDir, datadir.ProductsFile), query, func(_ []string, rows store.Rows) error {
		for row, err := range rows {
			if err != nil {
				return err
			}
			p := proposal{word: fmt.Sprint(row[0])}
			if row[1] != nil {
				p.about = fmt.Sprint(row[1])
			}
			all = append(all, p)
		}
		return nil
	})
	return all
}
