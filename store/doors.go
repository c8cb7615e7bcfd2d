package store

import (
	"context"

	"github.com/sallyport/sallyport/integration"
)

// Doors is what the providers' doors ask beside keeping events.
type Doors interface {
	AcceptAll(ctx context.Context, events []*integration.Event) (fresh []bool, err error)
	TenantsOfAccount(ctx context.Context, service, environment, account string) ([]string, error)
	CallWithKey(ctx context.Context, service, key string) (id string, err error)
}
