// Package syncer brings the copy in step with the shop: it works the jobs that
// commits asked for, and by schedule reads, compares and repairs the whole
// catalogue and looks after the webhook subscriptions.
//
// Read from top to bottom: feeder.go passes on what commits asked for, to the queue
// or to a shop's keeper; keeper.go, schedule.go and wishes.go decide which run is
// made when; run*.go holds what all runs share; full*.go, reconcile*.go and
// incremental.go are the kinds of run; proof.go, deliveries.go and status.go say
// what is known afterwards; pause.go when a shop is not asked at all.
//
// Each shop has a keeper that makes its runs one at a time: what a person asks
// for, what a loss or a gap makes necessary, what is due. When the last runs
// began, and what is owed to a shop, is in state.db; how far a run came is in the
// catalogue, saved with the products it speaks of. So a crash repeats work and
// loses none, and nothing counts as proven that was not.
//
// A job may run twice, or be cut short by a crash at any point, without harm:
// what was wanted is a row in the catalogue that goes away only with the commit
// that answers it, reads are repeated, and the order rule of the store decides
// what wins.
//
// Where the shop, or our own budget, says no, the shop is paused in state.db and
// its jobs are put back without an attempt, as Judge in package shopify says. A
// paused shop is asked again automatically, and at once when its credentials change.
package syncer
