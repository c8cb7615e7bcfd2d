package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/openapi"
)

// grants are the flows of OAuth 2.0 under the names that profiles use.
var grants = map[string]string{"authorizationCode": "oauth2", "clientCredentials": "client_credentials", "password": "password"}

// auth compares the ways to authenticate. A profile's way counts as imported
// when some scheme of the document is the same; a scheme that no way of the
// profile is stands alone.
func (c *comparison) auth() {
	schemes := make([][]string, len(c.profile.Auth)) // those that are the same, by way
	var others, keys []openapi.SecurityScheme
	for _, s := range c.document.Security {
		found := false
		for i := range c.profile.Auth {
			if same(c.profile.Auth[i], s) {
				schemes[i], found = append(schemes[i], s.String()), true
			}
		}
		switch {
		case !found && s.Kind == "apiKey":
			keys = append(keys, s)
		case !found:
			others = append(others, s)
		}
	}
	for i := range c.profile.Auth {
		a, section := c.profile.Auth[i], fmt.Sprintf("auth[%d]", i)
		said, differ := strings.Join(schemes[i], ", "), false
		if said == "" && a.Kind == "api_key" && len(keys) > 0 {
			said, differ, keys = keys[0].String(), true, keys[1:]
		}
		c.add(section, "kind", place(a), said, differ, "")
		for _, s := range c.document.Security {
			if same(a, s) {
				c.addresses(section, a, s)
			}
		}
	}
	for _, s := range slices.Concat(others, keys) {
		c.add("auth", s.Name, "", s.String(), false, "the profile has no such way")
	}
}

// place is a way of a profile in short: its kind, and where the key goes.
func place(a catalog.Auth) string {
	return strings.Join(strings.Fields(a.Kind+" "+a.In+" "+a.Name+" "+a.Prefix), " ")
}

// same reports whether a way of the profile and a scheme of the document are
// the same.
func same(a catalog.Auth, s openapi.SecurityScheme) bool {
	bearer := strings.EqualFold(strings.TrimSpace(a.Prefix), "bearer") && strings.EqualFold(a.Name, "Authorization")
	switch {
	case s.Kind == "basic", s.Kind == "http" && s.Scheme == "basic":
		return a.Kind == "basic"
	case s.Kind == "http" && s.Scheme == "bearer":
		return bearer || (a.Kind != "api_key" && a.Kind != "basic" && a.Kind != "oauth1" && a.Name == "")
	case s.Kind == "apiKey":
		for header := range a.Headers {
			if strings.EqualFold(header, s.Parameter) {
				return true
			}
		}
		return a.Kind == "api_key" && a.In == s.In && strings.EqualFold(a.Name, s.Parameter)
	case s.Kind == "oauth2":
		for _, f := range s.Flows {
			if grants[f.Name] == a.Kind {
				return true
			}
		}
		// the token of the flow is what the profile puts on a request
		return a.Kind == "api_key" && bearer && len(s.Flows) == 0
	}
	return false
}

// addresses compares those of OAuth 2.0.
func (c *comparison) addresses(section string, a catalog.Auth, s openapi.SecurityScheme) {
	if a.OAuth == nil {
		return
	}
	for _, f := range s.Flows {
		if grants[f.Name] != a.Kind {
			continue
		}
		for _, at := range []struct{ name, profile, said string }{
			{"authorize_url", a.OAuth.AuthorizeURL, f.AuthorizeURL},
			{"token_url", a.OAuth.TokenURL, f.TokenURL},
			{"refresh_url", a.OAuth.RefreshURL, f.RefreshURL},
		} {
			said := c.absolute(at.said)
			c.add(section, "oauth."+at.name, at.profile, said, said != "" && !alike(address(at.profile), address(said)), "")
		}
		if n := len(f.Scopes); n > 0 {
			c.add(section, "oauth.scopes", strings.Join(a.OAuth.Scopes, ", "), fmt.Sprintf("%d scopes: %s", n, shorten(f.Scopes)), false, "")
		}
	}
}

// absolute makes an address that is relative to the server absolute.
func (c *comparison) absolute(raw string) string {
	if raw == "" || strings.Contains(raw, "://") || len(c.document.Servers) == 0 {
		return raw
	}
	server := c.document.Servers[0]
	if !strings.HasPrefix(raw, "/") {
		return server + "/" + raw
	}
	scheme, _, _ := strings.Cut(server, "://")
	return scheme + "://" + host(server) + raw
}
