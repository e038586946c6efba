package web

import (
	"context"

	"stockroom/internal/status"
	"stockroom/store"
)

// Syncs is how comparisons with the shop are started and ended. nil in Options:
// nothing is compared. Errors that a person can mend are a *answer.Refusal.
type Syncs interface {
	// Start begins a run at once, or joins the one of its kind that runs or
	// waits; the run's id is found in the list of runs.
	Start(ctx context.Context, shop string, kind store.RunKind, dryRun bool) (run int64, err error)
	// Cancel ends the shop's run. It reports whether there was one.
	Cancel(shop string) bool
	// CheckSubscriptions compares the wanted subscriptions with those present;
	// with fix it creates and mends them.
	CheckSubscriptions(ctx context.Context, shop string, fix bool) (status.Subscriptions, error)
}
