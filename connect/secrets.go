package connect

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/vault"
)

// The fields that credentials are kept under. Further ones, for headers that go
// together with a key, are named as the profile names them.
const (
	fieldAccess   = "access_token"
	fieldRefresh  = "refresh_token"
	fieldPrevious = "refresh_token_before" // within the provider's grace
	fieldKey      = "api_key"
	fieldID       = "client_id"
	fieldSecret   = "client_secret"
	fieldPrivate  = "private_key"
	fieldKeyID    = "key_id"
	fieldSubject  = "subject"
	fieldUser     = "username"
	fieldPassword = "password"
)

// Field is one thing that a person has to give for a connection.
type Field struct {
	Name     string   // in secrets or variables
	Label    string   // for people
	Secret   bool     // kept sealed and never shown
	Lines    bool     // has several lines, as a private key has
	Optional bool     // may be left out
	Values   []string // all it can be; empty: anything that fits
	Example  string
}

// fields are what has to be given for a service, secrets first.
func (s *service) fields() []Field {
	var list []Field
	add := func(name, label string, optional bool) {
		list = append(list, Field{Name: name, Label: label, Secret: true, Lines: name == fieldPrivate, Optional: optional})
	}
	switch kind := s.Auth.Kind; {
	case kind == "api_key":
		add(fieldKey, "API key", false)
	case kind == "basic":
		label := "Password or API key"
		if s.Auth.Username == "{secret}" {
			label = "API key"
		}
		add(fieldKey, label, false)
	case s.needsPerson():
	default:
		s.clientFields(oauth.Grant(kind), add)
	}
	list = append(list, s.headerFields()...)
	list = append(list, s.hookFields()...)
	return append(list, s.variableFields()...)
}

// clientFields are the app's own, which a connection brings where the plan has
// none.
func (s *service) clientFields(grant oauth.Grant, add func(name, label string, optional bool)) {
	has := s.Client != nil && s.Client().ID != ""
	signs := grant == oauth.JWTBearer || grant == oauth.SelfSigned ||
		s.Auth.OAuth != nil && (strings.HasPrefix(s.Auth.OAuth.TokenAuth, "private_key_jwt") || strings.HasPrefix(s.Auth.OAuth.TokenAuth, "certificate"))
	if !has {
		add(fieldID, "Client id", false)
	}
	switch {
	case signs && (s.Client == nil || s.Client().Key.IsZero()):
		add(fieldPrivate, "Private key", false)
		add(fieldKeyID, "Key id", true)
	case !signs && !has:
		add(fieldSecret, "Client secret", false)
	}
	if grant == oauth.JWTBearer {
		add(fieldSubject, "On whose behalf", true)
	}
	if grant == oauth.Password {
		add(fieldUser, "User name", false)
		add(fieldPassword, "Password", false)
	}
}

// headerFields are what headers hold that go together with the credential.
func (s *service) headerFields() []Field {
	var list []Field
	for _, name := range variablesIn(mapValues(s.Auth.Headers)...) {
		v := s.Variables[name]
		if v.From != "" || v.Ask != nil || name == fieldID {
			continue
		}
		list = append(list, Field{Name: name, Label: label(name, v), Secret: true, Values: v.Values, Example: v.Example})
	}
	return list
}

func (s *service) variableFields() []Field {
	var list []Field
	texts := []string{s.BaseURL, s.Auth.Username, s.Auth.Password}
	missing := variablesIn(texts...)
	if s.method != nil {
		missing = append(missing, s.method.Missing(nil)...)
	}
	slices.Sort(missing)
	for _, name := range slices.Compact(missing) {
		v, known := s.Variables[name]
		told := v.Ask != nil || v.From != "" && (s.method == nil || !slices.Contains(s.method.Missing(nil), name))
		if !known || told || name == "secret" {
			continue
		}
		list = append(list, Field{Name: name, Label: label(name, v), Values: v.Values, Example: v.Example})
	}
	return list
}

func label(name string, v catalog.Variable) string {
	if v.Text != "" {
		return strings.ToUpper(v.Text[:1]) + v.Text[1:]
	}
	text := strings.ReplaceAll(name, "_", " ")
	return strings.ToUpper(text[:1]) + text[1:]
}

// longestSecret bounds what is taken from a person; private keys have 3 kB.
const longestSecret = 16 << 10

// given checks what a person gave against the fields; the error names every
// field that is missing or not known, and never a value.
func (s *service) given(secrets map[string]integration.Secret, variables map[string]string) error {
	var problems []string
	known := map[string]bool{}
	for _, f := range s.fields() {
		known[f.Name] = true
		value, ok := secrets[f.Name]
		plain := value.Reveal()
		if !f.Secret {
			plain, ok = variables[f.Name]
		}
		if (!ok || plain == "") && !f.Optional {
			problems = append(problems, f.Name+" is missing")
		}
		if len(plain) > longestSecret || !f.Lines && strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			problems = append(problems, f.Name+" is too long or holds a line break")
		}
	}
	for name := range secrets {
		if !known[name] {
			problems = append(problems, "secrets."+shown(name)+" is not asked for")
		}
	}
	for name, value := range variables {
		if err := oauth.CheckAll(s.Variables, oauth.Values{name: value}); err != nil {
			problems = append(problems, "variables: "+err.Error())
		}
	}
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return &RequestError{Problems: problems}
}

// shown is a name that somebody gave, or a stand-in where it may be a secret in
// the wrong place: names have small letters only.
func shown(name string) string {
	if len(name) > 32 || strings.ContainsFunc(name, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
		return "(a name that is not shown)"
	}
	return name
}

// RequestError says what is wrong with what somebody gave. It shows no value.
type RequestError struct{ Problems []string }

// Error lists the problems.
func (e *RequestError) Error() string { return strings.Join(e.Problems, "; ") }

// asker is who asks the provider for tokens: the plan's app, with what the
// connection brought in its place.
func (s *service) asker(variables map[string]string, secrets map[string]integration.Secret, now time.Time) oauth.Asker {
	a := oauth.Asker{Values: oauth.Values(variables), Now: now}
	if s.Client != nil {
		a.Client = s.Client()
	}
	if id := secrets[fieldID]; !id.IsZero() {
		a.Client.ID = id.Reveal()
	}
	take := func(into *integration.Secret, field string) {
		if v := secrets[field]; !v.IsZero() {
			*into = v
		}
	}
	take(&a.Client.Secret, fieldSecret)
	take(&a.Client.Key, fieldPrivate)
	if id := secrets[fieldKeyID]; !id.IsZero() {
		a.Client.KeyID = id.Reveal()
	}
	return a
}

// own is what a grant without a person needs beside the app.
func (s *service) own(scopes []string, secrets map[string]integration.Secret) oauth.Own {
	return oauth.Own{Scopes: scopes, Subject: secrets[fieldSubject].Reveal(), Username: secrets[fieldUser].Reveal(), Password: secrets[fieldPassword]}
}

// open unseals the credentials of a connection.
func (s *Connections) open(ctx context.Context, c *integration.Connection, sealed []integration.Credential) (map[string]integration.Secret, error) {
	opened := make(map[string]integration.Secret, len(sealed))
	for i := range sealed {
		secret, err := s.Sealer.Open(ctx, binding(c, sealed[i].Field), sealed[i].Sealed)
		if err != nil {
			return nil, fmt.Errorf("connection %s: %s: %w", c.ID, sealed[i].Field, err)
		}
		opened[sealed[i].Field] = secret
	}
	return opened, nil
}

// put seals a secret into a change.
func (s *Connections) put(ctx context.Context, ch *change, field string, secret integration.Secret, expires time.Time) error {
	sealed, err := s.Sealer.Credential(ctx, binding(&ch.Connection, field), secret)
	if err != nil {
		return err
	}
	sealed.ExpiresAt = expires
	ch.Put = append(ch.Put, sealed)
	return nil
}

func binding(c *integration.Connection, field string) vault.Binding {
	return vault.Binding{Tenant: c.Tenant, Connection: c.ID, Field: field}
}
