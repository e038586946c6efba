// Package web serves what people and their tools look at: the status page, the
// API, the metrics and the health endpoints. It keeps nothing of its own on
// disk but sessions and read-only tokens; after a crash there is nothing to repair.
//
// Two listeners. Public answers Shopify's deliveries and health checks and
// nothing else. Admin answers everything else and is meant for loopback; Both
// serves the two on one loopback address. On the admin side every request needs a
// credential, wherever it comes from, except for health, readiness and the pages for
// logging in and for the first run: the admin token, a token that only reads, the
// password, or a session that was begun with the password or a one-time link. Only a
// demo is open to this machine. Sessions and read-only tokens are kept by the Keeper
// and outlive a restart; a session is over with the password it was begun under.
// The Host header must be a known name, so that a website can't reach the page
// by pointing its own name at this machine (DNS rebinding).
//
// Pages are rendered whole by the server and work without script. With it, one
// stream of events tells that something has changed, and the script asks for the
// same page again, without its head, and puts what differs into the parts marked
// data-live. Buttons are POST forms that redirect; each takes effect once,
// however often it is clicked. What was discarded can be brought back for ten
// minutes, from memory.
//
// The API is JSON in snake_case; every error is problem+json (RFC 9457) whose
// detail says what to do next. Lists are paged: "next" is the value of "after"
// for the page that follows, null on the last one.
//
// Units: every time is RFC 3339 in UTC with at most milliseconds: writeJSON sees
// to each time.Time, and rows of products.db have store.Millis. Prices are
// decimal text as Shopify sent them. Ids of jobs are text; Shopify's ids are
// numbers and may exceed 2^53.
package web
