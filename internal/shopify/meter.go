package shopify

import (
	"context"
	"sync/atomic"

	"stockroom/limiter"
)

// Meter counts what the calls of one piece of work cost. It is safe for
// concurrent use.
type Meter struct{ calls, points atomic.Int64 }

// Calls is how many requests were sent to the API, tries and probes included,
// tokens and downloads not.
func (m *Meter) Calls() int64 { return m.calls.Load() }

// Points is what they cost: what Shopify said, or where it said nothing what
// the call can have cost at most.
func (m *Meter) Points() int64 { return m.points.Load() }

type meterKey struct{}

// WithMeter returns a context whose calls are counted by m as well.
func WithMeter(ctx context.Context, m *Meter) context.Context {
	return context.WithValue(ctx, meterKey{}, m)
}

// meterCall counts a call that was charged points, or limiter.Unknown.
func meterCall(ctx context.Context, charged, atMost int) {
	m, ok := ctx.Value(meterKey{}).(*Meter)
	if !ok {
		return
	}
	if charged == limiter.Unknown {
		charged = atMost
	}
	m.calls.Add(1)
	m.points.Add(int64(charged))
}
