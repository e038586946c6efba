package certs

import "time"

const (
	lateLeft  = 30 * 24 * time.Hour // of a certificate's life, at which a renewal is late
	lateShare = 3                   // or one of so many parts of it, where that is shorter
)

// State is how the certificate of one name stands.
type State struct {
	Name string
	// NotBefore and NotAfter are the certificate's life; zero: there is none yet.
	NotBefore, NotAfter time.Time
	Issuer              string // the authority, as the certificate names it
	Trying              bool   // a new one is asked for at this moment
	// Failed is when the last try failed, and Words are sentences about why and what to
	// do; zero and "" when it did not.
	Failed time.Time
	Words  string
	// Next is when the next try begins at the latest; zero while none is due.
	Next time.Time
}

// Have reports whether there is a certificate that has not ended at now. One that
// begins later is good for all others: it is our own clock that is behind.
func (s State) Have(now time.Time) bool { return !s.NotAfter.IsZero() && now.Before(s.NotAfter) }

// Renewal is when a renewal begins that the authority does not ask for earlier.
func (s State) Renewal() time.Time {
	return s.NotAfter.Add(-time.Duration(float64(s.NotAfter.Sub(s.NotBefore)) * renewAt))
}

// Late is when a certificate that was not renewed by then is an alarm; zero where there
// is none.
func (s State) Late() time.Time {
	if s.NotAfter.IsZero() {
		return time.Time{}
	}
	return s.NotAfter.Add(-min(lateLeft, s.NotAfter.Sub(s.NotBefore)/lateShare))
}
