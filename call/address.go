package call

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// home is a base URL that callers may write their requests for: the
// environment's, or the provider's own, which its SDK has built in.
type home struct {
	host string // lower case
	path string // without a slash at the end
}

// homesOf are the base URL calls go to, and the ones callers may name.
func homesOf(p *plan.Plan, environment string) (*url.URL, []home, error) {
	if _, ok := p.Environments[environment]; !ok {
		return nil, nil, fmt.Errorf("call: the plan %s has no environment %q", p.Service, environment)
	}
	text := withoutVariables(p.BaseURL(environment))
	base, err := url.Parse(text)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.RawQuery != "" || base.User != nil {
		return nil, nil, fmt.Errorf("call: environments.%s.base_url: %q is no absolute HTTP URL without user and query", environment, text)
	}
	homes := []home{homeOf(base)}
	if own, err := url.Parse(withoutVariables(p.Provider.API.BaseURL)); err == nil && own.Host != "" {
		homes = append(homes, homeOf(own))
	}
	return base, homes, nil
}

// withoutVariables is an address with its {variables} as plain words: each
// connection's own address takes its place before anything is sent.
func withoutVariables(address string) string {
	return strings.NewReplacer("{", "", "}", "").Replace(address)
}

func homeOf(u *url.URL) home {
	return home{strings.ToLower(u.Host), strings.TrimSuffix(u.Path, "/")}
}

// relative is a caller's URL below the base URL. A URL written for one of the
// homes loses that home's path; any other host is taken as a stand-in for the
// base URL itself.
func (s *Service) relative(u *url.URL) (path, raw string) {
	path, raw = u.Path, u.RawPath
	for _, h := range s.homes {
		if h.path == "" || !strings.EqualFold(u.Host, h.host) {
			continue
		}
		if rest, ok := strings.CutPrefix(path, h.path); ok && (rest == "" || rest[0] == '/') {
			return rest, strings.TrimPrefix(raw, h.path)
		}
	}
	return path, raw
}

// leadsAway reports whether a request that follows a redirect (http.Client sets
// Response) goes to a host that is none of the provider's.
func (s *Service) leadsAway(r *http.Request) bool {
	if r.Response == nil {
		return false
	}
	for _, h := range s.homes {
		if strings.EqualFold(r.URL.Host, h.host) {
			return false
		}
	}
	return true
}

// dotted reports whether a path has a segment "." or "..", escaped or not: what
// the plan says of a path must not be dodged by writing it another way.
func dotted(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

func refuseDots() error {
	return &integration.Failure{
		Class: integration.ClassInvalid, Code: CodePath,
		Message: "The path is not usable: it has a segment \".\" or \"..\".",
		Hint:    "Write the path as the provider documents it.",
	}
}

func refuseRedirect(to *url.URL) error {
	return &integration.Failure{
		Class: integration.ClassInvalid, Code: CodeRedirect, Reason: "egress",
		Message: "The request was not sent: a redirect led away from the provider.",
		Hint:    "Set CheckRedirect to return http.ErrUseLastResponse and follow the redirect without the credential.",
		Err:     fmt.Errorf("redirect to %s is none of the provider's hosts", to.Host),
	}
}

// place fills in the URL a request really goes to.
func (s *Service) place(u *url.URL, path, raw, query string) {
	if path != "" && path[0] != '/' {
		path = "/" + path
		if raw != "" {
			raw = "/" + raw
		}
	}
	*u = url.URL{Scheme: s.base.Scheme, Host: s.base.Host, Path: path, RawPath: raw, RawQuery: query}
	if base := strings.TrimSuffix(s.base.Path, "/"); base != "" {
		u.Path = base + path
		if raw != "" {
			u.RawPath = strings.TrimSuffix(s.base.EscapedPath(), "/") + raw
		}
	}
	if name := s.pinQuery[0]; name != "" && !u.Query().Has(name) {
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += url.QueryEscape(name) + "=" + url.QueryEscape(s.pinQuery[1])
	}
}
