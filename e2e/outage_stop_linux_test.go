package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// stopIn is how long a stop may take here; of the ten seconds that are promised the
// rest is for a busy machine.
const stopIn = 15 * time.Second

// TestASignalStopsWhateverHangs stops a server while something holds it up that others
// can hold, for longer than any test takes.
func TestASignalStopsWhateverHangs(t *testing.T) {
	t.Parallel()
	large := func(id int64) []byte {
		return bytes.Replace(productBody(id, 1, 1), []byte("Linen"), bytes.Repeat([]byte("linen"), 100_000), 1)
	}
	for name, prepare := range map[string]func(t *testing.T, o *serveOptions) (hold func(s *server)){
		"the catalogue is locked by another program": func(t *testing.T, _ *serveOptions) func(*server) {
			return func(s *server) {
				lockCatalogue(t, s.Dir)
				wantAnswer(t, s.post(delivery{Body: productBody(1, 2, 1)}), answerQueued)
			}
		},
		"the shop never answers": func(t *testing.T, o *serveOptions) func(*server) {
			shop, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { shop.Close() })
			o.Args = []string{"--api-base", "http://" + shop.Addr().String()}
			return func(*server) {
				c, err := shop.Accept()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
			}
		},
		"an export is not read": func(t *testing.T, _ *serveOptions) func(*server) {
			return func(s *server) {
				for id := range int64(30) {
					wantAnswer(t, s.post(delivery{Body: large(id + 2)}), answerApplied)
				}
				unread(t, s, "/api/v1/products-export")
			}
		},
		"an event stream is open": func(t *testing.T, _ *serveOptions) func(*server) {
			return func(s *server) { unread(t, s, "/events") }
		},
		"the service manager does not listen": func(t *testing.T, o *serveOptions) func(*server) {
			addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
			l, err := net.ListenUnixgram("unixgram", addr)
			if err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { l.Close() })
			fill, err := net.DialUnix("unixgram", nil, addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { fill.Close() })
			for err == nil {
				_ = fill.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
				_, err = fill.Write([]byte("STATUS=full"))
			}
			o.Env = append(shopEnv(), "NOTIFY_SOCKET="+addr.Name)
			return func(*server) {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var o serveOptions
			hold := prepare(t, &o)
			s := startServer(t, o)
			wantAnswer(t, s.post(delivery{Body: productBody(1, 1, 1)}), answerApplied)
			hold(s)
			s.signal(syscall.SIGTERM)
			if code, took := s.wait(); code != 0 || took > stopIn {
				t.Errorf("exit code %d after %s", code, took)
			}
		})
	}
}

// unread asks for an answer and reads its head only.
func unread(t *testing.T, s *server, path string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	res, err := s.client.Do(r)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v, %v", path, res, err)
	}
	t.Cleanup(func() { res.Body.Close() })
}

// TestASignalStopsACommandWhoseOutputIsNotRead: a command waits for whoever reads it,
// but not when it was told to stop.
func TestASignalStopsACommandWhoseOutputIsNotRead(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	wantAnswer(t, s.post(delivery{Body: bytes.Replace(productBody(1, 1, 1), []byte("Linen"), bytes.Repeat([]byte("linen"), 100_000), 1)}), answerApplied)
	for name, stop := range map[string]func(){"a server runs": func() {}, "none does": s.stop} {
		stop()
		cmd := exec.Command(binary(t), "products", "export", "--data", s.Dir)
		cmd.Env = cleanEnv()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = w, w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		err = cmd.Wait()
		late.Stop()
		var exit *exec.ExitError
		if took := time.Since(began); !errors.As(err, &exit) || exit.ExitCode() != 1 || took > stopIn {
			t.Errorf("%s: %v after %s", name, err, took)
		}
		r.Close()
	}
}
