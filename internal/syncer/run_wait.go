package syncer

import (
	"context"
	"errors"
	"time"

	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/store"
)

const (
	// mostTries is how often a run asks again after an answer that may pass.
	mostTries = 5
	// firstWait is the wait after the first of them; it doubles up to
	// longestWait.
	firstWait   = time.Second
	longestWait = time.Minute
	// shortest keeps a run that is told to try at once from spinning.
	shortest = 100 * time.Millisecond
)

// ask makes a call, and again for as long as waiting mends it: until the points
// are there, the circuit lets a call through, Shopify has room or the catalogue
// can be written. What else may pass is tried a few times. Where the shop itself
// can't be asked it is paused, and the error says so. ctx bounds all of it.
func (r *run) ask(ctx context.Context, call func(ctx context.Context) error) error {
	for try, put := 1, 0; ; {
		err := r.askOnce(ctx, call)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var e *shopify.Error
		var paused *shopPaused
		switch {
		case errors.As(err, &paused):
			return err
		case errors.Is(err, store.ErrUnavailable):
			if err := r.waitFor(ctx, err, time.Now().Add(catalogueWait)); err != nil {
				return err
			}
			continue
		case !errors.As(err, &e):
			return err
		}
		switch v := shopify.Judge(err); v.Job {
		case shopify.Snooze:
			until := r.s.retryAt(e, time.Now())
			if e.Kind == shopify.KindThrottled { // a shop that says so again and again is asked less often
				until = latest(until, time.Now().Add(min(firstWait<<min(put, 10), longestWait)))
				put++
			}
			if err := r.waitFor(ctx, e, until); err != nil {
				return err
			}
		case shopify.Retry:
			if try >= mostTries {
				return err
			}
			if err := r.waitFor(ctx, e, time.Now().Add(min(firstWait<<(try-1), longestWait))); err != nil {
				return err
			}
			try++
		default:
			return err
		}
	}
}

// askOnce makes a call without waiting for anything. Where the shop itself can't be
// asked it is paused, and the error says so.
func (r *run) askOnce(ctx context.Context, call func(ctx context.Context) error) error {
	if err := r.mayAsk(); err != nil {
		return err
	}
	err := call(ctx)
	var e *shopify.Error
	if ctx.Err() != nil || !errors.As(err, &e) {
		return err
	}
	if v := shopify.Judge(err); v.Job == shopify.Pause && v.Pause != shopify.ForOneThing {
		return pausedFor(r.s.pause(ctx, r.shop, v.Pause, e), e)
	}
	return err
}

// asked is ask for a call that returns something.
func asked[T any](ctx context.Context, r *run, call func(ctx context.Context) (T, error)) (v T, err error) {
	err = r.ask(ctx, func(ctx context.Context) (err error) {
		v, err = call(ctx)
		return err
	})
	return v, err
}

// shopPaused ends a run whose shop can't be asked.
type shopPaused struct {
	words, cause string
	err          error // the call that showed it, nil when the shop was paused before
}

func pausedFor(p state.Pause, err error) *shopPaused {
	return &shopPaused{pauseWords(p), string(p.Reason), err}
}

func (p *shopPaused) Error() string { return p.words }

func (p *shopPaused) Unwrap() error { return p.err }

// noRoomError ends a run so that deliveries keep the room they need.
type noRoomError struct{ words string }

// Error returns the words.
func (e *noRoomError) Error() string { return e.words }

// room fails when so many bytes more can't be written.
func (r *run) room(more int64) error {
	if why := r.s.o.Room(more); why != "" {
		return &noRoomError{why}
	}
	return nil
}

// mayAsk fails when the shop is gone or was paused since, or the disk is full.
func (r *run) mayAsk() error {
	shop, ok := r.s.o.State.Shop(r.shop)
	if !ok {
		return errRemoved
	}
	if shop.Pause.Paused() {
		return pausedFor(shop.Pause, nil)
	}
	return r.room(0)
}

// waitFor sleeps until an instant because of what failed.
func (r *run) waitFor(ctx context.Context, failed error, until time.Time) error {
	return r.wait(ctx, wordsOf(failed), causeOf(failed), until)
}

// wait sleeps until an instant and says on the page why.
func (r *run) wait(ctx context.Context, why, cause string, until time.Time) error {
	r.progress.wait(r.shop, why, cause, until)
	defer r.progress.wait(r.shop, "", "", time.Time{})
	return r.rest(ctx, r.progress.nudge(r.shop), max(time.Until(until), shortest))
}

// rest waits for d or until there is news. When that is long another shop's run has
// the place meanwhile, and may keep it longer.
func (r *run) rest(ctx context.Context, news <-chan struct{}, d time.Duration) error {
	place, _ := ctx.Value(placeKey{}).(*place)
	if d < lendAfter || place == nil {
		await(ctx, news, d)
		return context.Cause(ctx)
	}
	place.give()
	if await(ctx, news, d); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.progress.wait(r.shop, "the syncs of other shops go first", "", time.Time{})
	defer r.progress.wait(r.shop, "", "", time.Time{})
	return place.take(ctx)
}

// lendAfter is the shortest wait during which another shop's run takes the place
// of one that waits.
const lendAfter = 10 * time.Second

// place is a run's place among those that are made at a time.
type place struct {
	all  chan struct{}
	turn chan struct{} // one of the run's requests at a time takes or gives
	held bool
}

type placeKey struct{}

// takePlace waits for a place. The context is for the run that has it.
func (s *Syncer) takePlace(ctx context.Context) (context.Context, *place, error) {
	p := &place{all: s.places, turn: make(chan struct{}, 1)}
	return context.WithValue(ctx, placeKey{}, p), p, p.take(ctx)
}

func (p *place) take(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if p.held {
		return nil
	}
	select {
	case p.all <- struct{}{}:
		p.held = true
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *place) give() {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if p.held {
		<-p.all
		p.held = false
	}
}

// try asks for something that the run can do without. It is asked once.
func (r *run) try(ctx context.Context, what string, call func(ctx context.Context) error) (ok bool) {
	err := call(ctx)
	if err == nil {
		return true
	}
	if ctx.Err() == nil {
		r.aside(what, err)
	}
	return false
}
