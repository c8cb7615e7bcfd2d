package oauth

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// Grant is how a method comes by its token.
type Grant string

// The grants. AuthorizationCode needs a person at the provider; the others need
// none, so their tokens are not refreshed but asked for anew.
const (
	AuthorizationCode Grant = "oauth2"
	ClientCredentials Grant = "client_credentials"
	Password          Grant = "password"
	JWTBearer         Grant = "jwt_bearer"
	SelfSigned        Grant = "jwt"
)

// Client is what the provider knows us by: the app that was registered there.
type Client struct {
	ID     string
	Secret integration.Secret // empty for public clients
	// Key signs assertions: a private key in PEM (RSA or EC), or the shared
	// secret itself for HS256. Empty where nothing is signed.
	Key   integration.Secret
	KeyID string // the provider's name of Key, sent as kid; empty: none is sent
}

// Values are what a connection knows of the variables in addresses: shop: acme.
type Values map[string]string

// Method is one way of authorisation at one provider. It is immutable and may
// be used by many goroutines at once.
type Method struct {
	auth      catalog.Auth
	oauth     catalog.OAuth
	variables map[string]catalog.Variable
	styles    []string // of client authentication, the one to prefer first
	elsewhere *url.URL // where a stand-in answers; nil: at the provider
}

// Compile makes the Method of one way of authorisation. Variables are the
// profile's (catalog.API.Variables). Kinds that are no grant are refused, and so
// are profiles that lack an address.
func Compile(auth catalog.Auth, variables map[string]catalog.Variable) (*Method, error) {
	m := &Method{auth: auth, variables: variables}
	if auth.OAuth != nil {
		m.oauth = *auth.OAuth
	}
	switch Grant(auth.Kind) {
	case AuthorizationCode:
		if m.oauth.AuthorizeURL == "" {
			return nil, errors.New("auth.oauth.authorize_url: the profile does not say where people authorise; add it")
		}
	case ClientCredentials, Password, JWTBearer:
	case SelfSigned:
		if auth.JWT == nil {
			m.auth.JWT = &catalog.JWT{}
		}
		return m, nil
	default:
		return nil, fmt.Errorf("auth.kind: %s is no grant of OAuth 2.0 and no signed token", auth.Kind)
	}
	if m.oauth.TokenURL == "" {
		return nil, errors.New("auth.oauth.token_url: the profile does not say where tokens are given out; add it")
	}
	if m.oauth.TokenAuth != "" {
		m.styles = strings.Split(m.oauth.TokenAuth, " or ")
	}
	return m, nil
}

// At returns the same Method with every address moved to where a stand-in of
// the provider answers, such as http://127.0.0.1:4010. Paths and queries stay.
func (m *Method) At(base string) (*Method, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%q is no address of a stand-in; write one such as http://127.0.0.1:4010", base)
	}
	moved := *m
	moved.elsewhere = u
	return &moved, nil
}

// Grant is how the method comes by its token.
func (m *Method) Grant() Grant { return Grant(m.auth.Kind) }

// Facts are the profile's about this method, for those who plan refreshes.
func (m *Method) Facts() catalog.OAuth { return m.oauth }

// Missing names the variables that somebody has to tell before a person can be
// sent to the provider, or a token be asked for. Those that the provider tells
// by itself are not among them.
func (m *Method) Missing(values Values) []string {
	texts := []string{m.oauth.AuthorizeURL, m.oauth.TokenURL}
	if m.Grant() != AuthorizationCode {
		texts = texts[1:]
		for _, v := range m.oauth.TokenParams {
			texts = append(texts, v)
		}
		if m.auth.JWT != nil {
			texts = append(texts, m.auth.JWT.Issuer, m.auth.JWT.Audience)
			for _, v := range m.auth.JWT.Claims {
				texts = append(texts, v)
			}
		}
	}
	var missing []string
	for _, text := range texts {
		for _, name := range names(text) {
			if _, known := values[name]; !known && name != "client_id" && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// address fills in a URL's variables. What comes out is an https address, or one
// of this machine over http, whose host is the one that the profile shaped: a
// value can't smuggle in a path, a port, a user or another host.
func (m *Method) address(place, template string, client Client, values Values) (*url.URL, error) {
	filled, err := m.fill(template, client, values)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	u, err := url.Parse(filled)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%s: it is no address once its variables are filled in", place)
	}
	if u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("%s: an address with a user or a fragment is not gone to", place)
	}
	if m.elsewhere != nil {
		u.Scheme, u.Host = m.elsewhere.Scheme, m.elsewhere.Host
		return u, nil
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, fmt.Errorf("%s: tokens travel over https only", place)
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
