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

	"github.com/julienschmidt/httprouter"

	vm "github.com/VictoriaMetrics/metrics"

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
			line = strings.TrimSuffix(line, "\n")
			if line == "" || line[0] == '#' {
				continue
			}
			series := line[:strings.LastIndexByte(line, ' ')]
			if seen[series] {
				continue
			}
			seen[series] = true
			i, ok := familyOf(byName, table, series)
			if !ok {
				i = len(table)
			}
			lines[i] = append(lines[i], line)
		}
	}
	b.Reset()
	for i, f := range table {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, f.kind)
		for _, line := range lines[i] {
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
	for _, line := range lines[len(table)] {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	w.Header().Set("Content-Type", textFormat)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
	return nil
}

// familyOf finds the family of a series, "name" or "name{labels}".
func familyOf(byName map[string]int, table []family, series string) (int, bool) {
	name, _, _ := strings.Cut(series, "{")
	if i, ok := byName[name]; ok {
		return i, true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		base, ok := strings.CutSuffix(name, suffix)
		if i, known := byName[base]; ok && known && table[i].kind == histogram {
			return i, true
		}
	}
	return 0, false
}
