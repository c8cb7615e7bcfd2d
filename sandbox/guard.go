package sandbox

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// guard checks the credential of requests the way the profile says one is sent.
type guard struct {
	ways     []catalog.Auth // api_key and basic; none: nothing is checked
	keys     []integration.Secret
	prefixes []string                // how a test key begins
	live     func(token string) bool // nil: tokens are not looked at
}

// needs has the guard take nothing but tokens that an authorization server gave,
// where the profile says they stand. Nil: it goes on as it is.
func (g *guard) needs(o *OAuth) {
	if o == nil {
		return
	}
	way := catalog.Auth{Kind: "api_key", In: o.config.Auth.In, Name: o.config.Auth.Name, Prefix: o.config.Auth.Prefix}
	if way.Name == "" {
		way.In, way.Name, way.Prefix = "header", "Authorization", "Bearer "
	}
	g.ways, g.live = []catalog.Auth{way}, o.Live
}

// newGuard takes every way of the profile that carries a key, for providers
// often accept several. An OAuth token is a bearer token and checked as one.
func newGuard(p *plan.Plan, keys []integration.Secret) *guard {
	g := &guard{keys: slices.DeleteFunc(slices.Clone(keys), integration.Secret.IsZero)}
	for _, a := range p.Provider.Auth {
		switch a.Kind {
		case "api_key", "basic":
			g.ways = append(g.ways, a)
		case p.Auth.Use:
			g.ways = append(g.ways, catalog.Auth{Kind: "api_key", In: "header", Name: "Authorization", Prefix: "Bearer "})
		default:
			continue
		}
		g.prefixes = append(g.prefixes, a.TestPrefix...)
	}
	return g
}

// check is nil when the request carries an accepted credential.
func (g *guard) check(r *http.Request) *problem {
	if len(g.ways) == 0 {
		return nil
	}
	given := false
	for _, way := range g.ways {
		key, ok := present(r, way)
		given = given || ok
		if ok && g.accepts(key) {
			return nil
		}
	}
	if given {
		return &problem{kind: kindCredential, message: "Invalid API key provided."}
	}
	return &problem{kind: kindCredential, message: "You did not provide an API key."}
}

// present takes the key out of a request; ok is false when it is not there.
func present(r *http.Request, way catalog.Auth) (key string, ok bool) {
	if way.Kind == "basic" {
		user, password, ok := r.BasicAuth()
		if !ok {
			return "", false
		}
		if way.Password == secretMark {
			return password, password != ""
		}
		return user, user != ""
	}
	value := r.Header.Get(way.Name)
	if way.In == "query" {
		value = r.URL.Query().Get(way.Name)
	}
	prefix := len(way.Prefix)
	if len(value) <= prefix || !strings.EqualFold(value[:prefix], way.Prefix) {
		return "", false
	}
	return value[prefix:], true
}

// secretMark stands in a profile where the secret goes.
const secretMark = "{secret}"

func (g *guard) accepts(key string) bool {
	if g.live != nil {
		return g.live(key)
	}
	if len(g.keys) == 0 {
		return len(g.prefixes) == 0 || slices.ContainsFunc(g.prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
	}
	found := false
	for _, k := range g.keys {
		found = subtle.ConstantTimeCompare([]byte(k.Reveal()), []byte(key)) == 1 || found
	}
	return found
}

// carriers are the headers and query parameters that carry credentials.
func (g *guard) carriers() (headers, queries []string) {
	headers = []string{"Authorization", "Proxy-Authorization", "Cookie"}
	for _, way := range g.ways {
		switch {
		case way.Name == "":
		case way.In == "query":
			queries = append(queries, way.Name)
		default:
			headers = append(headers, way.Name)
		}
	}
	return headers, queries
}
