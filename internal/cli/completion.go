package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run writes a script that knows every command and flag.
func (c completionCommand) Run(e *env) error {
	words := map[string][]string{}
	collect(e.model.Node, "", words)
	switch c.Shell {
	case "fish":
		return fish(e.Stdout, words)
	case "zsh":
		if _, err := io.WriteString(e.Stdout, "autoload -U +X bashcompinit && bashcompinit\n"); err != nil {
			return err
		}
	}
	return bash(e.Stdout, words)
}

// collect maps each command's path ("queue list") to what may follow it.
func collect(n *kong.Node, path string, words map[string][]string) {
	var list []string
	for _, child := range n.Children {
		if child.Hidden || child.Type != kong.CommandNode {
			continue
		}
		list = append(list, child.Name)
		collect(child, strings.TrimSpace(path+" "+child.Name), words)
	}
	for _, group := range n.AllFlags(true) {
		for _, flag := range group {
			list = append(list, "--"+flag.Name)
		}
	}
	slices.Sort(list)
	words[path] = slices.Compact(list)
}

func sorted(words map[string][]string) []string {
	var paths []string
	for p := range words {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

func bash(w io.Writer, words map[string][]string) error {
	var b strings.Builder
	b.WriteString("# stockroom completion; load it with: source <(stockroom completion bash)\n_stockroom() {\n")
	b.WriteString("  local cur=\"${COMP_WORDS[COMP_CWORD]}\" path=\"\" word\n")
	b.WriteString("  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n    case \"$word\" in -*) ;; *) path=\"${path:+$path }$word\" ;; esac\n  done\n")
	b.WriteString("  local list=\"\"\n  case \"$path\" in\n")
	for _, path := range sorted(words) {
		if path == "" {
			continue
		}
		fmt.Fprintf(&b, "    %q|%q\\ *) list=%q ;;\n", path, path, strings.Join(words[path], " "))
	}
	fmt.Fprintf(&b, "    *) list=%q ;;\n  esac\n", strings.Join(words[""], " "))
	b.WriteString("  COMPREPLY=($(compgen -W \"$list\" -- \"$cur\"))\n}\ncomplete -o default -F _stockroom stockroom\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func fish(w io.Writer, words map[string][]string) error {
	var b strings.Builder
	b.WriteString("# stockroom completion; load it with: stockroom completion fish | source\n")
	for _, path := range sorted(words) {
		condition := "__fish_use_subcommand"
		if path != "" {
			var seen []string
			for _, word := range strings.Fields(path) {
				seen = append(seen, "__fish_seen_subcommand_from "+word)
			}
			condition = strings.Join(seen, "; and ")
		}
		for _, word := range words[path] {
			if flag, ok := strings.CutPrefix(word, "--"); ok {
				fmt.Fprintf(&b, "complete -c stockroom -n '%s' -l %s\n", condition, flag)
			} else {
				fmt.Fprintf(&b, "complete -c stockroom -f -n '%s' -a %s\n", condition, word)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
