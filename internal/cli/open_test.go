package cli

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestTheBrowserIsThatOfThePersonWhoSitsHere(t *testing.T) {
	here := func(string) (string, error) { return "/usr/bin/it", nil }
	missing := func(string) (string, error) { return "", errors.New("not found") }
	for _, tt := range []struct {
		system string
		env    map[string]string
		look   func(string) (string, error)
		want   string
	}{
		{"linux", map[string]string{"DISPLAY": ":0"}, here, "xdg-open"},
		{"freebsd", map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, here, "xdg-open"},
		{"linux", nil, here, ""},
		{"linux", map[string]string{"DISPLAY": ":0"}, missing, ""},
		{"linux", map[string]string{"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22"}, here, ""},
		{"darwin", nil, here, "open"},
		{"darwin", map[string]string{"SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22"}, here, ""},
		{"windows", nil, here, "rundll32 url.dll,FileProtocolHandler"},
	} {
		name, args := browser(tt.system, func(name string) string { return tt.env[name] }, tt.look)
		if got := strings.TrimSpace(name + " " + strings.Join(args, " ")); got != tt.want {
			t.Errorf("%s with %v: %q, want %q", tt.system, tt.env, got, tt.want)
		}
	}
}

// The link is a key, and every user of a machine sees the arguments of its
// processes.
func TestTheLinkIsInAFileAndNotAmongTheArguments(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("runs a shell script")
	}
	dir := t.TempDir()
	program, said := filepath.Join(dir, "browser"), filepath.Join(dir, "said")
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" > " + said + "\nexit ${FAIL:-0}\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	link := "http://127.0.0.1:8081/login?link=abc_DEF-123"
	for range 2 {
		if err := openFile(dir, link, program, []string{"first"}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "open.html")
	args, err := os.ReadFile(said)
	if err != nil || !slices.Equal(strings.Fields(string(args)), []string{"first", path}) {
		t.Errorf("called with %q %v", args, err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), `content="0;url=`+link+`"`) || !strings.Contains(string(text), `href="`+link+`"`) {
		t.Errorf("the file: %v %s", err, text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v %v", info.Mode(), err)
	}
	other := filepath.Join(dir, "other")
	if err := errors.Join(os.Rename(path, other), os.Symlink(other, path)); err != nil {
		t.Fatal(err)
	}
	if err := openFile(dir, "http://127.0.0.1:8081/login?link=second", program, nil); err == nil {
		t.Error("a link in place of the file was taken")
	}
	if now, err := os.ReadFile(other); err != nil || string(now) != string(text) {
		t.Errorf("the file was written through a link: %v %s", err, now)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FAIL", "3")
	if err := openFile(dir, link, program, nil); err == nil {
		t.Error("a browser that does not start is no error")
	}
}
