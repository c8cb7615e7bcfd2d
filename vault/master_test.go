package vault_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/vault"
)

// R2.7: the first run makes a key and says so; production does not, and a
// database that lost its key does not get another.
func TestOpenMaster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	database := filepath.Join(dir, "sallyport.db")
	var said []string
	c := vault.MasterConfig{Database: database, Environment: "development", Resolver: vault.NewResolver(lookup(nil)), Said: func(s string) { said = append(said, s) }}
	for _, environment := range []string{"production", "prod", "live"} {
		c := c
		c.Environment = environment
		if _, err := vault.OpenMaster(t.Context(), c); err == nil || !strings.Contains(err.Error(), "secrets keyset") {
			t.Errorf("%s: %v", environment, err)
		}
	}
	if _, err := os.Stat(vault.KeysetBeside(database)); err == nil {
		t.Error("production made a key all the same")
	}
	first, err := vault.OpenMaster(t.Context(), c)
	if err != nil || len(said) != 1 || !strings.Contains(said[0], "sallyport.db.keyset.json") {
		t.Fatalf("said %q, %v", said, err)
	}
	if info, err := os.Stat(vault.KeysetBeside(database)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	sealed, key, err := first.Wrap(t.Context(), []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := vault.OpenMaster(t.Context(), c)
	if err != nil || len(said) != 1 {
		t.Fatalf("said %q, %v", said, err)
	}
	if b, err := second.Unwrap(t.Context(), sealed, nil, key); err != nil || string(b) != "x" {
		t.Errorf("the second run opens %q, %v", b, err)
	}
	c.Database = filepath.Join(dir, "moved.db")
	c.Keys = someKeys{}
	if _, err := vault.OpenMaster(t.Context(), c); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("a database whose keyset is gone: %v", err)
	}
	text, err := os.ReadFile(vault.KeysetBeside(database))
	if err != nil {
		t.Fatal(err)
	}
	c.Environment = "production"
	for name, setting := range map[string]string{"file": "file:" + vault.KeysetBeside(database), "variable": "env:KEYS", "itself": string(text)} {
		c.Setting, c.Resolver = setting, vault.NewResolver(lookup(map[string]string{"KEYS": string(text)}))
		m, err := vault.OpenMaster(t.Context(), c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if b, err := m.Unwrap(t.Context(), sealed, nil, key); err != nil || string(b) != "x" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for _, setting := range []string{"canary", "canary:x", "file:/nowhere", "env:NOT_SET", "vault-transit:transit/k", "aws-kms:arn"} {
		c.Setting, c.Resolver = setting, vault.NewResolver(lookup(nil))
		if _, err := vault.OpenMaster(t.Context(), c); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

type someKeys struct{}

func (someKeys) TenantKeys(context.Context, string, int) ([]integration.TenantKey, error) {
	return []integration.TenantKey{{ID: "k"}}, nil
}
