package syncer

import (
	"context"
	"encoding/json"
	"time"

	"stockroom/internal/catalog"
	"stockroom/store"
)

// Whether deliveries arrive can't be asked. It shows in what runs find: a change
// that a run read, and of which no valid delivery told although one should have.
// One that comes later takes its change off. Changes of before the subscriptions
// were there, and of an absence, tell nothing.

const (
	// lateWindow is how far back changes count.
	lateWindow = 24 * time.Hour
	// lateShare: one change in so many that is not delivered is a sign.
	lateShare = 10
	// lateRuns is how many runs in a row have to show it.
	lateRuns = 2
	// deafAfter is how long nothing of a topic may be heard after the oldest
	// undelivered change.
	deafAfter = 30 * time.Minute
	// absentFrom is how long a process has to be silent to count as absent.
	absentFrom = 2 * time.Minute
)

// Deliveries is how the deliveries of a shop arrive, as the runs of the last day
// found it.
type Deliveries struct {
	// Undelivered of Changes were read before a delivery brought them.
	Undelivered int       `json:"undelivered"`
	Changes     int       `json:"changes"`
	Oldest      time.Time `json:"oldest_undelivered_at,omitzero"` // when the oldest of them was made
	Newest      time.Time `json:"newest_undelivered_at,omitzero"`
	Topic       string    `json:"undelivered_topic,omitempty"` // that should have told of the oldest
	// Heard is when the newest valid delivery of that topic came; zero for none.
	Heard time.Time `json:"heard_at,omitzero"`
	// Late: a tenth or more, in two runs in a row. Deaf: besides, the oldest was
	// made more than half an hour ago and nothing of its topic was heard since.
	// In both states changes are looked for every 30 s.
	Late bool `json:"late"`
	Deaf bool `json:"deaf"`
}

// lateMark is what is remembered of it over a restart.
type lateMark struct {
	Runs      int `json:"runs"`      // in a row that showed it
	Delivered int `json:"delivered"` // changes that deliveries brought, at the end of the newest run
}

func (s *Syncer) lateMark(shop string) (m lateMark) {
	if text, ok := s.o.State.Get(marks, shop+"/late"); ok {
		_ = json.Unmarshal(text, &m) // what can't be read is learnt again by two runs
	}
	return m
}

// undelivered are the changes of the last day that no delivery brought. In pull
// mode none is waited for, and what was found before the subscriptions had to be made
// again, as after an app was gone, tells nothing of those.
func (s *Syncer) undelivered(ctx context.Context, shop string, now time.Time) (store.Undelivered, error) {
	if s.o.Pull {
		return store.Undelivered{}, nil
	}
	from := now.Add(-lateWindow)
	u, err := s.o.Store.Undelivered(ctx, shop, from)
	if err == nil && u.Changes > 0 {
		if since := s.subscriptionRecord(shop).Since; since.After(from) {
			return s.o.Store.Undelivered(ctx, shop, since)
		}
	}
	return u, err
}

// judgeDeliveries learns from a run that came to its end how deliveries arrive.
// A run that found nothing new, after something was heard, shows that they do.
func (s *Syncer) judgeDeliveries(ctx context.Context, shop string, run store.SyncRun) {
	now := time.Now()
	u, err := s.undelivered(ctx, shop, now)
	was := s.lateMark(shop)
	m := lateMark{}
	if err == nil && u.Changes > 0 {
		if m.Delivered, err = s.o.Store.Delivered(ctx, shop, now.Add(-lateWindow)); err == nil && sign(u.Changes, m.Delivered) &&
			(store.MillisOf(u.Found) >= run.StartedAt || !s.o.Store.LastHeard(shop, u.Topic).After(u.Newest)) {
			m.Runs = min(was.Runs+1, lateRuns)
		}
	}
	if err != nil {
		s.log.Debug("how deliveries arrive can't be judged now", "shop", shop, "error", err.Error())
		return
	}
	if m == was {
		return
	}
	if text, err := json.Marshal(m); err != nil || s.o.State.Put(marks, shop+"/late", text) != nil {
		s.log.Warn("how deliveries arrive can't be noted", "shop", shop)
	}
	wake(s.keeperOf(shop).wakeLooks)
}

func sign(undelivered, delivered int) bool {
	return undelivered > 0 && undelivered*lateShare >= undelivered+delivered
}

// Deliveries tells how a shop's deliveries arrive.
func (s *Syncer) Deliveries(ctx context.Context, shop string, now time.Time) (Deliveries, error) {
	u, err := s.undelivered(ctx, shop, now)
	if err != nil || u.Changes == 0 {
		return Deliveries{}, err
	}
	m := s.lateMark(shop)
	d := Deliveries{Undelivered: u.Changes, Changes: u.Changes + m.Delivered, Oldest: u.Oldest.UTC(), Newest: u.Newest.UTC(), Topic: u.Topic}
	if heard := s.o.Store.LastHeard(shop, u.Topic); !heard.IsZero() {
		d.Heard = heard.UTC()
	}
	d.Late = m.Runs >= lateRuns && sign(u.Changes, m.Delivered)
	d.Deaf = d.Late && now.Sub(u.Oldest) > deafAfter && d.Heard.Before(u.Oldest)
	return d, nil
}

// expected tells of which changes a delivery should have come by now; nil: of
// none, as in pull mode and before changed products are known to be subscribed to.
// Nobody knows whether what is made elsewhere brings a topic that was never heard.
func (s *Syncer) expected(shop string) func(topic catalog.Topic, change time.Time) bool {
	rec := s.subscriptionRecord(shop)
	since := rec.Since
	if s.o.Pull || since.IsZero() {
		return nil
	}
	s.mu.Lock()
	from, to := s.absence[0], s.absence[1]
	s.mu.Unlock()
	return func(topic catalog.Topic, change time.Time) bool {
		t := rec.Topics[string(topic)]
		return (t.known() || t.Refused.Taken) && change.After(since) && (change.Before(from) || change.After(to))
	}
}

// servesChanges reports whether news of new and changed products is subscribed
// to, and whether that is so only since this check.
func servesChanges(list []Subscription) (serves, now bool) {
	served := 0
	for _, sub := range list {
		if sub.Topic != string(catalog.ProductsCreate) && sub.Topic != string(catalog.ProductsUpdate) {
			continue
		}
		if sub.serves() {
			served++
		}
		now = now || sub.State == subCreated || sub.State == subMoved
	}
	return served == 2, now
}

// absent notes from when to when nobody was here to listen.
func (s *Syncer) absent(from, to time.Time) {
	if to.Sub(from) < absentFrom {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.absence = [2]time.Time{from, to}
}
