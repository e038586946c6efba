package shopify

import (
	"context"
	"strings"
	"time"

	"stockroom/limiter"
)

// userError is how a mutation says no; the answer's status is 200.
type userError struct {
	Field   []string `json:"field"`
	Message string   `json:"message"`
	Code    string   `json:"code"`
}

// mutate sends a mutation once: it must not be repeated blindly. Whoever gets a
// KindTimeout or KindNetwork looks whether it happened.
func (c *Client) mutate(ctx context.Context, name string, class limiter.Class, query string, vars map[string]any, out any) error {
	return c.call(ctx, name, class, c.queries[query].call(vars), out)
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
