package cli

import (
	"strings"
	"testing"
	"time"

	"stockroom/store"
)

// TestExplainTellsOwnersAndRepeats holds the sentences about what a stranger sent.
func TestExplainTellsOwnersAndRepeats(t *testing.T) {
	now := time.Date(2026, 11, 30, 20, 12, 0, 0, time.Local)
	gone := store.MillisOf(now.Add(-3 * time.Minute))
	x := store.Explanation{Shop: "b.myshopify.com", ExternalID: 7, DeletedAt: &gone, DeletedBy: store.OwnerCause + "a.myshopify.com",
		Deliveries: []store.DeliveryRow{
			{ID: 2, Topic: "products/update", Outcome: store.Stale, Count: 12, ReceivedAt: gone, LastAt: store.MillisOf(now)},
			{ID: 1, Topic: "products/update", Outcome: store.Applied, Count: 1, ReceivedAt: gone, LastAt: gone},
		}}
	var out strings.Builder
	if err := explain(&out, x, now); err != nil {
		t.Fatal(err)
	}
	for want, n := range map[string]int{
		"Removed 3m ago, because it belongs to a.myshopify.com: a read of that shop shows it.\n": 1,
		"(seen 12 times, last 2026-11-30 20:12:00)":                                              1, "seen": 1,
	} {
		if strings.Count(out.String(), want) != n {
			t.Errorf("%q is not said %d times: %s", want, n, out.String())
		}
	}
}
