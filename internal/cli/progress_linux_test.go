package cli

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/store"
	"stockroom/web"
)

// terminal opens a pseudo terminal of some columns: its two ends.
func terminal(t *testing.T, columns uint16) (seen, tty *os.File) {
	t.Helper()
	seen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminal can be had here: ", err)
	}
	t.Cleanup(func() { seen.Close() })
	if err := unix.IoctlSetPointerInt(int(seen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(seen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminal can be had here: ", err)
	}
	t.Cleanup(func() { tty.Close() })
	resize(t, tty, columns)
	return seen, tty
}

func resize(t *testing.T, tty *os.File, columns uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	run := web.Run{SyncRun: store.SyncRun{Phase: "reading", Read: 50_000, Expected: 100_000}, Rate: 1900, EndsAt: now.Add(26 * time.Second)}
	for _, c := range []struct {
		name    string
		environ []string
		draws   bool
	}{
		{"is drawn", []string{"TERM=xterm"}, true},
		{"is drawn without colours as with them", []string{"TERM=xterm", "NO_COLOR=1"}, true},
		{"comes in lines where nothing can be drawn", []string{"TERM=dumb"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen, tty := terminal(t, 80)
			e := &env{Process: Process{Stderr: tty, Environ: c.environ}}
			p := e.newProgress("my-shop.myshopify.com", false)
			p.show(run, now)
			resize(t, tty, 42)
			p.show(run, now)
			p.end()
			if err := tty.Close(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(seen)
			if !errors.Is(err, unix.EIO) { // how it says that the other end is closed
				t.Fatal(err)
			}
			text := string(got)
			if !c.draws {
				if text != "reading 50,000 of 100,000 products, 1,900/s, about 26 s left\r\n" {
					t.Errorf("%q", text)
				}
				return
			}
			s := newScreen(t, 42)
			wide, rest, ok := strings.Cut(text, "\x1b[0K")
			if !ok || !strings.Contains(wide, "50,000 of 100,000 products, 1,900/s") {
				t.Errorf("at 80 columns: %q", wide)
			}
			narrow, rest, ok := strings.Cut(rest, "\x1b[0K")
			if _, err := s.Write([]byte(narrow)); err != nil || !ok || len(s.lines()) != 1 || !strings.Contains(s.lines()[0], "reading, about 26 s left") {
				t.Errorf("at 42 columns: %q", narrow)
			}
			if _, err := s.Write([]byte(rest)); err != nil || s.lines()[0] != "" {
				t.Errorf("left at the end: %q", s.lines())
			}
			if strings.Contains(text, "\x1b[?25") || strings.Contains(text, "\x1b[3") {
				t.Errorf("hides the cursor or has colours: %q", text)
			}
		})
	}
}

func TestALogLineTakesThePlaceOfDrawnProgress(t *testing.T) {
	seen, tty := terminal(t, 80)
	e := &env{Process: Process{Stderr: tty, Environ: []string{"TERM=xterm", "NO_COLOR=1"}}}
	p := e.newProgress("my-shop.myshopify.com", false)
	p.say("waiting for another sync of the shop to end", time.Now())
	e.loggerTo(e.besideProgress(), config.Settings{}, slog.LevelWarn).Warn("calls to Shopify are paused")
	p.say("waiting", time.Now())
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(seen)
	if !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	s := newScreen(t, 80)
	if _, err := s.Write(got); err != nil {
		t.Fatal(err)
	}
	lines := s.lines()
	if len(lines) != 2 || !strings.HasSuffix(lines[0], "WRN calls to Shopify are paused") || strings.Contains(lines[0], "another sync") || !strings.HasSuffix(lines[1], "waiting") {
		t.Errorf("%q", lines)
	}
}

func TestLogLinesHaveColoursOnlyWhereTheyAreWanted(t *testing.T) {
	_, tty := terminal(t, 80)
	for _, c := range []struct {
		environ []string
		want    bool
	}{{[]string{"TERM=xterm"}, true}, {nil, true}, {[]string{"TERM=xterm", "NO_COLOR=1"}, false}, {[]string{"NO_COLOR="}, true}, {[]string{"TERM=dumb"}, false}} {
		e := &env{Process: Process{Stderr: tty, Environ: c.environ}}
		if got := e.colours(); got != c.want {
			t.Errorf("%q: colours %v", c.environ, got)
		}
	}
}

// TestADeepLookSaysOnATerminalThatItGoesOn has a server answer when that was drawn.
func TestADeepLookSaysOnATerminalThatItGoesOn(t *testing.T) {
	drawn := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-drawn
		_, _ = io.WriteString(w, `{"findings":[]}`)
	}))
	defer server.Close()
	path := t.TempDir()
	dir, err := datadir.Open(path, datadir.Options{})
	if err == nil {
		err = dir.Announce(server.URL, "token")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	seen, tty := terminal(t, 80)
	go func() {
		for text := ""; !strings.Contains(text, "reading everything"); {
			part := make([]byte, 200)
			n, err := seen.Read(part)
			if err != nil {
				break
			}
			text += string(part[:n])
		}
		close(drawn)
	}()
	var out bytes.Buffer
	code := Run(t.Context(), Process{Args: []string{"doctor", "--deep", "--data", path}, Environ: []string{"TERM=xterm"},
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: tty})
	if code != config.ExitOK || !strings.Contains(out.String(), "lock: a server runs on ") {
		t.Errorf("exit %d: %s", code, &out)
	}
}
