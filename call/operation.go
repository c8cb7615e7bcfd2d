package call

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/sallyport/sallyport/bulk"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/classify"
	"github.com/sallyport/sallyport/mapping"
	"github.com/sallyport/sallyport/plan"
)

// operation is an endpoint of the plan made ready, or one of the two stand-ins
// for paths the plan does not name.
type operation struct {
	name      string // empty for a stand-in
	endpoint  *plan.Endpoint
	effect    plan.Effect
	timeout   time.Duration
	timedOut  *classify.Timeout
	silent    *classify.Timeout
	alarms    *alarms // of attempts that wait for their answer
	keyHeader string  // header of the idempotency key; empty when there is none
	makesKey  bool    // a key is made where the caller brings none
	announces bool    // a call is written down before it is sent
	cost      float64 // in limits that do not count requests; 0 leaves it to the profile
	encoding  catalog.Encoding
	send      *mapping.Mapping // nil: as it is
	receive   *mapping.Mapping // nil: as it is
	noticer   Noticer
	collector *bulk.Collector // nil: each call is made alone
}

// compile makes the operations and the headers that do not change.
func (s *Service) compile() error {
	s.endpoints = make(map[string]*operation, len(s.plan.Endpoints))
	for name, e := range s.plan.Endpoints {
		if e == nil {
			continue
		}
		op := s.operation(name, e.Effect, e.Timeout.Or(plan.DefaultTimeout))
		op.endpoint, op.cost, op.announces = e, float64(e.Cost), e.RecordedBefore()
		if e.Idempotency != nil && e.Idempotency.Header != "" {
			op.keyHeader, op.makesKey = http.CanonicalHeaderKey(e.Idempotency.Header), true
		}
		if e.Encoding != "" {
			op.encoding = e.Encoding
		}
		var err error
		if op.send, err = s.mapping(e.Send); err == nil {
			op.receive, err = s.mapping(e.Receive)
		}
		if err != nil {
			return fmt.Errorf("call: endpoints.%s: %w", name, err)
		}
		s.endpoints[name] = op
	}
	if err := s.compileBulk(); err != nil {
		return err
	}
	s.read = s.operation("", plan.EffectRead, plan.DefaultTimeout)
	s.create = s.operation("", plan.EffectCreate, plan.DefaultTimeout)
	s.compileHeaders()
	return nil
}

func (s *Service) operation(name string, effect plan.Effect, timeout time.Duration) *operation {
	idle := max(StreamIdle, timeout)
	op := &operation{
		name: name, noticer: s.noticer, effect: effect,
		timeout: timeout, timedOut: &classify.Timeout{Clock: "attempt", After: timeout}, alarms: newAlarms(timeout),
		silent:   &classify.Timeout{Clock: "wait for more of the answer", After: idle},
		encoding: s.profile.API.Request,
	}
	if header := s.profile.Idempotency.Header; header != "" {
		op.keyHeader = http.CanonicalHeaderKey(header)
	}
	return op
}

func (s *Service) mapping(name string) (*mapping.Mapping, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // no mapping is the usual case, not an error
	}
	return mapping.Compile(s.plan.Mappings, name)
}

// compileHeaders collects what the profile wants on every request: its required
// headers and the pinned version. A header the caller sent is left alone: the
// types of the provider's SDK are made for the version it asks for.
func (s *Service) compileHeaders() {
	api := s.profile.API
	for name, value := range api.Headers {
		s.fixed = append(s.fixed, fixedHeader{http.CanonicalHeaderKey(name), []string{value}})
	}
	if pin := api.VersionPin; pin != nil && api.Version != "" {
		switch pin.In {
		case "header":
			s.fixed = append(s.fixed, fixedHeader{http.CanonicalHeaderKey(pin.Name), []string{api.Version}})
		case "query":
			s.pinQuery = [2]string{pin.Name, api.Version}
		}
	}
	s.fixed = append(s.fixed, fixedHeader{"User-Agent", []string{"sallyport"}})
}

// operationFor is the endpoint a request is for, or a stand-in by its method. A
// path is looked up as a provider may read it: "/v1/payouts/" and
// "/v1//payouts" are held to what the plan says of "/v1/payouts".
func (s *Service) operationFor(method, asked string) *operation {
	if strings.Contains(asked, "//") || len(asked) > 1 && strings.HasSuffix(asked, "/") {
		asked = path.Clean(asked)
	}
	if name, ok := s.routes.Endpoint(method, asked); ok {
		return s.endpoints[name]
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return s.read
	}
	return s.create
}
