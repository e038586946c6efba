// Package telemetry records the metrics that several packages write: the four
// Shopify metrics that operators' dashboards rely on. It keeps nothing on disk. Lines
// bounds what a stranger can write into the log.
//
// Labels come from closed sets or from the configured shops. So that a thousand
// shops do not make a hundred thousand series, only Shops of them get a label
// of their own and the rest share "other"; which is which never changes while
// the process runs, so no counter ever goes back. Prefer says at the start which
// shops are the busiest.
//
// Shops with a label of their own have at most ownSeries series together; what
// would go beyond them is counted under "other" from its first time on. So the
// sum over all shops is always right.
//
// Units: seconds.
package telemetry

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Shops is how many shops get series of their own. One busy shop makes about
// 100 series here, most of them buckets of histograms.
const Shops = 10

// ownSeries is how many series the shops with a label of their own may have
// together. What shares a label adds at most about 450: every type, operation
// and error once.
const ownSeries = 1100

// Other is the label that the remaining shops share.
const Other = "other"

// durationBuckets are the upper bounds of shopify_sync_duration_seconds.
var durationBuckets = []float64{0.1, 0.5, 1, 2, 5, 10, 30, 60, 120}

// ErrorType is the label of shopify_sync_errors_total, a closed set.
type ErrorType string

// The error types.
const (
	ErrLocked    ErrorType = "locked"
	ErrDiskFull  ErrorType = "disk_full"
	ErrReadOnly  ErrorType = "read_only"
	ErrIO        ErrorType = "io_error"
	ErrDamaged   ErrorType = "damaged"
	ErrTimeout   ErrorType = "timeout"
	ErrClosed    ErrorType = "closed"
	ErrMalformed ErrorType = "malformed"
	ErrMismatch  ErrorType = "mismatch"
	ErrThrottled ErrorType = "throttled"
	ErrAuth      ErrorType = "auth"
	ErrUpstream  ErrorType = "upstream"
	ErrInternal  ErrorType = "internal"
)

// Recorder writes the Shopify metrics into a set.
type Recorder struct {
	set *metrics.Set

	mu     sync.Mutex // labels, own, and the making of series
	labels map[string]string
	named  int // shops with a label of their own
	own    int // series of theirs

	shown sync.Map // shops that Shop was called with
	made  sync.Map // the metrics, by a key of one of the types below
}

type webhookKey struct {
	shop, typ string
	ok        bool
}
type limitedKey string // the shop
type durationKey struct{ shop, operation string }
type errorKey struct {
	shop, operation string
	typ             ErrorType
}

// New returns a recorder that writes into set.
func New(set *metrics.Set) *Recorder {
	return &Recorder{set: set, labels: make(map[string]string)}
}

// Prefer gives labels of their own to the first shops of a list, as long as
// there are any left. Called once at the start with the busiest shops first.
func (r *Recorder) Prefer(shops []string) {
	for _, shop := range shops {
		r.Label(shop)
	}
}

// Label returns the label of a shop: its own name or Other.
func (r *Recorder) Label(shop string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.label(shop)
}

func (r *Recorder) label(shop string) string {
	label, ok := r.labels[shop]
	if !ok {
		label = Other
		if r.named < Shops {
			label = shop
			r.named++
		}
		r.labels[shop] = label
	}
	return label
}

// Shop makes the families of a configured shop appear at zero.
func (r *Recorder) Shop(shop string) {
	if _, shown := r.shown.LoadOrStore(shop, true); shown {
		return
	}
	for _, typ := range []string{"create", "update", "delete"} {
		r.webhook(shop, typ, true)
		r.webhook(shop, typ, false)
		r.duration(shop, "webhook_"+typ)
	}
	r.errorCounter(shop, "webhook_update", ErrLocked)
	r.rateLimited(shop)
}

// Webhook counts one accepted delivery of a type (create, update, ...) and how
// long it took.
func (r *Recorder) Webhook(shop, typ string, ok bool, took time.Duration) {
	r.webhook(shop, typ, ok).Inc()
	r.Duration(shop, "webhook_"+typ, took)
}

// Duration records how long one operation took.
func (r *Recorder) Duration(shop, operation string, took time.Duration) {
	r.duration(shop, operation).Update(took.Seconds())
}

// Error counts one failed operation.
func (r *Recorder) Error(shop, operation string, typ ErrorType) {
	r.errorCounter(shop, operation, typ).Inc()
}

// RateLimited counts a call that was delayed, denied or throttled.
func (r *Recorder) RateLimited(shop string) { r.rateLimited(shop).Inc() }

func (r *Recorder) rateLimited(shop string) *metrics.Counter {
	return kept(r, shop, limitedKey(shop), 1, func(label string) *metrics.Counter {
		return r.set.GetOrCreateCounter(fmt.Sprintf(`shopify_rate_limit_hits_total{shop=%q}`, label))
	})
}

func (r *Recorder) webhook(shop, typ string, ok bool) *metrics.Counter {
	return kept(r, shop, webhookKey{shop, typ, ok}, 1, func(label string) *metrics.Counter {
		status := "success"
		if !ok {
			status = "error"
		}
		return r.set.GetOrCreateCounter(fmt.Sprintf(`shopify_webhooks_total{shop=%q,type=%q,status=%q}`, label, typ, status))
	})
}

func (r *Recorder) duration(shop, operation string) *metrics.PrometheusHistogram {
	return kept(r, shop, durationKey{shop, operation}, len(durationBuckets)+3, func(label string) *metrics.PrometheusHistogram {
		return r.set.GetOrCreatePrometheusHistogramExt(
			fmt.Sprintf(`shopify_sync_duration_seconds{shop=%q,operation_type=%q}`, label, operation), durationBuckets)
	})
}

func (r *Recorder) errorCounter(shop, operation string, typ ErrorType) *metrics.Counter {
	return kept(r, shop, errorKey{shop, operation, typ}, 1, func(label string) *metrics.Counter {
		return r.set.GetOrCreateCounter(fmt.Sprintf(`shopify_sync_errors_total{shop=%q,operation_type=%q,error_type=%q}`, label, operation, string(typ)))
	})
}

// kept returns the metric of a shop under key, which takes so many series, and
// makes it the first time: under the shop's label, or under Other when the
// shops with a label of their own have too many.
func kept[M any](r *Recorder, shop string, key any, series int, make func(label string) *M) *M {
	if m, found := r.made.Load(key); found {
		return m.(*M)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m, found := r.made.Load(key); found {
		return m.(*M)
	}
	label := r.label(shop)
	if label != Other && r.own+series > ownSeries {
		label = Other
	}
	if label != Other {
		r.own += series
	}
	m := make(label)
	r.made.Store(key, m)
	return m
}

// Write writes the set in the Prometheus text format.
func (r *Recorder) Write(w io.Writer) { r.set.WritePrometheus(w) }

// Own lists the shops with a label of their own, sorted.
func (r *Recorder) Own() []string { return r.labelled(func(l string) bool { return l != Other }) }

// Sharing lists the shops that share the label Other, sorted.
func (r *Recorder) Sharing() []string { return r.labelled(func(l string) bool { return l == Other }) }

func (r *Recorder) labelled(ok func(label string) bool) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for shop, label := range r.labels {
		if ok(label) {
			list = append(list, shop)
		}
	}
	slices.Sort(list)
	return list
}
