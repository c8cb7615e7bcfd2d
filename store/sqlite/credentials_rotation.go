package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/integration"
)

const rotationColumns = "id, before, fresh, position, keys, credentials, started_at, finished_at"

// StartRotation writes down that a rotation begins; integration.ErrState when
// one is under way.
func (s *Store) StartRotation(ctx context.Context, r integration.KeyRotation, audit integration.AuditEntry) error {
	return s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		n, err := t.exec("INSERT INTO rotations ("+rotationColumns+", state) VALUES (?, ?, ?, ?, ?, ?, ?, NULL, 'running') ON CONFLICT DO NOTHING",
			r.ID, r.Before, r.Fresh, r.Position, r.Keys, r.Credentials, micros(r.StartedAt))
		switch {
		case err != nil:
			return fmt.Errorf("sqlite: rotation %s: %w", r.ID, err)
		case n == 0:
			return fmt.Errorf("a rotation is under way: %w", integration.ErrState)
		}
		return insertAudit(t, audit)
	})
}

// AdvanceRotation writes down how far a rotation is. One with FinishedAt is
// over.
func (s *Store) AdvanceRotation(ctx context.Context, r integration.KeyRotation) error {
	state := "running"
	if !r.FinishedAt.IsZero() {
		state = "finished"
	}
	return s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		n, err := t.exec("UPDATE rotations SET fresh = ?2, position = ?3, keys = ?4, credentials = ?5, finished_at = ?6, state = ?7 WHERE id = ?1 AND state = 'running'",
			r.ID, r.Fresh, r.Position, r.Keys, r.Credentials, optionalMicros(r.FinishedAt), state)
		switch {
		case err != nil:
			return fmt.Errorf("sqlite: rotation %s: %w", r.ID, err)
		case n == 0:
			return fmt.Errorf("rotation %s: %w", r.ID, integration.ErrState)
		}
		return nil
	})
}

// LastRotation is the rotation that is under way, or else the last one;
// integration.ErrNotFound when there was none.
func (s *Store) LastRotation(ctx context.Context) (r integration.KeyRotation, err error) {
	var started int64
	var finished sql.NullInt64
	err = s.read.QueryRowContext(ctx, "SELECT "+rotationColumns+" FROM rotations ORDER BY seq DESC LIMIT 1").
		Scan(&r.ID, &r.Before, &r.Fresh, &r.Position, &r.Keys, &r.Credentials, &started, &finished)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return integration.KeyRotation{}, fmt.Errorf("rotation: %w", integration.ErrNotFound)
	case err != nil:
		return integration.KeyRotation{}, fmt.Errorf("sqlite: rotation: %w", err)
	}
	r.StartedAt, r.FinishedAt = fromMicros(started), fromOptional(finished)
	return r, nil
}

const upsertSighting = `INSERT INTO secret_sightings (service, environment, name, fingerprint, reference, first_seen, last_seen) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (service, environment, name, fingerprint) DO UPDATE SET
	reference = excluded.reference, first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)`

// SeeSecrets keeps when secrets were seen: the first time stays, the last moves
// on.
func (s *Store) SeeSecrets(ctx context.Context, seen []integration.SecretSighting) error {
	return s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		for i := range seen {
			v := &seen[i]
			if _, err := t.exec(upsertSighting, v.Service, v.Environment, v.Name, v.Fingerprint, v.Reference, micros(v.FirstSeen), micros(v.LastSeen)); err != nil {
				return fmt.Errorf("sqlite: sighting of %s of %s: %w", v.Name, v.Service, err)
			}
		}
		return nil
	})
}

// SecretSightings lists what was seen of a service's secrets in an environment,
// by name and then the last seen first.
func (s *Store) SecretSightings(ctx context.Context, service, environment string) ([]integration.SecretSighting, error) {
	return s.sightings(ctx, "service = ? AND environment = ? ORDER BY name, last_seen DESC, first_seen DESC, fingerprint", service, environment)
}

func (s *Store) sightings(ctx context.Context, where string, args ...any) ([]integration.SecretSighting, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT service, environment, name, fingerprint, reference, first_seen, last_seen FROM secret_sightings WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlite: sightings of secrets: %w", err)
	}
	var list []integration.SecretSighting
	err = each(rows, func(r rowScanner) error {
		var v integration.SecretSighting
		var first, last int64
		err := r.Scan(&v.Service, &v.Environment, &v.Name, &v.Fingerprint, &v.Reference, &first, &last)
		v.FirstSeen, v.LastSeen = fromMicros(first), fromMicros(last)
		list = append(list, v)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: sightings of secrets: %w", err)
	}
	return list, nil
}

// SightingsOf lists where a secret was seen, by its fingerprint.
func (s *Store) SightingsOf(ctx context.Context, fingerprint string) ([]integration.SecretSighting, error) {
	return s.sightings(ctx, "fingerprint = ? ORDER BY service, environment, name", fingerprint)
}

// ConnectionsWith lists up to most ids of connections that hold a credential of
// that fingerprint.
func (s *Store) ConnectionsWith(ctx context.Context, fingerprint string, most int) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT DISTINCT connection_id FROM credentials WHERE fingerprint = ? ORDER BY connection_id LIMIT ?", fingerprint, most)
	if err != nil {
		return nil, fmt.Errorf("sqlite: connections with a credential: %w", err)
	}
	var ids []string
	err = each(rows, func(r rowScanner) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: connections with a credential: %w", err)
	}
	return ids, nil
}

const upsertUse = `INSERT INTO credential_uses (minute, service, tenant_id, connection_id, fingerprint, endpoint, actor, count, refused) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (minute, service, tenant_id, connection_id, fingerprint, endpoint, actor) DO UPDATE SET count = count + excluded.count, refused = refused + excluded.refused`

// RecordUses adds to the counts of a minute. All of the list is written or
// nothing.
func (s *Store) RecordUses(ctx context.Context, uses []integration.CredentialUse) error {
	return s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		for i := range uses {
			u := &uses[i]
			if _, err := t.exec(upsertUse, micros(u.Minute), u.Service, u.Tenant, u.Connection, u.Fingerprint, u.Endpoint, u.Actor, u.Count, u.Refused); err != nil {
				return fmt.Errorf("sqlite: use of a credential of %s: %w", u.Service, err)
			}
		}
		return nil
	})
}

// CredentialUses lists uses, those written last first. Of the filter, Type is
// the endpoint, Status the fingerprint and Query looks into connection, actor
// and fingerprint; Since and Until are about the minute.
func (s *Store) CredentialUses(ctx context.Context, f integration.Filter) (found []integration.CredentialUse, next string, err error) {
	p := page{
		prefix: "u", table: "credential_uses", hint: notIndexed, filter: f,
		columns: "seq, minute, service, tenant_id, connection_id, fingerprint, endpoint, actor, count, refused",
	}
	p.where.equal("service", f.Service)
	p.where.equal("tenant_id", f.Tenant)
	p.where.equal("endpoint", f.Type)
	p.where.equal("fingerprint", f.Status)
	p.where.contains(f.Query, "connection_id", "actor", "fingerprint")
	p.where.between("minute", f.Since, f.Until)
	return list(ctx, s, p, func(r rowScanner) (seq int64, u integration.CredentialUse, err error) {
		var minute int64
		err = r.Scan(&seq, &minute, &u.Service, &u.Tenant, &u.Connection, &u.Fingerprint, &u.Endpoint, &u.Actor, &u.Count, &u.Refused)
		u.Minute = fromMicros(minute)
		return seq, u, err
	})
}
