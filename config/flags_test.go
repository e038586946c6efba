package config_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"stockroom/config"
)

func TestTheFlagsAreTheTable(t *testing.T) {
	var flags, table []string
	for i := range reflect.TypeFor[config.Flags]().NumField() {
		flags = append(flags, reflect.TypeFor[config.Flags]().Field(i).Tag.Get("name"))
	}
	for _, s := range config.All() {
		if s.Env != "STOCKROOM_"+strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) {
			t.Errorf("%s: environment name %s", s.Name, s.Env)
		}
		if s.Help == "" || !strings.HasSuffix(s.Help, ".") || s.Unit == "" {
			t.Errorf("%s: no help or unit", s.Name)
		}
		if !s.EnvOnly {
			table = append(table, s.Name)
		}
	}
	if diff := cmp.Diff(table, flags); diff != "" {
		t.Error(diff)
	}
}

func TestKongReadsTheFlags(t *testing.T) {
	var cli struct {
		config.Flags
	}
	var help bytes.Buffer
	parser, err := kong.New(&cli, kong.Vars(config.FlagVars()), kong.Writers(&help, &help), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"--listen", ":80", "--no-limit-adaptive", "--public-url="}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"listen": ":80", "limit-adaptive": "false", "public-url": ""}
	if diff := cmp.Diff(want, cli.Given()); diff != "" {
		t.Error(diff)
	}
	if _, err := parser.Parse([]string{"--help"}); err == nil && help.Len() == 0 {
		t.Error("no help")
	}
	for _, want := range []string{"--data=DIR", "Default: 8MiB.", "--[no-]limit-adaptive", "https://{shop}"} {
		if !strings.Contains(strings.Join(strings.Fields(help.String()), " "), want) {
			t.Errorf("the help does not say %q:\n%s", want, &help)
		}
	}
}
