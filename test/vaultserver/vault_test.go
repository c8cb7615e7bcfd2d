package vaultserver

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/sdk/logical"
	server "github.com/hashicorp/vault/vault"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/store/sqlite"
	"github.com/sallyport/sallyport/vault"
)

// running is a server with a KV engine, a transit engine and AppRole.
type running struct {
	admin *api.Client
	env   map[string]string // how a program finds it and logs in
}

const policy = `
path "kv/data/*" { capabilities = ["read"] }
path "kv/data/team/mine" { capabilities = ["read", "create", "update"] }
path "transit/encrypt/sallyport" { capabilities = ["update"] }
path "transit/decrypt/sallyport" { capabilities = ["update"] }
`

func start(t *testing.T) *running {
	t.Helper()
	cluster := server.NewTestCluster(t, &server.CoreConfig{
		LogicalBackends:    map[string]logical.Factory{"kv": kv.Factory, "transit": transit.Factory},
		CredentialBackends: map[string]logical.Factory{"approle": approle.Factory},
	}, &server.TestClusterOptions{HandlerFunc: vaulthttp.Handler, NumCores: 1})
	cluster.Start()
	t.Cleanup(cluster.Cleanup)
	server.TestWaitActive(t, cluster.Cores[0].Core)
	r := &running{admin: cluster.Cores[0].Client, env: map[string]string{"VAULT_ADDR": cluster.Cores[0].Client.Address(), "VAULT_CACERT": cluster.CACertPEMFile}}
	must(t, r.admin.Sys().Mount("kv", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	must(t, r.admin.Sys().Mount("transit", &api.MountInput{Type: "transit"}))
	must(t, r.admin.Sys().EnableAuthWithOptions("approle", &api.EnableAuthOptions{Type: "approle"}))
	must(t, r.admin.Sys().PutPolicy("sallyport", policy))
	r.write(t, "transit/keys/sallyport", nil)
	r.write(t, "auth/approle/role/sallyport", map[string]any{"token_policies": "sallyport", "token_ttl": "1h"})
	role, err := r.admin.Logical().Read("auth/approle/role/sallyport/role-id")
	must(t, err)
	r.env["VAULT_ROLE_ID"] = role.Data["role_id"].(string)
	r.env["VAULT_SECRET_ID"] = r.write(t, "auth/approle/role/sallyport/secret-id", nil).Data["secret_id"].(string)
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *running) write(t *testing.T, path string, data map[string]any) *api.Secret {
	t.Helper()
	s, err := r.admin.Logical().Write(path, data)
	must(t, err)
	return s
}

func (r *running) lookup(name string) (string, bool) { v, ok := r.env[name]; return v, ok }

// R2.8, R2.9: a plan's secret lies in the vault; when it is swapped there the
// new one is used and the one before is still accepted.
func TestReference(t *testing.T) {
	r := start(t)
	r.write(t, "kv/data/team/stripe", map[string]any{"data": map[string]any{"key": "canary-one"}})
	p := &plan.Plan{
		Service: "stripe", Auth: plan.Auth{Use: "api_key"},
		Environments: map[string]plan.Environment{"development": {Secrets: map[string]catalog.OneOrMore{"api_key": {"vault:kv/team/stripe#key?versions=2"}}}},
	}
	s, err := vault.Open(p, "development", r.lookup)
	must(t, err)
	if all := s.All(vault.APIKey); len(all) != 1 || all[0].Reveal() != "canary-one" {
		t.Fatalf("%d secrets", len(all))
	}
	r.write(t, "kv/data/team/stripe", map[string]any{"data": map[string]any{"key": "canary-two"}})
	must(t, s.Reload())
	if all := s.All(vault.APIKey); len(all) != 2 || all[0].Reveal() != "canary-two" || all[1].Reveal() != "canary-one" {
		t.Errorf("after a swap: %d secrets", len(all))
	}
	r.write(t, "kv/delete/team/stripe", map[string]any{"versions": []int{1}})
	must(t, s.Reload())
	if all := s.All(vault.APIKey); len(all) != 1 || all[0].Reveal() != "canary-two" {
		t.Errorf("after the old version was deleted: %d secrets", len(all))
	}
	must(t, r.admin.Sys().Seal())
	if err := s.Reload(); !errors.Is(err, vault.ErrStale) || strings.Contains(err.Error(), "canary") {
		t.Errorf("with the vault sealed: %v", err)
	}
	if s.First(vault.APIKey).Reveal() != "canary-two" {
		t.Error("the last value is gone")
	}
}

// R2.8: each way to log in, and what is not there or not allowed.
func TestLogin(t *testing.T) {
	r := start(t)
	r.write(t, "kv/data/app", map[string]any{"data": map[string]any{"key": "canary-value"}})
	if got, err := vault.Resolve("vault:kv/data/app#key", r.lookup); err != nil || got.Reveal() != "canary-value" {
		t.Errorf("AppRole: %v", err)
	}
	resolver := vault.NewResolver(r.lookup)
	if _, err := resolver.All(t.Context(), "vault:kv/app#key"); err != nil {
		t.Fatal(err)
	}
	// Every token is revoked: the next request logs in again by itself.
	must(t, r.admin.Sys().RevokePrefix("auth/approle/login"))
	if got, err := resolver.All(t.Context(), "vault:kv/app#key"); err != nil || got[0].Reveal() != "canary-value" {
		t.Errorf("after the token was revoked: %v", err)
	}
	for reference, want := range map[string]string{
		"vault:kv/app#other":     "no such field",
		"vault:kv/nowhere#key":   "nothing at this path",
		"vault:sys/health#key":   "the policy of our token",
		"vault:kv/app":           "MOUNT/PATH#FIELD",
		"vault:kv/../sys#x":      "MOUNT/PATH#FIELD",
		"vault:kv/app#key?ttl=1": "versions=",
	} {
		if got, err := vault.Resolve(reference, r.lookup); err == nil || !strings.Contains(err.Error(), want) || !got.IsZero() {
			t.Errorf("%s: %v, want %q", reference, err, want)
		}
	}
	token := map[string]string{"VAULT_ADDR": r.env["VAULT_ADDR"], "VAULT_CACERT": r.env["VAULT_CACERT"], "VAULT_TOKEN": r.admin.Token()}
	lookup := func(name string) (string, bool) { v, ok := token[name]; return v, ok }
	if got, err := vault.Resolve("vault:kv/app#key", lookup); err != nil || got.Reveal() != "canary-value" {
		t.Errorf("token: %v", err)
	}
	r.env["VAULT_SECRET_ID"] = "canary-wrong"
	if _, err := vault.Resolve("vault:kv/app#key", r.lookup); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("a wrong secret id: %v", err)
	}
}

// R2.7: the transit engine seals data keys; its key is rotated there, and a
// rotation here seals anew with the new version.
func TestTransit(t *testing.T) {
	r := start(t)
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "sallyport.db"), sqlite.Options{})
	must(t, err)
	defer store.Close()
	master, err := vault.OpenMaster(t.Context(), vault.MasterConfig{Setting: "vault-transit:transit/sallyport", Environment: "production", Resolver: vault.NewResolver(r.lookup)})
	must(t, err)
	sealer, err := vault.NewSealer(vault.SealerConfig{Keys: store, Master: master})
	must(t, err)
	place := vault.Binding{Tenant: "acme", Connection: "c1", Field: "token"}
	sealed, err := sealer.Seal(t.Context(), place, integration.NewSecret("canary-token"))
	must(t, err)
	kept, err := store.TenantKey(t.Context(), vault.KeyID(sealed))
	must(t, err)
	if kept.Master != "vault-transit:transit/sallyport:v1" {
		t.Errorf("sealed with %s", kept.Master)
	}
	if _, err := master.Unwrap(t.Context(), kept.Sealed, []byte("elsewhere"), kept.Master); err == nil {
		t.Error("a data key was opened as another's")
	}
	r.write(t, "transit/keys/sallyport/rotate", nil)
	state, err := (&vault.Rotation{Store: store, Master: master}).Run(t.Context())
	if err != nil || state.Keys != 1 {
		t.Errorf("%+v, %v", state, err)
	}
	if kept, err = store.TenantKey(t.Context(), kept.ID); err != nil || kept.Master != "vault-transit:transit/sallyport:v2" {
		t.Errorf("after the rotation: %s, %v", kept.Master, err)
	}
	fresh, err := vault.NewSealer(vault.SealerConfig{Keys: store, Master: master})
	must(t, err)
	if got, err := fresh.Open(t.Context(), place, sealed); err != nil || got.Reveal() != "canary-token" {
		t.Errorf("opened %v", err)
	}
}

// R2.9: a new value is written as a new version, the other fields stay, and what
// the policy does not allow is refused with nothing shown.
func TestPut(t *testing.T) {
	r := start(t)
	resolver := vault.NewResolver(r.lookup)
	r.write(t, "kv/data/team/mine", map[string]any{"data": map[string]any{"key": "canary-one", "id": 12345678901234567, "note": "<kept>"}})
	before, err := r.admin.Logical().Read("kv/data/team/mine")
	must(t, err)
	must(t, resolver.Put(t.Context(), "vault:kv/team/mine#key?versions=2", integration.NewSecret("canary-two")))
	got, err := resolver.All(t.Context(), "vault:kv/team/mine#key?versions=2")
	if err != nil || len(got) != 2 || got[0].Reveal() != "canary-two" || got[1].Reveal() != "canary-one" {
		t.Errorf("%d values, %v", len(got), err)
	}
	kept, err := r.admin.Logical().Read("kv/data/team/mine")
	must(t, err)
	if data := kept.Data["data"].(map[string]any); data["id"] != before.Data["data"].(map[string]any)["id"] || data["note"] != "<kept>" {
		t.Errorf("the other fields are %v", data)
	}
	r.write(t, "kv/data/app", map[string]any{"data": map[string]any{"key": "canary-three"}})
	if err := resolver.Put(t.Context(), "vault:kv/app#key", integration.NewSecret("canary-four")); err == nil || !strings.Contains(err.Error(), "the policy of our token") || strings.Contains(err.Error(), "canary") {
		t.Errorf("without the right: %v", err)
	}
	if got, err := resolver.All(t.Context(), "vault:kv/app#key"); err != nil || got[0].Reveal() != "canary-three" {
		t.Errorf("it was written: %v", err)
	}
}
