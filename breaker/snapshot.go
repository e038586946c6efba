package breaker

import "time"

// Status is what the page shows of one key.
type Status struct {
	Key     Key
	State   State
	Hand    Hand
	Reason  string    // why it is open
	Since   time.Time // of the last transition; zero if before the start
	RetryAt time.Time // open: when the first probe may go, perhaps past; else zero
	Run     int       // failures in a row
	Calls   int       // in the window
	Failed  int       // of them
	Trips   int       // waits in a row
	Err     error     // the last transition could not be written
}

// ShopAt is the state of a shop's circuits at an instant, in no order.
func (b *Breaker) ShopAt(now time.Time, shop string) []Status {
	t := b.tick(now)
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Status
	for _, c := range b.shops[shop] {
		s := Status{Key: c.key, State: c.state, Hand: c.hand, Reason: c.reason, Run: c.run,
			Trips: c.trips, Err: c.writeErr}
		s.Calls, s.Failed = c.rate(t)
		if c.since > 0 {
			s.Since = now.Add(time.Duration(c.since - t))
		}
		if c.state == StateOpen {
			s.RetryAt = now.Add(time.Duration(c.until - t))
		}
		list = append(list, s)
	}
	return list
}
