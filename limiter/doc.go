// Package limiter decides when a call of a given cost may go out to a shop.
//
// Every shop has a cost-weighted sliding window: a log of the points that went
// out and their running sum. A call reserves the upper bound of its cost, is
// sent, and is settled with what the shop really charged. A reservation counts
// from the moment it is given until one whole window after it was settled, so
// that a call that lingers in our process or on the wire is inside our window
// whenever the shop may count it. Once the shop has told us its real budget
// (throttleStatus) a model of its bucket, never fuller than the real one, is
// asked as well. docs/limiter.md holds the proof that both together cannot
// overrun the shop.
//
// After a crash: points are leased from disk in blocks ahead of use, and only
// leased points are ever granted. The record on disk holds the log and the
// lease; what is leased and not known to be returned counts as spent at the
// moment of the restart. A clean Close returns the unspent lease. A shop that
// has no record, or a damaged one, counts as a full spent window. The age of a
// record is measured by a clock that nobody can set (the time since boot) and
// by the wall clock, whichever says less; after a reboot it is taken as zero.
// No grant waits for an fsync unless the lease ran dry before the next block
// was on disk.
//
// Units: points are Shopify cost points; instants are time.Time and should
// carry a monotonic reading (time.Now does): then wall clock jumps are
// invisible. An instant before one already seen counts as that one.
package limiter
