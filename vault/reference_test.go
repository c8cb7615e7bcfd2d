package vault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/vault"
)

// kv is a vault with one secret, which can be swapped and be down.
type kv struct {
	value atomic.Pointer[string]
	down  atomic.Bool
}

func (k *kv) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if k.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.URL.Path != "/v1/secret/data/stripe" || r.Header.Get("X-Vault-Token") != "canary-login" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"data": map[string]string{"key": *k.value.Load()}, "metadata": map[string]int{"version": 1}}})
}

func (k *kv) set(v string) { k.value.Store(&v) }

// R2.8: a reference into a vault follows what lies there; a vault that is down
// leaves the last value in use, and a start without it is refused.
func TestVaultReference(t *testing.T) {
	t.Parallel()
	var k kv
	k.set("canary-one")
	server := httptest.NewServer(&k)
	defer server.Close()
	resolver := vault.NewResolver(lookup(map[string]string{"VAULT_ADDR": server.URL, "VAULT_TOKEN": "canary-login", "OTHER": "canary-other"}))
	p := &plan.Plan{
		Service: "stripe", Auth: plan.Auth{Use: "api_key"},
		Environments: map[string]plan.Environment{"development": {Secrets: map[string]catalog.OneOrMore{"api_key": {"vault:secret/stripe#key", "env:OTHER"}}}},
	}
	s, err := vault.OpenWith(t.Context(), p, "development", resolver)
	if err != nil {
		t.Fatal(err)
	}
	if all := s.All(vault.APIKey); len(all) != 2 || all[0].Reveal() != "canary-one" || all[1].Reveal() != "canary-other" {
		t.Fatalf("%d secrets", len(all))
	}
	k.set("canary-two")
	if err := s.ReloadContext(t.Context()); err != nil || s.First(vault.APIKey).Reveal() != "canary-two" {
		t.Errorf("after a swap: %v", err)
	}
	k.down.Store(true)
	err = s.ReloadContext(t.Context())
	if !errors.Is(err, vault.ErrStale) || !strings.Contains(err.Error(), "vault:secret/stripe#key") || strings.Contains(err.Error(), "canary") {
		t.Errorf("with the vault down: %v", err)
	}
	if all := s.All(vault.APIKey); len(all) != 2 || all[0].Reveal() != "canary-two" {
		t.Errorf("the last values are gone: %d", len(all))
	}
	if _, err := vault.OpenWith(t.Context(), p, "development", resolver); err == nil || errors.Is(err, vault.ErrStale) {
		t.Errorf("a start with the vault down: %v", err)
	}
}

// notes are log entries.
type notes struct {
	slog.Handler
	mu   sync.Mutex
	text strings.Builder
}

func newNotes() *notes {
	n := &notes{}
	n.Handler = slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.text.Write(p)
	}), nil)
	return n
}

func (n *notes) String() string { n.mu.Lock(); defer n.mu.Unlock(); return n.text.String() }

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// R2.8: a secret that is swapped is used within a minute.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var value atomic.Pointer[string]
		set := func(v string) { value.Store(&v) }
		set("canary-one")
		p := &plan.Plan{Service: "stripe", Environments: map[string]plan.Environment{"development": {Secrets: map[string]catalog.OneOrMore{"api_key": {"env:KEY"}}}}}
		s, err := vault.Open(p, "development", func(string) (string, bool) { v := *value.Load(); return v, v != "" })
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		log := newNotes()
		go s.Watch(ctx, 0, slog.New(log))
		set("canary-two")
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if s.First(vault.APIKey).Reveal() != "canary-two" {
			t.Error("the new value is not used")
		}
		set("")
		time.Sleep(time.Minute)
		synctest.Wait()
		if s.First(vault.APIKey).Reveal() != "canary-two" {
			t.Error("the last value is not kept")
		}
		stop()
		synctest.Wait()
		if text := log.String(); strings.Count(text, "secret.changed") != 1 || !strings.Contains(text, "secrets.reload") || strings.Contains(text, "canary") {
			t.Errorf("log: %s", text)
		}
	})
}

// sightings remembers in memory.
type sightings struct {
	mu   sync.Mutex
	seen map[string]integration.SecretSighting
}

func (s *sightings) SeeSecrets(_ context.Context, list []integration.SecretSighting) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range list {
		if old, ok := s.seen[v.Name+v.Fingerprint]; ok {
			v.FirstSeen = old.FirstSeen
		}
		s.seen[v.Name+v.Fingerprint] = v
	}
	return nil
}

func (s *sightings) SecretSightings(context.Context, string, string) (list []integration.SecretSighting, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.seen {
		list = append(list, v)
	}
	return list, nil
}

// R2.9: a secret that is in use for longer than the plan allows is told of once
// a day, until it is replaced.
func TestAgeing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var value atomic.Pointer[string]
		set := func(v string) { value.Store(&v) }
		set("canary-one")
		p := &plan.Plan{
			Service: "stripe", Auth: plan.Auth{RotateEvery: plan.Duration(90 * 24 * time.Hour)},
			Environments: map[string]plan.Environment{"development": {Secrets: map[string]catalog.OneOrMore{"api_key": {"env:KEY"}}}},
		}
		s, err := vault.Open(p, "development", func(string) (string, bool) { return *value.Load(), true })
		if err != nil {
			t.Fatal(err)
		}
		kept := &sightings{seen: map[string]integration.SecretSighting{}}
		log := newNotes()
		a := &vault.Ageing{Secrets: s, Kept: kept, Log: slog.New(log)}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { a.Run(ctx); close(done) }()
		time.Sleep(89 * 24 * time.Hour)
		synctest.Wait()
		if text := log.String(); text != "" {
			t.Errorf("too early: %s", text)
		}
		time.Sleep(3*24*time.Hour + time.Minute)
		synctest.Wait()
		if text := log.String(); strings.Count(text, "secret.overdue") != 3 || !strings.Contains(text, "alert=true") || strings.Contains(text, "canary") {
			t.Errorf("overdue for two days: %s", text)
		}
		set("canary-two")
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * 24 * time.Hour)
		stop()
		<-done
		if text := log.String(); strings.Count(text, "secret.overdue") != 3 {
			t.Errorf("after it was replaced: %s", text)
		}
		ages, err := a.Look(context.Background())
		if err != nil || len(ages) != 1 || ages[0].Overdue || !ages[0].First || ages[0].Fingerprint != integration.NewSecret("canary-two").Fingerprint() {
			t.Errorf("%+v, %v", ages, err)
		}
	})
}

// recorder keeps uses, and can fail.
type recorder struct {
	fail bool
	uses []integration.CredentialUse
}

func (r *recorder) RecordUses(_ context.Context, uses []integration.CredentialUse) error {
	if r.fail {
		return errors.New("the disk is full")
	}
	r.uses = append(r.uses, uses...)
	return nil
}

// R2.10: uses are counted by credential, endpoint and actor; none is lost when
// the store fails for a while.
func TestUsage(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)
	r := &recorder{fail: true}
	u := vault.NewUsage(r, slog.New(newNotes()), func() time.Time { return now })
	about := integration.CredentialUse{Service: "stripe", Tenant: "acme", Fingerprint: "aaaa", Endpoint: "get_customer", Actor: "key-1"}
	u.Used(about, false)
	u.Used(about, true)
	u.Flush(t.Context())
	r.fail = false
	u.Used(about, false)
	other := about
	other.Actor = "program"
	u.Used(other, false)
	u.Flush(t.Context())
	u.Flush(t.Context())
	got := map[string]integration.CredentialUse{}
	for _, v := range r.uses {
		got[v.Actor] = v
	}
	if len(r.uses) != 2 || got["key-1"].Count != 3 || got["key-1"].Refused != 1 || got["program"].Count != 1 || !got["key-1"].Minute.Equal(now.Truncate(time.Minute)) {
		t.Errorf("%+v", r.uses)
	}
}

func BenchmarkUsed(b *testing.B) {
	u := vault.NewUsage(&recorder{}, slog.New(slog.DiscardHandler), nil)
	about := integration.CredentialUse{Service: "stripe", Tenant: "acme", Fingerprint: "aaaa", Endpoint: "get_customer", Actor: "key-1"}
	b.ReportAllocs()
	for b.Loop() {
		u.Used(about, false)
	}
}

// R2.9: a file is replaced as a whole and keeps its mode; what lies elsewhere is
// not ours to write.
func TestPut(t *testing.T) {
	t.Parallel()
	r, dir := vault.NewResolver(lookup(nil)), t.TempDir()
	path := filepath.Join(dir, "key")
	for i, mode := range []os.FileMode{0o600, 0o640} {
		want := fmt.Sprint("canary-", i)
		if err := r.Put(t.Context(), "file:"+path, integration.NewSecret(want)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		got, resolveErr := vault.Resolve("file:"+path, nil)
		if err != nil || resolveErr != nil || got.Reveal() != want || info.Mode().Perm() != mode {
			t.Errorf("%q, mode %v, %v", got.Reveal(), info.Mode(), err)
		}
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%d files, %v", len(left), err)
	}
	for _, reference := range []string{"env:KEY", "ssm:/key", "canary-value", ""} {
		if err := r.Put(t.Context(), reference, integration.NewSecret("canary-x")); !errors.Is(err, vault.ErrElsewhere) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", reference, err)
		}
	}
	if err := r.Put(t.Context(), "file:"+filepath.Join(dir, "none", "key"), integration.NewSecret("canary-x")); err == nil || strings.Contains(err.Error(), "canary-x") {
		t.Errorf("a folder that is not there: %v", err)
	}
}
