package webhook

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/time/rate"

	"stockroom/internal/admit"
	"stockroom/internal/catalog"
	"stockroom/internal/telemetry"
	"stockroom/queue"
	"stockroom/store"
)

// Catalogue is where deliveries go first.
type Catalogue interface {
	Apply(ctx context.Context, d store.Delivery, c catalog.Change) (store.Result, error)
	Record(ctx context.Context, d store.Delivery, externalID int64, outcome store.Outcome, reason string, want *store.Wanted) (*store.Wanted, error)
	Probe(ctx context.Context) error
	Health() store.Health
}

// Queue is where deliveries wait that the catalogue can't take now.
type Queue interface {
	Enqueue(ctx context.Context, j queue.NewJob) (id uint64, coalesced bool, err error)
	Bury(ctx context.Context, j queue.NewJob, class queue.Class, cause error) (id uint64, err error)
	Work(ctx context.Context, kind string, concurrency int, most time.Duration, h queue.Handler) error
	Wake(ctx context.Context, kind string) (int, error)
	Get(ctx context.Context, id uint64) (queue.Job, error)
}

// Options are the intake's settings.
type Options struct {
	Catalogue Catalogue
	Queue     Queue
	Telemetry *telemetry.Recorder
	Metrics   *metrics.Set
	Logger    *slog.Logger
	// MaxBody is the largest accepted body in bytes; 0 means 8 MiB.
	MaxBody int64
	// TrustedProxies are the networks whose X-Forwarded-For counts.
	TrustedProxies admit.Proxies
	// ShopTime is the time by a shop's own clock. A body that is dated well after
	// it is not applied; nil: bodies are not compared with a clock.
	ShopTime func(shop string) time.Time
	// Wanted is told of work that a commit asked for. It must not block. The
	// work is durable already. nil drops it.
	Wanted func(store.Wanted)
	// Heard is told of valid deliveries that the catalogue did not take. nil drops
	// it.
	Heard func(d store.Delivery, c catalog.Change)
	// Proven is told of each request whose signature is right, and again when it was
	// applied: one that was seen and is sent again is not. Proved tells whether one
	// was applied on a request's connection. nil: nobody knows.
	Proven func(r *http.Request, applied bool)
	Proved func(*http.Request) bool
	// Redact deletes everything that is kept of a shop, after shop/redact for a
	// shop that is known to be gone.
	Redact func(ctx context.Context, shop string) error
}

// Intake handles deliveries.
type Intake struct {
	opt       Options
	log       *slog.Logger
	lines     *slog.Logger // for what a stranger can cause
	counts    counts
	rejected  rejectedList
	refusals  refusals
	lately    lately
	looks     *rate.Limiter // looks for the cause of a wrong signature, all senders together
	senders   *senders
	bodies    *bodies
	gate      *gate
	buried    *buried
	directory atomic.Pointer[Directory]
}

// New returns an intake with an empty directory.
func New(o Options) *Intake {
	o.MaxBody = cmp.Or(o.MaxBody, 8<<20)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	o.Metrics = cmp.Or(o.Metrics, metrics.NewSet())
	if o.Telemetry == nil {
		o.Telemetry = telemetry.New(o.Metrics)
	}
	if o.Wanted == nil {
		o.Wanted = func(store.Wanted) {}
	}
	if o.Heard == nil {
		o.Heard = func(store.Delivery, catalog.Change) {}
	}
	if o.Proven == nil {
		o.Proven = func(*http.Request, bool) {}
	}
	if o.Proved == nil {
		o.Proved = func(*http.Request) bool { return false }
	}
	lines := telemetry.Lines(o.Logger)
	in := &Intake{
		opt: o, log: o.Logger, lines: lines,
		counts:  newCounts(o.Metrics),
		looks:   rate.NewLimiter(1, 1),
		senders: newSenders(),
		bodies:  newBodies(bodiesInFlight * o.MaxBody),
		gate:    newGate(o.Catalogue, o.Queue, lines),
		buried:  &buried{ids: newList[int64, uint64](buriedKept)},
	}
	in.directory.Store(NewDirectory(nil, nil))
	return in
}

// SetDirectory replaces the shops and their secrets.
func (in *Intake) SetDirectory(d *Directory) {
	for domain, shop := range d.shops {
		if !shop.Removed {
			in.opt.Telemetry.Shop(domain)
		}
	}
	in.directory.Store(d)
}

// Rejected returns the newest refused requests, newest first.
func (in *Intake) Rejected() []Rejected { return in.rejected.list() }

// CatalogueClosed reports whether deliveries go straight to the queue, and
// since when.
func (in *Intake) CatalogueClosed() (since time.Time, closed bool) { return in.gate.state() }

// CatalogueCause is why deliveries go straight to the queue, as the newest probe
// of the catalogue found it; "" when they do not.
func (in *Intake) CatalogueCause() store.Cause { return store.CauseOf(in.gate.err()) }

// request is one delivery on its way.
type request struct {
	http     *http.Request
	arrived  time.Time
	family   family
	shop     string // as the header says, or the body of a compliance topic; lower case
	topic    string // as the header says
	address  netip.Addr
	envelope Envelope
}

// receipt is a 2xx answer.
type receipt struct {
	success, queued, ignored bool
	outage                   bool // queued because the catalogue fails; the gate tells of that
	outcome                  store.Outcome
	reason                   string
}

func (a receipt) body() string {
	switch {
	case a.ignored:
		return `{"success":true,"ignored":true}`
	case a.success:
		return `{"success":true}`
	case a.queued:
		return `{"success":false,"queued":true}`
	}
	return `{"success":false,"queued":false}`
}

// ServeHTTP answers one delivery.
func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := &request{http: r, arrived: time.Now()}
	in.counts.received.Inc()
	a, rej := in.handle(w, req)
	if rej != nil {
		in.refuse(w, req, *rej)
		return
	}
	// Counted before the answer leaves: whoever has got it finds it counted.
	took := time.Since(req.arrived)
	in.counts.accepted[a.outcome].Inc()
	in.opt.Telemetry.Webhook(req.shop, catalog.Topic(req.topic).Label(), a.success, took)
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(a.body())) // durable already; a client that left gets it again as a duplicate
	log := in.lines                  // whoever has seen one delivery can send it again
	if a.outcome == store.Applied {
		log = in.log
	}
	log.LogAttrs(r.Context(), levelOf(a), "webhook",
		slog.String("outcome", string(a.outcome)), slog.String("shop", req.shop), slog.String("topic", clip(req.topic)),
		slog.String("webhook_id", clip(req.envelope.WebhookID)), slog.Int64("took_us", took.Microseconds()), slog.String("reason", a.reason))
}

var jsonType = []string{"application/json"} // read only

func levelOf(a receipt) slog.Level {
	if a.success || a.outage {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

func (in *Intake) refuse(w http.ResponseWriter, req *request, rej rejection) {
	told := cause{reason: rej.reason, detail: rej.detail}
	if rej.cause != nil {
		told = *rej.cause
	}
	in.counts.rejected[told.reason].Inc()
	entry := Rejected{
		At: req.arrived, Reason: told.reason, Status: rej.status, Detail: told.detail,
		Address: req.address.String(), Shop: clip(req.shop), Topic: clip(req.topic),
	}
	in.rejected.add(entry)
	if shop, ok := in.directory.Load().shops[req.shop]; ok && !shop.Removed {
		in.refusals.refused(req.shop, told.reason, told.found, req.arrived)
	}
	switch rej.reason {
	case ReasonTooLarge, ReasonEncoded, ReasonAborted, ReasonBusy:
		// What is left of the body would otherwise be read from the connection.
		w.Header().Set("Connection", "close")
	}
	rej.write(w)
	in.lines.Warn("webhook refused", "reason", string(told.reason), "status", rej.status,
		"address", entry.Address, "shop", entry.Shop, "topic", entry.Topic, "detail", told.detail)
}

// counts are the counters that have to reconcile: received = accepted +
// rejected, each request counted once, at its answer.
type counts struct {
	received  *metrics.Counter
	accepted  map[store.Outcome]*metrics.Counter
	rejected  map[Reason]*metrics.Counter
	oldSecret *metrics.Counter
}

func newCounts(set *metrics.Set) counts {
	c := counts{
		received:  set.NewCounter("stockroom_webhooks_received_total"),
		accepted:  make(map[store.Outcome]*metrics.Counter),
		rejected:  make(map[Reason]*metrics.Counter),
		oldSecret: set.NewCounter("stockroom_webhooks_old_secret_total"),
	}
	for _, o := range store.Outcomes() {
		c.accepted[o] = set.NewCounter(fmt.Sprintf(`stockroom_deliveries_total{outcome=%q}`, string(o)))
	}
	for _, r := range Reasons() {
		c.rejected[r] = set.NewCounter(fmt.Sprintf(`stockroom_webhooks_rejected_total{reason=%q}`, string(r)))
	}
	return c
}
