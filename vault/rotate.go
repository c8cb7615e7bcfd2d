package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
)

// RotationStore is what a rotation works on. A store is one.
type RotationStore interface {
	KeyStore
	TenantKeys(ctx context.Context, after string, most int) ([]integration.TenantKey, error)
	RewrapTenantKey(ctx context.Context, k integration.TenantKey, from string) error
	ForgetTenantKeys(ctx context.Context, before time.Time) (n int, err error)
	SealedWith(ctx context.Context, key string, most int) ([]integration.Credential, error)
	Reseal(ctx context.Context, list []integration.Credential, from string) (written int, err error)
	StartRotation(ctx context.Context, r integration.KeyRotation, audit integration.AuditEntry) error
	AdvanceRotation(ctx context.Context, r integration.KeyRotation) error
	LastRotation(ctx context.Context) (integration.KeyRotation, error)
}

// Rotating is a master key that can be swapped from here. The key services swap
// theirs by themselves; for them a rotation seals anew with what is current.
type Rotating interface {
	Master
	// AddPrimary makes a new key that seals from now on, unless before is not
	// the primary one any more; others still open.
	AddPrimary(before string) (fresh string, err error)
	Primary() string
	// DisableOthers makes all keys but the primary one useless, and says which;
	// Enable takes that back.
	DisableOthers() (disabled []string, err error)
	Enable(keys []string) error
}

// Rotation swaps the master key and every data key while the gateway runs
// (R2.7): a new master key, then for each tenant a new data key, and every
// credential sealed with that. The old master key is disabled at the end.
type Rotation struct {
	Store  RotationStore
	Master Master
	// ErasureKeys seal every data key as well, those from before included; nil:
	// there are none.
	ErasureKeys *ErasureKeys
	Actor       string // for the audit log
	// Batch is how many rows are read at once. Zero means 100.
	Batch int
	// Progress is told after every batch; nil: nobody is.
	Progress func(integration.KeyRotation)
	// Damaged is told of credentials that can't be opened; they stay as they
	// are, and the tenant has to connect again. Nil: nobody is told.
	Damaged func(connection, field string)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// keptRetired is how long a retired data key stays after nothing needs it:
// longer than any process goes on sealing with one that it has in memory.
const keptRetired = 24 * time.Hour

// Run goes on with the rotation that is under way, or begins one; it returns
// when everything is sealed anew. When it fails, or the process dies, nothing
// is lost: the next Run goes on.
func (r *Rotation) Run(ctx context.Context) (integration.KeyRotation, error) {
	if r.Batch <= 0 {
		r.Batch = 100
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	state, err := r.begin(ctx)
	if err != nil {
		return state, err
	}
	sealer, err := NewSealer(SealerConfig{Keys: r.Store, Master: r.Master, ErasureKeys: r.ErasureKeys, Now: r.Now, Cached: 2 * r.Batch})
	if err != nil {
		return state, err
	}
	if err := r.pass(ctx, sealer, &state); err != nil {
		return state, err
	}
	if err := r.finish(ctx, sealer, &state); err != nil {
		return state, err
	}
	if _, err := r.Store.ForgetTenantKeys(ctx, r.Now().Add(-keptRetired)); err != nil {
		return state, err
	}
	state.FinishedAt = r.Now().UTC()
	return state, r.Store.AdvanceRotation(ctx, state)
}

// begin finds the rotation that is under way, or writes down that one begins,
// and then makes its master key.
func (r *Rotation) begin(ctx context.Context) (integration.KeyRotation, error) {
	rotating, swaps := r.Master.(Rotating)
	state, err := r.Store.LastRotation(ctx)
	if errors.Is(err, integration.ErrNotFound) || err == nil && !state.FinishedAt.IsZero() {
		id, err := uuid.NewV7()
		if err != nil {
			return state, fmt.Errorf("rotation: %w", err)
		}
		state = integration.KeyRotation{ID: id.String(), StartedAt: r.Now().UTC()}
		if swaps {
			state.Before = rotating.Primary()
		}
		audit := integration.AuditEntry{At: state.StartedAt, Actor: r.Actor, Action: "secrets.rotate", Target: state.ID, Detail: "the master key before is " + state.Before}
		if err := r.Store.StartRotation(ctx, state, audit); err != nil {
			return state, err
		}
	} else if err != nil {
		return state, err
	}
	if !swaps || state.Fresh != "" {
		return state, nil
	}
	// A crash after the key was made and before it was written down shows: the
	// primary key is not the one from before.
	if state.Fresh, err = rotating.AddPrimary(state.Before); err != nil {
		return state, err
	}
	return state, r.Store.AdvanceRotation(ctx, state)
}

// pass goes through all data keys from where the rotation is.
func (r *Rotation) pass(ctx context.Context, sealer *Sealer, state *integration.KeyRotation) error {
	for {
		keys, err := r.Store.TenantKeys(ctx, state.Position, r.Batch)
		if err != nil || len(keys) == 0 {
			return err
		}
		for i := range keys {
			if err := r.key(ctx, sealer, &keys[i], state); err != nil {
				return fmt.Errorf("data key %s: %w", keys[i].ID, err)
			}
			state.Position = keys[i].ID
		}
		if err := r.Store.AdvanceRotation(ctx, *state); err != nil {
			return err
		}
		if r.Progress != nil {
			r.Progress(*state)
		}
	}
}

// key seals one data key anew, retires it if it is in use, and seals what it
// had sealed with the one that is in use then.
func (r *Rotation) key(ctx context.Context, sealer *Sealer, k *integration.TenantKey, state *integration.KeyRotation) error {
	if !k.CreatedAt.Before(state.StartedAt) && (state.Fresh == "" || k.Master == state.Fresh) {
		return nil
	}
	if err := r.rewrap(ctx, k, state); err != nil {
		return err
	}
	if k.RetiredAt.IsZero() && k.CreatedAt.Before(state.StartedAt) {
		if _, err := sealer.replace(ctx, k.Tenant, k.ID); err != nil {
			return err
		}
		sealer.inUse.Remove(k.Tenant)
	}
	return r.reseal(ctx, sealer, k, state)
}

// rewrap seals a data key with the new master key.
func (r *Rotation) rewrap(ctx context.Context, k *integration.TenantKey, state *integration.KeyRotation) error {
	if state.Fresh != "" && k.Master == state.Fresh {
		return nil
	}
	plain, err := unwrapKey(ctx, r.Master, r.ErasureKeys, k)
	if err != nil {
		return err
	}
	defer clear(plain)
	anew := *k
	if anew.Sealed, anew.Master, err = wrapKey(ctx, r.Master, r.ErasureKeys, k, plain); err != nil {
		return err
	}
	err = r.Store.RewrapTenantKey(ctx, anew, k.Master)
	if errors.Is(err, integration.ErrFenced) {
		return nil // it was erased, or another did it
	}
	state.Keys++
	return err
}

// reseal seals what a retired data key had sealed with the key in use.
func (r *Rotation) reseal(ctx context.Context, sealer *Sealer, k *integration.TenantKey, state *integration.KeyRotation) error {
	damaged := map[[2]string]bool{}
	for {
		list, err := r.Store.SealedWith(ctx, k.ID, r.Batch+len(damaged))
		if err != nil {
			return err
		}
		known, anew := len(damaged), list[:0]
		for _, c := range list {
			if damaged[[2]string{c.Connection, c.Field}] {
				continue
			}
			switch err := sealer.reseal(ctx, k.Tenant, &c); {
			case errors.Is(err, ErrSealed):
				damaged[[2]string{c.Connection, c.Field}] = true
				if r.Damaged != nil {
					r.Damaged(c.Connection, c.Field)
				}
			case err != nil:
				return fmt.Errorf("connection %s, %s: %w", c.Connection, c.Field, err)
			default:
				anew = append(anew, c)
			}
		}
		switch {
		case len(anew) == 0 && len(damaged) > known:
			continue
		case len(anew) == 0, anew[0].KeyID == k.ID: // in the second case the key is in use: there is nothing to swap it for
			return nil
		}
		n, err := r.Store.Reseal(ctx, anew, k.ID)
		if err != nil {
			return err
		}
		state.Credentials += n
	}
}

// reseal seals a credential of a tenant with the key in use.
func (s *Sealer) reseal(ctx context.Context, tenant string, c *integration.Credential) error {
	b := Binding{Tenant: tenant, Connection: c.Connection, Field: c.Field}
	secret, err := s.Open(ctx, b, c.Sealed)
	if err != nil {
		return err
	}
	if c.Sealed, err = s.Seal(ctx, b, secret); err != nil {
		return err
	}
	c.KeyID = KeyID(c.Sealed)
	return nil
}

// finish disables the old master keys. A process that sealed a data key with
// one of them just before shows in a last look; the keys are then enabled until
// that is sealed anew as well.
func (r *Rotation) finish(ctx context.Context, sealer *Sealer, state *integration.KeyRotation) error {
	rotating, swaps := r.Master.(Rotating)
	if !swaps {
		return nil
	}
	for {
		disabled, err := rotating.DisableOthers()
		if err != nil {
			return err
		}
		left, err := r.sealedWithOthers(ctx, state.Fresh)
		if err != nil || !left {
			return err
		}
		if len(disabled) == 0 {
			return errors.New("some data keys are sealed with a master key that was disabled before; enable it in the keyset and run this again")
		}
		if err := rotating.Enable(disabled); err != nil {
			return err
		}
		state.Position = ""
		if err := r.pass(ctx, sealer, state); err != nil {
			return err
		}
	}
}

func (r *Rotation) sealedWithOthers(ctx context.Context, master string) (bool, error) {
	for after := ""; ; {
		keys, err := r.Store.TenantKeys(ctx, after, 1000)
		if err != nil || len(keys) == 0 {
			return false, err
		}
		for i := range keys {
			if keys[i].Master != master {
				return true, nil
			}
		}
		after = keys[len(keys)-1].ID
	}
}
