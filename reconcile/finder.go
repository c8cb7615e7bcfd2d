package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/paginate"
	"github.com/sallyport/sallyport/plan"
)

// Calls makes calls to a provider; call.Service does.
type Calls interface {
	List(ctx context.Context, name string, r call.Request, options ...paginate.Option) (iter.Seq2[*paginate.Page, error], error)
	Walk(ctx context.Context, tenant string, entry integration.Entry, first *http.Request, options ...paginate.Option) (iter.Seq2[*paginate.Page, error], error)
	ListFailure(err error) *integration.Failure
	Transport(tenant string, entry integration.Entry) http.RoundTripper
}

// Door takes in events that never came; receive.Receiver does. tenant is whose
// account they were found at; empty: the event itself tells. fresh is false for
// an event that was here before.
type Door interface {
	Found(ctx context.Context, service, tenant string, header http.Header, body []byte) (e *integration.Event, fresh bool, err error)
}

// Store keeps cursors, and knows which events came.
type Store interface {
	PutCursors(ctx context.Context, ids []string, due time.Time) error
	Cursor(ctx context.Context, id string) (integration.Cursor, error)
	Cursors(ctx context.Context, prefix string, most int) ([]integration.Cursor, error)
	KnownEvents(ctx context.Context, service, source string, externalIDs []string) (map[string]bool, error)
	SubscriptionsOf(ctx context.Context, service, connection string) ([]integration.Subscription, error)
}

// Config is what a Finder works with. Services, Door, Store and Queue must be
// set.
type Config struct {
	Services []Service
	Door     Door
	Store    Store
	Queue    lease.Queue[integration.Cursor, integration.CursorOutcome]
	// Subscriptions are looked after in the same way, by one instance at a time.
	// Nil: nobody does.
	Subscriptions *Subscriptions
	// Connections are those of services whose tenants authorise them, in
	// Environment: the list of each is read. Nil: each service has one account.
	Connections Connections
	Environment string
	// Look is how often is looked for new connections. Zero means 15 seconds.
	Look time.Duration
	// PublicURL is how providers reach us; it tells which subscription is ours.
	PublicURL string
	// Settle is how old an event must be before it counts as one that never came.
	// Zero means a minute; a negative one takes all.
	Settle time.Duration
	// Pages is how many pages are read in one turn; what is left is read in the
	// next. Zero means 20.
	Pages int
	// Grace is how long a turn may go on when Run stops. Zero means 10 seconds.
	Grace time.Duration
	Now   func() time.Time // nil: time.Now
	Dice  func() float64   // in [0, 1), for jitter; nil: no jitter
	Log   *slog.Logger     // nil: slog.Default()
}

// Service is one plan and what makes its calls.
type Service struct {
	Plan  *plan.Plan
	Calls Calls
}

// Finder finds events that never came. Make it with New.
type Finder struct {
	config   Config
	services map[string]*listed
	seen     map[string]bool // tasks of connections that were begun; of Run alone
	turns    turns
	runner   *lease.Runner[integration.Cursor, integration.CursorOutcome]
}

// listed is one service whose list of events is read, at one account.
type listed struct {
	account
	ofTenants bool
	name      string
	plan      *plan.Plan
	calls     Calls
	reconcile plan.Reconcile
	endpoint  *plan.Endpoint
	facts     *catalog.EventList
}

const cursorPrefix = "reconcile:"

// CursorID is the id of a service's cursor, or of that of one of its
// connections.
func CursorID(service, connection string) string { return taskID(cursorPrefix, service, connection) }

// New makes a Finder for the services whose plan says webhooks.reconcile; others
// are left out. The error names each plan that can't be worked with, because its
// profile does not say how the provider's list is read (webhooks.list); a Finder
// that comes with it works for the others.
func New(c Config) (*Finder, error) {
	if c.Door == nil || c.Store == nil || c.Queue == nil {
		return nil, errors.New("reconcile: a door, a store and a queue are needed")
	}
	if c.Settle == 0 {
		c.Settle = time.Minute
	}
	if c.Pages <= 0 {
		c.Pages = 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Dice == nil {
		c.Dice = func() float64 { return 0 }
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Look <= 0 {
		c.Look = 15 * time.Second
	}
	f := &Finder{config: c, services: map[string]*listed{}, seen: map[string]bool{}}
	var problems []error
	for _, s := range c.Services {
		if s.Plan.Webhooks == nil || s.Plan.Webhooks.Reconcile == nil {
			continue
		}
		one, err := newListed(s)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.Plan.Service, err))
			continue
		}
		one.ofTenants = c.Connections != nil && s.Plan.Auth.OfTenants()
		f.services[s.Plan.Service] = one
	}
	var err error
	f.runner, err = lease.New(lease.Config[integration.Cursor, integration.CursorOutcome]{
		Queue: c.Queue, Handle: f.turn, Workers: workers, Grace: c.Grace, Now: c.Now, Log: c.Log,
		Panicked: func(cur integration.Cursor, _ any) integration.CursorOutcome {
			return integration.CursorOutcome{State: cur.State, DueAt: c.Now().Add(failedMost)}
		},
		Released: integration.CursorOutcome{Released: true},
	})
	if err != nil {
		return nil, err
	}
	return f, errors.Join(problems...)
}

func newListed(s Service) (*listed, error) {
	r := *s.Plan.Webhooks.Reconcile
	l := &listed{name: s.Plan.Service, plan: s.Plan, calls: s.Calls, reconcile: r, endpoint: s.Plan.Endpoints[r.List]}
	switch {
	case l.endpoint == nil:
		return nil, fmt.Errorf("webhooks.reconcile.list: the plan has no endpoint %q", r.List)
	case s.Plan.Provider == nil || s.Plan.Provider.Webhooks == nil || s.Plan.Provider.Webhooks.List == nil:
		return nil, errors.New("webhooks.reconcile: the profile does not say how events that were sent are listed; add webhooks.list to it, or leave reconcile out")
	case r.Every.Or(0) <= 0:
		return nil, errors.New("webhooks.reconcile.every: say how often the list is read, such as 10m")
	}
	l.facts = s.Plan.Provider.Webhooks.List
	for _, name := range l.endpoint.PathVariables() {
		if s.Plan.Webhooks.Path[name] == "" && name != l.facts.Subscription && !s.Plan.Auth.OfTenants() {
			return nil, fmt.Errorf("webhooks.path.%s: say it, the path of %s needs it", name, r.List)
		}
	}
	return l, nil
}

// Services are those whose lists are read, in no order.
func (f *Finder) Services() []string {
	var names []string
	for name := range f.services {
		names = append(names, name)
	}
	return names
}

// Run reads the lists and looks after subscriptions, each when it is its turn,
// until ctx ends. It returns when what it began has ended. Without a service it
// returns at once.
func (f *Finder) Run(ctx context.Context) error {
	ids := f.config.Subscriptions.tasks()
	for name, l := range f.services {
		if !l.ofTenants {
			ids = append(ids, CursorID(name, ""))
		}
	}
	tenants := f.ofTenants()
	if len(ids)+len(tenants) == 0 {
		return nil
	}
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := f.config.Store.PutCursors(ctx, ids, f.config.Now())
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was to end
		}
		f.config.Log.Error("reconcile.begin", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
	var looking sync.WaitGroup
	defer looking.Wait()
	if len(tenants) > 0 {
		looking.Go(func() { f.lookForConnections(ctx, tenants) })
	}
	f.runner.Run(ctx)
	return nil
}

// Waits after a run that failed.
const (
	failedFirst = 30 * time.Second
	failedMost  = 30 * time.Minute
)

// turn goes on with one service.
func (f *Finder) turn(ctx context.Context, c integration.Cursor) integration.CursorOutcome {
	now := f.config.Now()
	prefix, name, connection := task(c.ID)
	if connection != "" {
		if !f.turns.begin(name) {
			return integration.CursorOutcome{State: c.State, DueAt: now.Add(time.Second + time.Duration(f.config.Dice()*float64(4*time.Second)))}
		}
		defer f.turns.end(name)
	}
	l := f.services[name]
	switch {
	case prefix == subscriptionPrefix && f.config.Subscriptions.tended(name):
		return f.config.Subscriptions.turn(ctx, name, connection, c)
	case prefix != cursorPrefix || l == nil || l.ofTenants != (connection != ""): // another instance's, or of a plan that is gone
		return integration.CursorOutcome{State: c.State, DueAt: now.Add(time.Hour)}
	}
	if connection != "" {
		var outcome *integration.CursorOutcome
		if l, outcome = f.at(ctx, l, connection, c); outcome != nil {
			return *outcome
		}
	}
	var s state
	if len(c.State) > 0 {
		if err := json.Unmarshal(c.State, &s); err != nil {
			f.config.Log.Error("reconcile.state", "service", name, "error", err, "meanwhile", "it begins anew")
			s = state{}
		}
	}
	found := s.Found
	finished, err := f.read(ctx, l, &s)
	now = f.config.Now()
	due := now.Add(l.wait(f.config.Dice()))
	switch {
	case err != nil && ctx.Err() != nil:
		return integration.CursorOutcome{State: encoded(&s), DueAt: now}
	case err != nil:
		s.Failures++
		s.Error = err.Error()
		if s.Failures%3 == 0 {
			s.Page = "" // perhaps the provider does not know the page any more: from the front; what was taken in is known
		}
		due = now.Add(min(failedFirst<<min(s.Failures-1, 10), failedMost, max(l.reconcile.Every.Or(0), failedFirst)))
		f.config.Log.Error("reconcile.failed", "service", name, "connection", connection, "error", err, "failures", s.Failures, "again_at", due, "alert", s.Failures >= 3)
	case !finished:
		due = now
	default:
		s.Failures, s.Error, s.LastRun = 0, "", now.UTC()
	}
	if gap := s.Found - found; gap > 0 {
		f.config.Log.Error("reconcile.gap", "service", name, "connection", connection, "found", gap, "alert", true,
			"meaning", "events came that were found only in the provider's list; see whether its webhooks reach us")
	}
	return integration.CursorOutcome{State: encoded(&s), DueAt: due}
}

// wait is how long until the next run: every, and up to a tenth less, so that
// services do not fall into step.
func (l *listed) wait(dice float64) time.Duration {
	every := l.reconcile.Every.Or(0)
	return every - time.Duration(dice*float64(every)/10)
}

func encoded(s *state) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		return nil // times, numbers and text always encode
	}
	return b
}
