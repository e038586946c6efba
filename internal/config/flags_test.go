package config_test

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"stockroom/internal/config"
)

// parser is a command line of settings only.
func parser(t *testing.T, flags config.Flags) *kong.Kong {
	t.Helper()
	p, err := kong.New(new(config.Settings), flags, kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheFlagsAreTheTable(t *testing.T) {
	var flags, table []string
	for _, flag := range parser(t, config.Flags{}).Model.Flags {
		if flag.Name != "help" {
			flags = append(flags, flag.Name)
		}
	}
	for _, s := range config.All() {
		if s.Help == "" || !strings.HasSuffix(s.Help, ".") || s.Unit == "" {
			t.Errorf("%s: no help or unit", s.Name)
		}
		if s.EnvOnly {
			continue
		}
		if s.Env != "STOCKROOM_"+strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) {
			t.Errorf("%s: environment name %s", s.Name, s.Env)
		}
		table = append(table, s.Name)
	}
	if diff := cmp.Diff(table, flags); diff != "" {
		t.Error(diff)
	}
}

func TestAURLWhereASecretsFileBelongsIsAWrongCommandLine(t *testing.T) {
	for _, flag := range []string{"--notify-file", "--admin-password-file", "--signing-secret-file"} {
		_, err := parser(t, config.Flags{}).Parse([]string{flag, "smtp://user:hunter2@mail.test/"})
		if err == nil || !strings.Contains(err.Error(), "it takes the path of a file") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestKongCollectsTheFlagsAsTheyAreTyped(t *testing.T) {
	flags := config.Flags{}
	if _, err := parser(t, flags).Parse([]string{"--listen", "x", "--listen=:80", "--no-limit-adaptive", "--public-url=", "--max-body", "y"}); err != nil {
		t.Fatal(err)
	}
	want := config.Flags{"listen": ":80", "limit-adaptive": "false", "public-url": "", "max-body": "y"}
	if diff := cmp.Diff(want, flags); diff != "" {
		t.Error(diff)
	}
}
