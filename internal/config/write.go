package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Edited is a settings file with other values, by key; "" takes a key out. What else
// a person wrote stays as it is. A key that is new comes with what it means.
func Edited(content string, values map[string]string) (string, error) {
	lines := strings.SplitAfter(content, "\n")
	for _, key := range slices.Sorted(maps.Keys(values)) {
		s, _ := named(key)
		line, err := toml.Marshal(map[string]string{key: values[key]})
		if err != nil {
			return "", fmt.Errorf("write %s: %w", key, err)
		}
		set := regexp.MustCompile(`^\s*"?` + regexp.QuoteMeta(key) + `"?\s*=`)
		at := slices.IndexFunc(lines, set.MatchString)
		about := "# " + s.Help + "\n"
		switch {
		case at >= 0 && values[key] != "":
			lines[at] = string(line)
		case at > 0 && lines[at-1] == about:
			lines = slices.Delete(lines, at-1, at+1)
		case at >= 0:
			lines = slices.Delete(lines, at, at+1)
		case values[key] != "":
			if last := &lines[len(lines)-1]; *last != "" {
				*last = strings.TrimSuffix(*last, "\n") + "\n"
			}
			lines = append(lines, "\n"+about, string(line))
		}
	}
	edited := strings.Join(lines, "")
	tree, err := parseFile(edited)
	for key, value := range values {
		if have, given := tree[key]; err == nil && (given != (value != "") || given && have != value) {
			err = errors.New(key + ": it is written over several lines")
		}
	}
	if err != nil {
		return "", fmt.Errorf("%w; change the file by hand", err)
	}
	return edited, nil
}
