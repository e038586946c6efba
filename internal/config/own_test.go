package config_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"stockroom/internal/config"
)

// TestTheFileInTheDataDirCountsWhereNoOtherIsNamed holds the precedence: flag,
// environment, file, default, and which file that is.
func TestTheFileInTheDataDirCountsWhereNoOtherIsNamed(t *testing.T) {
	own := file("public-url = \"https://own.test\"\nadmin-password-file = \"pw\"\n", 0o600)
	files := fstest.MapFS{
		"d/stockroom.toml": own, "d/pw": file("correct horse", 0o600), "s.toml": file("public-url = \"https://named.test\"", 0o600),
		strings.TrimPrefix(absolute(t, "stockroom-data"), "/") + "/stockroom.toml": file("public-url = \"https://usual.test\"", 0o600),
	}
	for name, tt := range map[string]struct {
		flags       map[string]string
		env         []string
		url, origin string
		config      string
	}{
		"by --data":         {map[string]string{"data": "/d"}, nil, "https://own.test", "file /d/stockroom.toml", "/d/stockroom.toml"},
		"by STOCKROOM_DATA": {nil, []string{"STOCKROOM_DATA=/d"}, "https://own.test", "file /d/stockroom.toml", "/d/stockroom.toml"},
		"in the usual data dir": {nil, nil, "https://usual.test", "file " + absolute(t, "stockroom-data/stockroom.toml"),
			absolute(t, "stockroom-data/stockroom.toml")},
		"another one is named":  {map[string]string{"data": "/d", "config": "/s.toml"}, nil, "https://named.test", "file /s.toml", "/s.toml"},
		"none is named":         {map[string]string{"data": "/d", "config": ""}, nil, "", "default", ""},
		"the environment wins":  {map[string]string{"data": "/d"}, []string{"STOCKROOM_PUBLIC_URL=https://env.test"}, "https://env.test", "environment STOCKROOM_PUBLIC_URL", "/d/stockroom.toml"},
		"the flag wins":         {map[string]string{"data": "/d", "public-url": "https://flag.test"}, nil, "https://flag.test", "flag --public-url", "/d/stockroom.toml"},
		"there is none in this": {map[string]string{"data": "/other"}, nil, "", "default", ""},
	} {
		s, err := config.Load(sources(tt.flags, tt.env, files))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.PublicURL != tt.url || s.Origin("public-url") != tt.origin || s.ConfigFile != tt.config {
			t.Errorf("%s: %q from %q, settings file %q", name, s.PublicURL, s.Origin("public-url"), s.ConfigFile)
		}
		if tt.config == "/d/stockroom.toml" && s.AdminPassword.Reveal() != "correct horse" {
			t.Errorf("%s: a relative path does not start at the file's folder", name)
		}
	}
}

func TestTheFileInTheDataDirCantMoveIt(t *testing.T) {
	_, err := config.Load(sources(map[string]string{"data": "/d"}, nil, fstest.MapFS{"d/stockroom.toml": file("data = \"e\"\nlisten = \"x\"", 0o600)}))
	const want = "/d/stockroom.toml: data: this file is read because it is in the data dir, so it can't name another one; " +
		"take the line out, and name the data dir with --data or STOCKROOM_DATA\n"
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "/d/stockroom.toml: listen: ") {
		t.Errorf("%v", err)
	}
}

func TestADataDirThatIsAFileHasNoSettingsAndOneOfAnotherUserSaysWhoseItIs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(config.Sources{Flags: map[string]string{"data": path}}); err != nil {
		t.Errorf("the data dir is a file: %v", err)
	}
	if os.Getuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("the rest needs a user whom rights stop")
	}
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	_, err := config.Load(config.Sources{Flags: map[string]string{"data": dir}})
	if err == nil || !strings.Contains(err.Error(), "run this as the user that runs Stockroom (sudo -u USER)") {
		t.Errorf("%v", err)
	}
}
