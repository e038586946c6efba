package syncer

import (
	"context"
	"strconv"
	"time"

	"stockroom/catalog"
	"stockroom/queue"
	"stockroom/store"
)

// A delivery that could not be applied is a dead letter. What it may have said is
// in the shop, so it is answered by a read of its product, or by a proven run,
// that began after it died.

// answer resolves the dead letters about a product that a read has answered which
// began at an instant.
func (s *Syncer) answer(ctx context.Context, t task, began time.Time, why string) {
	id := strconv.FormatInt(t.ID, 10)
	s.resolveAll(ctx, queue.Filter{Kind: store.DeliveryJob, Label: store.LabelProduct, Value: id}, t.Shop, began, why)
}

// mend resolves the dead letters of fetches and deliveries that a proven run made
// needless.
func (r *run) mend(ctx context.Context) {
	const why = "a later sync showed the product to be right"
	for _, kind := range []string{string(store.WantProduct), store.DeliveryJob} {
		r.s.resolveAll(ctx, queue.Filter{Kind: kind, Label: "shop", Value: r.shop}, r.shop, r.started, why)
	}
}

// resolveAll resolves the dead letters of a shop that died before an instant. One
// that died in the future did so under a clock that was put back since. What the
// law asks for is not in the catalogue: a person has to look.
func (s *Syncer) resolveAll(ctx context.Context, f queue.Filter, shop string, before time.Time, why string) {
	now := time.Now()
	answered := func(j queue.Job) bool {
		topic, _ := catalog.ParseTopic(j.Labels["topic"])
		return j.Labels["shop"] == shop && !topic.Compliance() && (j.DiedAt.Before(before) || j.DiedAt.After(now))
	}
	if _, err := s.o.Queue.ResolveAll(ctx, f, answered, why); err != nil && ctx.Err() == nil {
		s.log.Warn("dead letters that are mended can't be removed now", "shop", shop, "error", err.Error())
	}
}
