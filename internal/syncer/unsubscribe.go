package syncer

import (
	"context"
	"time"

	"stockroom/limiter"
)

// unsubscribeDeadline bounds how long a person who removes a shop waits for it.
const unsubscribeDeadline = 15 * time.Second

// Unsubscribe deletes a shop's webhook subscriptions that lead to an address that
// is or was ours; those of others stay. left are those that could not be deleted,
// and err says why. When the shop can't even be asked, left is what was last known.
func (s *Syncer) Unsubscribe(ctx context.Context, shop string) (deleted int, left []Subscription, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, unsubscribeDeadline, errDeadline)
	defer cancel()
	if err := s.subscribing.lock(ctx, shop); err != nil {
		return 0, nil, err
	}
	defer s.subscribing.unlock(shop)
	rec := s.subscriptionRecord(shop)
	listed, err := s.o.API.Subscriptions(ctx, shop, limiter.Reconcile)
	if err != nil {
		for _, topic := range wantedTopics {
			if t := rec.Topics[topic]; t.Listed {
				left = append(left, Subscription{Topic: topic, URI: t.URI, ID: t.ID})
			}
		}
		return 0, left, err
	}
	var base *address
	if s.o.PublicURL != nil {
		base, _ = parseBase(s.o.PublicURL())
	}
	for _, sub := range listed {
		if !base.leadsTo(sub.URI) && !rec.former(sub.URI) {
			continue
		}
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
	if len(left) == 0 {
		err = s.o.State.Delete(subscriptionMarks, shop) // of another connection it is learnt anew
	}
	return deleted, left, err
}
