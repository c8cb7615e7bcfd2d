package call

import (
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

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

// callRecord is a call and room for its first attempts in one piece; the journal
// may hold on to it, and not to the journey.
type callRecord struct {
	integration.Call
	attempts [2]integration.Attempt
}

// begin makes a journey of a request.
func (s *Service) begin(r *http.Request, path, raw string, ask asked) (*journey, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
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
	c := &callRecord{Call: integration.Call{
		ID: id.String(), Service: s.plan.Service, Tenant: ask.tenant, Endpoint: op.name, Entry: ask.entry, Method: method, Effect: string(op.effect),
		State: integration.CallRunning, CreatedAt: s.now().UTC(),
	}}
	c.Attempts = c.attempts[:0]
	j := &journey{call: &c.Call, op: op, request: r, path: path, body: held, whole: ask.whole, header: outgoing(r.Header), connection: ask.connection}
	if named := r.Header[HeaderConnection]; j.connection == "" && len(named) > 0 {
		j.connection = named[0]
	}
	j.url = &j.place
	s.place(j.url, path, raw, r.URL.RawQuery)
	s.credential.Strip(j.header, j.url)
	if len(s.forms) > 0 {
		j.body.withoutFields(j.header.Get("Content-Type"), s.forms)
	}
	for _, h := range s.fixed {
		if _, ok := j.header[h.name]; !ok {
			j.header[h.name] = h.values
		}
	}
	s.identify(j, ask.key)
	c.Path = send.Redact(j.url)
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

// connectionHeaders belong to one connection and are not passed on (RFC 9110,
// section 7.6.1); Accept-Encoding is left to the transport, so that what is
// compressed can be read here.
var connectionHeaders = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Accept-Encoding",
}

// outgoing is a caller's header, less what is not meant for the provider, with
// room for what we add. The map is ours; the values are the caller's and are
// not changed.
func outgoing(in http.Header) http.Header {
	out := make(http.Header, len(in)+2)
	for name, values := range in {
		if !strings.HasPrefix(name, "Sallyport-") && !slices.Contains(connectionHeaders, name) {
			out[name] = values
		}
	}
	for _, list := range in["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			out.Del(strings.TrimSpace(name))
		}
	}
	return out
}
