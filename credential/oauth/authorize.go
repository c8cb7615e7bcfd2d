package oauth

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/integration"
)

// Authorization is one sending of a person to the provider.
type Authorization struct {
	Client      Client
	Values      Values
	RedirectURI string // exactly as registered at the provider
	State       string
	// Verifier is the PKCE secret (RFC 7636); NewVerifier makes one. It is never
	// sent here, only its SHA-256 is.
	Verifier integration.Secret
	Nonce    string   // of the ID token; empty: none is asked for
	Scopes   []string // besides those the profile always wants
}

// NewVerifier makes a PKCE verifier of 256 random bits.
func NewVerifier() integration.Secret { return integration.NewSecret(oauth2.GenerateVerifier()) }

// NewState makes 256 random bits in letters that an address may hold.
func NewState() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand, Go 1.24
	return base64.RawURLEncoding.EncodeToString(b)
}

// Scopes are what is asked for: the profile's own, the one that brings a
// refresh token, and the caller's, each once, in that order.
func (m *Method) Scopes(asked []string) []string {
	var all []string
	seen := map[string]bool{}
	for _, list := range [][]string{m.oauth.Scopes, strings.Fields(m.oauth.Offline), asked} {
		for _, scope := range list {
			if scope != "" && !seen[scope] {
				seen[scope] = true
				all = append(all, scope)
			}
		}
	}
	return all
}

// AuthorizeURL is the address to send the person to. PKCE with S256 is always
// there, also where the provider says nothing of it: RFC 6749, section 3.1, has
// unknown parameters ignored.
func (m *Method) AuthorizeURL(a Authorization) (string, error) {
	if m.Grant() != AuthorizationCode {
		return "", fmt.Errorf("auth.kind: nobody is sent to the provider for %s", m.Grant())
	}
	switch {
	case a.Client.ID == "":
		return "", errors.New("client_id: it is empty; register an app at the provider and name its id in the plan's secrets")
	case a.State == "" || a.Verifier.IsZero() || a.RedirectURI == "":
		return "", errors.New("an authorisation needs a state, a PKCE verifier and a redirect URI")
	}
	u, err := m.address("auth.oauth.authorize_url", m.oauth.AuthorizeURL, a.Client, a.Values)
	if err != nil {
		return "", err
	}
	query := u.Query()
	for name, value := range m.oauth.Params {
		filled, err := m.fill(value, a.Client, a.Values)
		if err != nil {
			return "", fmt.Errorf("auth.oauth.params.%s: %w", name, err)
		}
		query.Set(name, filled)
	}
	set := func(name, value string) { query.Set(m.name(name), value) }
	set("response_type", "code")
	set("client_id", a.Client.ID)
	set("redirect_uri", a.RedirectURI)
	set("state", a.State)
	set("code_challenge", oauth2.S256ChallengeFromVerifier(a.Verifier.Reveal()))
	set("code_challenge_method", "S256")
	if scopes := m.Scopes(a.Scopes); len(scopes) > 0 {
		set("scope", strings.Join(scopes, m.separator()))
	}
	if a.Nonce != "" && m.oauth.Issuer != "" {
		set("nonce", a.Nonce)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// separator joins scopes. A plus in a profile is the encoded space.
func (m *Method) separator() string {
	if s := m.oauth.ScopeSeparator; s != "" && s != "+" {
		return s
	}
	return " "
}

// name is the provider's name of a standard parameter.
func (m *Method) name(standard string) string {
	if own, ok := m.oauth.Renamed[standard]; ok {
		return own
	}
	return standard
}

// Callback is what the provider sent the person back with.
type Callback struct {
	Code  integration.Secret
	State string
	// Query are all parameters without the code, for Learn and for token
	// parameters that repeat them.
	Query url.Values
}

// ReadCallback reads the query of the redirect. An *Error is the provider's no:
// its Code is access_denied when the person refused. An answer that names
// another issuer than the profile's comes from another server (RFC 9207).
func (m *Method) ReadCallback(query url.Values, values Values) (Callback, error) {
	for name, list := range query {
		if len(list) > 1 && (name == "code" || name == "state" || name == "iss" || name == "error") {
			return Callback{}, fmt.Errorf("%s stands in the answer %d times", name, len(list)) // RFC 6749, section 3.1
		}
	}
	c := Callback{State: query.Get(m.name("state")), Query: url.Values{}}
	for name, list := range query {
		if name != "code" && name != m.name("code") && name != "state" {
			c.Query[name] = list
		}
	}
	if iss := query.Get("iss"); iss != "" && m.oauth.Issuer != "" {
		want, err := m.fill(m.oauth.Issuer, Client{}, values)
		if err != nil {
			return c, err
		}
		if iss != want {
			return c, errIssuer
		}
	}
	if code := query.Get("error"); code != "" {
		return c, &Error{Code: word(code), Description: text(query.Get("error_description")), Reason: reasonOf(word(code), "")}
	}
	code := query.Get(m.name("code"))
	if code == "" {
		return c, errors.New("the provider sent no code")
	}
	c.Code = integration.NewSecret(code)
	return c, nil
}

var errIssuer = errors.New("the answer comes from another issuer than the one that was asked (RFC 9207)")
