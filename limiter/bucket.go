package limiter

import "math"

const (
	nano      = 1_000_000_000 // nano-points in a point
	maxPoints = 1_000_000     // a bucket or rate beyond this is a wrong number

	leastBucket = 100 // points
	longestFill = 900 // seconds
	// mostTimes: a cost of more than so many times what was computed is a wrong number.
	mostTimes = 10
)

// bucket models a shop's bucket: level rises by rate up to size. All in
// integers, so that waits are exact: with milli-points per second and
// nanoseconds, nano-points come out whole.
type bucket struct {
	known bool
	size  int64 // nano-points
	rate  int64 // milli-points per second
	level int64 // nano-points at tick at; below zero after a charge above it
	at    int64
}

// levelAt is the level at t without changing anything.
func (b *bucket) levelAt(t int64) int64 {
	dt := t - b.at
	if dt <= 0 || b.level >= b.size {
		return min(b.level, b.size)
	}
	if dt >= b.fillTime(b.size-b.level) {
		return b.size
	}
	return b.level + dt*b.rate/1000
}

// fillTime is the time in which need nano-points are restored, rounded up.
func (b *bucket) fillTime(need int64) int64 {
	if need <= 0 {
		return 0
	}
	hi, rest := need/b.rate, need%b.rate
	return hi*1000 + (rest*1000+b.rate-1)/b.rate
}

// charge takes points at t.
func (b *bucket) charge(t, points int64) {
	b.level = b.levelAt(t) - points*nano
	b.at = max(t, b.at)
}

// holds tells when the level is points or more; false when it never is.
func (b *bucket) holds(t, points int64) (int64, bool) {
	if points*nano > b.size {
		return 0, false
	}
	return t + b.fillTime(points*nano-b.levelAt(t)), true
}

// set makes the bucket what the shop says it is at t.
func (b *bucket) set(t int64, st ThrottleStatus) {
	b.known = true
	b.size = int64(st.MaximumAvailable * nano)
	b.rate = int64(st.RestoreRate * 1000)
	b.level = min(int64(st.CurrentlyAvailable*nano), b.size)
	b.at = t
}

// valid tells whether the numbers can be a bucket's. Shopify's hold 1,000 points
// or more and fill within 20 s; one that does not within minutes would keep us from
// calling, and so from being told better.
func (st *ThrottleStatus) valid() bool {
	in := func(v, lo float64) bool { return !math.IsNaN(v) && v >= lo && v <= maxPoints }
	return st != nil && in(st.MaximumAvailable, leastBucket) && in(st.RestoreRate, st.MaximumAvailable/longestFill) &&
		in(st.CurrentlyAvailable, -st.MaximumAvailable)
}
