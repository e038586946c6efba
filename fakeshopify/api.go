package fakeshopify

import "context"
import "time"

// APIOptions concern the Admin API.
type APIOptions struct{}

func (o *APIOptions) defaults() {}

type apiState struct {
	uninstalled bool
	scopes      []string
}

func (a *apiState) init(*Options) {
	a.scopes = []string{"read_products", "read_inventory", "read_locations"}
}

type bulkOp struct {
	id                 int64
	status, errorCode  string
	created, completed time.Time
}

func (s *Shop) bulkLoop(ctx context.Context) {}
