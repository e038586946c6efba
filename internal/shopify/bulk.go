package shopify

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"stockroom/limiter"
)

// BulkOperation is an export that runs at Shopify.
type BulkOperation struct {
	ID string // its global id
	// Status is CREATED, RUNNING, COMPLETED, FAILED, CANCELING, CANCELED or
	// EXPIRED.
	Status      string
	ErrorCode   string // of FAILED: ACCESS_DENIED, INTERNAL_SERVER_ERROR or TIMEOUT
	CreatedAt   time.Time
	CompletedAt time.Time // zero while it runs
	Objects     int64     // lines of the result
	Roots       int64     // of them without parent
	FileSize    int64     // bytes, 0 when not told
	URL         string    // of the result, "" when there are no rows or it is not ready
	PartialURL  string    // of what there is after a failure
	Query       string
}

// Ended reports whether nothing more will come of it.
func (b BulkOperation) Ended() bool {
	switch b.Status {
	case "COMPLETED", "FAILED", "CANCELED", "EXPIRED":
		return true
	}
	return false
}

type bulkNode struct {
	ID          string      `json:"id"`
	Status      string      `json:"status"`
	ErrorCode   *string     `json:"errorCode"`
	CreatedAt   time.Time   `json:"createdAt"`
	CompletedAt *time.Time  `json:"completedAt"`
	Objects     json.Number `json:"objectCount"` // Shopify writes it as a string
	Roots       json.Number `json:"rootObjectCount"`
	FileSize    json.Number `json:"fileSize"`
	URL         *string     `json:"url"`
	PartialURL  *string     `json:"partialDataUrl"`
	Query       string      `json:"query"`
}

func (n *bulkNode) operation() (BulkOperation, error) {
	b := BulkOperation{
		ID: n.ID, Status: n.Status, ErrorCode: text(n.ErrorCode), CreatedAt: n.CreatedAt, URL: text(n.URL), PartialURL: text(n.PartialURL), Query: n.Query,
	}
	if n.CompletedAt != nil {
		b.CompletedAt = *n.CompletedAt
	}
	for _, f := range []struct {
		from json.Number
		to   *int64
	}{{n.Objects, &b.Objects}, {n.Roots, &b.Roots}, {n.FileSize, &b.FileSize}} {
		if f.from == "" {
			continue
		}
		v, err := f.from.Int64()
		if err != nil {
			return b, err
		}
		*f.to = v
	}
	return b, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// RunBulk starts an export and returns its id. KindBusy: five run already.
// grouped asks for children directly under their parent, in their order, which
// Shopify says is slower and times out more often.
func (c *Client) RunBulk(ctx context.Context, name string, class limiter.Class, query string, grouped bool) (string, error) {
	var out struct {
		Run *struct {
			Operation *struct {
				ID string `json:"id"`
			} `json:"bulkOperation"`
			Errors []userError `json:"userErrors"`
		} `json:"bulkOperationRunQuery"`
	}
	if err := c.mutate(ctx, name, class, "BulkRun", map[string]any{"query": query, "grouped": grouped}, &out); err != nil {
		return "", err
	}
	if out.Run != nil {
		if err := refusal(name, "BulkRun", out.Run.Errors); err != nil {
			return "", err
		}
	}
	if out.Run == nil || out.Run.Operation == nil || out.Run.Operation.ID == "" {
		return "", &Error{Kind: KindUnreadable, Shop: name, Op: "BulkRun", Message: "it names no operation"}
	}
	return out.Run.Operation.ID, nil
}

// Bulk looks at an export; found is false when there is none of that id.
func (c *Client) Bulk(ctx context.Context, name string, class limiter.Class, id string) (b BulkOperation, found bool, err error) {
	var out struct {
		Operation *bulkNode `json:"bulkOperation"`
	}
	if err := c.read(ctx, name, class, c.queries["BulkGet"].call(map[string]any{"id": id}), &out); err != nil {
		return b, false, err
	}
	if out.Operation == nil {
		return b, false, nil
	}
	if b, err = out.Operation.operation(); err != nil {
		return b, false, &Error{Kind: KindUnreadable, Shop: name, Op: "BulkGet", Err: err}
	}
	return b, true, nil
}

// Bulks lists exports, the newest first, at most 20. status is one of those of
// BulkOperation, "" for any.
func (c *Client) Bulks(ctx context.Context, name string, class limiter.Class, status string) ([]BulkOperation, error) {
	query := "operation_type:query" // as the schema spells them
	if status != "" {
		query += " AND status:" + strings.ToLower(status)
	}
	var out struct {
		Operations connection[bulkNode] `json:"bulkOperations"`
	}
	if err := c.read(ctx, name, class, c.queries["BulkList"].call(map[string]any{"query": query, "first": 20}), &out); err != nil {
		return nil, err
	}
	var list []BulkOperation
	for i := range out.Operations.Nodes {
		b, err := out.Operations.Nodes[i].operation()
		if err != nil {
			return nil, &Error{Kind: KindUnreadable, Shop: name, Op: "BulkList", Err: err}
		}
		list = append(list, b)
	}
	return list, nil
}

// CancelBulk asks Shopify to stop an export. One that has ended is KindRefused.
func (c *Client) CancelBulk(ctx context.Context, name string, class limiter.Class, id string) error {
	var out struct {
		Cancel *struct {
			Errors []userError `json:"userErrors"`
		} `json:"bulkOperationCancel"`
	}
	if err := c.mutate(ctx, name, class, "BulkCancel", map[string]any{"id": id}, &out); err != nil {
		return err
	}
	if out.Cancel == nil {
		return &Error{Kind: KindUnreadable, Shop: name, Op: "BulkCancel", Message: "it says nothing"}
	}
	return refusal(name, "BulkCancel", out.Cancel.Errors)
}
