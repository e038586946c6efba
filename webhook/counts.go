package webhook

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/store"
)

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
