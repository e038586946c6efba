package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
	"github.com/julienschmidt/httprouter"

	"stockroom/internal/status"
)

const textFormat = "text/plain; version=0.0.4; charset=utf-8"

// registerGauges adds the gauges that cost nothing to read.
func (s *Server) registerGauges() {
	s.own.NewGauge(fmt.Sprintf(`stockroom_build_info{version=%q,goversion=%q}`, s.o.Version, runtime.Version()), func() float64 { return 1 })
	started := float64(s.o.Started.UnixMilli()) / 1000
	s.own.NewGauge(`process_start_time_seconds`, func() float64 { return started })
	s.own.NewGauge(`go_goroutines`, func() float64 { return float64(runtime.NumGoroutine()) })
	s.own.NewGauge(`go_memory_heap_bytes`, func() float64 { return runtimeMetric("/memory/classes/heap/objects:bytes") })
	s.own.NewGauge(`go_gc_cycles_total`, func() float64 { return runtimeMetric("/gc/cycles/total:gc-cycles") })
	if s.o.DiskFree != nil {
		s.own.NewGauge(`stockroom_disk_free_bytes`, func() float64 {
			n, err := s.o.DiskFree()
			if err != nil {
				return math.NaN()
			}
			return float64(n)
		})
	}
	registerProcess(s.own)
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func runtimeMetric(name string) float64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return float64(sample[0].Value.Uint64())
}

func (s *Server) allMetrics(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	sets := make([]func(io.Writer), 0, len(s.o.Sets)+3)
	if s.o.Telemetry != nil {
		sets = append(sets, s.o.Telemetry.Write)
	}
	for _, set := range append([]*vm.Set{s.own, s.state(r.Context())}, s.o.Sets...) {
		sets = append(sets, set.WritePrometheus)
	}
	return writeMetrics(w, families, sets...)
}

func (s *Server) shopifyMetrics(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	if s.o.Telemetry == nil {
		return writeMetrics(w, families[:shopifyFamilies])
	}
	return writeMetrics(w, families[:shopifyFamilies], s.o.Telemetry.Write)
}

// state is a set with the gauges that are read together at a scrape.
func (s *Server) state(ctx context.Context) *vm.Set {
	set := vm.NewSet()
	add := func(name string, v float64) { set.NewGauge(name, func() float64 { return v }) }
	a := s.account(ctx)
	c, q := a.Catalogue, a.Queue
	add(`stockroom_store_healthy{store="catalogue"}`, one(c.OK))
	add(`stockroom_store_healthy{store="queue"}`, one(q.OK))
	closed, oldest := 0.0, 0.0
	if c.Closed {
		closed = max(0, time.Since(c.Since).Seconds())
	}
	if !q.Oldest.IsZero() {
		oldest = max(0, time.Since(q.Oldest).Seconds())
	}
	add(`stockroom_catalogue_closed_seconds`, closed)
	add(`stockroom_queue_jobs{state="waiting"}`, float64(q.Waiting))
	add(`stockroom_queue_jobs{state="leased"}`, float64(q.Leased))
	add(`stockroom_queue_jobs{state="dead"}`, float64(q.Dead))
	add(`stockroom_queue_jobs_stuck`, float64(q.Stuck))
	add(`stockroom_queue_dead_letters`, float64(max(0, q.Dead-q.Misfits)))
	add(`stockroom_queue_oldest_age_seconds`, oldest)
	lines := map[string]int{}
	for _, l := range a.Lines {
		lines[l.Code]++
	}
	for _, code := range status.Codes() {
		add(fmt.Sprintf(`stockroom_condition{code=%q}`, code), float64(lines[code]))
	}
	for _, c := range a.Certificates {
		var end float64
		if !c.NotAfter.IsZero() {
			end = float64(c.NotAfter.Unix())
		}
		add(fmt.Sprintf(`stockroom_certificate_expires_timestamp_seconds{name=%q}`, c.Name), end)
	}
	if a.ShopsErr != nil {
		s.log.Warn("metrics: shops", "error", a.ShopsErr.Error())
		return set
	}
	s.callGauges(set, a)
	s.copyGauges(ctx, set, a)
	byState := map[string]int{}
	for _, v := range a.Shops {
		byState[v.State]++
	}
	for _, state := range []string{"active", "paused", "uninstalled"} {
		add(fmt.Sprintf(`stockroom_shops{state=%q}`, state), float64(byState[state]))
	}
	return set
}

// writeMetrics writes the samples of the sets grouped by family, each family
// with its HELP and TYPE. A family without samples has its two lines all the
// same; a sample that two sets hold is written once; one without a family comes
// last, untyped.
func writeMetrics(w http.ResponseWriter, table []family, sets ...func(io.Writer)) error {
	byName := make(map[string]int, len(table))
	for i, f := range table {
		byName[f.name] = i
	}
	lines := make([][]string, len(table)+1)
	seen := map[string]bool{}
	var b bytes.Buffer
	for _, write := range sets {
		b.Reset()
		write(&b)
		for line := range strings.Lines(b.String()) {
			if line == "\n" || line[0] == '#' {
				continue
			}
			series := line[:strings.LastIndexByte(line, ' ')]
			if !seen[series] {
				seen[series] = true
				i := familyOf(byName, table, series)
				lines[i] = append(lines[i], line)
			}
		}
	}
	b.Reset()
	for i, f := range table {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, f.kind)
		b.WriteString(strings.Join(lines[i], ""))
	}
	b.WriteString(strings.Join(lines[len(table)], ""))
	w.Header().Set("Content-Type", textFormat)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
	return nil
}

// familyOf is the place of the family of a series, "name" or "name{labels}", behind
// the last one for none.
func familyOf(byName map[string]int, table []family, series string) int {
	name, _, _ := strings.Cut(series, "{")
	if i, ok := byName[name]; ok {
		return i
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		base, ok := strings.CutSuffix(name, suffix)
		if i, known := byName[base]; ok && known && table[i].kind == histogram {
			return i
		}
	}
	return len(table)
}

// label is the value of the label shop for a shop: its name or "other".
func (s *Server) label(shop string) string {
	if s.o.Telemetry == nil {
		return shop
	}
	return s.o.Telemetry.Label(shop)
}

// labelled lists the shops with a label of their own and how many share one.
func (s *Server) labelled() (named []string, sharing int) {
	if s.o.Telemetry == nil {
		return nil, 0
	}
	return s.o.Telemetry.Own(), len(s.o.Telemetry.Sharing())
}

// folded gathers one value for each label set of a scrape. Shops that share a
// label are added up, or the worst of them counts.
type folded struct {
	values map[string]float64
	order  []string
}

func (f *folded) fold(series string, v float64, with func(a, b float64) float64) {
	if f.values == nil {
		f.values = map[string]float64{}
	}
	if old, ok := f.values[series]; ok {
		v = with(old, v)
	} else {
		f.order = append(f.order, series)
	}
	f.values[series] = v
}

func (f *folded) has(series string) bool {
	_, ok := f.values[series]
	return ok
}

func (f *folded) write(set *vm.Set) {
	for _, series := range f.order {
		v := f.values[series]
		if math.IsNaN(v) {
			continue // not known for one of the shops behind it
		}
		set.NewGauge(series, func() float64 { return v })
	}
}

func add(a, b float64) float64 { return a + b }

// copyGauges adds how each shop's copy stands against the shop.
func (s *Server) copyGauges(ctx context.Context, set *vm.Set, a *status.Account) {
	var f folded
	for _, v := range a.Shops {
		if v.State == "uninstalled" {
			continue // nothing is compared any more
		}
		label := s.label(v.Shop)
		if counts, err := s.counts.get(ctx, v.Shop); err == nil {
			f.fold(fmt.Sprintf(`stockroom_products{shop=%q,where="local"}`, label), float64(counts.Products), add)
		}
		if v.Sync != nil {
			f.status(label, v.Sync, a.Now)
		}
	}
	f.write(set)
}

// status adds one shop's status.
func (f *folded) status(label string, st *status.Sync, now time.Time) {
	shop := func(name string, v float64, with func(a, b float64) float64) {
		f.fold(fmt.Sprintf(`%s{shop=%q}`, name, label), v, with)
	}
	lowest, highest := math.Min, math.Max

	stale := st.Staleness
	if stale < 0 {
		stale = math.Inf(1)
	}
	shop("stockroom_in_step", one(st.InStep), lowest)
	shop("stockroom_staleness_seconds", stale, highest)
	shop("stockroom_undelivered_changes", float64(st.Deliveries.Undelivered), add)
	shop("stockroom_subscriptions_present", one(st.Subscriptions.Present), lowest)
	looked := math.Inf(1)
	if l := st.Looking; !l.Last.IsZero() {
		looked = max(0, now.Sub(l.Last).Seconds())
	}
	shop("stockroom_look_pull", one(st.Looking.Pull), lowest)
	shop("stockroom_look_age_seconds", looked, highest)
	shop("stockroom_look_interval_seconds", st.Looking.EverySeconds, highest)
	shop("stockroom_look_changes_waiting", float64(st.Looking.Waiting), add)

	remote := float64(st.Remote)
	if st.Remote < 0 {
		remote = math.NaN() // a sum that leaves a shop out would look like missing products
	}
	f.fold(fmt.Sprintf(`stockroom_products{shop=%q,where="shop"}`, label), remote, add)

	var running, read, expected float64
	if r := st.Running; r != nil {
		running, read, expected = 1, float64(r.Read), float64(r.Expected)
	}
	shop("stockroom_sync_running", running, add)
	shop("stockroom_sync_products_read", read, add)
	shop("stockroom_sync_products_expected", expected, add)

	if r := st.LastReconcile; r != nil {
		for kind, n := range map[string]int64{"missing": r.Added, "different": r.Changed, "extra": r.Removed} {
			f.fold(fmt.Sprintf(`stockroom_drift_products{shop=%q,kind=%q}`, label, kind), float64(n), add)
		}
	}
	for _, sc := range st.Schedules {
		var at float64
		if !sc.LastSuccess.IsZero() {
			at = float64(sc.LastSuccess.UnixMilli()) / 1000
		}
		f.fold(fmt.Sprintf(`stockroom_schedule_last_success_timestamp_seconds{shop=%q,schedule=%q}`, label, sc.Name), at, lowest)
		f.fold(fmt.Sprintf(`stockroom_schedule_late{shop=%q,schedule=%q}`, label, sc.Name), one(sc.Late), highest)
	}
}
