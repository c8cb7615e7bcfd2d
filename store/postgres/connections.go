package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/integration"
)

const connectionColumns = "seq, id, tenant_id, service, environment, kind, state, reason, account, base_url, variables, scopes, " +
	"created_at, updated_at, expires_at, renew_before, last_used_at, version, task, due_at, attempts"

const insertConnection = `INSERT INTO connections
	(id, tenant_id, service, environment, kind, state, reason, account, base_url, variables, scopes, created_at, updated_at, expires_at, renew_before, version, task, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1, $16, $17)`

// updateConnection leaves tenant, service and environment as they are: they are
// what a connection is.
const updateConnection = `UPDATE connections
SET kind = $3, state = $4, reason = $5, account = $6, base_url = $7, variables = $8, scopes = $9, updated_at = $10, expires_at = $11, renew_before = $12,
	version = version + 1, task = $13, due_at = $14, attempts = $15
WHERE id = $1 AND version = $2`

// CreateConnection keeps a new connection with all of the change, or nothing.
// An id that is there already is integration.ErrState.
func (s *Store) CreateConnection(ctx context.Context, change integration.ConnectionChange) error {
	event, err := checkChange(&change)
	if err != nil {
		return err
	}
	c := &change.Connection
	return s.do(ctx, func(t *transaction) error {
		var there bool
		err := t.query(func(r rowScanner) error { return r.Scan(&there) }, "SELECT EXISTS (SELECT 1 FROM connections WHERE id = $1)", c.ID)
		if err != nil {
			return fmt.Errorf("postgres: connection %s: %w", c.ID, err)
		}
		if there {
			return fmt.Errorf("connection %s is there already: %w", c.ID, integration.ErrState)
		}
		_, err = t.exec(insertConnection, c.ID, c.Tenant, c.Service, c.Environment, c.Kind, string(c.State), c.Reason, c.Account, c.BaseURL,
			encodeMap(c.Variables), encodeList(c.Scopes), micros(c.CreatedAt), micros(c.UpdatedAt), optionalMicros(c.ExpiresAt), optionalMicros(c.RenewBefore),
			string(c.Task), optionalMicros(c.DueAt))
		switch {
		case isTaken(err):
			return fmt.Errorf("connection %s is there already: %w", c.ID, integration.ErrState)
		case err != nil:
			return fmt.Errorf("postgres: connection %s: %w", c.ID, err)
		}
		return s.along(t, &change, event)
	})
}

// ChangeConnection writes a change. It is integration.ErrFenced when the
// connection was changed since it was read, and integration.ErrNotFound when
// there is none.
func (s *Store) ChangeConnection(ctx context.Context, change integration.ConnectionChange) error {
	event, err := checkChange(&change)
	if err != nil {
		return err
	}
	return s.do(ctx, func(t *transaction) error { return s.change(t, &change, event) })
}

func (s *Store) change(t *transaction, change *integration.ConnectionChange, event *newEvent) error {
	c := &change.Connection
	n, err := t.exec(updateConnection, c.ID, c.Version, c.Kind, string(c.State), c.Reason, c.Account, c.BaseURL,
		encodeMap(c.Variables), encodeList(c.Scopes), micros(c.UpdatedAt), optionalMicros(c.ExpiresAt), optionalMicros(c.RenewBefore),
		string(c.Task), optionalMicros(c.DueAt), c.Attempts)
	if err != nil {
		return fmt.Errorf("postgres: connection %s: %w", c.ID, err)
	}
	if n == 0 {
		return whyFenced(t, c.ID)
	}
	return s.along(t, change, event)
}

// whyFenced says whether a connection that was not changed is there at all.
func whyFenced(t *transaction, id string) error {
	var there bool
	err := t.query(func(r rowScanner) error { return r.Scan(&there) }, "SELECT EXISTS (SELECT 1 FROM connections WHERE id = $1)", id)
	switch {
	case err != nil:
		return fmt.Errorf("postgres: connection %s: %w", id, err)
	case !there:
		return fmt.Errorf("connection %s: %w", id, integration.ErrNotFound)
	}
	return fmt.Errorf("connection %s: %w", id, integration.ErrFenced)
}

// checkChange refuses what could not be found or opened again.
func checkChange(change *integration.ConnectionChange) (event *newEvent, err error) {
	c := &change.Connection
	if c.ID == "" || c.Service == "" || c.State == "" || c.UpdatedAt.IsZero() {
		return nil, errors.New("postgres: a connection needs an id, a service, a state and the time of the change")
	}
	if c.CreatedAt.IsZero() {
		c.CreatedAt = c.UpdatedAt
	}
	for i := range change.Put {
		p := &change.Put[i]
		if p.Field == "" || len(p.Sealed) == 0 || p.KeyID == "" || p.Connection != c.ID {
			return nil, fmt.Errorf("postgres: connection %s: a credential needs its connection, a field, what is sealed and the id of its key", c.ID)
		}
	}
	if change.Event == nil {
		return nil, nil
	}
	headers, err := checkNew(change.Event)
	e := incoming(change.Event, headers)
	return &e, err
}

// along writes what belongs to a change beside the connection itself.
func (s *Store) along(t *transaction, change *integration.ConnectionChange, event *newEvent) error {
	id := change.Connection.ID
	if err := dropCredentials(t, change); err != nil {
		return fmt.Errorf("postgres: credentials of connection %s: %w", id, err)
	}
	for i := range change.Put {
		if err := putCredential(t, &change.Put[i]); err != nil {
			return fmt.Errorf("postgres: connection %s: %s: %w", id, change.Put[i].Field, err)
		}
	}
	if change.Audit != nil {
		if err := insertAudit(t, *change.Audit); err != nil {
			return err
		}
	}
	if event != nil {
		if err := insertOne(t, event, micros(s.options.Now())); err != nil {
			return fmt.Errorf("postgres: event %s about connection %s: %w", event.Type, id, err)
		}
	}
	return nil
}

// joinedCredential reads a connection and its credentials with one statement,
// which sees one moment.
const joinedCredential = ", p.field, p.key_id, p.fingerprint, p.created, p.expires, p.sealed FROM connections c LEFT JOIN " +
	"(SELECT connection_id, field, key_id, fingerprint, created_at AS created, expires_at AS expires, sealed FROM credentials) p ON p.connection_id = c.id WHERE c.id = $1 ORDER BY p.field"

// Connection returns a connection and its credentials as they are at one
// moment, the fields in order; integration.ErrNotFound if there is none.
func (s *Store) Connection(ctx context.Context, id string) (integration.Connection, []integration.Credential, error) {
	var c integration.Connection
	var credentials []integration.Credential
	list, err := s.query(ctx, "SELECT "+connectionColumns+joinedCredential, id)
	if err != nil {
		return integration.Connection{}, nil, fmt.Errorf("postgres: connection %s: %w", id, err)
	}
	found := false
	err = each(list, func(r rowScanner) (err error) {
		var one credentialRow
		_, c, err = scanConnection(and{r, one.into()})
		if found = true; err == nil && one.field.Valid {
			credentials = append(credentials, one.of(id))
		}
		return err
	})
	switch {
	case err != nil:
		return integration.Connection{}, nil, fmt.Errorf("postgres: connection %s: %w", id, err)
	case !found:
		return integration.Connection{}, nil, fmt.Errorf("connection %s: %w", id, integration.ErrNotFound)
	}
	return c, credentials, nil
}

// ConnectionsOf returns a tenant's connections to one service in one
// environment, the youngest first; those that are disconnected come last.
func (s *Store) ConnectionsOf(ctx context.Context, service, environment, tenant string) ([]integration.Connection, error) {
	rows, err := s.query(ctx, "SELECT "+connectionColumns+
		" FROM connections WHERE service = $1 AND tenant_id = $2 AND environment = $3 ORDER BY state = 'disconnected', seq DESC",
		service, tenant, environment)
	if err != nil {
		return nil, fmt.Errorf("postgres: connections of a tenant: %w", err)
	}
	var list []integration.Connection
	err = each(rows, func(r rowScanner) error {
		_, c, err := scanConnection(r)
		list = append(list, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: connections of a tenant: %w", err)
	}
	return list, nil
}

// Connections lists connections, the youngest first. Of the filter, Status is
// the state and Type the environment; Query looks into id, account and reason;
// Since and Until are about the last change.
func (s *Store) Connections(ctx context.Context, f integration.Filter) (found []integration.Connection, next string, err error) {
	p := page{prefix: "k", table: "connections", columns: connectionColumns, filter: f}
	p.where.equal("service", f.Service)
	p.where.equal("tenant_id", f.Tenant)
	p.where.equal("state", f.Status)
	p.where.equal("environment", f.Type)
	p.where.contains(f.Query, "id", "account", "reason")
	p.where.between("updated_at", f.Since, f.Until)
	return list(ctx, s, p, scanConnection)
}

// ConnectionCounts counts the connections of a service by state.
func (s *Store) ConnectionCounts(ctx context.Context, service, environment string) (map[string]int, error) {
	rows, err := s.query(ctx, "SELECT state, count(*) FROM connections WHERE service = $1 AND environment = $2 GROUP BY state", service, environment)
	if err != nil {
		return nil, fmt.Errorf("postgres: counting connections: %w", err)
	}
	counts := map[string]int{}
	err = each(rows, func(r rowScanner) error {
		var state string
		var n int
		err := r.Scan(&state, &n)
		counts[state] = n
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: counting connections: %w", err)
	}
	return counts, nil
}

// TouchConnections writes down when connections were last used. Ids that are
// not there are no error. It does not count as a change.
func (s *Store) TouchConnections(ctx context.Context, used map[string]time.Time) error {
	return s.do(ctx, func(t *transaction) error {
		ids := slices.Sorted(maps.Keys(used)) // in one order, so that two instances wait for each other in one direction
		at := make([]int64, len(ids))
		for i, id := range ids {
			at[i] = micros(used[id])
		}
		if _, err := t.exec(touchConnections, ids, at); err != nil {
			return fmt.Errorf("postgres: use of connections: %w", err)
		}
		return nil
	})
}

const touchConnections = `WITH used AS MATERIALIZED (
	SELECT c.seq, u.at FROM unnest($1::text[], $2::bigint[]) AS u (id, at) JOIN connections c ON c.id = u.id
	WHERE coalesce(c.last_used_at, 0) < u.at ORDER BY c.id FOR UPDATE OF c)
UPDATE connections c SET last_used_at = used.at FROM used WHERE c.seq = used.seq`

func scanConnection(r rowScanner) (seq int64, c integration.Connection, err error) {
	var variables, scopes string
	var created, updated int64
	var expires, renew, used, due sql.NullInt64
	err = r.Scan(&seq, &c.ID, &c.Tenant, &c.Service, &c.Environment, &c.Kind, (*string)(&c.State), &c.Reason, &c.Account, &c.BaseURL, &variables, &scopes,
		&created, &updated, &expires, &renew, &used, &c.Version, (*string)(&c.Task), &due, &c.Attempts)
	if err != nil {
		return 0, c, err
	}
	c.CreatedAt, c.UpdatedAt, c.ExpiresAt, c.RenewBefore = fromMicros(created), fromMicros(updated), fromOptional(expires), fromOptional(renew)
	c.LastUsedAt, c.DueAt = fromOptional(used), fromOptional(due)
	if c.Variables, err = decodeMap(variables); err != nil {
		return 0, c, fmt.Errorf("connection %s: variables: %w", c.ID, err)
	}
	if c.Scopes, err = decodeList(scopes); err != nil {
		return 0, c, fmt.Errorf("connection %s: scopes: %w", c.ID, err)
	}
	return seq, c, nil
}

// encodeMap and encodeList write text as JSON; nothing is an empty text.
func encodeMap(m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	b, err := json.Marshal(m)
	if err != nil {
		return "" // strings always encode
	}
	return string(b)
}

func decodeMap(text string) (m map[string]string, err error) {
	if text == "" {
		return nil, nil
	}
	err = json.Unmarshal([]byte(text), &m)
	return m, err
}

func encodeList(list []string) string {
	if len(list) == 0 {
		return ""
	}
	b, err := json.Marshal(list)
	if err != nil {
		return "" // strings always encode
	}
	return string(b)
}

func decodeList(text string) (list []string, err error) {
	if text == "" {
		return nil, nil
	}
	err = json.Unmarshal([]byte(text), &list)
	return list, err
}
