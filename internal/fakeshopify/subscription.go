package fakeshopify

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Subscription is a webhook subscription.
type Subscription struct {
	// App marks one of the app's configuration file: the API does not list it
	// and failures do not delete it. The others are the shop's own.
	App bool
	// Notification marks one made in the shop's admin under Settings,
	// Notifications: it is nobody's app, so the API does not list it either and
	// it outlives the app. Options.NotificationSecret signs what it sends.
	Notification        bool
	ID                  int64
	Topic               string // products/update
	Address             string
	Format              string // JSON
	Filter              string
	Name                string
	IncludeFields       []string // empty: all
	MetafieldNamespaces []string
	CreatedAt           time.Time
	UpdatedAt           time.Time

	events      *EventSubscription // nil: of classic webhooks
	version     string             // of the API; empty: the shop's
	lastSuccess time.Time
	failures    int // in a row, whichever delivery
}

// The addresses that are not of HTTP: Google's Pub/Sub and Amazon's EventBridge.
const (
	pubSub      = "pubsub://"
	eventBridge = "arn:aws:events:"
)

func (x *Subscription) overHTTP() bool {
	return !strings.HasPrefix(x.Address, pubSub) && !strings.HasPrefix(x.Address, eventBridge)
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
	return s.subscribe(Subscription{Topic: topic, Address: address})
}

// SubscribeApp adds an app-specific subscription, as the app's configuration
// file would, and returns its id. Beside a shop-specific one of the same topic
// it doubles every delivery.
func (s *Shop) SubscribeApp(topic, address string) int64 {
	return s.subscribe(Subscription{Topic: topic, Address: address, App: true})
}

// SubscribeNotification adds a subscription as the merchant does in the shop's
// admin under Settings, Notifications, and returns its id.
func (s *Shop) SubscribeNotification(topic, address string) int64 {
	return s.subscribe(Subscription{Topic: topic, Address: address, Notification: true})
}

// RefuseSubscriptions makes the API refuse every new subscription in these words,
// "" no longer.
func (s *Shop) RefuseSubscriptions(words string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = words
}

func (s *Shop) subscribe(sub Subscription) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opt.Now().UTC()
	sub.ID, sub.Format, sub.CreatedAt, sub.UpdatedAt = s.idSource.next(idSubscription, false), "JSON", now, now
	s.subs = append(s.subs, &sub)
	return sub.ID
}

// unlisted reports whether the API knows nothing of it.
func (x *Subscription) unlisted() bool { return x.App || x.Notification }

// Resubscribe changes what a subscription asks for, as a person with API access
// would. It reports whether there is such a one.
func (s *Shop) Resubscribe(id int64, change func(sub *Subscription)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subscription(id)
	if sub == nil {
		return false
	}
	change(sub)
	sub.UpdatedAt = s.opt.Now().UTC()
	return true
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

// Subscriptions lists the subscriptions, app-specific ones too, oldest first.
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

// wants evaluates the subscription's filter on the product as it is now. A
// deletion and a topic without a product pass.
func (s *Shop) wants(sub *Subscription, product int64) bool {
	p := s.products[product]
	if sub.Filter == "" || p == nil {
		return true
	}
	return parseQuery(sub.Filter, productFields...).match(productSearch(p))
}

// onlyFields keeps the named top-level members of a body, byte for byte. The
// part of a name after a dot is not looked at.
func onlyFields(body []byte, fields []string) []byte {
	if len(fields) == 0 {
		return body
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if _, err := d.Token(); err != nil {
		return body
	}
	out := []byte{'{'}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return body
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return body
		}
		if !slices.ContainsFunc(fields, func(f string) bool { name, _, _ := strings.Cut(f, "."); return name == key }) {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), key.(string)...), '"', ':')
		out = append(out, v...)
	}
	return append(out, '}')
}
