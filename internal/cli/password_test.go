package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"stockroom/internal/config"
)

// Whoever may write the file may choose the password.
func TestAPasswordFileThatEveryUserCanWriteIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such rights")
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o602); err != nil {
		t.Fatal(err)
	}
	code, _, errs := said(t, "password", "set", "--file", file, "--data", filepath.Join(t.TempDir(), "data"))
	if code != config.ExitConfig || !strings.Contains(errs, "chmod o-rwx "+file) {
		t.Errorf("%d, %s", code, errs)
	}
}
