package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/integration"
)

const tenantKeyColumns = "id, tenant_id, master, created_at, retired_at, sealed"

// TenantKey returns one data key, retired or not; integration.ErrNotFound when
// it is gone or never was.
func (s *Store) TenantKey(ctx context.Context, id string) (integration.TenantKey, error) {
	return s.tenantKey(ctx, "data key "+id, "id = $1", id)
}

// TenantKeyInUse returns the data key that a tenant's credentials are sealed
// with at present; integration.ErrNotFound when the tenant has none yet.
func (s *Store) TenantKeyInUse(ctx context.Context, tenant string) (integration.TenantKey, error) {
	return s.tenantKey(ctx, "data key of the tenant", "tenant_id = $1 AND retired_at IS NULL", tenant)
}

func (s *Store) tenantKey(ctx context.Context, what, condition, arg string) (integration.TenantKey, error) {
	k, err := scanTenantKey(s.row(ctx, "SELECT "+tenantKeyColumns+" FROM tenant_keys WHERE "+condition, arg))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return integration.TenantKey{}, fmt.Errorf("%s: %w", what, integration.ErrNotFound)
	case err != nil:
		return integration.TenantKey{}, fmt.Errorf("postgres: %s: %w", what, err)
	}
	return k, nil
}

// PutTenantKey makes k the key in use of its tenant in place of the one whose
// id is replaces, which is retired; an empty one means that the tenant has
// none. When another was faster nothing is written and the answer is
// integration.ErrFenced: read the key in use again.
func (s *Store) PutTenantKey(ctx context.Context, k integration.TenantKey, replaces string) error {
	if k.ID == "" || len(k.Sealed) == 0 || k.Master == "" {
		return errors.New("postgres: a data key needs an id, the sealed key and the id of the master key")
	}
	return s.do(ctx, func(t *transaction) error {
		var inUse string
		err := t.query(func(r rowScanner) error { return r.Scan(&inUse) }, "SELECT id FROM tenant_keys WHERE tenant_id = $1 AND retired_at IS NULL", k.Tenant)
		if err != nil {
			return fmt.Errorf("postgres: data key: %w", err)
		}
		if inUse != replaces {
			return fmt.Errorf("another data key of the tenant is in use: %w", integration.ErrFenced)
		}
		if inUse != "" {
			if _, err := t.exec("UPDATE tenant_keys SET retired_at = $1 WHERE id = $2", micros(k.CreatedAt), inUse); err != nil {
				return fmt.Errorf("postgres: data key %s: %w", inUse, err)
			}
		}
		if _, err := t.exec("INSERT INTO tenant_keys ("+tenantKeyColumns+") VALUES ($1, $2, $3, $4, NULL, $5)",
			k.ID, k.Tenant, k.Master, micros(k.CreatedAt), k.Sealed); isTaken(err) {
			return fmt.Errorf("another data key of the tenant is in use: %w", integration.ErrFenced)
		} else if err != nil {
			return fmt.Errorf("postgres: data key %s: %w", k.ID, err)
		}
		return nil
	})
}

// TenantKeys lists up to most data keys with an id above after, in the order of
// ids.
func (s *Store) TenantKeys(ctx context.Context, after string, most int) ([]integration.TenantKey, error) {
	rows, err := s.query(ctx, "SELECT "+tenantKeyColumns+" FROM tenant_keys WHERE id > $1 ORDER BY id LIMIT $2", after, most)
	if err != nil {
		return nil, fmt.Errorf("postgres: data keys: %w", err)
	}
	var list []integration.TenantKey
	err = each(rows, func(r rowScanner) error {
		k, err := scanTenantKey(r)
		list = append(list, k)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: data keys: %w", err)
	}
	return list, nil
}

// RewrapTenantKey keeps a data key sealed with another master key. It is
// integration.ErrFenced when the key is not sealed with the master key from any
// more.
func (s *Store) RewrapTenantKey(ctx context.Context, k integration.TenantKey, from string) error {
	return s.do(ctx, func(t *transaction) error {
		n, err := t.exec("UPDATE tenant_keys SET sealed = $3, master = $4 WHERE id = $1 AND master = $2", k.ID, from, k.Sealed, k.Master)
		if err != nil {
			return fmt.Errorf("postgres: data key %s: %w", k.ID, err)
		}
		if n == 0 {
			return fmt.Errorf("data key %s: %w", k.ID, integration.ErrFenced)
		}
		return nil
	})
}

// ForgetTenantKeys deletes data keys that were retired before the given time
// and that nothing is sealed with any more, and says how many.
func (s *Store) ForgetTenantKeys(ctx context.Context, before time.Time) (n int, err error) {
	err = s.do(ctx, func(t *transaction) error {
		gone, err := t.exec(`DELETE FROM tenant_keys WHERE retired_at < $1
			AND NOT EXISTS (SELECT 1 FROM credentials WHERE key_id = tenant_keys.id)
			AND NOT EXISTS (SELECT 1 FROM oauth_states WHERE key_id = tenant_keys.id)
			AND NOT EXISTS (SELECT 1 FROM subscriptions WHERE substring(sealed FROM 2 FOR 16) = decode(replace(tenant_keys.id, '-', ''), 'hex'))`, micros(before))
		n = int(gone)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("postgres: forgetting data keys: %w", err)
	}
	return n, nil
}

// SealedWith lists up to most credentials that are sealed with a data key.
func (s *Store) SealedWith(ctx context.Context, key string, most int) ([]integration.Credential, error) {
	rows, err := s.query(ctx, "SELECT "+credentialColumns+" FROM credentials WHERE key_id = $1 LIMIT $2", key, most)
	if err != nil {
		return nil, fmt.Errorf("postgres: credentials of data key %s: %w", key, err)
	}
	list, err := scanCredentials(rows)
	if err != nil {
		return nil, fmt.Errorf("postgres: credentials of data key %s: %w", key, err)
	}
	return list, nil
}

// Reseal keeps credentials sealed anew. Each is written only if what is there
// is still the value it was made from (the same fingerprint under the key from),
// so that it can't undo a refresh; written says how many were.
func (s *Store) Reseal(ctx context.Context, list []integration.Credential, from string) (written int, err error) {
	err = s.do(ctx, func(t *transaction) error {
		written = 0
		for i := range list {
			c := &list[i]
			n, err := t.exec("UPDATE credentials SET sealed = $5, key_id = $4 WHERE connection_id = $1 AND field = $2 AND key_id = $3 AND fingerprint = $6 AND created_at = $7",
				c.Connection, c.Field, from, c.KeyID, c.Sealed, c.Fingerprint, micros(c.CreatedAt))
			if err != nil {
				return fmt.Errorf("connection %s: %w", c.Connection, err)
			}
			written += int(n)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("postgres: sealing anew: %w", err)
	}
	return written, nil
}

func scanTenantKey(r rowScanner) (k integration.TenantKey, err error) {
	var created int64
	var retired sql.NullInt64
	err = r.Scan(&k.ID, &k.Tenant, &k.Master, &created, &retired, &k.Sealed)
	k.CreatedAt, k.RetiredAt = fromMicros(created), fromOptional(retired)
	return k, err
}
