package appliance

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"stockroom/internal/syncer"
	"stockroom/queue"
	"stockroom/store"
)

// wants turns the work that commits asked for into queue jobs. The catalogue's
// table holds it durably, so a job that could not be made now is made at the
// next look or the next start.
type wants struct {
	store *store.Store
	queue *queue.Queue
	log   *slog.Logger
	in    chan store.Wanted

	looked time.Time // when the table was last read, zero: read all of it
	lost   string    // the queue's last quarantine
}

const wantsLook = 30 * time.Second

func newWants(s *store.Store, q *queue.Queue, log *slog.Logger) *wants {
	return &wants{store: s, queue: q, log: log, in: make(chan store.Wanted, 1024)}
}

// add hands over one piece of work; it never blocks.
func (w *wants) add(item store.Wanted) {
	select {
	case w.in <- item:
	default: // the next look finds it in the table
	}
}

// run makes jobs until ctx ends.
func (w *wants) run(ctx context.Context) {
	look := time.NewTicker(wantsLook)
	defer look.Stop()
	w.rebuild(ctx, time.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case item := <-w.in:
			if !w.enqueue(ctx, w.collect(item)) {
				w.looked = time.Time{}
			}
		case <-look.C:
			w.rebuild(ctx, time.Now())
		}
	}
}

// collect takes what else is waiting, so that a burst is one commit.
func (w *wants) collect(first store.Wanted) []store.Wanted {
	list := []store.Wanted{first}
	for len(list) < 256 {
		select {
		case item := <-w.in:
			list = append(list, item)
		default:
			return list
		}
	}
	return list
}

// lookBack is how far a look goes back behind the one before it.
const lookBack = 2 * time.Minute

// rebuild makes jobs of wanted rows: of all of them at the start and when jobs
// were lost, else of the newest, whose notice may have been dropped. Work that
// ended as a dead letter waits for a person or for news about it: its row alone
// does not bring it back, or there would be a dead letter more with every look.
func (w *wants) rebuild(ctx context.Context, now time.Time) {
	list, err := w.store.WantedList(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.log.Warn("wanted work can't be read now; it is looked at again", "error", err.Error())
		}
		return
	}
	path, reason, _ := w.queue.Quarantined()
	if lost := path + reason; lost != w.lost || now.Before(w.looked) {
		w.lost, w.looked = lost, time.Time{}
	}
	dead, err := w.dead(ctx, list)
	if err != nil {
		return // the queue can't be read; the next look starts where this one did
	}
	list = slices.DeleteFunc(list, func(item store.Wanted) bool {
		j := syncer.JobOf(item)
		return dead[j.Kind+" "+j.Key] || !w.looked.IsZero() && item.At < store.MillisOf(w.looked.Add(-lookBack))
	})
	if w.enqueue(ctx, list) {
		w.looked = now
	} else {
		w.looked = time.Time{}
	}
}

// dead names the kinds and keys of dead letters among the kinds of list.
func (w *wants) dead(ctx context.Context, list []store.Wanted) (map[string]bool, error) {
	// Asked of the file: the numbers kept in memory follow a commit a moment later.
	found, seen := map[string]bool{}, map[store.WantedKind]bool{}
	for _, item := range list {
		if seen[item.Kind] {
			continue
		}
		seen[item.Kind] = true
		f := queue.Filter{State: queue.Dead, Kind: string(item.Kind), Limit: 1000}
		for {
			jobs, next, err := w.queue.List(ctx, f)
			if err != nil {
				return nil, err
			}
			for _, j := range jobs {
				found[j.Kind+" "+j.Key] = true
			}
			if next == 0 {
				break
			}
			f.After = next
		}
	}
	return found, nil
}

// atOnce is how many jobs are stored in one commit.
const atOnce = 5000

// enqueue makes jobs of wanted work and reports whether all were stored.
func (w *wants) enqueue(ctx context.Context, list []store.Wanted) bool {
	for part := range slices.Chunk(list, atOnce) {
		jobs := make([]queue.NewJob, 0, len(part))
		for _, item := range part {
			jobs = append(jobs, syncer.JobOf(item))
		}
		if err := w.queue.EnqueueAll(ctx, jobs); err != nil {
			if ctx.Err() == nil {
				w.log.Warn("jobs for wanted work can't be stored now; they are made at the next look", "jobs", len(jobs), "error", err.Error())
			}
			return false
		}
	}
	return true
}
