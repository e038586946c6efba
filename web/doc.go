// Package web serves what people and their tools look at: the status page, the
// API, the metrics and the health endpoints. It keeps nothing of its own on
// disk; after a crash there is nothing to repair.
//
// Two listeners. Public answers Shopify's deliveries and health checks and
// nothing else. Admin answers everything else and is meant for loopback; Both
// serves the two on one loopback address. Who may come in on the admin side is
// decided by package admit.
//
// Pages show what the API answers with; their words stand in the templates and in
// tables beside the codes that they are for. They are rendered whole by the server
// and work without script. With it, one stream of events tells that something has
// changed, and the script asks for the same page again, without its head, and puts
// what differs into the parts marked data-live. Buttons are POST forms that redirect; each takes effect once,
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
