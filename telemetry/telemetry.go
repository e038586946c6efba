// Package telemetry records the metrics that several packages write: the four
// Shopify metrics that operators' dashboards rely on. It keeps nothing on disk.
//
// Labels come from closed sets or from the configured shops. So that a thousand
// shops do not make ten thousand series, only the first Shops of them get a
// label of their own and the rest share "other"; which is which never changes
// while the process runs, so no counter ever goes back.
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

// Shops is how many shops get series of their own.
const Shops = 30

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

	mu     sync.Mutex
	labels map[string]string

	webhooks  sync.Map // webhookKey -> *metrics.Counter
	durations sync.Map // durationKey -> *metrics.PrometheusHistogram
	errors    sync.Map // errorKey -> *metrics.Counter
	limited   sync.Map // label -> *metrics.Counter
}

type webhookKey struct {
	label, typ string
	ok         bool
}
type durationKey struct{ label, operation string }
type errorKey struct {
	label, operation string
	typ              ErrorType
}

// New returns a recorder that writes into set.
func New(set *metrics.Set) *Recorder {
	return &Recorder{set: set, labels: make(map[string]string)}
}

// Label returns the label of a shop: its own name or Other.
func (r *Recorder) Label(shop string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	label, ok := r.labels[shop]
	if !ok {
		label = shop
		if len(r.labels) >= Shops {
			label = Other
		}
		r.labels[shop] = label
	}
	return label
}

// Shop makes the families of a configured shop appear at zero.
func (r *Recorder) Shop(shop string) {
	for _, typ := range []string{"create", "update", "delete"} {
		r.webhook(shop, typ, true)
		r.webhook(shop, typ, false)
		r.duration(shop, "webhook_"+typ)
	}
	r.errorCounter(shop, "webhook_update", ErrLocked)
	r.RateLimited(shop, 0)
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

// RateLimited counts n calls that were delayed, denied or throttled.
func (r *Recorder) RateLimited(shop string, n int) {
	label := r.Label(shop)
	c, ok := r.limited.Load(label)
	if !ok {
		c, _ = r.limited.LoadOrStore(label, r.set.GetOrCreateCounter(fmt.Sprintf(`shopify_rate_limit_hits_total{shop=%q}`, label)))
	}
	c.(*metrics.Counter).Add(n)
}

func (r *Recorder) webhook(shop, typ string, ok bool) *metrics.Counter {
	key := webhookKey{r.Label(shop), typ, ok}
	if c, found := r.webhooks.Load(key); found {
		return c.(*metrics.Counter)
	}
	status := "success"
	if !ok {
		status = "error"
	}
	c := r.set.GetOrCreateCounter(fmt.Sprintf(`shopify_webhooks_total{shop=%q,type=%q,status=%q}`, key.label, typ, status))
	r.webhooks.Store(key, c)
	return c
}

func (r *Recorder) duration(shop, operation string) *metrics.PrometheusHistogram {
	key := durationKey{r.Label(shop), operation}
	if h, found := r.durations.Load(key); found {
		return h.(*metrics.PrometheusHistogram)
	}
	h := r.set.GetOrCreatePrometheusHistogramExt(
		fmt.Sprintf(`shopify_sync_duration_seconds{shop=%q,operation_type=%q}`, key.label, operation), durationBuckets)
	r.durations.Store(key, h)
	return h
}

func (r *Recorder) errorCounter(shop, operation string, typ ErrorType) *metrics.Counter {
	key := errorKey{r.Label(shop), operation, typ}
	if c, found := r.errors.Load(key); found {
		return c.(*metrics.Counter)
	}
	c := r.set.GetOrCreateCounter(fmt.Sprintf(`shopify_sync_errors_total{shop=%q,operation_type=%q,error_type=%q}`, key.label, operation, string(typ)))
	r.errors.Store(key, c)
	return c
}

// Write writes the set in the Prometheus text format.
func (r *Recorder) Write(w io.Writer) { r.set.WritePrometheus(w) }

// Sharing lists the shops that share the label Other, sorted.
func (r *Recorder) Sharing() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for shop, label := range r.labels {
		if label == Other {
			list = append(list, shop)
		}
	}
	slices.Sort(list)
	return list
}
