package fakeshopify

import (
	"fmt"
	"time"
)

// Chaos says how often something goes wrong, each as a probability per
// delivery unless said otherwise. All of it is behaviour that Shopify
// documents or that was seen on live shops.
type Chaos struct {
	// Duplicate sends a delivery twice with the same webhook id.
	Duplicate float64
	// DuplicateNewID is the share of the duplicates that get a webhook id of
	// their own; the event id stays.
	DuplicateNewID float64
	// Delay holds a delivery back by up to DelayMax (zero: 30 s).
	Delay    float64
	DelayMax time.Duration
	// Reorder holds a delivery back by up to 3 s, so that later ones overtake.
	Reorder float64
	// Loss never sends the delivery.
	Loss float64
	// Burst starts a stretch of 5 to 40 deliveries that go out at one instant.
	Burst float64
	// RetryNewID gives each retry a new webhook id. Shopify's documents do not
	// say which is true.
	RetryNewID bool
	// OldSecret signs with the previous secret beyond what the rotation window
	// asks for, as long as the window lasts.
	OldSecret float64
	// SameSecond follows an edit by another of the same product at once, so
	// that both carry one updated_at. Per RandomEdit.
	SameSecond float64
	// TriggeredEarly rounds updated_at up, so that triggered-at is before it.
	// Per edit.
	TriggeredEarly float64
	// APIFault is the probability that an Admin API call meets a fault.
	APIFault float64
	// BulkFault is the probability that a bulk operation or a download of its
	// result goes wrong.
	BulkFault float64
}

// ChaosLevel returns the named mixture: off, mild or wild.
func ChaosLevel(name string) (Chaos, error) {
	switch name {
	case "", "off":
		return Chaos{}, nil
	case "mild":
		return Chaos{
			Duplicate: 0.03, DuplicateNewID: 0.1, Delay: 0.02, DelayMax: 10 * time.Second,
			Reorder: 0.05, Loss: 0.005, Burst: 0.01, SameSecond: 0.05, TriggeredEarly: 0.1,
			APIFault: 0.01,
		}, nil
	case "wild":
		return Chaos{
			Duplicate: 0.2, DuplicateNewID: 0.3, Delay: 0.15, DelayMax: time.Minute,
			Reorder: 0.3, Loss: 0.08, Burst: 0.05, RetryNewID: true, OldSecret: 0.5,
			SameSecond: 0.3, TriggeredEarly: 0.4, APIFault: 0.1, BulkFault: 0.2,
		}, nil
	}
	return Chaos{}, fmt.Errorf("chaos level %q: want off, mild or wild", name)
}
