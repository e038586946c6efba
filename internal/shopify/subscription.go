package shopify

import (
	"context"
	"errors"
	"strings"
	"time"

	"stockroom/limiter"
)

// Subscription is a webhook subscription that was made through the API. Those
// of the app's configuration file are not listed by Shopify.
type Subscription struct {
	ID            string // its global id
	Topic         string // as in the header: products/update
	URI           string
	Format        string // JSON or XML
	Filter        string
	IncludeFields []string // empty: all
	APIVersion    string   // that its bodies are written in
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Subscriptions lists a shop's subscriptions by id.
func (c *Client) Subscriptions(ctx context.Context, name string, class limiter.Class) ([]Subscription, error) {
	const first = 100
	var list []Subscription
	walk := Walk{Most: mostSubscriptions}
	for walk.More() {
		var out struct {
			Subscriptions connection[struct {
				ID            string    `json:"id"`
				Topic         string    `json:"topic"`
				URI           string    `json:"uri"`
				Format        string    `json:"format"`
				Filter        *string   `json:"filter"`
				IncludeFields []string  `json:"includeFields"`
				CreatedAt     time.Time `json:"createdAt"`
				UpdatedAt     time.Time `json:"updatedAt"`
				APIVersion    struct {
					Handle string `json:"handle"`
				} `json:"apiVersion"`
			}] `json:"webhookSubscriptions"`
		}
		if err := c.read(ctx, name, class, walk.page(c.queries["Subscriptions"], map[string]any{"first": first}), &out); err != nil {
			return nil, err
		}
		for _, n := range out.Subscriptions.Nodes {
			list = append(list, Subscription{
				ID: n.ID, Topic: headerTopic(n.Topic), URI: n.URI, Format: n.Format, Filter: text(n.Filter), IncludeFields: n.IncludeFields,
				APIVersion: n.APIVersion.Handle, CreatedAt: n.CreatedAt, UpdatedAt: n.UpdatedAt,
			})
		}
		if err := turn(&walk, name, "Subscriptions", first, out.Subscriptions); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// enumTopics are the spellings of GraphQL. The slash can't be found again from
// the underscores alone.
var enumTopics = map[string]string{
	"inventory_levels/update": "INVENTORY_LEVELS_UPDATE", "inventory_items/update": "INVENTORY_ITEMS_UPDATE",
	"inventory_levels/connect": "INVENTORY_LEVELS_CONNECT", "inventory_levels/disconnect": "INVENTORY_LEVELS_DISCONNECT",
	"app/uninstalled": "APP_UNINSTALLED", "app/scopes_update": "APP_SCOPES_UPDATE", "bulk_operations/finish": "BULK_OPERATIONS_FINISH",
	"products/create": "PRODUCTS_CREATE", "products/update": "PRODUCTS_UPDATE", "products/delete": "PRODUCTS_DELETE",
}

// headerTopic is the spelling of headers: products/update. A topic that is not
// ours stays as it is, in lower case.
func headerTopic(enum string) string {
	for header, e := range enumTopics {
		if e == enum {
			return header
		}
	}
	return strings.ToLower(enum)
}

// enumTopic is the spelling of GraphQL: PRODUCTS_UPDATE.
func enumTopic(header string) string {
	if e, ok := enumTopics[header]; ok {
		return e
	}
	return strings.ToUpper(strings.ReplaceAll(header, "/", "_"))
}

// Subscribe makes a subscription and returns its id.
func (c *Client) Subscribe(ctx context.Context, name string, class limiter.Class, topic, uri string) (string, error) {
	var out struct {
		Create *subscriptionPayload `json:"webhookSubscriptionCreate"`
	}
	vars := map[string]any{"topic": enumTopic(topic), "subscription": map[string]any{"uri": uri, "format": "JSON"}}
	if err := c.mutate(ctx, name, class, "SubscriptionCreate", vars, &out); err != nil {
		return "", err
	}
	return out.Create.result(name, "SubscriptionCreate")
}

// IsTaken reports whether Shopify refused a subscription because there is one for
// its topic and address already: list them to find it.
func IsTaken(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == KindRefused && strings.Contains(e.Message, "has already been taken")
}

// MoveSubscription gives a subscription another address.
func (c *Client) MoveSubscription(ctx context.Context, name string, class limiter.Class, id, uri string) error {
	var out struct {
		Update *subscriptionPayload `json:"webhookSubscriptionUpdate"`
	}
	vars := map[string]any{"id": id, "subscription": map[string]any{"uri": uri}}
	if err := c.mutate(ctx, name, class, "SubscriptionUpdate", vars, &out); err != nil {
		return err
	}
	_, err := out.Update.result(name, "SubscriptionUpdate")
	return err
}

// Unsubscribe deletes a subscription.
func (c *Client) Unsubscribe(ctx context.Context, name string, class limiter.Class, id string) error {
	var out struct {
		Delete *struct {
			ID     *string     `json:"deletedWebhookSubscriptionId"`
			Errors []userError `json:"userErrors"`
		} `json:"webhookSubscriptionDelete"`
	}
	if err := c.mutate(ctx, name, class, "SubscriptionDelete", map[string]any{"id": id}, &out); err != nil {
		return err
	}
	if out.Delete == nil {
		return &Error{Kind: KindUnreadable, Shop: name, Op: "SubscriptionDelete", Message: "it says nothing"}
	}
	return refusal(name, "SubscriptionDelete", out.Delete.Errors)
}

type subscriptionPayload struct {
	Subscription *struct {
		ID string `json:"id"`
	} `json:"webhookSubscription"`
	Errors []userError `json:"userErrors"`
}

func (p *subscriptionPayload) result(name, op string) (string, error) {
	if p != nil {
		if err := refusal(name, op, p.Errors); err != nil {
			return "", err
		}
	}
	if p == nil || p.Subscription == nil {
		return "", &Error{Kind: KindUnreadable, Shop: name, Op: op, Message: "it names no subscription"}
	}
	return p.Subscription.ID, nil
}
