package store

import (
	"fmt"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// storeMetrics are the store's metrics. HELP and TYPE are written where they
// are served.
type storeMetrics struct {
	requests    *metrics.PrometheusHistogram
	commit      *metrics.PrometheusHistogram
	quarantines *metrics.Counter
	failures    map[Cause]*metrics.Counter
}

func newStoreMetrics(set *metrics.Set, s *Store) *storeMetrics {
	m := &storeMetrics{
		requests:    set.NewPrometheusHistogramExt(`stockroom_group_commit_size`, []float64{1, 2, 4, 8, 16, 32, 64}),
		commit:      set.NewPrometheusHistogramExt(`stockroom_commit_sync_seconds`, []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 1, 5}),
		quarantines: set.NewCounter(`stockroom_store_quarantines_total{store="products"}`),
		failures:    make(map[Cause]*metrics.Counter),
	}
	for _, c := range []Cause{CauseLocked, CauseFull, CauseReadOnly, CauseIO, CauseDamaged, CauseLost, CauseClosed, CauseTimeout} {
		m.failures[c] = set.NewCounter(fmt.Sprintf(`stockroom_catalogue_write_failures_total{cause=%q}`, c))
	}
	set.NewGauge(`stockroom_wal_bytes`, func() float64 { return float64(s.walSize()) })
	set.NewGauge(`stockroom_change_seq`, func() float64 { return float64(s.LastSeq()) })
	return m
}

func (m *storeMetrics) group(requests int)            { m.requests.Update(float64(requests)) }
func (m *storeMetrics) commitSeconds(d time.Duration) { m.commit.Update(d.Seconds()) }
func (m *storeMetrics) failure(c Cause) {
	if counter, ok := m.failures[c]; ok {
		counter.Inc()
	}
}
