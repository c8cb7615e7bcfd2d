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

// Status is how it stands with a service; integration.ErrNotFound when no list of
// it is read.
func (f *Finder) Status(ctx context.Context, service string) (Status, error) {
	if f.services[service] == nil {
		return Status{}, fmt.Errorf("reconcile: no list of %q is read: %w", service, integration.ErrNotFound)
	}
	c, err := f.config.Store.Cursor(ctx, CursorID(service))
	if errors.Is(err, integration.ErrNotFound) {
		return Status{}, nil // its first turn is to come
	}
	if err != nil {
		return Status{}, err
	}
	var s state
	if len(c.State) > 0 {
		if err := json.Unmarshal(c.State, &s); err != nil {
			return Status{}, fmt.Errorf("reconcile: state of %s: %w", service, err)
		}
	}
	return Status{
		Found: s.Found, LastFound: s.LastFound, Lag: time.Duration(s.Lag * float64(time.Second)), Unusable: s.Unusable, Looked: s.Looked,
		Mark: s.Mark, LastRun: s.LastRun, Running: s.Page != "", NextRun: c.DueAt, Error: s.Error, Failures: s.Failures,
	}, nil
}
