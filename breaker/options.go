package breaker

import (
	"fmt"
	"time"

	"stockroom/internal/uptime"
)

// Key names a circuit.
type Key struct {
	Shop  string
	Class string // endpoint class, such as "graphql"
}

// State is what a circuit does with calls.
type State uint8

const (
	StateClosed   State = iota // lets every call through and counts
	StateOpen                  // refuses every call until its deadline
	StateHalfOpen              // lets one probe through
)

// String names the state as metrics show it.
func (s State) String() string { return [...]string{"closed", "open", "half-open"}[s%3] }

// Hand is what a person decided about a circuit.
type Hand uint8

const (
	Auto       Hand = iota // nothing: the circuit decides
	HeldOpen               // refuse every call until the person decides otherwise
	HeldClosed             // let every call through and count nothing
)

// Outcome is what came of a call.
type Outcome uint8

const (
	Success Outcome = iota // the service works
	Failure                // it does not: 5xx, timeout, reset, unreadable answer
	Ignored                // says nothing about it: throttled, refused, our own ctx ended
)

// Reasons why a circuit is open.
const (
	ReasonFailures = "failures in a row"
	ReasonRate     = "share of failures"
	ReasonProbe    = "a probe failed"
	ReasonProbing  = "probes are under way"
	ReasonSilence  = "a probe did not answer"
	ReasonRestart  = "restarted while probing"
	ReasonHand     = "held open by hand"
	ReasonDisk     = "state could not be written"
)

// Options are the settings of a Breaker.
type Options struct {
	// Failures in a row that open a circuit. Default 5.
	Failures int
	// Reset is the first wait of an open circuit; it doubles up to 10 min while
	// probes fail. Default 30 s.
	Reset time.Duration
	// MaxRetryAfter caps what the server may ask for. Default 1 h.
	MaxRetryAfter time.Duration
	// OnTransition is called after every transition, by the goroutine that
	// caused it and under no lock. Default none.
	OnTransition func(Transition)
	// Uptime is the clock since boot. Where it is unknown a restart counts as no
	// time passed. Default: the machine's own (Linux).
	Uptime uptime.Source
}

func (o Options) withDefaults() Options {
	if o.Failures <= 0 {
		o.Failures = 5
	}
	if o.Reset <= 0 {
		o.Reset = 30 * time.Second
	}
	if o.MaxRetryAfter <= 0 {
		o.MaxRetryAfter = time.Hour
	}
	if o.Uptime == nil {
		o.Uptime = uptime.Machine
	}
	return o
}

// OpenError refuses a call.
type OpenError struct {
	Key Key
	// RetryAt is when to try again; zero when only a person can tell.
	RetryAt time.Time
	Reason  string
	Err     error // why the state could not be written, if that is the reason
}

func (e *OpenError) Error() string {
	s := fmt.Sprintf("breaker: %s %s: open, %s", e.Key.Shop, e.Key.Class, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *OpenError) Unwrap() error { return e.Err }

// Transition is a change of state.
type Transition struct {
	Key     Key
	To      State
	Reason  string
	RetryAt time.Time // for StateOpen: its deadline
}
