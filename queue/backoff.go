package queue

import "time"

// maxBackoff bounds the wait before one try.
const maxBackoff = 24 * time.Hour

// Backoff returns the wait after the given number of failures in a row, 1 or
// more: base, doubled with each further one, at most 24 h, and then lengthened
// by up to a tenth. jitter is a random number in [0, 1). With a base of 60 s and
// five failures: 60, 120, 240, 480 and 960 s.
func Backoff(base time.Duration, failures int, jitter float64) time.Duration {
	d := base
	for range failures - 1 {
		if d >= maxBackoff/2 {
			d = maxBackoff
			break
		}
		d *= 2
	}
	d = min(d, maxBackoff)
	return d + time.Duration(jitter*float64(d)/10)
}
