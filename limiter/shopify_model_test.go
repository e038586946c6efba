package limiter

import (
	"fmt"
	"time"
)

// modelShop is Shopify's side, written without a look at ours: a leaky bucket
// in floating point that admits by requested cost and refunds when the query is
// done, and a log of what it charged.
type modelShop struct {
	size, rate float64 // points; points per second
	level      float64
	at         time.Duration

	overflow float64 // points lost because the bucket was full, while counting
	counting bool
	charged  float64
	log      []modelCharge
	budgets  []modelBudget // every budget that was ever in force
	worst    string        // first window found over budget
}

type modelCharge struct {
	at     time.Duration
	points float64
}

type modelBudget struct {
	from   time.Duration
	points float64 // most that a window may hold
}

func (m *modelShop) drip(now time.Duration) {
	add := (now - m.at).Seconds() * m.rate
	m.at = now
	m.level += add
	if m.level > m.size {
		if m.counting {
			m.overflow += m.level - m.size
		}
		m.level = m.size
	}
}

// replan changes the shop's plan.
func (m *modelShop) replan(now time.Duration, size, rate float64, window time.Duration) {
	m.drip(now)
	m.size, m.rate, m.level = size, rate, min(m.level, size)
	m.budgets = append(m.budgets, modelBudget{now, size + rate*window.Seconds()})
}

// admit takes the requested cost, or reports that the call is throttled.
func (m *modelShop) admit(now time.Duration, requested int) bool {
	m.drip(now)
	if m.level+1e-6 < float64(requested) {
		return false
	}
	m.level -= float64(requested)
	return true
}

// finish refunds what the query did not use.
func (m *modelShop) finish(now time.Duration, requested, actual int) {
	m.drip(now)
	m.level = min(m.level+float64(requested-actual), m.size)
}

func (m *modelShop) status(now time.Duration) ThrottleStatus {
	m.drip(now)
	return ThrottleStatus{MaximumAvailable: m.size, CurrentlyAvailable: m.level, RestoreRate: m.rate}
}

// book notes a charge and looks at the window that ends with it: no window may
// hold more than the highest budget that was in force since it began.
func (m *modelShop) book(now time.Duration, actual int, window time.Duration, fixed float64) {
	m.charged += float64(actual)
	m.log = append(m.log, modelCharge{now, float64(actual)})
	drop, sum := 0, 0.0
	for i, c := range m.log {
		if c.at <= now-window {
			drop = i + 1
			continue
		}
		sum += c.points
	}
	m.log = m.log[drop:]
	limit := fixed
	if fixed == 0 {
		for i, b := range m.budgets {
			if i+1 == len(m.budgets) || m.budgets[i+1].from > now-window {
				limit = max(limit, b.points)
			}
		}
	}
	if sum > limit && m.worst == "" {
		m.worst = fmt.Sprintf("window ending at %v holds %v of %v points", now, sum, limit)
	}
}
