package appliance

import (
	"context"
	"log/slog"
	"time"

	"stockroom/queue"
	"stockroom/store"
	"stockroom/syncer"
)

// wants turns the work that commits asked for into queue jobs. The catalogue's
// table holds it durably, so a job that could not be made now is made at the
// next look or the next start.
type wants struct {
	store *store.Store
	queue *queue.Queue
	log   *slog.Logger
	in    chan store.Wanted
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
	w.rebuild(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case item := <-w.in:
			w.enqueue(ctx, w.collect(item))
		case <-look.C:
			w.rebuild(ctx)
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

func (w *wants) rebuild(ctx context.Context) {
	list, err := w.store.WantedList(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.log.Warn("wanted work can't be read now; it is looked at again", "error", err.Error())
		}
		return
	}
	w.enqueue(ctx, list)
}

func (w *wants) enqueue(ctx context.Context, list []store.Wanted) {
	if len(list) == 0 {
		return
	}
	jobs := make([]queue.NewJob, 0, len(list))
	for _, item := range list {
		jobs = append(jobs, syncer.JobOf(item))
	}
	if err := w.queue.EnqueueAll(ctx, jobs); err != nil && ctx.Err() == nil {
		w.log.Warn("jobs for wanted work can't be stored now; they are made at the next look", "jobs", len(jobs), "error", err.Error())
	}
}
