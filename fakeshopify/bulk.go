package fakeshopify

import (
	"context"
	"net/http"
	"time"
)

// BulkOptions concern bulk operations.
type BulkOptions struct{}

func (o *BulkOptions) defaults() {}

type bulkOp struct {
	id                 int64
	status, errorCode  string
	created, completed time.Time
}

func (s *Shop) bulkLoop(ctx context.Context)                     {}
func (s *Shop) advanceBulk(time.Time)                            {}
func (s *Shop) bulkByID(int64) *bulkOp                           { return nil }
func (s *Shop) serveBulk(w http.ResponseWriter, r *http.Request) {}
func (e *exec) bulkRun(f *fieldGroup) any                        { return nil }
func (e *exec) bulkCancel(f *fieldGroup) any                     { return nil }
func (e *exec) bulkList(f *fieldGroup) (any, *gqlError)          { return nil, nil }
func (e *exec) bulkField(op *bulkOp, f *fieldGroup) any          { return nil }
