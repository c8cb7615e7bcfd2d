package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/credential"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
)

// Credential is what a call of one connection uses. It must not be changed.
type Credential struct {
	Connection string
	Service    string
	Tenant     string
	// Secret is the token or the key.
	Secret integration.Secret
	// Headers go together with it, such as a second key or an account.
	Headers map[string]integration.Secret
	// BaseURL is where this connection's calls go; empty: where the plan says.
	BaseURL string
	// Fingerprint of Secret, for the log.
	Fingerprint string
	// Expires is when Secret ends; zero: it does not, or nobody said.
	Expires time.Time

	applier   *credential.Applier
	renewable bool
	due       time.Time // from when on it is renewed ahead
}

// Apply puts the credential onto a request, in the place of what a caller had
// put there, and returns its fingerprint for the log.
func (c *Credential) Apply(r *http.Request) (fingerprint string, err error) {
	c.applier.Strip(r.Header, r.URL)
	for name, value := range c.Headers {
		r.Header[http.CanonicalHeaderKey(name)] = []string{value.Reveal()}
	}
	return c.applier.Apply(r, c.Secret)
}

// StateError says that a connection can't be used: there is none, it needs a
// person, or it was ended.
type StateError struct {
	Connection string // empty: there is none
	State      integration.ConnectionState
	Reason     string
}

// Error says what is wrong and what to do.
func (e *StateError) Error() string {
	if e.Connection == "" {
		return "the tenant has no connection; POST …/connect begins one and answers with the address to send the tenant to"
	}
	text := "connection " + e.Connection + " is " + string(e.State)
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text + "; the tenant has to connect again: see …/status for the address"
}

// skew is how long before its end a token is not used any more: it has to
// arrive at the provider, whose clock may be ahead.
const skew = 10 * time.Second

// For returns the credential of a tenant's connection, or of the connection with
// that id. A warm one costs no look into the store. One that has ended is
// renewed first; one that soon ends is renewed while this call uses it still.
// The error is a *StateError when somebody has to act.
func (s *Connections) For(ctx context.Context, service, tenant, connection string) (*Credential, error) {
	if one := s.services[service]; one != nil && one.Own != nil {
		tenant, connection = "", "" // it serves everybody
	}
	key := who{service: service, connection: connection}
	if connection == "" {
		key.tenant = tenant
	}
	now := s.Now()
	e := s.memory.get(key)
	if e == nil || now.Sub(e.loaded) >= s.Fresh || connection != "" && tenant != "" && e.credential.Tenant != tenant {
		var err error
		if e, err = s.load(ctx, key, tenant); err != nil {
			return nil, err
		}
	}
	if c := &e.credential; c.renewable && !c.due.IsZero() && !now.Before(c.due) {
		if !c.Expires.IsZero() && !now.Before(c.Expires.Add(-skew)) {
			return s.renew(ctx, key, c, true)
		}
		s.renewBehind(ctx, key, c)
	}
	s.use(e, now)
	return &e.credential, nil
}

// use notes that a connection was used; Run writes it down.
func (s *Connections) use(e *entry, now time.Time) {
	minute := now.Unix() / 60
	if e.minute.Load() != minute {
		e.minute.Store(minute)
		s.used.Store(e.credential.Connection, now)
	}
}

// load reads a connection from the store and makes it ready, once for all who
// ask at a time.
func (s *Connections) load(ctx context.Context, key who, tenant string) (*entry, error) {
	one, err := s.service(key.service)
	if err != nil {
		return nil, err
	}
	got, err := s.shared(ctx, loading(key), func(ctx context.Context) (any, error) {
		id := key.connection
		if id == "" && one.Own != nil {
			var err error
			if id, err = s.own(ctx, one); err != nil {
				return nil, err
			}
		}
		if id == "" {
			list, err := s.Store.ConnectionsOf(ctx, one.Name, one.Environment, key.tenant)
			if err != nil {
				return nil, err
			}
			if id = pick(list); id == "" {
				return nil, &StateError{}
			}
		}
		return s.read(ctx, one, key, id)
	})
	if err != nil {
		return nil, err
	}
	e := got.(*entry)
	if tenant != "" && e.credential.Tenant != tenant {
		return nil, &StateError{} // whose it is is nobody's business
	}
	return e, nil
}

// pick chooses among a tenant's connections: the youngest usable one, else the
// youngest.
func pick(list []integration.Connection) string {
	for i := range list {
		if list[i].State.Usable() {
			return list[i].ID
		}
	}
	if len(list) > 0 {
		return list[0].ID
	}
	return ""
}

func (s *Connections) read(ctx context.Context, one *service, key who, id string) (*entry, error) {
	c, sealed, err := s.Store.Connection(ctx, id)
	switch {
	case errors.Is(err, integration.ErrNotFound) || err == nil && (c.Service != one.Name || c.Environment != one.Environment):
		return nil, &StateError{}
	case err != nil:
		return nil, err
	case !c.State.Usable():
		return nil, &StateError{Connection: c.ID, State: c.State, Reason: c.Reason}
	}
	opened, err := s.open(ctx, &c, sealed)
	if err != nil {
		return nil, err
	}
	ready, err := s.ready(one, &c, one.with(opened))
	if err != nil {
		return nil, err
	}
	e := &entry{credential: *ready, loaded: s.Now()}
	s.memory.put(key, e)
	return e, nil
}

// ready makes the credential of an opened connection.
func (s *Connections) ready(one *service, c *integration.Connection, opened map[string]integration.Secret) (*Credential, error) {
	secret, renewable := opened[fieldKey], false
	if one.method != nil {
		secret = opened[fieldAccess]
		renewable = !opened[fieldRefresh].IsZero() || one.method.Grant() != oauth.AuthorizationCode
	}
	applier, err := credential.Compile(filledBasic(one.Auth, c.Variables))
	if err != nil {
		return nil, err
	}
	ready := &Credential{
		Connection: c.ID, Service: c.Service, Tenant: c.Tenant, Secret: secret, Fingerprint: secret.Fingerprint(), Expires: c.ExpiresAt,
		applier: applier, renewable: renewable, due: c.ExpiresAt,
	}
	if c.Task == integration.TaskRefresh && !c.DueAt.IsZero() && c.DueAt.Before(ready.due) {
		ready.due = c.DueAt
	} else if !ready.due.IsZero() {
		ready.due = ready.due.Add(-skew)
	}
	if ready.Headers, err = headers(one.Auth, c.Variables, opened, one.asker(nil, opened, time.Time{}).Client.ID); err != nil {
		return nil, err
	}
	ready.BaseURL = c.BaseURL
	if ready.BaseURL == "" && strings.Contains(one.BaseURL, "{") {
		if ready.BaseURL, err = oauth.Fill(one.Variables, one.BaseURL, c.Variables); err != nil {
			return nil, fmt.Errorf("base_url: %w", err)
		}
	}
	return ready, nil
}

// headers fills in the headers that go together with the credential, from what
// was given for them and what the provider told.
func headers(auth catalog.Auth, variables map[string]string, opened map[string]integration.Secret, client string) (map[string]integration.Secret, error) {
	if len(auth.Headers) == 0 {
		return nil, nil
	}
	filled := make(map[string]integration.Secret, len(auth.Headers))
	for name, template := range auth.Headers {
		value := template
		for _, v := range variablesIn(template) {
			with := opened[v].Reveal()
			if with == "" {
				with = variables[v]
			}
			if with == "" && v == "client_id" {
				with = client
			}
			if with == "" {
				return nil, fmt.Errorf("auth.headers.%s: {%s} is not known; connect again", name, v)
			}
			value = strings.ReplaceAll(value, "{"+v+"}", with)
		}
		filled[name] = integration.NewSecret(value)
	}
	return filled, nil
}

// filledBasic fills in the variables of basic authentication, all but {secret}.
func filledBasic(auth catalog.Auth, variables map[string]string) catalog.Auth {
	for name, value := range variables {
		if name != "secret" {
			auth.Username = strings.ReplaceAll(auth.Username, "{"+name+"}", value)
			auth.Password = strings.ReplaceAll(auth.Password, "{"+name+"}", value)
		}
	}
	return auth
}

// loading and renewalOf name what is done once for all. A renewal is that of one
// credential: who was refused with the next one must not take the end of this
// renewal for an answer.
func loading(key who) string {
	return "load\x00" + key.service + "\x00" + key.connection + "\x00" + key.tenant
}

func renewalOf(connection, fingerprint string) string {
	return "renew\x00" + connection + "\x00" + fingerprint
}

// shared runs work once for all who ask for the same at a time. It goes on when
// the one who began it goes away.
func (s *Connections) shared(ctx context.Context, key string, work func(ctx context.Context) (any, error)) (any, error) {
	result := s.flights.DoChan(key, func() (v any, err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("connect: panic: %v", r)
			}
		}()
		return work(context.WithoutCancel(ctx))
	})
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case r := <-result:
		return r.Val, r.Err
	}
}

// renew renews a credential and returns the new one. With forced it does so
// whatever the times say.
func (s *Connections) renew(ctx context.Context, key who, c *Credential, forced bool) (*Credential, error) {
	one, err := s.service(c.Service)
	if err != nil {
		return nil, err
	}
	_, err = s.shared(ctx, renewalOf(c.Connection, c.Fingerprint), func(ctx context.Context) (any, error) {
		if f, ok := s.failures.Load(c.Connection); ok && s.Now().Sub(f.(failure).at) < breather {
			return nil, f.(failure).err
		}
		err := s.refresh(ctx, one, c.Connection, c.Fingerprint, forced)
		if err != nil {
			s.failures.Store(c.Connection, failure{s.Now(), err})
		} else {
			s.failures.Delete(c.Connection)
		}
		return nil, err
	})
	if err != nil {
		return nil, err
	}
	s.flights.Forget(loading(key)) // one that began before would bring the old credential
	e, err := s.load(ctx, key, c.Tenant)
	if err != nil {
		return nil, err
	}
	s.use(e, s.Now())
	return &e.credential, nil
}

// breather is how long a failed renewal is not tried again for callers: a
// provider that is down is not asked once a call.
const breather = 2 * time.Second

type failure struct {
	at  time.Time
	err error
}

// renewBehind renews while the caller goes on with what there is.
func (s *Connections) renewBehind(ctx context.Context, key who, c *Credential) {
	ctx = context.WithoutCancel(ctx)
	s.flights.DoChan("behind\x00"+c.Connection, func() (any, error) {
		_, err := s.renew(ctx, key, c, true)
		if err != nil {
			s.Log.WarnContext(ctx, "connection.renewal_failed", "connection", c.Connection, "service", c.Service, "error", err)
		}
		return nil, nil
	})
}

// Refused is told that the provider answered 401 to a call with this credential
// (R4.2). It returns the one to try again with, once: renewed, by one request
// for all callers, or the one that somebody else had renewed meanwhile. When
// there is nothing to renew the connection is disconnected and the error is a
// *StateError.
func (s *Connections) Refused(ctx context.Context, c *Credential) (*Credential, error) {
	key := who{service: c.Service, connection: c.Connection}
	if c.renewable {
		return s.renew(ctx, key, c, true)
	}
	s.memory.forget(&integration.Connection{ID: c.Connection, Service: c.Service, Tenant: c.Tenant})
	e, err := s.load(ctx, key, c.Tenant)
	if err != nil {
		return nil, err
	}
	if e.credential.Fingerprint != c.Fingerprint {
		return &e.credential, nil // it was replaced meanwhile
	}
	return nil, s.StillRefused(ctx, c)
}

// StillRefused is told that the provider answered 401 to the second try as well:
// the connection is disconnected, and whom it concerns is told. Its credentials
// stay, sealed, until the tenant connects again: where the profile has a call
// to check them with, they are tried again later (R2.5). It returns the
// *StateError to answer with.
func (s *Connections) StillRefused(ctx context.Context, c *Credential) error {
	ctx = context.WithoutCancel(ctx)
	one, err := s.service(c.Service)
	if err != nil {
		return err
	}
	for {
		kept, sealed, err := s.Store.Connection(ctx, c.Connection)
		if err != nil {
			return err
		}
		state := &StateError{Connection: kept.ID, State: kept.State, Reason: kept.Reason}
		if !kept.State.Usable() {
			return state
		}
		if current := fingerprint(sealed, one); current != "" && current != c.Fingerprint {
			return errors.New("the credential was replaced meanwhile; try the call again")
		}
		ch := s.changing(kept, ActorMachine)
		ch.to(integration.ConnectionDisconnected, "the provider answers 401 to its credential; the tenant has to connect again")
		ch.due(integration.TaskNone, time.Time{})
		if one.Check != nil {
			ch.due(integration.TaskCheck, s.Now().Add(checkEvery))
		}
		err = s.write(ctx, ch, "")
		if errors.Is(err, integration.ErrFenced) {
			continue
		}
		if err != nil {
			return err
		}
		state.State, state.Reason = ch.Connection.State, ch.Connection.Reason
		return state
	}
}

// checkEvery is how long it takes until a refused credential is tried again.
const checkEvery = time.Hour

// fingerprint is that of the credential that calls use.
func fingerprint(sealed []integration.Credential, one *service) string {
	field := fieldKey
	if one.method != nil {
		field = fieldAccess
	}
	for i := range sealed {
		if sealed[i].Field == field {
			return sealed[i].Fingerprint
		}
	}
	return ""
}
