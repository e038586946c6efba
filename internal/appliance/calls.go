package appliance

import (
	"context"
	"errors"
	"time"

	"stockroom/breaker"
	"stockroom/internal/shopify"
	"stockroom/internal/status"
	"stockroom/internal/syncer"
	"stockroom/web"
)

// outbound shows the page how calls to Shopify stand.
type outbound struct{ a *Appliance }

// Calls puts together what limiter, breaker and client know of a shop.
func (o outbound) Calls(shop string, now time.Time) status.Calls {
	c := status.Calls{Circuit: breaker.StateClosed.String()}
	if snap, ok := o.a.limiter.Snapshot(shop); ok {
		c.Used, c.Budget, c.Window, c.Learnt = snap.Used, snap.Budget, int(snap.Window/time.Second), snap.Mode != "default"
		for _, n := range snap.Waiting {
			c.Waiting += n
		}
		if snap.Next.After(now) {
			c.NextGrant = snap.Next
		}
		if snap.Penalty.After(now) && snap.Penalty.After(c.NextGrant) {
			c.NextGrant, c.Asked = snap.Penalty, true
		}
	}
	worst := breaker.StateClosed
	for _, s := range o.a.breaker.ShopAt(now, shop) {
		state := s.State
		if s.Hand == breaker.HeldOpen {
			state = breaker.StateOpen // for whoever calls it is
		}
		if state == breaker.StateClosed || worst == breaker.StateOpen {
			continue
		}
		worst = state
		c.Circuit, c.Reason, c.RetryAt, c.Held = state.String(), s.Reason, s.RetryAt, s.Hand == breaker.HeldOpen
	}
	if contact := o.a.client.Contact(shop); contact.Failing {
		c.Failed, c.FailedAt, c.FailedRetryAt = contact.Failure.Words(), contact.Failed, contact.RetryAt
	}
	seen := o.a.client.Seen(shop)
	c.Version, c.Deprecated = seen.Version, seen.Deprecated
	return c
}

// DaysLeft is about the version asked for, or an older one that a shop serves
// instead.
func (o outbound) DaysLeft(now time.Time) (int, bool) {
	days, ok := shopify.DaysLeft(o.a.client.Version(), now)
	for _, shop := range o.a.state.Shops() {
		if v := o.a.client.Seen(shop.Domain).Version; v != "" && v != o.a.client.Version() {
			if d, known := shopify.DaysLeft(v, now); known && (!ok || d < days) {
				days, ok = d, true
			}
		}
	}
	return days, ok
}

// SelfThrottled counts since the start of the process.
func (o outbound) SelfThrottled() int64 { return o.a.client.SelfThrottled() }

var _ web.Outbound = outbound{}

// Hold decides about the circuits of both endpoints by hand. HoldTry asks the shop
// at once, also a paused one; that it is still held is no error of the decision.
func (o outbound) Hold(shop string, h web.Hold) error {
	ctx := context.Background()
	if h == web.HoldTry {
		var paused *syncer.PausedError
		var failed *shopify.Error
		if err := o.a.syncer.TryNow(ctx, shop); err != nil && !errors.As(err, &paused) && !errors.As(err, &failed) {
			return err
		}
		return nil
	}
	hand := map[web.Hold]breaker.Hand{web.HoldOpen: breaker.HeldOpen, web.HoldClosed: breaker.HeldClosed, web.HoldAuto: breaker.Auto}
	now := time.Now()
	for _, class := range []string{shopify.EndpointGraphQL, shopify.EndpointToken} {
		if err := o.a.breaker.Force(now, breaker.Key{Shop: shop, Class: class}, hand[h]); err != nil {
			return err
		}
	}
	if h == web.HoldOpen {
		return nil
	}
	// What was put off until the circuit's next try need not wait for it.
	o.a.syncer.WakeJobs(ctx, shop)
	return nil
}
