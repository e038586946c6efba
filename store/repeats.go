package store

import (
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	repeatsKept  = 16_384           // journal rows that are remembered
	repeatsDay   = 24 * time.Hour   // how long a row counts repeats, so that old rows end
	askAgainWait = time.Minute      // how long no one hears again of work that a row asked for
	askAnewWait  = 10 * time.Second // and where an equal body may tell of another change
)

// repeats are the newest rows of their kind, by key; only the writer uses rows.
type repeats struct {
	seed maphash.Seed
	rows *lru.LRU[uint64, repeat]
}

// hashed returns the delivery without its body, which the writer must not keep.
func (s *repeats) hashed(d Delivery) Delivery {
	if d.Body != nil {
		d.body, d.Body = maphash.Bytes(s.seed, d.Body)|1, nil
	}
	return d
}

// repeat is a journal row that counts the deliveries of one body under one topic
// of one shop that ended alike: all but the first change nothing.
type repeat struct {
	key          uint64 // 0 when the body is not known
	id           int64
	began, asked int64 // when the row was written, and when its work was told of, Unix milliseconds
}

func newRepeats() repeats {
	rows, err := lru.NewLRU[uint64, repeat](repeatsKept, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return repeats{maphash.MakeSeed(), rows}
}

// repeatOf returns the row that a delivery repeats; its id is 0 for none.
func (t *tx) repeatOf(d Delivery, o Outcome) repeat {
	if d.body == 0 {
		return repeat{}
	}
	key := maphash.Comparable(t.s.repeats.seed, struct {
		shop, topic string
		outcome     Outcome
		body        uint64
	}{d.Shop, d.Topic, o, d.body})
	for _, r := range slices.Backward(t.repeats) {
		if r.key == key {
			return r
		}
	}
	if r, ok := t.s.repeats.rows.Get(key); ok && t.now-r.began < repeatsDay.Milliseconds() {
		return r
	}
	return repeat{key: key}
}

// again counts a repeat in its row; false when the journal keeps that no more.
func (t *tx) again(r repeat, d Delivery, reason string) (bool, error) {
	if r.id == 0 {
		return false, nil
	}
	res, err := t.exec(`
		UPDATE deliveries SET count = count + 1, last_at = max(coalesce(last_at, received_at), ?), error = ? WHERE id = ?`,
		d.ReceivedAt.UnixMilli(), orNull(reason), r.id)
	if err != nil {
		return false, fmt.Errorf("count a repeat: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}
