package syncer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"stockroom/internal/bulk"
	"stockroom/internal/catalog"
	"stockroom/internal/shopify"
	"stockroom/store"
)

// mostDoubtful is how many products of one result are read one by one because it
// does not show them whole. Where it leaves out more, it can't be used.
const mostDoubtful = 5000

// sweepAt is how many stored products are looked at in one step of the sweep, and
// how many wanted ones are read before the list of them is read again.
const sweepAt = 1000

// full reads every field of every product by a bulk operation and, once the result
// is proven to be whole, removes what the shop does not have.
func (r *run) full(ctx context.Context) error {
	if r.row.Expected == 0 {
		r.recount(ctx)
	}
	op, err := r.export(ctx)
	if err != nil {
		return err
	}
	if op.Status != "COMPLETED" {
		return r.unfinished(ctx, op)
	}
	r.recount(ctx) // an export takes its time, and the shop goes on
	if err := r.phase(ctx, phaseReading); err != nil {
		return err
	}
	// What is doubtful is read even when the result proves nothing: it is known
	// to be in the shop.
	doubtful, unproven := r.readWhole(ctx, op)
	if unproven != nil && !errors.Is(unproven, errUnproven) {
		return unproven
	}
	if err := r.phase(ctx, phaseRepairing); err != nil {
		return err
	}
	if err := r.readSeen(ctx, doubtful, true); err != nil {
		return err
	}
	if err := r.readWanted(ctx); err != nil {
		return err
	}
	if unproven != nil {
		return unproven
	}
	if err := r.allSeen(ctx, op); err != nil {
		return err
	}
	if r.queued == 0 {
		if err := r.sweep(ctx); err != nil {
			return err
		}
	}
	missed := r.queued
	if err := r.catchUp(ctx); err != nil {
		return err
	}
	if missed > 0 {
		r.row.Error = products(missed) + " could not be read and wait to be fetched; nothing more was removed"
		return nil
	}
	if r.clockPutBack(time.Now()) {
		r.row.Error = clockWords
		return nil
	}
	r.setUngrouped(false)
	open, _ := r.s.o.Store.OpenDifferences(r.shop)
	r.mu.Lock()
	r.row.Proven = true
	if open > 0 {
		r.row.Error = newerHere(open, r.row.DryRun)
	} else {
		r.row.ProvenAt = r.row.StartedAt
	}
	r.mu.Unlock()
	if open == 0 {
		r.mend(ctx)
	}
	return nil
}

// errUnproven says that a result was not shown to be whole. Nothing may be
// concluded from what is not in it.
var errUnproven = errors.New("the bulk result is not complete")

// readWhole reads the result, a second time when the first one was not whole,
// and returns the products that it shows in part only.
func (r *run) readWhole(ctx context.Context, op shopify.BulkOperation) (doubtful []int64, err error) {
	for try := 1; ; try++ {
		stats, found, err := r.readResult(ctx, op, op.URL)
		doubtful = union(doubtful, found)
		if err == nil {
			if err = stats.Check(sizeOf(op), op.Objects, op.Roots); err == nil {
				return doubtful, nil
			}
			err = fmt.Errorf("%w: %s; nothing was removed", errUnproven, strings.TrimPrefix(err.Error(), "bulk: "))
		}
		if try == 2 || !errors.Is(err, errUnproven) && !errors.Is(err, bulk.ErrSortFile) {
			return doubtful, err
		}
		r.aside("the first reading", err)
		if err := r.rewind(ctx); err != nil {
			return doubtful, err
		}
	}
}

// union is a set of ids, ascending.
func union(a, b []int64) []int64 {
	list := append(a, b...)
	slices.Sort(list)
	return slices.Compact(list)
}

// sizeOf is the size of a result, -1 when Shopify does not tell it.
func sizeOf(op shopify.BulkOperation) int64 {
	if op.FileSize == 0 && op.URL != "" {
		return -1
	}
	return op.FileSize
}

// rewind goes back to the beginning of the result. What was stored stays.
func (r *run) rewind(ctx context.Context) error {
	if err := r.s.dropSorted(func(run int64) bool { return run == r.row.ID }); err != nil {
		return fmt.Errorf("remove the sort file: %w", err)
	}
	r.show(func(row *store.SyncRun) {
		row.Offset, row.Mark = 0, ""
		row.Read, row.Objects, row.Bytes = 0, 0, 0
	})
	return r.save(ctx)
}

// readSeen reads products and notes that the run has seen them.
// doubtful are those that the result did not show whole.
func (r *run) readSeen(ctx context.Context, ids []int64, doubtful bool) error {
	return r.readAll(ctx, ids, "a full sync did not show it whole, and it could not be read", func(id int64) keepFunc {
		return r.putSeen(id, doubtful)
	})
}

// readWanted reads the products of which the result does not tell everything,
// such as the order of images where lines were mixed. They are wanted since they
// were stored, so none is forgotten. The queue works on them too, from the oldest
// wish on, so the run begins with the newest; each is read once, however many
// there are: without them nothing is proven.
func (r *run) readWanted(ctx context.Context) error {
	tried := map[int64]bool{}
	for {
		ids, err := r.wanted(ctx, r.row.StartedAt)
		if err != nil {
			return err
		}
		var part []int64
		for _, id := range slices.Backward(ids) {
			if len(part) < sweepAt && !tried[id] {
				tried[id] = true
				part = append(part, id)
			}
		}
		if len(part) == 0 {
			return nil
		}
		if err := r.readSeen(ctx, part, false); err != nil {
			return err
		}
	}
}

// allSeen makes sure that every product of the proven result was stored, or was
// read by itself since and is gone.
func (r *run) allSeen(ctx context.Context, op shopify.BulkOperation) error {
	ids, err := asked(ctx, r, func(ctx context.Context) ([]int64, error) {
		return r.s.o.Store.SeenIDs(ctx, r.row.ID)
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := int64(len(ids) + r.queued + r.vanished); n < op.Roots {
		return fmt.Errorf("%w: %d of its %d products were stored; nothing was removed", errUnproven, n, op.Roots)
	}
	return nil
}

func (r *run) putSeen(id int64, doubtful bool) func(ctx context.Context, read store.Read, p *catalog.Product) error {
	return func(ctx context.Context, read store.Read, p *catalog.Product) error {
		if p == nil {
			err := r.put(ctx, read, id, nil)
			if err == nil && doubtful { // the others were seen, or are not of the result
				r.add(&r.vanished, 1)
			}
			return err
		}
		read.Doubtful = doubtful
		res, err := r.s.o.Store.PutBulk(ctx, read, r.now(), p)
		if err != nil {
			return err
		}
		return asStored(res[0], time.Now())
	}
}

// sweep removes the products that were stored before the run began, that the
// proven result does not have, and that the shop, asked by id, does not know.
func (r *run) sweep(ctx context.Context) error {
	if err := r.phase(ctx, phaseRemoving); err != nil {
		return err
	}
	for after := int64(0); ; {
		ids, err := asked(ctx, r, func(ctx context.Context) ([]int64, error) {
			return r.s.o.Store.Unseen(ctx, r.shop, r.row.ID, r.started, after, sweepAt)
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		after = ids[len(ids)-1]
		read := r.read(time.Now())
		gone, there, err := r.missing(ctx, ids)
		if err != nil {
			return err
		}
		if err := r.remove(ctx, read, gone); err != nil {
			return err
		}
		if err := r.readSeen(ctx, there, false); err != nil {
			return err
		}
	}
}

// catchUp brings what changed while the result was made and read. Without it the
// copy is right as of the beginning of the run, which is all that it says.
func (r *run) catchUp(ctx context.Context) error {
	began := time.Now()
	r.recount(ctx)
	whole, err := r.follow(ctx, r.started)
	var paused *shopPaused
	switch {
	case err == nil && !whole:
		return nil
	case err == nil:
	case ctx.Err() != nil, errors.As(err, &paused), errors.Is(err, errRemoved):
		return err
	default:
		r.aside("the changes made meanwhile come later", err)
		return nil
	}
	// Each product that was counted is of the result, or has changed since.
	r.show(func(row *store.SyncRun) { row.Read = max(row.Read, row.Expected) })
	if err := r.s.markLooked(r.shop, began); err != nil {
		r.aside("the changes made meanwhile are read again", err)
	}
	return nil
}

// unfinished keeps what a failed operation has written, and says why the run
// fails.
func (r *run) unfinished(ctx context.Context, op shopify.BulkOperation) error {
	if op.ErrorCode == "TIMEOUT" || op.ErrorCode == "INTERNAL_SERVER_ERROR" {
		r.setUngrouped(true)
	}
	if op.Status == "FAILED" && op.ErrorCode == "ACCESS_DENIED" {
		e := &shopify.Error{Kind: shopify.KindScope, Shop: r.shop, Op: "BulkRun", Code: op.ErrorCode, Message: "Shopify denies the export of products"}
		return pausedFor(r.s.pause(ctx, r.shop, shopify.ForScope, e), e)
	}
	failed := &exportError{words: "the export at Shopify ended as " + op.Status}
	switch {
	case op.ErrorCode != "":
		failed.words += " (" + op.ErrorCode + ")"
	case op.Status == "FAILED":
		failed.words += ", and Shopify does not say why"
	}
	if op.PartialURL == "" {
		return failed
	}
	if err := r.phase(ctx, phaseReading); err != nil {
		return err
	}
	if _, _, err := r.readResult(ctx, op, op.PartialURL); err != nil {
		if ctx.Err() != nil {
			return err
		}
		failed.words += "; what it had written could not be read: " + wordsOf(err)
		return failed
	}
	failed.words += "; what it had written is stored, nothing was removed"
	return failed
}

// exportError ends a run whose export came to no result.
type exportError struct{ words string }

// Error returns the words.
func (e *exportError) Error() string { return e.words }

// setUngrouped makes the next export easier for Shopify, or not.
func (r *run) setUngrouped(on bool) {
	name := r.shop + "/ungrouped"
	_, have := r.s.o.State.Get(marks, name)
	var err error
	switch {
	case on && !have:
		err = r.s.o.State.Put(marks, name, []byte("1"))
	case !on && have:
		err = r.s.o.State.Delete(marks, name)
	}
	if err != nil {
		r.s.log.Debug("how the next export is to be made can't be noted", "shop", r.shop, "error", err.Error())
	}
}

func (r *run) grouped() bool {
	_, not := r.s.o.State.Get(marks, r.shop+"/ungrouped")
	return !not
}

// sortPrefix begins the names of the files in which results are sorted, with the
// run's id behind it; versions until 2026 had another extension.
const sortPrefix = "sync-"

// clear drops what only the run itself needed.
func (r *run) clear(ctx context.Context) {
	if err := r.s.dropSorted(func(run int64) bool { return run == r.row.ID }); err != nil {
		r.s.log.Warn("a temporary file can't be removed", "shop", r.shop, "error", err.Error())
	}
	if err := r.s.o.Store.ForgetSeen(ctx, r.row.ID); err != nil {
		r.s.log.Debug("what a sync has seen is dropped later", "shop", r.shop, "error", err.Error())
	}
}

// dropSorted removes the temporary files of those runs that drop names.
func (s *Syncer) dropSorted(drop func(run int64) bool) error {
	names, err := s.o.Folder.Names()
	for _, name := range names {
		name = strings.TrimSuffix(name, "-journal") // it stays alone when the process dies in between
		of, ext, _ := strings.Cut(strings.TrimPrefix(name, sortPrefix), ".")
		run, bad := strconv.ParseInt(of, 10, 64)
		if bad == nil && name == sortPrefix+of+"."+ext && (ext == "db" || ext == "spill") && drop(run) {
			err = errors.Join(err, s.o.Folder.RemoveDatabase(name))
		}
	}
	return err
}
