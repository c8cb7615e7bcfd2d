package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
)

// Device is a code that a person has to confirm at the provider, on a device of
// their own (RFC 8628).
type Device struct {
	UserCode        string // to be typed in
	VerificationURI string // where
	CompleteURI     string // the same with the code in it; may be empty
	Expires         time.Time
}

// fieldDevice is what a device flow under way is kept under, beside what calls
// use meanwhile.
const fieldDevice = "device_code"

// deviceFlow is what is sealed of a device flow: enough for any process to go on
// asking.
type deviceFlow struct {
	Code        string            `json:"code"`
	UserCode    string            `json:"user_code"`
	URI         string            `json:"uri"`
	CompleteURI string            `json:"complete_uri,omitempty"`
	Expires     time.Time         `json:"expires"`
	Seconds     int               `json:"interval"`
	Variables   map[string]string `json:"variables,omitempty"`
	Scopes      []string          `json:"scopes,omitempty"`
}

func (f *deviceFlow) interval() time.Duration { return time.Duration(f.Seconds) * time.Second }

func (f *deviceFlow) shown() *Device {
	return &Device{UserCode: f.UserCode, VerificationURI: f.URI, CompleteURI: f.CompleteURI, Expires: f.Expires}
}

// Why a connection that waits for a code can't be used, and why it came to
// nothing.
const (
	deviceWaits   = "somebody has to confirm a code at the provider; until then there is no connection"
	deviceExpired = "nobody confirmed the code at the provider in time; begin again"
	deviceDenied  = "the person said no at the provider; begin again if that was a mistake"
)

// startDevice asks the provider for a code and has Work ask whether it was
// confirmed. A connection that works goes on to work meanwhile.
func (s *Connections) startDevice(ctx context.Context, one *service, o integration.OAuthState, actor string) (Started, error) {
	if one.method == nil || !one.method.HasDevice() {
		return Started{}, &RequestError{Problems: []string{"device: the provider has no device flow, as far as its profile knows; leave it out"}}
	}
	asker := one.asker(o.Variables, nil, s.Now())
	request, err := one.method.DeviceRequest(ctx, asker, o.Scopes)
	if err != nil {
		return Started{}, &RequestError{Problems: []string{err.Error()}}
	}
	answer, err := s.ask(ctx, one, request)
	if err != nil {
		return Started{}, err
	}
	d, err := one.method.ReadDevice(answer, s.Now())
	if err != nil {
		return Started{}, err
	}
	flow := deviceFlow{
		Code: d.Code.Reveal(), UserCode: d.UserCode, URI: d.VerificationURI, CompleteURI: d.CompleteURI, Expires: d.Expires.UTC(),
		Seconds: int(d.Interval / time.Second), Variables: o.Variables, Scopes: o.Scopes,
	}
	c, err := s.awaitDevice(ctx, one, &o, &flow, actor)
	if err != nil {
		return Started{}, err
	}
	started := Started{Connection: c.ID, State: c.State, Device: flow.shown()}
	// The page goes on to say for a while how it ended.
	started.URL, err = s.link(ctx, flowDevice, o, flow.Expires.Sub(s.Now())+10*time.Minute)
	return started, err
}

// awaitDevice keeps a device flow with its connection.
func (s *Connections) awaitDevice(ctx context.Context, one *service, o *integration.OAuthState, flow *deviceFlow, actor string) (integration.Connection, error) {
	for {
		c, _, err := s.Store.Connection(ctx, o.Connection)
		write := s.Store.ChangeConnection
		switch {
		case errors.Is(err, integration.ErrNotFound):
			write = s.Store.CreateConnection
			c = integration.Connection{
				ID: o.Connection, Tenant: o.Tenant, Service: one.Name, Environment: one.Environment, Kind: one.Auth.Kind, Variables: o.Variables,
				CreatedAt: s.Now().UTC(), State: integration.ConnectionDisconnected, Reason: deviceWaits,
			}
		case err != nil:
			return c, err
		case c.Tenant != o.Tenant || c.Service != one.Name || c.Environment != one.Environment:
			return c, fmt.Errorf("connection %s: %w", o.Connection, integration.ErrNotFound)
		case !c.State.Usable():
			c.Reason = deviceWaits
		}
		ch := s.changing(c, actor)
		if err := s.putDevice(ctx, ch, flow); err != nil {
			return c, err
		}
		ch.polls = false
		ch.due(integration.TaskCheck, s.Now().Add(flow.interval()))
		ch.Connection.Attempts = 0
		s.finish(ch, "connection.device_begun")
		err = write(ctx, ch.ConnectionChange)
		if errors.Is(err, integration.ErrFenced) || errors.Is(err, integration.ErrState) {
			continue
		}
		if err == nil {
			s.tell(ctx, ch)
			s.Wake()
		}
		return ch.Connection, err
	}
}

func (s *Connections) putDevice(ctx context.Context, ch *change, flow *deviceFlow) error {
	plain, err := json.Marshal(flow)
	if err != nil {
		return err
	}
	return s.put(ctx, ch, fieldDevice, integration.NewSecret(string(plain)), flow.Expires)
}

// device opens the flow that a connection waits for; nil: there is none.
func (s *Connections) device(ctx context.Context, c *integration.Connection, sealed []integration.Credential) (*deviceFlow, error) {
	i := slices.IndexFunc(sealed, func(k integration.Credential) bool { return k.Field == fieldDevice })
	if i < 0 {
		return nil, nil //nolint:nilnil // that there is none is the usual case
	}
	plain, err := s.Sealer.Open(ctx, binding(c, fieldDevice), sealed[i].Sealed)
	if err != nil {
		return nil, err
	}
	flow := &deviceFlow{}
	if err := json.Unmarshal([]byte(plain.Reveal()), flow); err != nil {
		return nil, errors.New("what was kept of the device flow can't be read")
	}
	return flow, nil
}

// poll asks the provider whether a person has confirmed the code (RFC 8628,
// sections 3.4 and 3.5).
func (s *Connections) poll(ctx context.Context, one *service, c *integration.Connection, sealed []integration.Credential) integration.ConnectionOutcome {
	ctx = context.WithoutCancel(ctx) // the provider gives the token once
	flow, err := s.device(ctx, c, sealed)
	now := s.Now()
	switch {
	case err != nil:
		return s.endDevice(ctx, one, c, sealed, "failed", err.Error())
	case !now.Before(flow.Expires):
		return s.endDevice(ctx, one, c, sealed, "expired", deviceExpired)
	}
	token, err := s.askDevice(ctx, one, flow)
	var no *oauth.Error
	switch {
	case err == nil:
		err = s.confirmed(ctx, one, c, flow, token)
		if err == nil {
			return integration.ConnectionOutcome{}
		}
		s.Log.ErrorContext(ctx, "connect.ended", "alert", true, "service", one.Name, "connection", c.ID, "error", err)
		return s.endDevice(ctx, one, c, sealed, "failed", "the code was confirmed and no connection came of it: "+err.Error())
	case errors.Is(err, errUnanswered):
		return integration.ConnectionOutcome{Task: integration.TaskCheck, DueAt: s.Now().Add(2 * flow.interval())}
	case !errors.As(err, &no):
		return s.endDevice(ctx, one, c, sealed, "failed", err.Error())
	}
	switch {
	case no.Reason == oauth.ReasonPending && strings.EqualFold(no.Code, "slow_down"):
		return s.slower(ctx, c, flow)
	case no.Reason == oauth.ReasonPending:
		return integration.ConnectionOutcome{Task: integration.TaskCheck, DueAt: s.Now().Add(flow.interval())}
	case no.Reason == oauth.ReasonTemporary:
		return integration.ConnectionOutcome{Task: integration.TaskCheck, DueAt: s.Now().Add(max(no.Wait, 2*flow.interval()))}
	case no.Reason == oauth.ReasonDenied:
		return s.endDevice(ctx, one, c, sealed, "denied", deviceDenied)
	case strings.EqualFold(no.Code, "expired_token"):
		return s.endDevice(ctx, one, c, sealed, "expired", deviceExpired)
	}
	return s.endDevice(ctx, one, c, sealed, "failed", no.Error())
}

func (s *Connections) askDevice(ctx context.Context, one *service, flow *deviceFlow) (oauth.Token, error) {
	request, err := one.method.DeviceTokenRequest(ctx, one.asker(flow.Variables, nil, s.Now()), oauth.Device{Code: integration.NewSecret(flow.Code)})
	if err != nil {
		return oauth.Token{}, err
	}
	answer, err := s.ask(ctx, one, request)
	if err != nil {
		return oauth.Token{}, err
	}
	return one.method.ReadToken(answer, flow.Scopes, s.Now())
}

// slowDown is how much longer to wait between two asks from now on when the
// provider says slow_down (RFC 8628, section 3.5).
const slowDown = 5 * time.Second

func (s *Connections) slower(ctx context.Context, c *integration.Connection, flow *deviceFlow) integration.ConnectionOutcome {
	flow.Seconds += int(slowDown / time.Second)
	next := integration.ConnectionOutcome{Task: integration.TaskCheck, DueAt: s.Now().Add(flow.interval())}
	ch := s.changing(*c, ActorMachine)
	ch.polls = false
	ch.due(next.Task, next.DueAt)
	err := s.putDevice(ctx, ch, flow)
	if err == nil {
		err = s.write(ctx, ch, "")
	}
	if err != nil {
		s.Log.WarnContext(ctx, "connection.device", "connection", c.ID, "error", err)
	}
	return next
}

// confirmed makes the connection. The token exists nowhere else, so a store or a
// provider that is away for a moment is asked again.
func (s *Connections) confirmed(ctx context.Context, one *service, c *integration.Connection, flow *deviceFlow, token oauth.Token) error {
	ctx, cancel := context.WithTimeout(ctx, keepFor)
	defer cancel()
	o := integration.OAuthState{Connection: c.ID, Tenant: c.Tenant, Service: c.Service, Environment: c.Environment, Variables: flow.Variables, Scopes: flow.Scopes}
	for wait := waitFirst; ; wait = min(2*wait, time.Second) {
		err := s.keepDevice(ctx, one, &o, token)
		var refused *RefusedError
		var no *oauth.Error
		if err == nil || errors.As(err, &refused) || errors.As(err, &no) || errors.Is(err, integration.ErrNotFound) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

func (s *Connections) keepDevice(ctx context.Context, one *service, o *integration.OAuthState, token oauth.Token) error {
	account, err := s.account(ctx, one, one.asker(o.Variables, nil, s.Now()), token, "")
	if err != nil {
		return &RefusedError{Reason: err.Error()}
	}
	values, err := s.learn(ctx, one, token, nil, o.Variables)
	if err != nil {
		return err
	}
	return s.keepGrant(ctx, one, o, token, values, account)
}

// endDevice ends a device flow that came to nothing. What worked before goes on
// to work.
func (s *Connections) endDevice(ctx context.Context, one *service, c *integration.Connection, sealed []integration.Credential, outcome, reason string) integration.ConnectionOutcome {
	s.Log.WarnContext(ctx, "connect.ended", "service", one.Name, "tenant", c.Tenant, "connection", c.ID, "outcome", "device_"+outcome, "error", reason)
	if err := s.dropDevice(ctx, one, c, sealed, ActorMachine, outcome, reason); err != nil && !errors.Is(err, integration.ErrFenced) {
		s.Log.ErrorContext(ctx, "connection.work", "connection", c.ID, "task", c.Task, "error", err)
	}
	return integration.ConnectionOutcome{Task: integration.TaskCheck, DueAt: s.Now().Add(time.Minute)} // where nothing was written
}

func (s *Connections) dropDevice(ctx context.Context, one *service, c *integration.Connection, sealed []integration.Credential, actor, outcome, reason string) error {
	has := func(field string) bool {
		return slices.ContainsFunc(sealed, func(k integration.Credential) bool { return k.Field == field })
	}
	ch := s.changing(*c, actor)
	ch.Drop, ch.polls, ch.told = []string{fieldDevice}, false, true
	ch.due(integration.TaskNone, time.Time{})
	switch {
	case c.State.Usable():
		ch.due(s.nextRenewal(&ch.Connection, has(fieldRefresh), has(fieldRefresh)))
	case c.State == integration.ConnectionDisconnected && has(fieldAccess) && one.Check != nil:
		ch.due(integration.TaskCheck, s.Now().Add(checkEvery))
		fallthrough
	default:
		ch.to(c.State, reason)
	}
	return s.write(ctx, ch, "connection.device_"+outcome)
}
