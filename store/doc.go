// Package store keeps the catalogue in SQLite: products with their variants,
// the journal of deliveries, tombstones, selections, the change feed and the
// list of work that a commit asked for.
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
// Deliveries go before bulk rows. Readers use a pool of read-only connections.
//
// When the file can't be written (locked, full, read-only, an I/O error) a
// write fails with ErrUnavailable and a cause; nothing of it is kept. After an
// I/O error the connection is thrown away, since nothing on it can be trusted
// after a failed fsync, and the next write opens a new one. A damaged file is
// renamed, never deleted, and replaced by a fresh one that takes over every
// product of the old one whose content hash still fits.
//
// Units: times are Unix milliseconds in UTC, except products.triggered_ns;
// prices are decimal text as Shopify sent them.
package store
