// Package call is the outbound journey: the credential is put on, a turn is
// waited for, the request is sent, the answer is understood, and then it is
// handed back, tried again, or kept for a person (requirements R4).
//
// There are three doors and one path behind them (Service.run): Transport is an
// http.RoundTripper for Go programs, for the provider's own SDK, and for the
// proxy; Endpoint calls an endpoint of the plan by name, with its mapping;
// Resume gives a call from the durable queue its turn.
//
// # What a caller gets
//
// The provider's answer as it came, whatever its status, with the headers
// Sallyport-Call and Sallyport-Attempts. Where there is none, an
// *integration.Failure that says whose decision it was. Bodies of successes are
// streamed. The clock of an attempt, the endpoint's timeout, runs until the
// answer's header is here; after that an answer may take as long as it needs,
// but not be silent for longer than StreamIdle. The same holds for a request
// body that is streamed: the clock times the provider alone.
//
// # What may be repeated
//
// Package retry decides. Three things here serve it: an idempotency key is made
// once per call and kept over its attempts, unless the caller brought its own;
// bodies up to 1 MiB are kept to be sent again, larger ones are streamed through
// and never repeated; and a path the plan does not name counts as a read when it
// is a GET, HEAD or OPTIONS and as a create otherwise.
//
// SDKs should have their own retries switched off (stripe-go:
// BackendConfig.MaxNetworkRetries = 0): two layers multiply, and the inner one
// knows the plan.
package call

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/breaker"
	"github.com/sallyport/sallyport/cache"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/classify"
	"github.com/sallyport/sallyport/credential"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/retry"
)

// Headers on answers.
const (
	HeaderCall     = "Sallyport-Call"     // the call's id
	HeaderAttempts = "Sallyport-Attempts" // how often it was tried
	HeaderReason   = "Sallyport-Reason"   // why we ended it ourselves: limit, breaker, queued, timeout, network, canceled, credential, egress, request; or not_kept
)

// ReasonNotKept says that a call which failed for a passing reason, or may have
// had its effect, could not be written down: nobody will find it among the kept
// ones.
const ReasonNotKept = "not_kept"

// Codes of failures that are decided here. Those of the provider begin with
// provider_, those of package send with egress_.
const (
	CodeUnknownEndpoint = "unknown_endpoint"    // the plan has no endpoint by this name
	CodeUnknownOutcome  = "unknown_outcome"     // it may have had its effect; kept for a person (R4.7)
	CodePathVariable    = "path_variable"       // a path variable is missing, unknown or unfit
	CodeBody            = "invalid_body"        // the mapping or the encoding refuses the body
	CodePath            = "invalid_path"        // the path has dot segments
	CodeRequestBody     = "request_body"        // the caller's body could not be read
	CodeAnswer          = "answer_not_mapped"   // the provider's answer does not fit the plan's mapping
	CodeBreaker         = "breaker_open"        // the provider failed or was slow too often: nothing is sent for a while (R4.10)
	CodeLimit           = "limit"               // our own limit: no turn in time
	CodeCredential      = "credential"          // there is no usable credential
	CodeRedirect        = "redirect_refused"    // a redirect led away from the provider
	CodeNotKept         = "request_not_kept"    // a kept call whose request could not be kept whole
	CodeUnreadable      = "answer_not_readable" // the answer's body is too large or broke off
)

// Journal writes calls down. For a call that is kept (State.Kept) Record must
// not return before it is durable: the caller is told afterwards.
type Journal interface {
	Record(ctx context.Context, c *integration.Call) error
}

// Config is what a Service stands on. Plan, Transport, Journal and Secret must
// be set.
type Config struct {
	Plan        *plan.Plan
	Environment string // one of the plan's
	// Authorizer finds what authorises a call, where each tenant has a connection
	// of its own. Nil: Secret does for all.
	Authorizer Authorizer
	// Secret returns the API key in use. It is asked before every attempt.
	Secret func() integration.Secret
	// Refused is called when the provider refused the key, before Secret is asked
	// for the one to try again with (R4.2); nil: there is nothing to do.
	Refused func()
	// Unusable says why there is no key, where Secret returns none; it may be an
	// *integration.Failure. Nil, also its answer: it is missing.
	Unusable func() error
	// Transport sends; package send has the one for third parties.
	Transport http.RoundTripper
	Journal   Journal
	Log       *slog.Logger     // nil: discarded
	Now       func() time.Time // nil: time.Now
	Dice      func() float64   // in [0,1), for jitter; nil: math/rand
	// Deadline is how long one call may go on in total; zero is the plan's.
	Deadline time.Duration
	// Limits is where the limits are shared with other instances; nil: they are
	// this one's alone.
	Limits *limit.Shared
	// Breakers tells other instances of what the breakers here do; nil: each for
	// itself.
	Breakers breaker.Shared
	// Told keeps an event of our own durably, to be delivered; nil: nobody is told.
	Told func(context.Context, *integration.Event) error
	// Used is told of each request that was made with a credential, by its
	// fingerprint; nil: nobody counts. It must not wait.
	Used func(c *integration.Call, connection, fingerprint string, refused bool)
	// Noticer looks at a sample of the answers; nil: nobody does.
	Noticer Noticer
}

// Service makes the calls of one plan in one environment. It may be used by
// many goroutines at once.
type Service struct {
	plan       *plan.Plan
	authorizer Authorizer
	transport  http.RoundTripper
	journal    Journal
	log        *slog.Logger
	now        func() time.Time
	ours       bool // now is time.Now
	dice       func() float64

	base       *url.URL
	profile    *catalog.Profile
	credential *credential.Applier
	limiter    *limit.Limiter
	breakers   *breaker.Set
	budget     *retry.Budget
	deadline   time.Duration // of a call with all its attempts
	cache      *cache.Cache
	noticer    Noticer
	told       func(context.Context, *integration.Event) error
	used       func(c *integration.Call, connection, fingerprint string, refused bool)
	dialect    *classify.Dialect
	policy     *retry.Policy
	routes     *plan.Routes
	endpoints  map[string]*operation
	read       *operation // paths the plan does not name
	create     *operation
	fixed      []fixedHeader // of the profile, on every request that lacks them
	pinQuery   [2]string     // version pin in the query: name and value
	forms      []string      // fields of form bodies that hold a credential
	homes      []home        // base URLs a caller's URL may begin with
}

type fixedHeader struct {
	name   string
	values []string
}

// New checks that the plan can be called in the environment and makes the
// Service.
func New(c Config) (*Service, error) {
	if c.Plan == nil || c.Plan.Provider == nil || c.Transport == nil || c.Journal == nil || c.Secret == nil && c.Authorizer == nil {
		return nil, errors.New("call: a plan with its provider, a transport, a journal and a secret or an authorizer are needed")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	ours := c.Now == nil
	if ours {
		c.Now = time.Now
	}
	if c.Dice == nil {
		c.Dice = rand.Float64
	}
	if c.Refused == nil {
		c.Refused = func() {}
	}
	profile := c.Plan.Provider
	s := &Service{
		plan: c.Plan, authorizer: c.Authorizer, transport: c.Transport, journal: c.Journal, log: c.Log.With("service", c.Plan.Service), now: c.Now, ours: ours, dice: c.Dice,
		profile: profile, routes: c.Plan.Routes(),
		noticer: c.Noticer, told: c.Told, used: c.Used,
		cache:  cache.New(cache.Config{Now: c.Now}),
		budget: retry.NewBudget(retry.BudgetConfig{Share: float64(c.Plan.Calls.RetryBudget.Or(plan.DefaultRetryBudget)) / 100}),
	}
	s.deadline = cmp.Or(c.Deadline, c.Plan.Calls.Deadline.Or(plan.DefaultDeadline))
	s.policy = retry.New(c.Plan, s.deadline).Within(s.budget)
	if c.Authorizer == nil && strings.Contains(c.Plan.BaseURL(c.Environment), "{") {
		return nil, fmt.Errorf("call: the address %s has variables, which a connection fills in: write auth.whose: tenant, or base_url for the environment", c.Plan.BaseURL(c.Environment))
	}
	var err error
	if s.base, s.homes, err = homesOf(c.Plan, c.Environment); err != nil {
		return nil, err
	}
	if s.credential, err = applier(c.Plan); err != nil && len(c.Plan.Endpoints) == 0 {
		s.credential, s.authorizer, err = webhooksOnly(err)
	}
	if err != nil {
		return nil, err
	}
	if s.authorizer == nil {
		s.authorizer = &single{secret: c.Secret, refused: c.Refused, unusable: c.Unusable, applier: s.credential}
	}
	for _, auth := range profile.Auth {
		s.forms = append(s.forms, auth.Forms...)
	}
	if s.dialect, err = classify.Compile(profile); err != nil {
		return nil, fmt.Errorf("call: profile %s: %w", profile.ID, err)
	}
	if err := s.compile(); err != nil {
		return nil, err
	}
	s.breakers = breaker.New(s.breaking(c))
	s.limiter = limit.New(limit.Config{Limits: profile.Limits, Environment: c.Environment, Plan: c.Plan.Limits, Shared: c.Limits, Now: c.Now})
	return s, nil
}

// since is the time now for somebody who knows when it was before: our own clock
// is then read without its wall, for half the price.
func (s *Service) since(before time.Time) time.Time {
	if s.ours {
		return before.Add(time.Since(before))
	}
	return s.now()
}

// applier is the plan's choice among the profile's kinds of credential.
func applier(p *plan.Plan) (*credential.Applier, error) {
	for _, auth := range p.Provider.Auth {
		if auth.Kind != p.Auth.Use {
			continue
		}
		a, err := credential.Compile(auth)
		if err != nil {
			return nil, fmt.Errorf("call: %w", err)
		}
		return a, nil
	}
	return nil, fmt.Errorf("call: auth.use is %s, which the profile %s does not offer", p.Auth.Use, p.Provider.ID)
}
