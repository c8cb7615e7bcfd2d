package sallyport

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/paginate"
)

// Request is a call of an endpoint by its name in the plan, in your own fields.
type Request = call.Request

// Response is what came of it.
type Response = call.Response

// Endpoint calls an endpoint of a service's plan by name, with the plan's
// mapping in both directions. The error is an *integration.Failure; the Response
// stands beside it when a call was made. A Failure with the Reason "queued" says
// that the call will be made by itself.
func (a *App) Endpoint(ctx context.Context, service, name string, in Request) (*Response, error) {
	s, ok := a.services[service]
	if !ok {
		return nil, a.unknown(service)
	}
	out, err := s.calls.Endpoint(ctx, name, in)
	if f, ok := err.(*integration.Failure); ok && f.Code == call.CodeQueued { //nolint:errorlint // it is never wrapped here
		a.queue.Wake()
	}
	return out, err
}

// Items goes through all items of a list, page after page, in the way the
// provider's lists go on. first asks for the first page, as with Client; its
// query is kept. The loop ends after an error, which is an
// *integration.Failure.
func (a *App) Items(ctx context.Context, service, tenant string, first *http.Request) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		s, ok := a.services[service]
		if !ok {
			yield(nil, a.unknown(service))
			return
		}
		pages, err := s.calls.Walk(ctx, tenant, integration.EntryClient, first)
		if err != nil {
			yield(nil, err)
			return
		}
		each(s.calls, pages, yield)
	}
}

func each(calls *call.Service, pages iter.Seq2[*paginate.Page, error], yield func(json.RawMessage, error) bool) {
	for page, err := range pages {
		if err != nil {
			yield(nil, calls.ListFailure(err))
			return
		}
		for _, item := range page.Items {
			if !yield(item, nil) {
				return
			}
		}
	}
}
