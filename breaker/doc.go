// Package breaker stops calls to a service that keeps failing and lets a
// probe back in.
//
// Each key, a shop and an endpoint class, has a circuit of its own. Closed, it
// counts: Options.Failures in a row, or half of at least 20 calls in the last
// minute, open it. Open, it refuses every call until its deadline:
// Options.Reset, doubled each time a probe fails up to a cap, or what the
// server's Retry-After said. Then it is half-open: one call at a time goes
// through as a probe; when it succeeds the circuit closes, when it fails it opens
// again. Every state has a generation number, and an answer to a call of an
// earlier one changes nothing. No lock is held around a call.
//
// After a crash: state is written to bbolt on transitions only. An open circuit
// is open until its deadline, across kill -9 and reboot; the time that passed
// meanwhile is measured by the clock since boot and the wall clock, whichever
// says less, and counts as none after a reboot, so that no clock jump opens or
// prolongs a circuit beyond the wait it was given. One found half-open is open
// again for one Reset, since nobody knows what became of its probe; half-open
// is on disk before the probe goes out, so a restart never adds one.
// Counts of failures are not kept: they would be counted twice.
//
// Units: durations in ns as usual; instants are time.Time and should carry a
// monotonic reading (time.Now does).
package breaker
