package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The harness drives the real binary: it builds it once for each set of build
// tags, starts `stockroom serve` on free ports, and posts signed deliveries over
// a real socket.

const (
	e2eShop   = "linen-and-sons.myshopify.com"
	e2eSecret = "shpss_current_0d6c1e5b7a9f4e21"
	e2eOld    = "shpss_previous_77aa02c4b1d94fd0"
)

// atOnce is how many parallel tests run at a time, on a small machine too: they wait
// for processes more than they compute. Those that measure run before, each alone.
const atOnce = 6

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(max(atOnce, runtime.GOMAXPROCS(0))))
	}
	code := m.Run()
	built.mu.Lock()
	defer built.mu.Unlock()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// built holds the binaries of this test run, by build tags.
var built struct {
	mu    sync.Mutex
	dir   string
	paths map[string]string
}

// binary builds the program with the given build tags, once, and returns its
// path.
func binary(tb testing.TB, tags ...string) string {
	tb.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	key := strings.Join(tags, ",")
	if path, ok := built.paths[key]; ok {
		return path
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "stockroom-e2e-")
		if err != nil {
			tb.Fatal(err)
		}
		built.dir, built.paths = dir, map[string]string{}
	}
	folder := filepath.Join(built.dir, "bin-"+key)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(folder, "stockroom")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	// Without -trimpath it takes over what was compiled for the tests.
	cmd := exec.Command("go", "build", "-buildvcs=false", "-tags", key, "-ldflags", "-s -w -X main.version=e2e", "-o", path, "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v\n%s", err, out)
	}
	built.paths[key] = path
	return path
}

// cleanEnv is an environment without a shop and without settings.
func cleanEnv(more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SHOPIFY_") && !strings.HasPrefix(v, "STOCKROOM_") {
			env = append(env, v)
		}
	}
	return append(env, more...)
}

// shopEnv declares e2eShop with the current and the previous secret.
func shopEnv() []string {
	return []string{
		"SHOPIFY_SHOP=" + e2eShop, "SHOPIFY_API_KEY=0f1e2d3c", "SHOPIFY_API_SECRET=" + e2eSecret,
		"SHOPIFY_API_SECRET_PREVIOUS=" + e2eOld, "SHOPIFY_MERCHANT_ID=merchant-7",
	}
}

// serveOptions say how a server is started.
type serveOptions struct {
	Dir    string   // data dir; "" makes one in tb.TempDir
	Binary string   // "" builds it
	Args   []string // after serve
	Env    []string // beyond cleanEnv; nil means shopEnv
	Prefix []string // a command to run it under, such as strace with its flags
	Demo   []string // runs demo with these arguments instead of serve
	// Sockets are handed to it as a service manager does, in place of --listen.
	Sockets *sockets
}

// server is a running `stockroom serve`.
type server struct {
	tb     testing.TB
	Dir    string
	Public string // base URL of the public listener
	Admin  string // base URL of the admin listener
	Token  string // of admin.json
	PID    int
	Ready  time.Duration // from the start of the process to its "serving" line
	cmd    *exec.Cmd
	log    *logBuffer
	out    *os.File      // what it writes is read from here
	unread sync.Mutex    // who holds it keeps the output from being read
	ended  chan struct{} // closed when the process has ended
	done   chan struct{} // and when its output has been read as well
	code   int           // exit code, after ended; -1 for a signal
	client *http.Client
}

// logBuffer keeps what a process writes and lets others wait for a line.
type logBuffer struct {
	mu    sync.Mutex
	text  bytes.Buffer
	waits []logWait
}

type logWait struct {
	part  string
	found chan string
}

func (l *logBuffer) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(line + "\n")
	rest := l.waits[:0]
	for _, w := range l.waits {
		if strings.Contains(line, w.part) {
			w.found <- line
		} else {
			rest = append(rest, w)
		}
	}
	l.waits = rest
}

// String is everything written so far.
func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// wait returns a channel that gets the first line with part in it, old ones
// included.
func (l *logBuffer) wait(part string) <-chan string {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := make(chan string, 1)
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, part) {
			found <- strings.TrimSuffix(line, "\n")
			return found
		}
	}
	l.waits = append(l.waits, logWait{part, found})
	return found
}

// startServer starts the server and waits until it serves. It is killed when
// the test ends, at the latest.
func startServer(tb testing.TB, o serveOptions) *server {
	tb.Helper()
	s := launch(tb, o)
	select {
	case line := <-s.log.wait(`"serving"`):
		s.announced(line)
	case <-s.done:
		tb.Fatalf("the server ended with code %d before it served:\n%s", s.code, s.log)
	case <-time.After(patience):
		tb.Fatalf("the server does not serve:\n%s", s.log)
	}
	return s
}

// launch starts the process without waiting for anything.
func launch(tb testing.TB, o serveOptions) *server {
	tb.Helper()
	if o.Binary == "" {
		o.Binary = binary(tb)
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(tb.TempDir(), "data")
	}
	if o.Env == nil {
		o.Env = shopEnv()
	}
	args := append(append([]string{}, o.Prefix...), o.Binary, "serve", "--data", o.Dir,
		"--admin-listen", "127.0.0.1:0", "--log-format", "json")
	if o.Sockets == nil {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	args = append(args, o.Args...)
	if !slices.Contains(o.Args, "--api-base") {
		args = append(args, "--api-base", "http://127.0.0.1:1") // tests call nobody
	}
	if o.Demo != nil {
		args = append([]string{o.Binary, "demo"}, o.Demo...)
	}
	s := &server{
		tb: tb, Dir: o.Dir, log: &logBuffer{}, ended: make(chan struct{}), done: make(chan struct{}),
		client: &http.Client{
			Timeout:       30 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: 512, MaxIdleConns: 1024},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Env = cleanEnv(o.Env...)
	if o.Sockets != nil {
		o.Sockets.hand(tb, s.cmd)
	}
	out, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr, s.out = w, w, out
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	_ = w.Close()
	s.PID = s.cmd.Process.Pid
	read := make(chan struct{})
	go func() {
		defer close(read)
		in := bufio.NewScanner(out)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			if s.Ready == 0 && strings.Contains(in.Text(), `"serving"`) {
				s.Ready = time.Since(began)
			}
			s.unread.Lock()
			s.log.add(in.Text())
			s.unread.Unlock()
		}
	}()
	go func() {
		err := s.cmd.Wait()
		s.code = s.cmd.ProcessState.ExitCode()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			s.code = -2
		}
		close(s.ended)
		<-read
		_ = out.Close()
		close(s.done)
	}()
	tb.Cleanup(func() {
		s.client.CloseIdleConnections()
		_ = s.cmd.Process.Kill()
		<-s.done
		if tb.Failed() {
			tb.Logf("log of the server in %s:\n%s", s.Dir, tail(s.log.String(), 60))
		}
	})
	return s
}

// announced reads the addresses from the "serving" line and the token from
// admin.json, which the server writes right after it.
func (s *server) announced(line string) {
	s.tb.Helper()
	var said struct{ Webhooks, Page string }
	if err := json.Unmarshal([]byte(line), &said); err != nil {
		s.tb.Fatalf("serving line: %v: %s", err, line)
	}
	s.Public, s.Admin = strings.TrimSuffix(said.Webhooks, "/webhooks/shopify/products"), said.Page
	var admin struct {
		URL, Token string
		PID        int
	}
	await(s.tb, "admin.json of this process", func() bool {
		text, err := os.ReadFile(filepath.Join(s.Dir, "admin.json"))
		return err == nil && json.Unmarshal(text, &admin) == nil && admin.URL == s.Admin
	})
	s.Token, s.PID = admin.Token, admin.PID
}

// tail returns the last n lines.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// patience is how long anything that has to happen may take. It is no promise of
// the program: a busy machine takes its time, and only a failure waits this long.
const patience = 2 * time.Minute

// await polls until ok holds; the test fails when patience ends.
func await(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("not within %s: %s", patience, what)
		}
		<-tick.C
	}
}

// kill ends the process with SIGKILL and waits for its end.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// signal sends a signal to the server.
func (s *server) signal(sig os.Signal) {
	s.tb.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.tb.Fatalf("signal %v: %v", sig, err)
	}
}

// wait returns the exit code and how long the end took from now.
func (s *server) wait() (code int, took time.Duration) {
	s.tb.Helper()
	began := time.Now()
	select {
	case <-s.done:
		return s.code, time.Since(began)
	case <-time.After(patience):
		s.tb.Fatalf("the server still runs after %s", patience)
		return 0, 0
	}
}

// stop ends the server with SIGTERM; it has to exit 0.
func (s *server) stop() {
	s.tb.Helper()
	s.signal(syscall.SIGTERM)
	if code, _ := s.wait(); code != 0 {
		s.tb.Fatalf("exit code %d after SIGTERM\n%s", code, tail(s.log.String(), 20))
	}
}

// delivery is one webhook to be posted. Empty fields take their usual value.
type delivery struct {
	Method    string // POST
	Path      string // /webhooks/shopify/products
	Shop      string // e2eShop
	Topic     string // products/update
	WebhookID string // "" leaves the header out
	Secret    string // e2eSecret
	Body      []byte
	// Header is set last; a nil value removes a header.
	Header map[string][]string
}

// reply is an answer read to its end.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

func (r reply) String() string { return fmt.Sprintf("%d %s", r.Status, r.Body) }

// sign returns the value of the HMAC header.
func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func orElse(s, normal string) string {
	if s == "" {
		return normal
	}
	return s
}

// request builds the request of a delivery.
func (s *server) request(ctx context.Context, d delivery) *http.Request {
	r, err := http.NewRequestWithContext(ctx, orElse(d.Method, http.MethodPost), s.Public+orElse(d.Path, "/webhooks/shopify/products"), bytes.NewReader(d.Body))
	if err != nil {
		panic(err) // a test names a path that is none
	}
	h := r.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Shopify-Captain-Hook")
	h.Set("X-Shopify-Topic", orElse(d.Topic, "products/update"))
	h.Set("X-Shopify-Shop-Domain", orElse(d.Shop, e2eShop))
	h.Set("X-Shopify-Hmac-Sha256", sign(orElse(d.Secret, e2eSecret), d.Body))
	if d.WebhookID != "" {
		h.Set("X-Shopify-Webhook-Id", d.WebhookID)
	}
	for name, values := range d.Header {
		h.Del(name)
		for _, v := range values {
			h.Add(name, v)
		}
	}
	return r
}

// try posts a delivery; an error means that no whole answer came.
func (s *server) try(ctx context.Context, d delivery) (reply, error) {
	res, err := s.client.Do(s.request(ctx, d))
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(body)}, err
}

// post posts a delivery and fails the test without an answer.
func (s *server) post(d delivery) reply {
	s.tb.Helper()
	r, err := s.try(s.tb.Context(), d)
	if err != nil {
		s.tb.Fatalf("post: %v", err)
	}
	return r
}

// admin asks the admin listener with its token and returns the answer.
func (s *server) admin(method, path, body string) reply {
	s.tb.Helper()
	return s.as(s.Token, method, path, body)
}

// as asks the admin listener with another token, "" for none.
func (s *server) as(token, method, path, body string) reply {
	s.tb.Helper()
	r, err := http.NewRequestWithContext(s.tb.Context(), method, s.Admin+path, strings.NewReader(body))
	if err != nil {
		s.tb.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := s.client.Do(r)
	if err != nil {
		s.tb.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.tb.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{res.StatusCode, res.Header, string(text)}
}

// metrics reads /metrics: each series, as written, to its value.
func (s *server) metrics() map[string]float64 {
	s.tb.Helper()
	r := s.admin(http.MethodGet, "/metrics", "")
	if r.Status != http.StatusOK {
		s.tb.Fatalf("/metrics: %s", r)
	}
	return parseMetrics(s.tb, r.Body)
}

func parseMetrics(tb testing.TB, text string) map[string]float64 {
	tb.Helper()
	series := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			tb.Fatalf("metrics: %q: %v", line, err)
		}
		series[line[:i]] = v
	}
	return series
}

// cliResult is what a command did.
type cliResult struct {
	Code           int
	Stdout, Stderr string
}

// runCLI runs the binary with the environment beyond cleanEnv.
func runCLI(tb testing.TB, env []string, stdin string, args ...string) cliResult {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), binary(tb), args...)
	cmd.Env = cleanEnv(env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatalf("stockroom %s: %v", strings.Join(args, " "), err)
	}
	return cliResult{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// cli runs a command on the server's data dir; it has to succeed.
func (s *server) cli(args ...string) string {
	s.tb.Helper()
	r := runCLI(s.tb, nil, "", append(args, "--data", s.Dir)...)
	if r.Code != 0 {
		s.tb.Fatalf("stockroom %s: exit %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// queuedJob is a job as `queue list --json` shows it.
type queuedJob struct {
	ID, Kind, Key, Shop, Topic, State, Class, Reason string
	WebhookID                                        string    `json:"webhook_id"`
	Attempts                                         int       `json:"attempts"`
	MaxAttempts                                      int       `json:"max_attempts"`
	FirstError                                       string    `json:"first_error"`
	LastError                                        string    `json:"last_error"`
	EnqueuedAt                                       time.Time `json:"enqueued_at"`
	ReceivedAt                                       time.Time `json:"received_at"`
	DiedAt                                           time.Time `json:"died_at"`
	Labels                                           map[string]string
	Data                                             json.RawMessage
}

// jobs lists up to 1,000 jobs with their payloads; state "" means all.
func (s *server) jobs(state string) []queuedJob {
	s.tb.Helper()
	r := s.admin(http.MethodGet, "/api/v1/jobs?limit=1000&data=true&state="+state, "")
	if r.Status != http.StatusOK {
		s.tb.Fatalf("jobs: %s", r)
	}
	var doc struct{ Jobs []queuedJob }
	if err := json.Unmarshal([]byte(r.Body), &doc); err != nil {
		s.tb.Fatal(err)
	}
	return doc.Jobs
}

// openCatalogue opens products.db of a data dir for reading, beside a running
// server or without one.
func openCatalogue(tb testing.TB, dir string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "products.db")+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// count runs a query that returns one number.
func count(tb testing.TB, db *sql.DB, query string, args ...any) int {
	tb.Helper()
	var n int
	if err := db.QueryRowContext(tb.Context(), query, args...).Scan(&n); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return n
}

// productBody is a products/update body. version is in its title and, as
// seconds, in its updated_at; the variants' ids are id*10000+1 and so on.
func productBody(id int64, version, variants int) []byte {
	at := time.Date(2026, 11, 1, 0, 0, version, 0, time.UTC).Format(time.RFC3339)
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"id":%d,"title":"Product %d v%d","body_html":"\u003cp\u003eLinen\u003c\/p\u003e","vendor":"Acme","product_type":"Shirts","handle":"product-%d",`+
		`"tags":"linen, summer","status":"active","created_at":"2026-01-01T00:00:00Z","published_at":"2026-01-01T00:00:00Z","updated_at":%q,`+
		`"options":[{"id":%d,"name":"Size","position":1,"values":["S"]}],"images":[],"image":null,"variants":[`, id, id, version, id, at, id)
	for i := range variants {
		if i > 0 {
			b.WriteByte(',')
		}
		v := id*10000 + int64(i) + 1
		fmt.Fprintf(&b, `{"id":%d,"product_id":%d,"title":"S%d","sku":"SKU-%d-%d","barcode":null,"price":"%d.90","compare_at_price":null,"position":%d,"option1":"S%d","option2":null,"option3":null,"image_id":null,`+
			`"inventory_item_id":%d,"inventory_quantity":%d,"inventory_policy":"deny","taxable":true,"created_at":"2026-01-01T00:00:00Z","updated_at":%q}`,
			v, id, i, id, i, 10+version%90, i+1, i, v, version, at)
	}
	b.WriteString(`],"variant_gids":[`)
	for i := range variants {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"admin_graphql_api_id":"gid:\/\/shopify\/ProductVariant\/%d","updated_at":%q}`, id*10000+int64(i)+1, at)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}
