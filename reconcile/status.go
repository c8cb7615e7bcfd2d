package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Status is how the looking for lost events of a service stands (R5.14). Times
// are zero for what has not been yet.
type Status struct {
	Found     int64         // events that never came and were found, ever
	LastFound time.Time     // when the last of them was
	Lag       time.Duration // the longest time from such an event to its being found, in the last run that found some
	Unusable  int64         // entries of the list that could not be used, ever
	Looked    int64         // entries looked at, ever
	Mark      time.Time     // the provider's time up to which nothing is missing
	LastRun   time.Time     // when the list was last read to the mark before
	Running   bool          // a run goes on with its next pages
	NextRun   time.Time     // when the list is read again
	Error     string        // why the last run failed; empty when it did not
	Failures  int           // runs that failed one after the other
}

// Status is how it stands with a service, or where tenants authorise it with one
// tenant; integration.ErrNotFound when no list of it is read. Of several
// accounts it is the sum, the oldest Mark and LastRun, and the error of the one
// that failed most often.
func (f *Finder) Status(ctx context.Context, service, tenant string) (Status, error) {
	l := f.services[service]
	if l == nil {
		return Status{}, fmt.Errorf("reconcile: no list of %q is read: %w", service, integration.ErrNotFound)
	}
	if l.ofTenants {
		return f.statusOfAll(ctx, Whose{Service: service, Tenant: tenant})
	}
	c, err := f.config.Store.Cursor(ctx, CursorID(service, ""))
	if errors.Is(err, integration.ErrNotFound) {
		return Status{}, nil // its first turn is to come
	}
	if err != nil {
		return Status{}, err
	}
	return statusOf(&c)
}

func (f *Finder) statusOfAll(ctx context.Context, w Whose) (Status, error) {
	cursors, err := cursorsOf(ctx, f.config.Store, f.config.Connections, cursorPrefix, w, f.config.Environment)
	var all Status
	for i := range cursors {
		one, wrong := statusOf(&cursors[i])
		if wrong != nil {
			err = errors.Join(err, wrong)
			continue
		}
		if cursors[i].DueAt.IsZero() { // its connection is gone
			one.Mark, one.LastRun, one.Error, one.Failures = time.Time{}, time.Time{}, "", 0
		}
		all.add(one)
	}
	return all, err
}

// add makes s that of one more account.
func (s *Status) add(o Status) {
	s.Found, s.Unusable, s.Looked, s.Running = s.Found+o.Found, s.Unusable+o.Unusable, s.Looked+o.Looked, s.Running || o.Running
	s.Lag = max(s.Lag, o.Lag)
	if o.LastFound.After(s.LastFound) {
		s.LastFound = o.LastFound
	}
	s.Mark, s.LastRun, s.NextRun = earlier(s.Mark, o.Mark), earlier(s.LastRun, o.LastRun), earlier(s.NextRun, o.NextRun)
	if o.Failures > s.Failures {
		s.Failures, s.Error = o.Failures, o.Error
	}
}

// earlier is the earlier one; a zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func statusOf(c *integration.Cursor) (Status, error) {
	var s state
	if len(c.State) > 0 {
		if err := json.Unmarshal(c.State, &s); err != nil {
			return Status{}, fmt.Errorf("reconcile: state of %s: %w", c.ID, err)
		}
	}
	return Status{
		Found: s.Found, LastFound: s.LastFound, Lag: time.Duration(s.Lag * float64(time.Second)), Unusable: s.Unusable, Looked: s.Looked,
		Mark: s.Mark, LastRun: s.LastRun, Running: s.Page != "", NextRun: c.DueAt, Error: s.Error, Failures: s.Failures,
	}, nil
}
