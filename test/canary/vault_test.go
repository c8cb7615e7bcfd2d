package canary

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
	"github.com/sallyport/sallyport/vault"
)

// What a tenant entrusts to us.
const (
	accessToken  = "canary6access-token"
	refreshToken = "canary7refresh-token"
	verifier     = "canary8pkce-verifier"
)

// R2.7, R2.10: the database never holds a token in the clear, nor does anything
// that the commands about secrets print, while it is sealed anew and erased.
func TestSealedDatabaseShowsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	database := filepath.Join(dir, "canary.db")
	keyset := vault.KeysetBeside(database)
	seen := &evidence{}
	command(t, seen.add, nil, "secrets", "keyset", keyset)
	seal(t, seen, database)
	files := func(when string) {
		t.Helper()
		list, err := filepath.Glob(database + "*")
		if err != nil || len(list) < 2 {
			t.Fatalf("%v, %v", list, err)
		}
		for _, file := range list {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			seen.add(filepath.Base(file)+" "+when, b)
		}
	}
	files("sealed")
	plans := filepath.Join(dir, "plans")
	if err := os.Mkdir(plans, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(plans, "stripe.yaml"), fmt.Appendf(nil, canaryPlan, "http://127.0.0.1:1", "http://127.0.0.1:1"), 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"KEY=" + apiKey, "SECRET=" + webhookSecret, "OLD_SECRET=" + oldSecret, "APP_SECRET=" + appSecret, "SALLYPORT_DATABASE=sqlite:" + database, "SALLYPORT_PLANS=" + plans}
	for _, args := range [][]string{
		{"secrets", "list"},
		{"secrets", "list", "--output", "json"},
		{"secrets", "replace", "stripe", "api_key"},
		{"secrets", "rotate"},
		{"secrets", "rotate", "--keyset", apiKey},
		{"tenants", "erase", "acme", "--yes"},
	} {
		command(t, seen.add, env, args...)
	}
	files("erased")
	if out := seen.last("tenants erase"); !strings.Contains(out, `"credentials": 2`) {
		t.Errorf("the receipt says %s", out)
	}
	seen.search(t, map[string]string{
		"access token": accessToken, "refresh token": refreshToken, "PKCE verifier": verifier,
		"api key": apiKey, "webhook secret": webhookSecret, "old secret": oldSecret, "destination secret": appSecret,
	})
}

// seal keeps a connection with two tokens and a flow, uses it, and keeps every
// error that can come of it.
func seal(t *testing.T, seen *evidence, database string) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), database, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	keyset, err := vault.OpenKeyset(vault.KeysetBeside(database))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := vault.NewSealer(vault.SealerConfig{Keys: store, Master: keyset})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	change := integration.ConnectionChange{Connection: integration.Connection{ID: "c1", Tenant: "acme", Service: "stripe", State: integration.ConnectionConnected, UpdatedAt: now}}
	for field, token := range map[string]string{"access_token": accessToken, "refresh_token": refreshToken} {
		b := vault.Binding{Tenant: "acme", Connection: "c1", Field: field}
		secret := integration.NewSecret(token)
		c, err := sealer.Credential(t.Context(), b, secret)
		if err != nil {
			t.Fatal(err)
		}
		change.Put = append(change.Put, c)
		b.Field = "other"
		opened, err := sealer.Open(t.Context(), b, c.Sealed)
		seen.add("opened elsewhere", fmt.Appendf(nil, "%v %+v %#v %v", opened, c, secret, err))
	}
	if err := store.CreateConnection(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	seen.add("made twice", fmt.Append(nil, store.CreateConnection(t.Context(), change)))
	sealed, err := sealer.Seal(t.Context(), vault.Binding{Tenant: "acme", Connection: "c1", Field: "oauth_state"}, integration.NewSecret(verifier))
	if err != nil {
		t.Fatal(err)
	}
	err = store.PutOAuthState(t.Context(), integration.OAuthState{Hash: "h", Tenant: "acme", Service: "stripe", Sealed: sealed, KeyID: vault.KeyID(sealed), ExpiresAt: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
}

// R2.10: a program that dies with secrets in its hands does not print them.
func TestCrashShowsNothing(t *testing.T) {
	t.Parallel()
	if how := os.Getenv("CANARY_CRASH"); how != "" {
		crash(how, integration.NewSecret(accessToken))
	}
	seen := &evidence{}
	for _, how := range []string{"value", "error", "pointer", "nil"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestCrashShowsNothing$")
		cmd.Env = append(os.Environ(), "CANARY_CRASH="+how, "GOTRACEBACK=all")
		out, err := cmd.CombinedOutput()
		cancel()
		if err == nil || !strings.Contains(string(out), "goroutine") {
			t.Fatalf("%s: it did not crash: %v\n%s", how, err, out)
		}
		seen.add("crash with "+how, out)
	}
	seen.search(t, map[string]string{"access token": accessToken})
}

func crash(how string, secret integration.Secret) {
	switch how {
	case "value":
		panic(secret)
	case "error":
		panic(errors.Join(fmt.Errorf("calling with %v and %+v", secret, secret), &integration.Failure{Message: fmt.Sprintf("%#v", secret)}))
	case "pointer":
		panic(&secret)
	default:
		var none *integration.Event
		none.Service = secret.Fingerprint()
	}
}
