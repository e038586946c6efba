// Package syncer does the work that commits asked for: it takes jobs from the
// queue, asks the shop, and stores what the shop shows.
//
// A job may run twice, or be cut short by a crash at any point, without harm:
// what was wanted is a row in the catalogue that goes away only with the commit
// that answers it, reads are repeated, and the order rule of the store decides
// what wins.
//
// Where the shop, or our own budget, says no, the shop is paused in state.db and
// its jobs are put back without an attempt, as Judge in package shopify says. A
// paused shop is asked again by itself, and at once when its credentials change.
package syncer
