package api

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
)

// MaxTenant is how long the name of a tenant may be, in bytes.
const MaxTenant = 256

// admit lets a proxied request through that carries one of our keys. The
// provider's SDK puts the key it was given where the provider wants it, so it is
// looked for there: in Authorization under any scheme, in X-Api-Key, and in the
// profile's own place. An SDK that can't send a header of ours may name the
// tenant behind its key, as sp_…@TENANT. What was for us goes no further.
func (s *server) admit(one *Integration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		presented, tenant, named := strings.Cut(presentedKey(r, one), "@")
		ctx, p := s.authenticateKey(r.Context(), presented, integration.ScopeApp)
		if p != nil {
			challenge(w.Header(), p)
			problem.Write(w, p)
			return
		}
		inner := r.WithContext(ctx)
		inner.Header, inner.URL = withoutKey(r.Header, presented), urlWithoutKey(r.URL, presented)
		if values := r.Header.Values(TenantHeader); len(values) > 0 {
			if len(values) > 1 || named && values[0] != tenant {
				problem.Write(w, tenantProblem("the request names two tenants", "Name the tenant once: in "+TenantHeader+", or behind the key."))
				return
			}
			tenant = values[0]
		}
		if len(tenant) > MaxTenant || !utf8.ValidString(tenant) {
			problem.Write(w, tenantProblem("the name of the tenant is longer than 256 bytes, or no UTF-8", "Use your own id of the tenant."))
			return
		}
		if named {
			inner.Header.Set(TenantHeader, tenant)
		}
		next.ServeHTTP(w, inner)
	})
}

func tenantProblem(detail, hint string) *problem.Problem {
	return &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_tenant", Detail: detail, Hint: hint}
}

// presentedKey is the key of ours a request carries, with what stands behind
// it; empty when there is none.
func presentedKey(r *http.Request, one *Integration) string {
	for _, value := range r.Header.Values("Authorization") {
		if key := keyIn(value); key != "" {
			return key
		}
	}
	if key := keyIn(r.Header.Get("X-Api-Key")); key != "" {
		return key
	}
	if one == nil || one.Plan.Provider == nil {
		return ""
	}
	for _, auth := range one.Plan.Provider.Auth {
		key := ""
		switch {
		case auth.Name == "":
		case auth.In == "query":
			key = keyIn(r.URL.Query().Get(auth.Name))
		default:
			key = keyIn(strings.TrimPrefix(r.Header.Get(auth.Name), auth.Prefix))
		}
		if key != "" {
			return key
		}
	}
	return ""
}

// keyIn finds a key of ours in the value of a credential: alone, behind a scheme
// such as Bearer or token, or as user or password of Basic (RFC 7617).
func keyIn(value string) string {
	value = strings.TrimSpace(value)
	scheme, rest, found := strings.Cut(value, " ")
	if found && strings.EqualFold(scheme, "Basic") {
		plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		if err != nil {
			return ""
		}
		user, password, _ := strings.Cut(string(plain), ":")
		for _, part := range []string{password, user} {
			if strings.HasPrefix(part, keyPrefix) {
				return part
			}
		}
		return ""
	}
	if found {
		value = strings.TrimSpace(rest)
	}
	if !strings.HasPrefix(value, keyPrefix) {
		return ""
	}
	return value
}

// withoutKey is a header less Authorization, which is ours to write, and less
// all that holds the key.
func withoutKey(in http.Header, key string) http.Header {
	out := in.Clone()
	out.Del("Authorization") // what is for the provider is added on the way
	for name, values := range out {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, key) }) {
			delete(out, name)
		}
	}
	return out
}

func urlWithoutKey(u *url.URL, key string) *url.URL {
	if !strings.Contains(u.RawQuery, keyPrefix) {
		return u
	}
	out := *u
	parts := slices.DeleteFunc(strings.Split(u.RawQuery, "&"), func(part string) bool {
		plain, err := url.QueryUnescape(part)
		return err != nil || strings.Contains(plain, key)
	})
	out.RawQuery = strings.Join(parts, "&")
	return &out
}
