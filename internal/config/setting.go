package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Setting is one row of the table of settings.
type Setting struct {
	Name    string `json:"name"`    // the flag without dashes and the key in the settings file, or the variable
	Value   string `json:"value"`   // in force, as a person writes it; secrets are redacted, "" for none
	Origin  string `json:"origin"`  // of the value: "default", "file PATH", "environment NAME" or "flag --NAME"
	Default string `json:"default"` // "" for none
	Env     string `json:"env"`     // the environment variable
	Help    string `json:"help"`    // one sentence

	Unit    string `json:"-"` // what kind of value it takes: "duration", "size", "points", ...
	EnvOnly bool   `json:"-"` // it has no flag and no key in the settings file

	kind   string // the tag type
	limits string // the tag range
	field  []int  // its place in Settings
}

// All returns the table of settings in the order they are documented, those of
// the shop that the environment declares last. Describe knows the values.
func All() []Setting { return append(rows(reflect.TypeFor[Settings]()), shopRows()...) }

// shopRows are the settings of the shop that the environment declares.
func shopRows() []Setting {
	shop, _ := reflect.TypeFor[Settings]().FieldByName("Shop")
	return rows(shop.Type, shop.Index...)
}

// rows reads the tags of a struct that is at a place in Settings.
func rows(of reflect.Type, at ...int) []Setting {
	var rows []Setting
	for f := range of.Fields() {
		name, env, kind := f.Tag.Get("name"), f.Tag.Get("env"), f.Tag.Get("type")
		if kind == "" {
			continue
		}
		rows = append(rows, Setting{
			Name: cmp.Or(name, env), Env: cmp.Or(env, envName(name)), EnvOnly: name == "", Default: f.Tag.Get("preset"),
			Unit: cmp.Or(f.Tag.Get("unit"), kind), Help: f.Tag.Get("help"),
			kind: kind, limits: f.Tag.Get("range"), field: slices.Concat(at, f.Index),
		})
	}
	return rows
}

// in is the setting's field.
func (s Setting) in(all *Settings) reflect.Value {
	return reflect.ValueOf(all).Elem().FieldByIndex(s.field)
}

// envName is the environment variable of a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

const envPrefix = "STOCKROOM_"

// named finds a setting by its name.
func named(name string) (Setting, bool) {
	all := All()
	i := slices.IndexFunc(all, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return Setting{}, false
	}
	return all[i], true
}

// Describe lists every setting with its value in force.
func (s Settings) Describe() []Setting {
	all := All()
	for i, row := range all {
		all[i].Value, all[i].Origin = show(row.in(&s).Interface()), s.Origin(row.Name)
	}
	return all
}

// show writes a value as its reader reads it.
func show(value any) string {
	switch v := value.(type) {
	case time.Duration:
		return FormatDuration(v)
	case int64:
		return FormatSize(v)
	case []string:
		return strings.Join(v, ",")
	case []netip.Prefix:
		return strings.ReplaceAll(strings.Trim(fmt.Sprint(v), "[]"), " ", ",")
	}
	return fmt.Sprint(value)
}
