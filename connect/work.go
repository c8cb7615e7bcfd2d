package connect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// idleAfter is how long a connection is unused until its token is no longer
// renewed each time it ends, and sleepMost how long it then lies still: so a
// grant that was withdrawn is noticed within a week also where nobody calls.
const (
	idleAfter = 24 * time.Hour
	sleepMost = 7 * 24 * time.Hour
)

// Work does what a connection is due for and says when it is due next. It is the
// Handle of a lease.Runner over the store's queue of connections.
func (s *Connections) Work(ctx context.Context, c integration.Connection) integration.ConnectionOutcome {
	one := s.services[c.Service]
	if one == nil || one.Environment != c.Environment {
		return integration.ConnectionOutcome{Task: c.Task, DueAt: s.Now().Add(time.Hour)} // another instance may serve it
	}
	switch c.Task {
	case integration.TaskRefresh, integration.TaskKeepAlive:
		return s.keepAlive(ctx, one, c)
	case integration.TaskRevoke:
		r := s.revoke(context.WithoutCancel(ctx), one, c.ID)
		if r.err != nil {
			s.Log.ErrorContext(ctx, "connection.work", "connection", c.ID, "task", c.Task, "error", r.err)
			return integration.ConnectionOutcome{Task: c.Task, DueAt: s.Now().Add(time.Minute)}
		}
	case integration.TaskCheck:
		return s.check(ctx, one, c)
	}
	return integration.ConnectionOutcome{}
}

// keepAlive renews a token. One that nobody uses is renewed just often enough to
// keep the grant.
func (s *Connections) keepAlive(ctx context.Context, one *service, c integration.Connection) integration.ConnectionOutcome {
	now := s.Now()
	used := c.LastUsedAt
	if used.IsZero() {
		used = c.CreatedAt
	}
	if c.Task == integration.TaskRefresh && c.State == integration.ConnectionConnected && now.Sub(used) > idleAfter {
		at := c.UpdatedAt.Add(sleepMost)
		if !c.RenewBefore.IsZero() {
			if keep := c.UpdatedAt.Add(c.RenewBefore.Sub(c.UpdatedAt) * 4 / 5); keep.Before(at) {
				at = keep
			}
		}
		if at.After(now) {
			return integration.ConnectionOutcome{Task: integration.TaskKeepAlive, DueAt: at}
		}
	}
	err := s.renewDue(ctx, one, c.ID)
	var state *StateError
	switch {
	case err == nil, errors.As(err, &state):
		// The change has said already what is next; where somebody else had
		// renewed, so has theirs.
		return integration.ConnectionOutcome{}
	case errors.Is(context.Cause(ctx), lease.ErrStopping):
		return integration.ConnectionOutcome{Released: true}
	}
	s.Log.WarnContext(ctx, "connection.renewal_failed", "connection", c.ID, "service", c.Service, "attempt", c.Attempts, "error", err)
	return integration.ConnectionOutcome{Task: integration.TaskRefresh, DueAt: now.Add(backoff(c.Attempts, s.Dice()))}
}

// renewDue renews a credential as it stands in the store.
func (s *Connections) renewDue(ctx context.Context, one *service, id string) error {
	_, sealed, err := s.Store.Connection(ctx, id)
	if err != nil {
		return err
	}
	stale := fingerprint(sealed, one)
	_, err = s.shared(ctx, renewalOf(id, stale), func(ctx context.Context) (any, error) {
		return nil, s.refresh(ctx, one, id, stale, true)
	})
	return err
}

// check sees whether a credential that was refused works again, or whether a
// person has confirmed the code of a device flow.
func (s *Connections) check(ctx context.Context, one *service, c integration.Connection) integration.ConnectionOutcome {
	next := integration.ConnectionOutcome{Task: integration.TaskCheck, DueAt: s.Now().Add(checkEvery)}
	if c.Attempts > 24 || one.Check == nil {
		next = integration.ConnectionOutcome{}
	}
	kept, sealed, err := s.Store.Connection(ctx, c.ID)
	if err == nil && slices.ContainsFunc(sealed, func(k integration.Credential) bool { return k.Field == fieldDevice }) {
		return s.poll(ctx, one, &kept, sealed)
	}
	if err != nil || kept.State != integration.ConnectionDisconnected || len(sealed) == 0 {
		return next
	}
	opened, err := s.open(ctx, &kept, sealed)
	if err != nil {
		return integration.ConnectionOutcome{}
	}
	if _, err := s.try(ctx, one, &kept, one.with(opened)); err != nil || one.Check == nil {
		return next
	}
	ch := s.changing(kept, ActorMachine)
	ch.to(integration.ConnectionConnected, "")
	ch.due(s.nextRenewal(&ch.Connection, !opened[fieldRefresh].IsZero(), false))
	if err := s.write(ctx, ch, ""); err != nil {
		return next
	}
	return integration.ConnectionOutcome{}
}

// Runner works on due connections until its context ends. queue is the store's.
func (s *Connections) Runner(queue lease.Queue[integration.Connection, integration.ConnectionOutcome]) (*lease.Runner[integration.Connection, integration.ConnectionOutcome], error) {
	return lease.New(lease.Config[integration.Connection, integration.ConnectionOutcome]{
		Queue: queue, Handle: s.Work, Owner: s.Owner, Workers: 8, Now: s.Now, Log: s.Log,
		Term: s.RequestTimeout + leaseMargin,
		Panicked: func(c integration.Connection, cause any) integration.ConnectionOutcome {
			return integration.ConnectionOutcome{Task: c.Task, DueAt: s.Now().Add(time.Minute), Reason: fmt.Sprintf("a mistake of ours: %v", cause)}
		},
		Released: integration.ConnectionOutcome{Released: true},
	})
}

// Tidy writes down what was used and forgets flows that expired, each minute
// until ctx ends.
func (s *Connections) Tidy(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.tidy(context.WithoutCancel(ctx))
			return
		case <-tick.C:
			s.tidy(ctx)
		}
	}
}

func (s *Connections) tidy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	used := map[string]time.Time{}
	s.used.Range(func(id, at any) bool {
		used[id.(string)] = at.(time.Time)
		s.used.Delete(id)
		return true
	})
	if len(used) > 0 {
		if err := s.Store.TouchConnections(ctx, used); err != nil {
			s.Log.WarnContext(ctx, "connection.use_not_kept", "error", err)
		}
	}
	if _, err := s.Store.ForgetOAuthStates(ctx, s.Now(), 1000); err != nil {
		s.Log.WarnContext(ctx, "connect.tidy", "error", err)
	}
	s.failures.Range(func(id, f any) bool {
		if s.Now().Sub(f.(failure).at) > time.Minute {
			s.failures.Delete(id)
		}
		return true
	})
}
