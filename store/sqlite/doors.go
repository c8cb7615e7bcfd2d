package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

const tenantsOfAccount = `SELECT DISTINCT tenant_id FROM connections INDEXED BY connections_of_account
WHERE service = ?1 AND environment = ?2 AND account = ?3 AND account <> '' AND state <> 'disconnected' ORDER BY tenant_id LIMIT 10`

// TenantsOfAccount returns the tenants that are connected to an account at the
// provider; nobody should share one, and at most ten are told. An empty account
// is nobody's.
func (s *Store) TenantsOfAccount(ctx context.Context, service, environment, account string) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, tenantsOfAccount, service, environment, account)
	if err != nil {
		return nil, fmt.Errorf("sqlite: tenants of an account: %w", err)
	}
	var list []string
	err = each(rows, func(r rowScanner) error {
		var tenant string
		err := r.Scan(&tenant)
		list = append(list, tenant)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: tenants of an account: %w", err)
	}
	return list, nil
}

const callWithKey = `SELECT id FROM calls INDEXED BY calls_by_key
WHERE service = ?1 AND idempotency_key = ?2 AND idempotency_key <> '' LIMIT 1`

// CallWithKey returns the id of a call to the service that was sent with an
// idempotency key; empty when there is none.
func (s *Store) CallWithKey(ctx context.Context, service, key string) (id string, err error) {
	err = s.read.QueryRowContext(ctx, callWithKey, service, key).Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("sqlite: call with a key: %w", err)
	}
	return id, nil
}
