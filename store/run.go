package store

import "stockroom/internal/catalog"

// RunKind is the kind of a sync run.
type RunKind string

// The kinds of runs.
const (
	RunFull        RunKind = "full"        // every product by a bulk operation
	RunIncremental RunKind = "incremental" // what changed since the last proven instant
	RunReconcile   RunKind = "reconcile"   // ids, times and variant counts compared, differences fetched
)

// RunState is how a run stands.
type RunState string

// The states of runs.
const (
	RunRunning   RunState = "running"
	RunDone      RunState = "done"
	RunFailed    RunState = "failed"
	RunCancelled RunState = "cancelled"
)

// SyncRun is one run of a sync, a row of sync_runs.
type SyncRun struct {
	ID      int64    `json:"id"`
	Shop    string   `json:"shop"`
	Kind    RunKind  `json:"kind"`
	Trigger string   `json:"trigger"` // why it ran, in words
	DryRun  bool     `json:"dry_run"` // it changes nothing
	State   RunState `json:"state"`
	// Phase is what a running one does: waiting, exporting, reading, listing,
	// repairing or removing; "" when it has ended.
	Phase      string `json:"phase,omitempty"`
	StartedAt  Millis `json:"started_at"`
	FinishedAt Millis `json:"finished_at,omitempty"`
	// Proven: the listing behind it was complete. ProvenAt is the instant as of
	// which the copy equals the shop's by what the run compared (the beginning
	// of its read), 0 when it left a difference or was not proven.
	Proven   bool   `json:"proven"`
	ProvenAt Millis `json:"proven_at,omitempty"`
	Error    string `json:"error,omitempty"` // why it failed, one sentence
	// Cause is the code of the step that failed, or that a running one waits for;
	// "" for none.
	Cause string `json:"cause,omitempty"`

	// Progress. Zero where it is not known.
	Expected     int64 `json:"expected"`      // products the shop counts
	Read         int64 `json:"read"`          // products read or listed so far
	Objects      int64 `json:"objects"`       // lines of a bulk result read so far
	ObjectsTotal int64 `json:"objects_total"` // of all that Shopify exported so far
	Bytes        int64 `json:"bytes"`
	BytesTotal   int64 `json:"bytes_total"`

	// What it did, or in a dry run would do. The store counts them in the
	// transactions that do it.
	Added     int64 `json:"added"`
	Changed   int64 `json:"changed"`
	Removed   int64 `json:"removed"`
	Unchanged int64 `json:"unchanged"`
	Ignored   int64 `json:"ignored"`  // not selected
	Doubtful  int64 `json:"doubtful"` // products the bulk result did not show whole; they are fetched one by one

	Points int64 `json:"points"` // what its calls cost
	Calls  int64 `json:"calls"`

	Operation string `json:"operation,omitempty"` // global id of its bulk operation
	// Offset is how far a bulk result is safe: every line before that byte is
	// applied or in the run's sort file.
	Offset int64 `json:"-"`
	// Mark is what the reader of the result needs to continue there; the store
	// does not look at it.
	Mark string `json:"-"`
}

// DriftKind is how a product differed.
type DriftKind string

// The kinds of drift, as seen from the local copy.
const (
	DriftMissing   DriftKind = "missing"   // the shop has it, the copy had not
	DriftDifferent DriftKind = "different" // both have it, not the same
	DriftExtra     DriftKind = "extra"     // the copy had it, the shop has not
)

// Drift is one difference that a run found.
type Drift struct {
	ID         int64               `json:"id"`
	Run        int64               `json:"run"`
	Shop       string              `json:"shop"`
	ExternalID int64               `json:"external_id"`
	GID        string              `json:"gid"`
	Title      string              `json:"title"`
	Kind       DriftKind           `json:"kind"`
	Fields     []catalog.FieldDiff `json:"fields"` // of different; at most 100
	At         Millis              `json:"at"`
}

// Proof is when the copy was last shown to equal the shop's, by how much was
// compared. Unix milliseconds, 0 for never.
type Proof struct {
	IDs    int64 `json:"ids"`    // ids, times and variant counts
	Fields int64 `json:"fields"` // every field
	Run    int64 `json:"run"`    // the run that showed it last
}
