package sallyport

import (
	"context"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/deliver/broker"
	"github.com/sallyport/sallyport/integration"
)

// openBroker opens the topic of a destination, with its secret or what the
// environment says.
func (a *App) openBroker(address string, credential integration.Secret) (broker.Publisher, error) {
	return broker.Open(address, broker.Options{Credential: credential, Lookup: a.config.LookupEnv})
}

// fetching reads what thin events of a service are about, as every other call.
func fetching(s *service) deliver.Fetch {
	return func(ctx context.Context, f deliver.Fetching) (body []byte, gone bool, err error) {
		return s.calls.Fetch(ctx, f.Endpoint, call.Request{Tenant: f.Tenant, Path: f.Path, Query: f.Query})
	}
}
