package postgres

import (
	"context"
	"fmt"
)

const tenantsOfAccount = `SELECT DISTINCT tenant_id FROM connections
WHERE service = $1 AND environment = $2 AND account = $3 AND account <> '' AND state <> 'disconnected' ORDER BY tenant_id LIMIT 10`

// TenantsOfAccount returns the tenants that are connected to an account at the
// provider; nobody should share one, and at most ten are told. An empty account
// is nobody's.
func (s *Store) TenantsOfAccount(ctx context.Context, service, environment, account string) ([]string, error) {
	list, err := s.column(ctx, tenantsOfAccount, service, environment, account)
	if err != nil {
		return nil, fmt.Errorf("postgres: tenants of an account: %w", err)
	}
	return list, nil
}

const callWithKey = `SELECT id FROM calls WHERE service = $1 AND idempotency_key = $2 AND idempotency_key <> '' LIMIT 1`

// CallWithKey returns the id of a call to the service that was sent with an
// idempotency key; empty when there is none.
func (s *Store) CallWithKey(ctx context.Context, service, key string) (id string, err error) {
	list, err := s.column(ctx, callWithKey, service, key)
	if err != nil {
		return "", fmt.Errorf("postgres: call with a key: %w", err)
	}
	if len(list) == 0 {
		return "", nil
	}
	return list[0], nil
}

// column reads the first column of every row.
func (s *Store) column(ctx context.Context, query string, args ...any) (list []string, err error) {
	rows, err := s.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(r rowScanner) error {
		var text string
		err := r.Scan(&text)
		list = append(list, text)
		return err
	})
	return list, err
}
