package syncer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stockroom/internal/shopify"
	"stockroom/store"
)

// listRounds is how often the catalogue is listed at most until the listing and
// the shop's count agree.
const listRounds = 3

// mostCounts is how often a count is waited for.
const mostCounts = 100

// list reads ids, times and variant counts of the whole catalogue, by ascending
// id. complete is false when the shop counts other than it lists.
func (r *run) list(ctx context.Context) (list []shopify.Listed, complete bool, err error) {
	for round := 1; ; round++ {
		before, counted := r.count(ctx)
		if counted {
			r.show(func(row *store.SyncRun) { row.Expected = int64(before) })
		}
		walk := shopify.Walk{}
		if counted { // the shop goes on while it is listed
			walk.Most = 2*max(before, 0) + 10_000
		}
		if list, err = r.listOnce(ctx, walk); err != nil {
			return nil, false, err
		}
		after, again := r.count(ctx)
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		// Without a count the listing's own end has to do. What is not in it is
		// asked for by id before it goes.
		if !counted || !again {
			return list, true, nil
		}
		r.show(func(row *store.SyncRun) { row.Expected = int64(after) })
		if n := len(list); n >= min(before, after) && n <= max(before, after) {
			return list, true, nil
		}
		if round == listRounds {
			r.aside("the listing", fmt.Errorf("the shop counts %d products and lists %d", after, len(list)))
			return list, false, nil
		}
	}
}

// recount sets what the run's progress is measured against to the shop's newest
// count. Where that can't be told the last one stays.
func (r *run) recount(ctx context.Context) {
	if n, ok := r.count(ctx); ok {
		r.show(func(row *store.SyncRun) { row.Expected = max(int64(n), row.Read) })
	}
}

// count asks how many products there are; false when that can't be told exactly.
func (r *run) count(ctx context.Context) (n int, ok bool) {
	exact := false
	ok = r.try(ctx, "products can't be counted", func(ctx context.Context) (err error) {
		for try := 1; ; try++ {
			n, exact, err = r.s.o.API.Count(ctx, r.shop, r.class)
			var e *shopify.Error
			if !errors.As(err, &e) || shopify.Judge(err).Job != shopify.Snooze || try >= mostCounts {
				return err
			}
			// For points it waits as other calls do: without the count a listing proves less.
			if err := r.waitFor(ctx, e, r.s.retryAt(e, time.Now())); err != nil {
				return err
			}
		}
	})
	return n, ok && exact
}

// errDisordered ends a run whose listing can't be trusted.
var errDisordered = errors.New("the listing is not in the order of ids")

// listOnce goes through the catalogue in slices, because a listing ends after
// DeepestPage objects.
func (r *run) listOnce(ctx context.Context, walk shopify.Walk) ([]shopify.Listed, error) {
	var list []shopify.Listed
	from, deep := int64(1), 0
	for walk.More() {
		page, err := asked(ctx, r, func(ctx context.Context) ([]shopify.Listed, error) {
			return r.s.o.API.IDs(ctx, r.shop, r.class, from, 0, &walk)
		})
		if err != nil {
			return nil, err
		}
		for _, l := range page {
			if l.ID < from || len(list) > 0 && l.ID <= list[len(list)-1].ID {
				return nil, errDisordered
			}
			list = append(list, l)
		}
		r.show(func(row *store.SyncRun) {
			row.Read = int64(len(list))
			if row.Expected > 0 { // else it is not known
				row.Expected = max(row.Expected, row.Read)
			}
		})
		if deep += len(page); walk.More() && deep+len(page) > shopify.DeepestPage {
			from, deep = list[len(list)-1].ID+1, 0
			walk.Begin()
		}
	}
	return list, nil
}
