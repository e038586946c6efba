package config

import (
	"reflect"
	"strconv"

	"github.com/alecthomas/kong"
)

// Flags are the settings that were given on a command line, as they were typed,
// by name, for Sources.Flags. As an option of kong they make it take the fields
// of a Settings for flags, and collect what is typed instead of reading it: Load
// reads it, and says at once all that is wrong with it.
type Flags map[string]string

// Apply implements kong.Option.
func (f Flags) Apply(k *kong.Kong) error {
	for kind := range readers() {
		if err := kong.NamedMapper(kind, kong.MapperFunc(f.take)).Apply(k); err != nil {
			return err
		}
	}
	return nil
}

func (f Flags) take(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	var err error
	if target.Kind() == reflect.Bool { // which takes --flag and --no-flag, too
		err = kong.NewRegistry().RegisterDefaults().ForType(target.Type()).Decode(ctx, target)
		text = strconv.FormatBool(target.Bool())
	} else {
		err = ctx.Scan.PopValueInto("string", &text)
	}
	f[ctx.Value.Name] = text
	return err
}
