package store

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Order is by the time that a version carries, and a tombstone wins over every
// version. What is dated ahead, by a forged body or by a clock of ours that was
// wrong, would so win over the shop for ever. Hence the one rule for reads that
// are refused as older although they began after what is stored was committed:
// the product is an open difference, and it is read again. When two reads show
// the same content, the second begun settleAfter or more after that commit, they
// win whatever the times. Until then the shop may only be late: its answers can
// lag behind its webhooks.

// settleAfter is how long after the commit of what is stored the deciding read
// has to begin.
const settleAfter = 10 * time.Minute

// productKey names a product.
type productKey struct {
	shop string
	id   int64
}

// difference is a row of open_differences; times are Unix milliseconds.
type difference struct {
	committed int64
	hash      string
	read      int64
	opened    int64
}

// settles is when the deciding read may begin. A commit from the future was
// made under a clock that was put back since; then the first refused read counts
// in its place.
func (d difference) settles() int64 {
	return min(d.committed, d.read) + settleAfter.Milliseconds()
}

// next is the difference after a read that shows an older state than what was
// committed before it began. wins: the read decides.
func (d difference) next(committed int64, hash string, started, now int64) (as difference, wins bool) {
	switch {
	case d.committed != committed:
		d = difference{committed: committed, opened: now}
	case started > d.read && hash == d.hash && started >= d.settles():
		return d, true
	case started > d.read && hash != d.hash:
	case started < d.read && d.read > now: // noted under a clock that was put back since
	default:
		return d, false
	}
	d.hash, d.read = hash, started
	return d, false
}

// noteDifference keeps a read that was refused.
func (t *tx) noteDifference(m *matter, d difference) error {
	t.s.settings.touched = true
	t.s.settings.open[productKey{m.shop, m.id}] = d
	return t.do("note open difference", `
		INSERT INTO open_differences (shop, external_id, committed_at, content_hash, read_at, opened_at)
		VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET committed_at = excluded.committed_at, content_hash = excluded.content_hash,
		       read_at = excluded.read_at, opened_at = excluded.opened_at`,
		m.shop, m.id, d.committed, d.hash, d.read, d.opened)
}

// settled forgets a product's open difference: what it was about is not stored
// any more, or the shop shows the same.
func (t *tx) settled(shop string, id int64) error {
	key := productKey{shop, id}
	if _, open := t.s.settings.open[key]; !open {
		return nil
	}
	t.s.settings.touched = true
	delete(t.s.settings.open, key)
	return t.do("forget open difference", `DELETE FROM open_differences WHERE shop = ? AND external_id = ?`, shop, id)
}

func loadDifferences(c *conn) (map[productKey]difference, error) {
	open := map[productKey]difference{}
	const list = `SELECT shop, external_id, committed_at, content_hash, read_at, opened_at FROM open_differences`
	err := c.each(list, 6, func(row []driver.Value) error {
		open[productKey{asText(row[0]), asInt(row[1])}] = difference{
			committed: asInt(row[2]), hash: asText(row[3]), read: asInt(row[4]), opened: asInt(row[5]),
		}
		return nil
	})
	if err != nil {
		return nil, classify(fmt.Errorf("read open differences: %w", err))
	}
	return open, nil
}

// openDifferences is a shop's part of those that are committed.
type openDifferences struct {
	n      int
	oldest time.Time
}

// publish shows the open differences as they were committed.
func (s *Store) publish() {
	byShop := map[string]openDifferences{}
	for key, d := range s.settings.open {
		have, at := byShop[key.shop], time.UnixMilli(d.opened)
		if have.n++; have.n == 1 || at.Before(have.oldest) {
			have.oldest = at
		}
		byShop[key.shop] = have
	}
	s.open.Store(&byShop)
}

// OpenDifferences returns how many products of a shop are not as a read of the
// shop showed them after they were stored, and since when the oldest is known:
// the copy is not in step. It reads memory only.
func (s *Store) OpenDifferences(shop string) (n int, oldest time.Time) {
	byShop := s.open.Load()
	if byShop == nil {
		return 0, time.Time{}
	}
	have := (*byShop)[shop]
	return have.n, have.oldest
}
