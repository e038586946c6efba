package shopify

import (
	"context"
	"strings"
	"time"

	"stockroom/limiter"
)

// BulkOperation is an export that runs at Shopify, which writes the numbers as
// strings.
type BulkOperation struct {
	ID string `json:"id"` // its global id
	// Status is CREATED, RUNNING, COMPLETED, FAILED, CANCELING, CANCELED or
	// EXPIRED.
	Status      string    `json:"status"`
	ErrorCode   string    `json:"errorCode"` // of FAILED: ACCESS_DENIED, INTERNAL_SERVER_ERROR or TIMEOUT
	CreatedAt   time.Time `json:"createdAt"`
	CompletedAt time.Time `json:"completedAt"`            // zero while it runs
	Objects     int64     `json:"objectCount,string"`     // lines of the result
	Roots       int64     `json:"rootObjectCount,string"` // of them without parent
	FileSize    int64     `json:"fileSize,string"`        // bytes, 0 when not told
	URL         string    `json:"url"`                    // of the result, "" when there are no rows or it is not ready
	PartialURL  string    `json:"partialDataUrl"`         // of what there is after a failure
	Query       string    `json:"query"`
}

// Ended reports whether nothing more will come of it.
func (b BulkOperation) Ended() bool {
	switch b.Status {
	case "COMPLETED", "FAILED", "CANCELED", "EXPIRED":
		return true
	}
	return false
}

// RunBulk starts an export and returns its id. KindBusy: five run already.
// grouped asks for children directly under their parent, in their order, which
// Shopify says is slower and times out more often.
func (c *Client) RunBulk(ctx context.Context, name string, class limiter.Class, query string, grouped bool) (string, error) {
	return c.mutate(ctx, name, class, "BulkRun", map[string]any{"query": query, "grouped": grouped})
}

// Bulk looks at an export; found is false when there is none of that id.
func (c *Client) Bulk(ctx context.Context, name string, class limiter.Class, id string) (b BulkOperation, found bool, err error) {
	var out struct {
		Operation *BulkOperation `json:"bulkOperation"`
	}
	if err := c.read(ctx, name, class, c.queries["BulkGet"].call(map[string]any{"id": id}), &out); err != nil || out.Operation == nil {
		return b, false, err
	}
	return *out.Operation, true, nil
}

// Bulks lists exports, the newest first, at most 20. status is one of those of
// BulkOperation, "" for any.
func (c *Client) Bulks(ctx context.Context, name string, class limiter.Class, status string) ([]BulkOperation, error) {
	query := "operation_type:query" // as the schema spells them
	if status != "" {
		query += " AND status:" + strings.ToLower(status)
	}
	return page[BulkOperation](ctx, c, name, class, "BulkList", map[string]any{"query": query}, 20, &Walk{})
}

// CancelBulk asks Shopify to stop an export. One that has ended is KindRefused.
func (c *Client) CancelBulk(ctx context.Context, name string, class limiter.Class, id string) error {
	_, err := c.mutate(ctx, name, class, "BulkCancel", map[string]any{"id": id})
	return err
}
