package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The load of BenchmarkLive: deliveries a second for some seconds, over kept
// connections, while pages are open. STOCKROOM_LIVE_SECONDS changes how long.
const (
	liveRate        = 1000
	liveSeconds     = 20
	liveConnections = 20
	livePages       = 20
	liveProducts    = 100 // of each connection
)

// BenchmarkLive measures how soon open pages are told of a commit while 1,000
// signed deliveries a second arrive at the real binary, and what that costs the
// deliveries: phases without and with 20 event streams take turns. delay is the
// time from the answer of a delivery to the event that covers its change, in
// each of the streams; p50 and p99 are the deliveries' own, from the instant
// each was due. One line holds all:
//
//	go test -run '^$' -bench '^BenchmarkLive$' -benchtime 1x .
func BenchmarkLive(b *testing.B) {
	seconds := liveSeconds
	if text := os.Getenv("STOCKROOM_LIVE_SECONDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			b.Fatalf("STOCKROOM_LIVE_SECONDS: %q", text)
		}
		seconds = n
	}
	env := []string{"SHOPIFY_SHOP=" + benchShop, "SHOPIFY_API_KEY=k", "SHOPIFY_API_SECRET=" + benchSecret}
	s := startServer(b, serveOptions{Env: env})
	l := newLiveLoad(b, s)
	l.run(0, 2) // every product exists, and the process is warm
	for b.Loop() {
		var without, with livePhase
		for _, pages := range []int{0, livePages, livePages, 0} { // the file grows meanwhile: neither is always first
			phase := &without
			if pages > 0 {
				phase = &with
			}
			phase.add(l.run(pages, seconds/2+1))
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(with.rate(), "webhooks/s")
		b.ReportMetric(with.events, "events/s/page")
		for _, q := range []struct {
			name string
			at   float64
		}{{"p50", 0.5}, {"p99", 0.99}, {"max", 1}} {
			b.ReportMetric(quantile(with.delays, q.at), q.name+"-ms-delay")
			b.ReportMetric(quantile(without.took, q.at), q.name+"-ms-without")
			b.ReportMetric(quantile(with.took, q.at), q.name+"-ms-with")
		}
		if with.cpu > 0 {
			b.ReportMetric(without.cpuEach(), "cpu-us/webhook-without")
			b.ReportMetric(with.cpuEach(), "cpu-us/webhook-with")
		}
		b.Logf("%.0f webhooks/s, %d pages told after p50 %.0f, p99 %.0f, at most %.0f ms; webhooks p50 %.2f and p99 %.2f ms, without pages %.2f and %.2f ms; CPU %.0f us each, without pages %.0f",
			with.rate(), livePages, quantile(with.delays, .5), quantile(with.delays, .99), quantile(with.delays, 1), quantile(with.took, .5), quantile(with.took, .99),
			quantile(without.took, .5), quantile(without.took, .99), with.cpuEach(), without.cpuEach())
	}
}

func quantile(list []time.Duration, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return float64(list[int(q*float64(len(list)-1))].Microseconds()) / 1000
}

// livePhase is what was measured while a number of pages was open.
type livePhase struct {
	took, delays []time.Duration
	wall, cpu    time.Duration
	events       float64 // a second, each page
}

func (p *livePhase) add(more livePhase) {
	p.took, p.delays = append(p.took, more.took...), append(p.delays, more.delays...)
	p.wall, p.cpu, p.events = p.wall+more.wall, p.cpu+more.cpu, max(p.events, more.events)
}

func (p *livePhase) rate() float64 { return float64(len(p.took)) / p.wall.Seconds() }
func (p *livePhase) cpuEach() float64 {
	return float64(p.cpu.Microseconds()) / float64(len(p.took))
}

// liveLoad posts deliveries, each connection to products of its own, so that the
// n-th change of a product in the feed is that of its n-th delivery.
type liveLoad struct {
	b       *testing.B
	s       *server
	clients []*benchClient
}

func newLiveLoad(b *testing.B, s *server) *liveLoad {
	l := &liveLoad{b: b, s: s}
	for c := range liveConnections {
		l.clients = append(l.clients, newBenchClient(b, strings.TrimPrefix(s.Public, "http://"), uint64(c)))
	}
	return l
}

// run posts for some seconds with a number of pages open.
func (l *liveLoad) run(pages, seconds int) livePhase {
	l.b.Helper()
	after := l.seq()
	var open []*livePage
	for range pages {
		open = append(open, l.open())
	}
	cpu := serverCPU(l.b, l.s.PID)
	began := time.Now()
	answered := make([]map[int64][]time.Time, liveConnections) // by product, in order
	took := make([][]time.Duration, liveConnections)
	var wg sync.WaitGroup
	for c, client := range l.clients {
		answered[c] = map[int64][]time.Time{}
		wg.Go(func() {
			for n := c; n < liveRate*seconds; n += liveConnections {
				due := began.Add(time.Duration(n) * time.Second / liveRate)
				time.Sleep(time.Until(due))
				id := int64(c*liveProducts + n/liveConnections%liveProducts + 1)
				if !client.post(id) {
					return
				}
				at := time.Now()
				took[c] = append(took[c], at.Sub(due))
				answered[c][id] = append(answered[c][id], at)
			}
		})
	}
	wg.Wait()
	p := livePhase{wall: time.Since(began), cpu: serverCPU(l.b, l.s.PID) - cpu}
	if l.b.Failed() {
		l.b.FailNow()
	}
	seqs := l.changes(after)
	last := l.seq()
	for c := range liveConnections {
		p.took = append(p.took, took[c]...)
	}
	for _, page := range open {
		told := page.until(last)
		p.events = max(p.events, float64(len(told))/p.wall.Seconds())
		for c := range liveConnections {
			for id, times := range answered[c] {
				if len(seqs[id]) != len(times) {
					l.b.Fatalf("product %d: %d changes for %d deliveries", id, len(seqs[id]), len(times))
				}
				for i, at := range times {
					n, _ := slices.BinarySearchFunc(told, seqs[id][i], func(e liveEvent, seq int64) int { return int(e.seq - seq) })
					p.delays = append(p.delays, max(0, told[n].at.Sub(at)))
				}
			}
		}
	}
	return p
}

// seq is the end of the change feed.
func (l *liveLoad) seq() int64 { return int64(l.s.metrics()["stockroom_change_seq"]) }

// changes reads the numbers of each product's changes, in order.
func (l *liveLoad) changes(after int64) map[int64][]int64 {
	l.b.Helper()
	list := map[int64][]int64{}
	for {
		r := l.s.admin(http.MethodGet, fmt.Sprintf("/api/v1/changes?limit=10000&after=%d", after), "")
		if r.Status != http.StatusOK {
			l.b.Fatalf("changes: %s", r)
		}
		n := 0
		for line := range strings.Lines(r.Body) {
			var c struct {
				Seq int64
				ID  int64 `json:"external_id"`
			}
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				l.b.Fatal(err)
			}
			list[c.ID] = append(list[c.ID], c.Seq)
			after = c.Seq
			n++
		}
		if n == 0 {
			return list
		}
	}
}

type liveEvent struct {
	seq int64
	at  time.Time
}

// livePage follows /events as a browser does.
type livePage struct {
	b      *testing.B
	body   func() error
	events chan liveEvent
}

func (l *liveLoad) open() *livePage {
	l.b.Helper()
	r, err := http.NewRequestWithContext(l.b.Context(), http.MethodGet, l.s.Admin+"/events", nil)
	if err != nil {
		l.b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+l.s.Token)
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil || res.StatusCode != http.StatusOK {
		l.b.Fatalf("events: %v %v", res, err)
	}
	p := &livePage{b: l.b, body: res.Body.Close, events: make(chan liveEvent, 1<<16)}
	go func() {
		defer close(p.events)
		for in := bufio.NewScanner(res.Body); in.Scan(); {
			data, ok := strings.CutPrefix(in.Text(), "data: ")
			var e struct{ Seq int64 }
			if ok && json.Unmarshal([]byte(data), &e) == nil && e.Seq > 0 {
				p.events <- liveEvent{e.Seq, time.Now()}
			}
		}
	}()
	return p
}

// until closes the page once it was told of seq, and returns what it was told.
func (p *livePage) until(seq int64) (told []liveEvent) {
	p.b.Helper()
	defer p.body()
	patient := time.After(time.Minute)
	for {
		select {
		case e, ok := <-p.events:
			if !ok {
				p.b.Fatal("an event stream ended")
			}
			if len(told) == 0 || e.seq > told[len(told)-1].seq {
				told = append(told, e)
			}
			if e.seq >= seq {
				return told
			}
		case <-patient:
			p.b.Fatalf("a page was never told of change %d", seq)
		}
	}
}

// serverCPU is the processor time of a process, 0 where it can't be read.
func serverCPU(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold blanks
	f := strings.Fields(rest)
	var ticks int64
	for _, n := range f[11:13] { // utime and stime, in hundredths of a second
		v, err := strconv.ParseInt(n, 10, 64)
		if err != nil {
			tb.Fatal(err)
		}
		ticks += v
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
