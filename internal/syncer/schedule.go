package syncer

import (
	"hash/fnv"
	"math"
	"strconv"
	"time"

	"stockroom/internal/state"
	"stockroom/store"
)

// The schedules' names, as in state.db, metrics and the page.
const (
	scheduleFull          = "full_sync"
	scheduleReconcile     = "reconcile"
	scheduleIncremental   = "incremental"
	scheduleSubscriptions = "subscriptions"
)

const (
	subscriptionsEvery = 5 * time.Minute
	// subscriptionsDeadline is what one check may take; ten subscriptions take
	// most of a small budget's window.
	subscriptionsDeadline = 10 * time.Minute
	// firstRetry is the wait after a failed run; it doubles with each further
	// failure up to the schedule's own time or longestRetry.
	firstRetry   = time.Minute
	longestRetry = time.Hour
	// lateBy is what is allowed beyond twice a schedule's time before a run
	// counts as missed.
	lateBy = 10 * time.Minute
)

// schedule is one thing that is done for a shop again and again.
type schedule struct {
	name     string
	every    time.Duration // 0: never automatically
	deadline time.Duration // of one run
}

// schedules are those of a shop's runs, those that are more urgent when several
// are due first.
func (s *Syncer) schedules() []schedule {
	return []schedule{
		{scheduleFull, s.o.FullSyncEvery, 48 * time.Hour}, // Shopify itself gives a bulk operation ten days
		{scheduleReconcile, s.o.ReconcileEvery, 6 * time.Hour},
	}
}

// scheduleOf is the schedule whose run a kind is.
func scheduleOf(kind store.RunKind) string {
	switch kind {
	case store.RunFull:
		return scheduleFull
	case store.RunReconcile:
		return scheduleReconcile
	}
	return scheduleIncremental
}

// last is what counts as the last run of a schedule: a full sync compares more
// than the others do, so it stands for them too.
type last struct {
	started time.Time // of the newest run that went well, zero for none
	failed  time.Time // end, or beginning, of a newer run that did not; zero for none
	fails   int       // in a row since the process began
}

// due is when a schedule's next run begins. It depends on what is stored only,
// so that a restart changes nothing; a stored time that lies ahead because the
// clock was put back counts for nothing.
func due(shop string, sc schedule, l last, now time.Time) time.Time {
	if l.started.After(now) {
		l.started = time.Time{}
	}
	if l.failed.After(now) {
		l.failed = time.Time{}
	}
	if !l.failed.IsZero() {
		wait := min(firstRetry<<(min(max(l.fails, 1), 10)-1), longestRetry)
		if sc.every > 0 {
			wait = min(wait, max(sc.every, firstRetry))
		}
		return l.failed.Add(wait)
	}
	if l.started.IsZero() {
		return now
	}
	return l.started.Add(sc.every + jitter(shop, sc, l.started))
}

// jitter spreads the runs of many shops: up to a tenth of the schedule's time
// later, the same for the same run whenever it is asked.
func jitter(shop string, sc schedule, started time.Time) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(shop + "/" + sc.name + "/" + strconv.FormatInt(started.UnixMilli(), 10)))
	return time.Duration(float64(sc.every) / 10 * float64(h.Sum64()) / math.MaxUint64)
}

// late reports whether a run was missed: no success for twice the schedule's
// time and a bit.
func late(sc schedule, lastSuccess, since, now time.Time) bool {
	if sc.every <= 0 {
		return false
	}
	if lastSuccess.Before(since) || lastSuccess.After(now) {
		lastSuccess = since
	}
	return now.Sub(lastSuccess) > 2*sc.every+lateBy
}

// lastOf reads how a schedule's runs went from state.db. fails is kept in
// memory only: after a restart the first retry comes soon again.
func (k *keeper) lastOf(name string) (l last) {
	k.set(func() { l.fails = k.fails[name] })
	r, _ := k.s.o.State.Run(k.shop, name)
	full, _ := k.s.o.State.Run(k.shop, scheduleFull) // which stands for the others too
	for _, run := range []state.Run{r, full} {
		if run.OK {
			l.started = latest(l.started, run.Started)
		}
	}
	if !r.LastSuccess.IsZero() && l.started.IsZero() {
		l.started = r.LastSuccess
	}
	if !r.OK && !r.Started.IsZero() {
		at := r.Finished
		if at.IsZero() {
			at = r.Started // the process ended during it
		}
		if at.After(l.started) {
			l.failed = at
		}
	}
	return l
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (k *keeper) dueAt(sc schedule, now time.Time) time.Time {
	return due(k.shop, sc, k.lastOf(sc.name), now)
}

// notBefore is when a run that is needed at once may begin: after a failure not
// before its backoff.
func (k *keeper) notBefore(name string, now time.Time) time.Time {
	l := k.lastOf(name)
	if l.fails == 0 || l.failed.IsZero() {
		return now
	}
	return due(k.shop, schedule{name: name}, l, now)
}

// firstIsDue reports whether a shop still waits for its first full sync.
func (k *keeper) firstIsDue() bool {
	return k.s.o.FullSyncEvery > 0 && k.lastOf(scheduleFull).started.IsZero() && !get(k, &k.proof).read
}

// nextRun is when a schedule's next run begins, as it stands now: a zero instant
// means that it waits for a person, or for the first full sync of the shop, and
// why says what it waits for. Of a shop that is held it is when the shop is asked
// again.
func (k *keeper) nextRun(sc schedule, now time.Time) (at time.Time, why string) {
	if sc.every <= 0 {
		return time.Time{}, "it is not made automatically"
	}
	at = k.dueAt(sc, now)
	if why, until, held := k.s.Held(k.shop, now); held {
		if until.IsZero() {
			return until, why
		}
		return latest(at, until), why
	}
	if sc.name == scheduleSubscriptions {
		return latest(at, now), ""
	}
	if quiet := get(k, &k.quiet); quiet.After(now) {
		at, why = latest(at, quiet), "a sync was cancelled by hand, so none begins automatically for a while"
	}
	if sc.name != scheduleFull && k.firstIsDue() {
		return time.Time{}, "the first full sync of the shop comes before it"
	}
	return latest(at, now), why
}
