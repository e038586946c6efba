package fakeshopify

import (
	"bytes"
	"container/heap"
	"context"
	"io"
	"net/http"
	"slices"
	"time"
)

// retries is how often a failed delivery is sent again.
const retries = 8

// pendingDelivery is a delivery that waits for its next attempt.
type pendingDelivery struct {
	topic, address, name string
	action               string // of an Event
	version              string
	product              int64
	body                 []byte
	webhookID, eventID   string
	triggered            time.Time
	subscription         int64
	notification         bool // made in the shop's admin
	attempt              int  // attempts made
	firstFailure         time.Time
	due                  time.Time
	seq                  uint64
}

// deliveryQueue is a heap by due time, then by order of arrival.
type deliveryQueue []*pendingDelivery

func (q deliveryQueue) Len() int { return len(q) }
func (q deliveryQueue) Less(i, j int) bool {
	if c := q[i].due.Compare(q[j].due); c != 0 {
		return c < 0
	}
	return q[i].seq < q[j].seq
}
func (q deliveryQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *deliveryQueue) Push(x any)   { *q = append(*q, x.(*pendingDelivery)) }
func (q *deliveryQueue) Pop() any {
	old := *q
	n := len(old) - 1
	x := old[n]
	old[n] = nil
	*q = old[:n]
	return x
}

// fire queues a delivery for each subscription of the topic.
func (s *Shop) fire(at moment, topic string, product int64, body []byte) {
	gone := s.api.uninstalled && topic != TopicUninstalled
	for _, sub := range s.subs {
		if sub.Topic == topic && (sub.Notification || !gone) && sub.overHTTP() && s.wants(sub, product) {
			s.fireTo(sub, at, topic, product, onlyFields(body, sub.IncludeFields))
		}
	}
}

func (s *Shop) fireTo(sub *Subscription, at moment, topic string, product int64, body []byte) {
	c, r := s.opt.Chaos, s.chaosRand
	now := s.opt.Now()
	d := &pendingDelivery{topic: topic, action: at.action, address: sub.Address, name: sub.Name, version: sub.version, product: product, body: body,
		webhookID: uuid(r), eventID: at.event, triggered: at.triggered, subscription: sub.ID,
		notification: sub.Notification, due: now}
	s.stats.Fired++
	if chance(r, c.Loss) {
		s.stats.Lost++
		return
	}
	if chance(r, c.Delay) {
		most := c.DelayMax
		if most <= 0 {
			most = 30 * time.Second
		}
		d.due = d.due.Add(time.Duration(r.Int64N(int64(most)) + 1))
	}
	if chance(r, c.Reorder) {
		d.due = d.due.Add(time.Duration(r.Int64N(int64(3*time.Second)) + 1))
	}
	if s.burstLeft == 0 && chance(r, c.Burst) {
		s.burstLeft = 5 + r.IntN(36)
		s.burstAt = now.Add(time.Second + time.Duration(r.Int64N(int64(4*time.Second))))
	}
	if s.burstLeft > 0 {
		s.burstLeft--
		if s.burstAt.After(now) {
			d.due = s.burstAt
		} else {
			s.burstLeft = 0
		}
	}
	s.push(d)
	if chance(r, c.Duplicate) {
		twin := *d
		if chance(r, c.DuplicateNewID) {
			twin.webhookID = uuid(r)
		}
		if r.IntN(2) == 0 {
			twin.due = twin.due.Add(time.Duration(r.Int64N(int64(2 * time.Second))))
		}
		s.stats.Duplicated++
		s.push(&twin)
	}
}

func (s *Shop) push(d *pendingDelivery) {
	s.seq++
	d.seq = s.seq
	heap.Push(&s.pending, d)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// signingSecret is the one that Shopify signs with at now. During a rotation
// it changes over gradually, as its servers learn the new one.
func (s *Shop) signingSecret(d *pendingDelivery, now time.Time) string {
	if d.notification {
		return s.opt.NotificationSecret
	}
	window := s.opt.RotationWindow
	if s.oldSecret == "" || !now.Before(s.rotatedAt.Add(window)) {
		return s.secret
	}
	gone := float64(now.Sub(s.rotatedAt)) / float64(window)
	if chance(s.chaosRand, max(1-gone, s.opt.Chaos.OldSecret)) {
		s.stats.OldSecret++
		return s.oldSecret
	}
	return s.secret
}

// attempt sends d once and records what came of it. It is called without the
// lock; d belongs to the caller.
func (s *Shop) attempt(ctx context.Context, d *pendingDelivery) {
	s.mu.Lock()
	start := s.opt.Now()
	d.attempt++
	if d.attempt > 1 && s.opt.Chaos.RetryNewID {
		d.webhookID = uuid(s.chaosRand)
	}
	header := s.headers(d, s.signingSecret(d, start))
	s.stats.Attempts++
	s.mu.Unlock()

	status, err := s.post(ctx, d, header)

	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opt.Now()
	rec := Delivery{Topic: d.topic, WebhookID: d.webhookID, EventID: d.eventID, ProductID: d.product,
		Subscription: d.subscription, BodyHash: bodyHash(d.body), BodyBytes: len(d.body), TriggeredAt: d.triggered,
		Attempt: d.attempt, At: start, Duration: now.Sub(start), Status: status, Err: err}
	s.attempts.add(rec)
	sub := s.subscription(d.subscription)
	if rec.Acknowledged() {
		s.stats.Acknowledged++
		if sub != nil {
			sub.failures, sub.lastSuccess = 0, now
		}
		return
	}
	s.stats.Failed++
	s.log.Debug("webhook delivery failed", "topic", d.topic, "status", status, "attempt", d.attempt, "err", err)
	if d.firstFailure.IsZero() {
		d.firstFailure = now
	}
	s.countFailure(sub, d, now)
	if d.attempt > retries {
		s.stats.GivenUp++
		return
	}
	d.due = now.Add(s.backoff(d.attempt))
	s.push(d)
}

// backoff is the wait after the nth failed attempt. The eight together last
// Options.RetryOver.
func (s *Shop) backoff(n int) time.Duration {
	return s.opt.RetryOver / (1<<retries - 1) << (n - 1)
}

func (s *Shop) countFailure(sub *Subscription, d *pendingDelivery, now time.Time) {
	if sub == nil || sub.unlisted() {
		return
	}
	sub.failures++
	n := sub.failures
	if !s.opt.DropEager {
		n = d.attempt
		if sub.lastSuccess.After(d.firstFailure) {
			return
		}
	}
	if n < dropAfter {
		return
	}
	s.unsubscribe(sub.ID)
	s.dropped = append(s.dropped, Dropped{Subscription: *sub, At: now})
	s.stats.Dropped++
	s.log.Warn("webhook subscription deleted after failures in a row", "topic", sub.Topic, "failures", dropAfter)
}

func (s *Shop) post(ctx context.Context, d *pendingDelivery, header http.Header) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	address := d.address
	if s.opt.Route != nil {
		address = s.opt.Route(address)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(d.body))
	if err != nil {
		return 0, err
	}
	req.Header = header
	res, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	// The whole answer has to be there within the timeout.
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)); err != nil {
		return res.StatusCode, err
	}
	return res.StatusCode, nil
}

// take removes and returns the next delivery that is due by the instant, and
// the due time of the one after when none is.
func (s *Shop) take(by time.Time) (d *pendingDelivery, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(by)
	if len(s.pending) == 0 {
		return nil, time.Time{}
	}
	if s.pending[0].due.After(by) {
		return nil, s.pending[0].due
	}
	return heap.Pop(&s.pending).(*pendingDelivery), time.Time{}
}

// Pending is the number of deliveries that wait, retries included.
func (s *Shop) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending)
}

// Forget drops everything that waits, as an outage at Shopify would. It
// returns how many deliveries that were.
func (s *Shop) Forget() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.pending)
	s.stats.Lost += n
	s.pending = nil
	return n
}

// Drain makes one attempt at every delivery that has none yet, whatever its
// due time, and at every retry that is due now, one after the other in the
// order of their due times. It returns when ctx ends or all are done.
func (s *Shop) Drain(ctx context.Context) error {
	s.mu.Lock()
	now := s.opt.Now()
	s.advance(now)
	var ready, later []*pendingDelivery
	for _, d := range s.pending {
		if d.attempt == 0 || !d.due.After(now) {
			ready = append(ready, d)
		} else {
			later = append(later, d)
		}
	}
	s.pending = later
	heap.Init(&s.pending)
	s.mu.Unlock()
	slices.SortFunc(ready, func(a, b *pendingDelivery) int {
		if deliveryQueue([]*pendingDelivery{a, b}).Less(0, 1) {
			return -1
		}
		return 1
	})
	for i, d := range ready {
		if err := ctx.Err(); err != nil {
			s.mu.Lock()
			for _, d := range ready[i:] {
				heap.Push(&s.pending, d)
			}
			s.mu.Unlock()
			return err
		}
		s.attempt(context.WithoutCancel(ctx), d)
	}
	return nil
}

// DrainAll goes on until nothing waits: retries are made at once instead of
// when they are due, so each delivery ends acknowledged or given up.
func (s *Shop) DrainAll(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		var d *pendingDelivery
		if len(s.pending) > 0 {
			d = heap.Pop(&s.pending).(*pendingDelivery)
		}
		s.mu.Unlock()
		if d == nil {
			return nil
		}
		s.attempt(context.WithoutCancel(ctx), d)
	}
}

// DeliverDue makes the attempts that are due by now, one after the other, and
// returns when the next one is due. The time is zero when nothing waits.
func (s *Shop) DeliverDue(ctx context.Context) (time.Time, error) {
	for {
		if err := ctx.Err(); err != nil {
			return time.Time{}, err
		}
		d, next := s.take(s.opt.Now())
		if d == nil {
			return next, nil
		}
		s.attempt(context.WithoutCancel(ctx), d)
	}
}
