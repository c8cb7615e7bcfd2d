// Package credential puts an API key onto a request the way a provider wants
// it: in a header, in the query, or as HTTP basic authentication (RFC 7617).
// It takes away whatever a caller had put in its place, such as the dummy key
// an SDK insists on, so that the secret of the plan is the only one that
// leaves.
//
// The secret is handed in with every request: a rotated one is in use from the
// next request on.
package credential

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// placeholder stands for the secret in the fields of basic authentication.
const placeholder = "{secret}"

// Errors of Apply. Neither shows anything of the secret.
var (
	// ErrMissing: there is no secret to put onto the request.
	ErrMissing = errors.New("there is no credential; set the secret the plan refers to")
	// ErrUnfit: the secret holds characters that can't stand in a header.
	ErrUnfit = errors.New("the credential holds control characters, such as a line break at its end; store it without them")
)

// Applier puts credentials of one kind onto requests. It may be used by many
// goroutines at once.
type Applier struct {
	header string // canonical; empty for a query parameter
	query  string // name of the query parameter; empty otherwise
	render func(secret string) string

	last atomic.Pointer[rendered]
}

// rendered is a secret made ready, kept so that a warm request costs no
// hashing and no encoding.
type rendered struct {
	secret      integration.Secret
	value       integration.Secret
	header      []string
	fingerprint string
}

// Compile makes the Applier of one kind of credential. For the kinds that are
// turned into a token first, it puts on the token: as a bearer (RFC 6750) where
// the profile does not say otherwise. Kinds oauth1 and custom are refused.
func Compile(auth catalog.Auth) (*Applier, error) {
	switch auth.Kind {
	case "api_key":
		return compileKey(auth)
	case "basic":
		return compileBasic(auth)
	case "oauth2", "client_credentials", "password", "jwt_bearer", "jwt":
		if auth.Name == "" {
			auth.In, auth.Name, auth.Prefix = "header", "Authorization", "Bearer "
		}
		return compileKey(auth)
	}
	return nil, fmt.Errorf("auth: kind %q is not supported by this version; use api_key, basic, oauth2, client_credentials, password, jwt_bearer or jwt", auth.Kind)
}

func compileKey(auth catalog.Auth) (*Applier, error) {
	if auth.Name == "" {
		return nil, errors.New("auth: api_key needs a name, the header or parameter that carries the key")
	}
	a := &Applier{render: func(secret string) string { return auth.Prefix + secret }}
	switch auth.In {
	case "header", "":
		if strings.ContainsAny(auth.Name+auth.Prefix, "\r\n\x00:") {
			return nil, fmt.Errorf("auth: %q with prefix %q is no header", auth.Name, auth.Prefix)
		}
		a.header = http.CanonicalHeaderKey(auth.Name)
	case "query":
		a.query = auth.Name
	default:
		return nil, fmt.Errorf("auth: api_key in %q is not supported; use header or query", auth.In)
	}
	return a, nil
}

func compileBasic(auth catalog.Auth) (*Applier, error) {
	if auth.Username != placeholder && auth.Password != placeholder {
		return nil, fmt.Errorf("auth: basic needs %s as its username or its password", placeholder)
	}
	fill := func(part, secret string) string {
		if part == placeholder {
			return secret
		}
		return part
	}
	return &Applier{header: "Authorization", render: func(secret string) string {
		pair := fill(auth.Username, secret) + ":" + fill(auth.Password, secret)
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
	}}, nil
}

// Strip takes away the credentials a caller sent: what stands where ours will
// be, and Authorization, Proxy-Authorization and Cookie in any case, as none of
// them is meant for the provider. It changes header and u.
func (a *Applier) Strip(header http.Header, u *url.URL) {
	for name := range header {
		if a.Carries(name) {
			delete(header, name)
		}
	}
	a.StripURL(u)
}

// Carries reports whether a header, by its canonical name, may carry a
// credential.
func (a *Applier) Carries(name string) bool {
	switch name {
	case "Authorization", "Proxy-Authorization", "Cookie":
		return true
	}
	return name == a.header
}

// StripURL is Strip for the URL alone.
func (a *Applier) StripURL(u *url.URL) {
	if a.query != "" && u.RawQuery != "" {
		u.RawQuery = withoutParam(u.RawQuery, a.query)
	}
	u.User = nil
}

// Apply puts secret onto the request, in the place of what stands there, and
// returns the secret's fingerprint for the log. The request must be the
// caller's own: its header and URL are changed.
func (a *Applier) Apply(r *http.Request, secret integration.Secret) (fingerprint string, err error) {
	ready := a.last.Load()
	if ready == nil || ready.secret != secret {
		if ready, err = a.prepare(secret); err != nil {
			return "", err
		}
		a.last.Store(ready)
	}
	if a.query != "" {
		query := withoutParam(r.URL.RawQuery, a.query)
		if query != "" {
			query += "&"
		}
		r.URL.RawQuery = query + url.QueryEscape(a.query) + "=" + url.QueryEscape(ready.value.Reveal())
		return ready.fingerprint, nil
	}
	r.Header[a.header] = ready.header
	return ready.fingerprint, nil
}

func (a *Applier) prepare(secret integration.Secret) (*rendered, error) {
	if secret.IsZero() {
		return nil, ErrMissing
	}
	plain := secret.Reveal()
	for i := range len(plain) {
		if plain[i] < ' ' || plain[i] == 0x7f {
			return nil, ErrUnfit
		}
	}
	value := a.render(plain)
	return &rendered{
		secret: secret, value: integration.NewSecret(value), fingerprint: secret.Fingerprint(),
		header: []string{value}[:1:1],
	}, nil
}

// withoutParam drops a parameter from a raw query and leaves the rest, its
// order and its escaping as they are.
func withoutParam(query, name string) string {
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(key); part == "" || err == nil && plain == name {
			continue
		}
		kept = append(kept, part)
	}
	return strings.Join(kept, "&")
}

// Scrub takes a secret out of a text that somebody else wrote, such as a
// provider's error message that repeats the key it refuses.
func Scrub(text string, secret integration.Secret) string {
	plain := secret.Reveal()
	if len(plain) < 4 || !strings.Contains(text, plain) { // shorter ones are found everywhere
		return text
	}
	return strings.ReplaceAll(text, plain, secret.String())
}
