package syncer

import (
	"context"
	"time"

	"stockroom/internal/shopify"
	"stockroom/limiter"
)

// CatalogueAPI is what the runs ask a shop about the whole of its catalogue.
type CatalogueAPI interface {
	Changed(ctx context.Context, shop string, class limiter.Class, since time.Time, w *shopify.Walk) ([]shopify.Listed, error)
	IDs(ctx context.Context, shop string, class limiter.Class, from, to int64, w *shopify.Walk) ([]shopify.Listed, error)
	Count(ctx context.Context, shop string, class limiter.Class) (n int, exact bool, err error)
	Existing(ctx context.Context, shop string, class limiter.Class, ids []int64) ([]int64, error)
	Deletions(ctx context.Context, shop string, class limiter.Class, since time.Time, w *shopify.Walk) ([]shopify.Deletion, error)
	RunBulk(ctx context.Context, shop string, class limiter.Class, query string, grouped bool) (string, error)
	Bulk(ctx context.Context, shop string, class limiter.Class, id string) (b shopify.BulkOperation, found bool, err error)
	Bulks(ctx context.Context, shop string, class limiter.Class, status string) ([]shopify.BulkOperation, error)
	CancelBulk(ctx context.Context, shop string, class limiter.Class, id string) error
	Download(ctx context.Context, shop, address string, offset, most int64) (*shopify.Download, error)
	Seen(shop string) shopify.Seen
}
