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

const credentialColumns = "connection_id, field, key_id, fingerprint, created_at, expires_at, sealed"

const upsertCredential = `INSERT INTO credentials (` + credentialColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (connection_id, field) DO UPDATE SET
	key_id = excluded.key_id, fingerprint = excluded.fingerprint, created_at = excluded.created_at, expires_at = excluded.expires_at, sealed = excluded.sealed`

func putCredential(t *transaction, c *integration.Credential) error {
	_, err := t.exec(upsertCredential, c.Connection, c.Field, c.KeyID, c.Fingerprint, micros(c.CreatedAt), optionalMicros(c.ExpiresAt), c.Sealed)
	if isMissing(err) {
		return fmt.Errorf("data key %s: %w: the tenant was erased meanwhile", c.KeyID, integration.ErrNotFound)
	}
	return err
}

func dropCredentials(t *transaction, change *integration.ConnectionChange) error {
	if change.DropAll {
		_, err := t.exec("DELETE FROM credentials WHERE connection_id = $1", change.Connection.ID)
		return err
	}
	for _, field := range change.Drop {
		if _, err := t.exec("DELETE FROM credentials WHERE connection_id = $1 AND field = $2", change.Connection.ID, field); err != nil {
			return err
		}
	}
	return nil
}

// credentialRow is a credential that may not be there: the right side of a join.
type credentialRow struct {
	field, key, fingerprint sql.NullString
	created, expires        sql.NullInt64
	sealed                  []byte
}

func (row *credentialRow) into() []any {
	return []any{&row.field, &row.key, &row.fingerprint, &row.created, &row.expires, &row.sealed}
}

func (row *credentialRow) of(connection string) integration.Credential {
	return integration.Credential{
		Connection: connection, Field: row.field.String, KeyID: row.key.String, Fingerprint: row.fingerprint.String,
		CreatedAt: fromOptional(row.created), ExpiresAt: fromOptional(row.expires), Sealed: row.sealed,
	}
}

func scanCredentials(rows *rows) (list []integration.Credential, err error) {
	err = each(rows, func(r rowScanner) error {
		var c integration.Credential
		var created int64
		var expires sql.NullInt64
		err := r.Scan(&c.Connection, &c.Field, &c.KeyID, &c.Fingerprint, &created, &expires, &c.Sealed)
		c.CreatedAt, c.ExpiresAt = fromMicros(created), fromOptional(expires)
		list = append(list, c)
		return err
	})
	return list, err
}

const stateColumns = "hash, flow, connection_id, tenant_id, service, environment, browser, issuer, redirect_uri, return_url, variables, scopes, key_id, created_at, expires_at, sealed"

// PutOAuthState keeps a flow that begins. A hash that is there already is an
// error.
func (s *Store) PutOAuthState(ctx context.Context, o integration.OAuthState) error {
	if o.Hash == "" || o.Service == "" || o.ExpiresAt.IsZero() {
		return errors.New("postgres: a flow needs the hash of its token, a service and an end")
	}
	key := any(nil)
	if o.KeyID != "" {
		key = o.KeyID
	}
	return s.do(ctx, func(t *transaction) error {
		_, err := t.exec("INSERT INTO oauth_states ("+stateColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
			o.Hash, o.Flow, o.Connection, o.Tenant, o.Service, o.Environment, o.Browser, o.Issuer, o.RedirectURI, o.ReturnURL,
			encodeMap(o.Variables), encodeList(o.Scopes), key, micros(o.CreatedAt), micros(o.ExpiresAt), o.Sealed)
		if err != nil {
			return fmt.Errorf("postgres: flow: %w", err)
		}
		return nil
	})
}

// OAuthState reads a flow and leaves it there; see TakeOAuthState for errors.
func (s *Store) OAuthState(ctx context.Context, hash string, now time.Time) (integration.OAuthState, error) {
	o, err := scanState(s.row(ctx, "SELECT "+stateColumns+" FROM oauth_states WHERE hash = $1", hash))
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return integration.OAuthState{}, fmt.Errorf("postgres: flow: %w", err)
	}
	return unexpired(o, err == nil, now)
}

// TakeOAuthState reads a flow and deletes it, so that nobody takes it again. It
// is integration.ErrNotFound when there is none, it was taken, or it expired.
func (s *Store) TakeOAuthState(ctx context.Context, hash string, now time.Time) (integration.OAuthState, error) {
	var o integration.OAuthState
	var found bool
	err := s.do(ctx, func(t *transaction) error {
		found = false
		return t.query(func(r rowScanner) (err error) {
			t.changed, found = true, true
			o, err = scanState(r)
			return err
		}, "DELETE FROM oauth_states WHERE hash = $1 RETURNING "+stateColumns, hash)
	})
	if err != nil {
		return integration.OAuthState{}, fmt.Errorf("postgres: taking a flow: %w", err)
	}
	return unexpired(o, found, now)
}

func unexpired(o integration.OAuthState, found bool, now time.Time) (integration.OAuthState, error) {
	if !found || !now.Before(o.ExpiresAt) {
		return integration.OAuthState{}, fmt.Errorf("flow: %w: it was used already, has expired, or never was", integration.ErrNotFound)
	}
	return o, nil
}

// ForgetOAuthStates deletes up to most flows that expired by now and says how
// many.
func (s *Store) ForgetOAuthStates(ctx context.Context, now time.Time, most int) (n int, err error) {
	err = s.do(ctx, func(t *transaction) error {
		gone, err := t.exec("DELETE FROM oauth_states WHERE hash IN (SELECT hash FROM oauth_states WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)", micros(now), most)
		n = int(gone)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("postgres: forgetting flows: %w", err)
	}
	return n, nil
}

func scanState(r rowScanner) (o integration.OAuthState, err error) {
	var variables, scopes string
	var key sql.NullString
	var created, expires int64
	err = r.Scan(&o.Hash, &o.Flow, &o.Connection, &o.Tenant, &o.Service, &o.Environment, &o.Browser, &o.Issuer, &o.RedirectURI, &o.ReturnURL,
		&variables, &scopes, &key, &created, &expires, &o.Sealed)
	if err != nil {
		return o, err
	}
	o.KeyID, o.CreatedAt, o.ExpiresAt = key.String, fromMicros(created), fromMicros(expires)
	if o.Variables, err = decodeMap(variables); err != nil {
		return o, fmt.Errorf("variables: %w", err)
	}
	if o.Scopes, err = decodeList(scopes); err != nil {
		return o, fmt.Errorf("scopes: %w", err)
	}
	return o, nil
}
