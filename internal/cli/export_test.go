package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestAnExportThatFailsLeavesTheOldFileAlone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "products.csv")
	if err := os.WriteFile(file, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	_, err := writeFile(file, true, func(w io.Writer) (int64, error) {
		_, err := io.WriteString(w, "half")
		return 0, errors.Join(err, broken)
	})
	text, _ := os.ReadFile(file)
	if left, _ := os.ReadDir(dir); !errors.Is(err, broken) || string(text) != "old" || len(left) != 1 {
		t.Errorf("%v, %q, %v", err, text, left)
	}
	if _, err := writeFile(file, false, nil); exitCode(err) != 2 {
		t.Errorf("replaced without --force: %v", err)
	}
	n, err := writeFile(file, true, func(w io.Writer) (int64, error) {
		_, err := io.WriteString(w, "new")
		return 7, err
	})
	text, _ = os.ReadFile(file)
	info, statErr := os.Stat(file)
	if err != nil || statErr != nil || n != 7 || string(text) != "new" || info.Mode().Perm() != 0o644 {
		t.Errorf("%d, %v, %q, %v", n, err, text, info.Mode())
	}
}
