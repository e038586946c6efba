package syncer

import (
	"context"
	"errors"
	"time"

	"stockroom/internal/shopify"
	"stockroom/limiter"
	"stockroom/store"
)

// A look asks what changed in a shop since the look before: in pull mode every
// PollEvery, which is how the copy is kept current there, beside deliveries every
// beside, and while those do not arrive, or are not subscribed to, as in pull mode. It goes on beside the
// shop's runs. One that finds nothing writes nothing; what one finds is read by a
// run of its own. A look proves nothing.

const (
	// beside is how often changes are looked for beside deliveries.
	beside = 10 * time.Minute
	// lookShare is the share of the shop's points that looks may take. What they find
	// is read with the rest.
	lookShare = 0.03
	// lookPoints is what a look costs before one was made: 250 products and 250
	// events at 13 points each, and the canary at 3.
	lookPoints = 29
	// lookDeadline bounds one question, and takeDeadline the reading of what it found.
	lookDeadline = 5 * time.Minute
	takeDeadline = 6 * time.Hour
	// markEvery is how often it is noted on disk how far the changes were followed. A
	// restart looks back over that much more, and reads nothing twice.
	markEvery = 5 * time.Minute
)

// look is how the looks of a shop stand, in memory.
type look struct {
	began  time.Time // the newest
	good   time.Time // the newest that went well
	failed time.Time // when the newest ended, if it failed
	words  string    // why, or why it was put off
	until  time.Time // it was put off until then
	fails  int       // in a row
	points int       // that the newest cost that was answered, without reads
	runs   bool      // one is under way
}

// looks makes the looks of a shop until ctx ends.
func (k *keeper) looks(ctx context.Context) {
	for ctx.Err() == nil {
		late := k.late(ctx)
		l := k.looking(time.Now(), late)
		if wait := l.wait(time.Now()); wait > 0 {
			await(ctx, k.wakeLooks, wait)
			continue
		}
		select {
		case k.s.eyes <- struct{}{}:
			k.lookOnce(ctx, late)
			<-k.s.eyes
		case <-ctx.Done():
		}
	}
}

// wait is how long it is until the next look or until it is asked again when that
// is, 0 when it is due.
func (l Looking) wait(now time.Time) time.Duration {
	switch wait := l.Next.Sub(now); {
	case l.Next.IsZero():
		return time.Minute
	case l.Held != "": // when it ends, the shop is asked whether it goes on, and that takes its time
		return min(max(wait, time.Second), time.Minute)
	default: // the clock may be put back meanwhile
		return min(max(wait, 0), time.Minute)
	}
}

// late reports whether deliveries do not arrive, so that looks stand in for them.
func (k *keeper) late(ctx context.Context) bool {
	if k.s.o.Pull {
		return false
	}
	d, err := k.s.Deliveries(ctx, k.shop, time.Now())
	return err == nil && d.Late || k.unsubscribed()
}

// unsubscribed reports whether needed subscriptions are known to be missing.
func (k *keeper) unsubscribed() bool {
	sub := get(k, &k.subscriptions) // all that pull mode needs is there
	return !sub.CheckedAt.IsZero() && !sub.Present
}

// lookOnce makes one look and reads what it found.
func (k *keeper) lookOnce(ctx context.Context, late bool) {
	began := time.Now()
	k.set(func() { k.look.began, k.look.runs = began, true })
	defer k.set(func() { k.look.runs = false })
	class := limiter.Reconcile
	if k.s.o.Pull || late { // what deliveries bring elsewhere
		class = limiter.WebhookRefetch
	}
	row := store.SyncRun{Shop: k.shop, Kind: store.RunIncremental, Trigger: "changes were found in the shop", Phase: phaseRepairing}
	r, rctx := k.s.newRun(ctx, row, class, scheduleIncremental)
	r.progress = &k.s.looked
	err := r.look(rctx)
	if ctx.Err() != nil {
		return // the process ends; the next one looks back as far
	}
	k.lookEnded(ctx, r, err)
}

// look asks what changed, and only where something did it is a run with a row.
func (r *run) look(ctx context.Context) error {
	var found changes
	k := r.s.keeperOf(r.shop)
	qctx, cancel := context.WithTimeoutCause(ctx, lookDeadline, errDeadline)
	err := r.askOnce(qctx, func(ctx context.Context) error {
		since, err := r.since(ctx)
		if err == nil {
			found, err = r.seek(ctx, since)
		}
		return err
	})
	if err != nil && qctx.Err() != nil {
		err = context.Cause(qctx)
	}
	if cancel(); err != nil {
		return err
	}
	k.set(func() { k.look.points = int(r.meter.Points()) })
	if !found.none() {
		ctx, cancel := context.WithTimeoutCause(ctx, takeDeadline, errDeadline)
		defer cancel()
		if err := r.begin(ctx); err != nil {
			return err
		}
		if r.row, err = r.end(ctx, r.takeAll(ctx, found)); err != nil {
			return err
		}
	}
	return found.partly
}

// takeAll is take for a look.
func (r *run) takeAll(ctx context.Context, found changes) error {
	if err := r.take(ctx, found); err != nil {
		return err
	}
	r.leaves()
	return nil
}

// lookEnded notes how a look ended. One that was only put off, for want of points or
// because calls are held, did not fail.
func (k *keeper) lookEnded(ctx context.Context, r *run, err error) {
	now := time.Now()
	var e *shopify.Error
	var paused *shopPaused
	switch {
	case err == nil:
		k.set(func() {
			k.look.good, k.look.failed, k.look.words, k.look.until, k.look.fails = r.started, time.Time{}, "", time.Time{}, 0
		})
		if r.started.Sub(k.s.markedAt(k.shop)).Abs() >= markEvery {
			k.note("look", k.s.markLooked(k.shop, r.started))
		}
		if !k.s.o.Pull {
			k.s.judgeDeliveries(context.WithoutCancel(ctx), k.shop, store.SyncRun{StartedAt: store.MillisOf(r.started)})
		}
		if r.row.ID != 0 {
			k.s.log.Debug("changes were brought", "shop", k.shop, "added", r.row.Added, "changed", r.row.Changed, "removed", r.row.Removed)
		}
	case errors.Is(err, errRemoved), errors.As(err, &paused): // said elsewhere, and held until that ends
	case errors.As(err, &e) && shopify.Judge(err).Job == shopify.Snooze:
		k.set(func() { k.look.words, k.look.until = e.Words(), k.s.retryAt(e, now) })
	default:
		k.s.count(k.shop, scheduleIncremental, err)
		k.set(func() { k.look.failed, k.look.words, k.look.until = now, wordsOf(err), time.Time{}; k.look.fails++ })
		k.s.log.Warn("changes can't be looked for; it is tried again automatically", "shop", k.shop, "error", wordsOf(err))
	}
}

// lookEvery is how long it is from one look to the next, and why that is longer than
// it is set: a part of a sentence, "" when it is not.
func (k *keeper) lookEvery(l look, late bool) (every time.Duration, slow string) {
	every = beside
	if k.s.o.Pull || late {
		every = k.s.o.PollEvery
	}
	p := k.s.o.API.Pace(k.shop)
	if p.PerSecond <= 0 {
		return every, ""
	}
	points := l.points
	if points == 0 {
		points = lookPoints
	}
	need := time.Duration(float64(points) / (lookShare * p.PerSecond) * float64(time.Second)).Round(time.Second)
	switch {
	case !p.Learnt:
		slow = "how many calls the shop allows is not known yet"
	case p.Short:
		need, slow = max(need, 2*every), "other calls need the shop's points"
	default:
		slow = "the shop allows few calls"
	}
	if need <= every {
		return every, ""
	}
	return min(need, max(every, longestLook)), slow
}

// longestLook is how seldom looks are made at most for want of points.
const longestLook = 15 * time.Minute

// looking is how the looks of the shop stand.
func (k *keeper) looking(now time.Time, late bool) Looking {
	l := get(k, &k.look)
	out := Looking{Pull: k.s.o.Pull, Last: k.s.lookedAt(k.shop), Failed: l.failed, Words: l.words, Points: l.points, Runs: l.runs}
	out.Every, out.Slow = k.lookEvery(l, late)
	if out.Failed.IsZero() && l.until.After(now) {
		out.Slow, out.Words = l.words, ""
	}
	if out.Last.After(now) {
		out.Last = time.Time{}
	}
	out.Waiting, out.WaitsSince, out.Ends = k.s.looked.differ(k.shop, now)
	switch why, until, held := k.s.Held(k.shop, now); {
	case held:
		out.Held, out.Next = why, until
	case k.s.o.Manual:
		out.Held = "nothing is done automatically"
	case get(k, &k.proof).IDs == 0:
		out.Held = "the first full sync of the shop comes before it"
	default:
		out.Next = k.nextLook(l, out.Every, now)
	}
	return out
}

// nextLook is when the next look is made.
func (k *keeper) nextLook(l look, every time.Duration, now time.Time) time.Time {
	last := latest(l.began, k.s.lookedAt(k.shop))
	if last.After(now) || last.IsZero() || k.s.o.Pull && l.began.IsZero() {
		return now // a process that begins looks at once
	}
	wait := every
	if l.fails > 0 {
		wait = min(wait, firstRetry<<min(l.fails-1, 10))
	} else if every == beside {
		wait += jitter(k.shop, schedule{name: scheduleIncremental, every: every}, last)
	}
	return latest(latest(last.Add(wait), l.until), now)
}
