package connect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/credential"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/vault"
)

// Store keeps connections, the flows that lead to them, and the right to renew.
type Store interface {
	CreateConnection(ctx context.Context, change integration.ConnectionChange) error
	ChangeConnection(ctx context.Context, change integration.ConnectionChange) error
	Connection(ctx context.Context, id string) (integration.Connection, []integration.Credential, error)
	ConnectionsOf(ctx context.Context, service, environment, tenant string) ([]integration.Connection, error)
	Connections(ctx context.Context, f integration.Filter) (found []integration.Connection, next string, err error)
	TouchConnections(ctx context.Context, used map[string]time.Time) error

	PutOAuthState(ctx context.Context, o integration.OAuthState) error
	OAuthState(ctx context.Context, hash string, now time.Time) (integration.OAuthState, error)
	TakeOAuthState(ctx context.Context, hash string, now time.Time) (integration.OAuthState, error)
	ForgetOAuthStates(ctx context.Context, now time.Time, most int) (n int, err error)

	AcquireRefresh(ctx context.Context, connection, owner string, now, until time.Time) (l integration.RefreshLease, ok bool, err error)
	IntendRefresh(ctx context.Context, l integration.RefreshLease, fingerprint string, now time.Time) error
	CompleteRefresh(ctx context.Context, l integration.RefreshLease, change integration.ConnectionChange) error
	ReleaseRefresh(ctx context.Context, l integration.RefreshLease, settled bool) error
}

// Sealer seals secrets for their place; vault.Sealer is one.
type Sealer interface {
	Seal(ctx context.Context, b vault.Binding, secret integration.Secret) ([]byte, error)
	Credential(ctx context.Context, b vault.Binding, secret integration.Secret) (integration.Credential, error)
	Open(ctx context.Context, b vault.Binding, sealed []byte) (integration.Secret, error)
}

// Service is one integration in one environment, as its plan says.
type Service struct {
	Name        string // the integration's slug
	Environment string // of the plan
	// Auth is the way of authorisation that the plan uses, of the profile.
	Auth catalog.Auth
	// Variables are the profile's (catalog.API.Variables).
	Variables map[string]catalog.Variable
	// BaseURL is where calls go; it may hold {variables}.
	BaseURL string
	// Client returns the app as it is registered at the provider, from the
	// plan's secrets; it is asked each time, as secrets change. Nil: each
	// connection brings its own.
	Client func() oauth.Client
	// Own returns a secret of the plan's environment by its name, where one
	// credential serves everybody (auth.whose: app); what a tenant would give
	// otherwise is taken from there. It is asked each time. Nil: each tenant
	// connects its own.
	Own func(name string) integration.Secret
	// Scopes are asked for besides those of the profile and of the request.
	Scopes []string
	// Transport sends to the provider's token addresses; it should be guarded,
	// as send.Transport is.
	Transport http.RoundTripper
	// StandIn is where a stand-in answers in the provider's place, such as
	// http://127.0.0.1:4010. Empty: the provider itself.
	StandIn string
	// Check is a harmless call that tells whether a credential works; nil:
	// there is none, and keys are kept untried.
	Check *Check
	// Account is what events of the provider call the account: token:NAME, a member
	// of the token answer, or text with {variables}. Empty, and where it is not
	// told: what the ID token says.
	Account string
	// WebhookSecret lets a tenant give the secret that signs the events of its own
	// account, beside its keys.
	WebhookSecret bool
	// Tell names the destination that is told of changes of state; empty: none.
	Tell string
}

// Check is one GET that a working credential gets a 2xx for.
type Check struct {
	URL string // absolute, or a path below the base URL; may hold {variables}
}

// Config is what connections stand on. Services, Store, Sealer and PublicURL
// must be set; PublicURL need not where no tenant connects anything.
type Config struct {
	Services []Service
	Store    Store
	Sealer   Sealer
	// PublicURL is where browsers reach us: https://sallyport.example.com. The
	// redirect URI registered at providers is this with /oauth/callback.
	PublicURL string
	// ReturnURLs are where people may be sent in the end: whole addresses, or
	// such with * as the end of the path. Scheme, host and port must be equal.
	// Empty: nobody is sent anywhere; our own page says what came of it.
	ReturnURLs []string
	// Owner names this process in the store; it must be unique among running
	// ones.
	Owner string
	// RequestTimeout bounds one request to a token address. Zero means 20 s.
	RequestTimeout time.Duration
	// Fresh is how long a credential is used from memory before the store is
	// asked whether it is still that. Zero means 30 s.
	Fresh time.Duration
	// Remembered is how many connections' credentials are held in memory. Zero
	// means 10,000.
	Remembered int
	// Now is the clock; nil means time.Now. Dice spreads renewals: a number from
	// 0 up to 1; nil means a random one.
	Now  func() time.Time
	Dice func() float64
	// Ending is called when a connection that works is about to be disconnected,
	// while its credential still does; it should not take long. Nil: nothing is.
	Ending func(ctx context.Context, c *integration.Connection)
	// Wake is called when a connection became due for something; nil: it is
	// found by itself.
	Wake func()
	Log  *slog.Logger // nil means slog.Default()
	// Renewed is called when a renewal of a service's token ended, with why it
	// failed or nil; nil: nobody is told.
	Renewed func(service string, err error)
	// Step is called at each named step of a renewal, for tests that make it fail
	// there; nil: nothing is called.
	Step func(step string)
}

// Connections is the whole of it. It is safe for use by many goroutines.
type Connections struct {
	Config
	services map[string]*service
	flights  singleflight.Group
	memory   *memory
	links    links
	failures sync.Map // connection → failure
	used     sync.Map // connection → time.Time, to be written down
}

// service is a Service made ready.
type service struct {
	Service
	method *oauth.Method // nil for keys and basic
	http   *http.Client
}

// New makes Connections. The error lists what is wrong with the config, one a
// line.
func New(c Config) (*Connections, error) {
	var problems []error
	if c.Store == nil || c.Sealer == nil {
		problems = append(problems, errors.New("connect: a store and a sealer are needed"))
	}
	public, err := url.Parse(c.PublicURL)
	if c.PublicURL == "" && !slices.ContainsFunc(c.Services, func(one Service) bool { return one.Own == nil }) {
		public, err = &url.URL{Scheme: "https", Host: "nobody.invalid"}, nil
	}
	if err != nil || public.Host == "" || public.RawQuery != "" || public.User != nil || public.Scheme != "https" && public.Scheme != "http" {
		problems = append(problems, fmt.Errorf("connect: %q is no address that browsers can reach us at; write one such as https://sallyport.example.com", c.PublicURL))
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	for _, r := range c.ReturnURLs {
		if err := checkReturn(r); err != nil {
			problems = append(problems, err)
		}
	}
	c = c.withDefaults()
	s := &Connections{Config: c, services: map[string]*service{}, memory: newMemory(c.Remembered)}
	for i := range c.Services {
		one, err := prepare(c.Services[i])
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", c.Services[i].Name, err))
			continue
		}
		s.services[one.Name] = one
	}
	return s, errors.Join(problems...)
}

func (c Config) withDefaults() Config {
	if c.RequestTimeout <= 0 {
		c.RequestTimeout = 20 * time.Second
	}
	if c.Fresh <= 0 {
		c.Fresh = 30 * time.Second
	}
	if c.Remembered <= 0 {
		c.Remembered = 10_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Dice == nil {
		c.Dice = rand.Float64
	}
	if c.Ending == nil {
		c.Ending = func(context.Context, *integration.Connection) {}
	}
	if c.Wake == nil {
		c.Wake = func() {}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Renewed == nil {
		c.Renewed = func(string, error) {}
	}
	if c.Step == nil {
		c.Step = func(string) {}
	}
	return c
}

func prepare(s Service) (*service, error) {
	if s.Transport == nil {
		return nil, errors.New("connect: a transport to the provider is needed")
	}
	one := &service{Service: s, http: &http.Client{
		Transport: s.Transport,
		// A token request is not followed elsewhere: it would take the secret along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if _, err := credential.Compile(filledBasic(s.Auth, nil)); err != nil {
		return nil, err
	}
	if s.Auth.Kind == "api_key" || s.Auth.Kind == "basic" {
		return one, one.checkOwn()
	}
	method, err := oauth.Compile(s.Auth, s.Variables)
	if err == nil && s.StandIn != "" {
		method, err = method.At(s.StandIn)
	}
	one.method = method
	if err != nil {
		return nil, err
	}
	return one, one.checkOwn()
}

// Serves reports whether a service has connections.
func (s *Connections) Serves(name string) bool { return s.services[name] != nil }

// ErrUnknownService says that no integration of that name has connections.
var ErrUnknownService = errors.New("there is no such integration")

func (s *Connections) service(name string) (*service, error) {
	if one := s.services[name]; one != nil {
		return one, nil
	}
	return nil, fmt.Errorf("%w: %.64q; there are %s", ErrUnknownService, name, strings.Join(slices.Sorted(maps.Keys(s.services)), ", "))
}

// needsPerson reports whether somebody has to go to the provider.
func (s *service) needsPerson() bool {
	return s.method != nil && s.method.Grant() == oauth.AuthorizationCode
}

// RedirectURI is where providers send people back to, to be registered there.
func (s *Connections) RedirectURI() string { return s.PublicURL + CallbackPath }

// The paths that browsers come to.
const (
	CallbackPath = "/oauth/callback"
	PagePath     = "/connect/"
)

func checkReturn(allowed string) error {
	u, err := url.Parse(strings.TrimSuffix(allowed, "*"))
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || strings.Contains(u.Host, "*") || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("return_urls: %q is none; write a whole address such as https://app.example.com/settings, with * only at its end", allowed)
	}
	if strings.HasSuffix(allowed, "*") && !strings.HasSuffix(allowed, "/*") {
		return fmt.Errorf("return_urls: %q: the * must stand for whole parts of the path: end it with /*", allowed)
	}
	return nil
}

// mayReturn reports whether an address is one of those allowed. Browsers read
// backslashes and control characters in ways of their own, so an address with
// one is none; so is one that goes up in the path.
func (s *Connections) mayReturn(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Opaque != "" || u.Fragment != "" || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) ||
		strings.Contains(u.Path, "/..") || strings.Contains(u.Path, "//") {
		return false
	}
	for _, allowed := range s.ReturnURLs {
		a, err := url.Parse(strings.TrimSuffix(allowed, "*"))
		if err != nil || a.Scheme != u.Scheme || !strings.EqualFold(a.Host, u.Host) {
			continue
		}
		if u.Path == a.Path || strings.HasSuffix(allowed, "*") && strings.HasPrefix(u.Path, a.Path) {
			return true
		}
	}
	return false
}
