package start

import (
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/catalog"
)

// auth takes the security schemes over, of Swagger 2.0 and OpenAPI 3.
func (b *begin) auth() {
	schemes := b.root.Get("components.securitySchemes")
	if !schemes.Exists() {
		schemes = b.root.Get("securityDefinitions")
	}
	schemes.ForEach(func(name, s gjson.Result) bool {
		a := catalog.Auth{Provenance: b.said}
		switch strings.ToLower(s.Get("type").String()) {
		case "apikey":
			b.apiKey(name.String(), a, s)
		case "basic":
			b.basic(a)
		case "http":
			b.http(name.String(), a, s)
		case "oauth2":
			b.oauth(name.String(), a, s)
		default:
			b.open("auth: the scheme %s of type %q was left out; say what it is.", name, s.Get("type").String())
		}
		return true
	})
	if len(b.Profile.Auth) == 0 {
		b.open("auth: the document names no credential that can be used; say how requests are authenticated.")
	}
}

func (b *begin) add(a catalog.Auth) { b.Profile.Auth = append(b.Profile.Auth, a) }

func (b *begin) apiKey(scheme string, a catalog.Auth, s gjson.Result) {
	a.Kind, a.In, a.Name = "api_key", s.Get("in").String(), s.Get("name").String()
	if a.In != "header" && a.In != "query" || a.Name == "" {
		b.open("auth: the key of scheme %s goes into %q, which is left to you.", scheme, a.In)
		return
	}
	if strings.EqualFold(a.Name, "Authorization") {
		b.open("auth: a key in Authorization often follows a word such as Bearer; see whether prefix is missing.")
	}
	b.add(a)
}

func (b *begin) basic(a catalog.Auth) {
	a.Kind, a.Username = "basic", "{secret}"
	b.open("auth: say what stands for the user name and what for the password; the secret was taken for the user name.")
	b.add(a)
}

func (b *begin) http(scheme string, a catalog.Auth, s gjson.Result) {
	switch strings.ToLower(s.Get("scheme").String()) {
	case "basic":
		b.basic(a)
	case "bearer":
		a.Kind, a.In, a.Name, a.Prefix = "api_key", "header", "Authorization", "Bearer "
		b.add(a)
	default:
		b.open("auth: the HTTP scheme %q of %s was left out; say what it is.", s.Get("scheme").String(), scheme)
	}
}

func (b *begin) oauth(scheme string, a catalog.Auth, s gjson.Result) {
	kinds := []struct{ flow, kind string }{
		{"authorizationCode", "oauth2"},
		{"accessCode", "oauth2"},
		{"clientCredentials", "client_credentials"},
		{"application", "client_credentials"},
		{"password", "password"},
	}
	taken := 0
	for _, k := range kinds {
		flow := s.Get("flows." + k.flow)
		if !flow.Exists() && s.Get("flow").String() == k.flow {
			flow = s
		}
		if !flow.Exists() {
			continue
		}
		token := b.address(flow.Get("tokenUrl").String())
		if token == "" {
			b.open("auth: the flow %s of %s has no token address; it was left out.", k.flow, scheme)
			continue
		}
		a.Kind = k.kind
		a.OAuth = &catalog.OAuth{TokenURL: token, RefreshURL: b.address(flow.Get("refreshUrl").String())}
		if k.kind == "oauth2" {
			a.OAuth.AuthorizeURL = b.address(flow.Get("authorizationUrl").String())
		}
		taken++
		b.add(a)
	}
	if taken > 0 {
		b.open("auth: of OAuth, say how the client authenticates at the token address, how long tokens live, and whether refresh tokens rotate.")
	} else {
		b.open("auth: no flow of %s can be used by a server; it was left out.", scheme)
	}
}

// address is absolute and https, or empty; one relative to the server is made
// absolute.
func (b *begin) address(address string) string {
	u, err := url.Parse(address)
	if err != nil || address == "" || strings.ContainsAny(address, "{}") {
		return ""
	}
	if !u.IsAbs() {
		base, err := url.Parse(b.Profile.API.BaseURL)
		if err != nil {
			return ""
		}
		u = base.ResolveReference(u)
	}
	if u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}
