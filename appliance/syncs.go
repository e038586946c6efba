package appliance

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"stockroom/queue"
	"stockroom/state"
	"stockroom/store"
	"stockroom/syncer"
	"stockroom/web"
)

// syncs implements web.Syncs.
type syncs struct {
	a *Appliance

	mu     sync.Mutex
	counts map[string]jobCounts
	part   bool // there are more jobs than were counted
	at     time.Time
}

// jobCounts are the jobs about a shop's products.
type jobCounts struct{ waiting, dead int }

// Status tells how a shop's copy stands against the shop.
func (s *syncs) Status(shop string, now time.Time) web.SyncStatus {
	st := s.a.syncer.Status(shop, now)
	v := web.SyncStatus{
		Running: st.Running, Waits: st.Waits, WaitsUntil: st.WaitsUntil, ProvenIDs: st.ProvenIDs, ProvenFields: st.ProvenFields, Why: st.Why, Staleness: -1,
		LastReconcile: st.Compared, Remote: st.Remote, RemoteAt: st.RemoteAt, Schedules: []web.Schedule{}, Subscriptions: subscriptionsView(st.Subscriptions),
	}
	if st.StalenessKnown {
		v.Staleness = st.Staleness.Seconds()
	}
	if st.Running != nil {
		v.Rate, v.EndsAt = pace(*st.Running, st.Since, now)
		if v.Waits == "" {
			v.Waits, v.WaitsUntil = s.pointsWait(shop, now)
		}
	}
	for _, sc := range st.Schedules {
		v.Schedules = append(v.Schedules, web.Schedule{
			Name: sc.Name, Every: sc.Every.Seconds(), LastStart: sc.LastStart, LastSuccess: sc.LastSuccess, LastError: sc.LastError,
			Next: sc.Next, Running: sc.Running, Late: sc.Late,
		})
	}
	if v.Why == "" {
		v.Why = s.jobWords(shop, now)
		v.OnlyJobs = v.Why != ""
	}
	v.InStep = v.Why == ""
	return v
}

// shortWait is not worth telling of.
const shortWait = 2 * time.Second

// pointsWait is why calls to the shop are held back now, "" when they are not.
func (s *syncs) pointsWait(shop string, now time.Time) (why string, until time.Time) {
	snap, ok := s.a.limiter.SnapshotAt(now, shop)
	switch {
	case !ok:
		return "", time.Time{}
	case snap.Penalty.After(now.Add(shortWait)):
		return "Shopify has asked for a pause", snap.Penalty
	case snap.Next.After(now.Add(shortWait)):
		return "the points of this window are spent", snap.Next
	}
	return "", time.Time{}
}

// pace is how fast a run goes in its present phase and when that ends.
func pace(r store.SyncRun, since, now time.Time) (rate float64, ends time.Time) {
	took := now.Sub(since).Seconds()
	if took < 1 || r.Read == 0 {
		return 0, time.Time{}
	}
	rate = float64(r.Read) / took
	if left := r.Expected - r.Read; left > 0 && rate > 0 {
		ends = now.Add(time.Duration(float64(left) / rate * float64(time.Second)))
	}
	return rate, ends
}

// jobWords says that product jobs stand against the copy being in step.
func (s *syncs) jobWords(shop string, now time.Time) string {
	n := s.jobsOf(shop, now)
	switch {
	case n.dead == 1:
		return "One product update failed for good and needs a look."
	case n.dead > 1:
		return "Some product updates failed for good and need a look."
	case n.waiting > 0:
		return "Product updates are waiting to be stored or read."
	}
	// What a commit asked for has no job for a moment, longer where the queue can't
	// take it.
	wanted, err := s.a.store.WantsProducts(context.Background(), shop)
	switch {
	case err != nil:
		s.a.log.Debug("wanted work can't be read now", "shop", shop, "error", err.Error())
		return "The catalogue can't be read now."
	case wanted:
		return "Product updates are waiting to be read."
	}
	return ""
}

// countEvery is how long the counted jobs are kept.
const countEvery = 500 * time.Millisecond

// jobsOf counts the jobs about a shop's products.
func (s *syncs) jobsOf(shop string, now time.Time) jobCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.at); s.counts == nil || age < 0 || age >= countEvery {
		s.count(now)
	}
	n, counted := s.counts[shop]
	if counted || !s.part {
		return n
	}
	jobs, _, err := s.a.queue.List(context.Background(), queue.Filter{Label: "shop", Value: shop, Limit: 1})
	if err != nil {
		s.a.log.Debug("jobs can't be counted now", "error", err.Error())
	}
	if err != nil || len(jobs) > 0 {
		n.waiting = 1 // or more
	}
	s.counts[shop] = n
	return n
}

// count counts the jobs of all shops.
func (s *syncs) count(now time.Time) {
	s.counts, s.part, s.at = map[string]jobCounts{}, false, now
	if st := s.a.queue.Stats(); st.Waiting+st.Leased+st.Dead == 0 {
		return
	}
	for _, state := range []queue.State{queue.Waiting, queue.Leased, queue.Dead} {
		f := queue.Filter{State: state, Limit: 1000}
		for pages := 1; ; pages++ {
			jobs, next, err := s.a.queue.List(context.Background(), f)
			if err != nil {
				s.a.log.Debug("jobs can't be counted now", "error", err.Error())
				s.part = true
				return
			}
			for _, j := range jobs {
				n := s.counts[j.Labels["shop"]]
				if state == queue.Dead {
					n.dead++
				} else {
					n.waiting++
				}
				s.counts[j.Labels["shop"]] = n
			}
			if next == 0 {
				break
			}
			if f.After = next; pages == 20 { // the others are looked for one by one
				s.part = true
				break
			}
		}
	}
}

// startWait is how long an answer waits for its run to begin.
const startWait = 10 * time.Second

// Start begins a run or joins the one of its kind.
func (s *syncs) Start(ctx context.Context, shop string, kind store.RunKind, dryRun bool) (int64, error) {
	if !s.a.syncer.Works() {
		return 0, notWorking()
	}
	wait, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	asked := time.Now()
	began, err := s.a.syncer.Start(wait, shop, kind, dryRun)
	var paused *syncer.PausedError
	switch {
	case errors.Is(err, state.ErrUnknownShop):
		return 0, declared(err)
	case errors.As(err, &paused):
		return 0, &web.Refusal{Status: http.StatusConflict, Title: "The shop is paused", Detail: "Nothing can be read now: " + paused.Words + "."}
	case err != nil:
		return 0, err
	case !began:
		return 0, &web.Refusal{Status: http.StatusConflict, Title: "Another sync runs", RetryAfter: 10,
			Detail: "Another sync of this shop runs; this one begins after it. Follow it in the list of syncs, or cancel the one that runs."}
	}
	for {
		if st := s.a.syncer.Status(shop, time.Now()); st.Running != nil && st.Running.Kind == kind {
			return st.Running.ID, nil
		}
		// It may have ended already.
		runs, err := s.a.store.Runs(ctx, store.RunFilter{Shop: shop, Kind: kind, Limit: 1})
		if err != nil {
			return 0, err
		}
		if len(runs) > 0 && max(runs[0].StartedAt, runs[0].FinishedAt) >= asked.UnixMilli() {
			return runs[0].ID, nil
		}
		t := time.NewTimer(20 * time.Millisecond)
		select {
		case <-wait.Done():
			t.Stop()
			return 0, &web.Refusal{Status: http.StatusServiceUnavailable, Title: "The sync can't begin", RetryAfter: 10,
				Detail: "The sync was asked for but has not begun yet; the list of syncs shows it when it does."}
		case <-t.C:
		}
	}
}

func notWorking() error {
	return &web.Refusal{Status: http.StatusConflict, Title: "Nothing works on the data dir", Detail: "Syncs are made while `stockroom serve` runs."}
}

// Cancel ends the shop's run.
func (s *syncs) Cancel(_ context.Context, shop string) (bool, error) {
	return s.a.syncer.Cancel(shop), nil
}

// CheckSubscriptions compares wanted and present subscriptions.
func (s *syncs) CheckSubscriptions(ctx context.Context, shop string, fix bool) (web.Subscriptions, error) {
	if _, ok := s.a.state.Shop(shop); !ok {
		return web.Subscriptions{}, declared(state.ErrUnknownShop)
	}
	sub, err := s.a.syncer.CheckSubscriptions(ctx, shop, fix)
	return subscriptionsView(sub), err
}

func subscriptionsView(s syncer.Subscriptions) web.Subscriptions {
	v := web.Subscriptions{CheckedAt: s.CheckedAt, Error: s.Error, Present: s.Present, Wanted: []web.Subscription{}, Others: []web.Subscription{}}
	for _, w := range s.Wanted {
		v.Wanted = append(v.Wanted, web.Subscription(w))
	}
	for _, o := range s.Others {
		v.Others = append(v.Others, web.Subscription(o))
	}
	return v
}

var _ web.Syncs = (*syncs)(nil)
