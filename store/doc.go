// Package store keeps the catalogue in SQLite: products with their variants,
// the journal of deliveries, tombstones, selections, the change feed, the list
// of work that a commit asked for, and the runs of the syncs with what they
// found.
//
// What it promises. A write that returned nil is on disk: the transaction was
// committed in WAL mode with synchronous=FULL, so it survives kill -9 and a
// power cut. A write that returned an error may have been committed after all
// when the error is a timeout; trying it again is always safe, because every
// delivery is de-duplicated inside the transaction that applies it. A product
// and its variants change in one transaction together with the journal row,
// the provenance and the change-feed row, or not at all.
//
// How. One writer goroutine owns one connection. It takes the requests that
// are waiting, never waits for more, and commits them as one group, each in a
// savepoint of its own, so that a request that fails rolls back alone.
// Deliveries go before bulk rows, which have transactions of their own, bounded
// in time; after one, deliveries have the writer for as long, and then bulk rows
// have a turn again. Readers use a pool of read-only connections.
//
// Order. A delivery is placed by its body's updated_at, to the second. A read of
// the shop (a fetch, a bulk result) is placed the same way, and besides by when
// it began: it decides between two versions of one second, lifts a tombstone and
// removes a row only where that was written before it began. What it can't decide
// becomes a wanted fetch. A read that is refused as older than what was committed
// before it began is an open difference, kept in the file: two such reads that
// agree, the second ten minutes or more after the commit, win whatever the times.
// All of this is one pure function, judge, of what is stored, what arrived and
// where it came from; a table in its test has every verdict. A dry run is the
// repair itself in a savepoint that is rolled back, so the two can't disagree.
//
// Runs. A run's counters are raised in the transaction that does what they
// count, and each product counts once in a run, so that they are right after a
// commit whose answer was lost. The mark of a bulk result moves in the
// transaction of the last product before it, never ahead.
//
// Repeats. Webhook id, topic and shop are not signed, so one delivery can be sent
// again without end. The same body that ends alike within a day is counted in the
// journal row of the first, of which the newest 16,384 are remembered; the work that
// it asks for is reported once a minute at most. Whose a product is that deliveries
// brought under two shops is decided by the first read that shows it.
//
// When the file can't be written (locked, full, read-only, an I/O error) a
// write fails with ErrUnavailable and a cause; nothing of it is kept. After an
// I/O error the connection is thrown away, since nothing on it can be trusted
// after a failed fsync, and the next write opens a new one. A damaged file is
// renamed, never deleted, and replaced by a fresh one that takes over every
// product of the old one whose content hash still fits.
//
// Files are what was opened. Before each commit, again before anybody hears of it,
// and once a second the folder and the names of the three files are looked at. One
// that was moved, removed or replaced fails every write with CauseLost: nothing is
// renamed or removed then and SQLite opens nothing by path, until the names lead to
// the same files again or the process is started again. A log that lost its name is
// copied into the database. A file that was cut is damage.
//
// Units: times are Unix milliseconds in UTC (Millis, in JSON RFC 3339), except
// products.triggered_ns; prices are decimal text as Shopify sent them.
package store
