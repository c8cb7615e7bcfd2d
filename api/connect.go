package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
)

func (s *server) connectRoutes(routes huma.API, mux *http.ServeMux) {
	if s.Connections == nil {
		return
	}
	huma.Register(routes, huma.Operation{
		OperationID: "connect", Method: http.MethodPost, Path: "/api/v1/integrations/{service}/connect",
		Summary: "Connect a tenant's account, or connect it again", Tags: []string{"connections"}, Security: secured, Middlewares: s.withKey(integration.ScopeApp),
		Description: "For OAuth the answer holds the address to send the person to; with device, the code to show them. For keys, send them as secrets, or send the person to the address of our own page. " +
			"Without return_url the address is one of our own page, which gives the browser that opens it a cookie; only that browser can end the flow then. " +
			"With return_url it is the provider's own, and nothing ties the flow to a browser: whoever opens it and consents connects their account to the tenant, so hand it to nobody but that person. " +
			"Set page to have it otherwise.",
	}, s.connect)
	huma.Register(routes, huma.Operation{
		OperationID: "disconnect", Method: http.MethodPost, Path: "/api/v1/integrations/{service}/disconnect",
		Summary: "End a connection: revoke at the provider, delete the credentials", Tags: []string{"connections"}, Security: secured, Middlewares: s.withKey(integration.ScopeApp),
	}, s.disconnect)
	mux.HandleFunc("GET "+connect.CallbackPath, s.callback)
	mux.HandleFunc("GET "+connect.PagePath+"{token}", s.showPage)
	mux.HandleFunc("POST "+connect.PagePath+"{token}", s.takePage)
}

type connectInput struct {
	Service string `path:"service" example:"hubspot"`
	Body    struct {
		Tenant      string            `json:"tenant" minLength:"1" maxLength:"200" doc:"your customer"`
		Environment string            `json:"environment,omitempty" maxLength:"64" doc:"must be the one that is served; for clients that want to be sure"`
		Connection  string            `json:"connection,omitempty" maxLength:"64" doc:"connect this one again; without it, the one the tenant has. The id stays."`
		Another     bool              `json:"another,omitempty" doc:"make a further connection of a tenant that has one"`
		ReturnURL   string            `json:"return_url,omitempty" maxLength:"2000" doc:"where the person goes in the end; must be among return_urls of the configuration"`
		Secrets     map[string]string `json:"secrets,omitempty" doc:"keys, by name: api_key; client_id and client_secret; private_key; what the headers need"`
		Variables   map[string]string `json:"variables,omitempty" doc:"parts of addresses: {\"shop\": \"acme\"}"`
		Scopes      []string          `json:"scopes,omitempty" maxItems:"100" doc:"besides those of the plan"`
		Page        *bool             `json:"page,omitempty" doc:"begin on our own page, which binds the flow to the browser that opens it; when absent, it does so where there is no return_url"`
		Device      bool              `json:"device,omitempty" doc:"have a code confirmed at the provider on any device (RFC 8628), where the provider offers that"`
	}
}

// Connecting is what came of a beginning.
type Connecting struct {
	Connection string      `json:"connection" doc:"id of the connection"`
	URL        string      `json:"url,omitempty" doc:"send the person here; absent when the connection is made"`
	State      string      `json:"state,omitempty" doc:"connected when the connection is made"`
	Untried    bool        `json:"untried,omitempty" doc:"the keys were kept without a look whether they work: the profile knows no harmless call"`
	Device     *DeviceCode `json:"device,omitempty" doc:"a code that a person has to confirm; the url is a page of ours that shows it and how it ended"`
}

// DeviceCode is a code that a person has to confirm at the provider. Its members
// are named as in RFC 8628, section 3.2.
type DeviceCode struct {
	UserCode    string    `json:"user_code" doc:"to be typed in"`
	URI         string    `json:"verification_uri" doc:"where"`
	CompleteURI string    `json:"verification_uri_complete,omitempty" doc:"the same with the code in it, for a link or a QR code"`
	ExpiresAt   time.Time `json:"expires_at"`
}

func deviceCode(d *connect.Device) *DeviceCode {
	if d == nil {
		return nil
	}
	return &DeviceCode{UserCode: d.UserCode, URI: d.VerificationURI, CompleteURI: d.CompleteURI, ExpiresAt: d.Expires}
}

type connectOutput struct{ Body Connecting }

func (s *server) connect(ctx context.Context, in *connectInput) (*connectOutput, error) {
	one, ok := s.services[in.Service]
	if !ok || !s.Connections.Serves(in.Service) {
		return nil, unknownService(in.Service)
	}
	if e := in.Body.Environment; e != "" && e != one.Environment {
		return nil, &problem.Problem{Status: http.StatusConflict, Code: "wrong_environment", Detail: "this gateway serves the environment " + one.Environment, Pointer: "/environment"}
	}
	secrets := make(map[string]integration.Secret, len(in.Body.Secrets))
	for name, value := range in.Body.Secrets {
		secrets[name] = integration.NewSecret(value)
	}
	page := in.Body.ReturnURL == "" // nobody is waited for elsewhere, so nothing is lost by the way over our page
	if in.Body.Page != nil {
		page = *in.Body.Page
	}
	started, err := s.Connections.Start(ctx, connect.Request{
		Service: in.Service, Tenant: in.Body.Tenant, Connection: in.Body.Connection, Another: in.Body.Another, ReturnURL: in.Body.ReturnURL,
		Secrets: secrets, Variables: in.Body.Variables, Scopes: in.Body.Scopes, Page: page, Device: in.Body.Device, Actor: actor(ctx),
	})
	if err != nil {
		return nil, s.notConnected(err)
	}
	return &connectOutput{Connecting{Connection: started.Connection, URL: started.URL, State: string(started.State), Untried: started.Untried, Device: deviceCode(started.Device)}}, nil
}

// notConnected says why a connection did not come about.
func (s *server) notConnected(err error) error {
	var wrong *connect.RequestError
	var refused *connect.RefusedError
	var no *oauth.Error
	switch {
	case errors.As(err, &wrong):
		p := &problem.Problem{Status: http.StatusUnprocessableEntity, Code: "invalid_request", Detail: err.Error()}
		for _, each := range wrong.Problems {
			p.Errors = append(p.Errors, problem.Detail{Detail: each})
		}
		return p
	case errors.As(err, &refused):
		return &problem.Problem{
			Status: http.StatusUnprocessableEntity, Code: "credential_refused", Detail: err.Error(),
			Hint: "nothing was kept; look at the key, its account and its rights at the provider",
		}
	case errors.As(err, &no), connect.Unanswered(err):
		return &problem.Problem{Status: http.StatusBadGateway, Code: "provider_unavailable", Detail: err.Error(), Hint: "nothing was kept; try again"}
	}
	return s.failed(err, "connection")
}

type disconnectInput struct {
	Service string `path:"service" example:"hubspot"`
	Body    struct {
		Connection string `json:"connection" minLength:"1" maxLength:"64" doc:"id of the connection"`
	}
}

// Disconnecting is how far the end of a connection came.
type Disconnecting struct {
	Connection string `json:"connection"`
	Revoked    bool   `json:"revoked" doc:"the provider took the credential back"`
	Pending    bool   `json:"pending" doc:"the provider could not be told so far; it is tried again"`
	Reason     string `json:"reason,omitempty" doc:"in words"`
}

type disconnectOutput struct{ Body Disconnecting }

func (s *server) disconnect(ctx context.Context, in *disconnectInput) (*disconnectOutput, error) {
	if !s.Connections.Serves(in.Service) {
		return nil, unknownService(in.Service)
	}
	done, err := s.Connections.Disconnect(ctx, in.Service, in.Body.Connection, actor(ctx))
	if err != nil {
		return nil, s.failed(err, "connection")
	}
	return &disconnectOutput{Disconnecting{Connection: done.Connection, Revoked: done.Revoked, Pending: done.Pending, Reason: done.Reason}}, nil
}

// ConnectionStatus is one connection in the status of a service.
type ConnectionStatus struct {
	ID          string      `json:"id"`
	Tenant      string      `json:"tenant"`
	State       string      `json:"state" enum:"connected,expiring,needs_reauth,disconnected"`
	Reason      string      `json:"reason,omitempty" doc:"why it is in this state"`
	Account     string      `json:"account,omitempty" doc:"whose account at the provider"`
	Scopes      []string    `json:"scopes,omitempty" doc:"granted"`
	Reconnect   string      `json:"reconnect,omitempty" doc:"send the tenant here to connect again"`
	ConnectedAt time.Time   `json:"created_at"`
	UpdatedAt   time.Time   `json:"updated_at"`
	ExpiresAt   *time.Time  `json:"expires_at,omitempty" doc:"of the token in use; it is renewed before"`
	LastUsedAt  *time.Time  `json:"last_used_at,omitempty"`
	Pending     string      `json:"pending,omitempty" doc:"what it is due for: refresh, keep_alive, revoke, check"`
	Device      *DeviceCode `json:"device,omitempty" doc:"it waits for a person to confirm this code"`
}

// connectionsOf lists the connections of a service for its status.
func (s *server) connectionsOf(ctx context.Context, service, tenant string) ([]ConnectionStatus, error) {
	if s.Connections == nil || !s.Connections.Serves(service) {
		return nil, nil
	}
	standings, err := s.Connections.Status(ctx, service, tenant)
	if err != nil {
		return nil, s.failed(err, "service")
	}
	list := make([]ConnectionStatus, len(standings))
	for i := range standings {
		c := &standings[i]
		list[i] = ConnectionStatus{
			ID: c.ID, Tenant: c.Tenant, State: string(c.State), Reason: c.Reason, Account: c.Account, Scopes: c.Scopes, Reconnect: c.Reconnect,
			ConnectedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, Pending: string(c.Task), Device: deviceCode(c.Device),
		}
		if !c.ExpiresAt.IsZero() {
			list[i].ExpiresAt = &c.ExpiresAt
		}
		if !c.LastUsedAt.IsZero() {
			list[i].LastUsedAt = &c.LastUsedAt
		}
	}
	return list, nil
}

// secure reports whether browsers reach us over TLS.
func (s *server) secure() bool { return strings.HasPrefix(s.Connections.PublicURL, "https://") }
