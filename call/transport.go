package call

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/send"
)

// door is the http.RoundTripper of one tenant.
type door struct {
	service *Service
	tenant  string
	entry   integration.Entry
	later   *Later // nil: the caller waits for the answer
}

// Transport is the http.RoundTripper that makes the calls of one tenant. It
// takes requests for the provider's own host, for the environment's base URL,
// or for any stand-in: the base URL takes its place. Credentials the caller
// sent are removed. The answer is the provider's last one, whatever its status;
// without one the error is an *integration.Failure.
func (s *Service) Transport(tenant string, entry integration.Entry) http.RoundTripper {
	return &door{service: s, tenant: tenant, entry: entry}
}

// RoundTrip makes one call.
func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	s := d.service
	if s.leadsAway(r) {
		if r.Body != nil {
			_ = r.Body.Close() // nothing was read from it
		}
		return nil, refuseRedirect(r.URL)
	}
	if dotted(r.URL.Path) {
		if r.Body != nil {
			_ = r.Body.Close() // nothing was read from it
		}
		return nil, refuseDots()
	}
	path, raw := r.URL.Path, r.URL.RawPath
	if d.entry != integration.EntryProxy {
		path, raw = s.relative(r.URL)
	}
	j, err := s.begin(r, path, raw, asked{tenant: d.tenant, entry: d.entry})
	if err != nil {
		return nil, err
	}
	if d.later != nil {
		return s.accept(r.Context(), j, d.later)
	}
	return s.answer(r.Context(), j)
}

// asked is what a door knows about a call beside its request.
type asked struct {
	tenant     string
	connection string // empty: the header's, or else the tenant's
	entry      integration.Entry
	op         *operation // nil: found by method and path
	key        string     // idempotency key; empty: the caller's header, or one is made
	whole      bool
}

// begin makes a journey of a request.
func (s *Service) begin(r *http.Request, path, raw string, ask asked) (*journey, error) {
	held, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	op := ask.op
	if op == nil {
		op = s.operationFor(method, path)
	}
	now := s.now()
	j := &journey{now: now, op: op, request: r, path: path, body: held, whole: ask.whole, connection: ask.connection}
	j.record = integration.Call{
		ID: integration.NewID(now), Service: s.plan.Service, Tenant: ask.tenant, Endpoint: op.name, Entry: ask.entry, Method: method, Effect: string(op.effect),
		State: integration.CallRunning, CreatedAt: now.UTC(),
	}
	j.call, j.record.Attempts = &j.record, j.attempts[:0]
	var named string
	if j.header, named = s.outgoing(r.Header); j.connection == "" {
		j.connection = named
	}
	j.url = &j.place
	s.place(j.url, path, raw, r.URL.RawQuery)
	s.credential.StripURL(j.url)
	if len(s.forms) > 0 {
		j.body.withoutFields(j.header.Get("Content-Type"), s.forms)
	}
	s.identify(j, ask.key)
	j.call.Path = send.Redact(j.url)
	return j, nil
}

// identify settles the idempotency key: one for all attempts.
func (s *Service) identify(j *journey, key string) {
	name := j.op.keyHeader
	if name == "" {
		return
	}
	if key == "" {
		if own := j.header[name]; len(own) > 0 {
			key = own[0]
		}
	}
	if key == "" && j.op.makesKey {
		key = j.call.ID
	}
	if key == "" {
		return
	}
	j.key[0], j.hasKey, j.call.IdempotencyKey = key, true, key
	j.header[name] = j.key[:]
}

// outgoing is what is sent of a caller's header, with what the profile wants on
// every request that lacks it, and the connection that the caller names. The map
// is ours; the values are the caller's and are not changed.
func (s *Service) outgoing(in http.Header) (out http.Header, connection string) {
	out = make(http.Header, len(in)+2)
	for i := range s.fixed {
		out[s.fixed[i].name] = s.fixed[i].values
	}
	var own []string
	for name, values := range in {
		switch {
		case name == "Connection":
			own = values
		case name == HeaderConnection && len(values) > 0:
			connection = values[0]
		case strings.HasPrefix(name, "Sallyport-"), ofConnection(name), s.credential.Carries(name):
		default:
			out[name] = values
		}
	}
	for _, list := range own {
		for name := range strings.SplitSeq(list, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			delete(out, name)
			if i := slices.IndexFunc(s.fixed, func(h fixedHeader) bool { return h.name == name }); i >= 0 {
				out[name] = s.fixed[i].values
			}
		}
	}
	return out, connection
}

// ofConnection reports whether a header belongs to one connection and is not
// passed on (RFC 9110, section 7.6.1), as the headers that Connection names;
// Accept-Encoding is left to the transport, so that what is compressed can be
// read here.
func ofConnection(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Accept-Encoding":
		return true
	}
	return false
}
