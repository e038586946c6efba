package syncer

import (
	"context"
	"fmt"
	"time"

	"stockroom/internal/catalog"
	"stockroom/limiter"
	"stockroom/store"
)

// fetchProduct reads a product and stores what the shop shows.
func (s *Syncer) fetchProduct(ctx context.Context, t task, started time.Time) error {
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
