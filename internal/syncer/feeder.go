package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"stockroom/queue"
	"stockroom/store"
)

// feeder passes on the work that commits asked for: full syncs and news of bulk
// operations to the shop's keeper, all other work to the queue as jobs. The
// catalogue's table holds it durably, so what could not be passed on now is
// passed on at the next look or the next start.
type feeder struct {
	s      *Syncer
	looked time.Time // when the table was last read, zero: read all of it
	lost   string    // the queue's last quarantine
}

const wantedLook = 30 * time.Second

// Wanted takes one piece of work that a commit asked for; it never blocks.
func (s *Syncer) Wanted(w store.Wanted) {
	select {
	case s.wanted <- w:
	default: // the next look finds it in the table
	}
}

// run passes work on until ctx ends.
func (f *feeder) run(ctx context.Context) {
	look := time.NewTicker(wantedLook)
	defer look.Stop()
	f.dropOldJobs(ctx)
	f.rebuild(ctx, time.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-f.s.wanted:
			if !f.pass(ctx, f.collect(w)) {
				f.looked = time.Time{}
			}
		case <-look.C:
			f.rebuild(ctx, time.Now())
		}
	}
}

// collect takes what else is waiting, so that a burst is one commit.
func (f *feeder) collect(first store.Wanted) []store.Wanted {
	list := []store.Wanted{first}
	for len(list) < 256 {
		select {
		case w := <-f.s.wanted:
			list = append(list, w)
		default:
			return list
		}
	}
	return list
}

// dropOldJobs drops the jobs that earlier versions made of full syncs and of news.
// The row of the wish is what counts.
func (f *feeder) dropOldJobs(ctx context.Context) {
	for _, kind := range []store.WantedKind{store.WantSync, store.WantBulk} {
		for _, state := range []queue.State{queue.Waiting, queue.Dead} {
			old := queue.Filter{Kind: string(kind), State: state}
			_, err := f.s.o.Queue.DiscardAll(ctx, old, func(queue.Job) bool { return true })
			if err != nil && ctx.Err() == nil {
				f.s.log.Warn("jobs of an earlier version can't be dropped now", "kind", string(kind), "error", err.Error())
			}
		}
	}
}

// lookBack is how far a look goes back behind the one before it.
const lookBack = 2 * time.Minute

// rebuild passes wanted rows on: all of them at the start and when jobs were lost,
// else the newest, whose notice may have been dropped. Work that ended as a dead
// letter waits for a person or for news about it: its row alone does not bring it
// back, or there would be a dead letter more with every look.
func (f *feeder) rebuild(ctx context.Context, now time.Time) {
	list, err := f.s.o.Store.WantedList(ctx)
	if err != nil {
		if ctx.Err() == nil {
			f.s.log.Warn("wanted work can't be read now; it is looked at again", "error", err.Error())
		}
		return
	}
	path, reason, _ := f.s.o.Queue.Quarantined()
	if lost := path + reason; lost != f.lost || now.Before(f.looked) {
		f.lost, f.looked = lost, time.Time{}
	}
	dead, err := f.dead(ctx, list)
	if err != nil {
		return // the queue can't be read; the next look starts where this one did
	}
	list = slices.DeleteFunc(list, func(w store.Wanted) bool {
		return dead[jobName{string(w.Kind), keyOf(w.Shop, w.ID)}] ||
			!f.looked.IsZero() && w.At < store.MillisOf(f.looked.Add(-lookBack))
	})
	if f.looked = now; !f.pass(ctx, list) {
		f.looked = time.Time{}
	}
}

// jobName is what equal jobs have in common.
type jobName struct{ kind, key string }

// dead names the dead letters among the kinds of list.
func (f *feeder) dead(ctx context.Context, list []store.Wanted) (map[jobName]bool, error) {
	// Asked of the file: the numbers kept in memory follow a commit a moment later.
	found, seen := map[jobName]bool{}, map[store.WantedKind]bool{}
	for _, w := range list {
		if seen[w.Kind] {
			continue
		}
		seen[w.Kind] = true
		filter := queue.Filter{State: queue.Dead, Kind: string(w.Kind), Limit: 1000}
		for more := true; more; more = filter.After != 0 {
			jobs, next, err := f.s.o.Queue.List(ctx, filter)
			if err != nil {
				return nil, err
			}
			for _, j := range jobs {
				found[jobName{j.Kind, j.Key}] = true
			}
			filter.After = next
		}
	}
	return found, nil
}

// atOnce is how many jobs are stored in one commit.
const atOnce = 5000

// pass hands work to the keepers and to the queue, and reports whether all of it
// was stored that is to be.
func (f *feeder) pass(ctx context.Context, list []store.Wanted) bool {
	s, now, all := f.s, time.Now(), true
	var jobs []queue.NewJob
	for _, w := range list {
		switch w.Kind {
		case store.WantSync:
			s.wantFull(w)
		case store.WantBulk:
			s.progress.lookAgain(w.Shop)
			if err := s.o.Store.WantedDone(ctx, w, now); err != nil && ctx.Err() == nil {
				s.log.Debug("news of a bulk operation is passed on again", "shop", w.Shop, "error", err.Error())
				all = false
			}
		default:
			jobs = append(jobs, jobOf(w))
		}
	}
	for part := range slices.Chunk(jobs, atOnce) {
		if err := s.o.Queue.EnqueueAll(ctx, part); err != nil {
			if ctx.Err() == nil {
				s.log.Warn("jobs for wanted work can't be stored now; they are made at the next look",
					"jobs", len(part), "error", err.Error())
			}
			return false
		}
	}
	return all
}

// task is the payload of a job.
type task struct {
	Shop string `json:"shop"`
	ID   int64  `json:"id"`

	made time.Time // when its job was
}

// jobOf is the queue job for a piece of wanted work. Equal work coalesces.
func jobOf(w store.Wanted) queue.NewJob {
	id := strconv.FormatInt(w.ID, 10)
	return queue.NewJob{
		Kind: string(w.Kind), Key: keyOf(w.Shop, w.ID),
		Labels:  map[string]string{"shop": w.Shop, "id": id, "reason": queue.Clip(w.Reason, queue.MaxLabel)},
		Payload: fmt.Appendf(nil, `{"shop":%q,"id":%s}`, w.Shop, id),
	}
}

func keyOf(shop string, id int64) string { return shop + "/" + strconv.FormatInt(id, 10) }

func parseTask(payload []byte) (task, error) {
	var t task
	if err := json.Unmarshal(payload, &t); err != nil {
		return t, fmt.Errorf("read job: %w", err)
	}
	if t.Shop == "" {
		return t, errors.New("read job: it names no shop")
	}
	return t, nil
}
