package syncer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/shopify"
	"stockroom/store"
)

// overlap is how far an incremental goes back behind the instant up to which
// everything is known: a listing may lag behind an edit, and clocks differ.
const overlap = 2 * time.Minute

// mostChanges is how many products an incremental compares. Where more changed a
// comparison of the whole catalogue costs less.
const mostChanges = 20_000

// errNothingProven is why an incremental can't begin.
var errNothingProven = errors.New("there is no full sync yet whose changes could be followed")

// incremental reads what changed since the copy was last shown to be right, or
// since the last incremental: changed products by their time, deletions from
// the shop's events. It proves nothing: it can't see what it is not told.
func (r *run) incremental(ctx context.Context) error {
	since, err := r.since(ctx)
	if err != nil {
		return err
	}
	whole, err := r.follow(ctx, since)
	if err != nil {
		return err
	}
	open, _ := r.s.o.Store.OpenDifferences(r.shop)
	r.row.Error = strings.Join(r.problems(open), "; ")
	if !whole {
		return nil // the next one goes back as far
	}
	return r.s.markIncremental(r.shop, r.started)
}

// since is the instant up to which everything is known.
func (r *run) since(ctx context.Context) (time.Time, error) {
	p, err := asked(ctx, r, func(ctx context.Context) (store.Proof, error) { return r.s.o.Store.LastProof(ctx, r.shop) })
	if err != nil {
		return time.Time{}, err
	}
	newest := p.IDs
	if newest == 0 {
		return time.Time{}, errNothingProven
	}
	since := time.UnixMilli(newest)
	if mark, ok := r.s.incrementalMark(r.shop); ok && mark.After(since) {
		since = mark
	}
	if since.After(r.started) {
		since = time.UnixMilli(newest) // a mark from a clock that was ahead counts for nothing
	}
	return since, nil
}

// incrementalMark is the beginning of the last incremental that ended well.
func (s *Syncer) incrementalMark(shop string) (time.Time, bool) {
	text, ok := s.o.State.Get(marks, shop+"/incremental")
	if !ok {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	return at, err == nil
}

func (s *Syncer) markIncremental(shop string, at time.Time) error {
	text := at.UTC().Format(time.RFC3339Nano)
	if err := s.o.State.Put(marks, shop+"/incremental", []byte(text)); err != nil {
		return fmt.Errorf("note how far the changes were followed: %w", err)
	}
	return nil
}

// follow reads what changed, and drops what was deleted, since an instant. whole
// is false when the deletions could not all be listed.
func (r *run) follow(ctx context.Context, since time.Time) (whole bool, err error) {
	since = since.Add(-overlap - r.s.o.API.Seen(r.shop).Skew.Abs())
	changed, err := r.changed(ctx, since)
	if err != nil {
		return false, err
	}
	differ, err := r.differing(ctx, changed)
	if err != nil {
		return false, err
	}
	if len(differ) > 0 {
		r.s.progress.found(r.shop, len(differ))
		if err := r.phase(ctx, phaseRepairing); err != nil {
			return false, err
		}
	}
	if err := r.repair(ctx, differ, "it changed and could not be read"); err != nil {
		return false, err
	}
	r.s.progress.found(r.shop, 0)
	return r.deleted(ctx, since)
}

// changed lists what changed since an instant. A product that changes while the
// pages are read moves to the end and is listed again.
func (r *run) changed(ctx context.Context, since time.Time) (map[int64]shopify.Listed, error) {
	found := map[int64]shopify.Listed{}
	read := 0
	for walk := (shopify.Walk{}); walk.More(); {
		if read >= mostChanges {
			return nil, fmt.Errorf("more than %d products changed; the whole catalogue is compared instead", mostChanges)
		}
		page, err := asked(ctx, r, func(ctx context.Context) ([]shopify.Listed, error) {
			return r.s.o.API.Changed(ctx, r.shop, r.class, since, &walk)
		})
		if err != nil {
			return nil, err
		}
		for _, l := range page {
			if catalog.Second(l.UpdatedAt) < since.Unix() {
				// The search is not what was asked for, as an unquoted time is not.
				return nil, fmt.Errorf("the shop lists product %d of %s among those changed since %s", l.ID,
					time.UnixMilli(l.UpdatedAt).UTC().Format(time.RFC3339), since.UTC().Format(time.RFC3339))
			}
			found[l.ID] = l
		}
		read += len(page)
		r.show(func(row *store.SyncRun) {
			if row.Kind == store.RunIncremental {
				row.Read = int64(len(found))
			}
		})
	}
	return found, nil
}

// differing are the ids of those that are not stored as listed.
func (r *run) differing(ctx context.Context, listed map[int64]shopify.Listed) ([]int64, error) {
	sel, err := r.selection(ctx)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for id, l := range listed {
		have, err := r.local(ctx, id)
		if err != nil {
			return nil, err
		}
		if sel.differs(l, have.row, have.passed) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// deleted drops what the shop's events tell was deleted, when the shop does not
// have it any more. Without events (whole is false) the next comparison finds it.
func (r *run) deleted(ctx context.Context, since time.Time) (whole bool, err error) {
	var ids []int64
	walk := shopify.Walk{Most: mostChanges}
	for walk.More() {
		var page []shopify.Deletion
		if !r.try(ctx, "deletions can't be listed", func(ctx context.Context) (err error) {
			page, err = r.s.o.API.Deletions(ctx, r.shop, r.class, since, &walk)
			return err
		}) {
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			break
		}
		for _, d := range page {
			ids = append(ids, d.Product)
		}
	}
	whole = !walk.More()
	slices.Sort(ids)
	var stored []int64
	for _, id := range slices.Compact(ids) {
		have, err := r.local(ctx, id)
		if err != nil {
			return false, err
		}
		if have.row != nil {
			stored = append(stored, id)
		}
	}
	read := r.read(time.Now())
	gone, _, err := r.missing(ctx, stored)
	if err != nil {
		return false, err
	}
	return whole, r.remove(ctx, read, gone)
}

func products(n int) string {
	if n == 1 {
		return "1 product"
	}
	return fmt.Sprintf("%d products", n)
}
