package syncer

import (
	"context"
	"strings"
	"time"

	"stockroom/internal/uptime"
	"stockroom/store"
)

// Status is what is known here of how a shop's copy stands against the shop. It
// judges nothing: package status does.
type Status struct {
	Running *store.SyncRun // nil for none
	Since   time.Time      // when its present phase began
	// Waits is why the running one waits, "" when it does not, and WaitsUntil until
	// when.
	Waits      string
	WaitsUntil time.Time
	// Differ is how many products the running one has found to differ and not yet
	// mended all, since DifferSince.
	Differ      int
	DifferSince time.Time
	// ProvenIDs and ProvenFields are when ids, times and variant counts, and
	// every field, were last shown to be equal; zero for never.
	ProvenIDs, ProvenFields time.Time
	ProvenRun               int64         // the run that showed it last
	Staleness               time.Duration // since the newest of both
	StalenessKnown          bool
	First                   FirstRead
	Loss                    string         // why a full sync is needed, "" for nothing
	Owed                    string         // why a comparison is needed, "" for nothing
	Remote                  int64          // the shop's own count, -1 when not known
	RemoteAt                time.Time      //
	Compared                *store.SyncRun // the newest comparison that came to its end; nil for none
	Schedules               []ScheduleStatus
	Subscriptions           Subscriptions
	Deliveries              Deliveries
	Unread                  error // why Deliveries could not be read, nil when it was
	Looking                 Looking
}

// Looking is how changes are looked for in a shop: in pull mode as the usual way,
// else beside the deliveries, and in their place while they do not arrive.
type Looking struct {
	Pull  bool          `json:"pull"` // pull mode: no deliveries are waited for
	Every time.Duration `json:"-"`    // from one look to the next, as it stands now
	// Slow is why that is longer than the settings say, a part of a sentence, "" when
	// it is not.
	Slow string `json:"slow,omitempty"`
	// Last is when the newest look began that went well; zero for none.
	Last time.Time `json:"last_at,omitzero"`
	// Failed is when the newest look ended, when it failed, else zero; Words says
	// why, a part of a sentence.
	Failed time.Time `json:"failed_at,omitzero"`
	Words  string    `json:"failed_why,omitempty"`
	Next   time.Time `json:"next_at,omitzero"` // zero: none is planned; Held says why
	Held   string    `json:"held,omitempty"`
	// Waiting is how many changes it has found and not read yet, since WaitsSince
	// and until about Ends, zero when that is not known.
	Waiting    int       `json:"waiting"`
	WaitsSince time.Time `json:"waiting_since,omitzero"`
	Ends       time.Time `json:"ends_at,omitzero"`
	Points     int       `json:"points"` // that the newest look cost, without the reads
	Runs       bool      `json:"-"`      // one is under way
}

// ScheduleStatus is how one thing stands that is done for a shop again and again.
type ScheduleStatus struct {
	Name        string    `json:"name"` // full_sync, reconcile, incremental or subscriptions
	Every       float64   `json:"every_seconds"`
	LastStart   time.Time `json:"last_start_at,omitzero"`
	LastSuccess time.Time `json:"last_success_at,omitzero"`
	LastError   string    `json:"last_error,omitempty"` // of the last run, "" when it went well
	Next        time.Time `json:"next_at,omitzero"`
	// Held is why it is not done before Next, or, with Next zero, before a person
	// says so, without a stop at its end; "" for nothing.
	Held    string `json:"held,omitempty"`
	Running bool   `json:"running"`
	Late    bool   `json:"late"` // a run was missed: no success for twice the time and a bit
}

// statusMost is how long Status waits for the catalogue.
const statusMost = time.Second

// Status tells how a shop's copy stands. It asks nobody.
func (s *Syncer) Status(shop string, now time.Time) Status {
	k := s.keeperOf(shop)
	p := get(k, &k.proof)
	st := Status{
		Remote: p.remote, RemoteAt: p.remoteAt, Compared: p.compared, ProvenRun: p.Run,
		First: k.firstRead(now), Subscriptions: get(k, &k.subscriptions),
	}
	if p.IDs > 0 {
		st.ProvenIDs = time.UnixMilli(p.IDs)
	}
	if p.Fields > 0 {
		st.ProvenFields = time.UnixMilli(p.Fields)
	}
	st.Staleness, st.StalenessKnown = s.Staleness(shop, now)
	if run, since, ok := s.progress.of(shop); ok {
		st.Running, st.Since = &run, since
		st.Waits, st.WaitsUntil = s.progress.waits(shop)
		st.Differ, st.DifferSince, _ = s.progress.differ(shop, now)
	}
	if w := get(k, &k.fullWanted); w != nil {
		st.Loss = w.Reason
	}
	w, _ := s.comparisonWanted(shop)
	st.Owed = w.Why
	ctx, cancel := context.WithTimeout(context.Background(), statusMost)
	defer cancel()
	st.Deliveries, st.Unread = s.Deliveries(ctx, shop, now)
	st.Looking = k.looking(now, st.Deliveries.Late || k.unsubscribed())
	st.Schedules = k.scheduleStatus(st.Looking, now)
	return st
}

func (k *keeper) scheduleStatus(l Looking, now time.Time) (list []ScheduleStatus) {
	have, _ := k.s.o.State.Shop(k.shop)
	running := get(k, &k.running)
	since := have.AddedAt
	if since.IsZero() {
		since = k.s.began
	}
	full, _ := k.s.o.State.Run(k.shop, scheduleFull)
	for _, sc := range append(k.s.schedules(), schedule{name: scheduleSubscriptions, every: k.s.subscriptionsEveryOf(k.shop)}) {
		r, _ := k.s.o.State.Run(k.shop, sc.name)
		served := r.LastSuccess
		if sc.name != scheduleSubscriptions { // a full sync serves the comparisons too
			served = latest(served, full.LastSuccess)
		}
		st := ScheduleStatus{
			Name: sc.name, Every: sc.every.Seconds(), LastStart: r.Started, LastSuccess: r.LastSuccess, LastError: r.Error,
			Running: running != nil && running.name == sc.name, Late: late(sc, served, since, now),
		}
		if sc.every > 0 && !st.Running {
			st.Next, st.Held = k.nextRun(sc, now)
			st.Held = strings.TrimRight(st.Held, ".")
		}
		list = append(list, st)
	}
	return append(list, ScheduleStatus{
		Name: scheduleIncremental, Every: l.Every.Seconds(), LastStart: l.Last, LastSuccess: l.Last, LastError: l.Words,
		Next: l.Next, Held: strings.TrimRight(l.Held, "."), Running: l.Runs,
		Late: late(schedule{every: l.Every}, latest(l.Last, full.LastSuccess), since, now),
	})
}

// FirstRead is how the first full sync of a shop stands.
type FirstRead struct {
	Done bool // every product was read once, proven or not
	// Failed is when the last try ended that failed, zero for none; Words and
	// Cause say why, as the run's row does. Fails is how many did in a row since
	// the process started.
	Failed       time.Time
	Words, Cause string
	Fails        int
	Next         time.Time // of the next try, zero when it waits for a person
	Held         string    // why it has to wait for longer than after a failure, "" for nothing
	Expected     int64     // products that the shop counted, -1 when not known
}

func (k *keeper) firstRead(now time.Time) FirstRead {
	p, l := get(k, &k.proof), k.lastOf(scheduleFull)
	f := FirstRead{Done: p.read || !l.started.IsZero(), Expected: p.remote, Fails: l.fails}
	if f.Done {
		return f
	}
	if r, ok := k.s.o.State.Run(k.shop, scheduleFull); ok && !r.OK && !r.Finished.IsZero() {
		f.Failed, f.Words = r.Finished, r.Error
		if run := p.full; run != nil && run.State == store.RunFailed {
			f.Words, f.Cause = run.Error, run.Cause
		}
	}
	f.Next, f.Held = k.nextRun(schedule{name: scheduleFull, every: k.s.o.FullSyncEvery}, now)
	return f
}

// SubscriptionsKnown is how long a check of subscriptions says how they are.
const SubscriptionsKnown = 3*subscriptionsEvery + time.Minute

// subscriptionsEveryOf is how often a shop's subscriptions are checked: in pull
// mode only until what is ours is removed, where the settings say so.
func (s *Syncer) subscriptionsEveryOf(shop string) time.Duration {
	if s.o.Pull && (!s.o.Unsubscribe || s.subscriptionRecord(shop).Removed) {
		return 0
	}
	return subscriptionsEvery
}

// watchSubscriptions compares wanted and present subscriptions at the start and
// every few minutes; each healing is followed by a comparison, for what was
// changed meanwhile was not delivered.
func (s *Syncer) watchSubscriptions(ctx context.Context, shop string) {
	for {
		wait := subscriptionsEvery
		if have, ok := s.o.State.Shop(shop); ok && !have.Pause.Paused() {
			if _, err := s.tendSubscriptions(ctx, shop, true); err != nil && ctx.Err() == nil {
				s.log.Debug("subscriptions can't be checked now", "shop", shop, "error", err.Error())
				wait = time.Minute
			} else if s.subscriptionsEveryOf(shop) == 0 {
				return
			}
		}
		if !uptime.Sleep(ctx, wait) {
			return
		}
	}
}

// CheckSubscriptions compares a shop's subscriptions with the wanted ones because a
// person asks; with fix it makes and mends them, which pull mode refuses.
func (s *Syncer) CheckSubscriptions(ctx context.Context, shop string, fix bool) (Subscriptions, error) {
	switch {
	case fix && s.o.Unsubscribe:
		return Subscriptions{}, ErrWebhooksOff
	case fix && s.o.PublicURL == "":
		return Subscriptions{}, ErrNoAddress
	}
	return s.tendSubscriptions(ctx, shop, fix)
}

// tendSubscriptions makes a check and notes what it found.
func (s *Syncer) tendSubscriptions(ctx context.Context, shop string, fix bool) (Subscriptions, error) {
	k := s.keeperOf(shop)
	if fix {
		k.note("begin", s.o.State.RunStarted(shop, scheduleSubscriptions, time.Now()))
	}
	bounded, cancel := context.WithTimeoutCause(ctx, subscriptionsDeadline, errDeadline)
	defer cancel()
	sub, err := s.checkSubs(bounded, shop, fix)
	if ctx.Err() != nil {
		return sub, err
	}
	if err != nil && bounded.Err() != nil {
		err = errDeadline
		sub.Error = "The check of the subscriptions took too long."
	}
	if fix {
		words := sub.Error
		if err != nil {
			words = wordsOf(err)
		}
		k.note("end", s.o.State.RunFinished(shop, scheduleSubscriptions, time.Now(), words))
	}
	if err == nil {
		k.set(func() { k.subscriptions = sub })
	}
	return sub, err
}
