package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ActivityMinutes is how many minutes Activity tells of.
const ActivityMinutes = 60

// activityRows bounds the journal rows that are read at Open to fill activity.
const activityRows = 20_000

// activity counts deliveries by shop and minute, in memory.
type activity struct {
	shops  sync.Map // string to *minutes
	all    atomic.Int64
	synced sync.Map // string to *atomic.Int64, Unix milliseconds of the newest change
}

// changed notes that a product of a shop was written at ms.
func (a *activity) changed(shop string, ms int64) {
	v, ok := a.synced.Load(shop)
	if !ok {
		v, _ = a.synced.LoadOrStore(shop, new(atomic.Int64))
	}
	raise(v.(*atomic.Int64), ms)
}

func raise(v *atomic.Int64, to int64) {
	for {
		now := v.Load()
		if to <= now || v.CompareAndSwap(now, to) {
			return
		}
	}
}

// lastSync is when a product of a shop was written last, 0 when that is not
// known.
func (a *activity) lastSync(shop string) int64 {
	v, ok := a.synced.Load(shop)
	if !ok {
		return 0
	}
	return v.(*atomic.Int64).Load()
}

// minutes is a ring of one hour. A cell holds the minute (Unix, upper half) it
// stands for and the count, so that an old one needs no sweeping.
type minutes struct {
	cell [ActivityMinutes]atomic.Uint64
	last atomic.Int64 // newest delivery, Unix milliseconds
}

// add counts one committed delivery that arrived at at.
func (a *activity) add(shop string, at, now time.Time) {
	v, ok := a.shops.Load(shop)
	if !ok {
		v, _ = a.shops.LoadOrStore(shop, new(minutes))
	}
	v.(*minutes).add(at, now)
	a.all.Add(1)
}

func (m *minutes) add(at, now time.Time) {
	raise(&m.last, at.UnixMilli())
	minute := uint64(max(0, at.Unix()/60))
	newest := uint64(max(0, now.Unix()/60))
	cell := &m.cell[minute%ActivityMinutes]
	for {
		old := cell.Load()
		count := uint64(1)
		switch was := old >> 32; {
		case was == minute:
			count = old&0xffff_ffff + 1
		case was > minute && was <= newest:
			return // older than the hour
		}
		if cell.CompareAndSwap(old, minute<<32|count) {
			return
		}
	}
}

// Activity returns how many deliveries of a shop ("" for all) arrived in each of
// the last sixty minutes, the running minute last. It counts what was committed.
func (s *Store) Activity(shop string, now time.Time) (counts [ActivityMinutes]int) {
	newest := uint64(max(0, now.Unix()/60))
	sum := func(m *minutes) {
		for i := range m.cell {
			v := m.cell[i].Load()
			if ago := newest - v>>32; ago < ActivityMinutes {
				counts[ActivityMinutes-1-ago] += int(v & 0xffff_ffff)
			}
		}
	}
	if shop != "" {
		if v, ok := s.activity.shops.Load(shop); ok {
			sum(v.(*minutes))
		}
		return counts
	}
	s.activity.shops.Range(func(_, v any) bool {
		sum(v.(*minutes))
		return true
	})
	return counts
}

// DeliveriesSeen grows with every delivery that is committed.
func (s *Store) DeliveriesSeen() int64 { return s.activity.all.Load() }

// LastDelivery is when the newest delivery of a shop arrived, as far as the last
// rows of the journal go; zero for none.
func (s *Store) LastDelivery(shop string) time.Time {
	v, ok := s.activity.shops.Load(shop)
	if !ok {
		return time.Time{}
	}
	return time.UnixMilli(v.(*minutes).last.Load())
}

// fillActivity reads the newest rows that were in the journal at Open, up to the
// row upTo, and when each shop's products were written last. What comes later is
// counted as it is committed.
func (s *Store) fillActivity(upTo int64) {
	if err := s.readActivity(s.life, upTo); err != nil && s.life.Err() == nil {
		s.log.Debug("the last hour's updates can't be counted", "error", err.Error())
	}
}

func (s *Store) readActivity(ctx context.Context, upTo int64) error {
	now := time.Now()
	return errors.Join(
		s.loadHearing(ctx),
		s.eachTime(ctx, func(shop string, at int64) { s.activity.add(shop, time.UnixMilli(at), now) },
			`SELECT shop, coalesce(last_at, received_at) FROM deliveries WHERE id <= ? ORDER BY id DESC LIMIT ?`, upTo, activityRows),
		s.eachTime(ctx, s.activity.changed,
			`SELECT shop, max(at) FROM (SELECT shop, at FROM changes ORDER BY seq DESC LIMIT ?) GROUP BY shop`, activityRows),
		// Of shops that have been quiet for so long the products themselves tell.
		s.readQuiet(ctx),
	)
}

func (s *Store) readQuiet(ctx context.Context) error {
	var quiet []string
	err := s.eachTime(ctx, func(shop string, _ int64) {
		if s.activity.lastSync(shop) == 0 {
			quiet = append(quiet, shop)
		}
	}, `SELECT shop, products FROM product_counts WHERE products > 0`)
	for _, shop := range quiet {
		err = errors.Join(err, s.eachTime(ctx, s.activity.changed, `SELECT ?1, max(synced_at) FROM products WHERE shop = ?1`, shop))
	}
	return err
}

// eachTime calls fn with every row of a query for shops and numbers.
func (s *Store) eachTime(ctx context.Context, fn func(shop string, n int64), query string, args ...any) error {
	rows, err := s.rows(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var shop string
		var n int64
		if err := rows.Scan(&shop, &n); err != nil {
			return err
		}
		fn(shop, n)
	}
	return rows.Err()
}
