package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// FileName is the settings file in the data dir, which counts where no other is named.
const FileName = "stockroom.toml"

// maxSettingsFile bounds the settings file, in bytes.
const maxSettingsFile = 1 << 20

// parseFile reads a settings file. Unknown keys are errors; a value counts only
// when it is in force, see fileText.
func parseFile(content string) (map[string]any, error) {
	var tree map[string]any
	if _, err := toml.Decode(content, &tree); err != nil {
		if parse, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, fmt.Errorf("line %d is not TOML: %s", parse.Position.Line, parse.Message)
		}
		return nil, fmt.Errorf("not TOML: %w", err)
	}
	var keys []string
	for _, s := range All() {
		if !s.EnvOnly && s.Name != "config" {
			keys = append(keys, s.Name)
		}
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		if !slices.Contains(keys, key) {
			errs = append(errs, unknownKey(key, keys))
		}
	}
	return tree, errors.Join(errs...)
}

// fileText turns a TOML value into what would be written after the flag.
func (s Setting) fileText(value any) (string, error) {
	switch v := value.(type) {
	case string, int64, bool:
		return fmt.Sprint(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case []any:
		if !slices.Contains([]string{"names", "networks", "size, percent"}, s.kind) {
			return "", errors.New("takes one value, not a list")
		}
		var items []string
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				return "", errors.New("takes a list of strings")
			}
			items = append(items, text)
		}
		return strings.Join(items, ","), nil
	}
	return "", errors.New("takes a string, a number, true or false")
}

// unknownKey says that a key of the settings file means nothing, and which
// one may have been meant.
func unknownKey(key string, keys []string) error {
	switch key {
	case "config":
		return errors.New("config: a settings file can't name another one")
	case "admin-password", "signing-secret", "notify":
		return fmt.Errorf("%s: secrets have no place in the settings file, name a file with %[1]s-file", key)
	}
	// listen_addr and Listen are near misses too.
	return noSetting(key, nearest(strings.ToLower(strings.ReplaceAll(key, "_", "-")), keys))
}

// noSetting says that a key or variable means nothing, and which one may have
// been meant, "" for none.
func noSetting(name, meant string) error {
	if meant == "" {
		return fmt.Errorf("%s: there is no such setting, see stockroom config print", name)
	}
	return fmt.Errorf("%s: there is no such setting, did you mean %s?", name, meant)
}
