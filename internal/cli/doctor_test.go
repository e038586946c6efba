package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stockroom/internal/config"
	"stockroom/internal/datadir"
)

// TestTheDoctorNamesWhatKeepsItFromTheDataDir has it say one thing that fails, with what
// mends it and the exit code. What is wrong behind that is a table of package appliance.
func TestTheDoctorNamesWhatKeepsItFromTheDataDir(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(dir string) error
		args []string
		code int
		line string
		mend string
	}{
		{"a setting", nil, []string{"--api-version", "2026-11"}, config.ExitConfig, "config: ", "stockroom config print"},
		{"a page for strangers", nil, []string{"--admin-listen", "0.0.0.0:1"}, config.ExitConfig, "config: ", "password set"},
		{"no data dir", nil, nil, config.ExitData, "lock: there is no data dir ", "--data"},
		{"a file in its place", func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, nil, config.ExitData, "lock: ", "a file is where a folder should be"},
		{"a folder of something else", func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, "Documents"), 0o700)
		}, nil, config.ExitData, "lock: ", "--data"},
		{"another process", func(dir string) error {
			held, err := datadir.Open(dir, datadir.Options{})
			if err == nil {
				t.Cleanup(func() { held.Close() })
			}
			return err
		}, nil, config.ExitData, "lock: process ", "stop it first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			if tt.make != nil {
				if err := tt.make(dir); err != nil {
					t.Fatal(err)
				}
			}
			var out, talk bytes.Buffer
			code := Run(t.Context(), Process{Args: append([]string{"doctor", "--data", dir}, tt.args...), Program: "stockroom",
				Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk})
			_, said, _ := strings.Cut(out.String(), "fail  ")
			if code != tt.code || !strings.HasPrefix(said, tt.line) || !strings.Contains(said, tt.mend) || strings.Contains(said, "fail  ") {
				t.Errorf("exit %d:\n%s%s", code, &out, &talk)
			}
		})
	}
}
