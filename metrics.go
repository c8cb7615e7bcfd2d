package sallyport

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/monitor"
	"github.com/sallyport/sallyport/receive"
)

// count makes what counts (R6.3). The words that may become labels are the
// plans' own.
func (a *App) count() {
	c := monitor.Config{
		Services: map[string]monitor.Names{}, Source: a, Version: a.config.Version, Now: a.config.Now,
		Failed: func(err error) { a.config.Log.Error("metrics.standing", "error", err) },
	}
	for name, s := range a.services {
		n := monitor.Names{Endpoints: slices.Collect(maps.Keys(s.plan.Endpoints)), Destinations: slices.Collect(maps.Keys(s.plan.Destinations))}
		if s.plan.Webhooks != nil {
			n.Events = slices.Collect(maps.Keys(s.plan.Webhooks.Events))
		}
		c.Services[name] = n
	}
	a.metrics = monitor.New(c)
}

// countedJournal counts the calls that it writes down.
type countedJournal struct {
	call.Journal
	metrics *monitor.Metrics
}

// Record writes a call down.
func (j countedJournal) Record(ctx context.Context, c *integration.Call) error {
	err := j.Journal.Record(ctx, c)
	if err == nil {
		j.metrics.Call(c)
	}
	return err
}

// counted counts the ends of events' turns.
func (a *App) counted(handle func(context.Context, integration.Event) integration.Outcome) func(context.Context, integration.Event) integration.Outcome {
	return func(ctx context.Context, e integration.Event) integration.Outcome {
		o := handle(ctx, e)
		a.metrics.Handled(&e, &o)
		return o
	}
}

// timed times what comes to the webhook doors. Everything else goes its way
// untouched.
func (a *App) timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, door := strings.CutPrefix(r.URL.Path, receive.Prefix)
		if !door {
			next.ServeHTTP(w, r)
			return
		}
		service, _, _ := strings.Cut(rest, "/")
		start := a.config.Now()
		told := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(told, r)
		a.metrics.Door(service, told.status, a.config.Now().Sub(start))
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader writes the status.
func (w *statusWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is what http.ResponseController looks for.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Standing tells how everything stands, for a scrape.
func (a *App) Standing(ctx context.Context) (monitor.Snapshot, error) {
	snapshot := monitor.Snapshot{Unknown: a.door.Unknown()}
	for _, name := range a.Services() {
		one, err := a.standingOf(ctx, name)
		if err != nil {
			return monitor.Snapshot{}, err
		}
		snapshot.Services = append(snapshot.Services, one)
	}
	size, err := a.store.Sizes(ctx)
	if err != nil {
		return monitor.Snapshot{}, err
	}
	snapshot.Sizes = &monitor.Sizes{Bytes: size.Bytes, Free: size.Free, Log: size.Log, Tables: map[string]int64{}}
	for _, t := range size.Tables {
		snapshot.Sizes.Tables[t.Table] = t.Bytes
	}
	return snapshot, nil
}

func (a *App) standingOf(ctx context.Context, name string) (monitor.Service, error) {
	s := a.services[name]
	out := monitor.Service{Name: name, Breakers: map[string]int{}}
	events, err := a.store.EventCounts(ctx, name, "")
	if err != nil {
		return out, err
	}
	calls, err := a.store.CallCounts(ctx, name, "")
	if err != nil {
		return out, err
	}
	out.Events, out.OldestDue, out.Calls, out.OldestCall = events.ByState, events.OldestDue, calls.ByState, calls.OldestDue
	if s.plan.Auth.OfTenants() {
		if out.Connections, err = a.store.ConnectionCounts(ctx, name, a.config.Environment); err != nil {
			return out, err
		}
	}
	outboundOf(&out, s.calls)
	if s.plan.Webhooks == nil {
		return out, nil
	}
	out.Door = verdicts(a.door.Stats(name))
	return out, a.held(ctx, &out)
}

// outboundOf fills in how calls stand.
func outboundOf(out *monitor.Service, s api.Standing) {
	for _, b := range s.Breakers() {
		out.Breakers[string(b.State)]++
	}
	for _, l := range s.Limits() {
		name := l.Name
		if slices.ContainsFunc(out.Limits, func(o monitor.Limit) bool { return o.Name == name }) {
			name += " per " + l.Window.String()
		}
		out.Limits = append(out.Limits, monitor.Limit{Name: name, Used: l.Used, Share: l.Share, Waiting: l.Waiting, Refused: l.Refused})
	}
	kept := s.CacheStats()
	out.Cache = map[string]int64{"cache": kept.Hits, "revalidated": kept.Revalidated, "provider": kept.Misses, "shared": kept.Shared, "stale": kept.Stale}
	out.Retries = s.RetrySpending().Refused
}

// verdicts are what a door did, each a word.
func verdicts(s receive.Stats) map[string]int64 {
	all := map[string]int64{
		"received": s.Received, "duplicate": s.Duplicate, "ignored": s.Ignored, "not_kept": s.NotKept, "empty": s.Empty, "handshake": s.Handshake,
	}
	for reason, n := range s.Rejected {
		all["rejected_"+reason] = n
	}
	return all
}

// held fills in our hold on the provider's events.
func (a *App) held(ctx context.Context, out *monitor.Service) error {
	standing, err := a.holding.subscriptions.Standing(ctx, out.Name, "")
	switch {
	case errors.Is(err, integration.ErrNotFound):
	case err != nil:
		return err
	default:
		out.Subscriptions = &monitor.Subscriptions{Total: standing.Total, Connections: standing.Connections, Failing: standing.Failing, Expires: standing.Expires}
	}
	if a.holding.finder == nil {
		return nil
	}
	st, err := a.holding.finder.Status(ctx, out.Name, "")
	if errors.Is(err, integration.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	out.Reconcile = &monitor.Reconcile{Found: st.Found, Failures: st.Failures, LastRun: st.LastRun, Mark: st.Mark, Lag: st.Lag}
	return nil
}

// How often is looked whether events wait, and how long one may before the alarm
// is raised.
const (
	backlogLook = 30 * time.Second
	backlogMost = 15 * time.Minute
)

// watchBacklog raises the alarm about events that wait too long, once, until ctx
// ends. It looks at what is due, so an event that waits for its next attempt is
// none.
func (a *App) watchBacklog(ctx context.Context) {
	backlogs := map[string]*monitor.Backlog{}
	ticker := time.NewTicker(backlogLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, name := range a.Services() {
			if a.services[name].plan.Webhooks == nil {
				continue
			}
			if backlogs[name] == nil {
				backlogs[name] = &monitor.Backlog{}
			}
			a.lookAtBacklog(ctx, name, backlogs[name])
		}
	}
}

func (a *App) lookAtBacklog(ctx context.Context, name string, b *monitor.Backlog) {
	events, err := a.store.EventCounts(ctx, name, "")
	if err != nil {
		if ctx.Err() == nil {
			a.config.Log.Warn("backlog.unknown", "service", name, "error", err)
		}
		return
	}
	waiting := events.ByState[string(integration.EventReceived)]
	alarm, over := b.Decide(events.OldestDue, a.config.Now(), backlogMost)
	switch {
	case alarm:
		a.config.Log.Error("backlog", "service", name, "waiting", waiting, "since", events.OldestDue, "alert", true,
			"meaning", "events have been due for too long; see whether their destination answers, and whether there are enough workers")
	case over:
		a.config.Log.Info("backlog.over", "service", name, "waiting", waiting)
	}
}
