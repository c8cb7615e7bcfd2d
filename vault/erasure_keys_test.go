package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/vault"
)

func erasureKeys(t testing.TB) *vault.ErasureKeys {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "erasure")
	if err := vault.CreateErasureKeys(folder); err != nil {
		t.Fatal(err)
	}
	e, err := vault.OpenErasureKeys(folder)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (h *house) sealer(t testing.TB, keys vault.KeyStore, e *vault.ErasureKeys) *vault.Sealer {
	t.Helper()
	s, err := vault.NewSealer(vault.SealerConfig{Keys: keys, Master: h.master(t), ErasureKeys: e})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// R2.7: with erasure keys an erased tenant can't be opened in a backup either,
// though the master key of then is there; its neighbours can.
func TestErasureKeys(t *testing.T) {
	t.Parallel()
	h, e := newHouse(t, 2, 1), erasureKeys(t)
	if _, err := (&vault.Rotation{Store: h, Master: h.master(t), ErasureKeys: e}).Run(t.Context()); err != nil {
		t.Fatal(err) // those from before get one
	}
	copied := backup(t, h)
	open := func(id, tenant string, e *vault.ErasureKeys) error {
		t.Helper()
		_, credentials, err := copied.Connection(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got, err := h.sealer(t, copied, e).Open(t.Context(), vault.Binding{Tenant: tenant, Connection: id, Field: "token"}, credentials[0].Sealed)
		if err == nil && got.Reveal() != "secret of "+id {
			t.Errorf("%s opens as %q", id, got.Reveal())
		}
		return err
	}
	if err := open("c0", "t0", e); err != nil {
		t.Fatalf("the test proves nothing: %v", err)
	}
	if err := open("c0", "t0", nil); err == nil || !strings.Contains(err.Error(), "set erasure_keys") {
		t.Errorf("without the folder: %v", err)
	}
	if err := open("c0", "t0", erasureKeys(t)); !errors.Is(err, vault.ErrKeyGone) {
		t.Errorf("with another folder: %v", err)
	}
	var forgotten string
	receipt, err := (&vault.Erasing{From: h, ErasureKeys: e, Forget: func(tenant string) { forgotten = tenant }}).Tenant(t.Context(), "t0", "test")
	if err != nil || forgotten != "t0" || !strings.Contains(receipt.Backups, "can be opened by nobody") || !strings.Contains(receipt.Backups, e.Folder()) {
		t.Errorf("%+v, %v, forgot %q", receipt, err, forgotten)
	}
	if err := open("c0", "t0", e); !errors.Is(err, vault.ErrKeyGone) {
		t.Errorf("the backup opens: %v", err)
	}
	if err := open("c1", "t1", e); err != nil {
		t.Errorf("the neighbour's: %v", err)
	}
	if _, err := (&vault.Rotation{Store: h, Master: h.master(t), ErasureKeys: e}).Run(t.Context()); err != nil {
		t.Errorf("a rotation afterwards: %v", err)
	}
	again := vault.Binding{Tenant: "t0", Connection: "c9", Field: "token"}
	sealed, err := h.sealer(t, h, e).Seal(t.Context(), again, integration.NewSecret("anew"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.sealer(t, h, e).Open(t.Context(), again, sealed); err != nil || got.Reveal() != "anew" {
		t.Errorf("a tenant that came back: %q, %v", got.Reveal(), err)
	}
	if err := open("c0", "t0", e); err == nil {
		t.Error("its new key opens what was erased")
	}
}

// R2.7: processes that share the folder agree on one key; its file says nothing.
func TestErasureKeysShared(t *testing.T) {
	t.Parallel()
	h, e := newHouse(t, 1, 0), erasureKeys(t)
	b := vault.Binding{Tenant: "../ac\x00me", Connection: "c", Field: "f"}
	var wg sync.WaitGroup
	sealed := make([][]byte, 8)
	for i := range sealed {
		s := h.sealer(t, h, e)
		wg.Go(func() {
			var err error
			if sealed[i], err = s.Seal(t.Context(), b, integration.NewSecret("canary")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range sealed {
		if got, err := h.sealer(t, h, e).Open(t.Context(), b, sealed[i]); err != nil || got.Reveal() != "canary" {
			t.Errorf("%d: %v", i, err)
		}
	}
	files := 0
	err := filepath.WalkDir(e.Folder(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		info, err := d.Info()
		text, readErr := os.ReadFile(path)
		if err != nil || readErr != nil || info.Mode().Perm() != 0o600 || bytes.Contains(text, []byte("canary")) || strings.Contains(path, "me") && strings.Contains(path, "ac\x00") {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), errors.Join(err, readErr))
		}
		return nil
	})
	if err != nil || files != 2 {
		t.Errorf("%d files, %v", files, err)
	}
}

// A folder that is not the one, that others may read, or that is damaged is
// refused, and nothing is made in it.
func TestErasureKeysRefused(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	if _, err := vault.OpenErasureKeys(empty); err == nil || !strings.Contains(err.Error(), "mounted?") {
		t.Errorf("an empty folder: %v", err)
	}
	e := erasureKeys(t)
	if err := vault.CreateErasureKeys(e.Folder()); err == nil {
		t.Error("made where there are keys")
	}
	if err := os.Chmod(e.Folder(), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.OpenErasureKeys(e.Folder()); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("an open folder: %v", err)
	}
	if since, err := e.Destroy("nobody"); err != nil || !since.IsZero() {
		t.Errorf("nothing to destroy: %v, %v", since, err)
	}
	h := newHouse(t, 1, 0)
	b := vault.Binding{Tenant: "t0", Connection: "c", Field: "f"}
	sealed, err := h.sealer(t, h, e).Seal(t.Context(), b, integration.NewSecret("canary"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(e.Folder(), "*", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(files[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.sealer(t, h, e).Open(t.Context(), b, sealed); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged key: %v", err)
	}
	if _, err := (&vault.Erasing{From: h, ErasureKeys: e}).Tenant(t.Context(), "", "test"); err == nil {
		t.Error("erased nobody")
	}
}

// stopping fails at the first thing that it is asked to delete.
type stopping struct{ vault.Eraser }

func (stopping) EraseKeys(context.Context, string, integration.AuditEntry) (integration.Erasure, error) {
	return integration.Erasure{}, errors.New("the database is away")
}

// R2.7: when the process dies after the erasure key is gone nothing of the tenant
// can be opened, a rotation says what to do, and erasing again ends it.
func TestErasureKeyGoesFirst(t *testing.T) {
	t.Parallel()
	h, e := newHouse(t, 2, 1), erasureKeys(t)
	rotate := func() error {
		_, err := (&vault.Rotation{Store: h, Master: h.master(t), ErasureKeys: e}).Run(t.Context())
		return err
	}
	if err := rotate(); err != nil {
		t.Fatal(err)
	}
	if _, err := (&vault.Erasing{From: stopping{h}, ErasureKeys: e}).Tenant(t.Context(), "t0", "test"); err == nil || !strings.Contains(err.Error(), "run it again") {
		t.Errorf("%v", err)
	}
	b := vault.Binding{Tenant: "t0", Connection: "c9", Field: "token"}
	if _, err := h.sealer(t, h, e).Seal(t.Context(), b, integration.NewSecret("canary")); !errors.Is(err, vault.ErrKeyGone) {
		t.Errorf("sealed meanwhile: %v", err)
	}
	if err := rotate(); !errors.Is(err, vault.ErrKeyGone) || !strings.Contains(err.Error(), "erase it again") {
		t.Errorf("a rotation meanwhile: %v", err)
	}
	if _, err := (&vault.Erasing{From: h, ErasureKeys: e}).Tenant(t.Context(), "t0", "test"); err != nil {
		t.Fatal(err)
	}
	if err := rotate(); err != nil {
		t.Errorf("a rotation afterwards: %v", err)
	}
	_, credentials, err := h.Connection(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.sealer(t, h, e).Open(t.Context(), vault.Binding{Tenant: "t1", Connection: "c1", Field: "token"}, credentials[0].Sealed); err != nil || got.Reveal() != "secret of c1" {
		t.Errorf("the neighbour's: %v", err)
	}
}

func ExampleErasureKeys() {
	folder, err := os.MkdirTemp("", "erasure-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	if err := vault.CreateErasureKeys(folder); err != nil {
		fmt.Println(err)
		return
	}
	keys, err := vault.OpenErasureKeys(folder)
	if err != nil {
		fmt.Println(err)
		return
	}
	since, err := keys.Destroy("acme")
	fmt.Println("there was none:", since.IsZero(), err)
	// Output: there was none: true <nil>
}
