package syncer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stockroom/internal/shopify"
	"stockroom/store"
)

// overlap is how far a look goes back behind the one before it. Shopify's search
// follows an edit only after a while, and clocks differ; what is stored as it is
// listed is not read twice.
const overlap = 5 * time.Minute

// mostChanges is how many products a look compares. Where more changed a
// comparison of the whole catalogue costs less.
const mostChanges = 20_000

// errNothingProven is why changes can't be followed.
var errNothingProven = errors.New("there is no full sync yet whose changes could be followed")

// changes are what differs from the shop as far as a look shows it.
type changes struct {
	differ []int64 // not stored as listed
	gone   []int64 // stored, and deleted in the shop
	partly error   // why the deletions could not be listed, nil when they were
}

func (c changes) none() bool { return len(c.differ)+len(c.gone) == 0 }

// incremental reads what changed since the copy was last shown to be right, or
// since the last look: changed products by their time, deletions from the shop's
// events. It proves nothing: it can't see what it is not told.
func (r *run) incremental(ctx context.Context) error {
	since, err := r.since(ctx)
	if err != nil {
		return err
	}
	whole, err := r.follow(ctx, since)
	if err != nil {
		return err
	}
	if r.leaves(); !whole {
		return nil // the next one goes back as far
	}
	return r.s.markLooked(r.shop, r.started)
}

// leaves notes what a run left that proves nothing.
func (r *run) leaves() {
	open, _ := r.s.o.Store.OpenDifferences(r.shop)
	r.row.Error = strings.Join(r.problems(open), "; ")
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
	since := latest(time.UnixMilli(newest), r.s.lookedAt(r.shop))
	if since.After(r.started) {
		since = time.UnixMilli(newest) // a mark from a clock that was ahead counts for nothing
	}
	return since, nil
}

// lookedAt is when the last look began that ended well, zero for none.
func (s *Syncer) lookedAt(shop string) time.Time {
	k := s.keeperOf(shop)
	return latest(s.markedAt(shop), get(k, &k.look).good)
}

// markedAt is the same as it is noted on disk, some minutes behind.
func (s *Syncer) markedAt(shop string) (at time.Time) {
	if text, ok := s.o.State.Get(marks, shop+"/incremental"); ok {
		_ = at.UnmarshalText(text) // what can't be read is looked at again
	}
	return at
}

// markLooked notes how far the changes were followed, so that a restart goes on
// there.
func (s *Syncer) markLooked(shop string, at time.Time) error {
	text, err := at.UTC().MarshalText()
	if err == nil {
		err = s.o.State.Put(marks, shop+"/incremental", text)
	}
	if err != nil {
		return fmt.Errorf("note how far the changes were followed: %w", err)
	}
	return nil
}

// follow reads what changed, and drops what was deleted, since an instant. whole
// is false when the deletions could not all be listed.
func (r *run) follow(ctx context.Context, since time.Time) (whole bool, err error) {
	found, err := asked(ctx, r, func(ctx context.Context) (changes, error) { return r.seek(ctx, since) })
	if err != nil {
		return false, err
	}
	if found.partly != nil {
		r.aside("deletions can't be listed", found.partly)
	}
	return found.partly == nil, r.take(ctx, found)
}

// seek asks once what changed since an instant and compares it with what is stored.
func (r *run) seek(ctx context.Context, since time.Time) (found changes, err error) {
	since = since.Add(-overlap - r.s.o.API.Seen(r.shop).Skew.Abs())
	seen, err := r.s.o.API.Look(ctx, r.shop, r.class, since, mostChanges)
	if err != nil {
		return found, err
	}
	found.partly = seen.NoEvents
	if !seen.Whole {
		return found, errors.Join(r.s.wantComparison(r.shop, tooMany, time.Now()), errTooMany)
	}
	if r.row.Kind == store.RunIncremental {
		r.mu.Lock()
		r.row.Read = int64(len(seen.Changed))
		r.mu.Unlock()
	}
	if found.differ, err = r.differing(ctx, seen.Changed); err != nil {
		return found, err
	}
	for _, d := range seen.Deleted {
		have, err := r.local(ctx, d.Product)
		if err != nil {
			return found, err
		}
		if have.row != nil {
			found.gone = append(found.gone, d.Product)
		}
	}
	slices.Sort(found.gone)
	found.gone = slices.Compact(found.gone)
	return found, nil
}

const tooMany = "more than 20,000 products changed since the last look"

var errTooMany = errors.New(tooMany + "; the whole catalogue is compared instead")

// differing are the ids of those that are not stored as listed, and of those behind
// whose last edit another one of its second can hide: they were read in that very
// second or, in pull mode, where nobody sees to it that deliveries are whole, brought
// by one.
func (r *run) differing(ctx context.Context, listed []shopify.Listed) ([]int64, error) {
	sel, err := r.selection(ctx)
	if err != nil {
		return nil, err
	}
	skew := r.s.o.API.Seen(r.shop).Skew
	var ids []int64
	for _, l := range listed {
		have, err := r.local(ctx, l.ID)
		if err != nil {
			return nil, err
		}
		read := have.passed != nil || have.row != nil && (have.row.ReadAt != 0 || r.s.o.Pull)
		if sel.differs(l, have.row, have.passed) || read && !sel.leftOut(l.ID) && !settled(have.row, have.passed, skew) {
			ids = append(ids, l.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// take reads what was found to differ, and drops what the shop, asked by id, does
// not have any more.
func (r *run) take(ctx context.Context, found changes) error {
	if found.none() {
		return nil
	}
	r.progress.found(r.shop, len(found.differ)+len(found.gone))
	if err := r.phase(ctx, phaseRepairing); err != nil {
		return err
	}
	if err := r.repair(ctx, found.differ, "it changed and could not be read"); err != nil {
		return err
	}
	read := r.read(time.Now())
	gone, _, err := r.missing(ctx, found.gone)
	if err != nil {
		return err
	}
	if err := r.remove(ctx, read, gone); err != nil {
		return err
	}
	r.progress.found(r.shop, 0)
	return nil
}

func products(n int) string {
	if n == 1 {
		return "1 product"
	}
	return fmt.Sprintf("%d products", n)
}
