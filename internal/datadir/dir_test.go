package datadir_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"stockroom/internal/datadir"
)

// holdVar makes the test binary hold the data dir it names until its input ends.
const holdVar = "STOCKROOM_TEST_HOLD_DATADIR"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdVar); path != "" {
		os.Exit(hold(path))
	}
	os.Exit(m.Run())
}

func hold(path string) int {
	d, err := datadir.Open(path, datadir.Options{Ballast: -1, Wait: 100 * time.Millisecond})
	if err != nil {
		fmt.Println("refused:", err)
		return 4
	}
	if err := d.Announce("http://127.0.0.1:1", "token"); err != nil {
		fmt.Println("announce:", err)
		return 1
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := d.Close(); err != nil {
		fmt.Println("close:", err)
		return 1
	}
	return 0
}

// holder is another process that holds, or was refused, a data dir.
type holder struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	says  string
}

func startHolder(t *testing.T, path string) *holder {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdVar+"="+path)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &holder{cmd, stdin, strings.TrimSpace(line)}
}

func open(t *testing.T, path string, o datadir.Options) *datadir.Dir {
	t.Helper()
	if o.Ballast == 0 {
		o.Ballast = -1
	}
	d, err := datadir.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestAMissingDirIsMadeClosedToOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "data")
	d := open(t, path, datadir.Options{Ballast: 64 << 10})
	if err := d.Announce("http://127.0.0.1:8081", "secret"); err != nil {
		t.Fatal(err)
	}
	if got := modeOf(t, path); got != 0o700 {
		t.Errorf("dir has mode %04o", got)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		if got := modeOf(t, filepath.Join(path, e.Name())); got != 0o600 {
			t.Errorf("%s has mode %04o", e.Name(), got)
		}
	}
	if strings.Join(names, " ") != "admin.json ballast lock" {
		t.Errorf("files: %q", names)
	}
	if len(d.Warnings) != 0 || d.Path() != path {
		t.Errorf("path %s, warnings %q", d.Path(), d.Warnings)
	}
}

func TestAnEmptyOrOwnDirIsClosedToOthers(t *testing.T) {
	for _, content := range []string{"", "state.db", ".gitkeep"} {
		path := t.TempDir()
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if content != "" {
			if err := os.WriteFile(filepath.Join(path, content), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		open(t, path, datadir.Options{})
		if got := modeOf(t, path); got != 0o700 {
			t.Errorf("with %q the dir has mode %04o", content, got)
		}
	}
}

func TestAFolderWithOtherFilesIsRefusedAndLeftAlone(t *testing.T) {
	path := t.TempDir()
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "thesis.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := datadir.Open(path, datadir.Options{})
	var refused *datadir.DirError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "thesis.txt") || !strings.Contains(err.Error(), "--data") {
		t.Fatalf("got %v", err)
	}
	if entries, _ := os.ReadDir(path); len(entries) != 1 || modeOf(t, path) != 0o755 {
		t.Error("the folder was changed")
	}
}

func TestUnusablePathsAreRefusedWithWhatToDo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(dir, "linked")
	if err := os.Mkdir(linked, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "file"), filepath.Join(linked, "lock")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "file"):      "another path with --data",
		filepath.Join(dir, "file", "x"): "another path with --data",
		linked:                          "lock is not a regular file",
	} {
		_, err := datadir.Open(path, datadir.Options{})
		var refused *datadir.DirError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "file")); err != nil || info.Size() != 0 {
		t.Error("the lock was written through a symbolic link")
	}
}

func TestASecondProcessIsRefusedNamingTheFirst(t *testing.T) {
	path := t.TempDir()
	first := startHolder(t, path)
	if first.says != "held" {
		t.Fatal(first.says)
	}
	_, err := datadir.Open(path, datadir.Options{})
	var locked *datadir.LockedError
	if !errors.As(err, &locked) || locked.PID != first.cmd.Process.Pid {
		t.Fatalf("got %v, want the PID %d", err, first.cmd.Process.Pid)
	}
	if !strings.Contains(err.Error(), fmt.Sprint(first.cmd.Process.Pid)) || !strings.Contains(err.Error(), path) {
		t.Errorf("message: %v", err)
	}
}

func TestADeadHolderLeavesNothingToCleanUp(t *testing.T) {
	path := t.TempDir()
	first := startHolder(t, path)
	if a, err := datadir.ReadAdmin(path); err != nil || a.PID != first.cmd.Process.Pid || a.Token != "token" {
		t.Fatalf("while it lives: %v, %v", a, err)
	}
	if err := first.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Wait()
	if _, err := os.Stat(filepath.Join(path, "admin.json")); err != nil {
		t.Fatalf("the test needs a stale admin.json: %v", err)
	}
	if _, err := datadir.ReadAdmin(path); !errors.Is(err, datadir.ErrNoServer) {
		t.Errorf("a stale admin.json was believed: %v", err)
	}
	d := open(t, path, datadir.Options{})
	if _, err := datadir.ReadAdmin(path); !errors.Is(err, datadir.ErrNoServer) {
		t.Errorf("a server that has not announced itself was found: %v", err)
	}
	if err := d.Announce("http://127.0.0.1:2", "new"); err != nil {
		t.Fatal(err)
	}
	if a, err := datadir.ReadAdmin(path); err != nil || a.Token != "new" || a.PID != os.Getpid() {
		t.Errorf("got %v, %v", a, err)
	}
}

func TestOfManyRacingProcessesOneHoldsTheDir(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	const n = 6
	says := make(chan *holder, n)
	for range n {
		go func() { says <- startHolder(t, path) }()
	}
	held, pid := 0, 0
	var refused []string
	for range n {
		h := <-says
		if h.says == "held" {
			held, pid = held+1, h.cmd.Process.Pid
		} else {
			refused = append(refused, h.says)
		}
	}
	if held != 1 {
		t.Fatalf("%d processes hold the dir", held)
	}
	for _, says := range refused {
		if !strings.Contains(says, fmt.Sprintf("process %d is using", pid)) {
			t.Errorf("said %q, want the PID %d", says, pid)
		}
	}
}

func TestCloseRemovesAdminAndFreesTheDir(t *testing.T) {
	path := t.TempDir()
	h := startHolder(t, path)
	if err := h.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "admin.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("admin.json is still there: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(path, "lock")); err != nil || strings.TrimSpace(string(text)) != "" {
		t.Errorf("the lock file still names a process: %q, %v", text, err)
	}
	d := open(t, path, datadir.Options{})
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := d.Announce("http://127.0.0.1:1", "x"); err == nil {
		t.Error("a closed dir announces a server")
	}
}

func TestWithoutADirThereIsNoServer(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		if _, err := datadir.ReadAdmin(path); !errors.Is(err, datadir.ErrNoServer) {
			t.Errorf("got %v", err)
		}
	}
}

func TestADirOfAnotherUserIsSaidWithWhatToDo(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	if _, err := os.ReadDir(dir); err == nil {
		t.Skip("skipped: this user may read everything")
	}
	if _, err := datadir.ReadAdmin(dir); err == nil || !strings.Contains(err.Error(), "run this as the user that runs Stockroom (sudo -u USER)") {
		t.Error(err)
	}
}

func TestTheTokenIsNotPrinted(t *testing.T) {
	a := datadir.Admin{URL: "http://127.0.0.1:1", Token: "hunter2", PID: 7}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		if text := fmt.Sprintf(verb, a); strings.Contains(text, "hunter2") || !strings.Contains(text, "127.0.0.1") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	if text := a.LogValue().String(); strings.Contains(text, "hunter2") {
		t.Errorf("logs %s", text)
	}
}

func TestLeftoversOfADeadProcessGo(t *testing.T) {
	path := t.TempDir()
	for _, name := range []string{"lock", "admin.json", "admin.json.123", "probe", "open.html"} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("4711 and more than a PID\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	open(t, path, datadir.Options{})
	entries, _ := os.ReadDir(path)
	if len(entries) != 1 || entries[0].Name() != "lock" || modeOf(t, filepath.Join(path, "lock")) != 0o600 {
		t.Errorf("left: %v", entries)
	}
	text, err := os.ReadFile(filepath.Join(path, "lock"))
	if err != nil || strings.TrimSpace(string(text)) != fmt.Sprint(os.Getpid()) {
		t.Errorf("the lock file says %q, %v", text, err)
	}
}

func TestACopyThatADeadExportLeftGoesAtTheStartAndNothingElse(t *testing.T) {
	path, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(path, ".export-5")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	for name, stays := range map[string]bool{
		"lock": true, ".export-1/products.db": false, ".export-1/products.db-journal": false,
		".export-2/": false, ".export-3/products.db": false, ".export-3/photo.jpg": true, ".export-old/products.db": true, ".export-4": true, ".exported/x": true,
		"../" + filepath.Base(elsewhere) + "/products.db": true, // reached by the link
	} {
		full := filepath.Join(path, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.Mkdir(full, 0o700); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(full, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := os.Lstat(full); (err == nil) != stays {
				t.Errorf("%s: there %v, want %v", name, err == nil, stays)
			}
		}()
	}
	d := open(t, path, datadir.Options{})
	if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], ".export-3") {
		t.Errorf("warnings %q", d.Warnings)
	}
}
