package connect

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/url"

	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
)

// Why a flow ended without a connection, for the return_url and for our page.
const (
	EndedConnected = "connected"          // it did not: there is a connection
	EndedDenied    = "access_denied"      // the person said no
	EndedRefused   = "provider_refused"   // the provider refused, or its answer can't be trusted
	EndedDown      = "provider_down"      // the provider did not answer; try again
	EndedExpired   = "link_expired"       // the link was used, has expired, or never was
	EndedBrowser   = "other_browser"      // it was begun in another browser
	EndedInternal  = "internal_error"     // ours
	EndedKeys      = "credential_refused" // the provider does not take the keys
)

// Ended is how a flow ended.
type Ended struct {
	Outcome    string // one of the words above
	Reason     string // for people; empty when there is nothing to add
	Connection string // empty when the flow is not known
	Service    string // likewise
	// Redirect is where the browser goes; empty: our own page says it.
	Redirect string
}

// Callback ends what the provider sent a person back for. browser is the cookie
// of the browser that came. Whatever comes, the state is used up.
func (s *Connections) Callback(ctx context.Context, query url.Values, browser string) Ended {
	state := query.Get("state")
	if len(query["state"]) != 1 || len(state) > 128 {
		return Ended{Outcome: EndedExpired}
	}
	o, err := s.Store.TakeOAuthState(ctx, hash(state), s.Now())
	one := s.services[o.Service]
	switch {
	case errors.Is(err, integration.ErrNotFound) || err == nil && (o.Flow != flowOAuth || one == nil || one.Environment != o.Environment):
		return Ended{Outcome: EndedExpired}
	case err != nil:
		s.Log.ErrorContext(ctx, "connect.callback", "error", err)
		return Ended{Outcome: EndedInternal}
	}
	if o.Browser != "" && subtle.ConstantTimeCompare([]byte(o.Browser), []byte(hash(browser))) != 1 {
		s.Log.WarnContext(ctx, "connect.other_browser", "alert", true, "service", o.Service, "tenant", o.Tenant, "connection", o.Connection)
		return Ended{Outcome: EndedBrowser, Connection: o.Connection, Service: o.Service} // and nowhere else: who knows whose browser it is
	}
	// A person who closes the window does not undo what the provider granted.
	err = s.finishFlow(context.WithoutCancel(ctx), one, o, query)
	return s.end(ctx, o, err)
}

// end says how a flow ended, to our page or to the return address.
func (s *Connections) end(ctx context.Context, o integration.OAuthState, err error) Ended {
	e := Ended{Outcome: EndedConnected, Connection: o.Connection, Service: o.Service}
	var no *oauth.Error
	var refused *RefusedError
	switch {
	case err == nil:
	case errors.As(err, &no) && no.Reason == oauth.ReasonDenied:
		e.Outcome = EndedDenied
	case errors.As(err, &no) && no.Reason == oauth.ReasonTemporary, errors.Is(err, errUnanswered):
		e.Outcome, e.Reason = EndedDown, err.Error()
	case errors.As(err, &refused):
		e.Outcome, e.Reason = EndedKeys, err.Error()
	default:
		e.Outcome, e.Reason = EndedRefused, err.Error()
	}
	if err != nil {
		s.Log.WarnContext(ctx, "connect.ended", "service", o.Service, "tenant", o.Tenant, "connection", o.Connection, "outcome", e.Outcome, "error", err)
	}
	if o.ReturnURL == "" || !s.mayReturn(o.ReturnURL) {
		return e
	}
	back, parseErr := url.Parse(o.ReturnURL)
	if parseErr != nil {
		return e
	}
	query := back.Query()
	query.Set("connection", o.Connection)
	query.Set("service", o.Service)
	query.Set("status", "connected")
	if err != nil {
		query.Set("status", "failed")
		query.Set("reason", e.Outcome)
	}
	back.RawQuery = query.Encode()
	e.Redirect = back.String()
	return e
}

// finishFlow turns the callback into a connection.
func (s *Connections) finishFlow(ctx context.Context, one *service, o integration.OAuthState, query url.Values) error {
	asker := one.asker(o.Variables, nil, s.Now())
	callback, err := one.method.ReadCallback(query, asker.Values)
	if err != nil {
		return err
	}
	plain, err := s.Sealer.Open(ctx, stateBinding(&o), o.Sealed)
	if err != nil {
		return err
	}
	var flow secretsOfFlow
	if err := json.Unmarshal([]byte(plain.Reveal()), &flow); err != nil {
		return errors.New("what was kept of the beginning can't be read")
	}
	request, err := one.method.CodeRequest(ctx, asker, callback, o.RedirectURI, integration.NewSecret(flow.Verifier))
	if err != nil {
		return err
	}
	answer, err := s.ask(ctx, one, request)
	if err != nil {
		return err
	}
	token, err := one.method.ReadToken(answer, o.Scopes, s.Now())
	if err != nil {
		return err
	}
	account, err := s.account(ctx, one, asker, token, flow.Nonce)
	if err != nil {
		return err
	}
	values, err := s.learn(ctx, one, token, callback.Query, o.Variables)
	if err != nil {
		return err
	}
	return s.keepGrant(ctx, one, &o, token, values, account)
}

// account reads whose account it is out of the ID token, where one came.
func (s *Connections) account(ctx context.Context, one *service, asker oauth.Asker, token oauth.Token, nonce string) (string, error) {
	if !one.method.OffersIDToken() || token.ID.IsZero() {
		return "", nil
	}
	identity, err := one.method.CheckIDToken(ctx, one.http, asker, token, nonce)
	if err != nil || identity.Email == "" {
		return identity.Subject, err
	}
	return identity.Email, nil
}

// keepGrant keeps what a person granted. Should somebody change the connection at
// the same moment, it is read and written again: the grant is not lost.
func (s *Connections) keepGrant(ctx context.Context, one *service, o *integration.OAuthState, token oauth.Token, values map[string]string, account string) error {
	for {
		ch, fresh, err := s.beginning(ctx, one, o, "")
		if err != nil {
			return err
		}
		ch.Connection.Variables, ch.Connection.Account, ch.Connection.RenewBefore = values, one.accountOf(token, values, account), token.RefreshExpires
		ch.DropAll = true
		if err := s.take(ctx, ch, one, token, integration.Secret{}); err != nil {
			return err
		}
		if _, err := s.try(ctx, one, &ch.Connection, map[string]integration.Secret{fieldAccess: token.Access}); err != nil {
			if refused := (*RefusedError)(nil); errors.As(err, &refused) {
				return err
			}
		}
		err = s.connected(ctx, ch, fresh)
		if errors.Is(err, integration.ErrFenced) || fresh && errors.Is(err, integration.ErrState) {
			continue
		}
		return err
	}
}
