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

// maxSettingsFile bounds the settings file, in bytes.
const maxSettingsFile = 1 << 20

// parseFile reads a settings file into text by key. A key's value that has no
// text is in the second map, so that it only matters when it is in force.
// Unknown keys are errors.
func parseFile(content string, all []Setting) (map[string]string, map[string]error, error) {
	var tree map[string]any
	if _, err := toml.Decode(content, &tree); err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			return nil, nil, fmt.Errorf("line %d is not TOML: %s", parse.Position.Line, parse.Message)
		}
		return nil, nil, fmt.Errorf("not TOML: %w", err)
	}
	values, bad := map[string]string{}, map[string]error{}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		setting, known := lookup(all, key)
		if !known || setting.EnvOnly || key == "config" {
			errs = append(errs, unknownKey(key, all))
			continue
		}
		text, err := fileText(setting, tree[key])
		values[key] = text
		if err != nil {
			bad[key] = err
		}
	}
	return values, bad, errors.Join(errs...)
}

// fileText turns a TOML value into what would be written after the flag.
func fileText(s Setting, v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case []any:
		if !slices.Contains([]string{unitNames, unitNetworks, unitSpace}, s.Unit) {
			return "", errors.New("takes one value, not a list")
		}
		items := make([]string, 0, len(v))
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
func unknownKey(key string, all []Setting) error {
	switch {
	case key == "config":
		return errors.New("config: a settings file can't name another one")
	case key == "admin-password":
		return errors.New("admin-password: secrets have no place in the settings file, name a file with admin-password-file")
	}
	var names []string
	for _, s := range all {
		if !s.EnvOnly && s.Name != "config" {
			names = append(names, s.Name)
		}
	}
	// listen_addr and Listen are near misses too.
	plain := strings.ToLower(strings.ReplaceAll(key, "_", "-"))
	if meant := nearest(plain, names); meant != "" {
		return fmt.Errorf("%s: there is no such setting, did you mean %s?", key, meant)
	}
	return fmt.Errorf("%s: there is no such setting, see stockroom config print", key)
}
