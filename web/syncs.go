package web

import (
	"context"
	"time"

	"stockroom/store"
)

// Syncs is how the comparison with the shop is followed and started. nil in
// Options shows nothing of it. Errors that a person can mend are a *Refusal.
type Syncs interface {
	// Status tells how a shop's copy stands against the shop; it asks nobody.
	Status(shop string, now time.Time) SyncStatus
	// Start begins a run at once, or joins the one of its kind that runs or
	// waits; the run's id is found in the list of runs.
	Start(ctx context.Context, shop string, kind store.RunKind, dryRun bool) (run int64, err error)
	// Cancel ends the shop's run. It reports whether there was one.
	Cancel(ctx context.Context, shop string) (bool, error)
	// CheckSubscriptions compares the wanted subscriptions with those present;
	// with fix it creates and mends them.
	CheckSubscriptions(ctx context.Context, shop string, fix bool) (Subscriptions, error)
}

// SyncStatus is how a shop's copy stands against the shop.
type SyncStatus struct {
	Running *store.SyncRun `json:"running"` // nil for none
	Rate    float64        `json:"rate"`    // products a second of the running one, 0 when not known
	EndsAt  time.Time      `json:"ends_at,omitzero"`
	// Waits is why the running one waits, "" when it does not; it goes on at
	// WaitsUntil.
	Waits      string    `json:"waits,omitempty"`
	WaitsUntil time.Time `json:"waits_until,omitzero"`
	// ProvenIDs and ProvenFields are when ids, times and variant counts, and
	// every field, were last shown to be equal; zero for never. InStep: the last
	// proof left no difference, no product job waits or is dead, subscriptions
	// are present, the shop is not paused. Why is what stands against it, one
	// sentence, "" when InStep.
	ProvenIDs    time.Time `json:"proven_ids_at,omitzero"`
	ProvenFields time.Time `json:"proven_fields_at,omitzero"`
	InStep       bool      `json:"in_step"`
	Why          string    `json:"why,omitempty"`
	// OnlyJobs: nothing but waiting or dead jobs stands against it.
	OnlyJobs bool `json:"-"`
	// Staleness is seconds since the newest proof, -1 when there is none.
	Staleness float64   `json:"staleness_seconds"`
	Remote    int64     `json:"remote_products"` // the shop's own count, -1 when not known
	RemoteAt  time.Time `json:"remote_counted_at,omitzero"`
	// LastReconcile is the newest comparison that came to its end, a dry run
	// included; its counts are the drift it found. nil for none.
	LastReconcile *store.SyncRun `json:"last_reconcile"`
	Schedules     []Schedule     `json:"schedules"`
	Subscriptions Subscriptions  `json:"subscriptions"`
}

// Schedule is one thing that is done for a shop again and again.
type Schedule struct {
	Name        string    `json:"name"` // full_sync, reconcile, incremental or subscriptions
	Every       float64   `json:"every_seconds"`
	LastStart   time.Time `json:"last_start_at,omitzero"`
	LastSuccess time.Time `json:"last_success_at,omitzero"`
	LastError   string    `json:"last_error,omitempty"` // of the last run, "" when it went well
	Next        time.Time `json:"next_at,omitzero"`
	Running     bool      `json:"running"`
	Late        bool      `json:"late"` // a run was missed: no success for twice the time and a bit
}

// Subscriptions is what is known of a shop's webhook subscriptions.
type Subscriptions struct {
	CheckedAt time.Time      `json:"checked_at,omitzero"` // zero: not yet
	Error     string         `json:"error,omitempty"`     // why they could not be checked or mended, one sentence
	Present   bool           `json:"present"`             // every wanted one is there
	Wanted    []Subscription `json:"wanted"`
	Others    []Subscription `json:"others"` // further ones that point elsewhere or are there twice
}

// Subscription is one webhook subscription.
type Subscription struct {
	Topic string `json:"topic"`
	URI   string `json:"uri,omitempty"`
	ID    string `json:"id,omitempty"` // Shopify's global id
	// State is present, created, moved, missing, wrong-address, incomplete (it
	// leaves out fields or products), duplicate, elsewhere or by-deliveries (the
	// API can't list it, but it delivers).
	State string `json:"state"`
}
