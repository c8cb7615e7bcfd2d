package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// acquireRefresh takes a lease that nobody has. The version grows, so that the
// holder before is fenced off; its intent stays for the new one to see.
const acquireRefresh = `INSERT INTO refresh_intents (connection_id, version, lease_owner, lease_until) VALUES ($1, 1, $2, $3)
ON CONFLICT (connection_id) DO UPDATE SET version = refresh_intents.version + 1, lease_owner = excluded.lease_owner, lease_until = excluded.lease_until
WHERE refresh_intents.lease_until IS NULL OR refresh_intents.lease_until <= $4`

// AcquireRefresh gives owner the right to refresh a connection's credential
// until then. ok is false when another has it: the lease says who and until
// when. Within one process, too, it is given once at a time. It is
// integration.ErrNotFound when there is no such connection.
//
// Read the connection again after this: the holder before may have just
// refreshed it.
func (s *Store) AcquireRefresh(ctx context.Context, connection, owner string, now, until time.Time) (l integration.RefreshLease, ok bool, err error) {
	if owner == "" || !until.After(now) {
		return l, false, errors.New("postgres: a refresh needs an owner and an end after its beginning")
	}
	err = s.do(ctx, func(t *transaction) error {
		n, err := t.exec(acquireRefresh, connection, owner, micros(until), micros(now))
		switch {
		case isMissing(err):
			return fmt.Errorf("connection %s: %w", connection, integration.ErrNotFound)
		case err != nil:
			return fmt.Errorf("postgres: lease to refresh %s: %w", connection, err)
		}
		ok = n > 0
		l, err = readRefresh(t, connection)
		return err
	})
	return l, ok, err
}

func readRefresh(t *transaction, connection string) (l integration.RefreshLease, err error) {
	var owner sql.NullString
	var until, asked, version sql.NullInt64
	var fingerprint string
	err = t.query(func(r rowScanner) error { return r.Scan(&l.Version, &owner, &until, &version, &asked, &fingerprint) },
		"SELECT version, lease_owner, lease_until, asked_version, asked_at, fingerprint FROM refresh_intents WHERE connection_id = $1", connection)
	if err != nil {
		return l, fmt.Errorf("postgres: lease to refresh %s: %w", connection, err)
	}
	l.Connection, l.Owner, l.Until = connection, owner.String, fromOptional(until)
	if asked.Valid {
		l.Intent = &integration.RefreshIntent{Version: version.Int64, Fingerprint: fingerprint, AskedAt: fromOptional(asked)}
	}
	return l, nil
}

// held limits a statement on refresh_intents to who holds the lease. A lease
// that ran out and was not taken by another is still held.
const held = " WHERE connection_id = $1 AND lease_owner = $2 AND version = $3"

// RenewRefresh extends a lease; integration.ErrFenced when it is lost.
func (s *Store) RenewRefresh(ctx context.Context, l integration.RefreshLease, until time.Time) error {
	return s.fenced(ctx, l, nil, "UPDATE refresh_intents SET lease_until = $4"+held, micros(until))
}

// IntendRefresh writes down that the provider is about to be asked, in place of
// an intent that was there; integration.ErrFenced when the lease is lost.
func (s *Store) IntendRefresh(ctx context.Context, l integration.RefreshLease, fingerprint string, now time.Time) error {
	return s.fenced(ctx, l, nil, "UPDATE refresh_intents SET asked_version = $3, asked_at = $4, fingerprint = $5"+held, micros(now), fingerprint)
}

// CompleteRefresh writes what came of a refresh and ends lease and intent, all
// in one transaction. It is integration.ErrFenced when the lease is lost or the
// connection was changed since it was read; then nothing was written.
func (s *Store) CompleteRefresh(ctx context.Context, l integration.RefreshLease, change integration.ConnectionChange) error {
	if change.Connection.ID != l.Connection {
		return fmt.Errorf("postgres: the lease is for connection %s, the change is of %s", l.Connection, change.Connection.ID)
	}
	event, err := checkChange(&change)
	if err != nil {
		return err
	}
	return s.fenced(ctx, l, func(t *transaction) error { return s.change(t, &change, event) }, endRefresh)
}

const endRefresh = "UPDATE refresh_intents SET lease_owner = NULL, lease_until = NULL, asked_version = NULL, asked_at = NULL, fingerprint = ''" + held

// ReleaseRefresh gives a lease back. With settled the intent ends as well: the
// provider was not asked, or its answer is known to have changed nothing.
// integration.ErrFenced when the lease is lost.
func (s *Store) ReleaseRefresh(ctx context.Context, l integration.RefreshLease, settled bool) error {
	if settled {
		return s.fenced(ctx, l, nil, endRefresh)
	}
	return s.fenced(ctx, l, nil, "UPDATE refresh_intents SET lease_owner = NULL, lease_until = NULL"+held)
}

// fenced runs a statement that ends in held, and then more, for the holder of
// the lease.
func (s *Store) fenced(ctx context.Context, l integration.RefreshLease, more func(*transaction) error, statement string, args ...any) error {
	return s.do(ctx, func(t *transaction) error {
		n, err := t.exec(statement, append([]any{l.Connection, l.Owner, l.Version}, args...)...)
		if err != nil {
			return fmt.Errorf("postgres: lease to refresh %s: %w", l.Connection, err)
		}
		if n == 0 {
			return fmt.Errorf("the lease to refresh connection %s is lost: %w", l.Connection, integration.ErrFenced)
		}
		if more == nil {
			return nil
		}
		return more(t)
	})
}
