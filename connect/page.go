package connect

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
)

// Page is what our own page asks of a person.
type Page struct {
	Service string
	Tenant  string
	Fields  []Field           // to be filled in; none: the person only has to go on
	Given   map[string]string // variables that are known already
	Leave   bool              // what follows is the provider's own page
	Device  *Device           // a code to be confirmed at the provider; nil: none
	Ended   *Ended            // it is over, and how; nil: it is not
}

// ErrLink says that a link was used, has expired, or never was.
var ErrLink = errors.New("the link was used already, has expired, or never was")

// Page reads the flow behind a link. The link goes on to work.
func (s *Connections) Page(ctx context.Context, token string) (Page, error) {
	o, one, err := s.page(ctx, token, false)
	if err != nil {
		return Page{}, err
	}
	if o.Flow == flowDevice {
		return s.devicePage(ctx, o)
	}
	return Page{Service: o.Service, Tenant: o.Tenant, Fields: one.fields(), Given: o.Variables, Leave: one.needsPerson()}, nil
}

func (s *Connections) page(ctx context.Context, token string, take bool) (integration.OAuthState, *service, error) {
	if len(token) < 32 || len(token) > 128 {
		return integration.OAuthState{}, nil, ErrLink
	}
	read := s.Store.OAuthState
	if take {
		read = s.Store.TakeOAuthState
	}
	o, err := read(ctx, hash(token), s.Now())
	one := s.services[o.Service]
	if errors.Is(err, integration.ErrNotFound) || err == nil && (o.Flow != flowPage && o.Flow != flowDevice || one == nil || one.Environment != o.Environment) {
		return integration.OAuthState{}, nil, ErrLink
	}
	return o, one, err
}

// devicePage shows the code as long as it can be confirmed, and then how it ended.
func (s *Connections) devicePage(ctx context.Context, o integration.OAuthState) (Page, error) {
	page := Page{Service: o.Service, Tenant: o.Tenant}
	c, sealed, err := s.Store.Connection(ctx, o.Connection)
	if err != nil {
		return page, err
	}
	flow, err := s.device(ctx, &c, sealed)
	switch {
	case err != nil:
		return page, err
	case flow != nil:
		page.Device = flow.shown()
		return page, nil
	case c.State.Usable():
		err = nil
	case c.Reason == deviceDenied:
		err = &oauth.Error{Code: EndedDenied, Reason: oauth.ReasonDenied}
	default:
		err = errors.New(c.Reason)
	}
	ended := s.end(ctx, o, err)
	page.Ended = &ended
	return page, nil
}

// declineDevice ends a device flow because the person does not want to.
func (s *Connections) declineDevice(ctx context.Context, one *service, o integration.OAuthState) error {
	for {
		c, sealed, err := s.Store.Connection(ctx, o.Connection)
		if err != nil {
			return err
		}
		flow, err := s.device(ctx, &c, sealed)
		if err != nil || flow == nil {
			return err
		}
		if err = s.dropDevice(ctx, one, &c, sealed, "tenant", "denied", deviceDenied); !errors.Is(err, integration.ErrFenced) {
			return err
		}
	}
}

// Submit takes what a person filled in on our page. Where the provider has to be
// visited, Ended.Redirect leads there and browser, a cookie's value, binds the
// rest to this browser. A *RequestError or a *RefusedError lets the person try
// again: the link still works. It is used up once there is a connection.
func (s *Connections) Submit(ctx context.Context, token string, secrets map[string]integration.Secret, variables map[string]string, browser string) (Ended, error) {
	o, one, err := s.page(ctx, token, false)
	if err == nil && o.Flow != flowPage {
		err = ErrLink
	}
	if err != nil {
		return Ended{}, err
	}
	if err := oauth.CheckAll(one.Variables, oauth.Values(variables)); err != nil {
		return Ended{}, &RequestError{Problems: []string{err.Error()}}
	}
	o.Variables = merged(o.Variables, variables)
	if one.needsPerson() {
		if missing := one.method.Missing(oauth.Values(o.Variables)); len(missing) > 0 {
			return Ended{}, &RequestError{Problems: []string{missing[0] + " is missing"}}
		}
		address, err := s.authorize(ctx, one, o, browser)
		return Ended{Connection: o.Connection, Service: o.Service, Redirect: address}, err
	}
	_, err = s.connectWith(ctx, one, o, secrets, "tenant")
	var given *RequestError
	var refused *RefusedError
	if errors.As(err, &given) || errors.As(err, &refused) || errors.Is(err, errUnanswered) {
		return Ended{}, err
	}
	if err == nil {
		if _, _, gone := s.page(ctx, token, true); gone != nil && !errors.Is(gone, ErrLink) {
			s.Log.WarnContext(ctx, "connect.link", "error", gone)
		}
	}
	return s.end(ctx, o, err), nil
}

// Decline ends a flow because the person does not want to.
func (s *Connections) Decline(ctx context.Context, token string) (Ended, error) {
	o, one, err := s.page(ctx, token, true)
	if err == nil && o.Flow == flowDevice {
		err = s.declineDevice(ctx, one, o)
	}
	if err != nil {
		return Ended{}, err
	}
	return s.end(ctx, o, &oauth.Error{Code: EndedDenied, Reason: oauth.ReasonDenied}), nil
}

// links remembers the addresses that Status gave out for connecting again, so
// that whoever polls it does not make one each time.
type links struct {
	mu   sync.Mutex
	made map[string]made
}

type made struct {
	url   string
	until time.Time
}

// reconnect returns an address where the tenant can connect again.
func (s *Connections) reconnect(ctx context.Context, c *integration.Connection) (string, error) {
	now := s.Now()
	s.links.mu.Lock()
	defer s.links.mu.Unlock()
	if m, ok := s.links.made[c.ID]; ok && now.Before(m.until) {
		if _, _, err := s.page(ctx, m.url[len(s.PublicURL+PagePath):], false); err == nil {
			return m.url, nil
		}
	}
	address, err := s.link(ctx, flowPage, integration.OAuthState{
		Connection: c.ID, Tenant: c.Tenant, Service: c.Service, Environment: c.Environment, Variables: c.Variables, Scopes: c.Scopes,
	}, pageLife)
	if err != nil {
		return "", err
	}
	if s.links.made == nil || len(s.links.made) > 10_000 {
		s.links.made = map[string]made{}
	}
	s.links.made[c.ID] = made{address, now.Add(pageLife / 2)}
	return address, nil
}
