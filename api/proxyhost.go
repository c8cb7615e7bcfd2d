package api

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// localDomain needs no configuration: names below it are this machine
// (RFC 6761, section 6.3).
const localDomain = "localhost"

// hosted is the service a request is for by its Host alone: SERVICE.DOMAIN of a
// configured domain, or SERVICE.localhost. Some SDKs, stripe-go among them, can
// be given another host and no path; theirs is the provider's own path.
func (s *server) hosted(host string) (*Integration, bool) {
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	for _, domain := range append([]string{localDomain}, s.ProxyDomains...) {
		label, ok := strings.CutSuffix(name, "."+strings.Trim(strings.ToLower(domain), "."))
		if one, known := s.services[label]; ok && known {
			return one, true
		}
	}
	return nil, false
}

// byHost proxies requests whose Host names a service, and leaves the others to
// next. It comes before all routes: the path is the provider's, whatever it
// looks like.
func (s *server) byHost(next http.Handler) http.Handler {
	handlers := make(map[*Integration]http.Handler, len(s.services))
	for _, one := range s.services {
		handlers[one] = s.identified(s.guarded(s.admit(one, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.forward(w, r, one, asked(r.URL, basePaths(one)), linksAt(r, one))
		}))))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if one, ok := s.hosted(r.Host); ok {
			handlers[one].ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// basePaths are the paths of the base URLs an SDK may have been written for: it
// sends them along where only the host is ours.
func basePaths(one *Integration) []string {
	var paths []string
	for _, u := range baseURLs(one) {
		if strings.Trim(u.Path, "/") != "" {
			paths = append(paths, strings.TrimSuffix(u.EscapedPath(), "/"))
		}
	}
	return paths
}

// baseURLs are the environment's and the provider's own.
func baseURLs(one *Integration) []*url.URL {
	texts := []string{one.Plan.BaseURL(one.Environment)}
	if one.Plan.Provider != nil {
		texts = append(texts, one.Plan.Provider.API.BaseURL)
	}
	var out []*url.URL
	for _, text := range texts {
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			out = append(out, u)
		}
	}
	return out
}

// asked is the path below the base URL, and the query, of a request to a host of
// ours.
func asked(u *url.URL, bases []string) *url.URL {
	escaped := u.EscapedPath()
	for _, base := range bases {
		if rest, ok := strings.CutPrefix(escaped, base); ok && (rest == "" || rest[0] == '/') {
			escaped = rest
			break
		}
	}
	path, err := url.PathUnescape(escaped)
	if err != nil { // it was parsed before, so it is well escaped
		path = escaped
	}
	return &url.URL{Path: path, RawPath: escaped, RawQuery: u.RawQuery}
}
