package syncer

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"stockroom/internal/catalog"
	"stockroom/limiter"
	"stockroom/queue"
	"stockroom/store"
)

// fetchProduct reads a product and stores what the shop shows. A job whose wish is gone
// asks nothing: the product was deleted since, or a run has read it.
func (s *Syncer) fetchProduct(ctx context.Context, t task, started time.Time) error {
	if wanted, err := s.o.Store.WantsProduct(ctx, t.Shop, t.ID); err == nil && !wanted {
		const why = "its product was deleted or read since"
		s.resolve(ctx, store.WantProduct, t, why)
		s.answer(ctx, t, t.made, why) // what died later is not known to be older than what was seen
		s.nothingLeft(ctx, t.Shop)
		return nil
	}
	p, err := s.o.API.Product(ctx, t.Shop, limiter.WebhookRefetch, t.ID)
	if err != nil {
		return err
	}
	read := store.Read{Shop: t.Shop, Source: "fetch", Started: started}
	res, err := s.put(ctx, read, t.ID, p)
	if err != nil {
		return err
	}
	if err := asStored(res, time.Now()); err != nil { // the row of the wish stays, so the job does too
		return err
	}
	s.resolve(ctx, store.WantProduct, t, "a later fetch brought the product")
	s.answer(ctx, t, started, "a later fetch read its product")
	s.nothingLeft(ctx, t.Shop)
	return nil
}

// put stores what a read of the shop showed; nil: it has no such product.
func (s *Syncer) put(ctx context.Context, read store.Read, id int64, p *catalog.Product) (res store.Result, err error) {
	if p == nil {
		if res, err = s.o.Store.PutGone(ctx, read, id); err != nil {
			err = fmt.Errorf("store the end of product %d: %w", id, err)
		}
		return res, err
	}
	list, err := s.o.Store.PutFetched(ctx, read, p)
	if err != nil {
		return res, fmt.Errorf("store product %d: %w", id, err)
	}
	return list[0], nil
}

// nothingLeft wants a comparison once everything was brought that the newest one
// had to leave: only a comparison shows that the copy is in step again.
func (s *Syncer) nothingLeft(ctx context.Context, shop string) {
	if k := s.keeperOf(shop); !get(k, &k.proof).left {
		return
	}
	if n, _ := s.o.Store.OpenDifferences(shop); n > 0 {
		return
	}
	if _, wanted := s.comparisonWanted(shop); wanted {
		return
	}
	wants, err := s.o.Store.WantsProducts(ctx, shop)
	if err != nil || wants {
		return // the next fetch looks again, and so does the next comparison by schedule
	}
	if err := s.wantComparison(shop, "what the last comparison left open was read since", time.Now()); err != nil {
		s.log.Warn("that a comparison is wanted can't be noted", "shop", shop, "error", err.Error())
	}
}

// fetchOwner finds the product that owns an inventory item and asks for it.
func (s *Syncer) fetchOwner(ctx context.Context, t task, started time.Time) error {
	id, err := s.o.API.ProductOfItem(ctx, t.Shop, limiter.WebhookRefetch, t.ID)
	if err != nil {
		return err
	}
	if id != 0 {
		// The wish first: the row of the item must not go before it is there.
		w := store.Wanted{Shop: t.Shop, Kind: store.WantProduct, ID: id, Reason: "inventory of an unknown item changed"}
		if err := s.o.Store.Want(ctx, w); err != nil {
			return fmt.Errorf("want product %d: %w", id, err)
		}
		s.Wanted(w)
	}
	if err := s.o.Store.WantedDone(ctx, store.Wanted{Shop: t.Shop, Kind: store.WantInventoryItem, ID: t.ID}, started); err != nil {
		return err
	}
	s.resolve(ctx, store.WantInventoryItem, t, "a later try found the product")
	return nil
}

// resolve drops dead letters of the same work: it is done now.
func (s *Syncer) resolve(ctx context.Context, kind store.WantedKind, t task, why string) {
	if _, err := s.o.Queue.Resolve(ctx, string(kind), keyOf(t.Shop, t.ID), why); err != nil {
		s.log.Warn("dead letters that are mended can't be removed now", "shop", t.Shop, "error", err.Error())
	}
}

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
