package vault_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
	"github.com/sallyport/sallyport/vault"
)

// house is a store with connections of several tenants, and a master key.
type house struct {
	*sqlite.Store
	keyset string // path
	count  int
}

func newHouse(t testing.TB, tenants, connections int) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{keyset: filepath.Join(dir, "keyset.json"), count: tenants * connections}
	var err error
	if h.Store, err = sqlite.Open(t.Context(), filepath.Join(dir, "sallyport.db"), sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	if err := vault.CreateKeyset(h.keyset); err != nil {
		t.Fatal(err)
	}
	s := newSealer(t, h, h.master(t))
	for i := range h.count {
		id, tenant := fmt.Sprint("c", i), fmt.Sprint("t", i%tenants)
		c, err := s.Credential(t.Context(), vault.Binding{Tenant: tenant, Connection: id, Field: "token"}, integration.NewSecret("secret of "+id))
		if err != nil {
			t.Fatal(err)
		}
		err = h.CreateConnection(t.Context(), integration.ConnectionChange{
			Connection: integration.Connection{ID: id, Tenant: tenant, Service: "s", State: integration.ConnectionConnected, UpdatedAt: time.Now()},
			Put:        []integration.Credential{c},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// master reads the keyset as another process would.
func (h *house) master(t testing.TB) *vault.Keyset {
	t.Helper()
	k, err := vault.OpenKeyset(h.keyset)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// opens checks that every credential can be opened.
func (h *house) opens(t testing.TB, s *vault.Sealer) (keys map[string]bool) {
	t.Helper()
	keys = map[string]bool{}
	for i := range h.count {
		id := fmt.Sprint("c", i)
		c, credentials, err := h.Connection(t.Context(), id)
		if err != nil || len(credentials) != 1 {
			t.Fatalf("%s: %d credentials, %v", id, len(credentials), err)
		}
		keys[credentials[0].KeyID] = true
		got, err := s.Open(t.Context(), vault.Binding{Tenant: c.Tenant, Connection: id, Field: "token"}, credentials[0].Sealed)
		if err != nil || got.Reveal() != "secret of "+id {
			t.Fatalf("%s: opened %q, %v", id, got.Reveal(), err)
		}
	}
	return keys
}

// R2.7: everything is sealed anew while another instance goes on.
func TestRotation(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3, 5)
	running := newSealer(t, h, h.master(t))
	before := h.opens(t, running)
	old := h.master(t).Primary()
	var told int
	state, err := (&vault.Rotation{Store: h, Master: h.master(t), Actor: "test", Batch: 2, Progress: func(integration.KeyRotation) { told++ }}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if state.Keys != 3 || state.Credentials != 15 || state.FinishedAt.IsZero() || state.Before != old || told < 2 {
		t.Errorf("%+v, told %d times", state, told)
	}
	if got := h.opens(t, newSealer(t, h, h.master(t))); len(got) != 3 {
		t.Errorf("sealed with %d keys", len(got))
	} else {
		for id := range got {
			if before[id] {
				t.Errorf("still sealed with the data key %s", id)
			}
		}
	}
	h.opens(t, running)
	if got, err := running.Seal(t.Context(), vault.Binding{Tenant: "new"}, integration.NewSecret("x")); err != nil {
		t.Errorf("the running instance can't seal for a new tenant: %v", err)
	} else if k, err := h.TenantKey(t.Context(), vault.KeyID(got)); err != nil || k.Master == old {
		t.Errorf("it sealed with the old master key: %+v, %v", k, err)
	}
	for after := ""; ; {
		keys, err := h.TenantKeys(t.Context(), after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			break
		}
		for _, k := range keys {
			if k.Master == old {
				t.Errorf("data key %s is sealed with the old master key", k.ID)
			}
			after = k.ID
		}
	}
}

// dying is a store that fails after some writes, as a process that is killed.
type dying struct {
	*sqlite.Store
	left int
}

var errKilled = errors.New("killed")

func (d *dying) step() error {
	if d.left--; d.left < 0 {
		return errKilled
	}
	return nil
}

func (d *dying) StartRotation(ctx context.Context, r integration.KeyRotation, audit integration.AuditEntry) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Store.StartRotation(ctx, r, audit)
}

func (d *dying) AdvanceRotation(ctx context.Context, r integration.KeyRotation) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Store.AdvanceRotation(ctx, r)
}

func (d *dying) RewrapTenantKey(ctx context.Context, k integration.TenantKey, from string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Store.RewrapTenantKey(ctx, k, from)
}

func (d *dying) PutTenantKey(ctx context.Context, k integration.TenantKey, replaces string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Store.PutTenantKey(ctx, k, replaces)
}

func (d *dying) Reseal(ctx context.Context, list []integration.Credential, from string) (int, error) {
	if err := d.step(); err != nil {
		return 0, err
	}
	return d.Store.Reseal(ctx, list, from)
}

// R2.7: killed before any of its writes, nothing is lost, and the next run goes
// on with the same master key.
func TestRotationResumes(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2, 3)
	old := h.master(t).Primary()
	for kill := 0; ; kill++ {
		d := &dying{Store: h.Store, left: kill}
		state, err := (&vault.Rotation{Store: d, Master: h.master(t), Batch: 1}).Run(t.Context())
		h.opens(t, newSealer(t, h, h.master(t)))
		if err == nil {
			if state.Before != old || state.Fresh == old {
				t.Errorf("%+v", state)
			}
			break
		}
		if !errors.Is(err, errKilled) {
			t.Fatalf("killed at %d: %v", kill, err)
		}
		if kill > 100 {
			t.Fatal("it never ends")
		}
	}
	last, err := h.LastRotation(t.Context())
	if err != nil || last.Before != old || last.FinishedAt.IsZero() {
		t.Errorf("%+v, %v", last, err)
	}
	disabled, err := h.master(t).DisableOthers()
	if err != nil || len(disabled) > 0 {
		t.Errorf("keys that are not disabled: %v, %v", disabled, err)
	}
	if deleted, err := h.master(t).DeleteOthers(); err != nil || len(deleted) != 1 {
		t.Errorf("one rotation left the keys %v behind, %v", deleted, err)
	}
	h.opens(t, newSealer(t, h, h.master(t)))
}

// R2.7: a credential that is damaged is told of and stops nobody.
func TestRotationPastDamage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 4)
	c, credentials, err := h.Connection(t.Context(), "c0")
	if err != nil {
		t.Fatal(err)
	}
	credentials[0].Sealed[30] ^= 1
	c.UpdatedAt = time.Now()
	if err := h.ChangeConnection(t.Context(), integration.ConnectionChange{Connection: c, Put: credentials}); err != nil {
		t.Fatal(err)
	}
	var damaged []string
	state, err := (&vault.Rotation{Store: h, Master: h.master(t), Batch: 1, Damaged: func(c, f string) { damaged = append(damaged, c+" "+f) }}).Run(t.Context())
	if err != nil || state.Credentials != 3 || len(damaged) != 1 || damaged[0] != "c0 token" {
		t.Errorf("%+v, damaged %v, %v", state, damaged, err)
	}
}

// R2.7: two who rotate at the same time, as two processes would, lose nothing.
func TestRotationTwice(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 4, 4)
	var all sync.WaitGroup
	for range 3 {
		master := h.master(t)
		all.Go(func() {
			_, err := (&vault.Rotation{Store: h, Master: master, Batch: 1}).Run(context.Background())
			if err != nil && !errors.Is(err, integration.ErrState) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	h.opens(t, newSealer(t, h, h.master(t)))
	if last, err := h.LastRotation(t.Context()); err != nil || last.FinishedAt.IsZero() {
		t.Errorf("%+v, %v", last, err)
	}
}
