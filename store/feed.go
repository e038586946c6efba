package store

import (
	"context"
	"fmt"
)

// FeedFilter is where to go on in the change feed.
type FeedFilter struct {
	After int64  // seq of the newest change that is known already
	Shop  string // "" for all
	Limit int    // most changes; 0 means 1000
}

// FeedPage is a piece of the change feed, in commit order.
type FeedPage struct {
	Changes []Change
	// Next is the After of the next piece: every change up to it was looked at.
	Next int64
	// Oldest is the seq of the oldest change that is kept, Newest+1 when none is.
	// A reader whose After is below Oldest-1 has missed changes.
	Oldest int64
	// Newest is the seq of the newest change.
	Newest int64
}

// feedLooked bounds the rows that are looked at for one piece.
const feedLooked = 50_000

// Feed returns the changes behind f.After, all of one instant.
func (s *Store) Feed(ctx context.Context, f FeedFilter) (p FeedPage, err error) {
	if f.Limit <= 0 {
		f.Limit = 1000
	}
	// Read before the transaction begins, so that it sees all of it. What it does
	// not hold was lost with a damaged file and will never come.
	committed := s.lastSeq.Load()
	tx, err := s.begin(ctx)
	if err != nil {
		return p, err
	}
	defer tx.Rollback()
	err = tx.QueryRowContext(ctx, `SELECT coalesce((SELECT min(seq) FROM changes), 0), coalesce((SELECT max(seq) FROM changes), 0)`).Scan(&p.Oldest, &p.Newest)
	if err != nil {
		return p, classify(fmt.Errorf("read change feed: %w", err))
	}
	p.Newest = max(p.Newest, committed)
	if p.Oldest == 0 {
		p.Oldest = p.Newest + 1
	}
	end := f.After + feedLooked
	p.Changes, err = query(ctx, tx, scanChange, `
		SELECT seq, shop, external_id, kind, at, cause FROM changes
		WHERE seq > ?1 AND seq <= ?2 AND (?3 = '' OR shop = ?3) ORDER BY seq LIMIT ?4`, f.After, end, f.Shop, f.Limit)
	if err != nil {
		return p, err
	}
	if len(p.Changes) == f.Limit {
		p.Next = p.Changes[f.Limit-1].Seq
		return p, nil
	}
	p.Next = max(f.After, min(end, p.Newest))
	return p, nil
}
