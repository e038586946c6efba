package syncer

import (
	"context"
	"errors"
	"time"

	"stockroom/internal/shopify"
	"stockroom/store"
)

const (
	firstPoll   = time.Second
	longestPoll = 30 * time.Second
)

var errForgotten = errors.New("the bulk operation is not known to Shopify any more")

// export has Shopify write all products into a file and returns when the
// operation has ended, whichever way.
func (r *run) export(ctx context.Context) (shopify.BulkOperation, error) {
	if r.row.Operation == "" {
		if err := r.startExport(ctx, r.resumed); err != nil {
			return shopify.BulkOperation{}, err
		}
	}
	if r.row.Mark == "" {
		if err := r.phase(ctx, phaseExporting); err != nil {
			return shopify.BulkOperation{}, err
		}
	}
	r.exporting = true
	for wait := firstPoll; ; wait = min(2*wait, longestPoll) {
		nudge := r.progress.nudge(r.shop)
		op, err := r.lookAt(ctx)
		if err != nil {
			return op, err
		}
		if op.Ended() {
			r.exporting = false
			return op, nil
		}
		if err := r.rest(ctx, nudge, wait); err != nil {
			return op, err
		}
	}
}

// lookAt asks how the export stands.
func (r *run) lookAt(ctx context.Context) (op shopify.BulkOperation, err error) {
	found := false
	err = r.ask(ctx, func(ctx context.Context) (err error) {
		op, found, err = r.s.o.API.Bulk(ctx, r.shop, r.class, r.row.Operation)
		return err
	})
	if err == nil && !found {
		err = errForgotten
	}
	if err == nil {
		r.show(func(row *store.SyncRun) {
			row.ObjectsTotal, row.BytesTotal = op.Objects, op.FileSize
			row.Expected = max(row.Expected, op.Roots)
		})
	}
	return op, err
}

// startExport starts an operation and saves its id at once. Where an answer was
// lost, here or with the process, the operation may run all the same: then it is
// found in the list and taken up, because a shop has few places for them.
func (r *run) startExport(ctx context.Context, look bool) error {
	query, grouped, id := shopify.BulkProductsQuery(), r.grouped(), ""
	err := r.ask(ctx, func(ctx context.Context) (err error) {
		if look {
			list, err := r.s.o.API.Bulks(ctx, r.shop, r.class, "")
			if err != nil {
				return err
			}
			for _, op := range list {
				if op.Query == query && !r.before(op.CreatedAt) && (!op.Ended() || op.Status == "COMPLETED") {
					id = op.ID
					return nil
				}
			}
		}
		look = true
		id, err = r.s.o.API.RunBulk(ctx, r.shop, r.class, query, grouped)
		return err
	})
	if err != nil {
		return err
	}
	r.show(func(row *store.SyncRun) { row.Operation = id })
	return r.save(ctx)
}

// before reports whether an instant of the shop's clock, which has whole
// seconds here, lies before the run's beginning.
func (r *run) before(at time.Time) bool {
	return at.Add(r.s.o.API.Seen(r.shop).Skew).Before(r.started.Truncate(time.Second))
}
