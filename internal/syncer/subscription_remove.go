package syncer

import (
	"context"
	"errors"
	"slices"
	"time"

	"stockroom/internal/shopify"
	"stockroom/limiter"
)

// Why a shop can't be subscribed by hand.
var (
	ErrWebhooksOff = errors.New("webhooks are off")
	ErrNoAddress   = errors.New("the public address is not known")
)

// pull is a check of a shop whose changes are looked for: no topic is wanted. The
// record forgets since when news came, for what nobody waits for is not undelivered
// later.
func (c *subscriptionCheck) pull(ctx context.Context, fix bool) (out Subscriptions, err error) {
	out.Present = true
	if !fix {
		out.Others, err = c.listed(ctx)
		out.CheckedAt = time.Now().UTC()
		return out, err
	}
	c.rec.Since = time.Time{}
	if err = c.settle(); err != nil || !c.s.o.Unsubscribe {
		return out, err
	}
	deleted, _, err := c.s.remove(ctx, c.shop, &c.rec)
	if deleted > 0 {
		c.s.log.Info("webhooks are off, so subscriptions of ours are removed", "shop", c.shop, "count", deleted)
	}
	if err != nil && ctx.Err() == nil {
		out.Error = "The subscriptions that Stockroom made can't be removed now: " + sentence(err)
		out.Next, err = triedAgain+" Deliveries that still come are used.", nil
	}
	return out, err
}

// listed are a shop's subscriptions, those of ours as present.
func (c *subscriptionCheck) listed(ctx context.Context) (list []Subscription, err error) {
	all, err := c.s.o.API.Subscriptions(ctx, c.shop, limiter.Reconcile)
	for _, sub := range all {
		one := Subscription{Topic: sub.Topic, URI: sub.URI, ID: sub.ID, State: subElsewhere}
		if c.rec.owns(c.base, sub) {
			one.State = subPresent
		}
		list = append(list, one)
	}
	return list, err
}

// remove deletes the subscriptions of ours that a shop lists, and notes when none
// is left: then the shop is not asked again. left are those that could not be
// deleted, and err says why. When the shop can't even be asked, left is what was
// last known.
func (s *Syncer) remove(ctx context.Context, shop string, rec *subscriptionRecord) (deleted int, left []Subscription, err error) {
	if rec.Removed {
		return 0, nil, nil
	}
	listed, err := s.o.API.Subscriptions(ctx, shop, limiter.Reconcile)
	if err != nil {
		for _, topic := range wantedTopics {
			if t := rec.Topics[topic]; t.Listed {
				left = append(left, Subscription{Topic: topic, URI: t.URI, ID: t.ID})
			}
		}
		return 0, left, err
	}
	rec.adopt(s.o.PublicURL, listed)
	listed = slices.DeleteFunc(listed, func(sub shopify.Subscription) bool { return !rec.owns(s.o.PublicURL, sub) })
	for _, sub := range listed {
		// Noted first: what it has delivered must not be taken for a subscription of the
		// app's configuration file once it is gone.
		t := rec.Topics[sub.Topic]
		t.Listed, t.Gone = true, time.Time{}
		rec.Topics[sub.Topic] = t
	}
	if err := s.saveSubscriptionRecord(shop, *rec); err != nil {
		return 0, nil, err
	}
	for _, sub := range listed {
		failed := err
		if failed == nil || !stops(failed) {
			failed = s.o.API.Unsubscribe(ctx, shop, limiter.Reconcile, sub.ID)
		}
		if failed != nil {
			err = failed
			left = append(left, Subscription{Topic: sub.Topic, URI: sub.URI, ID: sub.ID})
			continue
		}
		deleted++
	}
	rec.Removed = len(left) == 0
	return deleted, left, err
}

// unsubscribeDeadline bounds how long a person who removes a shop waits for it.
const unsubscribeDeadline = 15 * time.Second

// Unsubscribe removes the subscriptions of a shop that is no longer connected, as
// remove does, in pull mode as well.
func (s *Syncer) Unsubscribe(ctx context.Context, shop string) (deleted int, left []Subscription, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, unsubscribeDeadline, errDeadline)
	defer cancel()
	if err := s.subscribing.lock(ctx, shop); err != nil {
		return 0, nil, err
	}
	defer s.subscribing.unlock(shop)
	rec := s.subscriptionRecord(shop)
	deleted, left, err = s.remove(ctx, shop, &rec)
	if rec.Removed {
		err = s.o.State.Delete(subscriptionMarks, shop) // of another connection it is learnt again
	}
	return deleted, left, err
}
