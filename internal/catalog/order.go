package catalog

import "time"

// Versions of a product are told apart by their updated_at, to the second. That
// is its resolution, and it can be later than the instant of the edit: a real
// delivery that was triggered at 10:45:17.912 carried 10:45:18 (shopify.md 1.6).
// Deliveries come in any order (shopify.dev/docs/apps/build/webhooks). So two
// versions of one second are normal, and no time tells which is the last of them:
// only a read of the shop does, one that begins when no edit can carry that second
// any more.

// SameSecond is how long after its updated_at an edit may carry the same one.
const SameSecond = 2 * time.Second

// Second returns the second of a version, by which it is ordered. version is its
// updated_at in Unix milliseconds.
func Second(version int64) int64 { return version / 1000 }

// ShowsLast reports whether a read of the shop that began at read, Unix
// milliseconds of our clock, shows the last version of a second. ahead is how far
// our clock may be ahead of the shop's.
func ShowsLast(read, version int64, ahead time.Duration) bool {
	return read-ahead.Milliseconds() >= Second(version)*1000+SameSecond.Milliseconds()
}
