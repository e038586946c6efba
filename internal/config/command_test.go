package config_test

import (
	"path/filepath"
	"testing"

	"stockroom/internal/config"
)

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func TestACommandNamesTheDataDirWhereItWouldNotFindIt(t *testing.T) {
	for given, want := range map[string]string{
		"":                          "stockroom sync",
		"./stockroom-data":          "stockroom sync",
		"stockroom-data/":           "stockroom sync",
		"other":                     "stockroom sync --data " + absolute(t, "other"),
		"/var/lib/stockroom":        "stockroom sync --data /var/lib/stockroom",
		"/srv/my shop":              "stockroom sync --data '/srv/my shop'",
		"/srv/o'neil; rm -rf $HOME": `stockroom sync --data '/srv/o'\''neil; rm -rf $HOME'`,
	} {
		flags := map[string]string{}
		if given != "" {
			flags["data"] = given
		}
		s, err := config.Load(config.Sources{Flags: flags})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Command("sync"); got != want || !filepath.IsAbs(s.DataDir) {
			t.Errorf("--data %q: %q in %q, want %q", given, got, s.DataDir, want)
		}
	}
}
