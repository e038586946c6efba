package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// unitFiles writes the files that an installation with these flags would write into
// a folder, and returns it.
func unitFiles(t *testing.T, program, data string, flags ...string) string {
	t.Helper()
	cmd := exec.Command(program, append([]string{"service", "install", "--dry-run", "--json", "--data", data}, flags...)...)
	cmd.Env = cleanEnv()
	text, err := cmd.Output()
	var out struct {
		Steps []struct{ Path, Text string }
	}
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	dir := t.TempDir()
	for _, step := range out.Steps {
		if err == nil && step.Path != "" {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(step.Path)), []byte(step.Text), 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSystemdFindsNothingWrongWithTheUnitsAndLittleThatTheyMayDo(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze")
	}
	for name, flags := range map[string][]string{
		"plain": nil, "one listener": {"--listen", "127.0.0.1:8081"}, "https": {"--https", "shop.example.com", "--keep-changes", "30d"},
	} {
		dir := unitFiles(t, binary(t), "/var/lib/stockroom", flags...)
		service := filepath.Join(dir, "stockroom.service")
		units, err := filepath.Glob(filepath.Join(dir, "*.socket"))
		if err != nil || len(units) == 0 {
			t.Fatalf("%s: sockets %v, %v", name, units, err)
		}
		if out, err := exec.Command(analyze, append([]string{"verify", "--man=no", service}, units...)...).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: verify: %v\n%s", name, err, out)
		}
		out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=15", "--no-pager", service).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Overall exposure level") {
			t.Errorf("%s: security: %v\n%s", name, err, out)
		}
	}
}

// manager runs the service as systemd does: it holds the sockets, hands them over,
// runs ExecStart as another user where it may, and hears when the service is ready.
type manager struct {
	t       *testing.T
	words   []string // of ExecStart
	sockets []*os.File
	names   string
	notify  *net.UnixConn
	user    *syscall.Credential
	log     *os.File
	child   *exec.Cmd
	public  string // URL
}

// other is the number of a user who owns nothing else.
const other = 64738

func newManager(t *testing.T) *manager {
	base, err := os.MkdirTemp("", "stockroom-service-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	m := &manager{t: t}
	program, data := filepath.Join(base, "stockroom"), filepath.Join(base, "data")
	m.must(os.Chmod(base, 0o755))
	from, err := os.ReadFile(binary(t))
	m.must(err)
	m.must(os.WriteFile(program, from, 0o755))
	m.must(os.Mkdir(data, 0o700))
	if os.Geteuid() == 0 {
		m.user = &syscall.Credential{Uid: other, Gid: other}
		m.must(os.Chown(data, other, other))
	}
	m.log, err = os.Create(filepath.Join(base, "log"))
	m.must(err)
	m.listen(base)
	dir := unitFiles(t, program, data)
	unit, err := os.ReadFile(filepath.Join(dir, "stockroom.service"))
	m.must(err)
	_, after, _ := strings.Cut(string(unit), "\nExecStart=")
	line, _, _ := strings.Cut(after, "\n")
	m.words = strings.Fields(line)
	t.Cleanup(func() {
		if m.child != nil {
			_ = m.child.Process.Kill()
			_ = m.child.Wait()
		}
		if text, err := os.ReadFile(m.log.Name()); t.Failed() && err == nil {
			t.Logf("log of the service:\n%s", tail(string(text), 60))
		}
	})
	return m
}

func (m *manager) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// listen opens the sockets of the units, on ports that are free, and the one on which
// the service says how it stands.
func (m *manager) listen(base string) {
	for _, name := range []string{"listen", "admin"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		m.must(err)
		m.t.Cleanup(func() { l.Close() })
		f, err := l.(*net.TCPListener).File()
		m.must(err)
		m.t.Cleanup(func() { f.Close() })
		m.sockets, m.names = append(m.sockets, f), m.names+":"+name
		if name == "listen" {
			m.public = "http://" + l.Addr().String()
		}
	}
	m.names = m.names[1:]
	path := filepath.Join(base, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	m.must(err)
	m.must(os.Chmod(path, 0o777))
	m.t.Cleanup(func() { conn.Close() })
	m.notify = conn
}

// start starts the service, and returns when it says that it is ready.
func (m *manager) start() {
	m.t.Helper()
	// The number of the process that the sockets are for is known in it alone.
	m.child = exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, m.words...)...)
	m.child.Env = append(cleanEnv(shopEnv()...), "STOCKROOM_API_BASE=http://127.0.0.1:1", "NOTIFY_SOCKET="+m.notify.LocalAddr().String(),
		fmt.Sprint("LISTEN_FDS=", len(m.sockets)), "LISTEN_FDNAMES="+m.names)
	m.child.ExtraFiles = m.sockets
	m.child.Dir = "/"
	m.child.Stdout, m.child.Stderr = m.log, m.log
	m.child.SysProcAttr = &syscall.SysProcAttr{Credential: m.user}
	m.must(m.child.Start())
	m.must(m.notify.SetReadDeadline(time.Now().Add(patience)))
	for buf := make([]byte, 4096); ; {
		n, err := m.notify.Read(buf)
		if err != nil {
			m.t.Fatalf("it does not say that it is ready: %v", err)
		}
		if strings.Contains(string(buf[:n]), "READY=1") {
			return
		}
	}
}

// stop stops the service, which has to end by itself.
func (m *manager) stop() {
	m.t.Helper()
	m.must(m.child.Process.Signal(syscall.SIGTERM))
	err := m.child.Wait()
	m.child = nil
	m.must(err)
}

// ask posts a delivery on a connection of its own.
func (m *manager) ask(id int64) (reply, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	s := &server{Public: m.public}
	res, err := client.Do(s.request(m.t.Context(), delivery{Body: productBody(id, 1, 1)}))
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(body)}, err
}

// TestARestartOfTheServiceRefusesNoConnection runs ExecStart as systemd does (as root:
// as a user of its own), restarts it under steady connections, and asks once while no
// process is there at all.
func TestARestartOfTheServiceRefusesNoConnection(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	m.start()
	end := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	for c := range 4 {
		wg.Go(func() {
			for n := int64(0); ; n++ {
				select {
				case <-end:
					return
				default:
				}
				r, err := m.ask(int64(c+1)*1_000_000 + n)
				if err != nil || r.Status != http.StatusOK && r.Status != http.StatusServiceUnavailable {
					t.Errorf("delivery %d of %d: %s, %v", n, c, r, err)
					return
				}
				mu.Lock()
				answers[r.Status]++
				mu.Unlock()
			}
		})
	}
	for restart := range 5 {
		m.stop()
		between := make(chan error, 1)
		go func() {
			r, err := m.ask(int64(restart + 1))
			if err == nil && r.Status != http.StatusOK && r.Status != http.StatusServiceUnavailable {
				err = fmt.Errorf("answered %s", r)
			}
			between <- err
		}()
		m.start()
		if err := <-between; err != nil {
			t.Errorf("a connection made while no process was there: %v", err)
		}
	}
	close(end)
	wg.Wait()
	m.stop()
	if answers[http.StatusOK] == 0 {
		t.Errorf("answers %v", answers)
	}
	t.Logf("answers by status: %v", answers)
}
