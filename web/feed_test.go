package web

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stockroom/internal/admit"
	"stockroom/internal/catalog"
	"stockroom/queue"
	"stockroom/store"
)

// listen serves the admin side on a real socket with the timeouts of the real
// server.
func (r *rig) listen() string {
	r.t.Helper()
	srv := httptest.NewUnstartedServer(r.Admin())
	srv.Config.ReadTimeout = 300 * time.Millisecond // 30 s in earnest
	srv.Config.RegisterOnShutdown(r.EndStreams)
	srv.Start()
	r.t.Cleanup(func() {
		r.EndStreams()
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

// event is one server-sent event.
type event struct{ id, kind, data string }

// reader reads an event stream.
type reader struct {
	body io.ReadCloser
	in   *bufio.Scanner
}

// follow opens an event stream; the status has to be want.
func follow(t testing.TB, want int, url string, header ...string) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != want {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("status %d, want %d: %s", resp.StatusCode, want, body)
	}
	return &reader{body: resp.Body, in: bufio.NewScanner(resp.Body)}
}

// next returns the next event that has data, false at the end of the stream.
func (r *reader) next() (e event, ok bool) {
	for r.in.Scan() {
		name, value, _ := strings.Cut(r.in.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			e.data = value
		case "":
			if e.data != "" {
				return e, true
			}
		}
	}
	return e, false
}

func (r *rig) changes(n int) {
	r.t.Helper()
	for range n {
		r.edit(r.store.LastSeq()%5 + 1)
	}
}

// edit writes one change of a product.
func (r *rig) edit(id int64) {
	r.t.Helper()
	if err := edit(r.store, testShop, id); err != nil {
		r.t.Error(err)
	}
}

func edit(s *store.Store, shop string, id int64) error {
	seq := s.LastSeq()
	body := fmt.Sprintf(`{"id":%d,"title":"T%d","body_html":"","vendor":"V","product_type":"P","handle":"h","tags":"","status":"active",
		"created_at":"2026-01-01T00:00:00Z","updated_at":"%s","published_at":null,"options":[],"images":[],"variants":[]}`,
		id, time.Now().UnixNano(), time.Unix(1_790_000_000+seq, 0).UTC().Format(time.RFC3339))
	c, err := catalog.Decode(catalog.ProductsUpdate, []byte(body))
	if err != nil {
		return err
	}
	_, err = s.Apply(context.Background(), store.Delivery{
		Shop: shop, Topic: "products/update", ReceivedAt: time.Now(),
		Dedupe: store.DedupeKey(shop, "products/update", "", []byte(body)),
	}, c)
	return err
}

func TestTheFeedIsFollowedAsEventsFromAnyNumber(t *testing.T) {
	r := newRig(t, nil)
	r.changes(20)
	url := r.listen() + "/api/v1/changes"
	for _, c := range []struct {
		path   string
		header []string
		first  int64
	}{
		{"", nil, 1}, {"?after=5", nil, 6}, {"?after=5", []string{"Last-Event-ID", "12"}, 13}, {"?shop=" + testShop, nil, 1},
	} {
		f := follow(t, 200, url+c.path, c.header...)
		for seq := c.first; seq <= 20; seq++ {
			e, ok := f.next()
			var got store.Change
			if err := json.Unmarshal([]byte(e.data), &got); !ok || err != nil || e.id != fmt.Sprint(seq) || got.Seq != seq || e.kind != got.Kind || got.Shop != testShop {
				t.Fatalf("%s: event %+v (%v), want %d", c.path, e, err, seq)
			}
		}
		f.body.Close()
	}
}

func TestAFeedThatCannotBeFollowedIsRefusedBeforeTheStream(t *testing.T) {
	r := newRig(t, nil)
	r.changes(10)
	if _, err := r.store.Prune(t.Context(), time.Now().Add(2000*time.Hour)); err != nil {
		t.Fatal(err)
	}
	url := r.listen() + "/api/v1/changes"
	for _, accept := range []string{"text/event-stream", "application/x-ndjson"} {
		for after, want := range map[string]int{"0": 410, "8": 410, "9": 200, "10": 200, "11": 409, "-1": 400, "x": 400} {
			req := request("GET", "/api/v1/changes?after="+after, "", "Accept", accept)
			ctx, cancel := context.WithCancel(t.Context())
			w := &untilFlush{httptest.NewRecorder(), cancel}
			r.Admin().ServeHTTP(w, req.WithContext(ctx))
			cancel()
			if w.Code != want || want == 410 && !strings.Contains(w.Body.String(), `"oldest":10`) {
				t.Errorf("%s, after %s: %d %s", accept, after, w.Code, w.Body)
			}
		}
	}
	follow(t, 410, url, "Last-Event-ID", "3")
	follow(t, 400, url, "Last-Event-ID", "three")
}

// untilFlush ends a request when a stream has begun.
type untilFlush struct {
	*httptest.ResponseRecorder
	end func()
}

func (w *untilFlush) Flush() {
	w.ResponseRecorder.Flush()
	w.end()
}

func TestALongPollWaitsForAChangeAndNoLonger(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.changes(3)
	url := r.listen() + "/api/v1/changes?after=3&wait="
	get := func(url string) (string, http.Header, time.Duration) {
		t.Helper()
		began := time.Now()
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d %s %v", resp.StatusCode, body, err)
		}
		return string(body), resp.Header, time.Since(began)
	}
	if body, h, took := get(url + "1"); body != "" || took < 900*time.Millisecond || h.Get("Stockroom-Next") != "3" {
		t.Errorf("a second without a change: %q after %v, next %q", body, took, h.Get("Stockroom-Next"))
	}
	time.AfterFunc(400*time.Millisecond, func() { r.edit(1) }) // behind the read timeout
	if body, h, took := get(url + "60"); !strings.Contains(body, `"seq":4`) || took > 50*time.Second || h.Get("Stockroom-Next") != "4" {
		t.Errorf("a change while waiting: %q after %v, next %q", body, took, h.Get("Stockroom-Next"))
	}
	// Changes of other shops are passed over but counted as looked at.
	go func() {
		for len(r.streams.places) == 0 {
			time.Sleep(time.Millisecond)
		}
		if err := edit(r.store, "other.myshopify.com", 77); err != nil {
			t.Error(err)
		}
	}()
	if body, h, _ := get(strings.Replace(url, "after=3", "shop="+testShop+"&after=4", 1) + "3"); body != "" || h.Get("Stockroom-Next") != "5" {
		t.Errorf("another shop's change: %q, next %q", body, h.Get("Stockroom-Next"))
	}
	for _, wait := range []string{"61", "-1", "x", "1.5"} {
		if got := r.admin(400, "GET", "/api/v1/changes?wait="+wait, ""); !strings.Contains(got, "wait is") {
			t.Errorf("wait=%s: %s", wait, got)
		}
	}
	// A stop ends the wait.
	done := make(chan time.Duration)
	go func() {
		_, _, took := get(strings.Replace(url, "after=3", "after=5", 1) + "60")
		done <- took
	}()
	for len(r.streams.places) == 0 {
		time.Sleep(time.Millisecond)
	}
	r.EndStreams()
	if took := <-done; took > 50*time.Second {
		t.Errorf("a stop waited %v for a long poll", took)
	}
}

// TestAReaderThatComesAgainAndAgainGetsEveryChangeOnce follows the feed in all
// three ways while writers commit, the connections break and the store is
// closed and opened again in between.
func TestAReaderThatComesAgainAndAgainGetsEveryChangeOnce(t *testing.T) {
	t.Parallel()
	changes := int64(600)
	if raceDetector {
		changes = 150
	}
	var total atomic.Int64 // grows by what the writers write beyond it
	total.Store(changes)
	dir := t.TempDir()
	var mu sync.Mutex // held while the store is exchanged
	open := func() (*rig, *httptest.Server) {
		r := newRigOver(t, filepath.Join(dir, "products.db"))
		srv := httptest.NewServer(r.Admin())
		return r, srv
	}
	r, srv := open()
	current := func() string {
		mu.Lock()
		defer mu.Unlock()
		return srv.URL
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	readers := map[string][]int64{}
	read := func(name string, accept, query string) {
		wg.Go(func() {
			var got []int64
			for n := 0; ctx.Err() == nil && (len(got) == 0 || got[len(got)-1] < total.Load()); n++ {
				after := int64(0)
				if len(got) > 0 {
					after = got[len(got)-1]
				}
				// Each connection breaks sooner or later; later on a machine that gets
				// nowhere in so short a time.
				one, stop := context.WithTimeout(ctx, time.Duration(20+n*37%120+n)*time.Millisecond)
				got = append(got, readOnce(one, current(), accept, strings.Replace(query, "AFTER", fmt.Sprint(after), 1), after)...)
				stop()
			}
			mu.Lock()
			readers[name] = got
			mu.Unlock()
		})
	}
	read("events", "text/event-stream", "?after=AFTER")
	read("events by id", "text/event-stream", "")
	read("lines", "", "?after=AFTER&limit=7")
	read("long poll", "", "?after=AFTER&wait=1&limit=50")

	for round := range 3 {
		until := changes * int64(round+1) / 3
		var writers sync.WaitGroup
		for id := range int64(4) {
			writers.Go(func() {
				for r.store.LastSeq() < until-8 {
					if err := edit(r.store, testShop, id+1); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		writers.Wait()
		for r.store.LastSeq() < until {
			r.edit(9)
		}
		if round == 2 {
			break
		}
		mu.Lock()
		r.EndStreams()
		srv.CloseClientConnections()
		srv.Close()
		r.close()
		r, srv = open()
		mu.Unlock()
	}
	total.Store(r.store.LastSeq())
	wg.Wait()
	srv.CloseClientConnections()
	srv.Close()
	r.close()
	want := make([]int64, total.Load())
	for i := range want {
		want[i] = int64(i) + 1
	}
	for _, name := range []string{"events", "events by id", "lines", "long poll"} {
		if got := readers[name]; !slices.Equal(got, want[:min(len(got), len(want))]) || int64(len(got)) < total.Load() {
			t.Errorf("%s: %d of %d changes, %v...", name, len(got), total.Load(), got[:min(20, len(got))])
		}
	}
}

// readOnce returns the seqs that one connection gives before it breaks. A line
// that is not whole does not count.
func readOnce(ctx context.Context, base, accept, query string, after int64) (got []int64) {
	req, err := http.NewRequestWithContext(ctx, "GET", base+"/api/v1/changes"+query, nil)
	if err != nil {
		return nil
	}
	req.Header.Set("Accept", accept)
	if query == "" {
		req.Header.Set("Last-Event-ID", strconv.FormatInt(after, 10))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return nil
	}
	in := bufio.NewReader(resp.Body)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return got
		}
		line, _ = bytes.CutPrefix(line, []byte("data: "))
		var c store.Change
		if json.Unmarshal(line, &c) == nil && c.Seq > 0 {
			got = append(got, c.Seq)
		}
	}
}

func TestThereIsAPlaceForSixtyFourReaders(t *testing.T) {
	r := newRig(t, nil)
	url := r.listen()
	for i := range streamsMost {
		follow(t, 200, url+[]string{"/events", "/api/v1/changes"}[i%2])
	}
	for _, path := range []string{"/events", "/api/v1/changes"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q", path, resp.StatusCode, resp.Header.Get("Retry-After"))
		}
	}
	r.admin(200, "GET", "/api/v1/changes", "") // one that is answered at once needs none
}

func TestAStopEndsEveryStreamAtOnce(t *testing.T) {
	r := newRig(t, nil)
	srv := httptest.NewServer(r.Admin())
	defer srv.Close()
	srv.Config.RegisterOnShutdown(r.EndStreams)
	feed, page := follow(t, 200, srv.URL+"/api/v1/changes"), follow(t, 200, srv.URL+"/events")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := srv.Config.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*reader{feed, page} {
		for {
			if _, ok := f.next(); !ok {
				break
			}
		}
		if err := f.in.Err(); err != nil {
			t.Errorf("the stream broke off: %v", err)
		}
	}
	if got := r.admin(503, "GET", "/events", ""); !strings.Contains(got, "stopping") {
		t.Error(got)
	}
}

func TestAStreamOutlivesTheReadTimeout(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	url := r.listen()
	f, e := follow(t, 200, url+"/api/v1/changes"), follow(t, 200, url+"/events")
	time.Sleep(500 * time.Millisecond) // the limit is 300 ms: only the real clock shows it
	r.edit(1)
	if got, ok := f.next(); !ok || got.id != "1" {
		t.Errorf("feed: %+v", got)
	}
	if got, ok := e.next(); !ok || got.kind != "ping" {
		t.Errorf("page: %+v", got)
	}
	if got, ok := e.next(); !ok || got.kind != "change" || !strings.Contains(got.data, `"seq":1`) {
		t.Errorf("page: %+v", got)
	}
}

func TestHeadOfAStreamIsAnsweredAtOnce(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/events", "/api/v1/changes"} {
		w := serve(r.Admin(), request("HEAD", path, "", "Accept", "text/event-stream"))
		if w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" || w.Body.Len() > 0 {
			t.Errorf("%s: %d %q", path, w.Code, w.Header().Get("Content-Type"))
		}
	}
}

// newRigOver is a rig over a file that stays; close closes it.
func newRigOver(t testing.TB, path string) *rig {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.Open(queue.Options{Path: filepath.Join(filepath.Dir(path), "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, store: db, queue: q, Server: New(Options{Store: db, Queue: q, Shops: &shops{store: db}, Admit: admit.Options{Token: testToken, Account: newTestAccount(""), Keeper: newMemoryKeeper()}})}
}

func (r *rig) close() {
	r.t.Helper()
	if err := errors.Join(r.queue.Close(), r.store.Close()); err != nil {
		r.t.Fatal(err)
	}
}

func TestAStreamFarBehindSkipsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "products.db")
	newRigOver(t, path).close()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	const many = 3*feedBatch + 7
	_, err = db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO changes (seq, shop, external_id, kind, at, cause) SELECT i, ?2, i, 'updated', ?3, 'test' FROM n`, many, testShop, time.Now().UnixMilli())
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	r := newRigOver(t, path)
	t.Cleanup(r.close)
	f := follow(t, 200, r.listen()+"/api/v1/changes")
	for seq := 1; seq <= many; seq++ {
		if e, ok := f.next(); !ok || e.id != fmt.Sprint(seq) {
			t.Fatalf("event %q, want %d", e.id, seq)
		}
	}
}
