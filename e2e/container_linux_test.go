package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// container reads ../Containerfile: the lines of its last stage, by instruction, and
// the stage before it whole.
func container(t *testing.T) (build string, last map[string][]string) {
	t.Helper()
	text, err := os.ReadFile("../Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	build, final, ok := strings.Cut(string(text), "\nFROM scratch\n")
	if !ok || strings.Contains(final, "\nFROM ") {
		t.Fatal("its last stage is not FROM scratch")
	}
	last = map[string][]string{}
	for line := range strings.Lines(final) {
		if word, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok && word != "#" {
			last[word] = append(last[word], rest)
		}
	}
	return build, last
}

// commandOf is what an instruction runs, without a shell, which the image has not.
func commandOf(t *testing.T, of string) (words []string) {
	t.Helper()
	_, list, _ := strings.Cut(of, "[")
	if err := json.Unmarshal([]byte("["+list), &words); err != nil {
		t.Fatalf("%s: %v", of, err)
	}
	return words
}

func TestTheImageRunsTheProgramAsANumericUserAndNothingElse(t *testing.T) {
	t.Parallel()
	build, image := container(t)
	for name, want := range map[string]string{
		"USER": `^[1-9]\d*:[1-9]\d*$`, "VOLUME": "^/data$", "WORKDIR": "^/data$", "EXPOSE": "^8080$",
		"ENV": "^STOCKROOM_DATA=/data STOCKROOM_LISTEN=:8080$", "HEALTHCHECK": `^--interval=.* CMD \["/stockroom", "healthcheck"\]$`,
		"ENTRYPOINT": `^\["/stockroom"\]$`, "CMD": `^\["serve"\]$`,
	} {
		if got := image[name]; len(got) != 1 || !regexp.MustCompile(want).MatchString(got[0]) {
			t.Errorf("%s %q, want %s", name, got, want)
		}
	}
	if user := strings.Join(image["USER"], ""); !strings.Contains(build, "make build && mkdir -m 0700 /data") ||
		!slices.Equal(image["COPY"], []string{
			"--from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt",
			"--from=build /src/bin/stockroom /stockroom", "--from=build --chown=" + user + " /data /data",
		}) {
		t.Errorf("it holds %q, from\n%s", image["COPY"], build)
	}
}

// TestTheProgramRunsInAnEmptyRootAsANumericUser has what the image has.
func TestTheProgramRunsInAnEmptyRootAsANumericUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a root directory of its own")
	}
	_, image := container(t)
	const trusted = "etc/ssl/certs/ca-certificates.crt"
	root, program := t.TempDir(), binary(t)
	// The user of the image has to see it.
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile("/" + trusted)
	if err != nil {
		t.Skip("needs the certificates of authorities in /" + trusted)
	}
	var uid, gid int
	if _, err := fmt.Sscanf(image["USER"][0], "%d:%d", &uid, &gid); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(program)
	for _, step := range []func() error{
		func() error { return err },
		func() error { return os.MkdirAll(filepath.Join(root, filepath.Dir(trusted)), 0o755) },
		func() error { return os.WriteFile(filepath.Join(root, trusted), bundle, 0o644) },
		func() error { return os.WriteFile(filepath.Join(root, "stockroom"), text, 0o755) },
		func() error { return os.Mkdir(filepath.Join(root, "data"), 0o700) },
		func() error { return os.Chown(filepath.Join(root, "data"), uid, gid) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	inside := func(words ...string) (*exec.Cmd, *bytes.Buffer) {
		var said bytes.Buffer
		cmd := &exec.Cmd{Path: words[0], Args: words, Dir: image["WORKDIR"][0], Stdout: &said, Stderr: &said}
		cmd.Env = append(strings.Fields(image["ENV"][0]), "STOCKROOM_LISTEN=127.0.0.1:0", "STOCKROOM_ADMIN_LISTEN=127.0.0.1:0")
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return cmd, &said
	}
	serve, log := inside(append(commandOf(t, image["ENTRYPOINT"][0]), commandOf(t, image["CMD"][0])...)...)
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serve.Wait() }()
	t.Cleanup(func() { _ = serve.Process.Kill() })
	await(t, "a good health check", func() bool {
		check, _ := inside(commandOf(t, image["HEALTHCHECK"][0])...)
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v\n%s", err, log)
		default:
		}
		return check.Run() == nil
	})
	for _, words := range [][]string{{"/stockroom", "sql", "SELECT 1 ORDER BY 1"}, {"/stockroom", "token", "add", "prometheus"}} {
		cmd, said := inside(words...)
		if err := cmd.Run(); err != nil {
			t.Errorf("%v: %v\n%s", words, err, said)
		}
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the end: %v\n%s", err, log)
	}
	if text := log.String(); strings.Contains(text, `"level":"ERROR"`) {
		t.Errorf("it complains:\n%s", text)
	}
	if check, _ := inside(commandOf(t, image["HEALTHCHECK"][0])...); check.Run() == nil {
		t.Error("it is healthy though it has ended")
	}
}
