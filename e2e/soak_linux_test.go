package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stockroom/internal/fakeshopify"
)

// The soak: a shop that is edited all the time and whose API fails, deliveries at a
// steady rate, and one process of Stockroom that must not grow. STOCKROOM_TORTURE_MINUTES
// and STOCKROOM_TORTURE_RATE say how long and how many deliveries a second.
const (
	soakMinutes  = 30
	soakRate     = 500
	soakProducts = 2000
	soakEvery    = 5 * time.Second // between two samples
	soakRounds   = 12              // each with every kind of fault; a third of them warms up
)

// A process that runs for long, under load and through faults, keeps its memory,
// goroutines, descriptors, log and files as they are; only what has to be kept grows, and by
// as much for each delivery at the end as at the beginning. Then its copy equals the shop.
func TestALongRunWithFaultsGrowsInNothing(t *testing.T) {
	if !torture() {
		t.Skip("takes half an hour: runs with STOCKROOM_TORTURE")
	}
	seed := campaignSeed(t)
	length := time.Duration(fromEnvironment(t, "STOCKROOM_TORTURE_MINUTES", soakMinutes) * float64(time.Minute))
	k := newSoak(t, seed, fromEnvironment(t, "STOCKROOM_TORTURE_RATE", soakRate))
	k.live(length)
	line := fmt.Sprintf("soak of %s, %.0f deliveries a second wanted, %s; seed %d\n%s",
		length, k.rate, k.faults, seed, soakTable(k.samples))
	t.Log(line)
	progress("%s", line)
	for _, trouble := range soakGrowth(k.samples) {
		t.Error(trouble)
	}
	k.settle()
}

func fromEnvironment(tb testing.TB, name string, preset float64) float64 {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return preset
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n <= 0 {
		tb.Fatalf("%s: %q is no number above 0", name, text)
	}
	return n
}

// soak is one run.
type soak struct {
	t       *testing.T
	rng     *rand.Rand
	rate    float64
	shop    *fakeshopify.Shop
	api     atomic.Pointer[http.Server]
	address string
	s       *server
	samples []soakSample
	faults  *soakFaults
}

// soakFaults counts what went wrong on purpose.
type soakFaults struct{ locks, restarts, silences int }

func (f *soakFaults) String() string {
	return fmt.Sprintf("%d locks of the catalogue, %d restarts of the shop's API, %d silences of it",
		f.locks, f.restarts, f.silences)
}

func newSoak(t *testing.T, seed uint64, rate float64) *soak {
	k := &soak{t: t, rng: rand.New(rand.NewPCG(seed, 0)), rate: rate, faults: &soakFaults{}}
	chaos, err := fakeshopify.ChaosLevel("mild")
	if err != nil {
		t.Fatal(err)
	}
	chaos.APIFault, chaos.BulkFault = 0.02, 0.1
	var target atomic.Pointer[string]
	k.shop = fakeshopify.New(fakeshopify.Options{
		Shop: e2eShop, Seed: seed, Secret: e2eSecret, Target: "https://stockroom.example",
		Products: soakProducts, MaxVariants: 6, Large: -1, Huge: -1, Lean: true,
		Chaos: chaos, Parallel: 64, RetryOver: 2 * time.Minute, KeepDeliveries: 1000,
		Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		Route: func(address string) string {
			return strings.Replace(address, "https://stockroom.example", *target.Load(), 1)
		},
		API: fakeshopify.APIOptions{Plan: fakeshopify.Plus, KeepCalls: 1000},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k.address = l.Addr().String()
	k.serveAPI(l)
	t.Cleanup(func() { _ = k.api.Load().Close() })
	k.s = startServer(t, serveOptions{Args: []string{"--api-base", "http://" + k.address,
		"--public-url", "https://stockroom.example", "--limit-points", "10000"}})
	target.Store(&k.s.Public)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = k.shop.Run(t.Context(), 0)
	}()
	t.Cleanup(func() { <-ended })
	return k
}

func (k *soak) serveAPI(l net.Listener) {
	srv := &http.Server{Handler: k.shop.Handler()}
	k.api.Store(srv)
	go func() { _ = srv.Serve(l) }()
}

// live lets the shop be edited, with one round of faults after the other, and samples.
func (k *soak) live(length time.Duration) {
	ctx, cancel := context.WithTimeout(k.t.Context(), length)
	defer cancel()
	var g sync.WaitGroup
	rng := rand.New(rand.NewPCG(k.rng.Uint64(), 0))
	g.Go(func() { k.edit(ctx, rng) })
	g.Go(func() {
		for ctx.Err() == nil {
			k.faultRound(ctx, length/soakRounds)
		}
	})
	began := time.Now()
	for wait(ctx, soakEvery) {
		k.samples = append(k.samples, k.sample(began))
		if n := len(k.samples); n%12 == 0 {
			progress("soak: %s", k.samples[n-1])
		}
	}
	g.Wait()
}

// wait reports whether the time passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// edit makes so many edits that the deliveries due to them keep the rate, and no more while
// as many wait as four seconds have. Mostly a title changes; one edit in twenty is of any
// kind, and the oldest products go, so that the catalogue keeps its size.
func (k *soak) edit(ctx context.Context, rng *rand.Rand) {
	last, ids := time.Now(), k.shop.IDs()
	for due := 0.0; wait(ctx, 10*time.Millisecond); {
		now := time.Now()
		due, last = min(due+k.rate*now.Sub(last).Seconds(), k.rate), now
		for before := k.shop.Stats(); due >= 1 && float64(before.Pending) < 4*k.rate && ctx.Err() == nil; {
			if n := rng.IntN(20 * len(ids)); n < len(ids) {
				k.shop.RandomEdit()
			} else {
				k.shop.UpdateProduct(ids[n%len(ids)], func(p *fakeshopify.Product) { p.Title = fmt.Sprint("Product ", n) })
			}
			after := k.shop.Stats()
			due, before = due-float64(after.Fired-before.Fired), after
		}
		if ids = k.shop.IDs(); len(ids) > soakProducts+20 {
			for _, id := range ids[:20] {
				k.shop.DeleteProduct(id)
			}
		}
	}
}

// faultRound has one fault of each kind, in any order, each followed by as long without. A
// lock of the catalogue sends each delivery to the retry queue.
func (k *soak) faultRound(ctx context.Context, length time.Duration) {
	part := length / 6
	faults := []func(){
		func() {
			k.faults.locks++
			l := lockCatalogue(k.t, k.s.Dir)
			wait(ctx, part)
			l.release(k.t)
		},
		func() {
			k.faults.restarts++
			_ = k.api.Load().Close()
			wait(ctx, part)
			if l, err := net.Listen("tcp", k.address); err != nil {
				k.t.Errorf("the shop's API does not come back: %v", err)
			} else {
				k.serveAPI(l)
			}
		},
		func() {
			k.faults.silences++
			k.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultSilence, Times: -1})
			wait(ctx, part)
			k.shop.Heal()
		},
	}
	k.rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	for _, fault := range faults {
		if wait(ctx, part) {
			fault()
		}
	}
}

// settle compares the copy with the shop, when the load has ended.
func (k *soak) settle() {
	await(k.t, "the last deliveries", func() bool { return k.shop.Pending() == 0 })
	drained(k.t, k.s)
	ended := time.Now() // calls go on to fail, so it takes its time
	for until := ended.Add(20 * time.Minute); !k.provenSince(ended); {
		if time.Now().After(until) {
			k.t.Fatalf("no proof after the load: %s", k.s.admin(http.MethodGet, "/api/v1/status", ""))
		}
		runCLI(k.t, nil, "", "reconcile", "--data", k.s.Dir)
	}
	checkRead(k.t, openCatalogue(k.t, k.s.Dir), k.shop)
	requireNothingSetAside(k.t, k.s)
	k.s.stop()
}

// provenSince reports whether the copy is in step by a proof that began later.
func (k *soak) provenSince(at time.Time) bool {
	r := k.s.admin(http.MethodGet, "/api/v1/status", "")
	var doc struct {
		InStep bool      `json:"in_step"`
		AsOf   time.Time `json:"as_of"`
	}
	if err := json.Unmarshal([]byte(r.Body), &doc); err != nil {
		k.t.Fatalf("%v: %s", err, r)
	}
	return doc.InStep && doc.AsOf.After(at)
}

// soakSample is how large everything was at one instant: measures by name.
type soakSample struct {
	at  time.Duration
	the map[string]float64
}

func (s soakSample) String() string {
	text := s.at.Round(time.Second).String()
	for _, name := range slices.Sorted(maps.Keys(s.the)) {
		text += fmt.Sprintf(" %s=%.0f", name, s.the[name])
	}
	return text
}

func (k *soak) sample(began time.Time) soakSample {
	m := k.s.metrics()
	now, _ := memory(k.t, k.s.PID)
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", k.s.PID))
	if err != nil {
		k.t.Fatal(err)
	}
	s := soakSample{time.Since(began), map[string]float64{
		"memory": float64(now), "heap": m["go_memory_heap_bytes"],
		"goroutines": m["go_goroutines"], "descriptors": float64(len(files)),
		"deliveries": sum(m, "stockroom_deliveries_total", ""), "log": float64(len(k.s.log.String())),
		"waiting jobs": m[`stockroom_queue_jobs{state="waiting"}`],
		"products.db":  0, "products.db-wal": 0, "queue.db": 0, "other files": 0,
	}}
	_ = filepath.WalkDir(k.s.Dir, func(path string, d os.DirEntry, _ error) error {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return nil // gone meanwhile
		}
		name := d.Name()
		if _, known := s.the[name]; !known {
			name = "other files"
		}
		s.the[name] += float64(info.Size())
		return nil
	})
	return s
}

// soakLimits say by how much a measure may be larger in the last third of the samples than
// in the one before; the first third warms up. Levels have to stay, in the middle and at
// their highest. What each delivery adds may not become more: the journal, the change feed
// and the log keep something of each.
var soakLimits = []struct {
	name         string
	each         bool // what a delivery adds, in place of the level
	share, slack float64
}{
	{"memory", false, 0.15, 16 << 20},
	{"heap", false, 0.25, 16 << 20},
	{"goroutines", false, 0.2, 20},
	{"descriptors", false, 0.2, 20},
	{"waiting jobs", false, 0.25, 2000},
	{"products.db-wal", false, 0.25, 8 << 20},
	{"queue.db", false, 0.1, 4 << 20},
	{"other files", false, 0.1, 4 << 20},
	{"products.db", true, 0.25, 64},
	{"log", true, 0.25, 4},
}

// soakParts are the samples after the warm-up, in two halves.
func soakParts(samples []soakSample) (first, last []soakSample) {
	n := len(samples) / 3
	return samples[n : 2*n], samples[2*n:]
}

// soakGrowth says what grew.
func soakGrowth(samples []soakSample) (list []string) {
	first, last := soakParts(samples)
	if len(first) < 10 {
		return []string{fmt.Sprintf("%d samples are too few to judge", len(samples))}
	}
	for _, limit := range soakLimits {
		before, after := soakFigures(first, limit.name, limit.each), soakFigures(last, limit.name, limit.each)
		for i, what := range []string{"in the middle", "at its highest"}[:len(before)] {
			if most := before[i]*(1+limit.share) + limit.slack; after[i] > most {
				list = append(list, fmt.Sprintf("%s grew %s: %.0f, then %.0f, at most %.0f was allowed",
					limit.name, what, before[i], after[i], most))
			}
		}
	}
	return list
}

// soakFigures are the median and the largest of a measure, or what one delivery added.
func soakFigures(samples []soakSample, name string, each bool) []float64 {
	if each {
		begin, end := samples[0].the, samples[len(samples)-1].the
		return []float64{(end[name] - begin[name]) / max(1, end["deliveries"]-begin["deliveries"])}
	}
	var list []float64
	for _, s := range samples {
		list = append(list, s.the[name])
	}
	slices.Sort(list)
	return []float64{list[len(list)/2], list[len(list)-1]}
}

// soakTable shows both halves as they are judged.
func soakTable(samples []soakSample) string {
	first, last := soakParts(samples)
	begin, end := first[0], last[len(last)-1]
	text := fmt.Sprintf("%.0f deliveries taken in all, %.0f a second after the warm-up\n", end.the["deliveries"],
		(end.the["deliveries"]-begin.the["deliveries"])/(end.at-begin.at).Seconds())
	for _, limit := range soakLimits {
		text += fmt.Sprintf("%s (each delivery: %v): %.0f, then %.0f\n", limit.name, limit.each,
			soakFigures(first, limit.name, limit.each), soakFigures(last, limit.name, limit.each))
	}
	return text
}

// The judge of the soak sees what grows, and passes what only swings.
func TestTheSoakIsJudgedByWhatGrows(t *testing.T) {
	t.Parallel()
	made := func(grow string, by float64) (list []soakSample) {
		for i := range 60 {
			swing := 1 + 0.05*float64(i%7)
			s := soakSample{time.Duration(i) * soakEvery, map[string]float64{"deliveries": float64(i) * 1000}}
			for _, limit := range soakLimits {
				level := 10 * limit.slack * swing
				if limit.each {
					level = float64(i) * 1000 * 10 * limit.slack
				}
				if limit.name == grow {
					level *= 1 + by*float64(i)/60
				}
				s.the[limit.name] = level
			}
			list = append(list, s)
		}
		return list
	}
	if list := soakGrowth(made("", 0)); len(list) > 0 {
		t.Errorf("of what swings: %q", list)
	}
	for _, limit := range soakLimits {
		if list := soakGrowth(made(limit.name, 3)); len(list) == 0 || !strings.HasPrefix(list[0], limit.name+" grew") {
			t.Errorf("of %s, which grows: %q", limit.name, list)
		}
	}
	if list := soakGrowth(made("", 0)[:20]); len(list) != 1 {
		t.Errorf("of a run that is too short: %q", list)
	}
}
