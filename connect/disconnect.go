package connect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
)

// Disconnected is how far a disconnection came.
type Disconnected struct {
	Connection string
	// Revoked says that the provider took the credential back. Pending says that
	// it could not be told so far and will be. Neither: it takes none back.
	Revoked bool
	Pending bool
	Reason  string // in words
}

// How often the provider is told that it is over, about a day long, before the
// credentials are deleted all the same.
const revocations = 150

// Disconnect ends a connection: no call uses it from now on. The provider is told
// (R2.6), its credentials are deleted, and nothing is due for it any more. When
// the provider can't be told now, Work goes on trying. A connection that has
// ended already is no error.
func (s *Connections) Disconnect(ctx context.Context, service, connection, actor string) (Disconnected, error) {
	one, err := s.service(service)
	if err != nil {
		return Disconnected{}, err
	}
	ctx = context.WithoutCancel(ctx)
	told := false
	for {
		c, sealed, err := s.Store.Connection(ctx, connection)
		if err == nil && (c.Service != one.Name || c.Environment != one.Environment) {
			err = fmt.Errorf("connection %.64q: %w", connection, integration.ErrNotFound)
		}
		if err != nil {
			return Disconnected{}, err
		}
		if c.State == integration.ConnectionDisconnected && len(sealed) == 0 {
			return Disconnected{Connection: c.ID, Reason: c.Reason}, nil
		}
		if c.State.Usable() && !told {
			told = true
			s.Ending(ctx, &c)
			continue // it may have been renewed meanwhile
		}
		ch := s.changing(c, actor)
		ch.to(integration.ConnectionDisconnected, "ended on request; the provider is being told")
		ch.due(integration.TaskRevoke, s.Now().Add(2*s.RequestTimeout))
		if one.method == nil || !one.method.Revokes() {
			ch.to(integration.ConnectionDisconnected, noRevocation)
			ch.DropAll = true
			ch.due(integration.TaskNone, time.Time{})
		}
		if !slices.ContainsFunc(sealed, func(k integration.Credential) bool { return k.Field != fieldDevice }) {
			ch.to(integration.ConnectionDisconnected, "ended on request, before anything was granted")
			ch.DropAll = true
			ch.due(integration.TaskNone, time.Time{})
		}
		err = s.write(ctx, ch, "connection.disconnect")
		if errors.Is(err, integration.ErrFenced) {
			continue
		}
		if err != nil || ch.DropAll {
			return Disconnected{Connection: c.ID, Reason: ch.Connection.Reason}, err
		}
		return s.revoked(ctx, one, c.ID)
	}
}

// noRevocation is said where a provider takes no credentials back.
const noRevocation = "ended on request; the provider takes no credential back over its API: remove the key or the app there as well"

// revoked tells the provider now, and says how that went.
func (s *Connections) revoked(ctx context.Context, one *service, id string) (Disconnected, error) {
	outcome := s.revoke(ctx, one, id)
	d := Disconnected{Connection: id, Revoked: outcome.done, Pending: !outcome.done && !outcome.over, Reason: outcome.reason}
	return d, outcome.err
}

type revocation struct {
	done, over bool // told; nothing left to do
	reason     string
	err        error // of the store
}

// revoke asks the provider to take the credential back, and deletes it then.
func (s *Connections) revoke(ctx context.Context, one *service, id string) revocation {
	c, sealed, err := s.Store.Connection(ctx, id)
	if err != nil {
		return revocation{err: err}
	}
	if c.State != integration.ConnectionDisconnected {
		return revocation{over: true, reason: "it was connected again"}
	}
	opened, err := s.open(ctx, &c, sealed)
	if err != nil {
		return s.gaveUp(ctx, c, "its credentials can't be opened any more")
	}
	token := oauth.Token{Access: opened[fieldAccess], Refresh: opened[fieldRefresh]}
	if token.Access.IsZero() && token.Refresh.IsZero() {
		return s.gaveUp(ctx, c, "there is nothing left to revoke")
	}
	why := s.tellProvider(ctx, one, &c, opened, token)
	if why == nil {
		r := s.deleted(ctx, c, "ended on request; the provider took the credential back", "connection.revoked")
		r.done = true
		return r
	}
	if c.Attempts >= revocations {
		return s.gaveUp(ctx, c, "the provider could not be told within a day: "+why.Error()+"; remove the app there")
	}
	ch := s.changing(c, ActorMachine)
	attempts := c.Attempts + 1
	ch.to(integration.ConnectionDisconnected, "ended on request; the provider could not be told so far: "+why.Error())
	ch.due(integration.TaskRevoke, s.Now().Add(backoff(attempts, s.Dice())))
	ch.Connection.Attempts = attempts
	s.Log.WarnContext(ctx, "connection.revocation_failed", "alert", attempts == 5, "connection", c.ID, "service", c.Service, "attempt", attempts, "error", why)
	return revocation{reason: ch.Connection.Reason, err: s.write(ctx, ch, "")}
}

func (s *Connections) tellProvider(ctx context.Context, one *service, c *integration.Connection, opened map[string]integration.Secret, token oauth.Token) error {
	request, err := one.method.RevokeRequest(ctx, one.asker(c.Variables, one.with(opened), s.Now()), token)
	if err != nil {
		return err
	}
	answer, err := s.ask(ctx, one, request)
	if err != nil {
		return err
	}
	return one.method.ReadRevocation(answer)
}

func (s *Connections) gaveUp(ctx context.Context, c integration.Connection, reason string) revocation {
	s.Log.ErrorContext(ctx, "connection.not_revoked", "alert", true, "connection", c.ID, "service", c.Service, "reason", reason)
	r := s.deleted(ctx, c, "ended on request; "+reason, "connection.not_revoked")
	r.over = true
	return r
}

func (s *Connections) deleted(ctx context.Context, c integration.Connection, reason, action string) revocation {
	ch := s.changing(c, ActorMachine)
	ch.to(integration.ConnectionDisconnected, reason)
	ch.due(integration.TaskNone, time.Time{})
	ch.DropAll = true
	return revocation{reason: reason, err: s.write(ctx, ch, action)}
}
