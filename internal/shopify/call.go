package shopify

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"stockroom/internal/uptime"
	"stockroom/limiter"
)

// longestWait is the most that a read waits for a server's Retry-After before it
// leaves the next try to whoever asked.
const longestWait = 5 * time.Second

// read makes a call that may be repeated: a query.
func (c *Client) read(ctx context.Context, name string, class limiter.Class, op operation, out any) error {
	return withRetry(ctx, c.o.Tries, c.o.RetryBase, func() error { return c.call(ctx, name, class, op, out) })
}

// withRetry calls fn up to tries times. It repeats what a moment may mend:
// timeouts, broken and refused connections, 429, 502, 503 and 504. Between tries
// it waits 2^try times base and up to half of that again, or as long as the
// server asked for; it ends with ctx.
func withRetry(ctx context.Context, tries int, base time.Duration, fn func() error) error {
	for try := 1; ; try++ {
		err := fn()
		var e *Error
		if err == nil || try >= tries || !errors.As(err, &e) || !passing(e) {
			return err
		}
		wait := base << try
		wait += time.Duration(rand.Int64N(int64(wait)/2 + 1))
		if e.RetryAfter > longestWait || !uptime.Sleep(ctx, max(wait, e.RetryAfter)) {
			return err
		}
	}
}

// passing reports whether a fault may be gone in a moment.
func passing(e *Error) bool {
	switch e.Kind {
	case KindTimeout, KindNetwork:
		return true
	}
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// userError is how a mutation says no; the answer's status is 200.
type userError struct {
	Field   []string `json:"field"`
	Message string   `json:"message"`
	Code    string   `json:"code"`
}

// mutate sends a mutation once: it must not be repeated blindly. Whoever gets a
// KindTimeout or KindNetwork looks whether it happened. It returns the id of what
// was made, changed or deleted.
func (c *Client) mutate(ctx context.Context, name string, class limiter.Class, query string, vars map[string]any) (string, error) {
	type named struct {
		ID string `json:"id"`
	}
	var out map[string]struct { // one member: each mutation asks for one thing
		Subscription named       `json:"webhookSubscription"`
		Deleted      string      `json:"deletedWebhookSubscriptionId"`
		Operation    named       `json:"bulkOperation"`
		Errors       []userError `json:"userErrors"`
	}
	if err := c.call(ctx, name, class, c.queries[query].call(vars), &out); err != nil {
		return "", err
	}
	for _, done := range out {
		if err := refusal(name, query, done.Errors); err != nil {
			return "", err
		}
		if id := cmp.Or(done.Subscription.ID, done.Deleted, done.Operation.ID); id != "" {
			return id, nil
		}
	}
	return "", &Error{Kind: KindUnreadable, Shop: name, Op: query, Message: "it does not name what was changed"}
}

// refusal turns userErrors into an error, nil when there are none.
func refusal(name, op string, list []userError) error {
	if len(list) == 0 {
		return nil
	}
	e := &Error{Kind: KindRefused, Shop: name, Op: op, Status: 200, Code: clip(list[0].Code)}
	// Either says that the shop has as many bulk operations as it may.
	if e.Code == "OPERATION_IN_PROGRESS" || e.Code == "LIMIT_REACHED" {
		e.Kind = KindBusy
		setRetryAt(e, time.Now())
	}
	var texts []string
	for _, u := range list {
		text := u.Message
		if len(u.Field) > 0 {
			text = strings.Join(u.Field, ".") + ": " + text
		}
		texts = append(texts, text)
	}
	e.Message = clip(strings.Join(texts, "; "))
	return e
}
