package hashicorp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/vault"
	"github.com/sallyport/sallyport/vault/hashicorp"
)

var _ vault.Master = (*hashicorp.Transit)(nil)

// server plays a vault: it takes a login, gives tokens that end, and answers as
// documented.
type server struct {
	t      *testing.T
	logins int
	token  string
	login  map[string]string
	put    map[string]any
	mux    *http.ServeMux
}

func newServer(t *testing.T) (*server, string) {
	t.Helper()
	s := &server{t: t, mux: http.NewServeMux()}
	answer := func(w http.ResponseWriter, status int, v any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	s.mux.HandleFunc("POST /v1/auth/{mount}/login", func(w http.ResponseWriter, r *http.Request) {
		s.login = map[string]string{"mount": r.PathValue("mount")}
		if err := json.NewDecoder(r.Body).Decode(&s.login); err != nil {
			t.Error(err)
		}
		if s.login["secret_id"] == "canary-wrong" {
			answer(w, http.StatusBadRequest, map[string]any{"errors": []string{"invalid role or secret ID"}})
			return
		}
		s.logins++
		s.token = "canary-token" + strings.Repeat("!", s.logins)
		answer(w, http.StatusOK, map[string]any{"auth": map[string]any{"client_token": s.token, "lease_duration": 3600}})
	})
	with := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if s.token == "" || r.Header.Get("X-Vault-Token") != s.token || r.Header.Get("X-Vault-Namespace") != "team" {
				answer(w, http.StatusForbidden, map[string]any{"errors": []string{"permission denied"}})
				return
			}
			next(w, r)
		}
	}
	s.mux.HandleFunc("GET /v1/secret/data/{path...}", with(func(w http.ResponseWriter, r *http.Request) {
		value, version := map[string]string{"": "canary-three", "1": "canary-one"}[r.URL.Query().Get("version")], 3
		if value == "" {
			answer(w, http.StatusNotFound, map[string]any{"data": map[string]any{"data": nil}})
			return
		}
		answer(w, http.StatusOK, map[string]any{"data": map[string]any{"data": map[string]any{"key": value, "number": 1}, "metadata": map[string]int{"version": version}}})
	}))
	s.mux.HandleFunc("POST /v1/secret/data/{path...}", with(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Data    map[string]any
			Options struct{ CAS int }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		if in.Options.CAS != 3 {
			answer(w, http.StatusBadRequest, map[string]any{"errors": []string{"check-and-set parameter did not match the current version"}})
			return
		}
		s.put = in.Data
		answer(w, http.StatusOK, map[string]any{"data": map[string]any{"version": 4}})
	}))
	s.mux.HandleFunc("GET /v1/moved/data/x", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/v1/elsewhere", http.StatusTemporaryRedirect)
	})
	s.mux.HandleFunc("/v1/elsewhere", func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed with the token") })
	s.mux.HandleFunc("GET /v1/nonsense/data/x", with(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>canary") }))
	h := httptest.NewServer(s.mux)
	t.Cleanup(h.Close)
	return s, h.URL
}

func environment(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := pairs[name]; return v, ok }
}

func client(t *testing.T, pairs map[string]string) *hashicorp.Client {
	t.Helper()
	c, err := hashicorp.FromEnvironment(environment(pairs))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// R2.8: a login serves many requests and is renewed when the token is refused;
// versions before the current one are read where they are there.
func TestAppRole(t *testing.T) {
	t.Parallel()
	s, address := newServer(t)
	file := filepath.Join(t.TempDir(), "secret-id")
	if err := os.WriteFile(file, []byte("canary-secret-id\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := client(t, map[string]string{"VAULT_ADDR": address + "/", "VAULT_NAMESPACE": "team", "VAULT_ROLE_ID": "gateway", "VAULT_SECRET_ID_FILE": file})
	for range 3 {
		got, err := c.Fetch(t.Context(), "secret/a/b#key?versions=3")
		if err != nil || len(got) != 2 || got[0].Reveal() != "canary-three" || got[1].Reveal() != "canary-one" {
			t.Fatalf("%d, %v", len(got), err)
		}
	}
	if s.logins != 1 || s.login["secret_id"] != "canary-secret-id" || s.login["role_id"] != "gateway" || s.login["mount"] != "approle" {
		t.Errorf("%d logins with %v", s.logins, s.login)
	}
	s.token = "revoked"
	if _, err := c.Fetch(t.Context(), "secret/a#key"); err != nil || s.logins != 2 {
		t.Errorf("after the token was revoked: %d logins, %v", s.logins, err)
	}
	for reference, want := range map[string]string{
		"secret/a#number": "no such field",
		"nonsense/x#key":  "not as documented",
		"moved/x#key":     "answered 307",
		"gone/x#key":      "nothing at this path",
		"#":               "MOUNT/PATH#FIELD",
	} {
		if got, err := c.Fetch(t.Context(), reference); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") || len(got) > 0 {
			t.Errorf("%s: %v, want %q", reference, err, want)
		}
	}
}

// R2.8: a pod logs in with its own token, read anew each time.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	s, address := newServer(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("canary-jwt"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := client(t, map[string]string{"BAO_ADDR": address, "BAO_NAMESPACE": "team", "VAULT_KUBERNETES_ROLE": "gateway", "VAULT_KUBERNETES_TOKEN_FILE": file, "VAULT_AUTH_MOUNT": "cluster"})
	if _, err := c.Fetch(t.Context(), "secret/a#key"); err != nil || s.login["jwt"] != "canary-jwt" || s.login["role"] != "gateway" || s.login["mount"] != "cluster" {
		t.Errorf("%v, %v", s.login, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.token = "revoked"
	if _, err := c.Fetch(t.Context(), "secret/a#key"); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("without its token: %v", err)
	}
}

// R2.8: a token that ends is replaced before it does.
func TestTokenEnds(t *testing.T) {
	t.Parallel()
	s, address := newServer(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c, err := hashicorp.New(hashicorp.Config{
		Address: address, Namespace: "team", Now: func() time.Time { return now },
		AppRole: hashicorp.AppRole{RoleID: "r", SecretID: func() (integration.Secret, error) { return integration.NewSecret("x"), nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{0, 47 * time.Minute, 2 * time.Minute} {
		now = now.Add(after)
		if _, err := c.Fetch(t.Context(), "secret/a#key"); err != nil {
			t.Fatal(err)
		}
	}
	if s.logins != 2 {
		t.Errorf("%d logins in 49 of 60 minutes, want 2", s.logins)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	_, address := newServer(t)
	for name, pairs := range map[string]map[string]string{
		"VAULT_ADDR":    {"VAULT_ADDR": "vault.example"},
		"VAULT_TOKEN":   {"VAULT_ADDR": address},
		"VAULT_CACERT":  {"VAULT_ADDR": address, "VAULT_TOKEN": "canary", "VAULT_CACERT": "/nowhere"},
		"VAULT_ROLE_ID": {"VAULT_ADDR": address},
	} {
		if _, err := hashicorp.FromEnvironment(environment(pairs)); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := client(t, map[string]string{"VAULT_ADDR": address, "VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "canary-wrong"})
	if _, err := c.Fetch(t.Context(), "secret/a#key"); err == nil || !strings.Contains(err.Error(), "invalid role") || strings.Contains(err.Error(), "canary") {
		t.Errorf("a wrong secret id: %v", err)
	}
}

// Whatever a reference is, it is refused or asked for below its mount.
func FuzzReference(f *testing.F) {
	for _, seed := range []string{"secret/a#key", "a/data/b/c#d?versions=2", "a/../b#c", "a/%2e%2e/b#c", "#", "a//b#c", "/a/b#c", "a/b#c?versions=-1"} {
		f.Add(seed)
	}
	var asked string
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.EscapedPath()
		w.WriteHeader(http.StatusNotFound)
	}))
	f.Cleanup(h.Close)
	c, err := hashicorp.New(hashicorp.Config{Address: h.URL, Token: integration.NewSecret("t")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, reference string) {
		asked = ""
		if _, err := c.Fetch(t.Context(), reference); err == nil {
			t.Fatal("nothing is there, and no error")
		}
		if asked != "" && (!strings.HasPrefix(asked, "/v1/") || !strings.Contains(asked, "/data/") || strings.Contains(asked, "/../")) {
			t.Fatalf("%q asked for %s", reference, asked)
		}
	})
}

// R2.9: a value is written over the version that was read, and with the fields
// beside it.
func TestPut(t *testing.T) {
	t.Parallel()
	s, address := newServer(t)
	c := client(t, map[string]string{"VAULT_ADDR": address, "VAULT_NAMESPACE": "team", "VAULT_ROLE_ID": "role", "VAULT_SECRET_ID": "canary-id"})
	if err := c.Put(t.Context(), "secret/x#key?versions=2", integration.NewSecret("canary-four")); err != nil {
		t.Fatal(err)
	}
	if len(s.put) != 2 || s.put["key"] != "canary-four" || s.put["number"] != 1.0 {
		t.Errorf("written: %v", s.put)
	}
	for reference, want := range map[string]string{"secret/x": "MOUNT/PATH#FIELD", "nowhere/x#key": "404", "nonsense/x#key": "not as documented"} {
		if err := c.Put(t.Context(), reference, integration.NewSecret("canary-five")); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %q", reference, err, want)
		}
	}
}
