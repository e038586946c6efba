// Package catalog says what a product is: it turns webhook bodies into checked
// changes, and compares, merges and fingerprints products whatever form they
// came in.
//
// It holds no state and touches no disk, so a crash cannot concern it. Every
// function is pure: the same input gives the same answer, inputs are not
// written to, and what is returned shares no memory with them that either side
// may write to.
//
// Units: instants are Unix milliseconds in UTC, weights are grams, prices are
// exact decimal text, ids are Shopify's own 64-bit numbers.
package catalog
