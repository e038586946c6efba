package web

import (
	"context"
	"sync"
	"time"

	"stockroom/store"
)

// facts is everything that the page, the status of the API and readiness are
// judged by, read once.
type facts struct {
	now       time.Time
	catalogue storeFacts
	queue     queueFacts
	shops     []shopFacts
	shopsErr  error
	last      time.Time // newest product update, zero for none
	notices   []Notice
	demo      bool
	publicURL string
}

// storeFacts is whether the catalogue takes changes.
type storeFacts struct {
	OK     bool
	Closed bool // deliveries go straight to the queue
	Cause  store.Cause
	Since  time.Time
}

// queueFacts is whether the retry queue takes jobs, and what it holds.
type queueFacts struct {
	OK                    bool
	Reason                string
	Waiting, Leased, Dead int
	Updates               int       // of the waiting and leased: deliveries
	Reads                 int       // of them: other work that is being done
	Unworked              int       // of them: work that nobody does
	Oldest                time.Time // when the oldest waiting job was enqueued
	Next                  time.Time // when the next one is due
	Paused                []string  // kinds that a person paused
}

// shopFacts is one shop with its numbers.
type shopFacts struct {
	ShopView
	Counts    store.Counts // by countShops
	CountsErr error
	Last      time.Time // newest product update, zero for none
	Waiting   int
	Unworked  int // of the waiting: work that nobody does
	Updates   int // of the waiting: deliveries
	Dead      int
	AtLeast   bool // there are more jobs than were counted
	OldestJob time.Time
	Calls     *Calls      // nil when nothing is known of them
	Sync      *SyncStatus // nil when nothing is compared with the shop
}

// recentDeliveries is how many journal rows are read: those the overview shows.
const recentDeliveries = updatesShown

func (s *Server) gather(ctx context.Context, now time.Time) (facts, []store.DeliveryRow) {
	f := facts{now: now, demo: s.o.Demo, publicURL: s.o.PublicURL}
	f.catalogue = s.catalogueFacts()
	f.queue = s.queueFacts(ctx)
	recent, err := s.o.Store.Deliveries(ctx, "", 0, recentDeliveries)
	if err != nil {
		s.log.Debug("status: deliveries", "error", err.Error())
	}
	if len(recent) > 0 {
		f.last = time.UnixMilli(recent[0].ReceivedAt)
	}
	f.shops, f.shopsErr = s.shopFacts(ctx)
	f.notices = s.o.Notices()
	return f, recent
}

func (s *Server) catalogueFacts() storeFacts {
	h := s.o.Store.Health()
	since, closed := s.o.CatalogueClosed()
	f := storeFacts{OK: h.Cause == "" && !closed, Closed: closed, Cause: h.Cause, Since: h.Since}
	if closed && !since.IsZero() {
		f.Since = since
	}
	return f
}

// countShops adds the numbers that a shop's rows have to be counted for.
func (s *Server) countShops(ctx context.Context, list []shopFacts) {
	for i := range list {
		list[i].Counts, list[i].CountsErr = s.counts.get(ctx, list[i].Shop)
	}
}

func (s *Server) shopFacts(ctx context.Context) ([]shopFacts, error) {
	views, err := s.o.Shops.List(ctx)
	if err != nil {
		return nil, err
	}
	jobs := s.jobsByShop(ctx)
	list := make([]shopFacts, 0, len(views))
	for _, v := range views {
		f := shopFacts{ShopView: v, Last: s.o.Store.LastDelivery(v.Shop)}
		if s.o.Outbound != nil {
			c := s.o.Outbound.Calls(v.Shop, time.Now())
			f.Calls = &c
		}
		if s.o.Syncs != nil {
			st := s.o.Syncs.Status(v.Shop, time.Now())
			f.Sync = &st
		}
		j := jobs[v.Shop]
		f.Waiting, f.Unworked, f.Updates, f.Dead, f.OldestJob, f.AtLeast = j.waiting, j.unworked, j.updates, j.dead, j.oldest, j.atLeast
		list = append(list, f)
	}
	return list, nil
}

// shopCounts keeps each shop's counts for a moment: counting reads every row.
type shopCounts struct {
	store *store.Store
	mu    sync.Mutex
	kept  map[string]*keptCount
}

type keptCount struct {
	counts   store.Counts
	err      error
	seq      int64
	at       time.Time
	took     time.Duration
	counting chan struct{} // closed when the count under way has ended; nil for none
}

const (
	countQuick = 20 * time.Millisecond // a count that takes no longer is waited for
	countMost  = 30 * time.Second      // that a count may take
)

func newShopCounts(s *store.Store) *shopCounts {
	return &shopCounts{store: s, kept: map[string]*keptCount{}}
}

// get counts anew when something changed since, but spends at most a twentieth
// of the time on it. While a slow count is under way it returns the one before.
func (c *shopCounts) get(ctx context.Context, shop string) (store.Counts, error) {
	c.mu.Lock()
	seq, now := c.store.LastSeq(), time.Now()
	k := c.kept[shop]
	if k == nil {
		if len(c.kept) > 4096 { // shops that were removed long ago
			clear(c.kept)
		}
		k = &keptCount{}
		c.kept[shop] = k
	}
	age := now.Sub(k.at)
	if k.counting == nil && (k.at.IsZero() || k.err != nil || (k.seq != seq || age >= 30*time.Second) && age >= 20*k.took) {
		k.counting = make(chan struct{})
		go c.count(shop, k, seq, now)
	}
	known, counting := !k.at.IsZero() && k.err == nil && k.took > countQuick, k.counting
	c.mu.Unlock()
	if counting != nil && !known {
		select {
		case <-counting:
		case <-ctx.Done():
			return store.Counts{}, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return k.counts, k.err
}

// count counts for whoever asks meanwhile; a reader that leaves ends nothing.
func (c *shopCounts) count(shop string, k *keptCount, seq int64, began time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), countMost)
	defer cancel()
	counts, err := c.store.CountShop(ctx, shop)
	c.mu.Lock()
	defer c.mu.Unlock()
	k.counts, k.err, k.seq, k.at, k.took = counts, err, seq, began, time.Since(began)
	close(k.counting)
	k.counting = nil
}
