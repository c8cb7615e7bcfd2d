package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Asker is who asks for a token: the app and what the connection knows.
type Asker struct {
	Client Client
	Values Values
	Now    time.Time // for the times in signed assertions
}

// CodeRequest exchanges the code of a callback. redirectURI and verifier are
// those of the authorisation.
func (m *Method) CodeRequest(ctx context.Context, a Asker, c Callback, redirectURI string, verifier integration.Secret) (*http.Request, error) {
	if c.Code.IsZero() || verifier.IsZero() {
		return nil, errors.New("exchanging a code needs the code and its PKCE verifier")
	}
	form := url.Values{}
	form.Set("grant_type", "authorization_code")
	form.Set("code", c.Code.Reveal())
	form.Set(m.name("redirect_uri"), redirectURI)
	form.Set(m.name("code_verifier"), verifier.Reveal())
	if err := m.addParams(form, a, c.Query); err != nil {
		return nil, err
	}
	return m.tokenRequest(ctx, "auth.oauth.token_url", m.oauth.TokenURL, a, form)
}

// RefreshRequest trades a refresh token for new tokens.
func (m *Method) RefreshRequest(ctx context.Context, a Asker, refresh integration.Secret) (*http.Request, error) {
	if refresh.IsZero() {
		return nil, errors.New("there is no refresh token")
	}
	form := url.Values{}
	if err := m.addParams(form, a, nil); err != nil {
		return nil, err
	}
	form.Set("grant_type", "refresh_token")
	form.Set(m.name("refresh_token"), refresh.Reveal())
	place, address := "auth.oauth.refresh_url", m.oauth.RefreshURL
	if address == "" {
		place, address = "auth.oauth.token_url", m.oauth.TokenURL
	}
	return m.tokenRequest(ctx, place, address, a, form)
}

// Own is what a grant without a person needs beside the client.
type Own struct {
	Scopes   []string
	Subject  string // jwt_bearer: on whose behalf; empty: the client's own
	Username string // password grant
	Password integration.Secret
}

// OwnRequest asks for a token without a person: client credentials, password,
// JWT bearer.
func (m *Method) OwnRequest(ctx context.Context, a Asker, own Own) (*http.Request, error) {
	form := url.Values{}
	scopes := strings.Join(m.Scopes(own.Scopes), m.separator())
	switch m.Grant() {
	case ClientCredentials:
		form.Set("grant_type", "client_credentials")
	case Password:
		if own.Username == "" || own.Password.IsZero() {
			return nil, errors.New("the password grant needs a username and a password")
		}
		form.Set("grant_type", "password")
		form.Set(m.name("username"), own.Username)
		form.Set(m.name("password"), own.Password.Reveal())
	case JWTBearer:
		assertion, err := m.assertion(a, own)
		if err != nil {
			return nil, err
		}
		form.Set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
		form.Set("assertion", assertion)
	default:
		return nil, fmt.Errorf("auth.kind: %s does not ask for a token by itself", m.Grant())
	}
	if scopes != "" && m.Grant() != JWTBearer { // an assertion carries them as a claim
		form.Set(m.name("scope"), scopes)
	}
	if err := m.addParams(form, a, nil); err != nil {
		return nil, err
	}
	return m.tokenRequest(ctx, "auth.oauth.token_url", m.oauth.TokenURL, a, form)
}

// addParams adds the profile's own parameters. One whose variable nobody knows
// yet is taken from the callback's parameter of that name: BigCommerce wants its
// context back as it sent it.
func (m *Method) addParams(form url.Values, a Asker, callback url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(m.oauth.TokenParams)) {
		value, err := m.fill(m.oauth.TokenParams[name], a.Client, a.Values)
		if err != nil {
			value = callback.Get(name)
		}
		if err != nil && value == "" {
			return fmt.Errorf("auth.oauth.token_params.%s: %w", name, err)
		}
		form.Set(name, value)
	}
	return nil
}

func (m *Method) tokenRequest(ctx context.Context, place, address string, a Asker, form url.Values) (*http.Request, error) {
	u, err := m.address(place, address, a.Client, a.Values)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Accept": {"application/json"}}
	if err := m.authenticate(header, form, a, u); err != nil {
		return nil, err
	}
	body := m.oauth.TokenBody
	return build(ctx, http.MethodPost, u, header, form, body)
}

// build writes a request whose parameters travel as body says: form (empty),
// json, query, none.
func build(ctx context.Context, method string, u *url.URL, header http.Header, form url.Values, body string) (*http.Request, error) {
	var content []byte
	switch body {
	case "json":
		members := make(map[string]string, len(form))
		for name := range form {
			members[name] = form.Get(name)
		}
		content, _ = json.Marshal(members) // a map of strings can't fail
		header.Set("Content-Type", "application/json")
	case "query":
		query := u.Query()
		maps.Copy(query, form)
		u.RawQuery = query.Encode()
	case "none":
	default:
		content = []byte(form.Encode())
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("the request can't be made: %w", err)
	}
	r.Header = header
	return r, nil
}

// style picks how the client authenticates: by a signature where the profile
// takes one and there is a key, else the first way that the client can go.
func (m *Method) style(c Client) string {
	if len(m.styles) == 0 {
		switch {
		case c.Secret.IsZero() && !c.Key.IsZero() && m.Grant() != JWTBearer:
			return "private_key_jwt"
		case m.Grant() == JWTBearer || c.Secret.IsZero():
			return "none"
		}
		return "post"
	}
	for _, s := range m.styles {
		if (s == "private_key_jwt" || s == "certificate") && !c.Key.IsZero() {
			return s
		}
	}
	for _, s := range m.styles {
		if (s == "basic" || s == "post") && !c.Secret.IsZero() {
			return s
		}
	}
	if slices.Contains(m.styles, "none") || m.Grant() == JWTBearer {
		return "none"
	}
	return m.styles[0]
}

// authenticate adds what says who the client is (RFC 6749, section 2.3).
func (m *Method) authenticate(header http.Header, form url.Values, a Asker, at *url.URL) error {
	switch style := m.style(a.Client); style {
	case "basic":
		if a.Client.ID == "" || a.Client.Secret.IsZero() {
			return errNoClient
		}
		setBasic(header, a.Client)
	case "private_key_jwt", "certificate":
		assertion, err := m.clientAssertion(a, at)
		if err != nil {
			return err
		}
		form.Set(m.name("client_id"), a.Client.ID)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	case "none":
		if a.Client.ID != "" && m.Grant() != JWTBearer {
			form.Set(m.name("client_id"), a.Client.ID)
		}
	default:
		if a.Client.ID == "" || a.Client.Secret.IsZero() {
			return errNoClient
		}
		form.Set(m.name("client_id"), a.Client.ID)
		form.Set(m.name("client_secret"), a.Client.Secret.Reveal())
	}
	return nil
}

var errNoClient = errors.New("the app's client_id and client_secret are needed; name them in the plan's secrets")

// setBasic sends id and secret form-encoded, as RFC 6749, section 2.3.1, says.
func setBasic(header http.Header, c Client) {
	r := http.Request{Header: header}
	r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret.Reveal()))
}
