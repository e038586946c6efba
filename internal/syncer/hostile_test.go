package syncer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/state"
	"stockroom/store"
)

// answer is one of a shop, on its way to us.
type answer struct {
	op     string // name of the operation, "file" of a result, "token"
	call   int    // counts those of the operation
	res    *http.Response
	body   io.Reader
	text   []byte // of body, as the shop wrote it
	rng    *rand.Rand
	broken error // in place of an answer
}

// lie makes an answer hostile.
type lie struct {
	name string
	op   string // of this operation only; "" for every one
	tell func(a *answer)
}

// hostileShop stands before a shop.
type hostileShop struct {
	next http.RoundTripper
	lies []lie
	rate float64 // how many of the answers they hit

	mu    sync.Mutex
	rng   *rand.Rand
	calls map[string]int
	heap  uint64 // the most that was seen
	lied  int
}

var operation = regexp.MustCompile(`^(?:query|mutation) (\w+)`)

func (h *hostileShop) RoundTrip(req *http.Request) (*http.Response, error) {
	a := answer{op: "file"}
	if req.Method == http.MethodPost {
		sent, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(sent))
		var in struct{ Query string }
		if a.op = "token"; json.Unmarshal(sent, &in) == nil && in.Query != "" {
			a.op = operation.FindStringSubmatch(in.Query)[1]
		}
	}
	res, err := h.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls[a.op]++; h.calls[a.op]%8 == 1 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		h.heap = max(h.heap, m.HeapAlloc)
	}
	a.call, a.res, a.rng = h.calls[a.op], res, rand.New(rand.NewPCG(h.rng.Uint64(), 1))
	if a.text, err = io.ReadAll(res.Body); err != nil {
		return nil, err
	}
	a.body = bytes.NewReader(a.text)
	for _, l := range h.lies {
		if (l.op == "" || l.op == a.op) && h.rng.Float64() < h.rate {
			h.lied++
			l.tell(&a)
		}
	}
	if a.broken != nil {
		return nil, a.broken
	}
	if b, ok := a.body.(*bytes.Reader); !ok || b.Len() != len(a.text) {
		res.ContentLength = -1
	}
	res.Body = &body{a.body, req.Context()}
	return res, nil
}

// body ends with its request, as a transport's own does.
type body struct {
	io.Reader
	ctx context.Context
}

func (b *body) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, b.ctx.Err()
	}
	n, err := b.Reader.Read(p)
	if b.ctx.Err() != nil {
		return n, b.ctx.Err()
	}
	return n, err
}

func (b *body) Close() error { return nil }

// slow gives some bytes at a time, each after a while.
type slow struct {
	io.Reader
	n    int
	wait time.Duration
}

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(s.wait)
	return s.Reader.Read(p[:min(len(p), s.n)])
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// bend changes the JSON of an answer: each value is shown to f with the name that
// it has there, and the root with "".
func (a *answer) bend(f func(name string, v any) any) {
	if a.op == "file" || a.op == "token" {
		return
	}
	var walk func(name string, v any) any
	walk = func(name string, v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k := range v {
				v[k] = walk(k, v[k])
			}
		case []any:
			for i := range v {
				v[i] = walk(name+"[]", v[i])
			}
		}
		return f(name, v)
	}
	d := json.NewDecoder(bytes.NewReader(a.text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return
	}
	text, err := json.Marshal(walk("", v))
	if err == nil {
		a.body = bytes.NewReader(text)
	}
}

// set gives every value of a name another.
func set(names string, v func(a *answer) any) func(a *answer) {
	return func(a *answer) {
		a.bend(func(name string, old any) any {
			if _, known := old.(map[string]any); !known && strings.Contains(" "+names+" ", " "+name+" ") {
				return v(a)
			}
			return old
		})
	}
}

func one(list ...any) func(a *answer) any {
	return func(a *answer) any { return list[a.rng.IntN(len(list))] }
}

// paged says that there is always a next page.
func paged(cursor func(a *answer) any) func(a *answer) {
	return func(a *answer) {
		a.bend(func(name string, v any) any {
			if name == "pageInfo" {
				return map[string]any{"hasNextPage": true, "endCursor": cursor(a)}
			}
			return v
		})
	}
}

// fresh gives a listing ever new products.
func fresh(a *answer) {
	paged(func(a *answer) any { return fmt.Sprint("page ", a.call) })(a)
	if a.op != "ProductIDs" && a.op != "Look" {
		return
	}
	const node = `{"id":"gid://shopify/Product/%d","updatedAt":%q,"variantsCount":{"count":1,"precision":"EXACT"}}`
	list := make([]string, 250)
	for i := range list {
		list[i] = fmt.Sprintf(node,
			9_000_000_000_000+int64(a.call*250+i), time.Now().UTC().Format(time.RFC3339))
	}
	page := `{"data":{"products":{"nodes":[%s],"pageInfo":{"hasNextPage":true,"endCursor":"%d"}}}}`
	if a.op == "Look" {
		const none = `{"nodes":[],"pageInfo":{"hasNextPage":false}}`
		page = strings.Replace(page, `"products"`, `"canary":`+none+`,"deleted":`+none+`,"changed"`, 1)
	}
	a.body = strings.NewReader(fmt.Sprintf(page, strings.Join(list, ","), a.call))
}

func status(code int, header ...string) func(a *answer) {
	return func(a *answer) {
		a.res.StatusCode = code
		for i := 0; i < len(header); i += 2 {
			a.res.Header.Set(header[i], header[i+1])
		}
	}
}

// lines changes the lines of a result.
func lines(change func(a *answer, list []string) []string) func(a *answer) {
	return func(a *answer) {
		list := strings.SplitAfter(string(a.text), "\n")
		a.body = strings.NewReader(strings.Join(change(a, list), ""))
	}
}

var years = "99999999999"

// lies are what a hostile shop may say. None of them is an answer that is right in
// every way and only untrue, such as that all products are gone.
var lies = []lie{
	{"the same cursor", "", paged(func(*answer) any { return "same" })},
	{"cursors in a circle", "", paged(func(a *answer) any { return fmt.Sprint(a.call % 3) })},
	{"ever new ids", "", fresh},
	{"no cursor", "", paged(one("", nil, 7, strings.Repeat("x", 1<<20)))},
	{"counts", "", set("count", one(0, -1, int64(1)<<53, "12", 1.5, "x", true))},
	{"wrong types", "", func(a *answer) {
		at := a.rng.IntN(40)
		a.bend(func(name string, v any) any {
			if at--; at != 0 {
				return v
			}
			switch v.(type) {
			case string, bool:
				return 7
			case json.Number:
				return "x"
			case []any:
				return map[string]any{"x": 1}
			}
			return []any{1, "x"}
		})
	}},
	{"long texts", "", func(a *answer) {
		at := a.rng.IntN(20)
		a.bend(func(_ string, v any) any {
			if _, text := v.(string); !text {
				return v
			}
			if at--; at != 0 {
				return v
			}
			return strings.Repeat("long", 2<<20)
		})
	}},
	{"thousands of nodes", "", func(a *answer) {
		a.bend(func(name string, v any) any {
			if name == "nodes" {
				return make([]struct{}, 1_500_000)
			}
			return v
		})
	}},
	{"nulls and errors without end", "", func(a *answer) {
		a.body = strings.NewReader(`{"data":{"products":{"nodes":[null` + strings.Repeat(",null", 1_000_000) +
			`]}},"errors":[{}` + strings.Repeat(",{}", 300_000) + `]}`)
	}},
	{"deep nesting", "", func(a *answer) {
		a.body = strings.NewReader(`{"data":` + strings.Repeat(`[`, 3<<20) + strings.Repeat(`]`, 1<<20))
	}},
	{"a byte a second", "", func(a *answer) { a.body = slow{a.body, 1, time.Second} }},
	{"a stall", "", func(a *answer) {
		a.body = io.MultiReader(io.LimitReader(a.body, 20), slow{a.body, 1, 10 * time.Minute})
	}},
	{"an answer without end", "", func(a *answer) { a.body = io.MultiReader(a.body, zeros{}) }},
	{"no answer", "", func(a *answer) { a.broken = context.DeadlineExceeded }},
	{"cut off", "", func(a *answer) {
		a.body = io.MultiReader(bytes.NewReader(a.text[:a.rng.IntN(len(a.text)+1)]), iotestErr{io.ErrUnexpectedEOF})
	}},
	{"shorter than its length", "", func(a *answer) { a.body = bytes.NewReader(a.text[:a.rng.IntN(len(a.text)+1)]) }},
	{"half a gzip", "", func(a *answer) {
		a.res.Header.Set("Content-Encoding", "gzip")
		a.body = strings.NewReader("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b")
	}},
	{"redirects", "", status(302, "Location", "https://elsewhere.example/")},
	{"a redirect to itself", "", status(307, "Location", "https://"+testShop+"/")},
	{"a renamed shop", "", status(301, "Location", "https://other.myshopify.com/admin")},
	{"Retry-After for ages", "", status(429, "Retry-After", years)},
	{"Retry-After of the year 9999", "", status(503, "Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")},
	{"Retry-After below zero", "", status(430, "Retry-After", "-1e308")},
	{"odd statuses", "", func(a *answer) {
		status([]int{100, 204, 206, 304, 400, 401, 402, 403, 404, 416, 418, 423, 500, 599, 999}[a.rng.IntN(15)])(a)
	}},
	{"dates", "", status(200, "Date", "Fri, 31 Dec 9999 23:59:59 GMT")},
	{"throttle numbers", "", set("maximumAvailable currentlyAvailable restoreRate requestedQueryCost actualQueryCost",
		one(0, -1, 1e-9, 0.001, 1, 1e9, 2e9, 1e300, "x", nil))},
	{"always throttled", "", func(a *answer) {
		a.body = strings.NewReader(`{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}]}`)
	}},
	{"errors beside data", "", func(a *answer) {
		code := []string{
			"ACCESS_DENIED", "SHOP_INACTIVE", "MAX_COST_EXCEEDED", "", "x", "INTERNAL_SERVER_ERROR", "OPERATION_IN_PROGRESS",
		}[a.rng.IntN(7)]
		a.body = strings.NewReader(
			`{"data":{"shop":{}},"errors":[{"message":"m","extensions":{"code":"` + code + `","cost":1e300}}]}`)
	}},
	{"tokens", "token", func(a *answer) {
		life := []string{years, "-5", "9223372036854775807", `"x"`}[a.rng.IntN(4)]
		a.body = strings.NewReader(`{"access_token":"x","expires_in":` + life + `}`)
	}},
	{"an export without end", "BulkGet", set("status", one("RUNNING", "CREATED", "CANCELING", "x"))},
	{"an export that ends badly", "BulkGet", set("status", one("FAILED", "CANCELED", "EXPIRED"))},
	{"wrong sizes", "BulkGet", set("objectCount rootObjectCount fileSize",
		one("0", "-5", "1", "4300000000", "9223372036854775807", nil, 12))},
	{"a file elsewhere", "BulkGet", set("url partialDataUrl", one("https://10.0.0.1/x",
		"file:///etc/passwd", "http://elsewhere.example/x", "https://"+testShop+"/none", "x", ""))},
	{"4.3 GB", "file", func(a *answer) { a.body = io.MultiReader(a.body, io.LimitReader(zeros{}, 4_300_000_000)) }},
	{"4.3 GB announced and sent", "file", func(a *answer) {
		a.body = io.MultiReader(a.body, strings.NewReader(strings.Repeat("{\"id\":\"gid://shopify/Product/1\"}\n", 100_000)))
	}},
	{"a slow file", "file", func(a *answer) { a.body = slow{a.body, 100, time.Second} }},
	{"lines of garbage", "file", lines(func(a *answer, list []string) []string {
		list[a.rng.IntN(len(list))] = []string{
			"garbage\n", "{}\n", "[]\n", "\x00\xff\n", "{\"id\":7}\n", strings.Repeat("[", 5000) + "\n",
		}[a.rng.IntN(6)]
		return list
	})},
	{"lines again and again", "file", lines(func(a *answer, list []string) []string {
		return append(list, strings.Repeat(list[a.rng.IntN(len(list))], 3000))
	})},
	{"orphans", "file", lines(func(a *answer, list []string) []string {
		return append(list, "{\"id\":\"gid://shopify/ProductVariant/5\",\"__parentId\":\"gid://shopify/Product/5\"}\n")
	})},
	{"missing lines", "file", lines(func(a *answer, list []string) []string { return list[:a.rng.IntN(len(list))] })},
	{"a line without end", "file", func(a *answer) {
		a.body = io.MultiReader(a.body, strings.NewReader(`{"id":"`+strings.Repeat("x", 30<<20)))
	}},
}

type iotestErr struct{ err error }

func (e iotestErr) Read([]byte) (int, error) { return 0, e.err }

// mostHeap is what a hostile shop may make us hold, in bytes.
const mostHeap = 150 << 20

// TestAHostileShopEndsNothing asks a shop that lies about everything: each run
// ends, in little memory, with its cause named; nothing is removed or changed but
// by a read that is whole, and once the shop is well all is well.
func TestAHostileShopEndsNothing(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(100 << 20)) // as the program does
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("STOCKROOM_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("replay with STOCKROOM_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	// Each lie alone and about everything is the fixed part.
	var cases []hostileCase
	kinds := []string{"full", "comparison", "incremental", "subscriptions", "product"}
	for i, l := range lies {
		kind := kinds[i%len(kinds)]
		if l.op == "BulkGet" || l.op == "file" {
			kind = "full"
		}
		cases = append(cases, hostileCase{[]lie{l}, 1, kind, rng.Uint64()})
	}
	random := 200
	if long() {
		random = 10_000
	}
	for range fewer(random, 20) {
		c := hostileCase{rate: []float64{0.1, 0.3, 1}[rng.IntN(3)], seed: rng.Uint64()}
		for range 1 + rng.IntN(3) {
			c.lies = append(c.lies, lies[rng.IntN(len(lies))])
		}
		c.kind = kinds[rng.IntN(len(kinds))]
		cases = append(cases, c)
	}
	if raceEnabled {
		rng.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
		cases = cases[:8]
	}
	for len(cases) > 0 {
		part := cases[:min(len(cases), 25)]
		cases = cases[len(part):]
		synctest.Test(t, func(t *testing.T) { beHostile(t, part) })
	}
}

type hostileCase struct {
	lies []lie
	rate float64
	kind string
	seed uint64
}

// hostileRuns are what may be going on when the shop turns hostile; each says what
// a person sees, "" for success.
var hostileRuns = map[string]func(r *runRig, ctx context.Context) string{
	"full": func(r *runRig, ctx context.Context) string {
		run, err := r.makeFull(ctx, nil)
		return outcomeOf(run, err)
	},
	"comparison": func(r *runRig, ctx context.Context) string {
		run, err := r.makeRun(ctx, testShop, plan(scheduleReconcile, "test", false))
		return outcomeOf(run, err)
	},
	"incremental": func(r *runRig, ctx context.Context) string {
		run, err := r.makeRun(ctx, testShop, plan(scheduleIncremental, "test", false))
		return outcomeOf(run, err)
	},
	"subscriptions": func(r *runRig, ctx context.Context) string {
		sub, err := r.CheckSubscriptions(ctx, testShop, true)
		if err == nil {
			return ""
		}
		return sub.Error
	},
	"product": func(r *runRig, ctx context.Context) string {
		r.check(r.store.Want(ctx, store.Wanted{Shop: testShop, Kind: store.WantProduct, ID: r.shop.IDs()[0]}))
		if err := r.fetchProduct(ctx, task{Shop: testShop, ID: r.shop.IDs()[0]}, time.Now()); err != nil {
			return wordsOf(err)
		}
		return ""
	},
}

// deadlines are those of the schedules, and of a job.
var deadlines = map[string]time.Duration{
	"full": 48 * time.Hour, "comparison": 6 * time.Hour, "incremental": 30 * time.Minute,
	"subscriptions": time.Hour, "product": time.Hour,
}

// outcomeOf is the run's words; one without any is told as "internal".
func outcomeOf(run store.SyncRun, err error) string {
	if err != nil && run.Error == "" {
		return "internal"
	}
	return run.Error
}

func beHostile(t *testing.T, cases []hostileCase) {
	r := newRunRig(t, fakeshopify.Options{Seed: cases[0].seed, Products: 30, MaxVariants: 4, Large: -1, Huge: -1})
	r.o.PublicURL = "https://stock.example"
	r.synced()
	for i, c := range cases {
		r.shop.UpdateProduct(r.shop.IDs()[i%30], func(p *fakeshopify.Product) { p.Title = fmt.Sprint("new ", i) })
		time.Sleep(5 * time.Second)
		before, want := r.rows(), r.wants(catalog.Selection{})
		proven, err := r.store.LastProof(t.Context(), testShop)
		r.check(err)
		runtime.GC()
		h := &hostileShop{next: fakeshopify.Transport(r.shop.Handler()), lies: c.lies, rate: c.rate,
			rng: rand.New(rand.NewPCG(c.seed, 3)), calls: map[string]int{}}
		r.via = h
		ctx, cancel := context.WithTimeoutCause(t.Context(), deadlines[c.kind], errDeadline)
		words := hostileRuns[c.kind](r, ctx)
		cancel()
		r.via = nil
		var name []string
		for _, l := range c.lies {
			name = append(name, l.name)
		}
		id := fmt.Sprintf("%s, %q at %v, %d lies, seed %d", c.kind, name, c.rate, h.lied, c.seed)
		if strings.Contains(words, "internal") {
			t.Errorf("%s: no cause is named: %q", id, words)
		}
		if h.heap > mostHeap {
			t.Errorf("%s: %d MiB of heap", id, h.heap>>20)
		}
		after := r.rows()
		for p, was := range before {
			if is := after[p]; is != was && is != want[p] {
				t.Errorf("%s: product %d was %q and is %q, in the shop %q", id, p, was, is, want[p])
			}
		}
		now, err := r.store.LastProof(t.Context(), testShop)
		if err != nil || now.IDs < proven.IDs || now.Fields < proven.Fields {
			t.Errorf("%s: the proof of before is gone: %+v, %v", id, now, err)
		}
		if t.Failed() {
			return
		}
		r.check(r.state.SetPause(testShop, state.Pause{}))
		r.api.TryNow(testShop)
		time.Sleep(31 * time.Minute) // the longest that a wrong number is believed
	}
	r.synced()
	r.same()
}
