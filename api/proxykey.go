package api

import (
	"encoding/base64"
	"io"
	"mime"
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
// profile's own place, and in a form, where Slack's put it. An SDK that can't send a header of ours may name the
// tenant behind its key, as sp_…@TENANT. What was for us goes no further.
func (s *server) admit(one *Integration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		form, err := formOf(r)
		if err != nil {
			problem.Write(w, &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_request", Detail: "the body broke off"})
			return
		}
		found := presentedKey(r, one)
		if found == "" {
			found = form.key()
		}
		presented, tenant, named := strings.Cut(found, "@")
		ctx, p := s.authenticateKey(r.Context(), presented, integration.ScopeApp)
		if p != nil {
			challenge(w.Header(), p)
			problem.Write(w, p)
			return
		}
		inner := r.WithContext(ctx)
		inner.Header, inner.URL = withoutKey(r.Header, presented), urlWithoutKey(r.URL, presented)
		form.without(inner, presented)
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
	out.RawQuery = partsWithout(u.RawQuery, key)
	return &out
}

// partsWithout are the parameters of a query or a form less those that hold the
// key.
func partsWithout(encoded, key string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(encoded, "&"), func(part string) bool {
		plain, err := url.QueryUnescape(part)
		return err == nil && strings.Contains(plain, key)
	}), "&")
}

// maxForm is how large a form may be that is looked into, in bytes. It is read
// before anybody knows who sends it.
const maxForm = 256 << 10

// form is the body of a request that is one and short enough; empty otherwise.
type form string

// formOf reads a form and leaves it in the request as well.
func formOf(r *http.Request) (form, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || r.ContentLength <= 0 || r.ContentLength > maxForm {
		return "", nil //nolint:nilerr // what is no form is not looked into
	}
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	r.Body = held{strings.NewReader(string(content))}
	return form(content), nil
}

// held is a body that was read already.
type held struct{ *strings.Reader }

// Close does nothing.
func (held) Close() error { return nil }

func (f form) key() string {
	for part := range strings.SplitSeq(string(f), "&") {
		_, value, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(value); err == nil && strings.HasPrefix(plain, keyPrefix) {
			return plain
		}
	}
	return ""
}

// without puts the form less the key into r.
func (f form) without(r *http.Request, key string) {
	if !strings.Contains(string(f), keyPrefix) {
		return
	}
	rest := partsWithout(string(f), key)
	r.Body, r.ContentLength = held{strings.NewReader(rest)}, int64(len(rest))
	r.Header.Del("Content-Length")
}
