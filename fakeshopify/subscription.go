package fakeshopify

import (
	"slices"
	"strings"
	"time"
)

// Subscription is a shop-specific webhook subscription.
type Subscription struct {
	ID            int64
	Topic         string // products/update
	Address       string
	Format        string // JSON
	Filter        string
	Name          string
	IncludeFields []string
	CreatedAt     time.Time
	UpdatedAt     time.Time

	lastSuccess time.Time
	failures    int // in a row, whichever delivery
}

// Dropped says that Shopify deleted a subscription after 8 failures in a row.
type Dropped struct {
	Subscription Subscription
	At           time.Time
}

// dropAfter is the number of failures in a row that delete a subscription.
const dropAfter = 8

func defaultPath(topic string) string {
	if strings.HasPrefix(topic, "products/") {
		return "/webhooks/shopify/products"
	}
	return "/webhooks/shopify/" + strings.ReplaceAll(topic, "/", "_")
}

// Subscribe adds a subscription, duplicates included, and returns its id.
func (s *Shop) Subscribe(topic, address string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opt.Now().UTC()
	sub := &Subscription{ID: s.idSource.next(idSubscription, false), Topic: topic, Address: address, Format: "JSON",
		CreatedAt: now, UpdatedAt: now}
	s.subs = append(s.subs, sub)
	return sub.ID
}

// Unsubscribe removes the subscription, as a person with API access would.
// What is already waiting is still sent.
func (s *Shop) Unsubscribe(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsubscribe(id)
}

func (s *Shop) unsubscribe(id int64) bool {
	n := len(s.subs)
	s.subs = slices.DeleteFunc(s.subs, func(x *Subscription) bool { return x.ID == id })
	return len(s.subs) < n
}

// Subscriptions lists the subscriptions, oldest first.
func (s *Shop) Subscriptions() []Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Subscription, len(s.subs))
	for i, x := range s.subs {
		list[i] = *x
		list[i].IncludeFields = slices.Clone(x.IncludeFields)
	}
	return list
}

// DroppedSubscriptions lists those that Shopify deleted by itself.
func (s *Shop) DroppedSubscriptions() []Dropped {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dropped)
}

func (s *Shop) subscription(id int64) *Subscription {
	for _, x := range s.subs {
		if x.ID == id {
			return x
		}
	}
	return nil
}
