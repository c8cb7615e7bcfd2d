package openapi

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// SecurityScheme is one way the document says requests are authenticated.
type SecurityScheme struct {
	Name      string // in the document
	Kind      string // apiKey, http, oauth2, openIdConnect, basic (Swagger 2.0), or what else stands there
	Scheme    string // http: basic, bearer, …
	In        string // apiKey: header, query, cookie
	Parameter string // apiKey: of the header or parameter
	Flows     []Flow // oauth2
}

// Flow is one OAuth 2.0 flow of a scheme. Addresses are as the document writes
// them; empty where it is silent.
type Flow struct {
	Name         string // authorizationCode, clientCredentials, implicit, password; Swagger's names are turned into these
	AuthorizeURL string
	TokenURL     string
	RefreshURL   string
	Scopes       []string // sorted
}

// swaggerFlows are the flows of Swagger 2.0 under their names in OpenAPI 3.
var swaggerFlows = map[string]string{"accessCode": "authorizationCode", "application": "clientCredentials"}

// String is how the scheme stands in Document.Auth.
func (s SecurityScheme) String() string {
	words := []string{s.Kind, s.Scheme, s.In, s.Parameter}
	for _, f := range s.Flows {
		words = append(words, f.Name)
	}
	return s.Name + " (" + strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ") + ")"
}

func (b *builder) security() {
	at := "components.securitySchemes"
	if b.swagger {
		at = "securityDefinitions"
	}
	where := "#/" + strings.ReplaceAll(at, ".", "/")
	members(b.root.Get(at), func(name, s gjson.Result) bool {
		if s = b.follow(s, where+"/"+name.String()); !s.IsObject() {
			return true
		}
		scheme := SecurityScheme{Name: name.String(), Kind: s.Get("type").String(), Scheme: strings.ToLower(s.Get("scheme").String()), In: s.Get("in").String(), Parameter: s.Get("name").String()}
		if flow := s.Get("flow").String(); flow != "" {
			if name, ok := swaggerFlows[flow]; ok {
				flow = name
			}
			scheme.Flows = append(scheme.Flows, flowOf(flow, s))
		}
		members(s.Get("flows"), func(flow, f gjson.Result) bool {
			scheme.Flows = append(scheme.Flows, flowOf(flow.String(), f))
			return true
		})
		b.document.Security = append(b.document.Security, scheme)
		b.document.Auth = append(b.document.Auth, scheme.String())
		return true
	})
	if len(b.document.Auth) == 0 {
		b.defect(where, "missing-security", "the document declares no security scheme")
	}
	b.unknownSchemes()
}

func flowOf(name string, f gjson.Result) Flow {
	flow := Flow{Name: name, AuthorizeURL: f.Get("authorizationUrl").String(), TokenURL: f.Get("tokenUrl").String(), RefreshURL: f.Get("refreshUrl").String()}
	members(f.Get("scopes"), func(scope, _ gjson.Result) bool {
		flow.Scopes = append(flow.Scopes, scope.String())
		return true
	})
	slices.Sort(flow.Scopes)
	return flow
}

// unknownSchemes tells of schemes that requests need and nobody declares.
func (b *builder) unknownSchemes() {
	told := map[string]bool{}
	for _, s := range b.document.Security {
		told[s.Name] = true
	}
	check := func(list gjson.Result) {
		elements(list, func(_, needs gjson.Result) bool {
			members(needs, func(name, _ gjson.Result) bool {
				if needs.IsObject() && !told[name.String()] {
					told[name.String()] = true
					b.defect("#/security", "unknown-security", "requests need the security scheme %.100q, which is not declared", name.String())
				}
				return true
			})
			return true
		})
	}
	check(b.root.Get("security"))
	members(b.root.Get("paths"), func(_, item gjson.Result) bool {
		if strings.Contains(item.Raw, `"security"`) {
			members(item, func(_, o gjson.Result) bool {
				if o.IsObject() {
					check(o.Get("security"))
				}
				return true
			})
		}
		return true
	})
}

// servers takes the addresses of the API.
func (b *builder) servers() {
	if b.swagger {
		host := b.root.Get("host").String()
		if host == "" {
			b.defect("#/host", "missing-server", "the document names no host")
			return
		}
		scheme := "https"
		if first := b.root.Get("schemes.0").String(); first != "" && !strings.Contains(b.root.Get("schemes").Raw, `"https"`) {
			scheme = first
		}
		b.document.Servers = []string{scheme + "://" + host + strings.TrimSuffix(b.root.Get("basePath").String(), "/")}
		return
	}
	b.document.Servers = absolute(b.root.Get("servers"))
	if len(b.document.Servers) == 0 {
		b.defect("#/servers", "missing-server", "the document names no absolute server URL")
	}
}

// absolute are the absolute addresses of a list of servers, each once.
func absolute(servers gjson.Result) []string {
	var list []string
	elements(servers, func(_, s gjson.Result) bool {
		u := strings.TrimSuffix(s.Get("url").String(), "/")
		if strings.Contains(u, "://") && !slices.Contains(list, u) && len(list) < 100 {
			list = append(list, u)
		}
		return true
	})
	return list
}

// server is the address of one operation where it differs from the document's:
// what stands at the operation itself comes before what stands at its path.
func (b *builder) server(path, operation gjson.Result) string {
	for _, at := range []gjson.Result{operation, path} {
		if own := absolute(at.Get("servers")); len(own) > 0 {
			if slices.Contains(b.document.Servers, own[0]) {
				return ""
			}
			return own[0]
		}
	}
	return ""
}

// headers counts the headers that answers are documented to carry.
func (b *builder) headers(response gjson.Result, seen map[string]bool) {
	members(response.Get("headers"), func(name, _ gjson.Result) bool {
		seen[name.String()] = true
		return true
	})
}
