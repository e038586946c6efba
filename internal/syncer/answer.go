package syncer

import (
	"context"
	"strconv"
	"time"

	"stockroom/internal/catalog"
	"stockroom/queue"
	"stockroom/store"
)

// A delivery that could not be applied is a dead letter. What it may have said is
// in the shop, so it is answered by a read of its product, or by a proven run,
// that began after it died.

// answer resolves the dead letters about a product that a read has answered which
// began at an instant.
func (s *Syncer) answer(ctx context.Context, t task, began time.Time, why string) {
	s.resolveAll(ctx, store.DeliveryJob, map[string]string{queue.LabelShop: t.Shop, store.LabelProduct: strconv.FormatInt(t.ID, 10)}, began, why)
}

// mend resolves the dead letters of fetches and deliveries that a proven run made
// needless.
func (r *run) mend(ctx context.Context) {
	const why = "a later sync showed the product to be right"
	for _, kind := range []string{string(store.WantProduct), store.DeliveryJob} {
		r.s.resolveAll(ctx, kind, map[string]string{queue.LabelShop: r.shop}, r.started, why)
	}
}

// resolveAll resolves the dead letters with these labels that died before an instant. One
// that died in the future did so under a clock that was put back since. What the
// law asks for is not in the catalogue: a person has to look.
func (s *Syncer) resolveAll(ctx context.Context, kind string, labels map[string]string, before time.Time, why string) {
	now := time.Now()
	answered := func(j queue.Job) bool {
		topic, _ := catalog.ParseTopic(j.Labels["topic"])
		return !topic.Compliance() && (j.DiedAt.Before(before) || j.DiedAt.After(now))
	}
	if _, err := s.o.Queue.ResolveAll(ctx, queue.Filter{Kind: kind, Labels: labels}, answered, why); err != nil && ctx.Err() == nil {
		s.log.Warn("dead letters that are mended can't be removed now", "shop", labels[queue.LabelShop], "error", err.Error())
	}
}
