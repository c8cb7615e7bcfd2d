package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
	"github.com/sallyport/sallyport/receive"
)

// keyPrefix starts every API key, so that scanners for leaked secrets can
// recognise one.
const keyPrefix = "sp_"

// retrySoon is what a caller is told to wait when the store is away.
const retrySoon = 2 * time.Second

// NewKey makes an API key. The key itself is returned once and kept nowhere;
// the record holds its SHA-256. A plain hash is right for it: the key is 256
// random bits, so there is nothing a slow hash would protect from guessing.
func NewKey(name string, scope integration.Scope, now time.Time) (integration.Secret, integration.APIKey) {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails: crypto/rand, Go 1.24
	key := keyPrefix + base64.RawURLEncoding.EncodeToString(random)
	return integration.NewSecret(key), integration.APIKey{
		ID: newID(), Name: name, Scope: scope, Hash: hashOf(key), CreatedAt: now.UTC(),
	}
}

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

type contextKey int

const (
	keyOfRequest contextKey = iota
	idOfRequest
)

// actor is who asks, for the audit log.
func actor(ctx context.Context) string {
	if key, ok := ctx.Value(keyOfRequest).(integration.APIKey); ok {
		return "key:" + key.ID
	}
	return "unknown"
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(idOfRequest).(string)
	return id
}

// identified gives every request an id, ours or the caller's where it is a
// harmless one, and shows it in the answer.
func (s *server) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(problem.RequestIDHeader)
		if !harmless(id) {
			id = newID()
		}
		w.Header().Set(problem.RequestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), idOfRequest, id)))
	})
}

// outsideDoor wraps everything but the webhook door: it names its own events, it
// is the hot path, and when it panics net/http closes the connection, which
// tells the provider to come again.
func outsideDoor(door http.Handler, wrapped http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, receive.Prefix) {
			door.ServeHTTP(w, r)
			return
		}
		wrapped.ServeHTTP(w, r)
	})
}

func harmless(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for _, c := range id {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// authenticate finds the key of a request; the context it returns carries it.
// The problem says why there is none that will do. What is looked up is the
// hash of what was presented, so the time it takes says nothing about any key.
func (s *server) authenticate(ctx context.Context, header string, scope integration.Scope) (context.Context, *problem.Problem) {
	scheme, presented, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		presented = ""
	}
	return s.authenticateKey(ctx, strings.TrimSpace(presented), scope)
}

// authenticateKey is the same for what a request presents, wherever it stood.
func (s *server) authenticateKey(ctx context.Context, presented string, scope integration.Scope) (context.Context, *problem.Problem) {
	if !strings.HasPrefix(presented, keyPrefix) {
		return ctx, &problem.Problem{
			Status: http.StatusUnauthorized, Code: "key_missing", Detail: "the request carries no API key",
			Hint: "send Authorization: Bearer sp_…; make a key with: sallyport keys new",
		}
	}
	key, err := s.Keys.KeyByHash(ctx, hashOf(presented))
	switch {
	case errors.Is(err, integration.ErrNotFound), err == nil && !key.RevokedAt.IsZero():
		s.Log.Warn("api.key_refused", "request_id", requestID(ctx), "revoked_key", key.ID)
		return ctx, &problem.Problem{
			Status: http.StatusUnauthorized, Code: "key_invalid", Detail: "the API key is not known, or was revoked",
			Hint: "make a key with: sallyport keys new",
		}
	case err != nil:
		s.Log.Error("api.authenticate", "error", err)
		return ctx, &problem.Problem{Status: http.StatusServiceUnavailable, Code: "store_unavailable", Detail: "the key can't be checked now", RetryAfter: retrySoon}
	case key.Scope != scope && key.Scope != integration.ScopeAdmin:
		return ctx, &problem.Problem{
			Status: http.StatusForbidden, Code: "scope_missing", Detail: "the key has scope " + string(key.Scope) + ", this needs " + string(scope),
			Hint: "make one with: sallyport keys new --scope " + string(scope),
		}
	}
	return context.WithValue(ctx, keyOfRequest, key), nil
}

// withKey is the middleware of operations that need a key of the scope.
func (s *server) withKey(scope integration.Scope) huma.Middlewares {
	return huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		inner, p := s.authenticate(ctx.Context(), ctx.Header("Authorization"), scope)
		if p != nil {
			writeTo(ctx, p)
			return
		}
		next(huma.WithContext(ctx, inner))
	}}
}

// challenge adds what RFC 9110, section 11.6.1, asks of a 401.
func challenge(h http.Header, p *problem.Problem) {
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="sallyport"`)
	}
}

// writeTo answers through huma's context.
func writeTo(ctx huma.Context, p *problem.Problem) {
	_, w := humago.Unwrap(ctx)
	challenge(w.Header(), p)
	problem.Write(w, p)
}
