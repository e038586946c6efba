package syncer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"stockroom/internal/catalog"
	"stockroom/internal/shopify"
	"stockroom/store"
)

// mostUnreadable is how many products in a row may have answers that can't be
// read before the fault is taken for Shopify's and not for the products'.
const mostUnreadable = 10

// keepFunc stores what a read showed; nil says that the shop has no such product.
type keepFunc func(ctx context.Context, read store.Read, p *catalog.Product) error

// readAll reads products from the shop and hands each to what keep makes for it.
// Many are read by one call; those that do not fit whole into it, and those that it
// fails of, alone. One that can't be fetched now is wanted for the reason why, so
// that the queue goes on with it, and the run is not proven.
func (r *run) readAll(ctx context.Context, ids []int64, why string, keep func(id int64) keepFunc) error {
	return each(ctx, slices.Collect(slices.Chunk(ids, shopify.MostAtOnce)), func(ctx context.Context, part []int64) error {
		var read store.Read
		list, err := asked(ctx, r, func(ctx context.Context) (map[int64]*catalog.Product, error) {
			read = r.read(time.Now())
			return r.s.o.API.Products(ctx, r.shop, r.class, part)
		})
		if err != nil && (ctx.Err() != nil || !ofOneProduct(err)) {
			return err
		}
		for _, id := range part {
			p, whole := list[id]
			if !whole {
				err = errAgain
			} else {
				err = r.ask(ctx, func(ctx context.Context) error { return keep(id)(ctx, read, p) })
			}
			if errors.Is(err, errAgain) {
				err = r.readOne(ctx, id, why, keep(id))
			} else {
				err = r.wasRead(ctx, id, why, read.Started, err)
			}
			if err != nil {
				return err
			}
			r.progress.mended(r.shop)
		}
		return nil
	})
}

// readOne reads one product alone.
func (r *run) readOne(ctx context.Context, id int64, why string, keep keepFunc) error {
	began := time.Now()
	err := r.readOnce(ctx, id, keep)
	for try := 1; errors.Is(err, errAgain) && try < mostTries; try++ {
		if err := r.waitFor(ctx, errAgain, time.Now()); err != nil {
			return err
		}
		began = time.Now()
		err = r.readOnce(ctx, id, keep)
	}
	return r.wasRead(ctx, id, why, began, err)
}

// wasRead notes how the reading of a product ended.
func (r *run) wasRead(ctx context.Context, id int64, why string, began time.Time, err error) error {
	if _, open := errors.AsType[*openError](err); open {
		r.add(&r.refused, 1) // its row stays, and says that nothing is proven
		return nil
	}
	if err == nil {
		r.mu.Lock()
		r.hard = 0
		r.mu.Unlock()
		r.answered(ctx, id, began, "a later sync brought the product", "a later sync read its product")
		return nil
	}
	if ctx.Err() != nil || !ofOneProduct(err) {
		return err
	}
	if shopify.KindOf(err) == shopify.KindUnreadable {
		r.mu.Lock()
		r.hard++
		hard := r.hard
		r.mu.Unlock()
		if hard > mostUnreadable {
			return err
		}
	}
	return r.leaveToQueue(ctx, id, why)
}

func (r *run) readOnce(ctx context.Context, id int64, keep keepFunc) error {
	var read store.Read
	p, err := asked(ctx, r, func(ctx context.Context) (*catalog.Product, error) {
		read = r.read(time.Now())
		return r.s.o.API.Product(ctx, r.shop, r.class, id)
	})
	if err != nil {
		return err
	}
	return r.ask(ctx, func(ctx context.Context) error { return keep(ctx, read, p) })
}

// errAgain asks for another read of a product: what is stored changed while it
// was read.
var errAgain = errors.New("the product changed here while it was read")

// openError says that a read was refused, because what is stored is dated later
// though it was stored before. A read from the instant on decides.
type openError struct{ until time.Time }

func (e *openError) Error() string {
	return "what is stored is dated later than what the shop shows; a second read decides"
}

// asStored turns what the store made of a read into what has to be done about it:
// nil for nothing.
func asStored(res store.Result, now time.Time) error {
	switch {
	case res.Err != nil:
		return res.Err
	case res.Refused.After(now):
		return &openError{res.Refused}
	case res.Wanted != nil:
		return errAgain
	}
	return nil
}

// ofOneProduct reports whether a failure says nothing about other products.
func ofOneProduct(err error) bool {
	switch shopify.KindOf(err) {
	case shopify.KindRefused, shopify.KindTooDear, shopify.KindPartial, shopify.KindChanging, shopify.KindUnreadable:
		return true
	case 0: // the store's, and not that it can't be written
		return !errors.Is(err, errRemoved)
	}
	return false
}

// answered drops the dead letters that a read of their product answers. A dry run
// answers none.
func (r *run) answered(ctx context.Context, id int64, began time.Time, work, letter string) {
	if r.row.DryRun {
		return
	}
	r.s.resolve(ctx, store.WantProduct, task{Shop: r.shop, ID: id}, work)
	r.s.answer(ctx, task{Shop: r.shop, ID: id}, began, letter)
}

// leaveToQueue wants a product to be fetched; a dry run only counts it.
func (r *run) leaveToQueue(ctx context.Context, id int64, why string) error {
	if r.row.DryRun {
		r.add(&r.queued, 1)
		return nil
	}
	w := store.Wanted{Shop: r.shop, Kind: store.WantProduct, ID: id, Reason: why}
	if err := r.ask(ctx, func(ctx context.Context) error { return r.s.o.Store.Want(ctx, w) }); err != nil {
		return fmt.Errorf("want product %d: %w", id, err)
	}
	r.s.Wanted(w)
	r.add(&r.queued, 1)
	return nil
}

func (r *run) add(what *int, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*what += n
}

// read describes a read of the shop that begins now.
func (r *run) read(now time.Time) store.Read {
	return store.Read{
		Shop: r.shop, Source: "reconcile", Ref: strconv.FormatInt(r.row.ID, 10), Started: now,
		Run: r.row.ID, Report: r.row.Kind == store.RunReconcile, DryRun: r.row.DryRun, Expected: r.s.expected(r.shop),
	}
}

// put stores what one read showed.
func (r *run) put(ctx context.Context, read store.Read, id int64, p *catalog.Product) error {
	res, err := r.s.put(ctx, read, id, p)
	if err != nil {
		return err
	}
	if res.Drift != "" {
		r.add(&r.differed, 1)
	}
	return asStored(res, time.Now())
}

// each calls do for everything listed, a few at a time.
func each[T any](ctx context.Context, list []T, do func(ctx context.Context, one T) error) error {
	g, gctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(readsAtOnce, len(list)) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(list) || gctx.Err() != nil {
					return nil
				}
				if err := do(gctx, list[i]); err != nil {
					return err
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// missing returns those of the ids that the shop does not have, asked by id: no
// listing alone is reason enough to remove a product.
func (r *run) missing(ctx context.Context, ids []int64) (gone, there []int64, err error) {
	for part := range slices.Chunk(ids, shopify.MostIDs) {
		have, err := asked(ctx, r, func(ctx context.Context) ([]int64, error) {
			return r.s.o.API.Existing(ctx, r.shop, r.class, part)
		})
		if err != nil {
			return nil, nil, err
		}
		still := setOf(have)
		for _, id := range part {
			if still[id] {
				there = append(there, id)
			} else {
				gone = append(gone, id)
			}
		}
	}
	if len(gone) > 0 {
		err = r.sees(ctx)
	}
	return gone, there, err
}

// sees makes sure, once in a run, that the app may see products at all: where a
// right is missing Shopify often shows less instead of refusing
// (shopify.dev/docs/api/usage/access-scopes).
func (r *run) sees(ctx context.Context) error {
	if r.mayRemove {
		return nil
	}
	a, err := asked(ctx, r, func(ctx context.Context) (shopify.Access, error) {
		return r.s.o.API.Access(ctx, r.shop, r.class)
	})
	if err != nil {
		return err
	}
	if len(a.Missing()) > 0 {
		r.s.judgeAccess(ctx, r.shop, a)
		shop, _ := r.s.o.State.Shop(r.shop)
		return pausedFor(shop.Pause, nil)
	}
	r.mayRemove = true
	return nil
}

// remove stores that the shop does not have these products any more.
func (r *run) remove(ctx context.Context, read store.Read, ids []int64) error {
	for _, id := range ids {
		err := r.ask(ctx, func(ctx context.Context) error { return r.put(ctx, read, id, nil) })
		if errors.Is(err, errAgain) {
			continue // it was written since, and is fetched
		}
		if err != nil {
			return err
		}
		const gone = "the shop has the product no more"
		r.answered(ctx, id, read.Started, gone, gone)
	}
	return nil
}
