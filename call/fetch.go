package call

import (
	"context"
	"errors"
	"net/http"

	"github.com/sallyport/sallyport/integration"
)

// Fetch reads what an event is about by an endpoint of the plan (R5.13): with the
// credential, the limits, the breaker and the retries of every other call. The
// answer is the provider's, not mapped, and always asked for anew: one from
// before the event would be wrong. Neither is a fallback taken: who fetches tries
// again. gone says that the provider no longer has it, as far as its 404 can be
// believed. The error is an *integration.Failure.
func (s *Service) Fetch(ctx context.Context, name string, in Request) (body []byte, gone bool, err error) {
	seen, err := s.lookUp(ctx, asked{tenant: in.Tenant, connection: in.Connection, entry: integration.EntryFetch}, name, in.Path, in.Query)
	var f *integration.Failure
	switch {
	case errors.As(err, &f) && f.Class == integration.ClassMissing && s.dialect.Gone(http.StatusNotFound):
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	return seen.body, false, nil
}
