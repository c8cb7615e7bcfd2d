package deliver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// Fetching is what is read of the provider before an event is delivered.
type Fetching struct {
	Tenant   string            // whose credential reads it
	Endpoint string            // of the plan
	Path     map[string]string // its variables
	Query    url.Values
}

// Fetch reads what an event is about. gone says that it is no longer there, which
// is no failure: the receiver wants to know. An error is a failed attempt of the
// event; an *integration.Failure among its causes may delay the next.
type Fetch func(ctx context.Context, f Fetching) (body []byte, gone bool, err error)

// fetching is a plan's fetch, compiled.
type fetching struct {
	endpoint string
	path     map[string]extract.Path
	query    map[string]extract.Path
}

func compileFetch(f *plan.Fetch) (*fetching, error) {
	out := &fetching{endpoint: f.Endpoint, path: map[string]extract.Path{}, query: map[string]extract.Path{}}
	var problems []error
	for _, part := range []struct {
		key    string
		places map[string]string
		to     map[string]extract.Path
	}{{"path", f.Path, out.path}, {"query", f.Query, out.query}} {
		for _, name := range slices.Sorted(maps.Keys(part.places)) {
			path, err := extract.Parse(part.places[name])
			if err != nil {
				problems = append(problems, fmt.Errorf("fetch.%s.%s: %w", part.key, name, err))
			}
			part.to[name] = path
		}
	}
	return out, errors.Join(problems...)
}

// of takes out of an event what the endpoint needs.
func (f *fetching) of(e *integration.Event) (Fetching, error) {
	out := Fetching{Tenant: e.Tenant, Endpoint: f.endpoint, Path: map[string]string{}, Query: url.Values{}}
	in := &extract.Request{Header: e.ProvidersHeader(), Body: e.Payload}
	for _, name := range slices.Sorted(maps.Keys(f.path)) {
		v, ok := f.path[name].Value(in)
		if !ok || v == "" {
			return out, fmt.Errorf("the event does not name the %s that %s reads it by", name, f.endpoint)
		}
		out.Path[name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(f.query)) {
		if v, ok := f.query[name].Value(in); ok {
			out.Query.Set(name, v)
		}
	}
	return out, nil
}

// fetchTimeout bounds the reading with all its retries: the event's lease is
// renewed meanwhile, and a worker waits.
const fetchTimeout = time.Minute

// content is what is delivered of an event: of what was fetched where the plan
// says so (R5.13), else of the payload; mapped. What was fetched is not kept. Of
// a thing that is gone there is nothing to map: the event is delivered as it
// came, and marked.
func (d *Deliverer) content(ctx context.Context, r *route, e *integration.Event) (data []byte, failed *result) {
	from, what := e.Payload, "the payload"
	if r.fetch != nil {
		asked, err := r.fetch.of(e)
		if err != nil {
			res := refused(err.Error())
			return nil, &res
		}
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		body, gone, err := d.plans[e.Service].Fetch(ctx, asked)
		if err != nil {
			return nil, &result{err: fmt.Errorf("reading it by %s: %w", r.fetch.endpoint, err), retryAfter: retryAfter(err)}
		}
		if gone {
			e.Gone = true
			return e.Payload, nil
		}
		from, what = body, "the answer of "+r.fetch.endpoint
	}
	data, err := r.data(from, what)
	if err != nil {
		res := refused(err.Error())
		res.unmapped = true
		return nil, &res
	}
	return data, nil
}

// holds reports whether a failure to make the content keeps the event from its
// destination, nil for a handler: who wants it raw needs no mapping.
func (r *result) holds(to *destination, e *integration.Event) bool {
	return r != nil && (!r.unmapped || to == nil || !wantsRaw(to, e))
}

func retryAfter(err error) time.Duration {
	var f *integration.Failure
	if errors.As(err, &f) {
		return f.RetryAfter
	}
	return 0
}
