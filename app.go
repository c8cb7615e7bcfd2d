package sallyport

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/call/queue"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/monitor"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/send"
	"github.com/sallyport/sallyport/store"
	"github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/vault"
	"github.com/sallyport/sallyport/verify"
	"github.com/sallyport/sallyport/verify/keys"
)

// Event is one webhook event as a handler gets it.
type Event = deliver.Event

// App is a gateway inside a Go program: webhooks in, calls out. Make it with
// New; its methods may be called from many goroutines.
type App struct {
	config     Config
	services   map[string]*service
	store      store.Store
	deliverer  *deliver.Deliverer
	runner     *lease.Runner[integration.Event, integration.Outcome]
	queue      *queue.Runner // of calls that go on by themselves
	resolver   *vault.Resolver
	usage      *vault.Usage
	connecting *connecting        // nil: no tenant connects anything
	erasure    *vault.ErasureKeys // nil: there are none
	hearing    *vault.Hearing     // of leaks and erasures
	holding    *holding           // our hold on providers' events
	pausing    *pausing           // of destinations
	arrivals   *api.Arrivals      // of events, for those who listen
	entrusting *entrusting        // signing secrets that providers delivered
	keeping    *keeping           // less than came in
	commits    *transacting       // handlers in their event's transaction
	shared     *sharing           // nil: nothing is shared with other instances
	metrics    *monitor.Metrics
	door       *receive.Receiver
	handler    http.Handler
	ran        atomic.Bool // Run began its one run
}

// service is one plan with what runs it.
type service struct {
	plan    *plan.Plan
	secrets *vault.Secrets
	calls   *call.Service
	sender  *send.Transport
	notices *noticing
	tenants *tenants // nil: the plan has one credential

	rereading sync.Mutex
	reread    time.Time // when secrets were last read again because one was refused
}

// New loads the plans, resolves their secrets, opens the database and wires
// everything. The error lists every problem of the plans and secrets, not the
// first only. Close what it returns, or let Serve do it.
func New(ctx context.Context, c Config) (*App, error) {
	c = c.withDefaults()
	plans, err := loadPlans(c.Plans)
	problems := []error{err}
	a := &App{config: c, services: make(map[string]*service, len(plans)), resolver: vault.NewResolver(c.LookupEnv), arrivals: api.NewArrivals()}
	for _, p := range plans {
		secrets, err := vault.OpenWith(ctx, p, c.Environment, a.resolver)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		a.services[p.Service] = &service{plan: p, secrets: secrets}
	}
	if err := open.Check(c.Database); err != nil {
		problems = append(problems, fmt.Errorf("database: %w", err))
	}
	a.shared, err = share(c.Redis, c.Log)
	problems = append(problems, err)
	a.erasure, err = c.erasureKeys()
	problems = append(problems, err)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if a.store, err = open.Database(ctx, c.Database, open.Options{Queue: c.Queue, Now: c.Now}); err != nil {
		return nil, err
	}
	if a.shared != nil {
		if err := a.shared.reach(ctx); err != nil {
			c.Log.Warn("redis.away", "error", err, "meanwhile", "each instance keeps to its own limits and breakers")
		}
	}
	if err := a.wire(ctx); err != nil {
		return nil, errors.Join(err, a.store.Close())
	}
	a.warnUnenforced()
	return a, nil
}

// wire puts the two journeys together.
func (a *App) wire(ctx context.Context) error {
	var outgoing []api.Integration
	var problems []error
	a.count()
	for _, name := range a.Services() {
		problems = append(problems, a.sending(a.services[name]))
	}
	var err error
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if err := a.hear(ctx); err != nil {
		return err
	}
	if a.connecting, err = a.connect(ctx); err != nil {
		return err
	}
	a.usage = vault.NewUsage(a.store, a.config.Log, a.config.Now)
	for _, name := range a.Services() {
		s := a.services[name]
		if err := a.calls(s); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
			continue
		}
		outgoing = append(outgoing, api.Integration{
			Plan: s.plan, Environment: a.config.Environment, Calls: s.calls, Standing: s.calls,
			Credential: func() string { return s.secrets.First(vault.APIKey).Fingerprint() },
		})
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if err := a.keep(); err != nil {
		return err
	}
	if err := a.hold(ctx); err != nil {
		return err
	}
	if err := a.entrust(ctx); err != nil {
		return err
	}
	receiver, err := receive.New(a.receiving())
	a.door = receiver
	problems = append(problems, err)
	a.commits = a.transact()
	a.deliverer, err = deliver.New(a.delivering())
	problems = append(problems, err)
	if err := errors.Join(problems...); err != nil {
		return err
	}
	a.runner, err = lease.New(lease.Config[integration.Event, integration.Outcome]{
		Queue:    writtenQueue{a.store.EventQueue(), a.commits},
		Owner:    a.commits.owner,
		Handle:   a.counted(a.keeping.handle(a.echoed(a.deliverer.Deliver))),
		Panicked: func(_ integration.Event, cause any) integration.Outcome { return a.deliverer.Panicked(cause) },
		Released: integration.Outcome{Status: integration.EventReceived, Released: true},
		Workers:  a.config.Workers, Grace: a.config.Grace, Now: a.config.Now, Log: a.config.Log,
	})
	if err != nil {
		return err
	}
	if a.queue, err = queue.New(a.queueing()); err != nil {
		return err
	}
	a.pausing = a.newPausing()
	if _, err := a.pausing.learn(ctx); err != nil {
		return err
	}
	if err := a.find(receiver); err != nil {
		return err
	}
	a.handler = a.timed(api.New(api.Config{
		Metrics: a.metrics.Handler(), MetricsOpen: a.config.MetricsOpen,
		Integrations: outgoing, Records: a.store, Keys: a.store, Drift: a.store, Uses: a.store, Connections: a.connecting.served(), Custody: a.custody(),
		Subscriptions: a.holding.subscriptions, Finder: a.holding.finder, Previewer: a.deliverer, Arrivals: a.arrivals, Receiver: receiver, Delivered: a.entrusting, Echo: a.isEcho, Wake: a.runner.Wake, WakeCalls: a.queue.Wake, WakeJobs: a.queue.WakeJobs,
		Destinations: a.pausing, Storage: a.store, Log: a.config.Log, Now: a.config.Now, Version: a.config.Version, BodyLimit: a.config.BodyLimit,
		ProxyBodyLimit: a.config.ProxyBodyLimit, ProxyDomains: a.config.ProxyDomains,
	}))
	return nil
}

// sending makes the transport of one service.
func (a *App) sending(s *service) error {
	base, hosts, err := outboundHosts(s.plan, a.config.Environment)
	if err != nil {
		return fmt.Errorf("%s: %w", s.plan.Service, err)
	}
	s.sender, err = send.New(send.Config{Hosts: hosts, AllowPrivate: privateHost(base)})
	return err
}

// calls makes the outbound journey of one service.
func (a *App) calls(s *service) error {
	var err error
	var authorizer call.Authorizer
	transport := http.RoundTripper(s.sender)
	if s.plan.Auth.OfTenants() || s.plan.Auth.Granted() {
		s.tenants = &tenants{connections: a.connecting.connections, service: s.plan.Service}
		authorizer = s.tenants
		transport = a.hosts(s)
	}
	s.notices = a.newNoticing(s.plan)
	s.calls, err = call.New(call.Config{
		Plan: s.plan, Environment: a.config.Environment, Transport: a.metrics.Requests(s.plan.Service, transport), Authorizer: authorizer, Journal: countedJournal{a.store, a.metrics}, Noticer: s.notices, Told: a.tell, Used: a.used,
		Limits: a.sharedLimits(s.plan.Service + "/" + a.config.Environment), Breakers: a.shared.breakersOf(s.plan.Service + "/" + a.config.Environment),
		Secret:  func() integration.Secret { return s.secrets.First(vault.APIKey) },
		Refused: func() { a.reread(s) }, Unusable: s.leaked,
		Log: a.config.Log, Now: a.config.Now, Dice: a.config.Dice,
	})
	return err
}

// tell keeps an event of our own and has it delivered.
func (a *App) tell(ctx context.Context, e *integration.Event) error {
	fresh, err := a.store.Accept(ctx, e)
	if fresh {
		a.arrived(e)
	}
	return err
}

// rereadEvery is how often secrets are read again at most when the provider
// refuses one.
const rereadEvery = time.Second

// reread reads the secrets of a service again: the provider refused one, and a
// file may hold another by now (R4.2). One call does it for all.
func (a *App) reread(s *service) {
	s.rereading.Lock()
	defer s.rereading.Unlock()
	now := a.config.Now()
	if now.Sub(s.reread) < rereadEvery {
		return
	}
	s.reread = now
	if err := s.secrets.Reload(); err != nil {
		a.config.Log.Warn("secrets.reload", "service", s.plan.Service, "error", err)
	}
}

func (a *App) receiving() receive.Config {
	c := receive.Config{
		Inbox: a.keeping.inbox(a.store), PublicURL: a.config.PublicURL, BodyLimit: a.config.WebhookLimit, Memory: a.config.WebhookMemory,
		Forwarders: a.config.Forwarders, Log: a.config.Log, Now: a.config.Now,
		Received: a.arrived,
	}
	for _, name := range a.Services() {
		s := a.services[name]
		if s.plan.Webhooks == nil {
			continue
		}
		c.Services = append(c.Services, a.doors(s)...)
	}
	c.Keys = a.publishedKeys()
	return c
}

// publishedKeys finds the keys that providers publish to verify their webhooks
// by (R5.2), at the hosts of the loaded profiles alone; nil where none does.
func (a *App) publishedKeys() verify.Keys {
	var hosts []string
	for _, s := range a.services {
		if s.plan.Webhooks != nil && s.plan.Provider != nil && s.plan.Provider.Webhooks != nil {
			hosts = append(hosts, keys.HostsOf(s.plan.Provider.Webhooks)...)
		}
	}
	if len(hosts) == 0 {
		return nil
	}
	fetcher, err := keys.New(keys.Config{
		Hosts: hosts, Now: a.config.Now,
		Transport: keys.PerHost(func(host string) (http.RoundTripper, error) { return send.New(send.Config{Hosts: []string{host}}) }),
	})
	if err != nil {
		a.config.Log.Error("keys.unusable", "error", err)
		return nil
	}
	return fetcher
}

func (a *App) queueing() queue.Config {
	c := queue.Config{
		Queue: a.store.CallQueue(), Store: a.store, Services: make(map[string]queue.Service, len(a.services)), Told: a.runner.Wake,
		Grace: a.config.Grace, Now: a.config.Now, Log: a.config.Log,
	}
	for name, s := range a.services {
		c.Services[name] = queue.Service{Caller: s.calls, Expire: s.plan.Calls.Expire.Or(0)}
	}
	return c
}

func (a *App) delivering() deliver.Config {
	c := deliver.Config{Redelivery: a.config.Redelivery, Brokers: a.openBroker, Log: a.config.Log, Now: a.config.Now, Dice: a.config.Dice}
	for _, name := range a.Services() {
		s := a.services[name]
		c.Services = append(c.Services, deliver.Service{Plan: s.plan, Secrets: s.secrets.Destination, Fetch: fetching(s)})
	}
	return c
}

// warnUnenforced says which rows of the plans this version does not act upon,
// so that nobody relies on them.
func (a *App) warnUnenforced() {
	for _, name := range a.Services() {
		for _, row := range a.services[name].plan.Unenforced() {
			a.config.Log.Warn("plan.not_enforced", "service", name, "row", row.ID, "statement", row.Statement)
		}
	}
}

// Services returns the slugs of the loaded plans, sorted.
func (a *App) Services() []string { return slices.Sorted(maps.Keys(a.services)) }

// Client returns an HTTP client for one service on behalf of one tenant: with
// the credential, the limits, the retries and the classification of the plan.
// Requests may name the provider's own host, as its SDK does, or any other: the
// environment's base URL takes its place. The provider's SDK should not retry
// by itself; this client does.
//
// When the provider's last answer is an error, it is returned as it came, with
// Sallyport-Call and Sallyport-Attempts in its header. Where there was no
// answer the error is an *integration.Failure.
func (a *App) Client(service, tenant string) (*http.Client, error) {
	s, ok := a.services[service]
	if !ok {
		return nil, a.unknown(service)
	}
	return &http.Client{
		Transport:     s.calls.Transport(tenant, integration.EntryClient),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// On has handler called for every event of one type of one service, instead of
// a destination. An error, or a panic, is a failed attempt and the event is
// tried again. An event may be handed over more than once; its ID stays the
// same. Call On before Run.
func (a *App) On(service, eventType string, handler func(context.Context, Event) error) error {
	if err := a.handled(service, eventType); err != nil {
		return err
	}
	return a.deliverer.On(service, eventType, handler)
}

func (a *App) unknown(service string) error {
	return fmt.Errorf("sallyport: there is no plan for %q; there is %s", service, strings.Join(a.Services(), ", "))
}

// Handler serves the webhook doors and the HTTP API.
func (a *App) Handler() http.Handler { return a.handler }

// Run works on what is due until ctx ends; it returns when everything it
// started has returned. It fails at once when an event of a plan has neither a
// destination nor a handler, and when it ran before: an App runs once.
func (a *App) Run(ctx context.Context) error {
	if err := a.deliverer.Ready(); err != nil {
		return err
	}
	if a.ran.Swap(true) {
		return errors.New("sallyport: an App runs once; make another with New")
	}
	var working sync.WaitGroup
	working.Go(func() { a.queue.Run(ctx) })
	working.Go(func() { a.usage.Run(ctx) })
	working.Go(func() { a.keeping.run(ctx, a) })
	working.Go(func() { a.hearing.Run(ctx) })
	working.Go(func() { a.listening(ctx) })
	working.Go(func() { a.holding.run(ctx, a) })
	working.Go(func() { a.watchBacklog(ctx) })
	working.Go(func() { a.watchSpikes(ctx) })
	working.Go(func() { a.pausing.run(ctx) })
	working.Go(func() { a.learnEntrustedOften(ctx) })
	if c := a.connecting; c != nil {
		working.Go(func() { c.runner.Run(ctx) })
		working.Go(func() { c.connections.Tidy(ctx) })
		working.Go(func() { c.connections.Warm(ctx) })
	}
	if a.shared != nil {
		working.Go(func() { a.shared.run(ctx) })
	}
	for _, s := range a.services {
		working.Go(func() { s.notices.run(ctx) })
		working.Go(func() { a.settle(ctx, s) })
		working.Go(func() { s.secrets.Watch(ctx, 0, a.config.Log) })
		ageing := vault.Ageing{Secrets: s.secrets, Kept: a.store, Log: a.config.Log, Now: a.config.Now}
		working.Go(func() { ageing.Run(ctx) })
	}
	a.runner.Run(ctx)
	working.Wait()
	return nil
}

// ReloadSecrets resolves every reference again. A plan whose secrets can't be
// resolved keeps those it had; the error names it.
func (a *App) ReloadSecrets() error {
	var problems []error
	for _, name := range a.Services() {
		err := a.services[name].secrets.Reload()
		if errors.Is(err, vault.ErrStale) { // a vault that did not answer; the last values stay in use
			a.config.Log.Warn("secrets.stale", "service", name, "error", err)
			continue
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// Close closes the database and idle connections. Serve does it by itself.
// Calls that are still under way can't be written down any more. Closing twice
// is harmless.
func (a *App) Close() error {
	a.deliverer.Close()
	for _, s := range a.services {
		ctx, cancel := context.WithTimeout(context.Background(), a.config.Grace)
		if err := s.calls.Close(ctx); err != nil {
			a.config.Log.Warn("close.collected", "service", s.plan.Service, "error", err)
		}
		cancel()
		s.sender.CloseIdleConnections()
	}
	if a.shared != nil {
		a.shared.close()
	}
	if err := a.store.Close(); err != nil && !open.IsClosed(err) {
		return err
	}
	return nil
}

// outboundHosts are the base URL of a plan in an environment, and every host
// its calls may go to.
func outboundHosts(p *plan.Plan, environment string) (base *url.URL, hosts []string, err error) {
	text := strings.NewReplacer("{", "", "}", "").Replace(p.BaseURL(environment)) // a connection's own address takes the place of one with variables
	base, err = url.Parse(text)
	if err != nil || base.Host == "" {
		return nil, nil, fmt.Errorf("environments.%s.base_url: %q is no absolute URL", environment, text)
	}
	return base, append([]string{base.Host}, p.Provider.API.Hosts...), nil
}

// privateHost reports whether the plan itself points an environment at this
// machine or a private network, as for the sandbox. Only then may calls go
// there.
func privateHost(base *url.URL) bool {
	host := base.Hostname()
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsPrivate())
}
