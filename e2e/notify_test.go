package e2e_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A file that was lost is red until a person acknowledges it. It is told once, over a
// restart, and once more when it is well again.
func TestAWebhookIsToldOfATroubleAndOfItsEnd(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 20)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- r.URL.Path + " " + string(body)
	}))
	t.Cleanup(receiver.Close)
	host := receiver.Listener.Addr().String()
	file := filepath.Join(t.TempDir(), "notify")
	if err := os.WriteFile(file, []byte("# me\ngeneric://"+host+"/hook?disabletls=yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	next := func() string {
		t.Helper()
		select {
		case text := <-arrived:
			return text
		case <-time.After(patience):
			t.Fatal("no message came")
			return ""
		}
	}
	o := serveOptions{Env: []string{}, Args: []string{"--notify-file", file, "--notify-after", "1s"}}
	s := startServer(t, o)
	s.stop()
	o.Dir = s.Dir
	for _, name := range []string{"products.db", "products.db-wal", "products.db-shm"} {
		if err := os.Remove(filepath.Join(s.Dir, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	s = startServer(t, o)
	if text := next(); !strings.Contains(text, "/hook Stockroom: needs attention") || !strings.Contains(text, "Something was lost or damaged here") ||
		!strings.Contains(text, "Since ") || !strings.Contains(text, "Status page: http://127.0.0.1") {
		t.Errorf("told is %s", text)
	}
	s.stop()
	s = startServer(t, o)
	s.cli("doctor", "--acknowledge")
	if text := next(); !strings.Contains(text, "well again") || !strings.Contains(text, "Over since ") || strings.Contains(text, "needs attention") {
		t.Errorf("told is %s", text)
	}
	if r := s.cli("notify", "test"); !strings.Contains(r, "generic://"+host+": ok: sent") {
		t.Errorf("notify test says %s", r)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("generic://127.0.0.1:1/?disabletls=yes"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := runCLI(t, nil, "", "notify", "test", "--notify-file", other, "--data", s.Dir)
	if !strings.Contains(r.Stdout, "generic://"+host+": ok: sent") || !strings.Contains(r.Stderr, "started with") {
		t.Errorf("notify test with a file of its own says %+v", r)
	}
	next()
	if text := next(); !strings.Contains(text, "Nothing is wrong") {
		t.Errorf("the test says %s", text)
	}
	if m := s.metrics(); m[`stockroom_notifications_total{result="sent"}`] != 1 {
		t.Errorf("counted are %v", m[`stockroom_notifications_total{result="sent"}`])
	}
	s.stop()
	select {
	case text := <-arrived:
		t.Errorf("one more came: %s", text)
	default:
	}
}
