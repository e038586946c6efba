package shopify

import (
	"context"
	"errors"
	"strings"
	"time"

	"stockroom/internal/catalog"
	"stockroom/limiter"
)

// Subscription is a webhook subscription that was made through the API. Those
// of the app's configuration file are not listed by Shopify.
type Subscription struct {
	ID            string    `json:"id"`    // its global id
	Topic         string    `json:"topic"` // as in the header: products/update
	URI           string    `json:"uri"`
	Format        string    `json:"format"` // JSON or XML
	Filter        string    `json:"filter"`
	IncludeFields []string  `json:"includeFields"` // empty: all
	CreatedAt     time.Time `json:"createdAt"`
}

// Subscriptions lists a shop's subscriptions by id.
func (c *Client) Subscriptions(ctx context.Context, name string, class limiter.Class) ([]Subscription, error) {
	var list []Subscription
	walk := Walk{Most: mostSubscriptions}
	for walk.More() {
		nodes, err := page[Subscription](ctx, c, name, class, "Subscriptions", map[string]any{}, 100, &walk)
		if err != nil {
			return nil, err
		}
		for _, n := range nodes {
			n.Topic = headerTopic(n.Topic)
			list = append(list, n)
		}
	}
	return list, nil
}

// headerTopic is the spelling of headers, products/update, of a topic of the
// API. One that is not ours stays as it is, in lower case.
func headerTopic(enum string) string {
	if topic, ours := catalog.ParseTopic(enum); ours {
		return string(topic)
	}
	return strings.ToLower(enum)
}

// enumTopic is the spelling of the API: PRODUCTS_UPDATE.
func enumTopic(header string) string { return strings.ToUpper(strings.ReplaceAll(header, "/", "_")) }

// Subscribe makes a subscription and returns its id.
func (c *Client) Subscribe(ctx context.Context, name string, class limiter.Class, topic, uri string) (string, error) {
	return c.mutate(ctx, name, class, "SubscriptionCreate",
		map[string]any{"topic": enumTopic(topic), "subscription": map[string]any{"uri": uri, "format": "JSON"}})
}

// IsTaken reports whether Shopify refused a subscription because there is one for
// its topic and address already: list them to find it.
func IsTaken(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == KindRefused && strings.Contains(e.Message, "has already been taken")
}

// MoveSubscription gives a subscription another address.
func (c *Client) MoveSubscription(ctx context.Context, name string, class limiter.Class, id, uri string) error {
	_, err := c.mutate(ctx, name, class, "SubscriptionUpdate", map[string]any{"id": id, "subscription": map[string]any{"uri": uri}})
	return err
}

// Unsubscribe deletes a subscription.
func (c *Client) Unsubscribe(ctx context.Context, name string, class limiter.Class, id string) error {
	_, err := c.mutate(ctx, name, class, "SubscriptionDelete", map[string]any{"id": id})
	return err
}
