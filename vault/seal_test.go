package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/vault"
)

// keyring is a place for data keys in memory.
type keyring struct {
	mu    sync.Mutex
	keys  map[string]integration.TenantKey
	reads int
}

func (r *keyring) TenantKey(_ context.Context, id string) (integration.TenantKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	k, ok := r.keys[id]
	if !ok {
		return k, integration.ErrNotFound
	}
	return k, nil
}

func (r *keyring) TenantKeyInUse(_ context.Context, tenant string) (integration.TenantKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	for _, k := range r.keys {
		if k.Tenant == tenant && k.RetiredAt.IsZero() {
			return k, nil
		}
	}
	return integration.TenantKey{}, integration.ErrNotFound
}

func (r *keyring) PutTenantKey(_ context.Context, k integration.TenantKey, replaces string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, old := range r.keys {
		if old.Tenant != k.Tenant || !old.RetiredAt.IsZero() {
			continue
		}
		if id != replaces {
			return integration.ErrFenced
		}
		old.RetiredAt = k.CreatedAt
		r.keys[id] = old
	}
	if r.keys == nil {
		r.keys = map[string]integration.TenantKey{}
	}
	r.keys[k.ID] = k
	return nil
}

func newKeyset(t testing.TB) *vault.Keyset {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyset.json")
	if err := vault.CreateKeyset(path); err != nil {
		t.Fatal(err)
	}
	k, err := vault.OpenKeyset(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newSealer(t testing.TB, keys vault.KeyStore, master vault.Master) *vault.Sealer {
	t.Helper()
	s, err := vault.NewSealer(vault.SealerConfig{Keys: keys, Master: master})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var place = vault.Binding{Tenant: "acme", Connection: "c1", Field: "access_token"}

// R2.7: what was sealed opens where it belongs and nowhere else.
func TestSealer(t *testing.T) {
	t.Parallel()
	keys, master := &keyring{}, newKeyset(t)
	s := newSealer(t, keys, master)
	sealed, err := s.Seal(t.Context(), place, integration.NewSecret("canary-token"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(sealed), "canary") {
		t.Fatal("the sealed bytes hold the secret")
	}
	// Another process, with nothing in memory.
	other := newSealer(t, keys, master)
	got, err := other.Open(t.Context(), place, sealed)
	if err != nil || got.Reveal() != "canary-token" {
		t.Fatalf("opened %q, %v", got.Reveal(), err)
	}
	if k := keys.keys[vault.KeyID(sealed)]; k.Tenant != "acme" || k.Master != master.Primary() {
		t.Errorf("sealed with %+v", k)
	}
	for name, b := range map[string]vault.Binding{
		"other tenant":     {Tenant: "globex", Connection: "c1", Field: "access_token"},
		"other connection": {Tenant: "acme", Connection: "c2", Field: "access_token"},
		"other field":      {Tenant: "acme", Connection: "c1", Field: "refresh_token"},
		"shifted":          {Tenant: "acme", Connection: "c1access", Field: "_token"},
		"nothing":          {},
	} {
		if got, err := s.Open(t.Context(), b, sealed); !errors.Is(err, vault.ErrSealed) || !got.IsZero() {
			t.Errorf("%s: opened %q, %v", name, got.Reveal(), err)
		}
	}
	again, err := s.Seal(t.Context(), place, integration.NewSecret("canary-token"))
	if err != nil || string(again) == string(sealed) {
		t.Errorf("sealing twice gives the same bytes, %v", err)
	}
}

// R2.7: a token path that is warm asks nobody.
func TestSealerAsksOnce(t *testing.T) {
	t.Parallel()
	keys := &keyring{}
	s := newSealer(t, keys, newKeyset(t))
	sealed, err := s.Seal(t.Context(), place, integration.NewSecret("x"))
	if err != nil {
		t.Fatal(err)
	}
	before := keys.reads
	for range 100 {
		if _, err := s.Open(t.Context(), place, sealed); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Seal(t.Context(), place, integration.NewSecret("y")); err != nil {
			t.Fatal(err)
		}
	}
	if keys.reads != before {
		t.Errorf("the store was asked %d times", keys.reads-before)
	}
}

// R2.7: without its data key nothing of a tenant can be opened, and others can.
func TestErasedTenant(t *testing.T) {
	t.Parallel()
	keys, master := &keyring{}, newKeyset(t)
	s := newSealer(t, keys, master)
	elsewhere := vault.Binding{Tenant: "globex", Connection: "c9", Field: "api_key"}
	mine, err1 := s.Seal(t.Context(), place, integration.NewSecret("mine"))
	theirs, err2 := s.Seal(t.Context(), elsewhere, integration.NewSecret("theirs"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	delete(keys.keys, vault.KeyID(mine))
	s.Forget("acme")
	if got, err := s.Open(t.Context(), place, mine); !errors.Is(err, vault.ErrKeyGone) || !got.IsZero() {
		t.Errorf("opened %q, %v", got.Reveal(), err)
	}
	if got, err := s.Open(t.Context(), elsewhere, theirs); err != nil || got.Reveal() != "theirs" {
		t.Errorf("the neighbour lost %q, %v", got.Reveal(), err)
	}
}

// R2.7: instances that seal for a new tenant at once agree on one data key.
func TestFirstKeyOnce(t *testing.T) {
	t.Parallel()
	keys, master := &keyring{}, newKeyset(t)
	var all sync.WaitGroup
	var sealed [8][]byte
	for i := range sealed {
		s := newSealer(t, keys, master)
		all.Go(func() {
			var err error
			if sealed[i], err = s.Seal(context.Background(), place, integration.NewSecret(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(keys.keys) != 1 {
		t.Errorf("%d data keys, want 1", len(keys.keys))
	}
	s := newSealer(t, keys, master)
	for i, b := range sealed {
		if got, err := s.Open(t.Context(), place, b); err != nil || got.Reveal() != fmt.Sprint(i) {
			t.Errorf("%d: %q, %v", i, got.Reveal(), err)
		}
	}
}

// R2.7: the master key is swapped while two instances run.
func TestKeysetRotates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	if err := vault.CreateKeyset(path); err != nil {
		t.Fatal(err)
	}
	open := func() *vault.Keyset {
		k, err := vault.OpenKeyset(path)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	one, two := open(), open()
	old, before, err := one.Wrap(t.Context(), []byte("data"), []byte("ad"))
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := one.AddPrimary(before)
	if err != nil || fresh == before {
		t.Fatalf("new primary %s after %s, %v", fresh, before, err)
	}
	if again, err := two.AddPrimary(before); err != nil || again != fresh {
		t.Errorf("another rotated at the same time: %s, %v; want %s", again, err, fresh)
	}
	sealed, key, err := one.Wrap(t.Context(), []byte("data"), []byte("ad"))
	if err != nil || key != fresh {
		t.Fatalf("sealed with %s, %v; want %s", key, err, fresh)
	}
	if b, err := two.Unwrap(t.Context(), sealed, []byte("ad"), key); err != nil || string(b) != "data" {
		t.Errorf("an instance that read the keyset before: %q, %v", b, err)
	}
	if _, key, err := two.Wrap(t.Context(), []byte("data"), nil); err != nil || key != fresh {
		t.Errorf("it seals with %s, %v", key, err)
	}
	if b, err := two.Unwrap(t.Context(), old, []byte("ad"), before); err != nil || string(b) != "data" {
		t.Errorf("the old key still opens: %q, %v", b, err)
	}
	if disabled, err := one.DisableOthers(); err != nil || len(disabled) != 1 || disabled[0] != before {
		t.Errorf("disabled %v, %v", disabled, err)
	}
	if _, err := one.Unwrap(t.Context(), old, []byte("ad"), before); err == nil || !strings.Contains(err.Error(), "disabled") {
		t.Errorf("a disabled key: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if _, err := one.Unwrap(t.Context(), sealed, []byte("other"), key); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("bound elsewhere: %v", err)
	}
}

// R2.7: a keyset that others may read, or that is none, is refused with the way
// out, and its content is not shown.
func TestKeysetRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct{ path, want string }{
		"readable by others": {write("wide", "{}", 0o640), "chmod 600"},
		"no keyset":          {write("none", "canary-not-json", 0o600), "holds no keyset"},
		"empty keyset":       {write("empty", `{"primaryKeyId":1,"key":[]}`, 0o600), "keyset"},
		"missing":            {filepath.Join(dir, "nowhere"), "no such file"},
		"folder":             {dir, "no file"},
	} {
		_, err := vault.OpenKeyset(c.path)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := vault.CreateKeyset(write("there", "mine", 0o600)); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "there")); err != nil || string(b) != "mine" {
		t.Errorf("a file that was there holds %q, %v", b, err)
	}
	_, err := vault.KeysetFromEnvironment("", func(string) (string, bool) { return "", false })
	if err == nil || !strings.Contains(err.Error(), vault.KeysetVariable) {
		t.Errorf("no variable: %v", err)
	}
	text, err := os.ReadFile(filepath.Clean(newKeyset(t).Name()[len("file:"):]))
	if err != nil {
		t.Fatal(err)
	}
	k, err := vault.KeysetFromEnvironment("KEYS", func(string) (string, bool) { return string(text), true })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.AddPrimary(k.Primary()); !errors.Is(err, vault.ErrReadOnly) {
		t.Errorf("rotating a keyset in the environment: %v", err)
	}
}

// R2.7: any secret for any place comes back, and from no other place.
func TestSealerProperty(t *testing.T) {
	t.Parallel()
	s := newSealer(t, &keyring{}, newKeyset(t))
	rapid.Check(t, func(t *rapid.T) {
		binding := rapid.Custom(func(t *rapid.T) vault.Binding {
			return vault.Binding{Tenant: rapid.SampledFrom([]string{"", "a", "aa", "b"}).Draw(t, "tenant"), Connection: rapid.StringN(0, 3, 8).Draw(t, "connection"), Field: rapid.StringN(0, 3, 8).Draw(t, "field")}
		})
		here, there := binding.Draw(t, "here"), binding.Draw(t, "there")
		secret := rapid.String().Draw(t, "secret")
		sealed, err := s.Seal(context.Background(), here, integration.NewSecret(secret))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Open(context.Background(), here, sealed); err != nil || got.Reveal() != secret {
			t.Fatalf("%q, %v", got.Reveal(), err)
		}
		if got, err := s.Open(context.Background(), there, sealed); here != there && err == nil {
			t.Fatalf("opened %q elsewhere", got.Reveal())
		}
	})
}

// R2.7: damaged bytes are refused, whatever they are.
func FuzzOpen(f *testing.F) {
	s := newSealer(f, &keyring{}, newKeyset(f))
	sealed, err := s.Seal(context.Background(), place, integration.NewSecret("canary"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed[:17], 3, byte(1))
	f.Add(sealed, 0, byte(1))
	f.Add(sealed, 5, byte(0x80))
	f.Add(sealed, len(sealed)-1, byte(1))
	f.Add([]byte{}, 0, byte(0))
	f.Fuzz(func(t *testing.T, b []byte, at int, flip byte) {
		b = bytes.Clone(b)
		if at >= 0 && at < len(b) {
			b[at] ^= flip
		}
		got, err := s.Open(context.Background(), place, b)
		if string(b) == string(sealed) {
			if err != nil || got.Reveal() != "canary" {
				t.Fatalf("the whole: %v", err)
			}
			return
		}
		if err == nil || !got.IsZero() {
			t.Fatalf("opened damaged bytes")
		}
		if !errors.Is(err, vault.ErrSealed) && !errors.Is(err, vault.ErrKeyGone) {
			t.Fatalf("another error: %v", err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s := newSealer(b, &keyring{}, newKeyset(b))
	secret := integration.NewSecret(strings.Repeat("x", 1500))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Seal(b.Context(), place, secret); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	s := newSealer(b, &keyring{}, newKeyset(b))
	sealed, err := s.Seal(b.Context(), place, integration.NewSecret(strings.Repeat("x", 1500)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(b.Context(), place, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

// A key that was replaced elsewhere is noticed once it is no longer fresh.
func TestSealerNoticesReplacedKey(t *testing.T) {
	t.Parallel()
	keys, master := &keyring{}, newKeyset(t)
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s, err := vault.NewSealer(vault.SealerConfig{Keys: keys, Master: master, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Seal(t.Context(), place, integration.NewSecret("x"))
	if err != nil {
		t.Fatal(err)
	}
	k := keys.keys[vault.KeyID(first)]
	k.RetiredAt = now
	keys.keys[k.ID] = k
	now = now.Add(2 * time.Minute)
	second, err := s.Seal(t.Context(), place, integration.NewSecret("x"))
	if err != nil || vault.KeyID(second) == vault.KeyID(first) {
		t.Errorf("sealed with a retired key, %v", err)
	}
	if got, err := s.Open(t.Context(), place, first); err != nil || got.Reveal() != "x" {
		t.Errorf("what the retired key sealed: %v", err)
	}
}
