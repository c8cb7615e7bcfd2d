package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/vault"
)

func stateBinding(o *integration.OAuthState) vault.Binding {
	return vault.Binding{Tenant: o.Tenant, Connection: o.Connection, Field: fieldState}
}

// connectWith tries the keys that somebody gave and keeps them if they work.
// Nothing is kept of those that do not. untried says that nobody knows a call to
// try them with.
func (s *Connections) connectWith(ctx context.Context, one *service, o integration.OAuthState, secrets map[string]integration.Secret, actor string) (untried bool, err error) {
	for name, v := range secrets {
		if v.IsZero() {
			delete(secrets, name)
		}
	}
	if err := one.given(secrets, o.Variables); err != nil {
		return false, err
	}
	ch, fresh, err := s.beginning(ctx, one, &o, actor)
	if err != nil {
		return false, err
	}
	ch.DropAll = true
	for name, secret := range secrets {
		if one.Own != nil {
			break // they stay where they are
		}
		if err := s.put(ctx, ch, name, secret, time.Time{}); err != nil {
			return false, err
		}
	}
	ch.to(integration.ConnectionConnected, "")
	ch.due(integration.TaskNone, time.Time{})
	ch.Connection.ExpiresAt, ch.Connection.RenewBefore = time.Time{}, time.Time{}
	opened := secrets
	if one.method == nil {
		ch.Connection.Account = one.accountOf(oauth.Token{}, ch.Connection.Variables, ch.Connection.Account)
	} else {
		token, err := s.firstToken(ctx, one, &ch.Connection, o.Scopes, secrets)
		if err != nil {
			return false, err
		}
		values, err := s.learn(ctx, one, token, nil, ch.Connection.Variables)
		if err != nil {
			return false, err
		}
		ch.Connection.Variables = values
		if err := s.take(ctx, ch, one, token, integration.Secret{}); err != nil {
			return false, err
		}
		ch.Connection.Account = one.accountOf(token, values, ch.Connection.Account)
		opened = map[string]integration.Secret{fieldAccess: token.Access}
		for name, v := range secrets {
			opened[name] = v
		}
	}
	if one.Own != nil {
		return false, s.connected(ctx, ch, fresh)
	}
	if untried, err = s.try(ctx, one, &ch.Connection, opened); err != nil {
		return false, err
	}
	return untried && one.method == nil, s.connected(ctx, ch, fresh)
}

// beginning is the change that makes a connection, or the one that is there
// anew.
func (s *Connections) beginning(ctx context.Context, one *service, o *integration.OAuthState, actor string) (ch *change, fresh bool, err error) {
	c, sealed, err := s.Store.Connection(ctx, o.Connection)
	switch {
	case errors.Is(err, integration.ErrNotFound):
		c = integration.Connection{ID: o.Connection, Tenant: o.Tenant, Service: one.Name, Environment: one.Environment, CreatedAt: s.Now().UTC()}
		fresh = true
	case err != nil:
		return nil, false, err
	case c.Tenant != o.Tenant || c.Service != one.Name || c.Environment != one.Environment:
		return nil, false, fmt.Errorf("connection %s: %w", o.Connection, integration.ErrNotFound)
	}
	if actor == "" {
		actor = "tenant"
	}
	c.Kind, c.Variables = one.Auth.Kind, o.Variables
	ch = s.changing(c, actor)
	if len(sealed) == 1 && sealed[0].Field == fieldDevice && len(c.Scopes) == 0 && c.ExpiresAt.IsZero() {
		ch.before = "" // it waited for its first confirmation
	}
	return ch, fresh, nil
}

// connected writes a connection that works.
func (s *Connections) connected(ctx context.Context, ch *change, fresh bool) error {
	action := ""
	if ch.before != "" {
		action = "connection.reconnected"
	}
	s.finish(ch, action)
	write := s.Store.ChangeConnection
	if fresh {
		write = s.Store.CreateConnection
	}
	if err := write(ctx, ch.ConnectionChange); err != nil {
		return err
	}
	s.failures.Delete(ch.Connection.ID)
	s.tell(ctx, ch)
	if !ch.Connection.DueAt.IsZero() {
		s.Wake()
	}
	return nil
}

// firstToken asks for the first token of a grant without a person.
func (s *Connections) firstToken(ctx context.Context, one *service, c *integration.Connection, scopes []string, secrets map[string]integration.Secret) (oauth.Token, error) {
	now := s.Now()
	asker, own := one.asker(c.Variables, secrets, now), one.own(scopes, secrets)
	if one.method.Grant() == oauth.SelfSigned {
		token, err := one.method.Sign(asker, own)
		if err != nil {
			return token, &RequestError{Problems: []string{err.Error()}}
		}
		return token, nil
	}
	request, err := one.method.OwnRequest(ctx, asker, own)
	if err != nil {
		return oauth.Token{}, &RequestError{Problems: []string{err.Error()}}
	}
	answer, err := s.ask(ctx, one, request)
	if err != nil {
		return oauth.Token{}, err
	}
	token, err := one.method.ReadToken(answer, scopes, now)
	if no := (*oauth.Error)(nil); errors.As(err, &no) && no.Reason != oauth.ReasonTemporary {
		return token, &RefusedError{Status: no.Status, Reason: no.Error()}
	}
	return token, err
}

// RefusedError says that the provider does not take what somebody gave.
type RefusedError struct {
	Status int // of the provider's answer
	Reason string
}

// Error says what the provider answered.
func (e *RefusedError) Error() string {
	return "the provider does not take the credential: " + e.Reason
}

// try makes the check call. It is a *RefusedError when the provider refuses.
func (s *Connections) try(ctx context.Context, one *service, c *integration.Connection, opened map[string]integration.Secret) (untried bool, err error) {
	if one.Check == nil {
		return true, nil
	}
	ready, err := s.ready(one, c, opened)
	if err != nil {
		return false, err
	}
	address, err := oauth.Fill(one.Variables, one.Check.URL, c.Variables)
	if err != nil {
		return false, err
	}
	if u, parseErr := url.Parse(address); parseErr == nil && u.Host == "" {
		base := ready.BaseURL
		if base == "" {
			base = one.BaseURL
		}
		address = strings.TrimSuffix(base, "/") + "/" + strings.TrimPrefix(address, "/")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return false, errors.New("the address of the check call can't be used")
	}
	if _, err := ready.Apply(r); err != nil {
		return false, &RequestError{Problems: []string{err.Error()}}
	}
	answer, err := s.ask(ctx, one, r)
	switch {
	case err != nil:
		return false, err
	case answer.Status >= 200 && answer.Status <= 299:
		return false, nil
	case answer.Status == http.StatusTooManyRequests || answer.Status >= 500:
		return false, fmt.Errorf("%w: it answered %d to the check call", errUnanswered, answer.Status)
	}
	return false, &RefusedError{Status: answer.Status, Reason: fmt.Sprintf("it answers %d to the check call", answer.Status)}
}
