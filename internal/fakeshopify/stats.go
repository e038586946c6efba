package fakeshopify

import "time"

// Delivery is the record of one attempt.
type Delivery struct {
	Topic        string
	WebhookID    string
	EventID      string
	ProductID    int64
	Subscription int64
	BodyHash     string // SHA-256, hex
	BodyBytes    int
	TriggeredAt  time.Time
	Attempt      int // from 1
	At           time.Time
	Duration     time.Duration
	Status       int   // 0: no answer
	Err          error // of the connection or while reading the answer
}

// Acknowledged reports whether Shopify takes the attempt for a success: any
// 2xx, whole and in time.
func (d Delivery) Acknowledged() bool { return d.Err == nil && d.Status >= 200 && d.Status <= 299 }

// Stats counts what the shop did since it was made.
type Stats struct {
	Fired        int // deliveries due to subscriptions
	Lost         int // of them never sent
	Duplicated   int // sent twice beyond them
	Attempts     int
	Acknowledged int
	Failed       int // attempts
	GivenUp      int // deliveries, after 8 retries
	OldSecret    int // attempts signed with the previous secret
	Dropped      int // subscriptions
	Pending      int
}

// Stats returns the counts.
func (s *Shop) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Pending = len(s.pending)
	return st
}

// Deliveries returns the records of the last Options.KeepDeliveries attempts,
// oldest first.
func (s *Shop) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts.list()
}

// deliveryLog is a ring of records.
type deliveryLog struct {
	keep int
	next int
	ring []Delivery
}

func (l *deliveryLog) add(d Delivery) {
	if len(l.ring) < l.keep {
		l.ring = append(l.ring, d)
		return
	}
	l.ring[l.next] = d
	l.next = (l.next + 1) % l.keep
}

func (l *deliveryLog) list() []Delivery {
	return append(append(make([]Delivery, 0, len(l.ring)), l.ring[l.next:]...), l.ring[:l.next]...)
}
