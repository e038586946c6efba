package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What strangers may cost. These tests run the real binary while strangers attack
// it and the shop's own deliveries go on. They are the exception to the rule that
// no test says how long something may take: a delivery that is answered late is a
// lost one.
const (
	attackAnswer = 5 * time.Second // Shopify gives a delivery up then
	attackMemory = 150 << 20       // of the process at its highest: what a machine with 256 MiB can give
	attackLog    = 100_000         // bytes of log in 10 s: a few kinds of lines, 2 of each a second, and its first 10
	attackFiles  = 2_048 + 256     // open files: the connections that the listener holds, and the program's own
)

// attack is something that strangers do. Each of them does act again and again,
// as fast as it can, until ctx ends.
type attack struct {
	name       string
	few, many  int      // strangers, and with STOCKROOM_TORTURE
	args       []string // of serve
	rows       int      // of the journal and dead letters, the most that may come of it
	act        func(ctx context.Context, s *siege, n int) error
	onlyLong   bool // takes a minute to show
	overTLS    bool // the public listener speaks TLS, with --https
	shouldShow func(t *testing.T, s *siege)
}

// siege is a server under attack.
type siege struct {
	*server
	acts, cut atomic.Int64 // what strangers did; connections that the server closed on them
	serial    atomic.Int64 // makes addresses and ids that were never used before
	captured  delivery     // one delivery of the shop that strangers have seen
	secure    *sockets     // over TLS; nil: the public listener has none
	once      sync.Map     // what they made and send over and over

	mu       sync.Mutex
	answered map[string]int           // the shop's own deliveries, by kind
	slowest  map[string]time.Duration // of them
	trouble  []string
	files    int // the most that were open
}

func (a attack) run(t *testing.T) {
	if a.onlyLong && !torture() {
		t.Skip("takes a minute: runs with STOCKROOM_TORTURE")
	}
	strangers, lasts := a.few, time.Second
	if torture() {
		strangers, lasts = a.many, time.Minute
	}
	s := besiege(t, a.overTLS, a.args...)
	before, logged, began := s.left(t), s.logged(), time.Now()
	ctx, end := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for n := range strangers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if a.act(ctx, s, n) != nil {
					pause(ctx, 200*time.Millisecond) // turned away: tries again soon
				}
				s.acts.Add(1)
			}
		})
	}
	s.shopGoesOn(ctx, began.Add(lasts))
	if a.shouldShow != nil {
		a.shouldShow(t, s)
	}
	took := time.Since(began)
	end()
	wg.Wait()
	for _, what := range s.trouble {
		t.Error(what)
	}
	grew := s.logged() - logged
	if most := attackLog * int(max(took, 10*time.Second)/time.Second) / 10; grew > most {
		t.Errorf("the log grew by %d bytes in %s, want at most %d", grew, took, most)
	}
	var peak int64
	if runtime.GOOS == "linux" { // else memory and open files are not looked at
		if _, peak = memory(t, s.PID); peak > attackMemory {
			t.Errorf("the process took %d MiB, want at most %d", peak>>20, attackMemory>>20)
		}
		if s.files > attackFiles {
			t.Errorf("%d files were open, want at most %d", s.files, attackFiles)
		}
	}
	after := s.left(t)
	for what, n := range after {
		most := 0
		if what == "journal" || what == "letters" || what == "jobs" || what == "wanted" {
			most = a.rows
		}
		if n-before[what] > most {
			t.Errorf("%s: %d more, want at most %d", what, n-before[what], most)
		}
	}
	t.Logf("%d strangers did %d things in %.1f s, %d connections cut; the shop: %v, slowest %v; "+
		"at most %d MiB, %d files; log %d bytes; left %v",
		strangers, s.acts.Load(), took.Seconds(), s.cut.Load(), s.answered, s.slowest, peak>>20, s.files, grew, after)
	s.stop()
}

// besiege starts a server that two shops of one app are connected to.
func besiege(t *testing.T, overTLS bool, args ...string) *siege {
	t.Helper()
	if l, err := net.Listen("tcp", "127.66.0.1:0"); err != nil {
		t.Skipf("strangers need addresses of their own below 127.0.0.0/8: %v", err)
	} else {
		_ = l.Close()
	}
	s := &siege{}
	if overTLS {
		s.secure = newSockets(t)
		s.server = serveKept(t, s.secure)
	} else {
		s.server = startServer(t, serveOptions{Args: args})
	}
	s.answered, s.slowest = map[string]int{}, map[string]time.Duration{}
	addShop(t, s.server, otherShop, e2eSecret)
	s.captured = delivery{Body: productBody(100, 1, 18), WebhookID: "captured"}
	wantAnswer(t, s.post(s.captured), answerApplied)
	return s
}

// left counts what strangers left behind: what is not of the shop's own
// deliveries, which are about products 1 to 4.
func (s *siege) left(t *testing.T) map[string]int {
	t.Helper()
	db := openCatalogue(t, s.Dir)
	defer db.Close()
	const others = ` WHERE external_id NOT IN (1, 2, 3, 4)`
	const strange = ` WHERE webhook_id NOT LIKE 'honest-%' OR webhook_id IS NULL`
	return map[string]int{
		"journal":    count(t, db, `SELECT count(*) FROM deliveries`+strange),
		"products":   count(t, db, `SELECT count(*) FROM products`+others),
		"changes":    count(t, db, `SELECT count(*) FROM changes`+others),
		"tombstones": count(t, db, `SELECT count(*) FROM tombstones`+others),
		"shops":      count(t, db, `SELECT count(*) FROM shops`),
		"wanted":     count(t, db, `SELECT count(*) FROM wanted`),
		"letters":    len(strangers(s.jobs("dead"))),
		"jobs":       len(strangers(s.jobs(""))),
	}
}

// logged is the size of the log without the lines of the shop's own deliveries.
func (s *siege) logged() (size int) {
	for line := range strings.Lines(s.log.String()) {
		if !strings.Contains(line, `"honest-`) {
			size += len(line)
		}
	}
	return size
}

// strangers are the jobs that are not of the shop's own deliveries.
func strangers(jobs []queuedJob) []queuedJob {
	return slices.DeleteFunc(jobs, func(j queuedJob) bool { return strings.HasPrefix(j.WebhookID, "honest-") })
}

// shopGoesOn sends the shop's own deliveries, small ones and large ones at once
// and over a second, and asks the admin listener, until the time has come and each
// was answered several times.
func (s *siege) shopGoesOn(ctx context.Context, until time.Time) {
	transport := &http.Transport{DisableKeepAlives: true}
	if s.secure != nil {
		transport = s.client.Transport.(*http.Transport).Clone()
		transport.DisableKeepAlives = true
	}
	fresh := &http.Client{Transport: transport}
	enough := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		few := s.answered["small"] < 5 || s.answered["large"] < 2 || s.answered["slow"] < 1 || s.answered["admin"] < 2
		return len(s.trouble) > 10 || time.Now().After(until) && (!few || len(s.trouble) > 0)
	}
	var wg sync.WaitGroup
	again := func(round func(version int)) {
		wg.Go(func() {
			for version := 1; !enough() && ctx.Err() == nil; version++ {
				round(version)
			}
		})
	}
	again(func(v int) {
		body := productBody(1, v, 18)
		s.timed(ctx, "small", s.client, s.honest(1, v, body, bytes.NewReader(body)))
		pause(ctx, 50*time.Millisecond)
	})
	again(func(v int) {
		body := largeBody(2, v)
		s.timed(ctx, "large", fresh, s.honest(2, v, body, bytes.NewReader(body)))
		if r, err := http.NewRequest(http.MethodGet, s.Admin+"/api/v1/shops", nil); err == nil {
			r.Header.Set("Authorization", "Bearer "+s.Token)
			s.timed(ctx, "admin", fresh, r)
		}
		if runtime.GOOS == "linux" {
			list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.PID))
			s.files = max(s.files, len(list))
		}
		pause(ctx, 50*time.Millisecond)
	})
	for _, id := range []int64{3, 4} { // side by side, so that two are answered when one is
		again(func(v int) {
			body := largeBody(id, v)
			s.timed(ctx, "slow", fresh, s.honest(id, v, body, &slowly{ctx, body, len(body)}))
		})
	}
	wg.Wait()
}

// largeBody is a product of 1.4 MB.
func largeBody(id int64, version int) []byte {
	body := productBody(id, version, 250)
	return bytes.Replace(body, []byte("Linen"), bytes.Repeat([]byte("Linen"), (1_400_000-len(body))/5), 1)
}

// slowly gives a body evenly over a second.
type slowly struct {
	ctx  context.Context
	rest []byte
	size int
}

func (r *slowly) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	pause(r.ctx, time.Second*time.Duration(n)/time.Duration(r.size))
	return n, nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (s *siege) honest(id int64, version int, body []byte, from io.Reader) *http.Request {
	r := s.request(context.Background(), delivery{Body: body, WebhookID: fmt.Sprintf("honest-%d-%d", id, version)})
	r.Body, r.ContentLength = io.NopCloser(from), int64(len(body))
	return r
}

// timed sends one request of the shop; it has to be answered 200 in time.
func (s *siege) timed(ctx context.Context, kind string, client *http.Client, r *http.Request) {
	ctx, cancel := context.WithTimeout(ctx, attackAnswer)
	defer cancel()
	began := time.Now()
	res, err := client.Do(r.WithContext(ctx))
	var said []byte
	if err == nil {
		said, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	took := time.Since(began)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.trouble = append(s.trouble, fmt.Sprintf("%s, after %.1f s: %v", kind, took.Seconds(), err))
	case res.StatusCode != http.StatusOK || bytes.Contains(said, []byte(`"queued":false`)):
		s.trouble = append(s.trouble, fmt.Sprintf("%s, after %.1f s: %d %.200s", kind, took.Seconds(), res.StatusCode, said))
	default:
		s.answered[kind]++
		s.slowest[kind] = max(s.slowest[kind], took.Round(time.Millisecond))
	}
}

// connect opens a connection of stranger n, from an address of its own. It breaks
// when ctx ends; leave closes it.
func (s *siege) connect(ctx context.Context, base string, n int) (conn *net.TCPConn, leave func(), err error) {
	from := &net.TCPAddr{IP: net.IPv4(127, 66, byte(n>>8), byte(n))}
	u, err := url.Parse(base)
	if err != nil {
		return nil, nil, err
	}
	if u.Scheme == "https" {
		u.Host = s.secure.TLS.Addr().String()
	}
	c, err := (&net.Dialer{LocalAddr: from, Timeout: attackAnswer}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, nil, err
	}
	conn = c.(*net.TCPConn)
	_ = conn.SetLinger(0) // else each port stays taken for a minute
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() { stop(); _ = conn.Close() }, nil
}

// hold keeps a connection until ctx ends or the server closes it.
func (s *siege) hold(conn net.Conn) error {
	_, err := io.Copy(io.Discard, conn)
	return s.ended(err)
}

// ended counts a connection that the server closed.
func (s *siege) ended(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		s.cut.Add(1)
	}
	return err
}

// raw is a delivery as it goes over the wire. declared is its length, 0 for that
// of the body.
func (s *siege) raw(d delivery, declared int) []byte {
	return wire(s.request(context.Background(), d), d.Body, declared)
}

// made returns what build made the first time.
func (s *siege) made(key any, build func() []byte) []byte {
	raw, known := s.once.Load(key)
	if !known {
		raw, _ = s.once.LoadOrStore(key, build())
	}
	return raw.([]byte)
}

func wire(r *http.Request, body []byte, declared int) []byte {
	if declared == 0 {
		declared = len(body)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.URL.RequestURI(), r.URL.Host)
	fmt.Fprintf(&b, "Content-Length: %d\r\n", declared)
	_ = r.Header.Write(&b)
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// stream sends requests over one connection, each after the answer to the one
// before, until it breaks.
func (s *siege) stream(ctx context.Context, base string, n int, next func() []byte) error {
	conn, leave, err := s.connect(ctx, base, n)
	if err != nil {
		return err
	}
	defer leave()
	for in := bufio.NewReader(conn); ctx.Err() == nil; s.acts.Add(1) {
		if _, _, err := exchange(conn, in, next()); err != nil {
			return err
		}
	}
	return nil
}

// exchange sends a request and reads its answer, the head without the date.
func exchange(conn net.Conn, in *bufio.Reader, raw []byte) (status int, answer string, err error) {
	if _, err := conn.Write(raw); err != nil {
		return 0, "", err
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, "", err
	}
	res.Header.Del("Date")
	var head strings.Builder
	_ = res.Header.Write(&head)
	if res.Close {
		err = io.EOF
	}
	return res.StatusCode, fmt.Sprintf("%s\n%s\n%s", res.Status, head.String(), body), err
}

// elsewhere is an address that nobody came from before, in a network of its own:
// a /64 of the same /48, for as long as those last.
func (s *siege) elsewhere() map[string][]string {
	n := s.serial.Add(1)
	return map[string][]string{"X-Forwarded-For": {fmt.Sprintf("2001:db8:%x:%x::1", n>>16, n&0xffff)}}
}
