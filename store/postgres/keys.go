package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/integration"
)

const (
	keyColumns   = "id, name, scope, hash, created_at, revoked_at"
	auditColumns = "seq, id, at, actor, action, target, detail"
)

// CreateKey stores an API key; the audit entry is written with it or not at all.
func (s *Store) CreateKey(ctx context.Context, key integration.APIKey, audit integration.AuditEntry) error {
	if key.ID == "" || key.Hash == "" {
		return errors.New("postgres: a key needs an id and the hash of its secret")
	}
	return s.do(ctx, func(t *transaction) error {
		if _, err := t.exec("INSERT INTO api_keys ("+keyColumns+") VALUES ($1, $2, $3, $4, $5, $6)",
			key.ID, key.Name, string(key.Scope), key.Hash, micros(key.CreatedAt), optionalMicros(key.RevokedAt)); err != nil {
			return fmt.Errorf("postgres: key %s: %w", key.ID, err)
		}
		return insertAudit(t, audit)
	})
}

// KeyByHash finds the key of a secret by its SHA-256; integration.ErrNotFound
// if there is none. A revoked key is found too: see RevokedAt.
func (s *Store) KeyByHash(ctx context.Context, hash string) (integration.APIKey, error) {
	key, err := scanKey(s.row(ctx, "SELECT "+keyColumns+" FROM api_keys WHERE hash = $1", hash))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return integration.APIKey{}, fmt.Errorf("API key: %w", integration.ErrNotFound)
	case err != nil:
		return integration.APIKey{}, fmt.Errorf("postgres: API key: %w", err)
	}
	return key, nil
}

// Keys lists all keys, revoked ones too, in the order they were made.
func (s *Store) Keys(ctx context.Context) ([]integration.APIKey, error) {
	rows, err := s.query(ctx, "SELECT "+keyColumns+" FROM api_keys ORDER BY seq")
	if err != nil {
		return nil, fmt.Errorf("postgres: keys: %w", err)
	}
	var keys []integration.APIKey
	err = each(rows, func(r rowScanner) error {
		key, err := scanKey(r)
		keys = append(keys, key)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: keys: %w", err)
	}
	return keys, nil
}

// RevokeKey makes a key invalid from now on; the audit entry is written with
// it or not at all. It is integration.ErrNotFound if there is no such key and
// integration.ErrState if it is revoked already.
func (s *Store) RevokeKey(ctx context.Context, id string, now time.Time, audit integration.AuditEntry) error {
	return s.do(ctx, func(t *transaction) error {
		n, err := t.exec("UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", id, micros(now))
		if err != nil {
			return fmt.Errorf("postgres: revoking key %s: %w", id, err)
		}
		if n == 0 {
			return t.whyNot("api_keys", "CASE WHEN revoked_at IS NULL THEN 'valid' ELSE 'revoked' END", "key", id)
		}
		return insertAudit(t, audit)
	})
}

// Audit writes one entry of the audit log. An entry without an id gets one.
func (s *Store) Audit(ctx context.Context, entry integration.AuditEntry) error {
	return s.do(ctx, func(t *transaction) error { return insertAudit(t, entry) })
}

// AuditLog lists entries, the youngest first. Of the filter, Type is the
// action, Query looks into actor, target and detail; Since, Until, Cursor and
// Limit are as in other lists.
func (s *Store) AuditLog(ctx context.Context, f integration.Filter) (entries []integration.AuditEntry, next string, err error) {
	p := page{prefix: "a", table: "audit_log", columns: auditColumns, filter: f}
	p.where.equal("action", f.Type)
	p.where.contains(f.Query, "actor", "target", "detail")
	p.where.between("at", f.Since, f.Until)
	return list(ctx, s, p,
		func(r rowScanner) (seq int64, e integration.AuditEntry, err error) {
			var at int64
			err = r.Scan(&seq, &e.ID, &at, &e.Actor, &e.Action, &e.Target, &e.Detail)
			e.At = fromMicros(at)
			return seq, e, err
		})
}

func insertAudit(t *transaction, e integration.AuditEntry) error {
	if e.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("postgres: audit entry: %w", err)
		}
		e.ID = id.String()
	}
	_, err := t.exec("INSERT INTO audit_log (id, at, actor, action, target, detail) VALUES ($1, $2, $3, $4, $5, $6)",
		e.ID, micros(e.At), e.Actor, e.Action, e.Target, e.Detail)
	if err != nil {
		return fmt.Errorf("postgres: audit entry %s: %w", e.Action, err)
	}
	return nil
}

func scanKey(r rowScanner) (k integration.APIKey, err error) {
	var created int64
	var revoked sql.NullInt64
	err = r.Scan(&k.ID, &k.Name, (*string)(&k.Scope), &k.Hash, &created, &revoked)
	k.CreatedAt, k.RevokedAt = fromMicros(created), fromOptional(revoked)
	return k, err
}

// freshEnough is how old a commit may be to prove that writing works.
const freshEnough = time.Second

// Ping says whether the store can write: a transaction was committed within
// the last second, or one is now.
func (s *Store) Ping(ctx context.Context) error {
	now := s.options.Now()
	if last := s.lastCommit.Load(); last != 0 && now.Sub(fromMicros(last)).Abs() < freshEnough {
		return nil
	}
	return s.do(ctx, func(t *transaction) error {
		if _, err := t.exec("INSERT INTO heartbeat (one, at) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET at = excluded.at", micros(now)); err != nil {
			return fmt.Errorf("postgres: heartbeat: %w", err)
		}
		return nil
	})
}
