package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
)

const leakColumns = "fingerprint, service, environment, name, connection_id, at, actor"

// MarkLeaked keeps that a secret leaked. One that is marked already stays as it
// was marked first.
func (s *Store) MarkLeaked(ctx context.Context, l integration.LeakedSecret, audit integration.AuditEntry) error {
	return s.do(ctx, func(t *transaction) error {
		if _, err := t.exec("INSERT INTO leaked_secrets ("+leakColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
			l.Fingerprint, l.Service, l.Environment, l.Name, l.Connection, micros(l.At), l.Actor); err != nil {
			return fmt.Errorf("postgres: marking a secret of %s: %w", l.Service, err)
		}
		return insertAudit(t, audit)
	})
}

// UnmarkLeaked takes the mark off a secret; integration.ErrNotFound when it has
// none.
func (s *Store) UnmarkLeaked(ctx context.Context, fingerprint string, audit integration.AuditEntry) error {
	return s.do(ctx, func(t *transaction) error {
		n, err := t.exec("DELETE FROM leaked_secrets WHERE fingerprint = $1", fingerprint)
		switch {
		case err != nil:
			return fmt.Errorf("postgres: unmarking a secret: %w", err)
		case n == 0:
			return fmt.Errorf("leaked secret: %w", integration.ErrNotFound)
		}
		return insertAudit(t, audit)
	})
}

// LeakedSecrets lists the secrets that are marked, the last marked first.
func (s *Store) LeakedSecrets(ctx context.Context) ([]integration.LeakedSecret, error) {
	rows, err := s.query(ctx, "SELECT "+leakColumns+" FROM leaked_secrets ORDER BY at DESC, fingerprint")
	if err != nil {
		return nil, fmt.Errorf("postgres: leaked secrets: %w", err)
	}
	var list []integration.LeakedSecret
	err = each(rows, func(r rowScanner) error {
		var l integration.LeakedSecret
		var at int64
		err := r.Scan(&l.Fingerprint, &l.Service, &l.Environment, &l.Name, &l.Connection, &at, &l.Actor)
		l.At = fromMicros(at)
		list = append(list, l)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: leaked secrets: %w", err)
	}
	return list, nil
}

// ErasedSince lists the tenants that were erased at a time or later. It goes a
// day back at most.
func (s *Store) ErasedSince(ctx context.Context, since time.Time) ([]string, error) {
	rows, err := s.query(ctx, "SELECT tenant_id FROM erased_tenants WHERE at >= $1 ORDER BY at, tenant_id", micros(since))
	if err != nil {
		return nil, fmt.Errorf("postgres: erased tenants: %w", err)
	}
	var tenants []string
	err = each(rows, func(r rowScanner) error {
		var tenant string
		err := r.Scan(&tenant)
		tenants = append(tenants, tenant)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: erased tenants: %w", err)
	}
	return tenants, nil
}

// noteErased keeps that a tenant was erased, for a day.
func noteErased(t *transaction, tenant string, at time.Time) error {
	if _, err := t.exec("DELETE FROM erased_tenants WHERE at < $1", micros(at.Add(-24*time.Hour))); err != nil {
		return err
	}
	_, err := t.exec("INSERT INTO erased_tenants (tenant_id, at) VALUES ($1, $2) ON CONFLICT (tenant_id) DO UPDATE SET at = excluded.at", tenant, micros(at))
	return err
}
