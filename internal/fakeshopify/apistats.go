package fakeshopify

import (
	"slices"
	"time"
)

// APICall is the record of one call that reached the query stage.
type APICall struct {
	At        time.Time // admitted or refused
	Done      time.Time // answered; the refund was made then
	Requested int       // points
	Actual    int       // points; 0 when refused
	Outcome   string    // ok, errors, throttled, too-dear, invalid, fault
	Operation string    // name of the operation, when it has one
}

// APIStats counts calls of the Admin API.
type APIStats struct {
	Calls       int // POSTs to graphql.json
	OK          int // run without errors
	Errors      int // run with errors in the answer
	Throttled   int // by the bucket, not on demand
	TooDear     int // MAX_COST_EXCEEDED
	Invalid     int // documents that were refused
	BadToken    int // 401
	Faults      int // answers that a Fault made
	TokenGrants int
	Downloads   int // of bulk results
	TokenLeaks  int // of them that carried an access token
	Requested   int // points of admitted calls
	Actual      int
}

// APIStats returns the counts.
func (s *Shop) APIStats() APIStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.api.stats
}

// APICalls returns the records of the last calls, oldest first.
func (s *Shop) APICalls() []APICall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(slices.Clone(s.api.calls[s.api.nextCall:]), s.api.calls[:s.api.nextCall]...)
}

// MaxWindow returns the most points that calls admitted within any stretch of
// d cost, by actual and by requested cost. A call counts at the instant it was
// admitted; two calls exactly d apart are not in one window.
func (s *Shop) MaxWindow(d time.Duration) (actual, requested int) {
	calls := s.APICalls()
	slices.SortStableFunc(calls, func(a, b APICall) int { return a.At.Compare(b.At) })
	first, a, r := 0, 0, 0
	for _, c := range calls {
		if c.Actual == 0 {
			continue
		}
		a, r = a+c.Actual, r+c.Requested
		for c.At.Sub(calls[first].At) >= d {
			if f := calls[first]; f.Actual > 0 {
				a, r = a-f.Actual, r-f.Requested
			}
			first++
		}
		actual, requested = max(actual, a), max(requested, r)
	}
	return actual, requested
}

func (a *apiState) record(c APICall) {
	switch c.Outcome {
	case "ok":
		a.stats.OK++
	case "errors":
		a.stats.Errors++
	case "throttled":
		a.stats.Throttled++
	case "too-dear":
		a.stats.TooDear++
	case "invalid":
		a.stats.Invalid++
	}
	if c.Actual > 0 {
		a.stats.Requested += c.Requested
		a.stats.Actual += c.Actual
	}
	if len(a.calls) < a.keep {
		a.calls = append(a.calls, c)
		return
	}
	a.calls[a.nextCall] = c
	a.nextCall = (a.nextCall + 1) % a.keep
}
