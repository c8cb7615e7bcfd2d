package connect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
)

// Flows that began and that somebody comes back from.
const (
	flowOAuth = "oauth" // a person is at the provider
	flowPage  = "page"  // a link to our own page was given out
	// A code was given out; the link leads to our page that shows it.
	flowDevice = "device"
)

// How long a flow may take. A link may lie in a mailbox.
const (
	oauthLife = 15 * time.Minute
	pageLife  = 24 * time.Hour
)

// Request begins a connection, or an existing one anew.
type Request struct {
	Service string
	Tenant  string // your customer; must be set
	// Connection is the one to connect again; it keeps its id. Empty: the one
	// that the tenant has, if it has one.
	Connection string
	// Another makes a further connection of a tenant that has one.
	Another   bool
	ReturnURL string // where the person goes in the end; empty: our own page says it
	Secrets   map[string]integration.Secret
	Variables map[string]string
	Scopes    []string
	// Page asks for a link to our own page also where the person could be sent to
	// the provider at once. From there the flow is bound to the browser.
	Page bool
	// Device asks for a code that a person confirms at the provider on any device,
	// where the provider has that (RFC 8628).
	Device bool
	Actor  string // who asks, for the audit log
}

// Started is what Start did.
type Started struct {
	Connection string
	// URL is where to send the person; empty when the connection is made. With
	// Device it is our page that shows the code.
	URL   string
	State integration.ConnectionState // of the connection; empty: it is not there yet
	// Untried says that the keys were kept without a look whether they work,
	// because nobody knows a harmless call.
	Untried bool
	// Device is the code to be confirmed; nil: there is none.
	Device *Device
}

// Start begins a connection. Where a person has to authorise, the URL leads to
// the provider; where keys are needed and none are given, to our own page;
// otherwise the keys are tried and kept. Errors in what was given are a
// *RequestError.
func (s *Connections) Start(ctx context.Context, r Request) (Started, error) {
	one, err := s.service(r.Service)
	if err != nil {
		return Started{}, err
	}
	if one.Own != nil {
		return Started{}, &RequestError{Problems: []string{"there is nothing to connect: one credential, of the plan's secrets, serves everybody (auth.whose: app)"}}
	}
	if r.Tenant == "" {
		return Started{}, &RequestError{Problems: []string{"tenant is missing"}}
	}
	if r.ReturnURL != "" && !s.mayReturn(r.ReturnURL) {
		return Started{}, &RequestError{Problems: []string{"return_url is not among return_urls of the configuration; add it there"}}
	}
	existing, err := s.existing(ctx, one, r)
	if err != nil {
		return Started{}, err
	}
	o := integration.OAuthState{
		Connection: existing.ID, Tenant: r.Tenant, Service: one.Name, Environment: one.Environment, ReturnURL: r.ReturnURL,
		Variables: merged(existing.Variables, r.Variables), Scopes: slices.Concat(one.Scopes, r.Scopes),
	}
	if o.Connection == "" {
		o.Connection = newID()
	}
	started := Started{Connection: o.Connection, State: existing.State}
	switch {
	case one.needsPerson():
		if len(r.Secrets) > 0 && len(one.headerFields()) == 0 {
			return Started{}, &RequestError{Problems: []string{"secrets are not asked for: the tenant authorises at the provider"}}
		}
		if err := oauth.CheckAll(one.Variables, oauth.Values(r.Variables)); err != nil {
			return Started{}, &RequestError{Problems: []string{"variables: " + err.Error()}}
		}
		if r.Device {
			return s.startDevice(ctx, one, o, r.Actor)
		}
		if r.Page || len(one.method.Missing(oauth.Values(o.Variables))) > 0 {
			started.URL, err = s.link(ctx, flowPage, o, pageLife)
			return started, err
		}
		started.URL, err = s.authorize(ctx, one, o, "")
		return started, err
	case r.Device:
		return Started{}, &RequestError{Problems: []string{"device: nobody has to go to the provider; send the secrets instead"}}
	case len(r.Secrets) == 0:
		started.URL, err = s.link(ctx, flowPage, o, pageLife)
		return started, err
	}
	started.Untried, err = s.connectWith(ctx, one, o, r.Secrets, r.Actor)
	if err != nil {
		return Started{}, err
	}
	started.State = integration.ConnectionConnected
	return started, nil
}

// existing finds the connection that is to be connected again.
func (s *Connections) existing(ctx context.Context, one *service, r Request) (integration.Connection, error) {
	if r.Connection != "" {
		c, _, err := s.Store.Connection(ctx, r.Connection)
		if errors.Is(err, integration.ErrNotFound) || err == nil && (c.Tenant != r.Tenant || c.Service != one.Name || c.Environment != one.Environment) {
			return integration.Connection{}, fmt.Errorf("connection %.64q of this tenant: %w", r.Connection, integration.ErrNotFound)
		}
		if err == nil && r.Device && c.Task == integration.TaskRevoke {
			return c, &RequestError{Problems: []string{"connection: the provider is still being told that it is over; wait, or leave it out"}}
		}
		return c, err
	}
	if r.Another {
		return integration.Connection{}, nil
	}
	list, err := s.Store.ConnectionsOf(ctx, one.Name, one.Environment, r.Tenant)
	if err != nil || len(list) == 0 {
		return integration.Connection{}, err
	}
	if r.Device && list[0].Task == integration.TaskRevoke {
		return integration.Connection{}, nil // its revocation goes on
	}
	return list[0], nil
}

// secretsOfFlow is what is sealed with an OAuth state.
type secretsOfFlow struct {
	Verifier string `json:"verifier"`
	Nonce    string `json:"nonce"`
}

// fieldState is what the secrets of a flow are sealed for.
const fieldState = "oauth_state"

// authorize keeps a new state and returns the provider's address. browser is the
// cookie that binds it; empty: it is bound to the connection alone.
func (s *Connections) authorize(ctx context.Context, one *service, o integration.OAuthState, browser string) (string, error) {
	state, verifier, nonce := oauth.NewState(), oauth.NewVerifier(), oauth.NewState()
	asker := one.asker(o.Variables, nil, s.Now())
	address, err := one.method.AuthorizeURL(oauth.Authorization{
		Client: asker.Client, Values: asker.Values, RedirectURI: s.RedirectURI(), State: state, Verifier: verifier, Nonce: nonce, Scopes: o.Scopes,
	})
	if err != nil {
		return "", err
	}
	now := s.Now().UTC()
	o.Flow, o.Hash, o.RedirectURI, o.CreatedAt, o.ExpiresAt = flowOAuth, hash(state), s.RedirectURI(), now, now.Add(oauthLife)
	if browser != "" {
		o.Browser = hash(browser)
	}
	plain, err := json.Marshal(secretsOfFlow{Verifier: verifier.Reveal(), Nonce: nonce})
	if err != nil {
		return "", err
	}
	sealed, err := s.Sealer.Credential(ctx, stateBinding(&o), integration.NewSecret(string(plain)))
	if err != nil {
		return "", err
	}
	o.Sealed, o.KeyID = sealed.Sealed, sealed.KeyID
	return address, s.Store.PutOAuthState(ctx, o)
}

// link keeps a flow that begins on our own page and returns its address.
func (s *Connections) link(ctx context.Context, flow string, o integration.OAuthState, life time.Duration) (string, error) {
	token := oauth.NewState()
	now := s.Now().UTC()
	o.Flow, o.Hash, o.CreatedAt, o.ExpiresAt = flow, hash(token), now, now.Add(life)
	if err := s.Store.PutOAuthState(ctx, o); err != nil {
		return "", err
	}
	return s.PublicURL + PagePath + token, nil
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func merged(older, newer map[string]string) map[string]string {
	if len(older)+len(newer) == 0 {
		return nil
	}
	all := map[string]string{}
	maps.Copy(all, older)
	maps.Copy(all, newer)
	return all
}
