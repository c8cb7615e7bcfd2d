package call_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
)

// connections is an Authorizer with two tenants, one of which lives at a host of
// its own.
type connections struct {
	mu      sync.Mutex
	tokens  map[string]string // by connection
	refused int
	still   int
	renew   bool
}

func (c *connections) authorized(id string) *call.Authorized {
	token := c.tokens[id]
	a := &call.Authorized{Connection: id, Secret: integration.NewSecret(token), Apply: func(r *http.Request) (string, error) {
		r.Header.Set("Authorization", "Bearer "+token)
		return "fp-" + id, nil
	}}
	if id == "c2" {
		a.BaseURL = &url.URL{Scheme: "https", Host: "eu.example.com", Path: "/base"}
	}
	return a
}

func (c *connections) For(_ context.Context, tenant, connection string) (*call.Authorized, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := connection
	if id == "" {
		id = map[string]string{"acme": "c1", "globex": "c2"}[tenant]
	}
	if _, ok := c.tokens[id]; !ok {
		return nil, &integration.Failure{Class: integration.ClassUnauthorized, Code: "connection_missing", Reason: "credential", Message: "There is no connection.", Hint: "Connect first."}
	}
	return c.authorized(id), nil
}

func (c *connections) Refused(_ context.Context, a *call.Authorized) (*call.Authorized, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused++
	if !c.renew {
		return nil, errors.New("needs the person")
	}
	c.tokens[a.Connection] = "renewed"
	return c.authorized(a.Connection), nil
}

func (c *connections) StillRefused(context.Context, *call.Authorized) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.still++
	return nil
}

func connected(t *testing.T, c *connections, steps ...step) (*call.Service, *provider) {
	t.Helper()
	p := &provider{steps: steps}
	s, err := call.New(call.Config{Plan: parse(t, stripePlan), Environment: "production", Transport: p, Journal: forget{}, Authorizer: c, Dice: func() float64 { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

func get(t *testing.T, s *call.Service, tenant string, header ...string) (int, error) {
	t.Helper()
	r := request(t, http.MethodGet, customers+"/cus_1", "")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Transport(tenant, integration.EntryClient).RoundTrip(r)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

// R2.2, R3.5: each tenant's calls carry its own credential and go to its own base
// URL; a connection can be named; who has none is told before anything is sent.
func TestConnectionOfATenant(t *testing.T) {
	t.Parallel()
	s, p := connected(t, &connections{tokens: map[string]string{"c1": "one", "c2": "two"}}, answer(200, `{}`))
	for _, one := range []struct {
		tenant, connection, token, at string
	}{
		{"acme", "", "Bearer one", "https://api.stripe.com/v1/customers/cus_1"},
		{"globex", "", "Bearer two", "https://eu.example.com/base/v1/customers/cus_1"},
		{"acme", "c2", "Bearer two", "https://eu.example.com/base/v1/customers/cus_1"},
	} {
		if status, err := get(t, s, one.tenant, call.HeaderConnection, one.connection); err != nil || status != 200 {
			t.Fatal(status, err)
		}
		last := p.asked[len(p.asked)-1]
		if last.Header.Get("Authorization") != one.token || last.URL.String() != one.at || last.Header.Get(call.HeaderConnection) != "" {
			t.Errorf("%s %s: asked %s with %s", one.tenant, one.connection, last.URL, last.Header.Get("Authorization"))
		}
	}
	before := len(p.asked)
	var f *integration.Failure
	if _, err := get(t, s, "nobody"); !errors.As(err, &f) || f.Code != "connection_missing" || len(p.asked) != before {
		t.Errorf("got %v, %d requests", err, len(p.asked)-before)
	}
}

// R4.2: a 401 has the credential renewed and the call tried once more with it;
// one that is refused again is reported, and not tried a third time.
func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	c := &connections{tokens: map[string]string{"c1": "one"}, renew: true}
	s, p := connected(t, c, answer(401, `{}`), answer(200, `{}`))
	if status, err := get(t, s, "acme"); err != nil || status != 200 || c.refused != 1 || c.still != 0 || p.asked[1].Header.Get("Authorization") != "Bearer renewed" {
		t.Errorf("%d %v, refused %d, still %d", status, err, c.refused, c.still)
	}
	c = &connections{tokens: map[string]string{"c1": "one"}, renew: true}
	s, p = connected(t, c, answer(401, `{}`))
	if status, err := get(t, s, "acme"); err != nil || status != 401 || c.refused != 1 || c.still != 1 || len(p.asked) != 2 {
		t.Errorf("%d %v, refused %d, still %d, asked %d", status, err, c.refused, c.still, len(p.asked))
	}
	c = &connections{tokens: map[string]string{"c1": "one"}}
	s, p = connected(t, c, answer(401, `{}`))
	if status, err := get(t, s, "acme"); err != nil || status != 401 || c.refused != 1 || len(p.asked) != 1 {
		t.Errorf("%d %v, refused %d, asked %d", status, err, c.refused, len(p.asked))
	}
}
