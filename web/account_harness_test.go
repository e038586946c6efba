package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stockroom/internal/admit"
	"stockroom/internal/state"
)

const (
	testPassword = "linen and wool"
	plainCookie  = "stockroom"
	secureCookie = "__Host-stockroom"
	deviceSuffix = "-device"
)

// nameOf is what the session with an id is called on the page and on disk.
func nameOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

func isSafe(method string) bool { return method == "GET" || method == "HEAD" || method == "OPTIONS" }

// memoryKeeper keeps in memory what state.db keeps. Its writes can fail.
type memoryKeeper struct {
	mu     sync.Mutex
	values map[string][]byte
	broken error
}

func newMemoryKeeper() *memoryKeeper { return &memoryKeeper{values: map[string][]byte{}} }

func (k *memoryKeeper) Put(namespace, name string, value []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken == nil {
		k.values[namespace+"/"+name] = slices.Clone(value)
	}
	return k.broken
}

func (k *memoryKeeper) Note(namespace, name string, value []byte) {
	if _, there := k.Get(namespace, name); there {
		_ = k.Put(namespace, name, value)
	}
}

func (k *memoryKeeper) Get(namespace, name string) ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.values[namespace+"/"+name]
	return v, ok
}

func (k *memoryKeeper) Delete(namespace string, names ...string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, name := range names {
		if k.broken == nil {
			delete(k.values, namespace+"/"+name)
		}
	}
	return k.broken
}

func (k *memoryKeeper) Names(namespace string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var names []string
	for _, key := range slices.Sorted(maps.Keys(k.values)) {
		if name, ok := strings.CutPrefix(key, namespace+"/"); ok {
			names = append(names, name)
		}
	}
	return names
}

// testAccount keeps a password in memory; the wiring's keeps an argon2id hash.
type testAccount struct {
	mu       sync.Mutex
	password string
	turn     int // how often it was changed
	checks   int // calls of Verify
	fixed    string
	broken   error // what changes return
}

func newTestAccount(password string) *testAccount { return &testAccount{password: password} }

func (a *testAccount) Mark() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.password == "" {
		return ""
	}
	return hex.EncodeToString([]byte{byte(a.turn)}) + a.password[:3]
}

func (a *testAccount) Verify(text string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.checks++
	return a.password != "" && text == a.password
}

func (a *testAccount) SetPassword(text string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fixed != "" {
		return admit.PasswordFixed(a.fixed)
	}
	if a.broken != nil {
		return a.broken
	}
	a.password, a.turn = text, a.turn+1
	return nil
}

func (a *testAccount) ClearPassword() error { return a.SetPassword("") }

func (a *testAccount) Fixed() string { return a.fixed }

// accountRig is a server with a password, a state.db and a log that is kept.
type accountRig struct {
	*rig
	account *testAccount
	state   *state.Store
	path    string // of state.db
	log     *bytes.Buffer
	admin   http.Handler
}

// newAccountRig builds a server whose password is password, "" for none.
func newAccountRig(t testing.TB, password string, change func(*Options)) *accountRig {
	t.Helper()
	a := &accountRig{account: newTestAccount(password), log: new(bytes.Buffer), path: filepath.Join(t.TempDir(), "state.db")}
	var err error
	if a.state, err = state.Open(a.path, time.Now(), state.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.state.Close() })
	a.rig = newRig(t, func(o *Options) {
		o.Admit.Account, o.Admit.Keeper = a.account, a.state
		o.Logger = slog.New(slog.NewJSONHandler(&lockedWriter{w: a.log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if change != nil {
			change(o)
		}
	})
	a.admin = a.Server.Admin()
	return a
}

type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// setupLink is a new link for setting the password.
func (a *accountRig) setupLink() (path string, until time.Time) {
	return a.gate.SetupLink()
}

// enter returns the cookie of a session that began with a link.
func (a *accountRig) enter() string {
	a.t.Helper()
	link, _ := a.NewLoginLink()
	w := a.browse("GET", link, "")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
		a.t.Fatalf("a link: %d %s", w.Code, w.Body)
	}
	return cookieOf(a.t, w).Value
}

// restart builds a second server on the same state.db, as the next process has it.
func (a *accountRig) restart() {
	a.t.Helper()
	if err := a.state.Close(); err != nil {
		a.t.Fatal(err)
	}
	var err error
	if a.state, err = state.Open(a.path, time.Now(), state.Options{}); err != nil {
		a.t.Fatal(err)
	}
	a.opt.Admit.Keeper = a.state
	a.Server = New(a.opt)
	a.admin = a.Server.Admin()
}

// browse sends what a browser sends that follows a link of ours or types an
// address.
func (a *accountRig) browse(method, target, cookie string, header ...string) *httptest.ResponseRecorder {
	h := append([]string{"Accept", "text/html,application/xhtml+xml", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate"}, header...)
	r := request(method, target, "", h...)
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: plainCookie, Value: cookie})
	}
	return serve(a.admin, r)
}

// submit sends a form of our own page.
func (a *accountRig) submit(target, cookie string, form url.Values, header ...string) *httptest.ResponseRecorder {
	h := append([]string{"Accept", "text/html", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Content-Type", "application/x-www-form-urlencoded"}, header...)
	r := request("POST", target, form.Encode(), h...)
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: plainCookie, Value: cookie})
	}
	return serve(a.admin, r)
}

// login returns the cookie of a new session.
func (a *accountRig) login(password string, header ...string) string {
	a.t.Helper()
	w := a.submit("/login", "", url.Values{"password": {password}}, header...)
	if w.Code != http.StatusSeeOther {
		a.t.Fatalf("login: %d %s", w.Code, w.Body)
	}
	return cookieOf(a.t, w).Value
}

// cookieOf returns the session's cookie, which an answer sets once.
func cookieOf(t testing.TB, w *httptest.ResponseRecorder) *http.Cookie {
	t.Helper()
	set := slices.DeleteFunc(w.Result().Cookies(), isDevice)
	if len(set) != 1 {
		t.Fatalf("%d cookies set: %q", len(set), w.Header().Values("Set-Cookie"))
	}
	return set[0]
}

// deviceSet returns the device cookie that an answer sets, nil for none.
func deviceSet(w *httptest.ResponseRecorder) *http.Cookie {
	set := w.Result().Cookies()
	if i := slices.IndexFunc(set, isDevice); i >= 0 {
		return set[i]
	}
	return nil
}

func isDevice(c *http.Cookie) bool { return strings.HasSuffix(c.Name, deviceSuffix) }

// welcome reports whether the cookie opens the status page.
func (a *accountRig) welcome(cookie string) bool {
	a.t.Helper()
	w := a.browse("GET", "/api/v1/status", cookie)
	if w.Code != 200 && (w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), "/login")) {
		a.t.Fatalf("neither let in nor sent to the login: %d %s", w.Code, w.Body)
	}
	return w.Code == 200
}

// isOpen reports whether a path is for those who are not logged in.
func isOpen(path string) bool {
	return path == "/login" || path == "/setup" || path == "/readyz" || strings.HasPrefix(path, "/assets/")
}
