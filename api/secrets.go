package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
	"github.com/sallyport/sallyport/vault"
)

// Leaks is where it is kept which secrets leaked, and what is known of where a
// secret was used. A store is one.
type Leaks interface {
	MarkLeaked(ctx context.Context, l integration.LeakedSecret, audit integration.AuditEntry) error
	UnmarkLeaked(ctx context.Context, fingerprint string, audit integration.AuditEntry) error
	LeakedSecrets(ctx context.Context) ([]integration.LeakedSecret, error)
	SightingsOf(ctx context.Context, fingerprint string) ([]integration.SecretSighting, error)
	ConnectionsWith(ctx context.Context, fingerprint string, most int) ([]string, error)
	Connection(ctx context.Context, id string) (integration.Connection, []integration.Credential, error)
	CredentialUses(ctx context.Context, f integration.Filter) (uses []integration.CredentialUse, next string, err error)
}

// Custody is what the API does with secrets and with what is kept of tenants. A
// nil function means that its operation is not served.
type Custody struct {
	Leaks Leaks
	// Fingerprints are those of the secrets under a name of a service's plan as
	// they were last read, the one to use first in front.
	Fingerprints func(service, name string) []string
	// Reload reads the secrets of a service again.
	Reload func(ctx context.Context, service string) error
	// Heard has this process act upon marks at once; others do within seconds.
	Heard func(ctx context.Context) error
	// Erase deletes all of a tenant.
	Erase func(ctx context.Context, tenant, actor string) (vault.Receipt, error)
}

func (s *server) secretRoutes(routes huma.API) {
	admin := s.withKey(integration.ScopeAdmin)
	if s.Custody.Leaks != nil {
		huma.Register(routes, huma.Operation{
			OperationID: "mark-leaked", Method: http.MethodPost, Path: "/api/v1/admin/secrets/leaked",
			Summary:     "Say that a secret leaked: it is not used any more",
			Description: "A plan's secret, by service and name: no gateway on this store uses its value from then on. A connection: it is disconnected and revoked at the provider. The answer says where the secret was used and what is left for a person to do.",
			Tags:        []string{"admin"}, Security: secured, Middlewares: admin,
		}, s.markLeaked)
		huma.Register(routes, huma.Operation{
			OperationID: "list-leaked", Method: http.MethodGet, Path: "/api/v1/admin/secrets/leaked",
			Summary: "List the secrets that are marked as leaked", Tags: []string{"admin"}, Security: secured, Middlewares: admin,
		}, s.listLeaked)
		huma.Register(routes, huma.Operation{
			OperationID: "unmark-leaked", Method: http.MethodDelete, Path: "/api/v1/admin/secrets/leaked/{fingerprint}", DefaultStatus: http.StatusNoContent,
			Summary: "Take the mark off a secret that did not leak", Tags: []string{"admin"}, Security: secured, Middlewares: admin,
		}, s.unmarkLeaked)
	}
	if s.Custody.Erase != nil {
		huma.Register(routes, huma.Operation{
			OperationID: "erase-tenant", Method: http.MethodDelete, Path: "/api/v1/admin/tenants/{tenant}",
			Summary:     "Delete all that is kept of a tenant, for good",
			Description: "Keys, credentials, connections, events, calls. It can't be undone; after a failure it can be asked for again. The answer is a receipt.",
			Tags:        []string{"admin"}, Security: secured, Middlewares: admin,
		}, s.eraseTenant)
	}
	if s.Connections != nil {
		huma.Register(routes, huma.Operation{
			OperationID: "replace-secrets", Method: http.MethodPost, Path: "/api/v1/integrations/{service}/secrets",
			Summary:     "Put new keys in place of those of a connection",
			Description: "They are tried before they are kept; the old ones are used until then. Revoke those at the provider a minute later.",
			Tags:        []string{"connections"}, Security: secured, Middlewares: s.withKey(integration.ScopeApp),
		}, s.replaceSecrets)
	}
}

type leakedInput struct {
	Body struct {
		Service     string `json:"service,omitempty" maxLength:"64" doc:"with name: a secret of this service's plan"`
		Name        string `json:"name,omitempty" maxLength:"64" example:"api_key"`
		Fingerprint string `json:"fingerprint,omitempty" pattern:"^[0-9a-f]{8}$" doc:"which value of it; without it the one in use. Never the value."`
		Revoked     bool   `json:"revoked,omitempty" doc:"somebody has revoked it at the provider"`
		Connection  string `json:"connection,omitempty" maxLength:"64" doc:"instead of service and name: all credentials of this connection"`
	}
}

// LeakView is what is known of a secret that leaked, and what is left to do.
type LeakView struct {
	Fingerprints []string             `json:"fingerprints" doc:"that are marked"`
	Replaced     bool                 `json:"replaced" doc:"this gateway has another value in use"`
	Revocation   *Disconnecting       `json:"revocation,omitempty" doc:"of a connection"`
	Seen         []SightingView       `json:"seen" doc:"the plans and environments that have the same value"`
	Connections  []LeakConnectionView `json:"connections" doc:"that have the same value"`
	First        *time.Time           `json:"first_use,omitempty"`
	Last         *time.Time           `json:"last_use,omitempty"`
	Count        int                  `json:"count" doc:"requests made with it, of the uses listed"`
	Uses         []UseView            `json:"uses" doc:"the latest 500 minutes of use: for what and by whom"`
	Steps        []string             `json:"steps" doc:"left for a person to do, in order; empty when nothing is"`
}

// SightingView says where a secret was seen.
type SightingView struct {
	Service     string    `json:"service"`
	Environment string    `json:"environment"`
	Name        string    `json:"name"`
	Reference   string    `json:"reference"`
	FirstSeen   time.Time `json:"first_seen"`
	LastSeen    time.Time `json:"last_seen"`
}

// LeakConnectionView is one connection with a secret.
type LeakConnectionView struct {
	ID      string `json:"id"`
	Tenant  string `json:"tenant"`
	Service string `json:"service"`
	State   string `json:"state"`
}

type leakOutput struct{ Body LeakView }

func (s *server) markLeaked(ctx context.Context, in *leakedInput) (*leakOutput, error) {
	b := &in.Body
	if (b.Connection == "") == (b.Service == "" || b.Name == "") {
		return nil, &problem.Problem{Status: http.StatusUnprocessableEntity, Code: "invalid_request", Detail: "name either service and name, or connection"}
	}
	if b.Connection != "" {
		return s.leakedConnection(ctx, b.Connection)
	}
	one, ok := s.services[b.Service]
	if !ok {
		return nil, unknownService(b.Service)
	}
	if s.Custody.Reload != nil {
		if err := s.Custody.Reload(ctx, b.Service); err != nil {
			s.Log.Warn("secrets.reload", "service", b.Service, "error", err) // what could be read is
		}
	}
	fingerprint := b.Fingerprint
	values := s.fingerprints(b.Service, b.Name)
	if fingerprint == "" {
		if len(values) == 0 {
			return nil, &problem.Problem{
				Status: http.StatusNotFound, Code: "not_found", Detail: fmt.Sprintf("environments.%s of %s has no secret of that name; it has %s", one.Environment, b.Service,
					strings.Join(slices.Sorted(maps.Keys(one.Plan.Environments[one.Environment].Secrets)), ", ")),
				Hint: "a destination's signing secret is not marked; replace it where it lies",
			}
		}
		fingerprint = values[0]
	}
	mark := integration.LeakedSecret{Fingerprint: fingerprint, Service: b.Service, Environment: one.Environment, Name: b.Name, At: s.Now().UTC(), Actor: actor(ctx)}
	if err := s.mark(ctx, mark); err != nil {
		return nil, err
	}
	out := &leakOutput{LeakView{
		Fingerprints: []string{fingerprint}, Replaced: slices.ContainsFunc(s.fingerprints(b.Service, b.Name), func(f string) bool { return f != fingerprint }),
	}}
	if err := s.tell(ctx, &out.Body); err != nil {
		return nil, s.failed(err, "secret")
	}
	out.Body.Steps = stepsOfPlan(&out.Body, &mark)
	if !b.Revoked {
		out.Body.Steps = append(out.Body.Steps, fmt.Sprintf("revoke the leaked %s (%s) at the provider of %s; nobody but a person can, then say so with --revoked", b.Name, fingerprint, b.Service))
	}
	return out, nil
}

func (s *server) fingerprints(service, name string) []string {
	if s.Custody.Fingerprints == nil {
		return nil
	}
	return s.Custody.Fingerprints(service, name)
}

// mark keeps a mark and has this process act upon it.
func (s *server) mark(ctx context.Context, l integration.LeakedSecret) error {
	entry := integration.AuditEntry{ID: newID(), At: l.At, Actor: l.Actor, Action: "secret.leaked", Target: l.Fingerprint, Detail: l.Name + " of " + l.Service}
	if l.Connection != "" {
		entry.Detail += ", connection " + l.Connection
	}
	if err := s.Custody.Leaks.MarkLeaked(ctx, l, entry); err != nil {
		return s.failed(err, "secret")
	}
	s.Log.Warn("secret.marked", "alert", true, "service", l.Service, "secret", l.Name, "fingerprint", l.Fingerprint, "connection", l.Connection, "actor", l.Actor)
	return s.heard(ctx)
}

func (s *server) heard(ctx context.Context) error {
	if s.Custody.Heard == nil {
		return nil
	}
	if err := s.Custody.Heard(ctx); err != nil {
		return s.failed(err, "secret")
	}
	return nil
}

// leakMost bounds the lists of a report.
const leakMost = 500

// tell fills in where the secrets of a report were seen and used.
func (s *server) tell(ctx context.Context, v *LeakView) error {
	v.Seen, v.Connections, v.Uses, v.Steps = []SightingView{}, []LeakConnectionView{}, []UseView{}, []string{}
	for _, fingerprint := range v.Fingerprints {
		seen, err := s.Custody.Leaks.SightingsOf(ctx, fingerprint)
		if err != nil {
			return err
		}
		for i := range seen {
			v.Seen = append(v.Seen, SightingView{seen[i].Service, seen[i].Environment, seen[i].Name, seen[i].Reference, seen[i].FirstSeen, seen[i].LastSeen})
		}
		with, err := s.Custody.Leaks.ConnectionsWith(ctx, fingerprint, leakMost)
		if err != nil {
			return err
		}
		for _, id := range with {
			c, _, err := s.Custody.Leaks.Connection(ctx, id)
			if errors.Is(err, integration.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			v.Connections = append(v.Connections, LeakConnectionView{c.ID, c.Tenant, c.Service, string(c.State)})
		}
		uses, _, err := s.Custody.Leaks.CredentialUses(ctx, integration.Filter{Status: fingerprint, Limit: leakMost})
		if err != nil {
			return err
		}
		for i := range uses {
			v.use(&uses[i])
		}
	}
	return nil
}

func (v *LeakView) use(u *integration.CredentialUse) {
	v.Count += u.Count
	if v.First == nil || u.Minute.Before(*v.First) {
		v.First = &u.Minute
	}
	if v.Last == nil || u.Minute.After(*v.Last) {
		v.Last = &u.Minute
	}
	v.Uses = append(v.Uses, useView(u))
}

// stepsOfPlan is what a person has to do about a leaked secret of a plan.
func stepsOfPlan(v *LeakView, l *integration.LeakedSecret) []string {
	var steps []string
	if !v.Replaced {
		steps = append(steps, fmt.Sprintf("make a new %s for %s (%s) at the provider, and put it in place: sallyport secrets replace %s %s --environment %s; until then calls that need it fail",
			l.Name, l.Service, l.Environment, l.Service, l.Name, l.Environment))
	}
	for _, p := range v.Seen {
		if p.Service == l.Service && p.Environment == l.Environment && p.Name == l.Name {
			continue
		}
		steps = append(steps, fmt.Sprintf("%s (%s) has the same value as %s, last seen %s, and must not use it either: sallyport secrets replace %s %s --environment %s",
			p.Service, p.Environment, p.Name, p.LastSeen.Format(time.DateOnly), p.Service, p.Name, p.Environment))
	}
	for _, c := range v.Connections {
		if c.State != string(integration.ConnectionDisconnected) {
			steps = append(steps, fmt.Sprintf("connection %s of %s at %s has the same value: sallyport secrets leaked --connection %s", c.ID, c.Tenant, c.Service, c.ID))
		}
	}
	return steps
}

func (s *server) leakedConnection(ctx context.Context, id string) (*leakOutput, error) {
	c, credentials, err := s.Custody.Leaks.Connection(ctx, id)
	if err != nil {
		return nil, s.failed(err, "connection")
	}
	if s.Connections == nil || !s.Connections.Serves(c.Service) {
		return nil, unknownService(c.Service)
	}
	out := &leakOutput{LeakView{Fingerprints: []string{}}}
	for i := range credentials {
		out.Body.Fingerprints = append(out.Body.Fingerprints, credentials[i].Fingerprint)
	}
	if err := s.tell(ctx, &out.Body); err != nil { // afterwards nothing would be known
		return nil, s.failed(err, "connection")
	}
	for i := range credentials {
		if vault.Replaceable(credentials[i].Field) { // connecting with the same value again is refused
			err := s.mark(ctx, integration.LeakedSecret{
				Fingerprint: credentials[i].Fingerprint, Service: c.Service, Environment: c.Environment, Name: credentials[i].Field, Connection: c.ID, At: s.Now().UTC(), Actor: actor(ctx),
			})
			if err != nil {
				return nil, err
			}
		}
	}
	done, err := s.Connections.Disconnect(ctx, c.Service, c.ID, actor(ctx))
	if err != nil {
		return nil, s.failed(err, "connection")
	}
	out.Body.Revocation = &Disconnecting{Connection: done.Connection, Revoked: done.Revoked, Pending: done.Pending, Reason: done.Reason}
	out.Body.Steps = stepsOfConnection(&out.Body, &c)
	return out, nil
}

func stepsOfConnection(v *LeakView, c *integration.Connection) []string {
	var steps []string
	switch r := v.Revocation; {
	case r.Pending:
		steps = append(steps, "the provider could not be told so far and is told again; see to it that it was: "+r.Reason)
	case !r.Revoked:
		steps = append(steps, "revoke the credential at the provider: "+r.Reason)
	}
	for _, other := range v.Connections {
		if other.ID != c.ID && other.State != string(integration.ConnectionDisconnected) {
			steps = append(steps, fmt.Sprintf("connection %s of %s at %s has the same value: sallyport secrets leaked --connection %s", other.ID, other.Tenant, other.Service, other.ID))
		}
	}
	return append(steps, fmt.Sprintf("have %s connect again; the address is in the status of %s", c.Tenant, c.Service))
}

// MarkView is one secret that is marked.
type MarkView struct {
	Fingerprint string    `json:"fingerprint"`
	Service     string    `json:"service"`
	Environment string    `json:"environment"`
	Name        string    `json:"name"`
	Connection  string    `json:"connection,omitempty"`
	At          time.Time `json:"at"`
	Actor       string    `json:"actor"`
}

type marksOutput struct {
	Body struct {
		Leaked []MarkView `json:"leaked"`
	}
}

func (s *server) listLeaked(ctx context.Context, _ *struct{}) (*marksOutput, error) {
	list, err := s.Custody.Leaks.LeakedSecrets(ctx)
	if err != nil {
		return nil, s.failed(err, "list")
	}
	out := &marksOutput{}
	out.Body.Leaked = make([]MarkView, len(list))
	for i := range list {
		out.Body.Leaked[i] = MarkView(list[i])
	}
	return out, nil
}

type unmarkInput struct {
	Fingerprint string `path:"fingerprint" pattern:"^[0-9a-f]{8}$"`
}

func (s *server) unmarkLeaked(ctx context.Context, in *unmarkInput) (*struct{}, error) {
	entry := integration.AuditEntry{ID: newID(), At: s.Now().UTC(), Actor: actor(ctx), Action: "secret.unmarked", Target: in.Fingerprint}
	if err := s.Custody.Leaks.UnmarkLeaked(ctx, in.Fingerprint, entry); err != nil {
		return nil, s.failed(err, "mark")
	}
	return nil, s.heard(ctx)
}

type eraseInput struct {
	Tenant string `path:"tenant" minLength:"1" maxLength:"200" doc:"your customer"`
}

type eraseOutput struct{ Body vault.Receipt }

func (s *server) eraseTenant(ctx context.Context, in *eraseInput) (*eraseOutput, error) {
	receipt, err := s.Custody.Erase(context.WithoutCancel(ctx), in.Tenant, actor(ctx)) // it is not left half way because somebody went away
	if err != nil {
		s.Log.Error("tenant.erase", "error", err)
		return nil, &problem.Problem{
			Status: http.StatusServiceUnavailable, Code: "not_erased", Detail: "not all of it could be erased", RetryAfter: retrySoon,
			Hint: "ask again, it goes on where it was; the gateway's log says why",
		}
	}
	return &eraseOutput{receipt}, nil
}

type replaceInput struct {
	Service string `path:"service" example:"sendgrid"`
	Body    struct {
		Connection string            `json:"connection" minLength:"1" maxLength:"64" doc:"id of the connection"`
		Secrets    map[string]string `json:"secrets" doc:"the new ones, by name: api_key; client_id and client_secret; private_key. Those left out stay."`
	}
}

func (s *server) replaceSecrets(ctx context.Context, in *replaceInput) (*connectOutput, error) {
	if _, ok := s.services[in.Service]; !ok || !s.Connections.Serves(in.Service) {
		return nil, unknownService(in.Service)
	}
	secrets := make(map[string]integration.Secret, len(in.Body.Secrets))
	for name, value := range in.Body.Secrets {
		secrets[name] = integration.NewSecret(value)
	}
	untried, err := s.Connections.Replace(ctx, in.Service, in.Body.Connection, secrets, actor(ctx))
	if errors.Is(err, integration.ErrFenced) {
		return nil, &problem.Problem{Status: http.StatusConflict, Code: "wrong_state", Detail: "the connection was changed meanwhile; nothing was replaced", Hint: "look at its status and try again"}
	}
	if err != nil {
		return nil, s.notConnected(err)
	}
	return &connectOutput{Connecting{Connection: in.Body.Connection, State: string(integration.ConnectionConnected), Untried: untried}}, nil
}
