package syncer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"stockroom/internal/catalog"
	"stockroom/store"
)

// fewest is how many differences are always repaired one by one. Beyond it, and
// beyond a tenth of the catalogue, a full sync costs less.
const fewest = 5000

// reconcile compares ids, times and variant counts of the whole catalogue
// with what is stored, reads what differs and removes what the shop has no more.
// A dry run only reports.
func (r *run) reconcile(ctx context.Context) error {
	listed, complete, err := r.list(ctx)
	if err != nil {
		return err
	}
	if err := r.sees(ctx); err != nil { // of what it must not see it finds no difference
		return err
	}
	sel, err := r.selection(ctx)
	if err != nil {
		return err
	}
	wanted, waiting, err := r.wantedProducts(ctx)
	if err != nil {
		return err
	}
	found, err := sel.compare(listed, wanted,
		&pages[store.LocalProduct]{load: r.rows(ctx, pageOf), id: func(p *store.LocalProduct) int64 { return p.ID }},
		&pages[store.Passed]{load: r.passed(ctx, pageOf), id: func(p *store.Passed) int64 { return p.ID }},
		r.started, r.s.o.API.Seen(r.shop).Skew)
	if err != nil {
		return err
	}
	if !complete {
		found.extra = nil // nothing goes on incomplete knowledge
	}
	if n := len(found.differ) + len(found.extra); n > max(fewest, len(listed)/10) && !r.row.DryRun {
		return r.escalate(ctx, n)
	}
	if !r.row.DryRun {
		r.progress.found(r.shop, len(found.differ)+len(found.extra))
	}
	// By what is compared these are equal. Where very many products are edited in
	// an hour, some of them are read an hour later.
	found.unsure = found.unsure[:min(len(found.unsure), fewest)]
	if err := r.phase(ctx, phaseRepairing); err != nil {
		return err
	}
	if err := r.repair(ctx, append(found.differ, found.unsure...), itDiffers); err != nil {
		return err
	}
	if err := r.extras(ctx, found.extra); err != nil {
		return err
	}
	open, _ := r.s.o.Store.OpenDifferences(r.shop)
	open = max(open, r.refused) // a dry run opens none
	if r.conclude(complete, open, waiting, len(found.differ)); r.row.ProvenAt != 0 && !r.row.DryRun {
		r.mend(ctx)
	}
	return nil
}

// conclude says what the comparison proves. open is how many differences are
// open, listed how many products were not as listed.
func (r *run) conclude(complete bool, open, waiting, listed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.row.Proven = complete
	problems := r.problems(open)
	if waiting > 0 {
		problems = append(problems, products(waiting)+" wait to be fetched")
	}
	if r.clockPutBack(time.Now()) {
		r.row.Proven = false
		problems = append(problems, clockWords)
	}
	r.row.Error = strings.Join(problems, "; ")
	if complete && len(problems) == 0 && (!r.row.DryRun || listed+r.differed == 0) {
		r.row.ProvenAt = r.row.StartedAt
	}
}

// problems are the products that a run could not read, and the open differences.
func (r *run) problems(open int) (list []string) {
	if r.queued > 0 {
		list = append(list, products(r.queued)+" could not be read and wait to be fetched")
	}
	if open > 0 {
		list = append(list, newerHere(open, r.row.DryRun))
	}
	return list
}

// wantedProducts are the products that are to be fetched, whatever their rows
// say: there is a reason to doubt them. Where there are very many of them they are
// left to the queue, and waiting says how many.
func (r *run) wantedProducts(ctx context.Context) (ids map[int64]bool, waiting int, err error) {
	list, err := r.wanted(ctx, 0)
	if err != nil || len(list) > mostDoubtful {
		return nil, len(list), err
	}
	return setOf(list), 0, nil
}

// wanted lists the products that are to be fetched since an instant.
func (r *run) wanted(ctx context.Context, since store.Millis) (ids []int64, err error) {
	list, err := asked(ctx, r, r.s.o.Store.WantedList)
	for _, w := range list {
		if w.Shop == r.shop && w.Kind == store.WantProduct && w.At >= since {
			ids = append(ids, w.ID)
		}
	}
	return ids, err
}

// newerHere says what open differences are, and what becomes of them.
func newerHere(n int, dryRun bool) string {
	is, who := "are", fmt.Sprintf("%d products", n)
	if n == 1 {
		is, who = "is", "1 product"
	}
	again := is
	if dryRun {
		again = "would be"
	}
	return fmt.Sprintf("%s %s newer here than in the shop and %s read again within 10 minutes", who, is, again)
}

// escalate asks for a full sync in place of so many single reads.
func (r *run) escalate(ctx context.Context, n int) error {
	w := store.Wanted{Shop: r.shop, Kind: store.WantSync, Reason: fmt.Sprintf("a comparison found that %d products may differ", n), At: store.MillisOf(time.Now())}
	if err := r.ask(ctx, func(ctx context.Context) error { return r.s.o.Store.Want(ctx, w) }); err != nil {
		return fmt.Errorf("want a full sync: %w", err)
	}
	r.s.wantFull(w)
	r.row.Error = fmt.Sprintf("%d products may differ; a full sync follows in place of reading them one by one", n)
	return nil
}

const itDiffers = "it differs from the shop's and could not be read"

// repair reads products and stores them; in a dry run the store only reports what
// differs. Those that can't be read are wanted for the reason.
func (r *run) repair(ctx context.Context, ids []int64, reason string) error {
	return r.readAll(ctx, ids, reason, func(id int64) keepFunc {
		return func(ctx context.Context, read store.Read, p *catalog.Product) error { return r.put(ctx, read, id, p) }
	})
}

// extras removes what is stored and not listed, once the shop, asked by id, does
// not know it either.
func (r *run) extras(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	if err := r.phase(ctx, phaseRemoving); err != nil {
		return err
	}
	read := r.read(time.Now())
	away, there, err := r.missing(ctx, ids)
	if err != nil {
		return err
	}
	if err := r.remove(ctx, read, away); err != nil {
		return err
	}
	return r.repair(ctx, there, itDiffers)
}
