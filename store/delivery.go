package store

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"stockroom/internal/catalog"
)

// Outcome is what became of a delivery.
type Outcome string

// The outcomes, as in deliveries.outcome.
const (
	Applied   Outcome = "applied"
	Stale     Outcome = "stale"
	Duplicate Outcome = "duplicate"
	Queued    Outcome = "queued"
	Dead      Outcome = "dead"
	Ignored   Outcome = "ignored"
	Mismatch  Outcome = "mismatch"
)

// Outcomes are all of them, in the order reports show them.
func Outcomes() []Outcome {
	return []Outcome{Applied, Stale, Duplicate, Queued, Dead, Ignored, Mismatch}
}

// Delivery is what is known of a webhook besides its body.
type Delivery struct {
	Shop        string
	Topic       string
	WebhookID   string // "" when the header was missing
	EventID     string
	ReceivedAt  time.Time
	TriggeredAt time.Time // zero when the header was missing or unreadable
	Dedupe      int64     // from DedupeKey
	Body        []byte    // as it came, to know it again; nil: it repeats none

	body uint64 // stands for Body in this process, 0 for nil
}

// DedupeKey returns 64 bits that are equal for two deliveries exactly when
// they are duplicates: same shop, topic, webhook id (or none) and body. The
// body is part of it because the same webhook id with another body is no
// duplicate, the topic because it is not covered by the signature: a body
// replayed under a wrong topic must not use up the genuine one.
func DedupeKey(shop, topic, webhookID string, body []byte) int64 {
	h := sha256.New()
	var head [512]byte
	b := head[:0]
	for _, part := range [...]string{shop, topic, webhookID} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	h.Write(b)
	h.Write(body)
	var sum [sha256.Size]byte
	return int64(binary.BigEndian.Uint64(h.Sum(sum[:0])))
}

// DeliveryJob is the queue's kind of deliveries, and LabelProduct their label that
// names the product they are about. A dead letter that has it is answered by a
// read of that product.
const (
	DeliveryJob  = "webhook"
	LabelProduct = "product"
)

// Result is what a write did.
type Result struct {
	Outcome    Outcome
	Reason     string // one sentence for people, "" when nothing needs explaining
	DeliveryID int64  // the journal row, 0 for a write that is no delivery
	Wanted     *Wanted
	// Drift is how the copy differed from what a read showed, "" when it did not or
	// when that is not decided yet.
	Drift DriftKind
	// Refused: what is stored is dated later than what this read showed, though it
	// was committed before the read began, and stands for now. The copy is not in
	// step. A read that begins at this instant or later can decide; zero: not so.
	Refused time.Time
	// Diff is what a read changed of a stored product, when Read.Report asked for it
	// or what was stored was damaged; at most 100 fields.
	Diff []catalog.FieldDiff
	// Err is why PutBulk could not apply this product; nothing of it is kept.
	Err error

	title string // of the product, for the report
}

// Wanted is work that a commit asked for: it stays in the table of the same
// name until it is done.
type Wanted struct {
	Shop   string     `json:"shop"`
	Kind   WantedKind `json:"kind"`
	ID     int64      `json:"id"` // product, inventory item or bulk operation; 0 for the shop itself
	Reason string     `json:"reason"`
	At     Millis     `json:"at"`
}

// WantedKind is the kind of wanted work.
type WantedKind string

// The kinds of wanted work.
const (
	WantProduct       WantedKind = "fetch_product"        // fetch the product ID
	WantInventoryItem WantedKind = "fetch_inventory_item" // find and fetch the product that owns inventory item ID
	WantUninstalled   WantedKind = "confirm_uninstall"    // ask the API whether the app is still installed
	WantScopes        WantedKind = "check_scopes"         // read the granted scopes
	WantBulk          WantedKind = "poll_bulk"            // look at bulk operation ID
	WantSync          WantedKind = "full_sync"            // read the whole catalogue
)
